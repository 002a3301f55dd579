//! Decides whether a failed attempt is retried, and after what wait. It has no clock and no
//! network; `call` carries its decisions out.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::StatusCode;

use crate::operation::OperationKind;

/// When failed requests are retried.
///
/// Set it with [`ClientBuilder::retry_policy`](crate::ClientBuilder::retry_policy).
///
/// ```
/// use std::time::Duration;
/// use rockset_apikeys::{Client, RetryPolicy};
///
/// let patient = RetryPolicy::default()
///     .attempts(10)
///     .backoff(Duration::from_millis(500), Duration::from_secs(30));
/// let client = Client::builder()
///     .api_server("http://127.0.0.1:8080")
///     .api_key("...")
///     .retry_policy(patient)
///     .timeout(Duration::from_secs(300))
///     .build()?;
/// # Ok::<(), rockset_apikeys::Error>(())
/// ```
///
/// # What is retried
///
/// An attempt is retried if no complete response arrived, or one with status 408, 429, 500, 502,
/// 503 or 504. A create is retried only if the server certainly did nothing: if no connection was
/// made, after a 429, and after a 503 with `Retry-After`. If the key may have been created, the
/// error is [ambiguous](crate::Error::is_ambiguous): look the key up before retrying. That includes
/// a conflict after a 503, which a gateway may have sent.
///
/// A certificate that is not trusted, a server without TLS (both with `rustls`), and a proxy that
/// wants a password are not retried.
///
/// # Waits
///
/// Each wait is random between 0 and a bound, which is 200 ms for the first wait and doubles up to
/// 10 s. `Retry-After`, in seconds or as a date, makes a wait longer. If a wait would leave less
/// than 250 ms of the call's [`timeout`](crate::ClientBuilder::timeout), the call fails at once,
/// and [`Error::retry_after`](crate::Error::retry_after) says how long to wait. Each retry is
/// logged through `tracing` as a warning.
///
/// # The retry budget
///
/// A client and its clones may retry 10 times in a row of failures. Each success refills 0.1 of a
/// retry, or one if it came after a retry; so does a 4xx that is not retried. So clients keep
/// retrying while most calls succeed, and stop while all fail.
///
/// In a simulation of 1,000 clients that each make a call per second, retries during a minute of
/// outage bring the server 1.17 times the requests it would have had without them, and the first
/// call after the outage succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    attempts: u32,
    first: Duration,
    longest: Duration,
    jitter: bool,
}

impl RetryPolicy {
    /// Retries nothing.
    pub fn none() -> Self {
        Self::default().attempts(1)
    }

    /// Sets the maximum number of attempts, the first included; defaults to 4.
    ///
    /// At least one attempt is made, even with 0.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the bound of the first wait and the highest bound.
    ///
    /// The bound doubles with every retry. The defaults are 200 milliseconds and 10 seconds.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.first = first.min(longest);
        self.longest = longest;
        self
    }

    /// Sets whether each wait is random between 0 and its bound; defaults to true.
    ///
    /// Clients that failed together then do not return together. Without jitter a wait is as long
    /// as its bound.
    pub fn jitter(mut self, jitter: bool) -> Self {
        self.jitter = jitter;
        self
    }

    /// The bounds of the waits, one for each retry.
    fn bounds(&self) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_max_times(self.attempts.saturating_sub(1) as usize)
            .build()
    }
}

impl Default for RetryPolicy {
    /// 4 attempts, with waits of up to 200, 400 and 800 milliseconds between them.
    fn default() -> Self {
        Self {
            attempts: 4,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(10),
            jitter: true,
        }
    }
}

/// The shortest time in which an attempt can be expected to end. With less time left, the error of
/// the last attempt says more than a timeout.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(250);

/// How an attempt failed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// No connection was made, so nothing was sent. A certificate that is not trusted, or a proxy
    /// that wants a password, is no better the next time.
    NotConnected { is_permanent: bool },
    /// The connection failed or the time ran out before the whole response was there.
    NoResponse { timeout: bool },
    /// A whole response that is not a usable success, and the wait that it asks for.
    Response { status: StatusCode, retry_after: Option<Duration> },
}

impl Outcome {
    /// Whether a later attempt may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::NotConnected { is_permanent } => !is_permanent,
            Self::NoResponse { .. } => true,
            Self::Response { status, .. } => {
                matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
            }
        }
    }

    /// Whether the server may have done what the request asked for.
    fn may_be_applied(&self) -> bool {
        match self {
            Self::NotConnected { .. } => false,
            Self::NoResponse { .. } => true,
            Self::Response { status, retry_after } => match *status {
                StatusCode::REQUEST_TIMEOUT => true,
                StatusCode::SERVICE_UNAVAILABLE => retry_after.is_none(),
                StatusCode::NOT_IMPLEMENTED => false,
                status => status.is_success() || status.is_server_error(),
            },
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Response { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected { .. } => f.write_str("no connection was made"),
            Self::NoResponse { timeout: true } => f.write_str("no complete response in time"),
            Self::NoResponse { timeout: false } => f.write_str("the connection failed"),
            Self::Response { status, .. } => write!(f, "{status}"),
        }
    }
}

/// How many retries a client has left, counted in tenths. While most calls succeed there are always
/// some; while all fail they are soon used up, and retries do not make an outage worse.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Budget {
    const FULL: u32 = 10 * Self::RETRY;
    const RETRY: u32 = 10;

    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(Self::FULL))
    }

    fn take(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(Self::RETRY)).is_ok()
    }

    fn refill(&self, tenths: u32) {
        let more = |left: u32| {
            let more = left.saturating_add(tenths).min(Self::FULL);
            // Writes nothing while it is full, which is most of the time.
            (more != left).then_some(more)
        };
        let _ = self.0.fetch_update(Relaxed, Relaxed, more);
    }
}

/// The attempts of one call so far.
pub(crate) struct Retries<'a> {
    policy: &'a RetryPolicy,
    budget: &'a Budget,
    kind: OperationKind,
    /// Made with the first retry.
    bounds: Option<ExponentialBackoff>,
    attempts: u32,
    is_ambiguous: bool,
    /// Whether an attempt got 503. A create is then retried only with `Retry-After`: a server that
    /// sends that did nothing, but a gateway that sends it may not know.
    was_unavailable: bool,
}

impl<'a> Retries<'a> {
    pub(crate) fn new(policy: &'a RetryPolicy, budget: &'a Budget, kind: OperationKind) -> Self {
        Self {
            policy,
            budget,
            kind,
            bounds: None,
            attempts: 0,
            is_ambiguous: false,
            was_unavailable: false,
        }
    }

    /// Counts an attempt that ended with a response that no retry would change; returns the number
    /// of attempts.
    pub(crate) fn settled(&mut self) -> u32 {
        self.attempts += 1;
        self.budget.refill(if self.attempts > 1 { Budget::RETRY } else { 1 });
        self.attempts
    }

    /// Counts a failed attempt; returns how long to wait before the next one, `None` when there is
    /// to be none.
    pub(crate) fn wait_after(&mut self, outcome: &Outcome, left: Duration) -> Option<Duration> {
        self.is_ambiguous |= self.kind != OperationKind::Read && outcome.may_be_applied();
        if let Outcome::Response { status, .. } = outcome {
            // What a create conflicts with may be its own earlier attempt.
            let conflicts = self.kind == OperationKind::Create && *status == StatusCode::CONFLICT;
            self.is_ambiguous |= conflicts && self.was_unavailable;
            self.was_unavailable |= *status == StatusCode::SERVICE_UNAVAILABLE;
        }
        if !outcome.is_transient() {
            match outcome {
                // The server works; it rejects this request.
                Outcome::Response { status, .. } if status.is_client_error() => {
                    self.settled();
                }
                _ => self.attempts += 1,
            }
            return None;
        }
        self.attempts += 1;
        if self.is_ambiguous && self.kind == OperationKind::Create {
            return None;
        }
        let bound = self.bounds.get_or_insert_with(|| self.policy.bounds()).next()?;
        let share = if self.policy.jitter { fastrand::f64() } else { 1.0 };
        let pause = Duration::try_from_secs_f64(bound.as_secs_f64() * share).unwrap_or(bound);
        let wait = outcome.retry_after().unwrap_or_default().saturating_add(pause);
        let is_in_time = wait.saturating_add(SHORTEST_ATTEMPT) < left;
        (is_in_time && self.budget.take()).then_some(wait)
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether an attempt may have been applied although the call failed.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }
}

#[cfg(test)]
mod tests {
    //! Simulates a minute of outage for a thousand clients with the decisions above and a paused
    //! clock; on real sockets it would take a minute and a thousand connections. The tests in
    //! `tests/sdk/network.rs` show on real sockets that the decisions are carried out.

    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

    use super::*;

    const CLIENTS: u64 = 1_000;
    const OUTAGE: std::ops::Range<u64> = 10_000..70_000;
    const END: u64 = 90_000;

    /// What the server saw, and what the clients saw of it; times in milliseconds.
    #[derive(Default)]
    struct Log {
        calls_in_outage: Cell<u32>,
        requests_in_outage: Cell<u32>,
        last_failure: Cell<u64>,
        /// The server's current second, and its requests in that second.
        second: Cell<(u64, u64)>,
    }

    impl Log {
        /// The server fails completely during the outage. Before and after it, it has the capacity
        /// for one and a half times the requests of clients that never retry.
        fn failure(&self, now: u64) -> Option<Outcome> {
            let (second, requests) = self.second.get();
            let requests = if second == now / 1_000 { requests + 1 } else { 1 };
            self.second.set((now / 1_000, requests));
            let down = OUTAGE.contains(&now);
            self.requests_in_outage.update(|count| count + u32::from(down));
            let overloaded = requests > CLIENTS * 3 / 2;
            (down || overloaded).then_some(Outcome::Response {
                status: StatusCode::SERVICE_UNAVAILABLE,
                retry_after: None,
            })
        }
    }

    /// Each client makes a call every second, one at a time.
    async fn simulate(with_budget: bool) -> Rc<Log> {
        let (log, start) = (Rc::<Log>::default(), Instant::now());
        let clients = tokio::task::LocalSet::new();
        for client in 0..CLIENTS {
            let log = Rc::clone(&log);
            clients.spawn_local(async move {
                let now = || start.elapsed().as_millis() as u64;
                let (policy, mut budget) = (RetryPolicy::default(), Budget::new());
                sleep(Duration::from_millis(client)).await;
                let mut every_second = interval(Duration::from_secs(1));
                every_second.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while now() < END {
                    every_second.tick().await;
                    let in_outage = u32::from(OUTAGE.contains(&now()));
                    log.calls_in_outage.update(|count| count + in_outage);
                    if !with_budget {
                        budget = Budget::new();
                    }
                    let mut retries = Retries::new(&policy, &budget, OperationKind::Read);
                    loop {
                        let Some(outcome) = log.failure(now()) else {
                            retries.settled();
                            break;
                        };
                        match retries.wait_after(&outcome, Duration::from_secs(60)) {
                            Some(wait) => sleep(wait).await,
                            None => break log.last_failure.set(now()),
                        }
                    }
                }
            });
        }
        clients.await;
        log
    }

    #[test]
    fn waits_are_random_below_a_bound_that_doubles_up_to_the_longest() {
        let ms = Duration::from_millis;
        let policy = RetryPolicy::default().attempts(6).backoff(ms(125), ms(500));
        let waits = |policy: &RetryPolicy| -> Vec<Duration> {
            let budget = Budget::new();
            let mut retries = Retries::new(policy, &budget, OperationKind::Read);
            let outcome = Outcome::NotConnected { is_permanent: false };
            let next = || retries.wait_after(&outcome, Duration::MAX);
            std::iter::from_fn(next).collect()
        };
        let bounds = [ms(125), ms(250), ms(500), ms(500), ms(500)];
        assert_eq!(waits(&policy.clone().jitter(false)), bounds);

        let mut sums = [Duration::ZERO; 5];
        for _ in 0..1_000 {
            for ((sum, wait), bound) in sums.iter_mut().zip(waits(&policy)).zip(bounds) {
                assert!(wait < bound, "{wait:?}");
                *sum += wait;
            }
        }
        for (sum, bound) in sums.into_iter().zip(bounds) {
            let half = bound / 2;
            assert!((sum / 1_000).abs_diff(half) < half / 5, "{sum:?} is spread below {bound:?}");
        }
    }

    #[test]
    fn no_retry_starts_without_time_to_end_before_the_deadline() {
        let wait = Duration::from_millis(100);
        let policy = RetryPolicy::default().backoff(wait, wait).jitter(false);
        let enough = wait + SHORTEST_ATTEMPT;
        for (left, expected) in
            [(wait / 2, None), (enough, None), (enough + Duration::from_nanos(1), Some(wait))]
        {
            let budget = Budget::new();
            let mut retries = Retries::new(&policy, &budget, OperationKind::Read);
            let outcome = Outcome::NotConnected { is_permanent: false };
            assert_eq!(retries.wait_after(&outcome, left), expected, "{left:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_clients_do_not_make_an_outage_worse_and_recover_within_seconds() {
        fastrand::seed(1);
        let log = simulate(true).await;
        let (calls, requests) = (log.calls_in_outage.get(), log.requests_in_outage.get());
        let ratio = f64::from(requests) / f64::from(calls);
        let recovery = log.last_failure.get().saturating_sub(OUTAGE.end);
        println!("{requests} requests for {calls} calls: {ratio:.3}; recovered in {recovery} ms");
        assert!(calls > 50_000 && ratio < 1.2, "{requests} requests for {calls} calls");
        assert!(recovery < 3_000, "calls failed until {recovery} ms after the outage");

        // Without the budget it does, so it is the budget that prevents it.
        let log = simulate(false).await;
        let (calls, requests) = (log.calls_in_outage.get(), log.requests_in_outage.get());
        assert!(requests > 2 * calls, "{requests} requests for {calls} calls");
    }
}
