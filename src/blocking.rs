//! Calls without async: one background thread for the whole process drives the network and the
//! clocks, and each call is polled on the thread that makes it.

use std::future::Future;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::task::coop;

use crate::error::Error;
use crate::operation::Operation;

/// Runs a call to its end on this thread.
pub(crate) fn wait<T>(
    operation: &Operation,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let id = operation.id();
    if is_async_context() {
        return Err(Error::rejected(format!(
            "{id}: a blocking call would block the async runtime that runs this code; await the \
             call instead, or make it in `spawn_blocking`; nothing was sent"
        )));
    }
    let runtime = runtime().map_err(|error| {
        let reason = "the thread that drives blocking calls cannot be started; nothing was sent";
        Error::rejected_because(format!("{id}: {reason}"), error)
    })?;
    let _context = runtime.enter();
    pollster::block_on(call)
}

/// Returns the runtime of the background thread, which starts with the first call and stays.
/// Connections belong to their runtime, so a runtime per call would close them each time.
fn runtime() -> io::Result<Handle> {
    static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);
    // No panic below leaves the lock in a bad state.
    let mut started = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*started {
        return Ok(handle.clone());
    }
    // Not tokio's own threads: tokio panics if the system refuses one.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let drive = move || runtime.block_on(std::future::pending::<()>());
    thread::Builder::new().name("rockset-apikeys".to_owned()).spawn(drive)?;
    Ok(started.insert(handle).clone())
}

/// Whether this thread is polling a future of tokio's, which blocking could keep from finishing.
///
/// A thread knows its runtime also where it may block, in `spawn_blocking`. The difference is that
/// only a future has a limit on what it may do before it has to yield.
fn is_async_context() -> bool {
    /// More than tokio lets a future do, which is 128.
    const MORE_THAN_THE_LIMIT: u32 = 1_000;

    if Handle::try_current().is_err() {
        return false;
    }
    let mut context = Context::from_waker(Waker::noop());
    // Restores what is used up below when it is dropped.
    let _restored = coop::poll_proceed(&mut context);
    (0..MORE_THAN_THE_LIMIT).any(|_| {
        let step = coop::poll_proceed(&mut context).map(|step| step.made_progress());
        step.is_pending()
    })
}
