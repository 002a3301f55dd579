//! The SQLite engine.
//!
//! Reads run on the caller's thread, because a row costs less than a switch of threads. All changes
//! run on one thread: it applies the changes in its queue in one transaction, so concurrent
//! requests share the wait for the disk, and reports the outcome to each after the commit.

mod cache;
mod open;
mod pool;
mod transaction;

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Change, Error, ErrorKind, Location, Rows};
use crate::error::ApiError;
use crate::vault::Vault;
use pool::Pool;

pub(crate) use transaction::Transaction;

/// How long a change waits for its turn before it is withdrawn.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a started change may take before its outcome counts as unknown.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum number of changes in the queue.
const QUEUE_LENGTH: usize = 4096;
/// The maximum number of changes in one transaction.
const BATCH: usize = 128;

/// An open database. Its thread ends when this is dropped.
pub(crate) struct Store {
    pool: Arc<Pool>,
    queue: SyncSender<Message>,
}

enum Message {
    Change(Turn),
    Close(oneshot::Sender<io::Result<()>>),
}

/// A queued change.
///
/// Either the thread takes it, or its request, after a timeout or if its client disconnects.
type Turn = Arc<Mutex<Option<Box<dyn Job>>>>;

fn is_waiting(turn: &Turn) -> bool {
    turn.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

fn take(turn: &Turn) -> Option<Box<dyn Job>> {
    turn.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Withdraws a change whose request no longer waits for it.
struct Withdraw(Turn);

impl Drop for Withdraw {
    fn drop(&mut self) {
        take(&self.0);
    }
}

trait Job: Send {
    /// Runs the decision, and keeps its outcome until the transaction has ended.
    fn decide(&mut self, rows: &dyn Rows) -> Change;

    /// Reports the outcome to the request.
    fn finish(self: Box<Self>, committed: Result<(), ApiError>);
}

struct Decision<T, D> {
    decide: D,
    outcome: Option<Result<T, ApiError>>,
    reply: oneshot::Sender<Result<T, ApiError>>,
}

impl<T, D> Job for Decision<T, D>
where
    T: Send,
    D: FnMut(&dyn Rows) -> Result<(Change, T), ApiError> + Send,
{
    fn decide(&mut self, rows: &dyn Rows) -> Change {
        let (change, outcome) = match (self.decide)(rows) {
            Ok((change, outcome)) => (change, Ok(outcome)),
            Err(error) => (Change::Nothing, Err(error)),
        };
        self.outcome = Some(outcome);
        change
    }

    fn finish(self: Box<Self>, committed: Result<(), ApiError>) {
        let Self { outcome, reply, .. } = *self;
        let undecided = || Err(ApiError::internal("a change was not decided"));
        // Fails if the request has lost its client.
        let _ = reply.send(committed.and_then(|()| outcome.unwrap_or_else(undecided)));
    }
}

impl Store {
    pub(crate) fn open(location: Location) -> io::Result<Self> {
        let url = location.url.clone();
        let start = |location| {
            let pool = Arc::new(open::open(location)?);
            let (queue, messages) = sync_channel(QUEUE_LENGTH);
            let mut thread = Thread { pool: Arc::clone(&pool), is_settled: true };
            thread::Builder::new().name("writer".into()).spawn(move || thread.run(&messages))?;
            Ok(Self { pool, queue })
        };
        start(location).map_err(|error: io::Error| {
            io::Error::new(error.kind(), format!("cannot open the database {url}: {error}"))
        })
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.pool.vault
    }

    /// Begins a transaction that reads everything committed so far.
    pub(crate) fn read(&self) -> Transaction {
        Transaction::read(&self.pool)
    }

    /// Runs a decision and applies its change in one transaction.
    ///
    /// Returns a success after the commit. After a failure, the decision may run again on new
    /// rows. It must recognize its own first run, which may have been applied.
    pub(crate) async fn change<T, D>(&self, decide: D) -> Result<T, ApiError>
    where
        T: Send + 'static,
        D: FnMut(&dyn Rows) -> Result<(Change, T), ApiError> + Send + 'static,
    {
        let (reply, mut outcome) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Decision { decide, outcome: None, reply });
        let turn = Withdraw(Arc::new(Mutex::new(Some(job))));
        self.queue.try_send(Message::Change(Arc::clone(&turn.0))).map_err(|error| match error {
            TrySendError::Full(_) => ApiError::unavailable("too many changes are waiting"),
            TrySendError::Disconnected(_) => ApiError::unavailable("the database is closed"),
        })?;
        let ended = || ApiError::outcome_unknown("the database thread has ended");
        if let Ok(outcome) = timeout(QUEUE_TIMEOUT, &mut outcome).await {
            return outcome.map_err(|_| ended())?;
        }
        if take(&turn.0).is_some() {
            return Err(ApiError::unavailable("the database was locked for too long"));
        }
        match timeout(COMMIT_TIMEOUT, outcome).await {
            Ok(outcome) => outcome.map_err(|_| ended())?,
            Err(_) => Err(ApiError::outcome_unknown("the commit takes too long")),
        }
    }

    /// Fails if the database's file was removed or replaced. Later reads then fail as well.
    pub(crate) fn check_available(&self) -> Result<(), Error> {
        Transaction::idle(&self.pool)?.check_in_place()
    }

    /// Ends all changes and completes the database's file.
    pub(crate) async fn close(&self) -> io::Result<()> {
        let closed = || io::Error::other("the database is closed");
        let (reply, outcome) = oneshot::channel();
        self.queue.try_send(Message::Close(reply)).map_err(|_| closed())?;
        outcome.await.map_err(|_| closed())?
    }
}

/// The thread that applies all changes.
struct Thread {
    pool: Arc<Pool>,
    /// Whether the outcome of every commit is known.
    ///
    /// A failed commit may have left its frames in the write-ahead log, where a restart would find
    /// them. The next commit overwrites them.
    is_settled: bool,
}

/// A failed transaction.
struct Failure {
    error: Error,
    /// Whether the transaction may have been applied.
    is_unknown: bool,
}

impl From<Error> for Failure {
    /// Converts an error before the commit: dropping the transaction rolls it back.
    fn from(error: Error) -> Self {
        Self { error, is_unknown: false }
    }
}

impl Failure {
    fn to_api_error(&self) -> ApiError {
        if self.is_unknown {
            return ApiError::outcome_unknown(&self.error.message);
        }
        self.error.clone().into()
    }
}

impl Thread {
    fn run(&mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            let mut turns = Vec::new();
            let mut close = None;
            for message in std::iter::once(first).chain(messages.try_iter().take(BATCH - 1)) {
                match message {
                    Message::Change(turn) => turns.push(turn),
                    Message::Close(reply) => close = Some(reply),
                }
            }
            self.apply_batch(&turns);
            if let Some(reply) = close {
                let outcome = self.pool.checkpoint();
                self.pool.close();
                // Fails if `Store::close` was cancelled.
                let _ = reply.send(outcome.map_err(io::Error::from));
                return;
            }
        }
        self.pool.close();
    }

    /// Applies the changes that are not withdrawn by the time the database is locked.
    fn apply_batch(&mut self, turns: &[Turn]) {
        let locked = Transaction::write(&self.pool, || turns.iter().any(is_waiting));
        let mut jobs: Vec<_> = turns.iter().filter_map(take).collect();
        let outcome = locked.map_err(Failure::from).and_then(|it| self.commit(&it, &mut jobs));
        match outcome {
            // A change must not fail because of another one, and an unknown outcome must be found
            // out.
            Err(failure) if jobs.len() > 1 || failure.is_unknown => {
                let deadline = Instant::now() + QUEUE_TIMEOUT;
                for job in jobs {
                    self.apply_again(job, &failure, deadline);
                }
            }
            outcome => finish(jobs, outcome),
        }
    }

    /// Applies one change again, in its own transaction. Its decision recognizes its first run.
    fn apply_again(&mut self, job: Box<dyn Job>, first: &Failure, deadline: Instant) {
        let mut jobs = vec![job];
        let locked = Transaction::write(&self.pool, || Instant::now() < deadline);
        let outcome = locked.map_err(Failure::from).and_then(|it| self.commit(&it, &mut jobs));
        finish(
            jobs,
            outcome.map_err(|second| Failure {
                is_unknown: first.is_unknown || second.is_unknown,
                ..second
            }),
        );
    }

    /// Decides and applies all changes, and commits.
    fn commit(
        &mut self,
        transaction: &Transaction,
        jobs: &mut [Box<dyn Job>],
    ) -> Result<(), Failure> {
        transaction.check_in_place()?;
        if !self.is_settled {
            transaction.apply(Change::Probe)?;
        }
        for job in jobs {
            let change = job.decide(transaction);
            transaction.check_statements()?;
            transaction.apply(change)?;
        }
        let committed = transaction.commit().map_err(|error| {
            // SQLite reports other errors before it writes the commit mark.
            let is_unknown = matches!(error.kind, ErrorKind::DiskFailure | ErrorKind::Broken);
            Failure { error, is_unknown }
        });
        // A commit to a file that was removed in the meantime is lost.
        let in_place = transaction.check_in_place();
        let outcome =
            committed.and_then(|()| in_place.map_err(|error| Failure { error, is_unknown: true }));
        self.is_settled = match &outcome {
            Ok(()) => true,
            Err(failure) => self.is_settled && !failure.is_unknown,
        };
        outcome
    }
}

fn finish(jobs: Vec<Box<dyn Job>>, outcome: Result<(), Failure>) {
    for job in jobs {
        job.finish(match &outcome {
            Ok(()) => Ok(()),
            Err(failure) => Err(failure.to_api_error()),
        });
    }
}
