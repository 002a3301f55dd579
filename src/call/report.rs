//! The report of a call: metadata of its last response and of its attempts. It contains no secrets.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, SET_COOKIE};

use crate::call::span;
use crate::wire::redaction;

/// Metadata of a finished call: status, headers, trace ID, attempts and duration.
///
/// [`Call::with_report`](crate::Call::with_report) returns it for a success, and
/// [`Error::report`](crate::Error::report) for a failed call.
///
/// ```
/// # use rockset_apikeys_server::Server;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::start().await?;
/// # let client = server.client();
/// let (keys, report) = client.list_api_keys().with_report().await?;
/// assert_eq!(report.status().map(|status| status.as_u16()), Some(200));
/// println!(
///     "{} keys in {:?}, {} attempts, trace ID {:?}",
///     keys.len(),
///     report.elapsed(),
///     report.attempts(),
///     report.trace_id(),
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CallReport {
    status: Option<StatusCode>,
    headers: HeaderMap,
    trace_id: Option<String>,
    attempts: u32,
    elapsed: Duration,
}

impl CallReport {
    /// Creates the report of a call with the last response, if one arrived. `key` is the client's.
    pub(crate) fn new(
        attempts: u32,
        elapsed: Duration,
        response: Option<(StatusCode, Option<&HeaderMap>)>,
        key: Option<&str>,
    ) -> Self {
        let headers = response.and_then(|(_, headers)| headers);
        let mut headers = headers.map_or_else(HeaderMap::new, |it| redaction::headers(it, key));
        headers.remove(SET_COOKIE);
        let trace_id = span::trace_id(&headers).map(str::to_owned);
        Self { status: response.map(|(status, _)| status), headers, trace_id, attempts, elapsed }
    }

    /// Adds the trace ID of an error response's body, unless its headers contained one.
    pub(crate) fn or_trace_id(mut self, id: Option<&str>) -> Self {
        self.trace_id = self.trace_id.or_else(|| id.map(str::to_owned));
        self
    }

    /// Returns the status of the last response, or `None` if none arrived.
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns the headers of the last response.
    ///
    /// Cookies are removed, as are headers that contain the client's key or a string that looks
    /// like a key. Values are marked sensitive, so that `Debug` does not print them.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the ID that identifies the request in the server log.
    ///
    /// It comes from the header `x-trace-id` or from the body of an error response.
    pub fn trace_id(&self) -> Option<&str> {
        self.trace_id.as_deref()
    }

    /// Returns the number of attempts, which is at least 1.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the call's duration, including all attempts and waits.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }
}
