//! Decides whether a failed attempt is retried, and after what wait. It sends nothing and waits for
//! nothing; `call` carries its decisions out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::StatusCode;
use tokio::time::Instant;

use crate::wire::runtime::{Error as Failure, OperationKind};

/// When failed requests are retried.
///
/// Set it with [`ClientBuilder::retry_policy`](crate::ClientBuilder::retry_policy).
///
/// ```
/// use std::time::Duration;
/// use rockset_apikeys::{Client, RetryPolicy};
///
/// let patient = RetryPolicy::default()
///     .max_attempts(10)
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
/// A client and its clones share a budget of 10 retries, so that retries do not make an outage
/// worse. Each success refills 0.1 of a retry, or a whole one if it came after a retry, and time
/// refills one per minute. While the budget is used up, failed attempts are not retried, and the
/// error message tells so. In a simulation of 1,000 clients that each make a call per second,
/// retries during a minute of outage cause 1.17 times the requests without retries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    attempts: u32,
    first: Duration,
    longest: Duration,
}

impl RetryPolicy {
    /// Retries nothing.
    pub fn never() -> Self {
        Self::default().max_attempts(1)
    }

    /// Sets the maximum number of attempts, the first included; defaults to 4.
    ///
    /// At least one attempt is made, even with 0.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
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
        Self { attempts: 4, first: Duration::from_millis(200), longest: Duration::from_secs(10) }
    }
}

/// The shortest time in which an attempt can be expected to end. With less time left, the error of
/// the last attempt says more than a timeout.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(250);

/// Returns whether a later attempt may succeed.
pub(crate) fn is_transient<M>(failure: &Failure<M>) -> bool {
    match failure {
        Failure::InvalidRequest(_) | Failure::NotSent(..) => false,
        Failure::Connect(_, reason, _) => !reason.is_permanent,
        Failure::Timeout(..) | Failure::Connection(..) => true,
        Failure::Decode { .. } | Failure::UnexpectedResponse(_) => false,
        Failure::ErrorResponse(response) => {
            matches!(response.status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
        }
    }
}

/// Returns whether a failed attempt may have changed something.
pub(crate) fn is_ambiguous<M>(
    kind: OperationKind,
    failure: &Failure<M>,
    retry_after: Option<Duration>,
) -> bool {
    kind != OperationKind::Read && may_be_applied(failure, retry_after)
}

/// Returns whether the server may have done what the request asked for.
fn may_be_applied<M>(failure: &Failure<M>, retry_after: Option<Duration>) -> bool {
    match failure {
        Failure::InvalidRequest(_) | Failure::NotSent(..) | Failure::Connect(..) => false,
        Failure::Timeout(..) | Failure::Connection(..) => true,
        Failure::Decode { .. } | Failure::UnexpectedResponse(_) => true,
        Failure::ErrorResponse(response) => match response.status {
            StatusCode::REQUEST_TIMEOUT => true,
            StatusCode::SERVICE_UNAVAILABLE => retry_after.is_none(),
            StatusCode::NOT_IMPLEMENTED => false,
            status => status.is_server_error(),
        },
    }
}

/// The number of retries that a client and its clones may make while calls fail.
///
/// The default permits 10 retries in a row of failures. Each success refills 0.1 of a retry, or a
/// whole one if it came after a retry; time refills one retry a minute. Errors refill nothing. So
/// clients keep retrying while most calls succeed, and stop while all fail.
#[derive(Clone, Debug)]
pub(crate) struct RetryBudget(Arc<Budget>);

/// What is used up is counted as the time that refills it. While it is in the past, nothing is.
#[derive(Debug)]
struct Budget {
    retries: u32,
    /// The nanoseconds that refill one retry.
    period: u64,
    start: Instant,
    /// When the budget is full again, in nanoseconds from the start.
    full_at: AtomicU64,
}

impl RetryBudget {
    /// Creates a budget of this many retries, of which time refills one per period.
    ///
    /// With 0 retries, nothing is retried. Otherwise, a period of zero permits every retry.
    fn new(retries: u32, period: Duration) -> Self {
        // Sums of periods do not overflow.
        let longest = u64::MAX / 4 / u64::from(retries.max(1));
        let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX).min(longest);
        let full_at = AtomicU64::new(0);
        Self(Arc::new(Budget { retries, period, start: Instant::now(), full_at }))
    }

    /// Takes a retry, if one is left.
    fn take(&self) -> bool {
        let budget = &*self.0;
        let now = u64::try_from(budget.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let all = budget.period * u64::from(budget.retries);
        let taken = |full_at: u64| {
            let full_at = full_at.max(now).saturating_add(budget.period);
            (budget.retries > 0 && full_at - now <= all).then_some(full_at)
        };
        budget.full_at.fetch_update(Relaxed, Relaxed, taken).is_ok()
    }

    /// Refills a retry, or a tenth of one.
    fn refill(&self, is_whole: bool) {
        let budget = &*self.0;
        // Writes nothing before the first retry, which is most of the time.
        if budget.full_at.load(Relaxed) == 0 {
            return;
        }
        let more = if is_whole { budget.period } else { budget.period / 10 };
        let refilled = |full_at: u64| Some(full_at.saturating_sub(more));
        let _ = budget.full_at.fetch_update(Relaxed, Relaxed, refilled);
    }
}

impl Default for RetryBudget {
    /// 10 retries, of which time refills one per minute.
    fn default() -> Self {
        Self::new(10, Duration::from_secs(60))
    }
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    RetryAfter(Duration),
    Fail,
    /// Only the budget forbids a retry.
    FailWithoutBudget,
}

/// The attempts of one call so far.
pub(crate) struct Retries<'a> {
    policy: &'a RetryPolicy,
    budget: &'a RetryBudget,
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
    pub(crate) fn new(
        policy: &'a RetryPolicy,
        budget: &'a RetryBudget,
        kind: OperationKind,
    ) -> Self {
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

    /// Counts an attempt that succeeded; returns the number of attempts.
    pub(crate) fn succeeded(&mut self) -> u32 {
        self.attempts += 1;
        self.budget.refill(self.attempts > 1);
        self.attempts
    }

    /// Counts an attempt whose key the server rejected, so that it did nothing. Another key
    /// follows.
    pub(crate) fn unauthorized(&mut self) {
        self.attempts += 1;
    }

    /// Counts a failed attempt. `left` is the rest of the call's time.
    pub(crate) fn failed<M>(
        &mut self,
        failure: &Failure<M>,
        retry_after: Option<Duration>,
        left: Duration,
    ) -> Next {
        self.attempts += 1;
        self.is_ambiguous |= is_ambiguous(self.kind, failure, retry_after);
        // A create may conflict with its own earlier attempt.
        let conflicts = failure.status() == Some(StatusCode::CONFLICT);
        self.is_ambiguous |=
            conflicts && self.kind == OperationKind::Create && self.was_unavailable;
        self.was_unavailable |= failure.status() == Some(StatusCode::SERVICE_UNAVAILABLE);
        let is_unsafe = self.is_ambiguous && self.kind == OperationKind::Create;
        if is_unsafe || !is_transient(failure) {
            return Next::Fail;
        }
        let Some(bound) = self.bounds.get_or_insert_with(|| self.policy.bounds()).next() else {
            return Next::Fail;
        };
        // Clients that failed together do not return together.
        let pause = bound.as_secs_f64() * fastrand::f64();
        let pause = Duration::try_from_secs_f64(pause).unwrap_or(bound);
        let wait = retry_after.unwrap_or_default().saturating_add(pause);
        if wait.saturating_add(SHORTEST_ATTEMPT) >= left {
            Next::Fail
        } else if self.budget.take() {
            Next::RetryAfter(wait)
        } else {
            Next::FailWithoutBudget
        }
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

    use reqwest::header::HeaderMap;
    use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

    use super::*;
    use crate::wire::runtime::ResponseValue;

    fn response(status: StatusCode) -> Failure<()> {
        Failure::ErrorResponse(ResponseValue::new((), status, HeaderMap::new()))
    }

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
        fn failure(&self, now: u64) -> Option<Failure<()>> {
            let (second, requests) = self.second.get();
            let requests = if second == now / 1_000 { requests + 1 } else { 1 };
            self.second.set((now / 1_000, requests));
            let down = OUTAGE.contains(&now);
            self.requests_in_outage.update(|count| count + u32::from(down));
            let overloaded = requests > CLIENTS * 3 / 2;
            (down || overloaded).then(|| response(StatusCode::SERVICE_UNAVAILABLE))
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
                let (policy, mut budget) = (RetryPolicy::default(), RetryBudget::default());
                sleep(Duration::from_millis(client)).await;
                let mut every_second = interval(Duration::from_secs(1));
                every_second.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while now() < END {
                    every_second.tick().await;
                    let in_outage = u32::from(OUTAGE.contains(&now()));
                    log.calls_in_outage.update(|count| count + in_outage);
                    if !with_budget {
                        budget = RetryBudget::default();
                    }
                    let mut retries = Retries::new(&policy, &budget, OperationKind::Read);
                    loop {
                        let Some(failure) = log.failure(now()) else {
                            retries.succeeded();
                            break;
                        };
                        match retries.failed(&failure, None, Duration::from_secs(60)) {
                            Next::RetryAfter(wait) => sleep(wait).await,
                            _ => break log.last_failure.set(now()),
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
        let policy = RetryPolicy::default().max_attempts(6).backoff(ms(125), ms(500));
        let waits = |policy: &RetryPolicy| -> Vec<Duration> {
            let budget = RetryBudget::default();
            let mut retries = Retries::new(policy, &budget, OperationKind::Read);
            let failure = response(StatusCode::BAD_GATEWAY);
            let next = || match retries.failed(&failure, None, Duration::MAX) {
                Next::RetryAfter(wait) => Some(wait),
                _ => None,
            };
            std::iter::from_fn(next).collect()
        };
        let bounds = [ms(125), ms(250), ms(500), ms(500), ms(500)];
        assert_eq!(policy.bounds().collect::<Vec<_>>(), bounds);

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
        let policy = RetryPolicy::default().backoff(Duration::ZERO, Duration::ZERO);
        let enough = wait + SHORTEST_ATTEMPT;
        let more = enough + Duration::from_nanos(1);
        for (left, expected) in
            [(wait / 2, Next::Fail), (enough, Next::Fail), (more, Next::RetryAfter(wait))]
        {
            let budget = RetryBudget::default();
            let mut retries = Retries::new(&policy, &budget, OperationKind::Read);
            let failure = response(StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(retries.failed(&failure, Some(wait), left), expected, "{left:?}");
        }
    }

    /// How many retries are left, which takes them.
    fn left(budget: &RetryBudget) -> usize {
        std::iter::from_fn(|| budget.take().then_some(())).count()
    }

    #[tokio::test(start_paused = true)]
    async fn time_and_successes_refill_the_budget_and_errors_do_not() {
        let (budget, policy) = (RetryBudget::default(), RetryPolicy::default());
        let retries = || Retries::new(&policy, &budget, OperationKind::Read);
        assert_eq!((left(&budget), left(&budget)), (10, 0));

        for _ in 0..9 {
            retries().succeeded();
        }
        assert_eq!(left(&budget), 0, "nine tenths are no retry");
        retries().succeeded();
        assert_eq!(left(&budget), 1, "ten tenths are one");

        let mut retried = retries();
        retried.unauthorized();
        retried.succeeded();
        assert_eq!(left(&budget), 1, "a success after a retry refills it");

        let status = StatusCode::UNAUTHORIZED;
        for _ in 0..100 {
            assert_eq!(retries().failed(&response(status), None, Duration::MAX), Next::Fail);
        }
        assert_eq!(left(&budget), 0);

        sleep(Duration::from_secs(61)).await;
        assert_eq!(left(&budget), 1, "a minute refills one");
        sleep(Duration::from_secs(3_600)).await;
        assert_eq!(left(&budget), 10, "an hour refills no more than all");
        for _ in 0..1_000 {
            retries().succeeded();
        }
        assert_eq!(left(&budget), 10, "successes refill no more than all");
    }

    #[test]
    fn a_budget_has_any_number_of_retries_and_is_shared_by_its_clones() {
        for retries in [0, 1, 7] {
            let budget = RetryBudget::new(retries, Duration::MAX);
            let taken = left(&budget.clone());
            assert_eq!((taken, left(&budget)), (retries as usize, 0));
        }
        assert!(RetryBudget::new(1, Duration::ZERO).take());
        assert!(!RetryBudget::new(0, Duration::ZERO).take(), "the period does not add a retry");
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
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_budget_a_thousand_clients_would_make_an_outage_worse() {
        fastrand::seed(1);
        let log = simulate(false).await;
        let (calls, requests) = (log.calls_in_outage.get(), log.requests_in_outage.get());
        assert!(requests > 2 * calls, "{requests} requests for {calls} calls");
    }
}
