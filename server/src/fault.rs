//! What goes wrong on demand, so that a program's reaction to it can be tested.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Something that goes wrong with an answer; given to [`Server::inject`](crate::Server::inject).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub(crate) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Status(u16),
    Delay(Duration),
    DropConnection,
}

impl Fault {
    /// The answer is an error with this status, from 400 to 599, and nothing is done. Any other
    /// number counts as 500.
    pub fn status(status: u16) -> Self {
        Self(Kind::Status(if (400..600).contains(&status) { status } else { 500 }))
    }

    /// The request is dealt with as usual, but only after this time.
    pub fn delay(delay: Duration) -> Self {
        Self(Kind::Delay(delay))
    }

    /// The request is dealt with as usual, and then the connection is closed without an answer.
    pub fn drop_connection() -> Self {
        Self(Kind::DropConnection)
    }
}

/// The faults of the answers to come.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<VecDeque<(Fault, usize)>>);

impl Faults {
    pub(crate) fn add(&self, fault: Fault, answers: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((fault, answers));
    }

    /// The fault of the next answer, if it has one.
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
