//! Calls without async: one background thread for the whole process drives the network and the
//! clocks, and each call is polled on the thread that makes it.

use std::future::Future;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::task::coop;

use crate::Error;

/// Runs a call to its end on this thread.
pub(crate) fn wait<T>(
    operation: &str,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    if is_async_context() {
        return Err(Error::refused(format!(
            "{operation}: `send_blocking` would block the async runtime that runs this code; \
             await the call instead, or make it in `spawn_blocking`; nothing was sent"
        )));
    }
    let runtime = runtime().map_err(|error| {
        let reason = "the thread that drives blocking calls cannot be started; nothing was sent";
        Error::refused_because(format!("{operation}: {reason}"), error)
    })?;
    let _context = runtime.enter();
    pollster::block_on(call)
}

/// The runtime of the background thread, which is started with the first call and stays.
///
/// Connections belong to the runtime that made them, so that one that ended with each call would
/// close them each time.
fn runtime() -> io::Result<Handle> {
    static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);
    // Nothing below can leave the lock in a state that matters.
    let mut started = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*started {
        return Ok(handle.clone());
    }
    // Not tokio's own threads: it panics where the system gives it none.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let drive = move || runtime.block_on(std::future::pending::<()>());
    thread::Builder::new().name("rockset-apikeys".to_owned()).spawn(drive)?;
    Ok(started.insert(handle).clone())
}

/// Whether this thread is polling a future of tokio's, so that to block it could keep the very
/// thing from happening that is waited for.
///
/// A thread knows its runtime also where it may block, in `spawn_blocking`. What tells the two
/// apart is that only a future has a limit of what it may do before it has to yield.
fn is_async_context() -> bool {
    /// More than tokio lets a future do, which is 128.
    const MORE_THAN_THE_LIMIT: u32 = 1_000;

    if Handle::try_current().is_err() {
        return false;
    }
    let mut context = Context::from_waker(Waker::noop());
    // Gives back all that is used up below when it is dropped.
    let _restored = coop::poll_proceed(&mut context);
    (0..MORE_THAN_THE_LIMIT).any(|_| {
        let step = coop::poll_proceed(&mut context).map(|step| step.made_progress());
        step.is_pending()
    })
}
