//! Builds a client from its settings. `settings` validates each setting.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
// Renamed, because rustdoc prints only the last part of a path.
use reqwest::{ClientBuilder as ReqwestClientBuilder, Url, retry};

use crate::call::Defaults;
use crate::call::retry::{RetryBudget, RetryPolicy};
use crate::client::Client;
use crate::config::Config;
use crate::credentials::Credentials;
use crate::error::Error;
use crate::generated::{self, AUTHENTICATION_HEADER};
use crate::region::Region;
use crate::settings::{self, Sourced};
use crate::values::ApiKeyValue;
use crate::wire::{AttemptHeaders, HttpClients, Wire};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(60);
const MAX_RESPONSE_BYTES: usize = 4 << 20;

/// Servers and gateways close idle connections, this project's server after 10 seconds. A request
/// that is sent at that moment fails without a response, so the client closes them earlier.
const IDLE_TIMEOUT: Duration = Duration::from_secs(8);

impl Client {
    /// Starts the configuration of a client.
    ///
    /// The key and the API server are required.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Builds a client from `ROCKSET_APIKEY` and `ROCKSET_APISERVER`.
    ///
    /// The vendor's clients use the same environment variables. `ROCKSET_APIKEY` is the key.
    /// `ROCKSET_APISERVER` is a URL or a bare host, as for [`ClientBuilder::api_server`].
    ///
    /// Instead of `ROCKSET_APIKEY`, `ROCKSET_APIKEY_FILE` can name a file that contains the key,
    /// which is read again before each attempt; see [`Credentials::from_file`].
    ///
    /// To add other settings, pass [`Config::from_env`] to [`ClientBuilder::config`].
    ///
    /// # Errors
    ///
    /// Fails if a variable is unset, empty or not Unicode, if the file cannot be read, and as
    /// [`ClientBuilder::build`] does. The error names the variable or the file.
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().config(&Config::from_env()?).build()
    }

    /// Builds a client from a profile of the vendor's CLI.
    ///
    /// Profiles are read from `~/.config/rockset/config.yaml`:
    ///
    /// ```yaml
    /// current: dev
    /// keys:
    ///   dev:
    ///     apikey: the key
    ///     apiserver: 127.0.0.1:8080
    /// ```
    ///
    /// `apiserver` is a URL or a bare host, as for [`ClientBuilder::api_server`]. If other users
    /// can read or write the file, the client logs a warning through `tracing`.
    ///
    /// To add other settings, pass [`Config::from_profile`] to [`ClientBuilder::config`]. To use the
    /// profile that the file names as `current`, see [`Config::from_env_or_profile`].
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or is malformed, if the profile does not exist or lacks a
    /// key or a server, and as [`ClientBuilder::build`] does. The error names the file and the
    /// setting in it.
    ///
    /// ```no_run
    /// use rockset_apikeys::Client;
    ///
    /// let client = Client::from_profile("production")?;
    /// # Ok::<(), rockset_apikeys::Error>(())
    /// ```
    #[cfg(feature = "profile")]
    pub fn from_profile(name: impl AsRef<str>) -> Result<Self, Error> {
        Self::builder().config(&Config::from_profile(name)?).build()
    }
}

/// A builder of a [`Client`], from [`Client::builder`].
///
/// Later calls override earlier ones. [`build`](Self::build) returns the error of an invalid
/// setting.
///
/// ```
/// use std::time::Duration;
///
/// use rockset_apikeys::{Client, RetryPolicy};
///
/// let client = Client::builder()
///     .api_server("http://127.0.0.1:8080")
///     .api_key("aB3dE5fG7h")
///     .app_name("key-rotation/2.1")
///     .default_header("x-team", "payments")
///     .timeout(Duration::from_secs(30))
///     .retry_policy(RetryPolicy::default().max_attempts(6))
///     .build()?;
/// assert_eq!(client.api_server(), "http://127.0.0.1:8080");
/// # Ok::<(), rockset_apikeys::Error>(())
/// ```
///
/// # Timeouts and limits
///
/// | Limit | Default | Set with |
/// | --- | --- | --- |
/// | connecting | 5 s | [`connect_timeout`] |
/// | an attempt, until the end of the response body | 20 s | [`attempt_timeout`] |
/// | a call, with all attempts and waits | 60 s | [`timeout`], or [`Call::timeout`] for one call |
/// | response body | 4 MiB | [`max_response_bytes`] |
/// | attempts, and the waits between them | 4; up to 200, 400 and 800 ms | [`retry_policy`] |
///
/// [`connect_timeout`]: Self::connect_timeout
/// [`attempt_timeout`]: Self::attempt_timeout
/// [`timeout`]: Self::timeout
/// [`Call::timeout`]: crate::Call::timeout
/// [`max_response_bytes`]: Self::max_response_bytes
/// [`retry_policy`]: Self::retry_policy
///
/// # HTTP
///
/// [`reqwest_builder`](Self::reqwest_builder) sets proxies, certificates and all other options of
/// reqwest. Safety settings always take precedence: no redirects, the timeouts, the response size
/// limit, the retries, and the authentication header.
#[must_use]
pub struct ClientBuilder {
    // Each setter parses its value; `build` returns the error.
    api_server: Option<Sourced<Result<Url, Error>>>,
    credentials: Option<Result<Credentials, Error>>,
    allow_http: bool,
    connect_timeout: Duration,
    attempt_timeout: Duration,
    timeout: Duration,
    retry_policy: RetryPolicy,
    max_response_bytes: usize,
    user_agent: Result<HeaderValue, Error>,
    default_headers: Result<HeaderMap, Error>,
    attempt_headers: Option<AttemptHeaders>,
    reqwest_builder: Option<Box<dyn Fn() -> ReqwestClientBuilder + Send + Sync>>,
}

impl ClientBuilder {
    fn new() -> Self {
        Self {
            api_server: None,
            credentials: None,
            allow_http: false,
            connect_timeout: CONNECT_TIMEOUT,
            attempt_timeout: ATTEMPT_TIMEOUT,
            timeout: TIMEOUT,
            retry_policy: RetryPolicy::default(),
            max_response_bytes: MAX_RESPONSE_BYTES,
            user_agent: settings::user_agent(None),
            default_headers: Ok(HeaderMap::new()),
            attempt_headers: None,
            reqwest_builder: None,
        }
    }

    /// Sets the key and the API server from the environment or a profile.
    ///
    /// ```no_run
    /// use rockset_apikeys::{Client, Config};
    ///
    /// let config = Config::from_env()?;
    /// let client = Client::builder().config(&config).app_name("key-rotation/2.1").build()?;
    /// # Ok::<(), rockset_apikeys::Error>(())
    /// ```
    pub fn config(mut self, config: &Config) -> Self {
        let Sourced { source, value } = config.api_server().clone();
        self = match value {
            Some(server) => self.server(Sourced::new(source, server)),
            None => {
                let reason = format!(
                    "cannot build a client: {source} is not set; set it to a host or URL (for example, \
                     http://127.0.0.1:8080)"
                );
                self.api_server
                    .get_or_insert(Sourced::new(source, Err(Error::invalid_input(reason))));
                self
            }
        };
        self.credentials(config.credentials().clone())
    }

    /// Sets the API server to a region of the retired service.
    ///
    /// Overrides [`api_server`](Self::api_server).
    pub fn region(self, region: Region) -> Self {
        self.server(Sourced::new("`region`", region.url().to_owned()))
    }

    /// Sets the API server: a URL or a bare host.
    ///
    /// Overrides [`region`](Self::region). Either form may include a path prefix. A bare host gets
    /// `http://` if it is a loopback host, and `https://` otherwise. Loopback hosts are
    /// `localhost`, its subdomains (`api.localhost`), and loopback addresses. The names resolve to
    /// 127.0.0.1 and ::1 without DNS.
    ///
    /// | Server | URL |
    /// | --- | --- |
    /// | `localhost:8080` | `http://localhost:8080` |
    /// | `[::1]:8080` | `http://[::1]:8080` |
    /// | `api.example.com/prefix` | `https://api.example.com/prefix` |
    /// | `10.0.0.1:8080` | `https://10.0.0.1:8080` |
    ///
    /// A single word other than `localhost` may be a key, so [`build`](Self::build) rejects it. To
    /// reach a host of that name, pass a URL: `https://keys`.
    pub fn api_server(self, server: impl Into<String>) -> Self {
        self.server(Sourced::new("`api_server`", server.into()))
    }

    fn server(mut self, server: Sourced<String>) -> Self {
        let url = settings::api_server(&server);
        self.api_server = Some(Sourced::new(server.source, url));
        self
    }

    /// Sets the client's key.
    ///
    /// Overrides [`credentials`](Self::credentials).
    pub fn api_key(mut self, key: impl Into<ApiKeyValue>) -> Self {
        self.credentials = Some(Credentials::fixed("`api_key`", key.into()));
        self
    }

    /// Sets a source of a key that may change.
    ///
    /// Overrides [`api_key`](Self::api_key).
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(Ok(credentials));
        self
    }

    /// Sets whether to permit `http://` beyond loopback hosts; defaults to false.
    ///
    /// Anyone on the network path can then read the key.
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// Sets the connect timeout; defaults to 5 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the attempt timeout; defaults to 20 seconds.
    ///
    /// It includes connecting and reading the response body.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets the call timeout; defaults to 60 seconds.
    ///
    /// It includes all attempts and waits. [`Call::timeout`](crate::Call::timeout) overrides it for
    /// one call.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the retry policy; see its [default](RetryPolicy::default).
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.retry_policy = policy;
        self
    }

    /// Sets the maximum size of response bodies in bytes; defaults to 4 MiB.
    ///
    /// Larger responses are errors.
    pub fn max_response_bytes(mut self, limit: usize) -> Self {
        self.max_response_bytes = limit;
        self
    }

    /// Sets the application's name for the `User-Agent` header.
    ///
    /// Pass a name, or a name and version (`key-rotation/2.1`). The header also contains the name
    /// and version of this crate.
    pub fn app_name(mut self, name: impl AsRef<str>) -> Self {
        self.user_agent = settings::user_agent(Some(name.as_ref()));
        self
    }

    /// Adds a header to every request (for a gateway, for example).
    ///
    /// Its value is marked sensitive and never printed.
    ///
    /// [`build`](Self::build) rejects the headers that the client sets itself: `Accept`,
    /// `Authorization`, `Connection`, `Content-Length`, `Content-Type`, `Host`,
    /// `Transfer-Encoding` and `User-Agent`.
    pub fn default_header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let header = settings::header("`default_header`", name.as_ref(), value.as_ref());
        self.default_headers = self.default_headers.and_then(|mut headers| {
            let (name, value) = header.map_err(Error::invalid_input)?;
            headers.insert(name, value);
            Ok(headers)
        });
        self
    }

    /// Sets a function that adds headers to each attempt (`traceparent`, for example).
    ///
    /// It is called with an empty map, in the span of the call. Headers that the client sets itself
    /// are ignored; see [`default_header`](Self::default_header).
    ///
    /// ```
    /// use rockset_apikeys::Client;
    /// use rockset_apikeys::reqwest::header::HeaderValue;
    ///
    /// let client = Client::builder()
    ///     .api_server("http://127.0.0.1:8080")
    ///     .api_key("aB3dE5fG7h")
    ///     .attempt_headers(|headers| {
    ///         headers.insert("x-gateway-token", HeaderValue::from_static("of-this-minute"));
    ///     })
    ///     .build()?;
    /// # Ok::<(), rockset_apikeys::Error>(())
    /// ```
    pub fn attempt_headers(
        mut self,
        headers: impl Fn(&mut HeaderMap) + Send + Sync + 'static,
    ) -> Self {
        self.attempt_headers = Some(Arc::new(move |added| {
            headers(added);
            settings::restrict(added);
        }));
        self
    }

    /// Sets a function that returns the base settings of the HTTP client.
    ///
    /// It can use all options of [`reqwest`](crate::reqwest), for example proxies and certificates.
    /// The client calls it once, and again for each additional tokio runtime, because connections
    /// do not outlive their runtime.
    ///
    /// By default the client uses the proxies in `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
    /// `NO_PROXY`, and keeps idle connections for 8 seconds.
    ///
    /// Safety settings always take precedence: redirects are not followed, retries, timeouts, key
    /// and `User-Agent` are this builder's, traffic is not logged, and loopback servers are called
    /// without a proxy.
    ///
    /// ```
    /// use rockset_apikeys::{Client, reqwest};
    ///
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let proxy = reqwest::Proxy::all("http://user:password@proxy.example.com:3128")?;
    /// let client = Client::builder()
    ///     .api_server("https://keys.example.com")
    ///     .api_key("...")
    ///     .reqwest_builder(move || reqwest::Client::builder().proxy(proxy.clone()))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// To trust a company's certificate authority, use `reqwest::ClientBuilder::tls_certs_merge` in
    /// the same way.
    pub fn reqwest_builder(
        mut self,
        settings: impl Fn() -> ReqwestClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.reqwest_builder = Some(Box::new(settings));
        self
    }

    /// Builds the client without sending a request.
    ///
    /// # Errors
    ///
    /// Fails if the key or the API server is missing; if a setting is invalid; if the API server's
    /// URL is `http://` beyond loopback and [`allow_http`](Self::allow_http) does not permit it; if
    /// a timeout is zero; and if TLS cannot be set up.
    pub fn build(self) -> Result<Client, Error> {
        let credentials = self.credentials.ok_or_else(|| {
            Error::invalid_input(
                "cannot build a client: no API key is set; call `api_key`, or use \
                 `Client::from_env()`, which reads ROCKSET_APIKEY and ROCKSET_APISERVER",
            )
        })??;
        let Sourced { source, value: server } = self.api_server.ok_or_else(|| {
            Error::invalid_input(
                "cannot build a client: no API server is set; call `api_server` with a host or URL \
                 (for example, http://127.0.0.1:8080), or use `Client::from_env()`, which reads \
                 ROCKSET_APISERVER",
            )
        })?;
        let server = server?;
        let is_local = settings::is_loopback(&server);
        let has_own_tls = self.reqwest_builder.is_some();
        settings::check_transport(&server, &source, is_local, self.allow_http, has_own_tls)?;
        let timeouts = [
            ("connect_timeout", self.connect_timeout),
            ("attempt_timeout", self.attempt_timeout),
            ("timeout", self.timeout),
        ];
        if let Some((name, _)) = timeouts.iter().find(|(_, timeout)| timeout.is_zero()) {
            return Err(Error::invalid_input(format!(
                "cannot build a client: `{name}` is zero; pass a longer duration"
            )));
        }

        #[cfg(all(
            feature = "rustls-no-provider",
            not(any(feature = "rustls", feature = "native-tls"))
        ))]
        settings::check_crypto_provider()?;
        let base = self.reqwest_builder.unwrap_or_else(|| {
            Box::new(|| reqwest::Client::builder().pool_idle_timeout(IDLE_TIMEOUT))
        });
        // A proxy cannot reach this host's loopback address.
        let loopback = is_local.then(|| server.domain().map(str::to_owned));
        #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
        let is_plain = is_local && server.scheme() == "http";
        let (default_headers, user_agent) = (self.default_headers?, self.user_agent?);
        let (connect_timeout, attempt_timeout) = (self.connect_timeout, self.attempt_timeout);
        let create = move || {
            let mut http = base();
            if let Some(name) = &loopback {
                http = http.no_proxy();
                if let Some(name) = name {
                    http = http.resolve_to_addrs(name, &settings::LOOPBACK);
                }
            }
            // Reading the platform's certificates takes milliseconds.
            #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
            if is_plain {
                http = http.tls_certs_only([]);
            }
            http.default_headers(default_headers.clone())
                .user_agent(user_agent.clone())
                .connect_timeout(connect_timeout)
                .timeout(attempt_timeout)
                .redirect(Policy::none())
                // Without a limit of 0, `never` keeps a copy of every request.
                .retry(retry::never().max_retries_per_request(0))
                // It would log the authentication header.
                .connection_verbose(false)
                .build()
        };
        let (http, first) = HttpClients::new(Box::new(create)).map_err(|error| {
            Error::invalid_input_because("cannot set up the HTTP client", error)
        })?;

        let path = server.path().trim_end_matches('/').to_owned();
        let mut roomy_url = server.clone();
        roomy_url.set_path(&"-".repeat(100));
        let wire = Wire {
            http: Arc::new(http),
            path,
            roomy_url,
            header: AUTHENTICATION_HEADER,
            authorization: Arc::clone(credentials.authorization()),
            attempt_headers: self.attempt_headers,
            headers: HeaderMap::new(),
            max_response_bytes: self.max_response_bytes,
        };
        let base_url = server.as_str().trim_end_matches('/');
        let generated = generated::Client::new_with_client(base_url, first, wire);
        let defaults = Defaults {
            server,
            key_can_change: credentials.can_change(),
            credentials,
            timeout: self.timeout,
            retry_policy: self.retry_policy,
            retry_budget: RetryBudget::default(),
        };
        Ok(Client::new(generated, defaults))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers, the proxy and base settings may contain secrets.
        f.debug_struct("ClientBuilder")
            .field("api_server", &self.api_server)
            .field("credentials", &self.credentials)
            .field("allow_http", &self.allow_http)
            .field("connect_timeout", &self.connect_timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("timeout", &self.timeout)
            .field("retry_policy", &self.retry_policy)
            .field("max_response_bytes", &self.max_response_bytes)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}
