//! API errors. `http.rs` turns them into responses.

use std::io;
use std::time::Duration;

use rockset_apikeys::ErrorType;

/// The `Retry-After` of responses while the database is unavailable.
const UNAVAILABLE: Duration = Duration::from_secs(1);

/// The error response to a request.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) kind: ErrorType,
    pub(crate) message: String,
    /// The line and column of the error in the request's body, starting at 1.
    pub(crate) position: Option<(usize, usize)>,
    /// How long the client should wait before a retry.
    pub(crate) retry_after: Option<Duration>,
    /// The cause, which is logged but not sent.
    pub(crate) cause: Option<String>,
}

impl ApiError {
    pub(crate) fn new(status: u16, kind: ErrorType, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            position: None,
            retry_after: None,
            cause: None,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, ErrorType::InvalidInput, message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(401, ErrorType::AuthException, message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, ErrorType::Forbidden, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, ErrorType::NotFound, message)
    }

    pub(crate) fn too_many_requests(message: impl Into<String>, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Self::new(429, ErrorType::RateLimitExceeded, message) }
    }

    /// Creates a 503 with `Retry-After`: nothing was changed, and a retry may succeed.
    pub(crate) fn unavailable(cause: impl Into<String>) -> Self {
        Self {
            retry_after: Some(UNAVAILABLE),
            cause: Some(cause.into()),
            ..Self::new(
                503,
                ErrorType::ServiceUnavailable,
                "the database is unavailable and nothing was changed; retry later",
            )
        }
    }

    /// Creates a 503 without `Retry-After`: the change may have been applied.
    pub(crate) fn outcome_unknown(cause: impl Into<String>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(
                503,
                ErrorType::ServiceUnavailable,
                "the database failed and the change may have been applied; check before you retry",
            )
        }
    }

    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(
                500,
                ErrorType::InternalError,
                "internal error; see the server log for the cause",
            )
        }
    }
}

impl From<ApiError> for io::Error {
    /// Prefers the cause, for the CLI.
    fn from(error: ApiError) -> Self {
        Self::other(error.cause.unwrap_or(error.message))
    }
}
