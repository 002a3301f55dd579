//! Ctrl-C: when it is ignored, and how the user resumes afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::failure::{Code, Failure};

static IS_IGNORED: AtomicBool = AtomicBool::new(false);
static RESUME: Mutex<Option<String>> = Mutex::new(None);

/// Ignores Ctrl-C from now on, because a new key's value has not been delivered yet.
pub(crate) fn ignore() {
    IS_IGNORED.store(true, Ordering::Relaxed);
}

/// Sets the command that resumes the work that Ctrl-C interrupts.
pub(crate) fn set_resume(command: String) {
    *RESUME.lock().unwrap_or_else(PoisonError::into_inner) = Some(command);
}

/// Waits for a Ctrl-C that is not ignored.
pub(crate) async fn wait() -> Failure {
    loop {
        let _ = tokio::signal::ctrl_c().await;
        if !IS_IGNORED.load(Ordering::Relaxed) {
            break;
        }
    }
    let message = "interrupted; a change in progress may have been applied";
    let failure = Failure::new(Code::Interrupted, message);
    match RESUME.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(command) => failure.next(command),
        None => failure,
    }
}
