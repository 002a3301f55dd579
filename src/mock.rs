//! Typed mocks of an API server, for tests; generated from the contract.
//!
//! [`MockServerExt`] adds one method per operation to [`MockServer`], which uses
//! [httpmock](https://docs.rs/httpmock). The closure's first argument, `when`, provides one method
//! per parameter and matches every request unless narrowed; its second argument, `then`, provides
//! one method per documented status. Names and users may contain any characters. An unmatched
//! request fails with an error that names it.
//!
//! ```
//! use rockset_apikeys::mock::{MockServer, MockServerExt};
//! use rockset_apikeys::types::GetApiKeyResponse;
//! use rockset_apikeys::{ApiKey, Client, KeyState};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut key = ApiKey::new("my key", "aB3dE5");
//! key.state = Some(KeyState::Suspended);
//!
//! let server = MockServer::start_async().await;
//! let mock = server.get_api_key(|when, then| {
//!     when.user("admin@me.com").name("my key");
//!     then.ok(&GetApiKeyResponse { data: key });
//! });
//!
//! let client = Client::builder().api_server(server.base_url()).api_key("any").build()?;
//! let key = client.get_api_key("my key").user("admin@me.com").await?;
//! assert_eq!(key.state, Some(KeyState::Suspended));
//! mock.assert_calls(1);
//! # Ok(())
//! # }
//! ```
//!
//! # Error responses
//!
//! Error responses accept the contract's error model. With
//! [`RetryPolicy::never`](crate::RetryPolicy::never), a test of a 503 does not wait:
//!
//! ```
//! use rockset_apikeys::mock::{MockServer, MockServerExt};
//! use rockset_apikeys::types::ErrorModel;
//! use rockset_apikeys::{Client, ErrorType, RetryPolicy};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = MockServer::start_async().await;
//! let (message, type_) = (Some("no such key".to_owned()), Some(ErrorType::NotFound));
//! server.get_api_key(|when, then| {
//!     when.name("lost");
//!     then.not_found(&ErrorModel { message, type_, ..ErrorModel::default() });
//! });
//! server.list_api_keys(|_, then| {
//!     then.service_unavailable(&ErrorModel::default());
//! });
//!
//! let builder = Client::builder().api_server(server.base_url()).api_key("any");
//! let client = builder.retry_policy(RetryPolicy::never()).build()?;
//!
//! let error = client.get_api_key("lost").await.unwrap_err();
//! assert!(error.is_not_found() && !error.is_retryable());
//! let message = "get_api_key \"lost\": 404 Not Found: no such key (NOTFOUND)";
//! assert_eq!(error.to_string(), message);
//!
//! let error = client.list_api_keys().await.unwrap_err();
//! assert!(error.is_retryable());
//! assert_eq!(error.to_string(), "list_api_keys: 503 Service Unavailable");
//! # Ok(())
//! # }
//! ```

// Generated mocks unwrap the serialization of bodies and path patterns.
#![allow(missing_docs, rustdoc::redundant_explicit_links, clippy::all, clippy::unwrap_used)]

use std::fmt;
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::httpmock::{HttpMockRequest, HttpMockResponse, Mock, Then, When};
use reqwest::header::HeaderMap;
use serde_json::json;

use crate::StatusCode;
use crate::call::report::CallReport;
use crate::call::retry;
use crate::error::{Error, Failed};
use crate::generated::{Error as Failure, ErrorBody, ResponseValue};
use crate::values;
use crate::wire::runtime::Operation;

/// 421 Misdirected Request, which the contract does not document. All `is_*` methods of `Error`
/// return false for it.
const NO_MOCK_MATCHES: u16 = 421;

/// A mock HTTP server on a free loopback port.
///
/// [`MockServerExt`](crate::mock::MockServerExt) adds typed mocks. If several mocks match a
/// request, the first one responds. An unmatched request gets 421 Misdirected Request, with a
/// message that names the request. The contract does not document this status, and the client does
/// not retry it:
///
/// ```
/// use rockset_apikeys::Client;
/// use rockset_apikeys::mock::MockServer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = MockServer::start_async().await;
/// let client = Client::builder().api_server(server.base_url()).api_key("any").build()?;
///
/// let error = client.get_api_key("my-app").await.unwrap_err();
/// assert!(!error.is_not_found());
/// let message = "get_api_key \"my-app\": 421 Misdirected Request: \
///                no mock matches GET /v1/orgs/self/users/self/apikeys/my-app";
/// assert_eq!(error.to_string(), message);
/// # Ok(())
/// # }
/// ```
pub struct MockServer {
    server: httpmock::MockServer,
    /// The ID of the mock that matches every request. It must be the last mock, because the first
    /// matching one responds.
    fallback: Mutex<usize>,
}

impl MockServer {
    /// Starts a server without mocks.
    ///
    /// # Panics
    ///
    /// Panics if the server cannot be started, as httpmock does.
    pub fn start() -> Self {
        Self::with_fallback(httpmock::MockServer::start())
    }

    /// Starts a server without mocks, in async code.
    ///
    /// # Panics
    ///
    /// Panics if the server cannot be started, as httpmock does.
    pub async fn start_async() -> Self {
        Self::with_fallback(httpmock::MockServer::start_async().await)
    }

    fn with_fallback(server: httpmock::MockServer) -> Self {
        let fallback = server.mock(no_mock_matches).id();
        Self { server, fallback: fallback.into() }
    }

    /// Returns the URL to pass to clients as their API server.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Adds an untyped mock, for undocumented requests or responses.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use rockset_apikeys::mock::MockServer;
    ///
    /// let server = MockServer::start_async().await;
    /// server.mock(|when, then| {
    ///     when.path("/login");
    ///     then.status(302).header("location", "/");
    /// });
    /// # }
    /// ```
    pub fn mock(&self, config: impl FnOnce(When, Then)) -> Mock<'_> {
        // The closure serializes the mock's bodies.
        let mock = values::exposing(|| self.server.mock(config));
        let mut fallback = self.fallback.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.server.mock(no_mock_matches).id();
        Mock::new(mem::replace(&mut *fallback, last), &self.server).delete();
        mock
    }
}

impl fmt::Debug for MockServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockServer").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}

fn no_mock_matches(_: When, then: Then) {
    then.respond_with(|request: &HttpMockRequest| {
        let (method, uri) = (request.method_str(), request.uri());
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let message = format!("no mock matches {method} {target}");
        HttpMockResponse::builder()
            .status(NO_MOCK_MATCHES)
            .header("content-type", "application/json")
            .body(json!({ "message": message }).to_string())
            .build()
    });
}

/// Creates a call's error, for tests of a program's error handling.
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
    operation: &'static Operation,
    status: StatusCode,
    message: impl Into<String>,
) -> Error {
    let details = ErrorBody { message: Some(message.into()), ..ErrorBody::default() };
    let response = ResponseValue::new(details, status, HeaderMap::new());
    let failure = Failure::ErrorResponse(response);
    Error::failed(Failed {
        operation,
        name: None,
        user: None,
        report: CallReport::new(1, Duration::ZERO, Some((status, None)), None),
        retry_after: None,
        is_ambiguous: retry::is_ambiguous(operation.kind(), &failure, None),
        is_budget_used_up: false,
        failure: Box::new(failure),
    })
}

/// Builds path patterns with segments as the client encodes them. The generator's own patterns
/// contain unescaped names.
macro_rules! format {
    ($template:literal, $value:ident.to_string()) => {
        crate::wire::pattern($template, &$value)
    };
}

// Generated code is included with one change: `MockServer` is this module's instead of httpmock's.
include!(concat!(env!("OUT_DIR"), "/mock.rs"));
