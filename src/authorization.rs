//! The header that authenticates requests: the one in use, and the one that the server rejected
//! last. Where its key comes from is in `credentials`.

use std::sync::{Mutex, PoisonError};

use reqwest::header::HeaderValue;

/// The header's value, which changes when the client's key does.
#[derive(Default)]
pub(crate) struct Authorization(Mutex<State>);

#[derive(Default)]
struct State {
    current: Option<HeaderValue>,
    rejected: Option<HeaderValue>,
}

impl Authorization {
    pub(crate) fn current(&self) -> Option<HeaderValue> {
        self.state().current.clone()
    }

    pub(crate) fn replace(&self, value: HeaderValue) {
        self.state().current = Some(value);
    }

    /// Keeps what the server rejected.
    pub(crate) fn reject(&self, value: HeaderValue) {
        self.state().rejected = Some(value);
    }

    /// Whether the server has rejected the value in use.
    pub(crate) fn is_invalid_input(&self) -> bool {
        let state = self.state();
        state.current == state.rejected
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // No panic leaves the state between two values.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the key in a header's value.
pub(crate) fn key(value: &HeaderValue) -> Option<&str> {
    // Quicker than `to_str`, and every response passes here.
    str::from_utf8(value.as_bytes()).ok()?.splitn(2, ' ').last()
}
