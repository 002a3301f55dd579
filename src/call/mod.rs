//! One call: its attempts until a final outcome or the deadline, its span, and its error. `wire`
//! sends requests, and `retry` decides what is retried.

pub(crate) mod report;
pub(crate) mod retry;
mod span;

use std::fmt::Display;
use std::panic;
use std::pin::pin;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::{Instrument, Span};

use crate::credentials::Credentials;
use crate::error::{Error, Failed};
use crate::generated::{Error as Failure, ErrorBody, ResponseValue};
use crate::wire::redaction;
use crate::wire::runtime::Operation;
use report::CallReport;
use retry::{Next, Retries, RetryBudget, RetryPolicy};
use span::CancelGuard;

/// The maximum timeout, 30 years: adding much more overflows an `Instant`.
const MAX_TIMEOUT: Duration = Duration::from_secs(946_080_000);

/// The settings that all calls of a client share.
#[derive(Clone)]
pub(crate) struct Defaults {
    pub(crate) server: Url,
    pub(crate) credentials: Credentials,
    pub(crate) key_can_change: bool,
    pub(crate) timeout: Duration,
    pub(crate) retry_policy: RetryPolicy,
    pub(crate) retry_budget: RetryBudget,
}

/// The settings of one call, which override the client's.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry_policy: Option<RetryPolicy>,
    pub(crate) headers: HeaderMap,
    /// The reason why an argument or a setting is invalid.
    pub(crate) invalid: Option<String>,
}

/// The key's name and owner, for the error message.
#[derive(Clone, Copy, Default)]
pub struct Subject<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) user: Option<&'a str>,
}

/// A successful call: its response and its metadata.
pub struct Success<T> {
    pub(crate) response: ResponseValue<T>,
    attempts: u32,
    start: Instant,
}

impl<T> Success<T> {
    pub(crate) fn report(&self, defaults: &Defaults) -> CallReport {
        let response = (self.response.status(), Some(self.response.headers()));
        report(defaults, self.attempts, self.start.elapsed(), Some(response))
    }
}

fn report(
    defaults: &Defaults,
    attempts: u32,
    elapsed: Duration,
    response: Option<(StatusCode, Option<&HeaderMap>)>,
) -> CallReport {
    let authorization = defaults.credentials.authorization().current();
    let key = authorization.as_ref().and_then(redaction::key);
    CallReport::new(attempts, elapsed, response, key)
}

/// The outcome of one attempt.
pub(crate) type Attempt<T> = Result<ResponseValue<T>, Failure<ErrorBody>>;

/// Runs a call. `send` creates and sends the generated request, once per attempt.
pub(crate) async fn run<T, F>(
    defaults: &Defaults,
    operation: &'static Operation,
    subject: Subject<'_>,
    options: &Options,
    send: impl Fn() -> F,
) -> Result<Success<T>, Error>
where
    F: Future<Output = Attempt<T>>,
{
    let (start, timeout) = (Instant::now(), options.timeout.unwrap_or(defaults.timeout));
    if let Some(reason) = rejection(options, start, timeout) {
        return Err(Error::not_sent(operation, reason));
    }
    let running = Running {
        defaults,
        operation,
        subject,
        policy: options.retry_policy.as_ref().unwrap_or(&defaults.retry_policy),
        span: span::create(operation, &defaults.server),
        start,
        deadline: start + timeout.min(MAX_TIMEOUT),
    };
    let guard = CancelGuard::new(&running.span);
    let outcome = pin!(running.attempts(&send)).instrument(running.span.clone()).await;
    guard.disarm();
    if outcome.as_ref().is_err_and(Error::is_invalid_input) {
        span::invalid_input(&running.span);
    }
    outcome
}

/// Returns the reason to reject a call before sending.
fn rejection(options: &Options, start: Instant, timeout: Duration) -> Option<&str> {
    Some(if let Some(reason) = &options.invalid {
        reason
    } else if timeout.is_zero() {
        "the timeout is zero"
    } else if Handle::try_current().is_err() {
        "not in a tokio runtime; await the call inside one, or enable the `blocking` feature"
    // A runtime without timers can only be detected by this documented panic.
    } else if panic::catch_unwind(|| drop(sleep_until(start))).is_err() {
        "timers are disabled in this tokio runtime; build it with `enable_all`"
    } else {
        return None;
    })
}

/// A call in progress.
struct Running<'a> {
    defaults: &'a Defaults,
    operation: &'static Operation,
    subject: Subject<'a>,
    policy: &'a RetryPolicy,
    span: Span,
    start: Instant,
    deadline: Instant,
}

impl Running<'_> {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    async fn attempts<T, F>(&self, send: &impl Fn() -> F) -> Result<Success<T>, Error>
    where
        F: Future<Output = Attempt<T>>,
    {
        let Defaults { credentials, retry_budget, .. } = self.defaults;
        let mut retries = Retries::new(self.policy, retry_budget, self.operation.kind());
        let mut previous = None;
        let mut is_key_replaced = false;
        if self.defaults.key_can_change {
            credentials.refresh(|| self.left()).await?;
        }
        loop {
            // The HTTP client enforces the attempt timeout.
            let failure = match timeout_at(self.deadline, Box::pin(send())).await {
                Ok(Ok(response)) => {
                    let attempts = retries.succeeded();
                    let (status, headers) = (response.status(), response.headers());
                    span::succeeded(&self.span, status, headers, attempts);
                    return Ok(Success { response, attempts, start: self.start });
                }
                Ok(Err(failure)) => Box::new(failure),
                Err(elapsed) => {
                    let cause = previous.take().map_or_else(|| elapsed.into(), Into::into);
                    Box::new(Failure::Timeout(None, cause))
                }
            };
            let failure = self.reject_unsent(failure)?;
            let retry_after = failure.headers().and_then(retry_after);
            let is_unauthorized = failure.status() == Some(StatusCode::UNAUTHORIZED);
            let has_new_key = is_unauthorized
                && !is_key_replaced
                && credentials.has_new_key(|| self.left()).await;
            let wait = if has_new_key {
                is_key_replaced = true;
                retries.unauthorized();
                Duration::ZERO
            } else {
                match retries.failed(&failure, retry_after, self.left()) {
                    Next::RetryAfter(wait) => wait,
                    next => return Err(self.failed(failure, retry_after, &retries, next)),
                }
            };
            log_retry(self.operation, &failure, wait, retries.attempts());
            previous = Some(failure);
            if !has_new_key {
                sleep(wait).await;
                credentials.refresh(|| self.left()).await?;
            }
        }
    }

    /// Fails if the request was certainly not sent; otherwise returns its failure.
    fn reject_unsent(
        &self,
        failure: Box<Failure<ErrorBody>>,
    ) -> Result<Box<Failure<ErrorBody>>, Error> {
        match *failure {
            Failure::InvalidRequest(reason) => Err(Error::not_sent(self.operation, reason)),
            Failure::NotSent(reason, source) => {
                Err(Error::not_sent_because(self.operation, reason, source))
            }
            _ => Ok(failure),
        }
    }

    fn failed(
        &self,
        failure: Box<Failure<ErrorBody>>,
        retry_after: Option<Duration>,
        retries: &Retries<'_>,
        next: Next,
    ) -> Error {
        let attempts = retries.attempts();
        span::failed(&self.span, &failure, attempts);
        let trace_id = failure.details().and_then(|details| details.trace_id.as_deref());
        let response = failure.status().map(|status| (status, failure.headers()));
        let report = report(self.defaults, attempts, self.start.elapsed(), response);
        Error::failed(Failed {
            operation: self.operation,
            name: self.subject.name.map(str::to_owned),
            user: self.subject.user.map(str::to_owned),
            report: report.or_trace_id(trace_id),
            retry_after,
            is_ambiguous: retries.is_ambiguous(),
            is_budget_used_up: next == Next::FailWithoutBudget,
            failure,
        })
    }
}

fn log_retry(operation: &Operation, failure: &Failure<ErrorBody>, wait: Duration, attempt: u32) {
    let operation = operation.id();
    // Not the u128 of `as_millis`: JSON loggers write it as a string.
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    // Not the server's message.
    let status;
    let outcome: &dyn Display = match failure {
        Failure::ErrorResponse(response) => {
            status = response.status();
            &status
        }
        _ => failure,
    };
    tracing::warn!(operation, attempt, %outcome, wait_ms, "retrying");
}

/// Parses `Retry-After`: a number of seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that overflows is longer than any timeout.
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    // A past date means no wait.
    Some(date.duration_since(Timestamp::now()).try_into().unwrap_or_default())
}
