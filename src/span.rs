//! The span of a call: what a program's telemetry gets to know of it, under the names that
//! OpenTelemetry gives the client's side of HTTP. Nothing here is secret: neither keys nor headers
//! nor bodies, and of the URL no more than the contract's template.

use reqwest::{Request, StatusCode};
use tracing::Span;
use tracing::field::Empty;

use crate::generated;
use crate::retry::Outcome;

/// The span of a call that begins with this request. Where nobody listens, nothing is computed.
pub(crate) fn of_call(request: &Request, operation: &str) -> Span {
    let (method, url) = (request.method(), request.url());
    tracing::info_span!(
        "rockset_apikeys",
        otel.name = %format_args!("{method} {}", generated::url_template(operation)),
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = %method,
        url.template = generated::url_template(operation),
        server.address = url.host_str(),
        server.port = url.port_or_known_default(),
        http.response.status_code = Empty,
        http.request.resend_count = Empty,
        error.type = Empty,
    )
}

/// Completes the span of a call whose last attempt, this many, came to this.
pub(crate) fn completed(span: &Span, outcome: &Outcome, status: Option<StatusCode>, attempts: u32) {
    if let Some(status) = status {
        span.record("http.response.status_code", status.as_u16());
    }
    if attempts > 1 {
        span.record("http.request.resend_count", attempts - 1);
    }
    match outcome {
        Outcome::Answered { status, .. } if status.is_success() => {}
        Outcome::Answered { status, .. } => failed(span, status.as_str()),
        Outcome::Unreachable => failed(span, "connect"),
        Outcome::Unanswered { timeout: true } => failed(span, "timeout"),
        Outcome::Unanswered { timeout: false } => failed(span, "connection"),
    }
}

/// Says what a call failed of.
pub(crate) fn failed(span: &Span, kind: &str) {
    span.record("error.type", kind);
    span.record("otel.status_code", "ERROR");
}
