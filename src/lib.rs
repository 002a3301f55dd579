//! A typed client for Rockset's API-keys API: it creates, lists, gets, updates and deletes API
//! keys.
//!
//! progenitor generates the client from the API's OpenAPI contract, and a small facade makes it
//! safe and pleasant to use. Rockset retired its service on 30 September 2024. Programs written for
//! the API run against `rockset-apikeys-server`, a server of the same contract in the same
//! repository.
//!
//! # Install
//!
//! The crate is not on crates.io. Depend on a clone, or on the git repository with `--git URL` in
//! place of `--path`:
//!
//! ```sh
//! cargo add rockset-apikeys --path ../rockset-apikeys
//! cargo add tokio --features macros,rt-multi-thread
//! ```
//!
//! # A first program
//!
//! `cargo run -p rockset-apikeys-server -- serve`, in the folder of the clone, starts a server and
//! prints `ROCKSET_APISERVER` and `ROCKSET_APIKEY`, which this program reads:
//!
//! ```no_run
//! use rockset_apikeys::{Client, Error};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let client = Client::from_env()?;
//!     let created = client.create_api_key("my-app").role("read-only").await?;
//!     println!("{}: {}", created.name, created.key.expose_secret());
//!     for key in client.list_api_keys().await? {
//!         println!("{}: {}…", key.name, key.key.identifier());
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Where to look
//!
//! | For | See |
//! | --- | --- |
//! | the five operations, each with an example | [`Client`] |
//! | the server, the key, timeouts and limits, HTTP | [`ClientBuilder`] |
//! | settings from the environment | [`Client::from_env`] |
//! | settings from the vendor's profiles | `Client::from_profile`, with the feature `profile` |
//! | a key that may change while the program runs | [`Credentials`] |
//! | settings and the report of one call | [`Call`], [`CallReport`] |
//! | what can go wrong, and what to do then | [`Error`], [`ErrorKind`] |
//! | which requests are retried, and when | [`RetryPolicy`], [`RetryBudget`] |
//! | how keys stay secret | [`ApiKeyValue`] |
//! | the fields of keys and errors | [`types`] |
//! | calls without async, and their tests | `Call::send_blocking`, with the feature `blocking` |
//! | tests of a program | [below](#tests) |
//! | telemetry | [below](#telemetry) |
//! | an operation without a method | [`Client::run`] |
//! | all that is generated from the contract | [`generated`] |
//!
//! # Tests
//!
//! Start the server in the process of the test. Requests and errors are real, and it can inject
//! faults. Without default features it is a library only:
//!
//! ```sh
//! cargo add --dev rockset-apikeys-server --path ../rockset-apikeys/crates/server --no-default-features
//! ```
//!
//! ```
//! use rockset_apikeys_server::{Fault, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start().await?;
//! let client = server.client();
//!
//! server.inject(Fault::status(503), 2);
//! let created = client.create_api_key("my-app").await.unwrap_err();
//! assert!(created.is_ambiguous() && created.attempts() == 1);
//! let keys = client.list_api_keys().await?;
//! assert_eq!(keys.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! To script the responses yourself, enable `httpmock`: the module `mock` has typed mocks, one
//! method per operation.
//!
//! # Telemetry
//!
//! Each call is a [tracing](https://docs.rs/tracing) span with OpenTelemetry's attributes of an
//! HTTP client:
//!
//! - of the request: `http.request.method`, `url.template`, `server.address`, `server.port`;
//! - of the outcome: `http.response.status_code` of the last response, `http.request.resend_count`
//!   if the request was retried, and `error.type` if the call failed: the status, or `connect`,
//!   `timeout`, `connection`, `body`, `rejected`, or `cancelled` if the call was dropped;
//! - of this API: `rockset.operation`, such as `get_api_key`, and `rockset.trace_id`, which finds
//!   the request in the server's log;
//! - for [tracing-opentelemetry](https://docs.rs/tracing-opentelemetry): `otel.name`, `otel.kind`
//!   and `otel.status_code`.
//!
//! Each retry is an event in the span, a warning with `operation`, `attempt`, `outcome` and
//! `wait_ms`. Spans and events contain no keys, headers or bodies, and no names of keys or users.
//! Without a subscriber, `tracing` skips all of this.
//!
//! # Features
//!
//! - `codegen` (default): generates the client from the contract while building.
//! - `rustls` (default): TLS with rustls. Its cryptography is aws-lc-rs, unless the program
//!   installs another `CryptoProvider`.
//! - `rustls-no-provider`: the same without aws-lc-rs, which takes a third of the build. The
//!   program installs a `CryptoProvider`, such as that of ring, before it builds a client, this
//!   one or another of reqwest.
//! - `native-tls`: TLS of the system; on Linux that is OpenSSL, whose headers the build then needs.
//!   It wins if both are on. Without either, only `http://` servers can be reached.
//! - `blocking`: calls without async, `send_blocking` and `run_blocking`.
//! - `httpmock`: typed mocks of a server, the module `mock`.
//! - `profile`: settings from the profiles of the vendor's command line, `Client::from_profile` and
//!   `Client::from_current_profile`.
//! - `schemars`: the contract's types implement `schemars::JsonSchema`.
//!
//! `codegen` is on by default so that a change of the contract changes the client, without a step
//! to remember. A cold build takes 109 s of CPU time with it, and 79 s without it. Without it, the
//! build takes a checked-in copy of the same code, compiles no generator, and has the same API:
//!
//! ```toml
//! [dependencies.rockset-apikeys]
//! path = "../rockset-apikeys"
//! default-features = false
//! features = ["rustls"]
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

// A call goes down: `operations` makes a generated request, `call` sends it until one attempt
// settles it (`retry` decides, `span` reports, `error` is how it ends), `generated` builds the HTTP
// request, and `hook` sends it. `docs/architecture.md` has the drawing.
//
// A client comes from `builder`, which checks each setting with `settings`; `env` and `profile`
// read settings from outside. `operation`, `path`, `redaction`, `region`, `retry` and `values` are
// what the others build on.
mod api_key;
mod authorization;
#[cfg(feature = "blocking")]
mod blocking;
mod builder;
mod call;
mod client;
mod connect;
mod credentials;
mod env;
mod error;
mod escape;
pub mod generated;
mod hook;
#[cfg(feature = "httpmock")]
mod mock_server;
mod operation;
mod operations;
mod path;
mod pool;
#[cfg(feature = "profile")]
mod profile;
mod redaction;
mod region;
mod report;
mod retry;
#[cfg(feature = "schemars")]
mod schemas;
mod settings;
mod span;
mod values;

/// Typed mocks of an API server, for tests; generated from the contract.
///
/// [`MockServerExt`](mock::MockServerExt) gives [`MockServer`](mock::MockServer), a server of
/// [httpmock](https://docs.rs/httpmock)'s mocks, one method per operation. Its first argument,
/// `when`, has one method per parameter and matches any request unless narrowed; its second,
/// `then`, one per documented status. Names and users match as the client sends them, whatever
/// characters they have. A request that no mock matches gets an error that says so.
///
/// ```
/// use rockset_apikeys::mock::{MockServer, MockServerExt};
/// use rockset_apikeys::types::GetApiKeyResponse;
/// use rockset_apikeys::{ApiKey, Client, KeyState};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut key = ApiKey::new("my key", "aB3dE5");
/// key.state = Some(KeyState::Suspended);
///
/// let server = MockServer::start_async().await;
/// let mock = server.get_api_key(|when, then| {
///     when.user("admin@me.com").name("my key");
///     then.ok(&GetApiKeyResponse { data: key });
/// });
///
/// let client = Client::builder().api_server(server.base_url()).api_key("any").build()?;
/// let key = client.get_api_key("my key").user("admin@me.com").await?;
/// assert_eq!(key.state, Some(KeyState::Suspended));
/// mock.assert_calls(1);
/// # Ok(())
/// # }
/// ```
///
/// # Error responses
///
/// An error response takes the contract's error model. [`RetryPolicy::never`] makes one attempt, so
/// that a test of a 503 has no waits:
///
/// ```
/// use rockset_apikeys::mock::{MockServer, MockServerExt};
/// use rockset_apikeys::types::ErrorModel;
/// use rockset_apikeys::{Client, ErrorType, RetryPolicy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = MockServer::start_async().await;
/// let (message, type_) = (Some("no such key".to_owned()), Some(ErrorType::NotFound));
/// server.get_api_key(|when, then| {
///     when.name("lost");
///     then.not_found(&ErrorModel { message, type_, ..ErrorModel::default() });
/// });
/// server.list_api_keys(|_, then| {
///     then.service_unavailable(&ErrorModel::default());
/// });
///
/// let builder = Client::builder().api_server(server.base_url()).api_key("any");
/// let client = builder.retry_policy(RetryPolicy::never()).build()?;
///
/// let error = client.get_api_key("lost").await.unwrap_err();
/// assert!(error.is_not_found() && !error.is_retryable());
/// let text = "get_api_key \"lost\": 404 Not Found: no such key (NOTFOUND)";
/// assert_eq!(error.to_string(), text);
///
/// let error = client.list_api_keys().await.unwrap_err();
/// assert!(error.is_server_error() && error.is_retryable());
/// assert_eq!(error.to_string(), "list_api_keys: 503 Service Unavailable");
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "httpmock")]
#[allow(missing_docs, rustdoc::redundant_explicit_links, clippy::all)]
pub mod mock {
    include!(concat!(env!("OUT_DIR"), "/mock.rs"));

    use crate::generated::ErrorBody;
    pub use crate::mock_server::MockServer;

    /// Makes the error of a call, to test what a program does with it.
    ///
    /// It is the error of one attempt that got this status and message.
    ///
    /// ```
    /// use rockset_apikeys::generated::operations;
    /// use rockset_apikeys::{StatusCode, mock};
    ///
    /// let error = mock::error(&operations::GET_API_KEY, StatusCode::NOT_FOUND, "no such key");
    /// assert!(error.is_not_found() && !error.is_ambiguous());
    /// assert_eq!(error.to_string(), "get_api_key: 404 Not Found: no such key");
    /// ```
    pub fn error(
        operation: &'static crate::Operation,
        status: crate::StatusCode,
        message: impl Into<String>,
    ) -> crate::Error {
        let message = Some(message.into());
        crate::Error::response(operation, status, ErrorBody { message, ..ErrorBody::default() })
    }
}

pub use builder::ClientBuilder;
pub use client::Client;
pub use credentials::Credentials;
pub use error::{Error, ErrorKind};
#[doc(inline)]
pub use generated::enums::{ErrorType, KeyState};
#[doc(inline)]
pub use generated::types::{self, ApiKey};
/// The date and time library, for [`Timestamp`].
pub use jiff;
pub use operation::{Operation, OperationKind};
pub use operations::{
    Call, CreateApiKey, DeleteApiKey, GetApiKey, ListApiKeys, UpdateApiKey, WithReport,
};
pub use region::{ParseRegionError, Region};
pub use report::CallReport;
/// The HTTP library, for [`ClientBuilder::reqwest_builder`].
pub use reqwest;
pub use reqwest::StatusCode;
pub use retry::{RetryBudget, RetryPolicy};
pub use values::{ApiKeyValue, ExposeSecrets, Timestamp};
