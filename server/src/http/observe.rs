//! One line of the log for each request, with the trace id that its response has.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, Version, header};
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

/// Gives each request a trace id of the server's: one that a client sends could be a key.
pub(super) async fn observe(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let trace_id = format!("{:032x}", fastrand::u128(..));
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
    tracing::info!(trace_id, method, path, status, error, ms, "request");
    if let Ok(value) = HeaderValue::from_str(&trace_id) {
        response.headers_mut().insert(TRACE_ID, value);
    }
    response
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
