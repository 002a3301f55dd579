//! The span of a call, with the attributes that OpenTelemetry defines for HTTP clients. It holds no
//! secret: no keys, headers or bodies, and of the URL only the contract's template.

use reqwest::{StatusCode, Url};
use tracing::Span;
use tracing::field::Empty;

use crate::error::Failure;
use crate::operation::Operation;

/// Creates the span of a call. Without a subscriber, nothing is computed.
pub(crate) fn of_call(operation: &Operation, server: &Url) -> Span {
    tracing::info_span!(
        "rockset_apikeys",
        otel.name = %format_args!("{} {}", operation.method(), operation.path()),
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = %operation.method(),
        url.template = operation.path(),
        server.address = server.host_str(),
        server.port = server.port_or_known_default(),
        http.response.status_code = Empty,
        http.request.resend_count = Empty,
        error.type = Empty,
    )
}

/// Completes the span of a call that succeeded.
pub(crate) fn succeeded(span: &Span, status: StatusCode, attempts: u32) {
    span.record("http.response.status_code", status.as_u16());
    record_attempts(span, attempts);
}

/// Completes the span of a call that failed.
pub(crate) fn failed(span: &Span, failure: &Failure, attempts: u32) {
    let status = failure.status();
    if let Some(status) = status {
        span.record("http.response.status_code", status.as_u16());
    }
    record_attempts(span, attempts);
    let kind = match failure {
        Failure::Connect(_) => "connect",
        Failure::Timeout(_) => "timeout",
        Failure::Connection(_) | Failure::CutOff { .. } => "connection",
        Failure::Body { .. } => "body",
        Failure::Response { status, .. } => status.as_str(),
    };
    span.record("error.type", kind);
    span.record("otel.status_code", "ERROR");
}

/// Completes the span of a call that was rejected before sending.
pub(crate) fn rejected(span: &Span) {
    span.record("error.type", "rejected");
    span.record("otel.status_code", "ERROR");
}

fn record_attempts(span: &Span, attempts: u32) {
    if attempts > 1 {
        span.record("http.request.resend_count", attempts - 1);
    }
}
