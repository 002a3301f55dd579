//! The source of the client's key, which may change, and the header value with the key. `wire`
//! stores and sends that value.

use std::error::Error as StdError;
use std::fmt;
use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderValue;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::generated::AUTHENTICATION_PREFIX;
use crate::values::ApiKeyValue;
use crate::wire::Authorization;

/// The timeout for reading a key from its source.
const TIMEOUT: Duration = Duration::from_secs(5);

type Source = Box<dyn StdError + Send + Sync>;
type KeyFuture = Pin<Box<dyn Future<Output = Result<ApiKeyValue, Source>> + Send>>;

/// A source of the client's key, which may change while the client is in use.
///
/// Set it with [`ClientBuilder::credentials`](crate::ClientBuilder::credentials). For a key that
/// does not change, [`ClientBuilder::api_key`](crate::ClientBuilder::api_key) is enough.
///
/// The client reads the key from its source before each attempt. If the source returns no valid key
/// within 5 seconds, the client keeps the last key and logs a warning through `tracing`.
///
/// After a 401, the client reloads the key and retries once if it has changed, regardless of the
/// [`RetryPolicy`](crate::RetryPolicy). So a rotation of the client's key does not fail a call.
#[derive(Clone)]
pub struct Credentials(Arc<Inner>);

struct Inner {
    /// Names the source in errors.
    name: String,
    kind: Kind,
    authorization: Arc<Authorization>,
}

enum Kind {
    Fixed,
    File(PathBuf),
    Function(Box<dyn Fn() -> KeyFuture + Send + Sync>),
}

impl Credentials {
    /// Reads the key from a file, now and before each attempt.
    ///
    /// The file contains only the key; surrounding white space is ignored. To replace it
    /// atomically, rename another file, as Kubernetes does with its secrets.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or does not contain a valid key.
    ///
    /// ```no_run
    /// use rockset_apikeys::{Client, Credentials};
    ///
    /// let credentials = Credentials::from_file("/run/secrets/rockset-apikey")?;
    /// let client = Client::builder()
    ///     .api_server("https://api.example.com")
    ///     .credentials(credentials)
    ///     .build()?;
    /// # Ok::<(), rockset_apikeys::Error>(())
    /// ```
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let name = format!("the file {}", path.display());
        let key = read(&path).map_err(|error| {
            let fix = "check its path and permissions";
            Error::invalid_input_because(
                format!("cannot read the API key from {name}; {fix}"),
                error,
            )
        })?;
        let credentials = Self::new(name, Kind::File(path));
        credentials.replace(key)?;
        Ok(credentials)
    }

    /// Calls a function for the key before each attempt.
    ///
    /// It may query a secret store; if that is slow, cache the key in the function. Until the
    /// function has returned a key, a call for which it fails is rejected before sending.
    ///
    /// ```
    /// use rockset_apikeys::{Client, Credentials};
    ///
    /// async fn query_secret_store() -> Result<String, std::io::Error> {
    ///     Ok("aB3dE5fG7h".to_owned())
    /// }
    ///
    /// let client = Client::builder()
    ///     .api_server("http://127.0.0.1:8080")
    ///     .credentials(Credentials::from_fn(query_secret_store))
    ///     .build()?;
    /// # Ok::<(), rockset_apikeys::Error>(())
    /// ```
    pub fn from_fn<F, R, K, E>(function: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<K, E>> + Send + 'static,
        K: Into<ApiKeyValue>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let function = move || -> KeyFuture {
            let key = function();
            Box::pin(async move { key.await.map(Into::into).map_err(Into::into) })
        };
        Self::new("the function in `credentials`".to_owned(), Kind::Function(Box::new(function)))
    }

    /// Creates credentials with a key that does not change.
    pub(crate) fn fixed(source: impl Into<String>, key: ApiKeyValue) -> Result<Self, Error> {
        let credentials = Self::new(source.into(), Kind::Fixed);
        credentials.replace(key)?;
        Ok(credentials)
    }

    fn new(name: String, kind: Kind) -> Self {
        Self(Arc::new(Inner { name, kind, authorization: Arc::default() }))
    }

    pub(crate) fn authorization(&self) -> &Arc<Authorization> {
        &self.0.authorization
    }

    /// Reads the key from its source, within the time that is left. Fails only if no key has been
    /// read before.
    pub(crate) async fn refresh(&self, left: impl Fn() -> Duration) -> Result<(), Error> {
        let limit = || left().min(TIMEOUT);
        let key: Result<ApiKeyValue, Source> = match &self.0.kind {
            Kind::Fixed => return Ok(()),
            Kind::File(path) => {
                let path = path.clone();
                let key = timeout(limit(), spawn_blocking(move || read(&path))).await;
                key.map_err(Source::from).and_then(|key| Ok(key??))
            }
            Kind::Function(function) => {
                timeout(limit(), function()).await.unwrap_or_else(|error| Err(error.into()))
            }
        };
        let name = &self.0.name;
        let key = key.map_err(|error| {
            Error::invalid_input_because(format!("cannot get an API key from {name}"), error)
        });
        match key.and_then(|key| self.replace(key)) {
            Err(error) if self.0.authorization.current().is_some() => {
                let cause = error.source();
                tracing::warn!(%error, cause, "cannot refresh the API key; keeping the last one");
                Ok(())
            }
            replaced => replaced,
        }
    }

    /// Returns whether the key may change.
    pub(crate) fn can_change(&self) -> bool {
        !matches!(self.0.kind, Kind::Fixed)
    }

    /// Refreshes the key. Returns whether it differs from the one that the server rejected.
    pub(crate) async fn has_new_key(&self, left: impl Fn() -> Duration) -> bool {
        self.can_change() && self.refresh(left).await.is_ok() && !self.0.authorization.is_rejected()
    }

    fn replace(&self, key: ApiKeyValue) -> Result<(), Error> {
        let value = authorization(&self.0.name, &key)?;
        self.0.authorization.replace(value);
        Ok(())
    }
}

/// Reads the key in a file.
fn read(path: &Path) -> io::Result<ApiKeyValue> {
    let content = Zeroizing::new(fs::read_to_string(path)?);
    Ok(ApiKeyValue::from(content.trim()))
}

/// Returns the header value for a key. It is marked sensitive, and its memory is wiped when the
/// last copy is dropped; the HTTP library's buffers are not.
pub(crate) fn authorization(source: &str, key: &ApiKeyValue) -> Result<HeaderValue, Error> {
    let key = key.expose_secret();
    if key.is_empty() {
        return Err(Error::invalid_input(format!(
            "cannot use the API key from {source}: it is empty; set it to the client's key"
        )));
    }
    if let Some(position) = key.chars().position(|char| !char.is_ascii_graphic()) {
        return Err(Error::invalid_input(format!(
            "cannot use the API key from {source}: character {} of {} is not printable ASCII; \
             remove spaces and line breaks",
            position + 1,
            key.chars().count()
        )));
    }
    let bytes = Zeroizing::new([AUTHENTICATION_PREFIX, key].concat().into_bytes());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(bytes)).map_err(|error| {
        Error::invalid_input_because(format!("cannot use the API key from {source}"), error)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.0.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorization_header_is_marked_sensitive() -> Result<(), Error> {
        // The mark is not observable from outside the crate.
        let key = ApiKeyValue::from("a-key-without-spaces");
        let value = authorization("the key", &key)?;
        assert!(value.is_sensitive());
        assert_eq!(value.as_bytes(), b"ApiKey a-key-without-spaces");
        Ok(())
    }
}
