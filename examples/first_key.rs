//! Starts a server, and creates, lists and deletes a key.
//!
//! Run it with `cargo run --example first_key`.

use rockset_apikeys::Client;
use rockset_apikeys_server::Server;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start().await?;
    let key = server.admin_key().clone();
    let client = Client::builder().api_server(server.url()).api_key(key).build()?;

    let created = client.create_api_key("my-app").role("read-only").await?;
    println!("{}: {}", created.name, created.key.expose_secret());

    for key in client.list_api_keys().await? {
        println!("{}: {}…", key.name, key.key.identifier());
    }
    client.delete_api_key("my-app").await?;
    Ok(())
}
