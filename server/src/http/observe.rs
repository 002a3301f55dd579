//! One line of the log for each request, with the trace id that its response has.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use rockset_apikeys::ErrorType;

const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// Any other method may be a key that was sent in its place.
const METHODS: [Method; 7] = [
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

/// Returns the trace id of the request that is being handled.
pub(super) fn trace_id() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Gives each request a trace id of the server's: one that a client sends could be a key.
pub(super) async fn observe(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let trace_id = format!("{:032x}", fastrand::u128(..));
    let is_known = METHODS.contains(request.method());
    let method = if is_known { request.method().clone() } else { Method::TRACE };
    let mut response = CURRENT.scope(trace_id.clone(), next.run(request)).await;
    // The path itself has names in it, and may have a key by mistake.
    let path = path.as_ref().map_or("unknown", MatchedPath::as_str);
    let method = if is_known { method.as_str() } else { "unknown" };
    let (status, ms) = (response.status().as_u16(), start.elapsed().as_millis());
    let error = response.extensions().get::<ErrorType>().map(ErrorType::as_str);
    tracing::info!(trace_id, method, path, status, error, ms, "request");
    if let Ok(value) = HeaderValue::from_str(&trace_id) {
        response.headers_mut().insert(TRACE_ID, value);
    }
    response
}
