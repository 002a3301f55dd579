//! Calls without async: a background thread with its own runtime makes them, one thread for the
//! whole process, and the caller's thread waits.

use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, mpsc};
use std::task::{Context, Waker};
use std::{io, process, thread};

use tokio::runtime::{Builder, Handle};
use tokio::task::coop;
use tracing::Instrument;
use tracing::instrument::WithSubscriber;

use crate::error::Error;
use crate::wire::runtime::Operation;

/// Makes a call and waits for its end.
pub(crate) fn wait<T: Send + 'static>(
    operation: &Operation,
    call: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    if let Some(reason) = rejection() {
        return Err(Error::not_sent(operation, reason));
    }
    let runtime = runtime().map_err(|error| {
        Error::not_sent_because(
            operation,
            "cannot start the background thread for blocking calls",
            error,
        )
    })?;
    let (sender, outcome) = mpsc::channel();
    let task = runtime.spawn(call.in_current_span().with_current_subscriber());
    drop(runtime.spawn(async move { sender.send(task.await) }));
    match outcome.recv() {
        Ok(Ok(outcome)) => outcome,
        // A function of the program panicked, for example in its credentials.
        Ok(Err(error)) if error.is_panic() => panic::resume_unwind(error.into_panic()),
        // The runtime runs until the process ends.
        Ok(Err(_)) | Err(_) => {
            let reason = format!("{}: the background thread has ended", operation.id());
            Err(Error::invalid_input(reason))
        }
    }
}

/// Returns why this thread cannot make a blocking call.
fn rejection() -> Option<&'static str> {
    if Handle::try_current().is_err_and(|error| error.is_thread_local_destroyed()) {
        return Some("this thread is ending; send the request earlier");
    }
    if is_async_context() {
        return Some(
            "a blocking call would block the async runtime; await the call, or use \
             `spawn_blocking`",
        );
    }
    let started_by = STARTED_BY.load(Relaxed);
    if started_by != 0 && started_by != process::id() {
        return Some(
            "this process was forked after a blocking call; fork before the first blocking call",
        );
    }
    None
}

/// The process that started the background thread, which its forks lack; 0 before that.
static STARTED_BY: AtomicU32 = AtomicU32::new(0);

/// Returns the runtime of the background thread, which starts with the first call and stays:
/// connections end with their runtime.
fn runtime() -> io::Result<Handle> {
    static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);
    // No panic leaves the handle inconsistent.
    let mut started = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*started {
        return Ok(handle.clone());
    }
    // Not tokio's own threads: tokio panics if the platform refuses one.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let drive = move || runtime.block_on(std::future::pending::<()>());
    thread::Builder::new().name("rockset-apikeys".to_owned()).spawn(drive)?;
    STARTED_BY.store(process::id(), Relaxed);
    Ok(started.insert(handle).clone())
}

/// Returns whether this thread is polling a future, which blocking could prevent from finishing.
///
/// A thread knows its tokio runtime even where it may block, in `spawn_blocking`. An executor that
/// marks nothing, for example smol's, looks like a plain thread.
fn is_async_context() -> bool {
    if futures_executor::enter().is_err() {
        return true;
    }
    Handle::try_current().is_ok_and(|handle| has_budget() || forbids_blocking(&handle))
}

/// Returns whether tokio limits how much this thread may do before it yields, as it does in a
/// future.
fn has_budget() -> bool {
    /// More than the limit, which is 128.
    const MORE_THAN_THE_LIMIT: u32 = 1_000;

    let mut context = Context::from_waker(Waker::noop());
    // Restores the budget when it is dropped.
    let _restored = coop::poll_proceed(&mut context);
    (0..MORE_THAN_THE_LIMIT).any(|_| {
        let step = coop::poll_proceed(&mut context).map(|step| step.made_progress());
        step.is_pending()
    })
}

/// Returns whether tokio forbids this thread to block. Its documented way to tell is a panic, which
/// is printed to standard error, so this is tried only where a future has no budget: in
/// `unconstrained`.
fn forbids_blocking(handle: &Handle) -> bool {
    let block = || handle.block_on(async {});
    cfg!(panic = "unwind") && panic::catch_unwind(AssertUnwindSafe(block)).is_err()
}
