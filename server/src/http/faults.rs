//! Applies injected faults, and the routes that inject them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;

use super::{App, Shared};
use crate::error::ApiError;
use crate::fault::{self, Fault, Kind};

/// In a response's extensions: the response is not sent, and its connection is closed.
#[derive(Clone)]
pub(crate) struct DropConnection;

/// Applies the fault of the next response, if it has one.
pub(super) async fn apply(State(app): Shared, request: Request, next: Next) -> Response {
    match app.faults.next() {
        None => next.run(request).await,
        Some(Fault(Kind::Status(status))) => {
            let kind = fault::error_type(status);
            ApiError::new(status, kind, "this fault was injected").into_response()
        }
        Some(Fault(Kind::Delay(delay))) => {
            tokio::time::sleep(delay).await;
            next.run(request).await
        }
        Some(Fault(Kind::DropConnection)) => {
            let mut response = next.run(request).await;
            response.extensions_mut().insert(DropConnection);
            response
        }
    }
}

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/faults", post(inject).delete(clear))
}

/// The body of a request for faults, such as `{"status": 503, "responses": 2}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Injection {
    status: Option<u16>,
    delay_ms: Option<u64>,
    #[serde(default)]
    drop_connection: bool,
    responses: usize,
}

async fn inject(State(app): Shared, Json(wanted): Json<Injection>) -> Response {
    let fault = match (wanted.status, wanted.delay_ms, wanted.drop_connection) {
        (Some(status), None, false) => Fault::status(status),
        (None, Some(ms), false) => Fault::delay(Duration::from_millis(ms)),
        (None, None, true) => Fault::drop_connection(),
        _ => {
            let reason = "give one of status, delay_ms and drop_connection";
            return (StatusCode::BAD_REQUEST, reason).into_response();
        }
    };
    app.faults.add(fault, wanted.responses);
    StatusCode::NO_CONTENT.into_response()
}

async fn clear(State(app): Shared) -> StatusCode {
    app.faults.clear();
    StatusCode::NO_CONTENT
}
