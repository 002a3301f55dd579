//! Settings from environment variables, plain and with their source.

use std::env::{self, VarError};

use crate::error::Error;
use crate::settings::{Sourced, SourcedSettings};

const API_KEY: &str = "ROCKSET_APIKEY";
const API_SERVER: &str = "ROCKSET_APISERVER";

/// Reads the variables.
pub(crate) fn read() -> Result<SourcedSettings, Error> {
    let api_server = variable(API_SERVER)?.map(|server| Sourced::new(API_SERVER, server));
    let key = variable(API_KEY)?
        .ok_or_else(|| Error::rejected(format!("{API_KEY} is not set; set it to an API key")))?;
    Ok(SourcedSettings { api_key: Sourced::new(API_KEY, key.into()), api_server })
}

/// Returns the value of a variable, or `None` if it is not set.
fn variable(name: &str) -> Result<Option<String>, Error> {
    match env::var(name) {
        Ok(value) if value.is_empty() => {
            Err(Error::rejected(format!("{name} is set but empty; give it a value or unset it")))
        }
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Error::rejected(format!("{name} is not Unicode"))),
    }
}
