//! Calls an operation through the generated client, which needs no method of `Client`.
//!
//! Run it with `cargo run --example new_operation`.

use rockset_apikeys::generated::operations;
use rockset_apikeys_server::Server;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start().await?;
    let client = server.client();

    // The closure sends the request, once per attempt. The operation's kind decides whether a retry
    // is safe.
    let request = client.generated().list_api_keys().user("self");
    let response = client.run(&operations::LIST_API_KEYS, || request.clone().send()).await?;

    println!("{}", response.status());
    for key in &response.data {
        println!("{}", key.name);
    }
    Ok(())
}
