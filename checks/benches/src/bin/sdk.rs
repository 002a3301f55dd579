//! A program whose build is measured: gets a key with rockset-apikeys.

use rockset_apikeys::{Client, Error};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let key = Client::from_env()?.get_api_key("my-app").await?;
    println!("{}: {}", key.name, key.role.unwrap_or_default());
    Ok(())
}
