//! Rotates the key of a running client without a failed call.
//!
//! Run it with `cargo run --example rotation`.

use std::fs;
use std::path::Path;

use rockset_apikeys::{ApiKeyValue, Client, Credentials, KeyState};
use rockset_apikeys_server::Server;

/// Replaces the file atomically, so that readers never get a partial key.
fn store(file: &Path, key: &ApiKeyValue) -> std::io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, key.expose_secret())?;
    fs::rename(new, file)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start().await?;
    let admin = server.client();
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("apikey");

    // The program's client reads its key from a file, as `from_env` does with ROCKSET_APIKEY_FILE.
    store(&file, &admin.create_api_key("my-app").await?.key)?;
    let client = Client::builder()
        .api_server(server.url())
        .credentials(Credentials::from_file(&file)?)
        .build()?;
    println!("{} keys", client.list_api_keys().await?.len());

    // An operator creates the next key, tests it, deploys it, and suspends the old one.
    let next = admin.create_api_key("my-app-2").await?.key;
    admin.with_api_key(next.clone())?.list_api_keys().await?;
    store(&file, &next)?;
    admin.update_api_key("my-app").state(KeyState::Suspended).await?;

    // The program's client continues with the new key.
    let created = client.create_api_key("by-the-program").await?;
    println!("created with {}", created.created_by_apikey_name.unwrap_or_default());
    Ok(())
}
