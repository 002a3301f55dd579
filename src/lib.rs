//! A typed client for Rockset's API-keys API: create, list, retrieve, update and delete the keys
//! with which programs sign their requests.
//!
//! The hosted service was retired on 30 September 2024, so nothing answers at its URLs. What
//! answers is a server of the same contract, such as the `rockset-apikeys-server` beside this
//! crate.
//!
//! ```no_run
//! use rockset_apikeys::{Client, KeyState};
//!
//! # async fn example() -> Result<(), rockset_apikeys::Error> {
//! let client = Client::builder()
//!     .api_server("http://127.0.0.1:8080")
//!     .api_key("the key that signs the requests")
//!     .build()?;
//!
//! let created = client.create_api_key("my-app").role("read-only").await?;
//! let value: &str = created.key.expose_secret();
//! # let _ = value;
//!
//! for key in client.list_api_keys().await? {
//!     println!("{} {}", key.key.identifier(), key.name);
//! }
//! client.update_api_key("my-app").state(KeyState::Suspended).await?;
//! client.delete_api_key("my-app").await?;
//! # Ok(())
//! # }
//! ```
//!
//! What fails on the way is repeated where that is safe ([`RetryPolicy`]), no call takes longer
//! than its [time limit](ClientBuilder::timeout), and nothing that is printed shows a key.
//!
//! [`Client`] is where to start; [`Error`] tells what can go wrong and how to find out what did.
//! The types of requests and answers are in [`types`], and all that was generated from the contract
//! in [`generated`].
//!
//! # Features
//!
//! - `codegen` (default): generate the client from the contract while building. Without it the
//!   build takes a checked-in copy of the same code and compiles no generator.
//! - `rustls` (default): TLS. Without it, only `http://` servers can be reached.

// A call goes down this list: `client` configures, `operations` turns a call into a generated
// request, `generated` builds it, `transport` signs and sends it, asks `retry` whether to send it
// again, and `answer` decodes what came back. `error` is how all of that reaches the caller;
// `region`, `retry` and `values` know nothing of the others.
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
/// [`MockServerExt`](mock::MockServerExt) gives a server of [httpmock](https://docs.rs/httpmock) one
/// method for each operation. What a request has to be is said with its first argument and what is
/// answered with its second, in the contract's names and types. Names and users match as the client
/// sends them, whatever characters they have.
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
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
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
