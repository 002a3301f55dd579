//! Calls without async: one background thread for the whole process drives the network and the
//! clocks, and each call is polled on the thread that makes it.

use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::{io, process, thread};

use tokio::runtime::{Builder, Handle};
use tokio::task::coop;

use crate::error::Error;
use crate::wire::runtime::Operation;

/// Runs a call to its end on this thread.
pub(crate) fn wait<T>(
    operation: &Operation,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    if let Some(reason) = obstacle() {
        return Err(Error::not_sent(operation, reason));
    }
    let runtime = runtime().map_err(|error| {
        let reason = "the thread that drives blocking calls cannot be started; nothing was sent";
        Error::invalid_input_because(format!("{}: {reason}", operation.id()), error)
    })?;
    let _context = runtime.enter();
    block_on(call)
}

/// Returns why this thread cannot make a blocking call.
fn obstacle() -> Option<&'static str> {
    if Handle::try_current().is_err_and(|error| error.is_thread_local_destroyed()) {
        return Some("this thread is ending; make the call before");
    }
    if is_async_context() {
        return Some(
            "a blocking call would block the async runtime that runs this code; await the call \
             instead, or make it in `spawn_blocking`",
        );
    }
    let started_by = STARTED_BY.load(Relaxed);
    if started_by != 0 && started_by != process::id() {
        return Some(
            "this process was forked from one that had made blocking calls; make the first call \
             after the fork",
        );
    }
    None
}

/// Wakes the thread that waits for a future.
#[derive(Default)]
struct Signal {
    is_woken: Mutex<bool>,
    woken: Condvar,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.is_woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.woken.notify_one();
    }
}

/// Runs a future to its end. Unlike libraries for this, it uses no thread-local values, which may
/// be gone where a thread ends.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let signal = Arc::<Signal>::default();
    let waker = Waker::from(Arc::clone(&signal));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let is_woken = signal.is_woken.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = signal.woken.wait_while(is_woken, |is_woken| !*is_woken);
        *woken.unwrap_or_else(PoisonError::into_inner) = false;
    }
}

/// The process that started the background thread, which its forks do not have; 0 before that.
static STARTED_BY: AtomicU32 = AtomicU32::new(0);

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
    STARTED_BY.store(process::id(), Relaxed);
    Ok(started.insert(handle).clone())
}

/// Whether this thread is polling a future, which blocking could keep from finishing.
///
/// A thread knows its tokio runtime also where it may block, in `spawn_blocking`. An executor
/// without a mark of its own, such as smol's, looks like a plain thread.
fn is_async_context() -> bool {
    if futures_executor::enter().is_err() {
        return true;
    }
    Handle::try_current().is_ok_and(|handle| has_budget() || forbids_blocking(&handle))
}

/// Whether tokio limits what this thread may do before it yields, as it does in a future.
fn has_budget() -> bool {
    /// More than the limit, which is 128.
    const MORE_THAN_THE_LIMIT: u32 = 1_000;

    let mut context = Context::from_waker(Waker::noop());
    // Restores what is used up below when it is dropped.
    let _restored = coop::poll_proceed(&mut context);
    (0..MORE_THAN_THE_LIMIT).any(|_| {
        let step = coop::poll_proceed(&mut context).map(|step| step.made_progress());
        step.is_pending()
    })
}

/// Whether tokio forbids this thread to block. Its documented way to say so is a panic, which is
/// reported on standard error, so this is asked only where a future has no budget: in
/// `unconstrained`.
fn forbids_blocking(handle: &Handle) -> bool {
    let block = || handle.block_on(async {});
    cfg!(panic = "unwind") && panic::catch_unwind(AssertUnwindSafe(block)).is_err()
}
