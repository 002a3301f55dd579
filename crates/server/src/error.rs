//! The error response of a request. `http/response.rs` alone turns it into HTTP.

use std::io;
use std::time::Duration;

use rockset_apikeys::ErrorType;

/// How long a client should wait while the database is unavailable.
const UNAVAILABLE: Duration = Duration::from_secs(1);

/// Why a request fails.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) kind: ErrorType,
    pub(crate) message: String,
    /// Line and column of the request's body, from 1.
    pub(crate) place: Option<(usize, usize)>,
    /// How long to wait before the next request.
    pub(crate) retry_after: Option<Duration>,
    /// What the log has and the client does not see.
    pub(crate) cause: Option<String>,
}

impl ApiError {
    pub(crate) fn new(status: u16, kind: ErrorType, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), place: None, retry_after: None, cause: None }
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

    /// Nothing was changed, and the same request may succeed later.
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

    /// The change may have been applied. Without `Retry-After`, which says that nothing was.
    pub(crate) fn outcome_unknown(cause: impl Into<String>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(
                503,
                ErrorType::ServiceUnavailable,
                "the database failed, and the change may have been applied; look it up before \
                 retrying",
            )
        }
    }

    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(500, ErrorType::InternalError, "the server failed; its log has the cause")
        }
    }
}

impl From<ApiError> for io::Error {
    /// For the command line, where the cause is what counts.
    fn from(error: ApiError) -> Self {
        Self::other(error.cause.unwrap_or(error.message))
    }
}
