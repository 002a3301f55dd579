//! Configuration in, a ready client out. Whatever cannot work is refused here, before a request is
//! made.

use std::env::{self, VarError};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use zeroize::Zeroizing;

use crate::retry::Budget;
use crate::transport::{Settings, Transport};
use crate::{ApiKeyValue, Error, Region, RetryPolicy, generated};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(60);
const MAX_RESPONSE_BYTES: usize = 4 << 20;
const USER_AGENT: &str = concat!("rockset-apikeys/", env!("CARGO_PKG_VERSION"));

/// A client of the API-keys API. Its five operations are builders that are awaited.
///
/// Cloning it is cheap, and clones share their connections. Requests go to one API server and are
/// signed with one key; redirects are not followed, so that the key goes nowhere else.
///
/// ```no_run
/// # async fn example() -> Result<(), rockset_apikeys::Error> {
/// use rockset_apikeys::{Client, Region};
///
/// let client = Client::builder().region(Region::USE1A1).api_key("...").build()?;
/// let keys = client.list_api_keys().await?;
/// # let _ = keys;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    generated: Arc<generated::Client>,
}

impl Client {
    /// Starts the configuration of a client; only the key has to be given.
    pub fn builder() -> ClientBuilder {
        ClientBuilder {
            api_server: Region::default().url().to_owned(),
            api_key: None,
            allow_plain_http: false,
            connect_timeout: CONNECT_TIMEOUT,
            attempt_timeout: ATTEMPT_TIMEOUT,
            timeout: TIMEOUT,
            retry_policy: RetryPolicy::default(),
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }

    /// A client configured by the environment variables that the vendor's clients use:
    /// `ROCKSET_APIKEY`, the key, and `ROCKSET_APISERVER`, a URL or a bare host such as
    /// `api.use1a1.rockset.com`, which is reached with https. Without the latter, the API server is
    /// that of the default region, [`Region::RS2`].
    ///
    /// # Errors
    ///
    /// When `ROCKSET_APIKEY` is not set, when either is empty or no Unicode, and for what
    /// [`ClientBuilder::build`] refuses.
    pub fn from_env() -> Result<Self, Error> {
        let mut builder = Self::builder();
        if let Some(server) = variable("ROCKSET_APISERVER")? {
            builder = builder.api_server(if server.contains("://") {
                server
            } else {
                format!("https://{server}")
            });
        }
        let key = variable("ROCKSET_APIKEY")?;
        let key =
            key.ok_or_else(|| Error::refused("ROCKSET_APIKEY is not set; set it to an API key"))?;
        builder.api_key(key).build()
    }

    /// The URL of the API server, without a slash at the end.
    pub fn api_server(&self) -> &str {
        &self.generated.baseurl
    }

    /// The generated client, for what this one does not cover. Its requests are signed alike, go to
    /// the same server, share the connections, and are repeated and limited alike. Its answers and
    /// errors are the generator's own types; no text of them quotes a key.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), Box<dyn
    /// std::error::Error>> { let answer =
    /// client.generated().list_api_keys().user("self").send().await?; println!("{:?}",
    /// answer.headers().get("date"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn generated(&self) -> &generated::Client {
        &self.generated
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("api_server", &self.api_server()).finish_non_exhaustive()
    }
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

/// The configuration of a [`Client`], from [`Client::builder`].
#[derive(Clone)]
#[must_use]
pub struct ClientBuilder {
    api_server: String,
    api_key: Option<ApiKeyValue>,
    allow_plain_http: bool,
    connect_timeout: Duration,
    attempt_timeout: Duration,
    timeout: Duration,
    retry_policy: RetryPolicy,
    max_response_bytes: usize,
}

impl ClientBuilder {
    /// The region whose API server is called; [`Region::RS2`] unless given. Takes the place of an
    /// API server given before.
    pub fn region(self, region: Region) -> Self {
        self.api_server(region.url())
    }

    /// The URL of the API server, with the path's prefix if it has one: `https://host/prefix`.
    /// Takes the place of a region given before.
    pub fn api_server(mut self, url: impl Into<String>) -> Self {
        self.api_server = url.into();
        self
    }

    /// The key that signs the requests.
    pub fn api_key(mut self, key: impl Into<ApiKeyValue>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Allows `http://` to hosts other than this machine. Whoever is on the way can then read the
    /// key; not allowed unless given.
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.allow_plain_http = allow;
        self
    }

    /// The longest that making a connection may take; 5 seconds unless given.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The longest that one attempt may take, from connecting to the end of the answer's body; 20
    /// seconds unless given.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// The longest that a call may take, all its attempts and the waits between them included; 60
    /// seconds unless given. A call can have [its own](crate::GetApiKey::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How calls that failed on the way are repeated; the [default](RetryPolicy::default) unless
    /// given.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.retry_policy = policy;
        self
    }

    /// The largest body of an answer, in bytes, that is read; 4 MiB unless given. A larger one ends
    /// in an error, however much the server sends.
    pub fn max_response_bytes(mut self, limit: usize) -> Self {
        self.max_response_bytes = limit;
        self
    }

    /// The client, ready for use. Nothing is sent.
    ///
    /// # Errors
    ///
    /// When there is no key or it cannot be a header's value; when the API server is no http or
    /// https URL, or has more than a host, a port and a path; when it is `http://` to another
    /// machine and that is not [allowed](Self::allow_plain_http); when a time limit is zero; and
    /// when TLS cannot be set up.
    pub fn build(self) -> Result<Client, Error> {
        let key = self.api_key.ok_or_else(|| {
            Error::refused("there is no API key; give one with `api_key` or in ROCKSET_APIKEY")
        })?;
        let authorization = authorization(&key)?;
        let server = api_server(&self.api_server)?;
        let local = is_loopback(&server);
        if server.scheme() == "http" && !local && !self.allow_plain_http {
            return Err(Error::refused(format!(
                "the API server {server} is on another machine and its URL is plain http, with \
                 which the key can be read on the way; use https, or allow it with \
                 `allow_plain_http`"
            )));
        }
        if server.scheme() == "https" && !cfg!(feature = "rustls") {
            return Err(Error::refused(format!(
                "the API server {server} is https, and this build has no TLS; enable the feature \
                 `rustls` of rockset-apikeys"
            )));
        }
        let limits = [
            ("connect_timeout", self.connect_timeout),
            ("attempt_timeout", self.attempt_timeout),
            ("timeout", self.timeout),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, limit)| limit.is_zero()) {
            return Err(Error::refused(format!(
                "the time limit `{name}` is zero, with which no call can succeed"
            )));
        }
        let mut http = reqwest::Client::builder()
            .redirect(Policy::none())
            // What may be repeated is decided here and not there.
            .retry(reqwest::retry::never())
            .user_agent(USER_AGENT)
            .connect_timeout(self.connect_timeout);
        if local {
            // A proxy is another machine, and cannot reach this one's loopback address.
            http = http.no_proxy();
        }
        let http = http
            .build()
            .map_err(|error| Error::refused_because("the HTTP client cannot be set up", error))?;
        let server = server.as_str().trim_end_matches('/');
        let transport = Transport::new(Settings {
            authorization,
            attempt_timeout: self.attempt_timeout,
            timeout: self.timeout,
            max_response_bytes: self.max_response_bytes,
            retry_policy: self.retry_policy,
            budget: Budget::new(),
        });
        let generated = generated::Client::new_with_client(server, http, transport);
        Ok(Client { generated: Arc::new(generated) })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The API server has not been checked yet, and may be a URL with a password in it.
        let server = api_server(&self.api_server).ok();
        f.debug_struct("ClientBuilder")
            .field("api_server", &server.as_ref().map(Url::as_str))
            .field("api_key", &self.api_key)
            .field("allow_plain_http", &self.allow_plain_http)
            .field("connect_timeout", &self.connect_timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("timeout", &self.timeout)
            .field("retry_policy", &self.retry_policy)
            .field("max_response_bytes", &self.max_response_bytes)
            .finish()
    }
}

/// The header's value for a key, marked so that nothing prints it, in memory that is wiped when the
/// last copy of it is dropped. What the HTTP library writes to the network's buffers is out of
/// reach and is not wiped.
fn authorization(key: &ApiKeyValue) -> Result<HeaderValue, Error> {
    let key = key.expose_secret();
    if key.is_empty() {
        return Err(Error::refused("the API key is empty"));
    }
    if let Some(position) = key.chars().position(|char| !char.is_ascii_graphic()) {
        return Err(Error::refused(format!(
            "the API key cannot be sent: its character {} of {} is no visible ASCII character; was \
             a space or a line break copied with it?",
            position + 1,
            key.chars().count()
        )));
    }
    let text = Zeroizing::new(["ApiKey ", key].concat().into_bytes());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
        .map_err(|error| Error::refused_because("the API key cannot be sent", error))?;
    value.set_sensitive(true);
    Ok(value)
}

fn api_server(text: &str) -> Result<Url, Error> {
    let wanted = "give a URL such as https://api.use1a1.rockset.com";
    if !text.contains("://") {
        // Without this, `localhost:8080` would be a URL with the scheme `localhost`. The text is
        // not repeated: who mixes up the arguments gives the key here.
        return Err(Error::refused(format!("the API server is no URL; {wanted}")));
    }
    let url = Url::parse(text).map_err(|error| {
        Error::refused_because(format!("the API server is no valid URL; {wanted}"), error)
    })?;
    let reason = if !matches!(url.scheme(), "http" | "https") {
        "is neither http nor https"
    } else if !url.username().is_empty() || url.password().is_some() {
        "has a user name or password in it, which this API does not use"
    } else if url.query().is_some() || url.fragment().is_some() {
        "has more than a host, a port and a path"
    } else {
        return Ok(url);
    };
    Err(Error::refused(format!("the API server's URL {reason}; {wanted}")))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signing_header_is_marked_sensitive() -> Result<(), Error> {
        // What the HTTP library does with the mark cannot be seen from outside.
        let value = authorization(&ApiKeyValue::from("a-key-without-spaces"))?;
        assert!(value.is_sensitive());
        assert_eq!(value.as_bytes(), b"ApiKey a-key-without-spaces");
        Ok(())
    }
}
