//! Sends requests without async. The server runs on a separate thread.
//!
//! Run it with `cargo run --example blocking --features blocking`.

use rockset_apikeys_server::Server;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start_blocking()?;
    let client = server.client();

    let created = client.create_api_key("my-app").role("read-only").send_blocking()?;
    println!("created {}", created.name);
    for key in client.list_api_keys().send_blocking()? {
        println!("{}: {}…", key.name, key.key.identifier());
    }
    Ok(())
}
