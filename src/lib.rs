//! A typed client for Rockset's API-keys API.
//!
//! It creates, lists, gets, updates and deletes API keys.
//! progenitor generates the client from the API's OpenAPI contract, and a small facade makes it
//! safe and pleasant to use. Rockset retired its service on 30 September 2024. Programs written for
//! the API run against `rockset-apikeys-server`, which implements the same contract and lives in
//! the same repository.
//!
//! # Install
//!
//! The crate is not on crates.io. Add it from a local clone, or use `--git URL` instead of
//! `--path`:
//!
//! ```sh
//! cargo add rockset-apikeys --path ../rockset-apikeys
//! cargo add tokio --features macros,rt-multi-thread
//! ```
//!
//! # A first program
//!
//! In the clone, `cargo run -p rockset-apikeys-server -- serve` starts a server and prints
//! `ROCKSET_APISERVER` and `ROCKSET_APIKEY`, which this program reads:
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
//! | Topic | See |
//! | --- | --- |
//! | the five operations, each with an example | [`Client`] |
//! | server, key, timeouts, limits and HTTP settings | [`ClientBuilder`] |
//! | settings from the environment | [`Client::from_env`] |
//! | settings from the vendor's profiles | `Client::from_profile`, with the feature `profile` |
//! | settings from flags, and the source of each setting | [`Config`] |
//! | a key that may change while the program runs | [`Credentials`] |
//! | settings and report of one call | [`Call`], [`CallReport`] |
//! | errors and how to handle them | [`Error`], [`ErrorKind`] |
//! | which requests are retried, and when | [`RetryPolicy`] |
//! | how keys stay secret | [`ApiKeyValue`] |
//! | the fields of keys and errors | [`types`] |
//! | calls without async, and their tests | `Call::send_blocking`, with the feature `blocking` |
//! | testing your program | [below](#tests) |
//! | telemetry | [below](#telemetry) |
//! | an operation without a method | [`Client::run`] |
//! | the generated code | [`generated`] |
//!
//! # Tests
//!
//! Start the server in the test process. Requests and errors are real, and the server can inject
//! faults. Without default features, its crate is only a library:
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
//! To script the responses yourself, enable `httpmock`: the module `mock` provides typed mocks,
//! with one method per operation.
//!
//! # Telemetry
//!
//! Each call is a [tracing](https://docs.rs/tracing) span with OpenTelemetry's HTTP client
//! attributes:
//!
//! - request: `http.request.method`, `url.template`, `server.address`, `server.port`;
//! - outcome: `http.response.status_code` of the last response, `http.request.resend_count` if the
//!   request was retried, and `error.type` if the call failed: the status, or `connect`, `timeout`,
//!   `connection`, `decode`, `invalid_input`, or `cancelled` if the call was dropped;
//! - this API: `rockset.operation` (for example, `get_api_key`), and `rockset.trace_id`, which
//!   identifies the request in the server log;
//! - for [tracing-opentelemetry](https://docs.rs/tracing-opentelemetry): `otel.name`, `otel.kind`
//!   and `otel.status_code`.
//!
//! Each retry is an event in the span: a warning with `operation`, `attempt`, `outcome` and
//! `wait_ms`. Spans and events contain no keys, headers or bodies, and no names of keys or users.
//! Without a subscriber, `tracing` skips all of this.
//!
//! # Features
//!
//! - `codegen` (default): generates the client from the contract while building.
//! - `rustls` (default): TLS with rustls. Its cryptography is aws-lc-rs, unless the program
//!   installs another `CryptoProvider`.
//! - `rustls-no-provider`: the same without aws-lc-rs, which takes a third of the build time. The
//!   program must install a `CryptoProvider` (ring's, for example) before it builds this client or
//!   any reqwest client.
//! - `native-tls`: the platform's TLS. On Linux this is OpenSSL, and the build needs its headers.
//!   If both are enabled, `native-tls` is used. Without either, the client reaches only `http://`
//!   servers.
//! - `blocking`: calls without async, `Call::send_blocking`.
//! - `httpmock`: typed mocks of a server, the module `mock`.
//! - `profile`: settings from the profiles of the vendor's CLI, `Client::from_profile`.
//! - `schemars`: the contract's types implement `schemars::JsonSchema`.
//!
//! `codegen` is on by default, so a change of the contract changes the client without a separate
//! step. A cold build takes 109 s of CPU time with it, and 79 s without it. Without it, the build
//! uses a checked-in copy of the same code, compiles no generator, and has the same API:
//!
//! ```toml
//! [dependencies.rockset-apikeys]
//! path = "../rockset-apikeys"
//! default-features = false
//! features = ["rustls"]
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

// `operations` creates a generated request, `call` runs its attempts, `generated` builds the HTTP
// request, and `wire` sends it. `docs/architecture.md` draws this and describes each file.
#[cfg(feature = "blocking")]
mod blocking;
mod builder;
mod call;
mod client;
mod config;
mod credentials;
mod error;
pub mod generated;
#[cfg(feature = "httpmock")]
pub mod mock;
mod operations;
mod region;
mod settings;
mod values;
mod wire;

pub use builder::ClientBuilder;
pub use call::report::CallReport;
pub use call::retry::RetryPolicy;
pub use client::Client;
pub use config::Config;
pub use credentials::Credentials;
pub use error::{Error, ErrorKind};
#[doc(inline)]
pub use generated::enums::{ErrorType, KeyState};
#[doc(inline)]
pub use generated::types::{self, ApiKey};
/// The date and time library, for [`Timestamp`].
pub use jiff;
pub use operations::{
    Call, CreateApiKey, DeleteApiKey, GetApiKey, ListApiKeys, Request, UpdateApiKey, WithReport,
};
pub use region::Region;
/// The HTTP library, for [`ClientBuilder::reqwest_builder`].
pub use reqwest;
pub use reqwest::StatusCode;
pub use values::{ApiKeyValue, ExposeSecrets, Timestamp};
pub use wire::runtime::{Operation, OperationKind};
