//! Handles keys and times as values: compares, builds, parses and serializes them.
//!
//! Run it with `cargo run --example values`.

use std::time::{Duration, SystemTime};

use rockset_apikeys::{ApiKey, ExposeSecrets, KeyState};
use rockset_apikeys_server::Server;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start().await?;
    let client = server.client();

    // A time is a text, a `SystemTime`, or a time of jiff.
    let in_an_hour = SystemTime::now() + Duration::from_secs(3_600);
    let created = client.create_api_key("my-app").expiry_time(in_an_hour).await?;
    let state: KeyState = "SUSPENDED".parse()?;
    let call = client.update_api_key("my-app").expiry_time("2099-01-01T00:00:00Z");
    let updated = call.state(state).await?;

    // The update has the identifier in place of the full key.
    println!("{}: {}", updated.name, updated.key.identifier());
    assert!(created.key.full_key().is_some() && updated.key.full_key().is_none());
    assert!(created.expiry_time < updated.expiry_time);

    // A full key is serialized only on purpose.
    println!("{}", serde_json::to_string_pretty(&updated)?);
    assert!(serde_json::to_string(&created).is_err());
    let secret = serde_json::to_string(&ExposeSecrets(&created))?;
    let read: ApiKey = serde_json::from_str(&secret)?;
    assert_eq!(read, created);
    Ok(())
}
