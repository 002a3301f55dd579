//! The client's own key: where it comes from, and what the server knows of it.

use rockset_apikeys::{ApiKey, Error};
use serde_json::{Value, json};

use crate::config::Config;
use crate::failure::{Code, Failure};
use crate::{Globals, note, output};

pub(crate) async fn run(globals: &Globals) -> Result<Code, Failure> {
    let config = globals.config()?;
    let [key, others @ ..] = &own_keys(&config).await?[..] else {
        let message = format!("none of the user's keys begins with {}", config.identifier);
        return Err(Failure::new(Code::NotFoundOrConflict, message));
    };
    if !others.is_empty() {
        note("several keys of the user begin with the same characters; this is the oldest");
    }
    let text = |text: &Option<String>| text.as_ref().map_or(Value::Null, |it| json!(it));
    output::record(
        globals.format,
        &[
            ("server", json!(config.client.api_server())),
            ("server_source", json!(config.server_source)),
            ("user", text(&key.created_by)),
            ("name", json!(key.name)),
            ("identifier", json!(config.identifier)),
            ("key_source", json!(config.key_source)),
            ("role", text(&key.role)),
            ("state", json!(key.state)),
            ("expiry_time", json!(key.expiry_time)),
        ],
    )
}

/// Returns the keys that may be the client's own, oldest first. The API does not say which key
/// authenticated; the first characters tell.
pub(crate) async fn own_keys(config: &Config) -> Result<Vec<ApiKey>, Error> {
    let mut keys = config.client.list_api_keys().await?;
    keys.retain(|key| key.key.identifier() == config.identifier);
    Ok(keys)
}
