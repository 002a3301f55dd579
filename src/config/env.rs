//! Reads settings from environment variables.

use std::env::{self, VarError};

use super::Config;
use crate::credentials::Credentials;
use crate::error::Error;
use crate::settings::Sourced;

pub(super) const API_KEY: &str = "ROCKSET_APIKEY";
pub(super) const API_KEY_FILE: &str = "ROCKSET_APIKEY_FILE";
pub(super) const API_SERVER: &str = "ROCKSET_APISERVER";

pub(super) fn read() -> Result<Config, Error> {
    let api_server = api_server()?;
    let key = variable(API_KEY, "the client's key")?;
    let file = variable(API_KEY_FILE, "the path of a file with the client's key, or unset it")?;
    let credentials = match (key, file) {
        (Some(key), None) => Sourced::new(API_KEY, Credentials::fixed(API_KEY, key.into())?),
        (None, Some(file)) => {
            Sourced::new(format!("{API_KEY_FILE} {file}"), Credentials::from_file(file)?)
        }
        (Some(_), Some(_)) => {
            return Err(Error::invalid_input(format!(
                "{API_KEY} and {API_KEY_FILE} are both set; unset one of them"
            )));
        }
        (None, None) => {
            return Err(Error::invalid_input(format!(
                "{API_KEY} is not set; set it to the client's key"
            )));
        }
    };
    Ok(Config::new(credentials, api_server))
}

/// Reads the API server, which may be missing.
pub(super) fn api_server() -> Result<Sourced<Option<String>>, Error> {
    let server = variable(API_SERVER, "a host or URL such as http://127.0.0.1:8080, or unset it")?;
    Ok(Sourced::new(API_SERVER, server))
}

#[cfg(feature = "profile")]
pub(super) fn sets_key() -> bool {
    [API_KEY, API_KEY_FILE].iter().any(|name| env::var_os(name).is_some())
}

/// Returns the value of a variable, or `None` if it is not set. An error ends with the fix.
fn variable(name: &str, fix: &str) -> Result<Option<String>, Error> {
    match env::var(name) {
        Ok(value) if value.is_empty() => {
            Err(Error::invalid_input(format!("{name} is set but empty; set it to {fix}")))
        }
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(Error::invalid_input(format!("{name} is not Unicode; set it to {fix}")))
        }
    }
}
