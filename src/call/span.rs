//! The span of a call, with the attributes that OpenTelemetry defines for HTTP clients. It contains
//! no secrets: no keys, headers or bodies, and only the URL's template.

use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use tracing::Span;
use tracing::field::Empty;

use crate::generated::{Error as Failure, ErrorBody};
use crate::wire::runtime::Operation;

/// The response header that identifies the request in the server log.
const TRACE_ID: &str = "x-trace-id";

/// Creates the span of a call.
pub(crate) fn create(operation: &Operation, server: &Url) -> Span {
    tracing::info_span!(
        target: "rockset_apikeys",
        "rockset_apikeys",
        otel.name = %format_args!("{} {}", operation.method(), operation.path()),
        otel.kind = "client",
        otel.status_code = Empty,
        rockset.operation = operation.id(),
        rockset.trace_id = Empty,
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
pub(crate) fn succeeded(span: &Span, status: StatusCode, headers: &HeaderMap, attempts: u32) {
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", status.as_u16());
    record_trace_id(span, trace_id(headers));
    record_attempts(span, attempts);
}

/// Completes the span of a call that failed.
pub(crate) fn failed(span: &Span, failure: &Failure<ErrorBody>, attempts: u32) {
    let status = failure.status();
    if let Some(status) = status {
        span.record("http.response.status_code", status.as_u16());
    }
    record_trace_id(span, failure.details().and_then(|details| details.trace_id.as_deref()));
    record_attempts(span, attempts);
    let kind = match failure {
        Failure::InvalidRequest(_) | Failure::NotSent(..) => "invalid_input",
        Failure::Connect(..) => "connect",
        Failure::Timeout(..) => "timeout",
        Failure::Connection(..) => "connection",
        Failure::Decode(..) => "decode",
        Failure::UnexpectedResponse(_) | Failure::ErrorResponse(_) => {
            status.as_ref().map_or("", StatusCode::as_str)
        }
    };
    span.record("error.type", kind);
    span.record("otel.status_code", "ERROR");
}

/// Completes the span of a call that was rejected before sending.
pub(crate) fn invalid_input(span: &Span) {
    span.record("error.type", "invalid_input");
    span.record("otel.status_code", "ERROR");
}

/// Marks the span as cancelled if the call is dropped before it finishes.
pub(crate) struct CancelGuard<'a>(Option<&'a Span>);

impl<'a> CancelGuard<'a> {
    pub(crate) fn new(span: &'a Span) -> Self {
        Self(Some(span))
    }

    pub(crate) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelGuard<'_> {
    fn drop(&mut self) {
        if let Some(span) = self.0 {
            span.record("error.type", "cancelled");
            span.record("otel.status_code", "ERROR");
        }
    }
}

fn record_trace_id(span: &Span, id: Option<&str>) {
    if let Some(id) = id {
        span.record("rockset.trace_id", id);
    }
}

fn record_attempts(span: &Span, attempts: u32) {
    if attempts > 1 {
        span.record("http.request.resend_count", attempts - 1);
    }
}

/// Returns the trace ID in the headers.
pub(crate) fn trace_id(headers: &HeaderMap) -> Option<&str> {
    headers.get(TRACE_ID)?.to_str().ok()
}
