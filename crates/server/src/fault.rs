//! Fault injection, so that a program's reaction to faults can be tested.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rockset_apikeys::ErrorType;

/// A fault of a response, for [`Server::inject`](crate::Server::inject).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub(crate) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Status(u16),
    StatusAfterHandling(u16),
    Delay(Duration),
    DropConnection,
}

impl Fault {
    /// The response is an error with this status, from 400 to 599, and nothing is done. Any other
    /// number counts as 500. The error has the type that the server gives errors of this status.
    pub fn status(status: u16) -> Self {
        Self(Kind::Status(error_status(status)))
    }

    /// The request is handled as usual, and then the response is an error with this status, as for
    /// [`status`](Self::status): a gateway that times out after the server has made the change.
    pub fn status_after_handling(status: u16) -> Self {
        Self(Kind::StatusAfterHandling(error_status(status)))
    }

    /// The request is handled as usual, but only after this time.
    pub fn delay(delay: Duration) -> Self {
        Self(Kind::Delay(delay))
    }

    /// The request is handled as usual, and then the connection is closed without a response.
    pub fn drop_connection() -> Self {
        Self(Kind::DropConnection)
    }
}

fn error_status(status: u16) -> u16 {
    if (400..600).contains(&status) { status } else { 500 }
}

/// The error type of a status: the one that the server itself sends with it, or else the one that
/// says the same.
pub(crate) fn error_type(status: u16) -> ErrorType {
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

/// The faults of the next responses.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<VecDeque<(Fault, usize)>>);

impl Faults {
    pub(crate) fn add(&self, fault: Fault, responses: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((fault, responses));
    }

    /// Withdraws all faults.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns the fault of the next response, if it has one.
    pub(crate) fn next(&self) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
