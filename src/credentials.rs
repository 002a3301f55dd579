//! Where the client's key comes from, now and after a rotation. The header that it becomes is in
//! `authorization`.

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

/// How long a source may take to give a key.
const TIMEOUT: Duration = Duration::from_secs(5);

type Source = Box<dyn StdError + Send + Sync>;
type Asked = Pin<Box<dyn Future<Output = Result<ApiKeyValue, Source>> + Send>>;

/// A source of the client's key, which may change while the client is in use.
///
/// Set it with [`ClientBuilder::credentials`](crate::ClientBuilder::credentials). For a key that
/// does not change, [`ClientBuilder::api_key`](crate::ClientBuilder::api_key) is enough.
///
/// The source is asked before each attempt. If it gives no key within 5 seconds, or one that is not
/// valid, the client keeps the last one and logs a warning through `tracing`.
///
/// If the server rejects the key (401), the source is asked once more, and if the key is another,
/// the request is sent once more, whatever the [`RetryPolicy`](crate::RetryPolicy). So a program
/// survives the rotation of its own key without a failed call.
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
    Function(Box<dyn Fn() -> Asked + Send + Sync>),
}

impl Credentials {
    /// Reads the key from a file, which is read again before each attempt.
    ///
    /// The file contains the key alone; white space around it is ignored. Replace it in one step,
    /// by renaming another file, as Kubernetes does with its secrets.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read now, or contains no valid key.
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
            let reason = "cannot be read; check its path and permissions";
            Error::invalid_input_because(format!("{name} with the API key {reason}"), error)
        })?;
        let credentials = Self::new(name, Kind::File(path));
        credentials.replace(key)?;
        Ok(credentials)
    }

    /// Calls a function for the key before each attempt.
    ///
    /// It may ask a secret store. If that is slow, cache the key in the function. As long as it has
    /// given no key, a call for which it fails is [rejected](Error::is_invalid_input), and nothing is
    /// sent.
    ///
    /// ```
    /// use rockset_apikeys::{Client, Credentials};
    ///
    /// async fn ask_the_secret_store() -> Result<String, std::io::Error> {
    ///     Ok("aB3dE5fG7h".to_owned())
    /// }
    ///
    /// let client = Client::builder()
    ///     .api_server("http://127.0.0.1:8080")
    ///     .credentials(Credentials::from_fn(ask_the_secret_store))
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
        let ask = move || -> Asked {
            let asked = function();
            Box::pin(async move { asked.await.map(Into::into).map_err(Into::into) })
        };
        Self::new("the function in `credentials`".to_owned(), Kind::Function(Box::new(ask)))
    }

    /// A key that does not change.
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

    /// Asks the source for the key, for no longer than this. Fails only if there is none from
    /// before.
    pub(crate) async fn refresh(&self, left: impl Fn() -> Duration) -> Result<(), Error> {
        let time = || left().min(TIMEOUT);
        let asked: Result<ApiKeyValue, Source> = match &self.0.kind {
            Kind::Fixed => return Ok(()),
            Kind::File(path) => {
                let path = path.clone();
                let key = timeout(time(), spawn_blocking(move || read(&path))).await;
                key.map_err(Source::from).and_then(|key| Ok(key??))
            }
            Kind::Function(ask) => timeout(time(), ask()).await.unwrap_or_else(|it| Err(it.into())),
        };
        let name = &self.0.name;
        let asked = asked.map_err(|error| {
            Error::invalid_input_because(format!("{name} gives no API key"), error)
        });
        match asked.and_then(|key| self.replace(key)) {
            Err(error) if self.0.authorization.current().is_some() => {
                let cause = error.source();
                tracing::warn!(%error, cause, "the client keeps its last API key");
                Ok(())
            }
            replaced => replaced,
        }
    }

    /// Returns whether the key may change.
    pub(crate) fn can_change(&self) -> bool {
        !matches!(self.0.kind, Kind::Fixed)
    }

    /// Returns whether the source now gives another key than the one that the server rejected.
    pub(crate) async fn has_another(&self, left: impl Fn() -> Duration) -> bool {
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
    let text = Zeroizing::new(fs::read_to_string(path)?);
    Ok(ApiKeyValue::from(text.trim()))
}

/// Returns the header's value for a key. Nothing prints it, and its memory is wiped when the last
/// copy is dropped; what the HTTP library writes to its own buffers is out of reach.
pub(crate) fn authorization(source: &str, key: &ApiKeyValue) -> Result<HeaderValue, Error> {
    let key = key.expose_secret();
    if key.is_empty() {
        let reason = format!("the API key from {source} is empty; set it to the client's key");
        return Err(Error::invalid_input(reason));
    }
    if let Some(position) = key.chars().position(|char| !char.is_ascii_graphic()) {
        return Err(Error::invalid_input(format!(
            "the API key from {source} is not valid: character {} of {} is not printable ASCII; \
             check for a pasted space or newline",
            position + 1,
            key.chars().count()
        )));
    }
    let text = Zeroizing::new([AUTHENTICATION_PREFIX, key].concat().into_bytes());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text)).map_err(|error| {
        Error::invalid_input_because(format!("the API key from {source} is not valid"), error)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Credentials {
    /// Shows where the key comes from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.0.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorization_header_is_marked_sensitive() -> Result<(), Error> {
        // No test from outside can see what the HTTP library does with the mark.
        let key = ApiKeyValue::from("a-key-without-spaces");
        let value = authorization("the key", &key)?;
        assert!(value.is_sensitive());
        assert_eq!(value.as_bytes(), b"ApiKey a-key-without-spaces");
        Ok(())
    }
}
