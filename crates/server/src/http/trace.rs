//! Trace IDs, and one log line per request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rockset_apikeys::ErrorType;

use crate::error::ApiError;

const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// The methods that are logged. Any other one may be a misplaced key.
static METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

tokio::task_local! {
    static CURRENT: String;
}

/// Returns the trace ID of the current request.
pub(super) fn current_id() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Assigns a trace ID to a request, and logs the request.
///
/// The client's own `x-trace-id` is ignored, because it could be a key. The ID in `traceparent` is
/// too short for a key, but may not be unique.
pub(super) async fn trace(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let trace_id = format!("{:032x}", fastrand::u128(..));
    let parent_trace_id = parent_trace_id(request.headers());
    let method = METHODS.iter().find(|method| *method == request.method());
    let method = method.map_or("unknown", Method::as_str);
    let respond = async {
        match require_host(&request) {
            Ok(()) => next.run(request).await,
            Err(error) => error.into_response(),
        }
    };
    let mut response = CURRENT.scope(trace_id.clone(), respond).await;
    // The request's own path contains names, and may contain a key by mistake.
    let path = path.as_ref().map_or("unknown", MatchedPath::as_str);
    let (status, ms) = (response.status().as_u16(), start.elapsed().as_millis());
    let error = response.extensions().get::<ErrorType>().map(ErrorType::as_str);
    tracing::info!(trace_id, parent_trace_id, method, path, status, error, ms, "request");
    if let Ok(value) = HeaderValue::from_str(&trace_id) {
        response.headers_mut().insert(TRACE_ID, value);
    }
    response
}

/// Returns the trace ID of a valid W3C `traceparent` header.
///
/// An example is `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`.
fn parent_trace_id(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all("traceparent").iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let mut parts = value.to_str().ok()?.split('-');
    let version = parts.next().filter(|version| is_hex(version, 2) && *version != "ff")?;
    let trace_id = parts.next().filter(|id| is_hex(id, 32) && !is_zero(id))?;
    parts.next().filter(|id| is_hex(id, 16) && !is_zero(id))?;
    parts.next().filter(|flags| is_hex(flags, 2))?;
    // Later versions may have more parts.
    (version != "00" || parts.next().is_none()).then(|| trace_id.to_owned())
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_zero(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'0')
}

/// Rejects requests with a missing or repeated `Host` header, as RFC 9112 requires.
fn require_host(request: &Request) -> Result<(), ApiError> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        let message = format!("expected one Host header, got {hosts}");
        return Err(ApiError::new(400, ErrorType::BadRequest, message));
    }
    Ok(())
}
