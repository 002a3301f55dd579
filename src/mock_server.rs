//! The server of mocks. A request that no mock matches gets an error that says so; httpmock's own
//! response is a 404, which looks like a key that does not exist. The typed mocks are generated.

use std::fmt;
use std::mem;
use std::sync::{Mutex, PoisonError};

use httpmock::{HttpMockRequest, HttpMockResponse, Mock, Then, When};
use serde_json::json;

/// 421 Misdirected Request. The contract does not document it, and no `is_*` method of `Error` is
/// true for it.
const NO_MOCK_MATCHES: u16 = 421;

/// A server of mocks on a free port of this machine.
///
/// [`MockServerExt`](crate::mock::MockServerExt) adds typed mocks. Of several mocks that match a
/// request, the one that was added first responds. If none matches, the response is 421 Misdirected
/// Request with a message that names the request. The API has no such response, and the client does
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
/// let text = "get_api_key \"my-app\": 421 Misdirected Request: \
///             no mock matches GET /v1/orgs/self/users/self/apikeys/my-app";
/// assert_eq!(error.to_string(), text);
/// # Ok(())
/// # }
/// ```
pub struct MockServer {
    server: httpmock::MockServer,
    /// The id of the mock that matches every request. It is always the last one, because the first
    /// mock that matches responds.
    fallback: Mutex<usize>,
}

impl MockServer {
    /// Starts a server without mocks.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be started, as httpmock does.
    pub fn start() -> Self {
        Self::with_fallback(httpmock::MockServer::start())
    }

    /// Starts a server without mocks, as [`start`](Self::start) does, in async code.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be started, as httpmock does.
    pub async fn start_async() -> Self {
        Self::with_fallback(httpmock::MockServer::start_async().await)
    }

    fn with_fallback(server: httpmock::MockServer) -> Self {
        let fallback = server.mock(no_mock_matches).id();
        Self { server, fallback: fallback.into() }
    }

    /// Returns the URL that clients take as their API server, such as `http://127.0.0.1:43121`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Adds a mock of httpmock's own, for a request or a response that the contract does not have.
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
        let mock = self.server.mock(config);
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
