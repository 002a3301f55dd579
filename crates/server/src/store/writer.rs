//! The thread that makes all changes. It carries out what waits in one transaction, so that
//! concurrent requests share the wait for the disk, and says so to each after the commit.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::pool::{Link, Place, Pool};
use super::{Change, Error, ErrorKind, Rows};
use crate::error::ApiError;

/// How long a change waits for its turn. Then it is not carried out.
const WAIT: Duration = Duration::from_secs(5);
/// How long a change that is being carried out may take before its outcome counts as unknown.
const WORK: Duration = Duration::from_secs(30);
/// How many changes may wait.
const WAITING: usize = 4096;
/// How many changes one transaction carries out at most.
const BATCH: usize = 128;
/// Between two attempts to lock a database that another process has locked.
const LOCKED: Duration = Duration::from_millis(2);

/// The handle of the thread. The thread ends when this is dropped.
pub(super) struct Writer {
    queue: SyncSender<Message>,
}

enum Message {
    Change(Turn),
    Close(oneshot::Sender<io::Result<()>>),
}

/// A change that waits for its turn. The thread takes it out, or else the request, which then has
/// waited for too long or has lost its client.
type Turn = Arc<Mutex<Option<Box<dyn Job>>>>;

fn is_waiting(turn: &Turn) -> bool {
    turn.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

fn take(turn: &Turn) -> Option<Box<dyn Job>> {
    turn.lock().unwrap_or_else(PoisonError::into_inner).take()
}

trait Job: Send {
    /// Decides on these rows, and remembers the outcome until the transaction has ended.
    fn decide(&mut self, rows: &dyn Rows) -> Change;

    /// Tells the request how it ended.
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
        // The request may have lost its client by now.
        let _ = reply.send(committed.and_then(|()| outcome.unwrap_or_else(undecided)));
    }
}

/// Withdraws a change that nobody waits for any longer.
struct Withdraw(Turn);

impl Drop for Withdraw {
    fn drop(&mut self) {
        take(&self.0);
    }
}

impl Writer {
    pub(super) fn start(pool: Arc<Pool>) -> io::Result<Self> {
        let (queue, messages) = sync_channel(WAITING);
        let mut thread = Thread { pool, is_settled: true };
        thread::Builder::new().name("writer".into()).spawn(move || thread.run(&messages))?;
        Ok(Self { queue })
    }

    pub(super) async fn change<T, D>(&self, decide: D) -> Result<T, ApiError>
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
        let ended = || ApiError::outcome_unknown("the thread of the database has ended");
        if let Ok(outcome) = timeout(WAIT, &mut outcome).await {
            return outcome.map_err(|_| ended())?;
        }
        if take(&turn.0).is_some() {
            return Err(ApiError::unavailable("the database was locked for too long"));
        }
        match timeout(WORK, outcome).await {
            Ok(outcome) => outcome.map_err(|_| ended())?,
            Err(_) => Err(ApiError::outcome_unknown("the database takes too long to commit")),
        }
    }

    pub(super) async fn close(&self) -> io::Result<()> {
        let closed = || io::Error::other("the database is closed");
        let (reply, outcome) = oneshot::channel();
        self.queue.try_send(Message::Close(reply)).map_err(|_| closed())?;
        outcome.await.map_err(|_| closed())?
    }
}

struct Thread {
    pool: Arc<Pool>,
    /// Whether the outcome of every commit is known. A commit that fails may have left its frames
    /// in the write-ahead log, where a restart would find them; the next commit overwrites them.
    is_settled: bool,
}

/// How a transaction failed.
struct Failure {
    error: Error,
    /// Whether it may have been applied nonetheless.
    is_unknown: bool,
}

impl From<Error> for Failure {
    /// For a failure before the commit, where the transaction ends with its connection.
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
            self.carry_out(&turns);
            if let Some(reply) = close {
                let outcome = self.checkpoint();
                self.pool.close();
                // The request for it may have been given up.
                let _ = reply.send(outcome);
                return;
            }
        }
        self.pool.close();
    }

    /// Carries out the changes that still wait when the database is locked for them.
    fn carry_out(&mut self, turns: &[Turn]) {
        let locked = self.lock(|| turns.iter().any(is_waiting));
        let mut jobs: Vec<_> = turns.iter().filter_map(take).collect();
        let outcome = locked.map_err(Failure::from).and_then(|link| self.commit(link, &mut jobs));
        match outcome {
            // One change must not fail the others, and an unknown outcome has to become known.
            Err(failure) if jobs.len() > 1 || failure.is_unknown => {
                let deadline = Instant::now() + WAIT;
                for job in jobs {
                    self.carry_out_again(job, &failure, deadline);
                }
            }
            outcome => finish(jobs, outcome),
        }
    }

    /// Makes a change once more, by itself. Its decision recognizes what was applied before.
    fn carry_out_again(&mut self, job: Box<dyn Job>, first: &Failure, deadline: Instant) {
        let mut jobs = vec![job];
        let locked = self.lock(|| Instant::now() < deadline);
        let outcome = locked.map_err(Failure::from).and_then(|link| self.commit(link, &mut jobs));
        finish(
            jobs,
            outcome.map_err(|second| Failure {
                is_unknown: first.is_unknown || second.is_unknown,
                ..second
            }),
        );
    }

    /// Begins a transaction that may write, as soon as no other process is in one.
    fn lock(&self, is_wanted: impl Fn() -> bool) -> Result<Link, Error> {
        let link = self.pool.take()?;
        let begin = || {
            while is_wanted() {
                if link.try_begin_immediate()? {
                    return Ok(());
                }
                thread::sleep(LOCKED);
            }
            Err(Error::unavailable("the database was locked for too long"))
        };
        match begin() {
            Ok(()) => Ok(link),
            Err(error) => {
                self.pool.put_back(Some(link));
                Err(error)
            }
        }
    }

    /// Decides on all changes, carries them out, and commits.
    fn commit(&mut self, link: Link, jobs: &mut [Box<dyn Job>]) -> Result<(), Failure> {
        let outcome = self.transact(&link, jobs);
        // A connection that has a transaction open is not used again, which ends the transaction.
        self.pool.put_back(Some(link));
        outcome
    }

    fn transact(&mut self, link: &Link, jobs: &mut [Box<dyn Job>]) -> Result<(), Failure> {
        self.pool.check_in_place(link)?;
        if !self.is_settled {
            link.apply(Change::Probe)?;
        }
        for job in jobs {
            let change = job.decide(link);
            link.check()?;
            link.apply(change)?;
        }
        let committed = link.run("COMMIT").map_err(|error| {
            // Other errors come before SQLite has written the mark of the commit.
            let is_unknown = matches!(error.kind, ErrorKind::DiskFailure | ErrorKind::Broken);
            Failure { error, is_unknown }
        });
        // Also where it failed, since it may have been applied.
        self.pool.cache.committed();
        // A commit to a file that is no longer there is lost.
        let in_place = self.pool.check_in_place(link);
        let outcome =
            committed.and_then(|()| in_place.map_err(|error| Failure { error, is_unknown: true }));
        self.is_settled = match &outcome {
            Ok(()) => true,
            Err(failure) => self.is_settled && !failure.is_unknown,
        };
        outcome
    }

    /// Makes the database's file whole without its write-ahead log.
    fn checkpoint(&self) -> io::Result<()> {
        if let Place::Memory(_) = self.pool.place {
            return Ok(());
        }
        let link = self.pool.take()?;
        let is_busy = link.checkpoint();
        self.pool.put_back(Some(link));
        if is_busy? {
            tracing::info!("another process uses the database and keeps its write-ahead log");
        }
        Ok(())
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
