//! Reads settings from environment variables. Their check is in `settings`.

use std::env::{self, VarError};

use crate::credentials::Credentials;
use crate::error::Error;
use crate::settings::{Sourced, SourcedSettings};

const API_KEY: &str = "ROCKSET_APIKEY";
const API_KEY_FILE: &str = "ROCKSET_APIKEY_FILE";
const API_SERVER: &str = "ROCKSET_APISERVER";

/// Reads the variables.
pub(crate) fn read() -> Result<SourcedSettings, Error> {
    let server = variable(API_SERVER, "a host or URL such as http://127.0.0.1:8080, or unset it")?;
    let key = variable(API_KEY, "the client's key")?;
    let file = variable(API_KEY_FILE, "the path of a file with the client's key, or unset it")?;
    let credentials = match (key, file) {
        (Some(key), None) => Credentials::fixed(API_KEY, key.into())?,
        (None, Some(file)) => Credentials::from_file(file)?,
        (Some(_), Some(_)) => {
            return Err(Error::invalid_input(format!(
                "{API_KEY} and {API_KEY_FILE} are both set; unset one of them"
            )));
        }
        (None, None) => {
            return Err(Error::invalid_input(format!(
                "{API_KEY} is not set; set it to the client's key, or call `api_key` on \
                 `Client::builder()`"
            )));
        }
    };
    Ok(SourcedSettings {
        credentials,
        api_server: server.map(|server| Sourced::new(API_SERVER, server)),
    })
}

/// Returns the value of a variable, or `None` if it is not set. An error says what to set it to.
fn variable(name: &str, to: &str) -> Result<Option<String>, Error> {
    match env::var(name) {
        Ok(value) if value.is_empty() => {
            Err(Error::invalid_input(format!("{name} is set but empty; set it to {to}")))
        }
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(Error::invalid_input(format!("{name} is not Unicode; set it to {to}")))
        }
    }
}
