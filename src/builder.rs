//! Builds a client from its settings. The check of each setting is in `settings`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
// Renamed, because the reference shows only the last part of a path.
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
/// that is sent at that moment fails without a response, so a connection is given up before.
const IDLE_TIMEOUT: Duration = Duration::from_secs(8);

impl Client {
    /// Starts the configuration of a client.
    ///
    /// The key and the API server are required.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Configures a client from `ROCKSET_APIKEY` and `ROCKSET_APISERVER`.
    ///
    /// They are the environment variables of the vendor's clients. `ROCKSET_APIKEY` is the key.
    /// `ROCKSET_APISERVER` is a URL or a bare host, as for [`ClientBuilder::api_server`].
    ///
    /// In place of `ROCKSET_APIKEY`, `ROCKSET_APIKEY_FILE` can name a file with the key, which is
    /// read again before each attempt; see [`Credentials::from_file`].
    ///
    /// To add other settings, pass [`Config::from_env`] to [`ClientBuilder::config`].
    ///
    /// # Errors
    ///
    /// Fails if a variable is not set, empty or not Unicode, if the file cannot be read, and as
    /// [`ClientBuilder::build`] does. The error names the variable or the file.
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().config(&Config::from_env()?).build()
    }

    /// Configures a client from a profile of the vendor's command line.
    ///
    /// Profiles are in `~/.config/rockset/config.yaml`:
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
    /// Fails if the file cannot be read or has another form, if it lacks the profile, if the
    /// profile lacks a key or a server, and as [`ClientBuilder::build`] does. The error names the
    /// file and the place in it.
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

/// The configuration of a [`Client`], from [`Client::builder`].
///
/// Later calls override earlier ones. Invalid settings are errors of [`build`](Self::build).
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
/// | an attempt, until the end of the response's body | 20 s | [`attempt_timeout`] |
/// | a call, with all attempts and waits | 60 s | [`timeout`], or [`Call::timeout`] for one call |
/// | the body of a response | 4 MiB | [`max_response_bytes`] |
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
/// [`reqwest_builder`](Self::reqwest_builder) sets proxies, certificates and everything else that
/// reqwest can do. Safety settings always win: no redirects, the timeouts, the body limit, the
/// retries, and the header that authenticates.
#[must_use]
pub struct ClientBuilder {
    // Each setter parses its setting; `build` returns the error.
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
                    "there is no API server: {source} is not set; set it to a host or URL such as \
                     http://127.0.0.1:8080"
                );
                self.api_server
                    .get_or_insert(Sourced::new(source, Err(Error::invalid_input(reason))));
                self
            }
        };
        self.credentials(config.credentials().clone())
    }

    /// Sets the region whose API server is called. The service is retired.
    ///
    /// Overrides [`api_server`](Self::api_server).
    pub fn region(self, region: Region) -> Self {
        self.server(Sourced::new("`region`", region.url().to_owned()))
    }

    /// Sets the API server: a URL or a bare host. Overrides [`region`](Self::region).
    ///
    /// Either may have a path prefix. A bare host gets `http://` if it is this machine, and
    /// `https://` otherwise. This machine is `localhost`, a name below it such as `api.localhost`,
    /// or a loopback address. The names resolve to 127.0.0.1 and ::1, whatever DNS says.
    ///
    /// | Server | URL |
    /// | --- | --- |
    /// | `localhost:8080` | `http://localhost:8080` |
    /// | `[::1]:8080` | `http://[::1]:8080` |
    /// | `api.example.com/prefix` | `https://api.example.com/prefix` |
    /// | `10.0.0.1:8080` | `https://10.0.0.1:8080` |
    ///
    /// A single word other than `localhost` may be a key, so [`build`](Self::build) rejects it. For
    /// a host of that name, give its URL: `https://keys`.
    pub fn api_server(self, server: impl Into<String>) -> Self {
        self.server(Sourced::new("`api_server`", server.into()))
    }

    fn server(mut self, server: Sourced<String>) -> Self {
        let url = settings::api_server(&server);
        self.api_server = Some(Sourced::new(server.source, url));
        self
    }

    /// Sets the key that authenticates the requests. Overrides [`credentials`](Self::credentials).
    pub fn api_key(mut self, key: impl Into<ApiKeyValue>) -> Self {
        self.credentials = Some(Credentials::fixed("`api_key`", key.into()));
        self
    }

    /// Sets the source of the key, which may change. Overrides [`api_key`](Self::api_key).
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(Ok(credentials));
        self
    }

    /// Permits `http://` to hosts other than this machine; defaults to false.
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

    /// Sets the timeout of an attempt; defaults to 20 seconds.
    ///
    /// An attempt lasts from connecting to the end of the response's body.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets the timeout of a call, with all attempts and waits; defaults to 60 seconds.
    ///
    /// [`Call::timeout`](crate::Call::timeout) overrides it for one call.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets when failed requests are retried; see the [default](RetryPolicy::default).
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.retry_policy = policy;
        self
    }

    /// Sets the maximum size of a response's body in bytes; defaults to 4 MiB.
    ///
    /// Larger responses fail.
    pub fn max_response_bytes(mut self, limit: usize) -> Self {
        self.max_response_bytes = limit;
        self
    }

    /// Sets the name of the application, for the server's logs.
    ///
    /// It is a name, or a name and a version such as `key-rotation/2.1`. The `User-Agent` is this
    /// and the name and version of this crate.
    pub fn app_name(mut self, name: impl AsRef<str>) -> Self {
        self.user_agent = settings::user_agent(Some(name.as_ref()));
        self
    }

    /// Adds a header to every request, such as one for a gateway.
    ///
    /// Nothing prints its value.
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

    /// Sets a function that adds headers to each attempt, such as `traceparent`.
    ///
    /// It gets an empty map and is called within the span of the call. It sees neither the key nor
    /// the body. Headers that the client sets itself are left out; see
    /// [`default_header`](Self::default_header).
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

    /// Sets a function that returns base settings for the HTTP client, such as proxies.
    ///
    /// It can use all options of [`reqwest`](crate::reqwest). The client calls it once, and again if
    /// it is used in more than one tokio runtime, because connections do not outlive their runtime.
    ///
    /// By default the client uses the proxies in `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
    /// `NO_PROXY`, and keeps idle connections for 8 seconds.
    ///
    /// Safety settings always win: redirects are not followed, retries and timeouts are those of
    /// this builder, requests have its key and `User-Agent`, traffic is not logged, and servers on
    /// localhost are called without a proxy.
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
    /// Add the certificate of a company's own authority in the same way, with
    /// `reqwest::ClientBuilder::tls_certs_merge`.
    pub fn reqwest_builder(
        mut self,
        settings: impl Fn() -> ReqwestClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.reqwest_builder = Some(Box::new(settings));
        self
    }

    /// Builds the client. Nothing is sent.
    ///
    /// # Errors
    ///
    /// Fails if there is no key or no API server; if a setting is not valid; if the API server is
    /// `http://` on another machine and [`allow_http`](Self::allow_http) does not permit it; if a
    /// timeout is zero; and if TLS cannot be set up.
    pub fn build(self) -> Result<Client, Error> {
        let credentials = self.credentials.ok_or_else(|| {
            Error::invalid_input(
                "there is no API key; call `api_key`, or use `Client::from_env()`, which reads \
                 ROCKSET_APIKEY and ROCKSET_APISERVER",
            )
        })??;
        let Sourced { source, value: server } = self.api_server.ok_or_else(|| {
            Error::invalid_input(
                "there is no API server; call `api_server` with a host or URL such as \
                 http://127.0.0.1:8080, or use `Client::from_env()`, which reads ROCKSET_APISERVER",
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
                "`{name}` is zero, so no call can succeed; give it a duration such as \
                 `Duration::from_secs(5)`"
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
        // No proxy can reach this loopback address.
        let loopback = is_local.then(|| server.domain().map(str::to_owned));
        #[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
        let is_plain = is_local && server.scheme() == "http";
        let (default_headers, user_agent) = (self.default_headers?, self.user_agent?);
        let (connect_timeout, attempt_timeout) = (self.connect_timeout, self.attempt_timeout);
        let make = move || {
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
                // It would log the header that authenticates.
                .connection_verbose(false)
                .build()
        };
        let (http, first) = HttpClients::new(Box::new(make)).map_err(|error| {
            Error::invalid_input_because("cannot set up the HTTP client", error)
        })?;

        let path = server.path().trim_end_matches('/').to_owned();
        let mut roomy_url = server.clone();
        roomy_url.set_path(&"-".repeat(200));
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
        // Headers, the proxy and base settings may hold secrets.
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
