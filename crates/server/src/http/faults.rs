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
        Some(Fault(Kind::Status(status))) => error(status),
        Some(Fault(Kind::StatusAfterHandling(status))) => {
            next.run(request).await;
            error(status)
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

fn error(status: u16) -> Response {
    ApiError::new(status, fault::error_type(status), "this fault was injected").into_response()
}

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/faults", post(inject).delete(clear))
}

/// The body of a request for faults, such as `{"status": 503, "responses": 2}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Injection {
    status: Option<u16>,
    status_after_handling: Option<u16>,
    delay_ms: Option<u64>,
    #[serde(default)]
    drop_connection: bool,
    responses: usize,
}

async fn inject(State(app): Shared, Json(wanted): Json<Injection>) -> Response {
    let faults = [
        wanted.status.map(Fault::status),
        wanted.status_after_handling.map(Fault::status_after_handling),
        wanted.delay_ms.map(|ms| Fault::delay(Duration::from_millis(ms))),
        wanted.drop_connection.then(Fault::drop_connection),
    ];
    let mut faults = faults.into_iter().flatten();
    let (Some(fault), None) = (faults.next(), faults.next()) else {
        let reason = "give one of status, status_after_handling, delay_ms and drop_connection";
        return (StatusCode::BAD_REQUEST, reason).into_response();
    };
    app.faults.add(fault, wanted.responses);
    StatusCode::NO_CONTENT.into_response()
}

async fn clear(State(app): Shared) -> StatusCode {
    app.faults.clear();
    StatusCode::NO_CONTENT
}
