//! Configuration in, a ready client out. Whatever cannot work is refused here, before a request is
//! made.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    HeaderValue, TRANSFER_ENCODING, USER_AGENT,
};
use reqwest::redirect::Policy;
use zeroize::Zeroizing;

use crate::retry::Budget;
use crate::transport::{Settings, Transport};
use crate::{ApiKeyValue, Error, Region, RetryPolicy, config, generated};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(60);
const MAX_RESPONSE_BYTES: usize = 4 << 20;
const PRODUCT: &str = concat!("rockset-apikeys/", env!("CARGO_PKG_VERSION"));

/// What a request carries anyway, and the client decides.
const OWN_HEADERS: [HeaderName; 8] = [
    ACCEPT,
    AUTHORIZATION,
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HOST,
    TRANSFER_ENCODING,
    USER_AGENT,
];

/// A client of the API-keys API. Its five operations are builders that are awaited or, with the
/// feature `blocking`, sent without async.
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
            api_server: Given::new("the API server", Region::default().url().to_owned()),
            api_key: None,
            allow_plain_http: false,
            connect_timeout: CONNECT_TIMEOUT,
            attempt_timeout: ATTEMPT_TIMEOUT,
            timeout: TIMEOUT,
            retry_policy: RetryPolicy::default(),
            max_response_bytes: MAX_RESPONSE_BYTES,
            application: None,
            default_headers: Vec::new(),
            proxy: None,
            #[cfg(any(feature = "rustls", feature = "native-tls"))]
            root_certificates: Vec::new(),
            http_client: None,
        }
    }

    /// A client configured by the environment variables that the vendor's clients use:
    /// `ROCKSET_APIKEY`, the key, and `ROCKSET_APISERVER`, a URL or a bare host such as
    /// `api.use1a1.rockset.com`, which is reached with https. Without the latter, the API server is
    /// that of the default region, [`Region::RS2`].
    ///
    /// [`ClientBuilder::from_env`] is for what else is to be set.
    ///
    /// # Errors
    ///
    /// When `ROCKSET_APIKEY` is not set, when either is empty or no Unicode, and for what
    /// [`ClientBuilder::build`] refuses. The error names the variable.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env()?.build()
    }

    /// A client configured by a profile of the vendor's command line, which keeps them in
    /// `~/.config/rockset/config.yaml`: the profile of this name, or with `None` the one that the
    /// file says is `current`.
    ///
    /// ```yaml
    /// current: dev
    /// keys:
    ///   dev:
    ///     apikey: the key that signs the requests
    ///     apiserver: api.use1a1.rockset.com
    /// ```
    ///
    /// `apiserver` is a URL or a bare host, which is reached with https; without it, the API server
    /// is that of the default region, [`Region::RS2`]. Where others than its owner may read or
    /// write the file, that is reported through `tracing`, as a warning.
    ///
    /// [`ClientBuilder::from_profile`] is for what else is to be set.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is of another form, when it has no such profile or the
    /// profile has no key, and for what [`ClientBuilder::build`] refuses. The error names the file
    /// and the place in it.
    ///
    /// ```no_run
    /// use rockset_apikeys::Client;
    ///
    /// let current = Client::from_profile(None)?;
    /// let named = Client::from_profile("production")?;
    /// # let _ = (current, named);
    /// # Ok::<(), rockset_apikeys::Error>(())
    /// ```
    #[cfg(feature = "profile")]
    pub fn from_profile<'a>(name: impl Into<Option<&'a str>>) -> Result<Self, Error> {
        ClientBuilder::from_profile(name)?.build()
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
    /// # type Outcome = Result<(), Box<dyn std::error::Error>>;
    /// # async fn example(client: rockset_apikeys::Client) -> Outcome {
    /// let answer = client.generated().list_api_keys().user("self").send().await?;
    /// println!("{:?}", answer.headers().get("date"));
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

/// A setting, and what errors call it.
pub(crate) struct Given<T> {
    name: Cow<'static, str>,
    value: T,
}

impl<T> Given<T> {
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, value: T) -> Self {
        Self { name: name.into(), value }
    }
}

/// The configuration of a [`Client`], from [`Client::builder`]. What is given last holds, and
/// nothing is checked before [`build`](Self::build).
///
/// ```
/// use std::time::Duration;
///
/// use rockset_apikeys::{Client, RetryPolicy};
///
/// let client = Client::builder()
///     .api_server("http://127.0.0.1:8080")
///     .api_key("aB3dE5fG7h")
///     .application("key-rotation/2.1")
///     .default_header("x-team", "payments")
///     .timeout(Duration::from_secs(30))
///     .retry_policy(RetryPolicy::default().attempts(6))
///     .build()?;
/// assert_eq!(client.api_server(), "http://127.0.0.1:8080");
/// # Ok::<(), rockset_apikeys::Error>(())
/// ```
#[must_use]
pub struct ClientBuilder {
    api_server: Given<String>,
    api_key: Option<Given<ApiKeyValue>>,
    allow_plain_http: bool,
    connect_timeout: Duration,
    attempt_timeout: Duration,
    timeout: Duration,
    retry_policy: RetryPolicy,
    max_response_bytes: usize,
    application: Option<String>,
    default_headers: Vec<(String, String)>,
    proxy: Option<String>,
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    root_certificates: Vec<Vec<u8>>,
    http_client: Option<reqwest::ClientBuilder>,
}

impl ClientBuilder {
    /// A configuration that begins with what the environment variables say, as
    /// [`Client::from_env`] does.
    ///
    /// # Errors
    ///
    /// When `ROCKSET_APIKEY` is not set, and when either variable is empty or no Unicode.
    ///
    /// ```no_run
    /// use rockset_apikeys::ClientBuilder;
    ///
    /// let client = ClientBuilder::from_env()?.application("key-rotation/2.1").build()?;
    /// # Ok::<(), rockset_apikeys::Error>(())
    /// ```
    pub fn from_env() -> Result<Self, Error> {
        config::from_env(Client::builder())
    }

    /// A configuration that begins with what a profile of the vendor's command line says, as
    /// [`Client::from_profile`] does.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is of another form, and when it has no such profile or the
    /// profile has no key.
    #[cfg(feature = "profile")]
    pub fn from_profile<'a>(name: impl Into<Option<&'a str>>) -> Result<Self, Error> {
        config::profile::read(Client::builder(), name.into())
    }

    /// The region whose API server is called; [`Region::RS2`] unless given. Takes the place of an
    /// API server given before.
    pub fn region(self, region: Region) -> Self {
        self.api_server(region.url())
    }

    /// The URL of the API server, with the path's prefix if it has one: `https://host/prefix`.
    /// Takes the place of a region given before.
    pub fn api_server(mut self, url: impl Into<String>) -> Self {
        self.api_server.value = url.into();
        self
    }

    /// Takes an API server that was found somewhere: a URL, or a bare host, which is reached with
    /// https.
    pub(crate) fn found_api_server(mut self, server: Given<String>) -> Self {
        self.api_server = server;
        if !self.api_server.value.contains("://") {
            self.api_server.value.insert_str(0, "https://");
        }
        self
    }

    /// The key that signs the requests.
    pub fn api_key(mut self, key: impl Into<ApiKeyValue>) -> Self {
        self.api_key = Some(Given::new("the API key", key.into()));
        self
    }

    pub(crate) fn found_api_key(mut self, key: Given<ApiKeyValue>) -> Self {
        self.api_key = Some(key);
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

    /// The application that makes the calls, for whoever reads the server's logs: a name, or a name
    /// and a version such as `key-rotation/2.1`. The `User-Agent` begins with it, and the name and
    /// version of this crate follow.
    pub fn application(mut self, name: impl Into<String>) -> Self {
        self.application = Some(name.into());
        self
    }

    /// A header that every request carries, such as one that a gateway asks for. It can be given
    /// several times, with another name each; the value is not shown by anything that prints.
    ///
    /// Headers that the client sets itself are refused by [`build`](Self::build): `Accept`,
    /// `Authorization`, `Connection`, `Content-Length`, `Content-Type`, `Host`,
    /// `Transfer-Encoding` and `User-Agent`.
    pub fn default_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.default_headers.push((name.into(), value.into()));
        self
    }

    /// The http or https URL of a proxy that all requests go through, with a user name and a
    /// password where the proxy asks for them: `http://user:password@host:3128`.
    ///
    /// Unless given, the proxies of the environment are used (`HTTPS_PROXY`, `HTTP_PROXY`,
    /// `ALL_PROXY`, and `NO_PROXY`), but for servers on this machine. With a proxy, plain `http://`
    /// has to be [allowed](Self::allow_plain_http) for these too, as the proxy reads it.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// A certificate in PEM that is trusted besides those that the system trusts, such as that of a
    /// company's own authority. Of a bundle, all are; it can be given several times.
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// The settings of the HTTP library to start from, for all that there is no method for here.
    ///
    /// What makes a call safe holds all the same, and takes the place of what these settings say of
    /// it: redirects are not followed, repeats and time limits are this builder's, the key signs,
    /// the `User-Agent` is this crate's, and what goes over the wire is not logged. Servers on this
    /// machine are reached without the proxies of these settings, but through one of
    /// [`proxy`](Self::proxy).
    ///
    /// ```
    /// use rockset_apikeys::{Client, reqwest};
    ///
    /// let http = reqwest::Client::builder().pool_max_idle_per_host(2).tcp_nodelay(true);
    /// let client = Client::builder()
    ///     .api_server("http://127.0.0.1:8080")
    ///     .api_key("...")
    ///     .http_client(http)
    ///     .build()?;
    /// # Ok::<(), rockset_apikeys::Error>(())
    /// ```
    pub fn http_client(mut self, settings: reqwest::ClientBuilder) -> Self {
        self.http_client = Some(settings);
        self
    }

    /// The client, ready for use. Nothing is sent.
    ///
    /// # Errors
    ///
    /// When there is no key or it cannot be a header's value; when the API server is no http or
    /// https URL, or has more than a host, a port and a path; when it is `http://` to another
    /// machine and that is not [allowed](Self::allow_plain_http); when a time limit is zero; when
    /// an application, a header, a proxy or a certificate cannot be used; and when TLS cannot be
    /// set up.
    pub fn build(mut self) -> Result<Client, Error> {
        let key = self.api_key.as_ref().ok_or_else(|| {
            Error::refused("there is no API key; give one with `api_key` or in ROCKSET_APIKEY")
        })?;
        let authorization = authorization(key)?;
        let server = api_server(&self.api_server)?;
        // With a proxy, what goes to this machine leaves it first.
        let local = is_loopback(&server) && self.proxy.is_none();
        if server.scheme() == "http" && !local && !self.allow_plain_http {
            return Err(Error::refused(format!(
                "{}, {server}, is plain http and not only within this machine, so that the key \
                 can be read on the way; use https, or allow it with `allow_plain_http`",
                self.api_server.name
            )));
        }
        let tls = cfg!(any(feature = "rustls", feature = "native-tls"));
        if server.scheme() == "https" && !tls && self.http_client.is_none() {
            return Err(Error::refused(format!(
                "{}, {server}, is https, and this build has no TLS; enable the feature `rustls` or \
                 `native-tls` of rockset-apikeys",
                self.api_server.name
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
        let http = self.take_http_client(local)?;
        let transport = Transport::new(Settings {
            authorization,
            attempt_timeout: self.attempt_timeout,
            timeout: self.timeout,
            max_response_bytes: self.max_response_bytes,
            retry_policy: self.retry_policy,
            budget: Budget::new(),
        });
        let server = server.as_str().trim_end_matches('/');
        let generated = generated::Client::new_with_client(server, http, transport);
        Ok(Client { generated: Arc::new(generated) })
    }

    fn take_http_client(&mut self, local: bool) -> Result<reqwest::Client, Error> {
        let mut http = self.http_client.take().unwrap_or_else(reqwest::Client::builder);
        if local {
            // A proxy is another machine: it cannot reach this one's loopback address, and is not
            // to read the key.
            http = http.no_proxy();
        }
        if let Some(url) = &self.proxy {
            http = http.proxy(proxy(url)?);
        }
        #[cfg(any(feature = "rustls", feature = "native-tls"))]
        for pem in &self.root_certificates {
            http = http.tls_certs_merge(root_certificates(pem)?);
        }
        http.default_headers(default_headers(&self.default_headers)?)
            .user_agent(user_agent(self.application.as_deref())?)
            .connect_timeout(self.connect_timeout)
            .redirect(Policy::none())
            // What may be repeated is decided here and not there.
            .retry(reqwest::retry::never())
            // It would log the header that signs.
            .connection_verbose(false)
            .build()
            .map_err(|error| Error::refused_because("the HTTP client cannot be set up", error))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The API server has not been checked yet, and may be a URL with a password in it, as a
        // proxy may have; headers may be secret.
        let server = api_server(&self.api_server).ok();
        f.debug_struct("ClientBuilder")
            .field("api_server", &server.as_ref().map(Url::as_str))
            .field("api_key", &self.api_key.as_ref().map(|key| &key.value))
            .field("allow_plain_http", &self.allow_plain_http)
            .field("connect_timeout", &self.connect_timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("timeout", &self.timeout)
            .field("retry_policy", &self.retry_policy)
            .field("max_response_bytes", &self.max_response_bytes)
            .field("application", &self.application)
            .finish_non_exhaustive()
    }
}

/// The header's value for a key, marked so that nothing prints it, in memory that is wiped when the
/// last copy of it is dropped. What the HTTP library writes to the network's buffers is out of
/// reach and is not wiped.
fn authorization(key: &Given<ApiKeyValue>) -> Result<HeaderValue, Error> {
    let (name, key) = (&key.name, key.value.expose_secret());
    if key.is_empty() {
        return Err(Error::refused(format!("{name} is empty")));
    }
    if let Some(position) = key.chars().position(|char| !char.is_ascii_graphic()) {
        return Err(Error::refused(format!(
            "{name} cannot be sent: its character {} of {} is no visible ASCII character; was \
             a space or a line break copied with it?",
            position + 1,
            key.chars().count()
        )));
    }
    let text = Zeroizing::new(["ApiKey ", key].concat().into_bytes());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
        .map_err(|error| Error::refused_because(format!("{name} cannot be sent"), error))?;
    value.set_sensitive(true);
    Ok(value)
}

fn api_server(given: &Given<String>) -> Result<Url, Error> {
    let Given { name, value } = given;
    let wanted = "give a URL such as https://api.use1a1.rockset.com";
    if !value.contains("://") {
        // Without this, `localhost:8080` would be a URL with the scheme `localhost`. The text is
        // not repeated: who mixes up the arguments gives the key here.
        return Err(Error::refused(format!("{name} cannot be used: it is no URL; {wanted}")));
    }
    let url = Url::parse(value).map_err(|error| {
        Error::refused_because(
            format!("{name} cannot be used: it is no valid URL; {wanted}"),
            error,
        )
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
    Err(Error::refused(format!("{name} cannot be used: it {reason}; {wanted}")))
}

fn user_agent(application: Option<&str>) -> Result<HeaderValue, Error> {
    let Some(name) = application else { return Ok(HeaderValue::from_static(PRODUCT)) };
    let is_visible = |char: char| char == ' ' || char.is_ascii_graphic();
    if name.trim().is_empty() || !name.chars().all(is_visible) {
        return Err(Error::refused(format!(
            "the application {name:?} cannot be used: it is empty, or has characters that are not \
             visible ASCII"
        )));
    }
    HeaderValue::from_str(&format!("{name} {PRODUCT}"))
        .map_err(|error| Error::refused_because("the application cannot be used", error))
}

fn default_headers(given: &[(String, String)]) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let refused = |reason: &str| {
            Error::refused(format!("the default header {name:?} cannot be used: {reason}"))
        };
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(refused("no header can have that name"));
        };
        if OWN_HEADERS.contains(&header) {
            return Err(refused("the client sets it itself"));
        }
        let Ok(mut value) = HeaderValue::from_str(value) else {
            return Err(refused("its value has characters that are not visible ASCII"));
        };
        value.set_sensitive(true);
        if headers.insert(header, value).is_some() {
            return Err(refused("it is given twice"));
        }
    }
    Ok(headers)
}

/// The text of the URL is in no error: it may have a password in it.
fn proxy(url: &str) -> Result<reqwest::Proxy, Error> {
    let wanted = "give a URL such as http://host:3128";
    let is_http = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    match reqwest::Proxy::all(url) {
        Ok(proxy) if is_http => Ok(proxy),
        _ => Err(Error::refused(format!(
            "the proxy cannot be used: it is no http or https URL; {wanted}"
        ))),
    }
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
fn root_certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, Error> {
    let wanted = "give a certificate in PEM, which begins with -----BEGIN CERTIFICATE-----";
    match reqwest::Certificate::from_pem_bundle(pem) {
        Ok(certificates) if certificates.is_empty() => {
            Err(Error::refused(format!("the root certificate cannot be used: {wanted}")))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(Error::refused_because(
            format!("the root certificate cannot be used: {wanted}"),
            error,
        )),
    }
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
        let key = ApiKeyValue::from("a-key-without-spaces");
        let value = authorization(&Given::new("the key", key))?;
        assert!(value.is_sensitive());
        assert_eq!(value.as_bytes(), b"ApiKey a-key-without-spaces");
        Ok(())
    }
}
