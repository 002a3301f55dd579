//! Makes calls without async. The server runs in a runtime of its own, beside the blocking calls.
//!
//! Run it with `cargo run --example blocking --features blocking`.

use rockset_apikeys::Client;
use rockset_apikeys_server::Server;
use tokio::runtime::Runtime;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Its threads serve the requests while this thread waits for a call.
    let runtime = Runtime::new()?;
    let server = runtime.block_on(Server::start())?;
    let client =
        Client::builder().api_server(server.url()).api_key(server.admin_key().clone()).build()?;

    let created = client.create_api_key("my-app").role("read-only").send_blocking()?;
    println!("created {}", created.name);
    for key in client.list_api_keys().send_blocking()? {
        println!("{}: {}…", key.name, key.key.identifier());
    }
    Ok(())
}
