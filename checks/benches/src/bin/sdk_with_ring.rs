//! A program whose build is measured: gets a key with rockset-apikeys, and installs ring for TLS.

use std::error::Error;

use rockset_apikeys::Client;
use rustls::crypto::ring;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    ring::default_provider().install_default().map_err(|_| "a provider is installed")?;
    let key = Client::from_env()?.get_api_key("my-app").await?;
    println!("{}: {}", key.name, key.role.unwrap_or_default());
    Ok(())
}
