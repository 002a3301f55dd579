//! `Config`: the client's key and API server, read from outside the program. Each source has its
//! file here; the checks of the values are in `credentials` and `settings`.

mod env;
#[cfg(feature = "profile")]
mod profile;

use std::fmt;
use std::path::Path;

use crate::credentials::Credentials;
use crate::error::Error;
use crate::settings::Sourced;
use crate::values::ApiKeyValue;
use crate::wire::redaction;

/// The client's key and API server from the environment or a profile, and their sources.
///
/// [`Client::from_env`](crate::Client::from_env) and `Client::from_profile` build a client without
/// one. Use a `Config` to add other settings, to read flags of your program as well, or to print
/// where the settings come from.
///
/// ```
/// use rockset_apikeys::{Client, Config};
///
/// fn client(flag: Option<&str>) -> Result<Client, rockset_apikeys::Error> {
///     let mut config = Config::from_env()?;
///     if let Some(server) = flag {
///         config = config.with_api_server("--api-server", server);
///     }
///     eprintln!("server from {}", config.api_server_source());
///     eprintln!("key {}… from {}", config.api_key_identifier(), config.api_key_source());
///     Client::builder().config(&config).app_name("key-rotation/2.1").build()
/// }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Config {
    credentials: Sourced<Credentials>,
    /// `None` if the source does not set it.
    api_server: Sourced<Option<String>>,
    warning: Option<String>,
}

impl Config {
    /// Reads the environment variables; [`Client::from_env`](crate::Client::from_env) lists them.
    ///
    /// # Errors
    ///
    /// Fails if no variable sets the key, if a variable is empty or not Unicode, and if the key is
    /// invalid. The API server may be missing here.
    pub fn from_env() -> Result<Self, Error> {
        env::read()
    }

    /// Reads the key from a file and the API server from `ROCKSET_APISERVER`.
    ///
    /// The client reads the file again before each attempt; see [`Credentials::from_file`].
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or contains no valid key, and if the variable is empty or
    /// not Unicode. The API server may be missing here.
    pub fn from_key_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let credentials = Credentials::from_file(path)?;
        let source = format!("the file {}", path.display());
        Ok(Self::new(Sourced::new(source, credentials), env::api_server()?))
    }

    /// Reads a profile; `Client::from_profile` describes the file.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or parsed, if it lacks the profile, and if the profile
    /// lacks a valid key. The API server may be missing here.
    #[cfg(feature = "profile")]
    pub fn from_profile(name: impl AsRef<str>) -> Result<Self, Error> {
        profile::read(Some(name.as_ref()))
    }

    /// Reads the environment variables or, if none is set, the current profile.
    ///
    /// The key and the API server come from the same source, so that no key is sent to the server
    /// of another one.
    ///
    /// # Errors
    ///
    /// Fails as [`from_env`](Self::from_env) or [`from_profile`](Self::from_profile) does, and if
    /// `ROCKSET_APISERVER` is set without a key.
    #[cfg(feature = "profile")]
    pub fn from_env_or_profile() -> Result<Self, Error> {
        if env::sets_key() {
            return env::read();
        }
        if env::api_server()?.value.is_some() {
            return Err(Error::invalid_input(format!(
                "{server} is set, but neither {key} nor {file} is; set one of them, or unset \
                 {server} to use the current profile",
                server = env::API_SERVER,
                key = env::API_KEY,
                file = env::API_KEY_FILE
            )));
        }
        let file = profile::path()?;
        if !file.exists() {
            return Err(Error::invalid_input(format!(
                "cannot find an API key: {} is not set, and {} does not exist; set {} and {}",
                env::API_KEY,
                file.display(),
                env::API_KEY,
                env::API_SERVER
            )));
        }
        profile::read(None)
    }

    /// Returns the path of the file with the profiles, which need not exist.
    ///
    /// # Errors
    ///
    /// Fails if the home directory is unknown.
    #[cfg(feature = "profile")]
    pub fn profile_path() -> Result<std::path::PathBuf, Error> {
        profile::path()
    }

    /// Overrides the API server with a URL or a bare host from another source, for example a flag.
    ///
    /// Errors about the server name the source.
    pub fn with_api_server(mut self, source: impl Into<String>, server: impl Into<String>) -> Self {
        self.api_server = Sourced::new(source.into(), Some(server.into()));
        self
    }

    /// Returns where the key comes from, for example `ROCKSET_APIKEY`.
    pub fn api_key_source(&self) -> &str {
        &self.credentials.source
    }

    /// Returns the first characters of the key, which are not secret.
    pub fn api_key_identifier(&self) -> String {
        let header = self.credentials.value.authorization().current();
        let key = header.as_ref().and_then(redaction::key).unwrap_or_default();
        ApiKeyValue::from(key).identifier().to_owned()
    }

    /// Returns where the API server comes from or, if it is missing, where it can be set.
    pub fn api_server_source(&self) -> &str {
        &self.api_server.source
    }

    /// Returns a warning for the user if other users can access the file with the profiles.
    ///
    /// It is also logged through `tracing`.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    fn new(credentials: Sourced<Credentials>, api_server: Sourced<Option<String>>) -> Self {
        Self { credentials, api_server, warning: None }
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials.value
    }

    pub(crate) fn api_server(&self) -> &Sourced<Option<String>> {
        &self.api_server
    }
}

impl fmt::Debug for Config {
    /// Shows the sources.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("api_key_source", &self.api_key_source())
            .field("api_server_source", &self.api_server_source())
            .finish_non_exhaustive()
    }
}
