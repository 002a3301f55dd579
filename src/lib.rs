//! Typed client for Rockset's API-keys API: create, list, retrieve, update and delete API keys.
//! Generated from the API's OpenAPI contract, with a small facade around it.
//!
//! The hosted service was retired on 30 September 2024; its URLs no longer respond. The
//! `rockset-apikeys-server` beside this crate is a server of the same contract.
//!
//! # From zero to a first key
//!
//! A program needs this crate and an async runtime, [tokio](https://docs.rs/tokio):
//!
//! ```toml
//! [dependencies]
//! rockset-apikeys = "0.1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! ```
//!
//! Start a server from this project's folder. It prints two lines that set `ROCKSET_APISERVER` and
//! `ROCKSET_APIKEY`; paste them into the shell in which the program runs:
//!
//! ```sh
//! cargo run -p rockset-apikeys-server -- serve
//! ```
//!
//! The program itself:
//!
//! ```no_run
//! use rockset_apikeys::{Client, KeyState};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), rockset_apikeys::Error> {
//!     let client = Client::from_env()?;
//!
//!     // The response to a create has the full value; later, only `reveal` returns it.
//!     let created = client.create_api_key("my-app").role("read-only").await?;
//!     println!("the new key is {}", created.key.expose_secret());
//!
//!     for key in client.list_api_keys().await? {
//!         println!("{} {}", key.key.identifier(), key.name);
//!     }
//!     client.update_api_key("my-app").state(KeyState::Suspended).await?;
//!     client.delete_api_key("my-app").await?;
//!     Ok(())
//! }
//! ```
//!
//! [`Client::builder`] takes the server, the key and all other settings from the program.
//!
//! # Without async
//!
//! With the feature `blocking`, the same builders have `send_blocking`. The first such call starts
//! one background thread for the process, which keeps the connections:
//!
//! ```no_run
//! # #[cfg(feature = "blocking")]
//! # fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
//! let created = client.create_api_key("my-app").role("read-only").send_blocking()?;
//! let keys = client.list_api_keys().send_blocking()?;
//! # let _ = (created, keys);
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! All calls return [`Error`]; classify it with its `is_*` methods:
//!
//! ```no_run
//! # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
//! match client.create_api_key("my-app").await {
//!     Ok(created) => println!("created {}", created.key.identifier()),
//!     Err(error) if error.is_conflict() => println!("the key exists"),
//!     Err(error) if error.is_ambiguous() => println!("look it up before retrying: {error}"),
//!     Err(error) => return Err(error),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Failed requests are retried when that is safe ([`RetryPolicy`]), every call has a
//! [timeout](ClientBuilder::timeout), invalid input is rejected before sending, and no text shows a
//! key.
//!
//! # Operations without a method here
//!
//! [`Client::run`] makes a call of any generated request, for an operation that is new in the
//! contract and has no method of [`Client`] yet.
//!
//! # Tests
//!
//! The server runs within a test, too; its documentation shows how. To script the responses
//! yourself, enable `httpmock`: typed mocks, one method per operation.
//!
//! # Features
//!
//! - `codegen` (default): generates the client from the contract while building. Without it, the
//!   build takes a checked-in copy of the same code and compiles no generator.
//! - `rustls` (default): TLS with rustls.
//! - `native-tls`: TLS of the system; on Linux that is OpenSSL, whose headers the build then needs.
//!   It wins if both are on. Without either, only `http://` servers can be reached.
//! - `blocking`: calls without async.
//! - `httpmock`: typed mocks of a server.
//! - `profile`: settings from the profiles of the vendor's command line, `Client::from_profile`.
//!
//! # Where to look
//!
//! [`Client`] has the operations, [`ClientBuilder`] the settings, [`Error`] what can go wrong.
//! [`types`] has the types of requests and responses, [`generated`] all that is generated from the
//! contract.

#![cfg_attr(docsrs, feature(doc_cfg))]

// A call goes down: `operations` makes a generated request, `call` sends it until one attempt
// settles it (`retry` decides, `span` reports, `error` is how it ends), `generated` builds the HTTP
// request, and `hook` sends it. `docs/architecture.md` has the drawing.
//
// A client comes from `builder`, which checks each setting with `settings`; `env` and `profile` read
// settings from outside. On the ground floor are `operation`, `path`, `redaction`, `region`,
// `retry` and `values`.
#[cfg(feature = "blocking")]
mod blocking;
mod builder;
mod call;
mod client;
mod env;
mod error;
pub mod generated;
mod hook;
mod operation;
mod operations;
mod path;
#[cfg(feature = "profile")]
mod profile;
mod redaction;
mod region;
mod retry;
mod settings;
mod span;
mod values;

/// Typed mocks of an API server, for tests of programs that use this crate; generated from the
/// contract.
///
/// [`MockServerExt`](mock::MockServerExt) gives a server of [httpmock](https://docs.rs/httpmock)
/// one method per operation. Its first argument, `when`, has one method per parameter and matches
/// any request unless narrowed; its second, `then`, one per documented status. Names and users match
/// as the client sends them, whatever characters they have.
///
/// ```
/// use rockset_apikeys::mock::{MockServer, MockServerExt};
/// use rockset_apikeys::types::{ApiKey, GetApiKeyResponse};
/// use rockset_apikeys::{Client, KeyState};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = ApiKey::builder().name("my key").key("aB3dE5").state(KeyState::Suspended);
/// let response: GetApiKeyResponse = GetApiKeyResponse::builder().data(key).try_into()?;
///
/// let server = MockServer::start_async().await;
/// let mock = server.get_api_key(|when, then| {
///     when.user("admin@me.com").name("my key");
///     then.ok(&response);
/// });
///
/// let client = Client::builder().api_server(server.base_url()).api_key("any").build()?;
/// let key = client.get_api_key("my key").user("admin@me.com").await?;
/// assert_eq!(key.state, Some(KeyState::Suspended));
/// mock.assert_calls(1);
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "httpmock")]
#[allow(missing_docs, rustdoc::redundant_explicit_links, clippy::all)]
pub mod mock {
    include!(concat!(env!("OUT_DIR"), "/mock.rs"));

    pub use httpmock::MockServer;
}

pub use builder::ClientBuilder;
pub use client::Client;
pub use error::Error;
pub use generated::enums::{ErrorType, KeyState};
pub use generated::types::{self, ApiKey};
pub use operation::{Operation, OperationKind};
pub use operations::{Call, CreateApiKey, DeleteApiKey, GetApiKey, ListApiKeys, UpdateApiKey};
pub use region::{ParseRegionError, Region};
/// The HTTP library, for [`ClientBuilder::http_client`].
pub use reqwest;
pub use reqwest::StatusCode;
pub use retry::RetryPolicy;
pub use values::{ApiKeyValue, Timestamp};

/// Compiles and runs README's code with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
