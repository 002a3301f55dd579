//! The command `whoami`: the client's own key and the sources of the configuration.

use rockset_apikeys::{ApiKey, Client, Config, Error};
use serde_json::json;

use crate::failure::{Code, Failure};
use crate::globals::Globals;
use crate::output::{self, note};

pub(crate) async fn run(globals: &Globals) -> Result<Code, Failure> {
    let (client, config) = globals.connect()?;
    let identifier = config.api_key_identifier();
    let [key, others @ ..] = &own_keys(&client, &config).await?[..] else {
        let message = format!("the user has no key that begins with {identifier}");
        return Err(Failure::new(Code::NotFoundOrConflict, message));
    };
    if !others.is_empty() {
        note("several keys of the user begin with these characters; this is the oldest");
    }
    output::record(
        globals.format,
        &[
            ("server", json!(client.api_server())),
            ("server_source", json!(config.api_server_source())),
            ("user", json!(key.created_by)),
            ("name", json!(key.name)),
            ("identifier", json!(identifier)),
            ("key_source", json!(config.api_key_source())),
            ("role", json!(key.role)),
            ("state", json!(key.state)),
            ("expiry_time", json!(key.expiry_time)),
        ],
    )
}

/// Returns the keys that may be the client's own, oldest first.
///
/// The API does not return the caller's key, so they are found by their first characters.
pub(crate) async fn own_keys(client: &Client, config: &Config) -> Result<Vec<ApiKey>, Error> {
    let mut keys = client.list_api_keys().await?;
    keys.retain(|key| key.key.identifier() == config.api_key_identifier());
    Ok(keys)
}
