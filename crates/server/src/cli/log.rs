//! The log. Another thread writes it from a bounded queue to standard error, so that requests
//! neither wait for the log nor fail with it.
//!
//! Lines are lost if the queue is full or standard error cannot be written. The log reports their
//! number as soon as it can.

use std::io::{self, IsTerminal, Write};
use std::mem;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder};
use tracing_subscriber::filter::LevelFilter;

/// The maximum number of queued lines, which take some megabytes.
const QUEUE: usize = 10_000;
/// How long the process waits at its end for lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

/// Starts the log. Dropping the guard writes the queued lines.
pub(super) fn start(level: LevelFilter, format: Format) -> Guard {
    let (flushed, end) = channel();
    let dropped = Arc::default();
    let writer = Writer { dropped: Arc::clone(&dropped), failed: 0, reported: 0, flushed };
    let (queue, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(QUEUE).thread_name("log").finish(writer);
    dropped.get_or_init(|| queue.error_counter());
    // If the queue is full, this guard prints to standard output, which may be closed.
    mem::forget(guard);
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(queue.clone());
    match format {
        Format::Text => log.init(),
        Format::Json => log.json().flatten_event(true).init(),
    }
    // The default hook writes to standard error on the panicking thread, which may block.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let reason = text.or_else(|| payload.downcast_ref().copied());
        tracing::error!(place, reason, "a task panicked");
    }));
    Guard { queue, end }
}

#[must_use]
pub(super) struct Guard {
    queue: NonBlocking,
    end: Receiver<()>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // An empty line marks the end of the queue; see `Writer::write_all`.
        let _ = self.queue.write(&[]);
        let _ = self.end.recv_timeout(FLUSH_TIMEOUT);
    }
}

/// Writes to standard error on the log's thread.
struct Writer {
    /// The number of lines dropped because the queue was full.
    dropped: Arc<OnceLock<ErrorCounter>>,
    /// The number of lines that could not be written.
    failed: usize,
    /// The number of lost lines that the log has reported.
    reported: usize,
    flushed: Sender<()>,
}

impl Writer {
    fn report_lost_lines(&mut self) {
        let dropped = self.dropped.get().map_or(0, ErrorCounter::dropped_lines);
        let lost = dropped.saturating_add(self.failed);
        if lost > self.reported {
            self.reported = lost;
            // This goes through the queue as well, and is dropped if the queue is full.
            tracing::error!(lost, "log lines were lost since the start");
        }
    }
}

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if line.is_empty() {
            let _ = self.flushed.send(());
        } else if io::stderr().write_all(line).is_ok() {
            self.report_lost_lines();
        } else {
            self.failed = self.failed.saturating_add(1);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints a message to standard error. Gives up after a second if standard error is not read.
pub(super) fn print(message: String) {
    let (done, written) = channel();
    let print = move || {
        let _ = writeln!(io::stderr(), "{message}");
        let _ = done.send(());
    };
    if thread::Builder::new().spawn(print).is_ok() {
        let _ = written.recv_timeout(FLUSH_TIMEOUT);
    }
}
