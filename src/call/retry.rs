//! Decides whether and when a failed attempt is retried. It does no I/O and never waits; `call`
//! carries out its decisions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::StatusCode;
use tokio::time::Instant;

use crate::wire::runtime::{Error as Failure, OperationKind};

/// Decides when failed requests are retried.
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
/// 503 or 504. A create is retried only if it was certainly not applied: if the client could not
/// connect, after a 429, and after a 503 with `Retry-After`. If the key may have been created, the
/// error is [ambiguous](crate::Error::is_ambiguous): look the key up before retrying. That includes
/// a conflict after a 503, which a gateway may have sent.
///
/// Attempts are not retried if the certificate is not trusted, if the server does not use TLS (both
/// with `rustls`), or if a proxy asks for a password.
///
/// # Waits
///
/// Each wait is random between 0 and the backoff, which starts at 200 ms and doubles up to 10 s.
/// `Retry-After`, in seconds or as a date, is added to it. If a wait would leave less than 250 ms
/// of the call's [`timeout`](crate::ClientBuilder::timeout), the call fails at once, and
/// [`Error::retry_after`](crate::Error::retry_after) returns the wait that the server asked for.
/// Each retry is logged through `tracing` as a warning.
///
/// # The retry budget
///
/// A client and its clones share a budget of 10 retries, so that retries do not worsen an outage.
/// Each success refills 0.1 of a retry, or a whole one if it came after a retry, and one is
/// refilled per minute. While the budget is used up, failed attempts are not retried, and the error
/// message mentions the budget. In a simulation of 1,000 clients with one call per second each,
/// retries during an outage of one minute cause 1.17 times the requests without retries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    max_attempts: u32,
    initial_backoff: Duration,
    max_backoff: Duration,
}

impl RetryPolicy {
    /// Creates a policy that never retries.
    pub fn never() -> Self {
        Self::default().max_attempts(1)
    }

    /// Sets the maximum number of attempts, the first included; defaults to 4.
    ///
    /// 0 is the same as 1.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Sets the initial and the maximum backoff; the defaults are 200 ms and 10 s.
    ///
    /// The backoff doubles with every retry. Each wait is random between 0 and the backoff.
    pub fn backoff(mut self, initial: Duration, max: Duration) -> Self {
        self.initial_backoff = initial.min(max);
        self.max_backoff = max;
        self
    }

    /// Returns the maximum wait before each retry.
    fn max_waits(&self) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_min_delay(self.initial_backoff)
            .with_max_delay(self.max_backoff)
            .with_max_times(self.max_attempts.saturating_sub(1) as usize)
            .build()
    }
}

impl Default for RetryPolicy {
    /// Creates a policy of 4 attempts, with waits of up to 200, 400 and 800 ms.
    fn default() -> Self {
        Self {
            max_attempts: 4,
            initial_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
        }
    }
}

/// The minimum time for a useful attempt. With less time left, the last attempt's error is more
/// helpful than a timeout.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(250);

/// Returns whether a later attempt may succeed.
pub(crate) fn is_transient<M>(failure: &Failure<M>) -> bool {
    match failure {
        Failure::InvalidRequest(_) | Failure::NotSent(..) => false,
        Failure::Connect(_, reason, _) => !reason.is_permanent,
        Failure::Timeout(..) | Failure::Connection(..) => true,
        Failure::Decode(..) | Failure::UnexpectedResponse(_) => false,
        Failure::ErrorResponse(response) => {
            matches!(response.status().as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
        }
    }
}

/// Returns whether a failed attempt may have changed state.
pub(crate) fn is_ambiguous<M>(
    kind: OperationKind,
    failure: &Failure<M>,
    retry_after: Option<Duration>,
) -> bool {
    kind != OperationKind::Read && may_be_applied(failure, retry_after)
}

/// Returns whether the server may have applied the request.
fn may_be_applied<M>(failure: &Failure<M>, retry_after: Option<Duration>) -> bool {
    match failure {
        Failure::InvalidRequest(_) | Failure::NotSent(..) | Failure::Connect(..) => false,
        Failure::Timeout(..) | Failure::Connection(..) => true,
        Failure::Decode(..) | Failure::UnexpectedResponse(_) => true,
        Failure::ErrorResponse(response) => match response.status() {
            StatusCode::REQUEST_TIMEOUT => true,
            StatusCode::SERVICE_UNAVAILABLE => retry_after.is_none(),
            StatusCode::NOT_IMPLEMENTED => false,
            status => status.is_server_error(),
        },
    }
}

/// The retry budget, shared by a client and its clones.
///
/// The default permits 10 retries in a row of failures. Each success refills 0.1 of a retry, or a
/// whole one if it came after a retry; one is refilled per minute. Errors refill nothing. So
/// clients continue to retry while most calls succeed, and stop while all fail.
#[derive(Clone, Debug)]
pub(crate) struct RetryBudget(Arc<Budget>);

/// The state of a retry budget: the moment when it is full again. A past moment means full.
#[derive(Debug)]
struct Budget {
    retries: u32,
    /// The nanoseconds until one retry is refilled.
    period: u64,
    start: Instant,
    /// In nanoseconds from the start.
    full_at: AtomicU64,
}

impl RetryBudget {
    /// Creates a budget of this many retries, one of which is refilled per period.
    ///
    /// With 0 retries, nothing is retried. Otherwise, a period of zero permits every retry.
    fn new(retries: u32, period: Duration) -> Self {
        // So that sums of periods do not overflow.
        let max = u64::MAX / 4 / u64::from(retries.max(1));
        let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX).min(max);
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
        // Avoids the write before the first retry, which is the usual case.
        if budget.full_at.load(Relaxed) == 0 {
            return;
        }
        let more = if is_whole { budget.period } else { budget.period / 10 };
        let refilled = |full_at: u64| Some(full_at.saturating_sub(more));
        let _ = budget.full_at.fetch_update(Relaxed, Relaxed, refilled);
    }
}

impl Default for RetryBudget {
    /// Creates a budget of 10 retries, one of which is refilled per minute.
    fn default() -> Self {
        Self::new(10, Duration::from_secs(60))
    }
}

/// The decision after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    RetryAfter(Duration),
    Fail,
    /// Only the retry budget prevents a retry.
    FailWithoutBudget,
}

/// The attempts of one call.
pub(crate) struct Retries<'a> {
    policy: &'a RetryPolicy,
    budget: &'a RetryBudget,
    kind: OperationKind,
    /// Created with the first retry.
    max_waits: Option<ExponentialBackoff>,
    attempts: u32,
    is_ambiguous: bool,
    /// Whether an attempt got 503. With `Retry-After` it means that a server did not apply the
    /// request, but a gateway may not know.
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
            max_waits: None,
            attempts: 0,
            is_ambiguous: false,
            was_unavailable: false,
        }
    }

    /// Counts a successful attempt and returns the number of attempts.
    pub(crate) fn succeeded(&mut self) -> u32 {
        self.attempts += 1;
        self.budget.refill(self.attempts > 1);
        self.attempts
    }

    /// Counts an attempt whose key the server rejected, before an attempt with a new key.
    pub(crate) fn unauthorized(&mut self) {
        self.attempts += 1;
    }

    /// Counts a failed attempt. `left` is the time until the call's deadline.
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
        let max_waits = self.max_waits.get_or_insert_with(|| self.policy.max_waits());
        let Some(max) = max_waits.next() else { return Next::Fail };
        // Jitter: clients that failed together do not retry together.
        let backoff = max.as_secs_f64() * fastrand::f64();
        let backoff = Duration::try_from_secs_f64(backoff).unwrap_or(max);
        let wait = retry_after.unwrap_or_default().saturating_add(backoff);
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

    /// Returns whether an attempt may have been applied although the call failed.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }
}

#[cfg(test)]
mod tests {
    //! Simulates an outage of one minute for a thousand clients, with a paused clock instead of
    //! real sockets. `tests/sdk/network.rs` tests on sockets that `call` follows the decisions.

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

    /// Counters of the clients and the server; timestamps in milliseconds.
    #[derive(Default)]
    struct Log {
        calls_in_outage: Cell<u32>,
        requests_in_outage: Cell<u32>,
        last_failure: Cell<u64>,
        /// The server's current second, and the requests in that second.
        second: Cell<(u64, u64)>,
    }

    impl Log {
        /// The server fails completely during the outage. Otherwise, its capacity is one and a half
        /// times the requests of clients that never retry.
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

    /// Runs clients with one call per second each, one at a time.
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
    fn waits_are_random_below_a_backoff_that_doubles() {
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
        let max_waits = [ms(125), ms(250), ms(500), ms(500), ms(500)];
        assert_eq!(policy.max_waits().collect::<Vec<_>>(), max_waits);

        let mut sums = [Duration::ZERO; 5];
        for _ in 0..1_000 {
            for ((sum, wait), max) in sums.iter_mut().zip(waits(&policy)).zip(max_waits) {
                assert!(wait < max, "{wait:?}");
                *sum += wait;
            }
        }
        for (sum, max) in sums.into_iter().zip(max_waits) {
            let half = max / 2;
            assert!((sum / 1_000).abs_diff(half) < half / 5, "the mean of {sum:?} is not {half:?}");
        }
    }

    #[test]
    fn retry_is_skipped_if_it_cannot_finish_before_the_deadline() {
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

    /// Takes all remaining retries and returns their number.
    fn drain(budget: &RetryBudget) -> usize {
        std::iter::from_fn(|| budget.take().then_some(())).count()
    }

    #[tokio::test(start_paused = true)]
    async fn time_and_successes_refill_the_retry_budget() {
        let (budget, policy) = (RetryBudget::default(), RetryPolicy::default());
        let retries = || Retries::new(&policy, &budget, OperationKind::Read);
        assert_eq!((drain(&budget), drain(&budget)), (10, 0));

        for _ in 0..9 {
            retries().succeeded();
        }
        assert_eq!(drain(&budget), 0, "nine tenths do not permit a retry");
        retries().succeeded();
        assert_eq!(drain(&budget), 1, "ten tenths permit a retry");

        let mut retried = retries();
        retried.unauthorized();
        retried.succeeded();
        assert_eq!(drain(&budget), 1, "a success after a retry refills a whole retry");

        let status = StatusCode::UNAUTHORIZED;
        for _ in 0..100 {
            assert_eq!(retries().failed(&response(status), None, Duration::MAX), Next::Fail);
        }
        assert_eq!(drain(&budget), 0, "errors refill nothing");

        sleep(Duration::from_secs(61)).await;
        assert_eq!(drain(&budget), 1, "a minute refills one retry");
        sleep(Duration::from_secs(3_600)).await;
        assert_eq!(drain(&budget), 10, "time does not exceed the maximum");
        for _ in 0..1_000 {
            retries().succeeded();
        }
        assert_eq!(drain(&budget), 10, "successes do not exceed the maximum");
    }

    #[test]
    fn retry_budget_is_shared_by_clones() {
        for retries in [0, 1, 7] {
            let budget = RetryBudget::new(retries, Duration::MAX);
            let taken = drain(&budget.clone());
            assert_eq!((taken, drain(&budget)), (retries as usize, 0));
        }
        assert!(RetryBudget::new(1, Duration::ZERO).take());
        assert!(!RetryBudget::new(0, Duration::ZERO).take(), "a budget of 0 permits no retry");
    }

    #[tokio::test(start_paused = true)]
    async fn retry_budget_limits_requests_during_an_outage() {
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
    async fn outage_doubles_requests_without_a_retry_budget() {
        fastrand::seed(1);
        let log = simulate(false).await;
        let (calls, requests) = (log.calls_in_outage.get(), log.requests_in_outage.get());
        assert!(requests > 2 * calls, "{requests} requests for {calls} calls");
    }
}
