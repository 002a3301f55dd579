//! What may be repeated, how often, and after what wait: decisions, without a clock and without the
//! network. `transport` carries them out.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::StatusCode;

/// How a client repeats what failed on the way; given with
/// [`ClientBuilder::retry_policy`](crate::ClientBuilder::retry_policy).
///
/// Repeated are attempts that got no answer, or one with the status 408, 429, 500, 502, 503 or 504.
/// A creation is repeated only where the server surely did not act: when no connection was made,
/// after a 429, and after a 503 with a `Retry-After`. Nothing is repeated past the call's
/// [`timeout`](crate::ClientBuilder::timeout), nor when the client has used up its budget for
/// repeats: ten, to which every call that succeeds adds a tenth, and every repeat that succeeds
/// one.
///
/// Before each repeat there is a wait: a random time below a bound that doubles with every repeat.
/// Where the server asks for a wait with `Retry-After`, that comes before it.
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
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    attempts: u32,
    first: Duration,
    longest: Duration,
    jitter: bool,
}

impl RetryPolicy {
    /// Repeats nothing.
    pub fn none() -> Self {
        Self::default().attempts(1)
    }

    /// The most attempts that a call makes, the first included; 4 unless given. At least one is
    /// made, also with 0.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The bound of the first wait, which doubles with every repeat, and the longest that it
    /// becomes; 200 milliseconds and 10 seconds unless given.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.first = first.min(longest);
        self.longest = longest;
        self
    }

    /// Whether a wait is a random time below its bound, so that clients that failed together do not
    /// come back together. Without it, a wait is as long as its bound. On unless given.
    pub fn jitter(mut self, jitter: bool) -> Self {
        self.jitter = jitter;
        self
    }

    /// The bounds of the waits, one for each repeat.
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

/// What an operation does to the server's state, which decides whether doing it twice is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Reads,
    Creates,
    Updates,
    Deletes,
}

impl Effect {
    pub(crate) fn of(operation: &str) -> Self {
        match operation {
            "get_api_key" | "list_api_keys" => Self::Reads,
            "update_api_key" => Self::Updates,
            "delete_api_key" => Self::Deletes,
            // An operation that is not known here is taken for the most delicate one.
            _ => Self::Creates,
        }
    }
}

/// What came of one attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// No connection was made, so that nothing was sent.
    Unreachable,
    /// The connection failed, or the time ran out, before the whole answer was there.
    Unanswered { timeout: bool },
    /// An answer, with the wait that it asks for.
    Answered { status: StatusCode, retry_after: Option<Duration> },
}

impl Outcome {
    /// The same attempt may end differently later.
    fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable | Self::Unanswered { .. } => true,
            Self::Answered { status, .. } => is_transient(*status),
        }
    }

    /// Nothing changed on the server, unless it did what was asked for and said so.
    fn is_clear(&self) -> bool {
        match self {
            Self::Unreachable => true,
            Self::Unanswered { .. } => false,
            Self::Answered { status, retry_after } => match *status {
                StatusCode::REQUEST_TIMEOUT => false,
                StatusCode::SERVICE_UNAVAILABLE => retry_after.is_some(),
                StatusCode::NOT_IMPLEMENTED => true,
                status => !status.is_server_error(),
            },
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("no connection was made"),
            Self::Unanswered { timeout: true } => f.write_str("no whole answer came in time"),
            Self::Unanswered { timeout: false } => f.write_str("the connection failed"),
            Self::Answered { status, .. } => write!(f, "{status}"),
        }
    }
}

/// The status says that the same call may succeed later.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// How many repeats a client still has, counted in tenths. While most calls succeed there are
/// always some; while all fail they are soon used up, and an outage is not made worse by repeats.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Budget {
    const FULL: u32 = 10 * Self::REPEAT;
    const REPEAT: u32 = 10;

    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(Self::FULL))
    }

    fn take(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(Self::REPEAT)).is_ok()
    }

    fn give(&self, tenths: u32) {
        let more = |left: u32| Some(left.saturating_add(tenths).min(Self::FULL));
        // The closure never declines.
        let _ = self.0.fetch_update(Relaxed, Relaxed, more);
    }
}

/// The attempts of one call so far, and whether there is to be another.
pub(crate) struct Retries<'a> {
    bounds: ExponentialBackoff,
    jitter: bool,
    budget: &'a Budget,
    effect: Effect,
    attempts: u32,
    in_doubt: bool,
}

impl<'a> Retries<'a> {
    pub(crate) fn new(policy: &RetryPolicy, budget: &'a Budget, effect: Effect) -> Self {
        let bounds = policy.bounds();
        Self { bounds, jitter: policy.jitter, budget, effect, attempts: 0, in_doubt: false }
    }

    /// How long to wait before the next attempt; `None` when there is to be none.
    pub(crate) fn wait_after(&mut self, outcome: &Outcome, left: Duration) -> Option<Duration> {
        self.attempts += 1;
        self.in_doubt |= self.effect != Effect::Reads && !outcome.is_clear();
        if !outcome.is_transient() {
            self.budget.give(if self.attempts > 1 { Budget::REPEAT } else { 1 });
            return None;
        }
        if self.in_doubt && self.effect == Effect::Creates {
            return None;
        }
        let bound = self.bounds.next()?;
        let share = if self.jitter { fastrand::f64() } else { 1.0 };
        let pause = Duration::try_from_secs_f64(bound.as_secs_f64() * share).unwrap_or(bound);
        let wait = outcome.retry_after().unwrap_or_default().saturating_add(pause);
        (wait < left && self.budget.take()).then_some(wait)
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// An attempt may have done what was asked for without an answer that says so.
    pub(crate) fn in_doubt(&self) -> bool {
        self.in_doubt
    }
}

#[cfg(test)]
mod tests {
    //! A minute of outage for a thousand clients is simulated here, with the decisions above and a
    //! clock that jumps; on real sockets it would take a minute and a thousand connections. That
    //! the decisions are carried out is shown on real sockets, in `tests/sdk/network.rs`.

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
        /// The second that the server is in, and the requests that it had in it.
        second: Cell<(u64, u64)>,
    }

    impl Log {
        /// The server fails completely during the outage. Before and after it, it bears one and a
        /// half times the requests that the clients make when all is well.
        fn answer(&self, now: u64) -> Outcome {
            let (second, requests) = self.second.get();
            let requests = if second == now / 1_000 { requests + 1 } else { 1 };
            self.second.set((now / 1_000, requests));
            let down = OUTAGE.contains(&now);
            self.requests_in_outage.update(|count| count + u32::from(down));
            let overloaded = requests > CLIENTS * 3 / 2;
            let failing = down || overloaded;
            let status = if failing { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            Outcome::Answered { status, retry_after: None }
        }
    }

    /// Each client makes a call every second, and none before the one before has ended.
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
                    let mut retries = Retries::new(&policy, &budget, Effect::Reads);
                    let last = loop {
                        let outcome = log.answer(now());
                        match retries.wait_after(&outcome, Duration::from_secs(60)) {
                            Some(wait) => sleep(wait).await,
                            None => break outcome,
                        }
                    };
                    if last.is_transient() {
                        log.last_failure.set(now());
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
            let mut retries = Retries::new(policy, &budget, Effect::Reads);
            let next = || retries.wait_after(&Outcome::Unreachable, Duration::MAX);
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

        // The same without the budget, to see that it is the budget that does it.
        let log = simulate(false).await;
        let (calls, requests) = (log.calls_in_outage.get(), log.requests_in_outage.get());
        assert!(requests > 2 * calls, "{requests} requests for {calls} calls");
    }
}
