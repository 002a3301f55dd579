//! One line of the log for each request, with the trace id that its response has, and that of the
//! client's own trace.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rockset_apikeys::ErrorType;

use crate::error::ApiError;

const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// Any other method may be a key that was sent in its place.
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

/// Returns the trace id of the request that is being handled.
pub(super) fn trace_id() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Gives each request a trace id of the server's: one that a client sends could be a key. The one
/// in `traceparent` is too short for a key, but only the client knows whether it is unique.
pub(super) async fn observe(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
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
    // The path itself has names in it, and may have a key by mistake.
    let path = path.as_ref().map_or("unknown", MatchedPath::as_str);
    let (status, ms) = (response.status().as_u16(), start.elapsed().as_millis());
    let error = response.extensions().get::<ErrorType>().map(ErrorType::as_str);
    tracing::info!(trace_id, parent_trace_id, method, path, status, error, ms, "request");
    if let Ok(value) = HeaderValue::from_str(&trace_id) {
        response.headers_mut().insert(TRACE_ID, value);
    }
    response
}

/// Returns the trace id of a valid `traceparent`, W3C's header of the client's trace:
/// `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`.
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

/// Rejects a request of HTTP/1.1 that does not name its host once, as RFC 9112 asks for.
fn require_host(request: &Request) -> Result<(), ApiError> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        let message = format!("the request has {hosts} Host headers instead of one");
        return Err(ApiError::new(400, ErrorType::BadRequest, message));
    }
    Ok(())
}
