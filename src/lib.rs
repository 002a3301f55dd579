//! A typed client for Rockset's API-keys API: create, list, retrieve, update and delete the keys
//! with which programs sign their requests. It is generated from the API's OpenAPI contract, with a
//! small facade around it.
//!
//! The hosted service was retired on 30 September 2024, so nothing answers at its URLs. What
//! answers is a server of the same contract, such as the `rockset-apikeys-server` beside this
//! crate.
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
//! A server is started from this project's folder. It prints two lines that set `ROCKSET_APISERVER`
//! and `ROCKSET_APIKEY`, to be pasted into the shell in which the program is run:
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
//!     // A key's full value is in the answer to its creation, and later only where it is revealed.
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
//! [`Client::builder`] takes the server and the key from the program, and all other settings.
//!
//! # Without async
//!
//! With the feature `blocking`, the same builders have `send_blocking`. The first such call starts
//! a background thread, the only one of the process, which keeps the connections:
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
//! # What can go wrong
//!
//! Every call fails with the one type [`Error`], which answers questions:
//!
//! ```no_run
//! # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
//! match client.create_api_key("my-app").await {
//!     Ok(created) => println!("created {}", created.key.identifier()),
//!     Err(error) if error.is_conflict() => println!("there is one already"),
//!     Err(error) if error.is_ambiguous() => println!("look before trying again: {error}"),
//!     Err(error) => return Err(error),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What fails on the way is repeated where that is safe ([`RetryPolicy`]), no call takes longer
//! than its [time limit](ClientBuilder::timeout), what cannot work is refused before anything is
//! sent, and nothing that is printed shows a key.
//!
//! # In tests
//!
//! The server runs within a test, too; its documentation shows how. To say oneself what is
//! answered, the feature `httpmock` has `mock`, with one method for each operation.
//!
//! # Features
//!
//! - `codegen` (default): generate the client from the contract while building. Without it the
//!   build takes a checked-in copy of the same code and compiles no generator.
//! - `rustls` (default): TLS, with rustls.
//! - `native-tls`: TLS, with what the system has; on Linux that is OpenSSL, whose headers the build
//!   then needs. Where both are on, this one is used; without either, only `http://` servers can be
//!   reached.
//! - `blocking`: calls without async.
//! - `httpmock`: typed mocks of a server.
//! - `profile`: configuration by the profiles of the vendor's command line,
//!   `Client::from_profile`.
//!
//! # Where to look
//!
//! [`Client`] has the operations, [`ClientBuilder`] the settings, [`Error`] what can go wrong. The
//! types of requests and answers are in [`types`], and all that was generated from the contract in
//! [`generated`].

#![cfg_attr(docsrs, feature(doc_cfg))]

// A call goes down this list: `client` configures, `operations` turns a call into a generated
// request, `generated` builds it, `transport` signs and sends it, asks `retry` whether to send it
// again, and `answer` decodes what came back. `error` is how all of that reaches the caller, and
// `span` what telemetry gets to know of it. Beside the list, `config` finds settings for `client`,
// and `blocking` runs a call without async. `region`, `retry` and `values` know nothing of the
// others.
mod answer;
#[cfg(feature = "blocking")]
mod blocking;
mod client;
mod config;
mod error;
mod operations;
mod region;
mod retry;
mod span;
mod transport;
mod values;

/// What the generator made of the contract, `openapi/apikeys.yaml`.
///
/// [`Client::generated`] gives the client that is in here, for what [`Client`] does not cover. The
/// code follows the generator's ways: not every item is documented, and a new version of the
/// generator may change it.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod generated {
    include!(concat!(env!("OUT_DIR"), "/apikeys.rs"));
}

/// Typed mocks of an API server, for the tests of programs that use this crate; generated from the
/// contract like the client.
///
/// [`MockServerExt`](mock::MockServerExt) gives a server of [httpmock](https://docs.rs/httpmock)
/// one method for each operation. What a request has to be is said with its first argument and what
/// is answered with its second, in the contract's names and types. Names and users match as the
/// client sends them, whatever characters they have.
///
/// ```
/// use rockset_apikeys::mock::{MockServer, MockServerExt};
/// use rockset_apikeys::types::{ApiKey, GetApiKeyResponse};
/// use rockset_apikeys::{Client, KeyState};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = ApiKey::builder().name("my key").key("aB3dE5").state(KeyState::Suspended);
/// let answer: GetApiKeyResponse = GetApiKeyResponse::builder().data(key).try_into()?;
///
/// let server = MockServer::start_async().await;
/// let mock = server.get_api_key(|when, then| {
///     when.user("admin@me.com").name("my key");
///     then.ok(&answer);
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
#[allow(rustdoc::redundant_explicit_links, clippy::all)]
pub mod mock {
    include!(concat!(env!("OUT_DIR"), "/mock.rs"));

    pub use httpmock::MockServer;
}

pub use client::{Client, ClientBuilder};
pub use error::Error;
pub use generated::enums::{ErrorType, KeyState};
pub use generated::types::{self, ApiKey};
pub use operations::{CreateApiKey, DeleteApiKey, GetApiKey, ListApiKeys, UpdateApiKey};
pub use region::{ParseRegionError, Region};
/// The HTTP library, for [`ClientBuilder::http_client`].
pub use reqwest;
pub use reqwest::StatusCode;
pub use retry::RetryPolicy;
pub use values::{ApiKeyValue, PathSegment, PathSegmentError, Timestamp};

/// Compiles and runs README's code with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
