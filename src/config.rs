//! Configuration that was left for the program by others: environment variables, and the profiles
//! of the vendor's command line. Whether what was found can be used is decided by `client`.

use std::env::{self, VarError};

use crate::client::Given;
use crate::{ApiKeyValue, ClientBuilder, Error};

#[cfg(feature = "profile")]
pub(crate) mod profile;

const API_KEY: &str = "ROCKSET_APIKEY";
const API_SERVER: &str = "ROCKSET_APISERVER";

/// Takes over what the environment variables say.
pub(crate) fn from_env(mut builder: ClientBuilder) -> Result<ClientBuilder, Error> {
    if let Some(server) = variable(API_SERVER)? {
        builder = builder.found_api_server(Given::new(API_SERVER, server));
    }
    let key = variable(API_KEY)?
        .ok_or_else(|| Error::refused(format!("{API_KEY} is not set; set it to an API key")))?;
    Ok(builder.found_api_key(Given::new(API_KEY, ApiKeyValue::from(key))))
}

/// The value of an environment variable, `None` where it is not set.
fn variable(name: &str) -> Result<Option<String>, Error> {
    match env::var(name) {
        Ok(value) if value.is_empty() => {
            Err(Error::refused(format!("{name} is set, but empty; give it a value or unset it")))
        }
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Error::refused(format!("{name} is no valid Unicode"))),
    }
}
