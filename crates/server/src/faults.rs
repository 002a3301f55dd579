//! Fault injection: faults, the middleware that applies them, and the routes that inject them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use rockset_apikeys::ErrorType;
use serde::Deserialize;

use crate::error::ApiError;

/// A fault to inject with [`Server::inject`](crate::Server::inject).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Status(u16),
    StatusAfterHandling(u16),
    Delay(Duration),
    DropConnection,
}

impl Fault {
    /// Responds with an error status without handling the request.
    ///
    /// A status outside of 400 to 599 becomes 500. The error has the type that the server uses for
    /// the status.
    pub fn status(status: u16) -> Self {
        Self(Kind::Status(error_status(status)))
    }

    /// Handles the request, then responds with an error status.
    ///
    /// This simulates a gateway that times out after the server has made the change. See
    /// [`status`](Self::status) for the status.
    pub fn status_after_handling(status: u16) -> Self {
        Self(Kind::StatusAfterHandling(error_status(status)))
    }

    /// Delays the handling of the request.
    pub fn delay(delay: Duration) -> Self {
        Self(Kind::Delay(delay))
    }

    /// Handles the request, then closes the connection without a response.
    pub fn drop_connection() -> Self {
        Self(Kind::DropConnection)
    }
}

fn error_status(status: u16) -> u16 {
    if (400..600).contains(&status) { status } else { 500 }
}

/// Returns the error type that the server uses for a status, or the closest one.
fn error_type(status: u16) -> ErrorType {
    match status {
        401 => ErrorType::AuthException,
        403 => ErrorType::Forbidden,
        404 => ErrorType::NotFound,
        405 => ErrorType::MethodNotAllowed,
        406 => ErrorType::NotAcceptable,
        408 => ErrorType::ClientConnectionError,
        409 => ErrorType::Conflict,
        413 => ErrorType::ContentTooLarge,
        415 => ErrorType::UnsupportedMediaType,
        429 => ErrorType::RateLimitExceeded,
        501 => ErrorType::NotImplementedYet,
        502 | 504 => ErrorType::ConnectionError,
        503 => ErrorType::ServiceUnavailable,
        500.. => ErrorType::InternalError,
        _ => ErrorType::BadRequest,
    }
}

/// Pending faults, each with the number of responses that it applies to.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<VecDeque<(Fault, usize)>>);

impl Faults {
    fn pending(&self) -> MutexGuard<'_, VecDeque<(Fault, usize)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, fault: Fault, responses: usize) {
        self.pending().push_back((fault, responses));
    }

    pub(crate) fn clear(&self) {
        self.pending().clear();
    }

    /// Takes the fault of the next response, if any.
    fn next(&self) -> Option<Fault> {
        let mut faults = self.pending();
        while let Some((fault, left)) = faults.front_mut() {
            if *left > 0 {
                *left -= 1;
                return Some(*fault);
            }
            faults.pop_front();
        }
        None
    }
}

/// A response extension: close the connection instead of sending the response.
#[derive(Clone)]
pub(crate) struct DropConnection;

/// Applies the next fault to a request.
pub(crate) async fn apply(
    State(faults): State<Arc<Faults>>,
    request: Request,
    next: Next,
) -> Response {
    let error = |status| {
        ApiError::new(status, error_type(status), "this fault was injected").into_response()
    };
    match faults.next().map(|fault| fault.0) {
        None => next.run(request).await,
        Some(Kind::Status(status)) => error(status),
        Some(Kind::StatusAfterHandling(status)) => {
            next.run(request).await;
            error(status)
        }
        Some(Kind::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            next.run(request).await
        }
        Some(Kind::DropConnection) => {
            let mut response = next.run(request).await;
            response.extensions_mut().insert(DropConnection);
            response
        }
    }
}

/// Returns the route through which anyone can inject and remove faults.
pub(crate) fn routes(faults: Arc<Faults>) -> Router {
    Router::new().route("/faults", post(inject).delete(clear)).with_state(faults)
}

/// The body of an injection: `responses` and exactly one fault.
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

async fn inject(State(faults): State<Arc<Faults>>, Json(body): Json<Injection>) -> Response {
    let given = [
        body.status.map(Fault::status),
        body.status_after_handling.map(Fault::status_after_handling),
        body.delay_ms.map(|ms| Fault::delay(Duration::from_millis(ms))),
        body.drop_connection.then(Fault::drop_connection),
    ];
    let mut given = given.into_iter().flatten();
    let (Some(fault), None) = (given.next(), given.next()) else {
        let reason =
            "expected exactly one of status, status_after_handling, delay_ms, drop_connection";
        return (StatusCode::BAD_REQUEST, reason).into_response();
    };
    faults.add(fault, body.responses);
    StatusCode::NO_CONTENT.into_response()
}

async fn clear(State(faults): State<Arc<Faults>>) -> StatusCode {
    faults.clear();
    StatusCode::NO_CONTENT
}
