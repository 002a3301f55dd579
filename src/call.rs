//! One call: its attempts, until one settles it or its time ends; its span; and the error that it
//! ends in. How a request is sent is in `hook`, what may be retried is decided in `retry`.

use std::error::Error as StdError;
use std::future::Future;
use std::panic;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http_body_util::LengthLimitError;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::{Instrument, Span};

use crate::authorization;
use crate::connect::Reason;
use crate::credentials::Credentials;
use crate::error::{Earlier, Error, Failed, Failure};
use crate::generated::{self, ErrorBody, ResponseValue};
use crate::operation::Operation;
use crate::report::CallReport;
use crate::retry::{Next, Outcome, Retries, RetryBudget, RetryPolicy};
use crate::span::{self, Unfinished};

/// The longest time of a call, 30 years; the clock could not add some.
const LONGEST: Duration = Duration::from_secs(946_080_000);

/// What all calls of a client share.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) server: Url,
    pub(crate) credentials: Credentials,
    pub(crate) timeout: Duration,
    pub(crate) max_response_bytes: usize,
    pub(crate) retry_policy: RetryPolicy,
    pub(crate) retry_budget: RetryBudget,
}

/// What one call has in place of the client's settings.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry_policy: Option<RetryPolicy>,
    pub(crate) headers: HeaderMap,
    /// Why a setting of the call is not valid.
    pub(crate) invalid: Option<String>,
}

/// What a call is about, for the text of its error.
#[derive(Clone, Copy, Default)]
pub struct Subject<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) user: Option<&'a str>,
}

/// A success, and what it took.
pub struct Sent<T> {
    pub(crate) response: Box<ResponseValue<T>>,
    attempts: u32,
    start: Instant,
}

impl<T> Sent<T> {
    pub(crate) fn report(&self, settings: &Settings) -> CallReport {
        let response = Some((self.response.status(), self.response.headers()));
        report(settings, self.attempts, self.start.elapsed(), response)
    }
}

fn report(
    settings: &Settings,
    attempts: u32,
    elapsed: Duration,
    response: Option<(StatusCode, &HeaderMap)>,
) -> CallReport {
    let authorization = settings.credentials.authorization().current();
    let key = authorization.as_ref().and_then(authorization::key);
    CallReport::new(attempts, elapsed, response, key)
}

/// What an attempt comes to.
pub(crate) type Attempt<T> = Result<ResponseValue<T>, generated::Error<ErrorBody>>;

/// Makes a call: `send` makes and sends the generated request, once for each attempt.
pub(crate) async fn run<T, F>(
    settings: &Settings,
    operation: &'static Operation,
    subject: Subject<'_>,
    options: &Options,
    send: impl Fn() -> F,
) -> Result<Sent<T>, Error>
where
    F: Future<Output = Attempt<T>>,
{
    let (start, time) = (Instant::now(), options.timeout.unwrap_or(settings.timeout));
    if let Some(reason) = obstacle(options, start, time) {
        return Err(Error::not_sent(operation, reason));
    }
    let call = Call {
        settings,
        operation,
        subject,
        policy: options.retry_policy.as_ref().unwrap_or(&settings.retry_policy),
        span: span::of_call(operation, &settings.server),
        start,
        deadline: start + time.min(LONGEST),
    };
    let unfinished = Unfinished::new(&call.span);
    let outcome = pin!(call.attempts(&send)).instrument(call.span.clone()).await;
    unfinished.finished();
    if outcome.as_ref().is_err_and(Error::is_invalid_input) {
        span::rejected(&call.span);
    }
    outcome
}

/// Returns why a call cannot be made.
fn obstacle(options: &Options, start: Instant, time: Duration) -> Option<&str> {
    Some(if let Some(reason) = &options.invalid {
        reason
    } else if time.is_zero() {
        "the timeout is zero"
    } else if Handle::try_current().is_err() {
        "no tokio runtime runs this code; await the call in one, or use the feature `blocking`"
    // Panics in a runtime without timers, as documented; nothing else tells.
    } else if panic::catch_unwind(|| drop(sleep_until(start))).is_err() {
        "the tokio runtime that runs this code has no timers; build it with `enable_all`"
    } else {
        return None;
    })
}

/// A call that has begun.
struct Call<'a> {
    settings: &'a Settings,
    operation: &'static Operation,
    subject: Subject<'a>,
    policy: &'a RetryPolicy,
    span: Span,
    start: Instant,
    deadline: Instant,
}

impl Call<'_> {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    async fn attempts<T, F>(&self, send: &impl Fn() -> F) -> Result<Sent<T>, Error>
    where
        F: Future<Output = Attempt<T>>,
    {
        let credentials = &self.settings.credentials;
        let mut retries =
            Retries::new(self.policy, &self.settings.retry_budget, self.operation.kind());
        let mut previous: Option<Box<Failure>> = None;
        let mut has_new_key = false;
        credentials.refresh(|| self.left()).await?;
        loop {
            // The HTTP client has the timeout of an attempt. Two small boxes cost less than one.
            let result = match timeout_at(self.deadline, self.attempt(Box::pin(send()))).await {
                Ok(outcome) => outcome?,
                Err(elapsed) => Err(Box::new(Failure::Timeout(match previous.take() {
                    Some(failure) => Earlier(*failure).into(),
                    None => elapsed.into(),
                }))),
            };
            let failure = match result {
                Ok(response) => {
                    let attempts = retries.succeeded();
                    span::succeeded(&self.span, response.status(), response.headers(), attempts);
                    return Ok(Sent { response, attempts, start: self.start });
                }
                Err(failure) => failure,
            };
            let outcome = failure.outcome();
            let is_unauthorized = failure.status() == Some(StatusCode::UNAUTHORIZED);
            if is_unauthorized && !has_new_key && credentials.has_another(|| self.left()).await {
                has_new_key = true;
                retries.unauthorized();
                retrying(self.operation, &outcome, Duration::ZERO, retries.attempts());
                previous = Some(failure);
                continue;
            }
            let next = retries.failed(&outcome, self.left());
            let Next::RetryAfter(wait) = next else {
                return Err(self.failed(*failure, &retries, next));
            };
            retrying(self.operation, &outcome, wait, retries.attempts());
            previous = Some(failure);
            sleep(wait).await;
            credentials.refresh(|| self.left()).await?;
        }
    }

    /// Makes an attempt, or fails if nothing can be sent. The outcome is passed on several times,
    /// and so in a box.
    async fn attempt<T>(
        &self,
        sending: impl Future<Output = Attempt<T>>,
    ) -> Result<Result<Box<ResponseValue<T>>, Box<Failure>>, Error> {
        Ok(match sending.await {
            Ok(response) => Ok(Box::new(response)),
            Err(error) => Err(Box::new(failure(error, self.operation, self.settings)?)),
        })
    }

    fn failed(&self, failure: Failure, retries: &Retries<'_>, next: Next) -> Error {
        let attempts = retries.attempts();
        span::failed(&self.span, &failure, attempts);
        let trace_id = failure.details().and_then(|details| details.trace_id.as_deref());
        let report = report(self.settings, attempts, self.start.elapsed(), failure.response());
        Error::failed(Failed {
            operation: self.operation,
            name: self.subject.name.map(str::to_owned),
            user: self.subject.user.map(str::to_owned),
            report: report.or_trace_id(trace_id),
            is_ambiguous: retries.is_ambiguous(),
            is_budget_used_up: next == Next::FailWithoutBudget,
            failure,
        })
    }
}

fn retrying(operation: &Operation, outcome: &Outcome, wait: Duration, attempt: u32) {
    let operation = operation.id();
    // The 128 bits of `as_millis` would be text in JSON.
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    tracing::warn!(operation, attempt, %outcome, wait_ms, "retrying");
}

/// Finds out how an attempt failed; the error is that of a request that was not sent.
fn failure(
    error: generated::Error<ErrorBody>,
    operation: &'static Operation,
    settings: &Settings,
) -> Result<Failure, Error> {
    use generated::Error as Generated;
    let success = StatusCode::from_u16(operation.success).unwrap_or_default();
    Ok(match error {
        Generated::ErrorResponse(response) => Failure::Response {
            status: response.status(),
            headers: response.headers().clone(),
            retry_after: retry_after(response.headers()),
            details: response.into_inner(),
        },
        // The contract does not document this status. The body of a success could be anything; all
        // others have been made an error model.
        Generated::UnexpectedResponse(response) => {
            let (status, headers) = (response.status(), response.headers().clone());
            let retry_after = retry_after(&headers);
            let details = match status.is_success() {
                true => ErrorBody::default(),
                // In memory, and so there at once.
                false => {
                    match pin!(response.json()).poll(&mut Context::from_waker(Waker::noop())) {
                        Poll::Ready(details) => details.unwrap_or_default(),
                        Poll::Pending => ErrorBody::default(),
                    }
                }
            };
            Failure::Response { status, headers, retry_after, details }
        }
        // Only the body of a success can fail to decode.
        Generated::InvalidResponsePayload(excerpt, source) => {
            let excerpt = String::from_utf8_lossy(&excerpt).into_owned();
            let message = Some(excerpt).filter(|excerpt| !excerpt.is_empty());
            let details = ErrorBody { message, ..ErrorBody::default() };
            Failure::Body { status: success, details, source: source.into() }
        }
        Generated::ResponseBodyError(source) if is_over_limit(&source) => {
            let limit = settings.max_response_bytes;
            let source = format!("the body is larger than the limit of {limit} bytes").into();
            Failure::Body { status: success, details: ErrorBody::default(), source }
        }
        Generated::ResponseBodyError(source) => {
            Failure::CutOff { status: success, source: source.without_url() }
        }
        Generated::CommunicationError(source) | Generated::InvalidUpgrade(source) => {
            let has_url = source.url().is_some();
            let source = source.without_url();
            if source.is_builder() && !has_url {
                let reason = "the HTTP client cannot be set up; nothing was sent";
                return Err(Error::rejected_because(
                    format!("{}: {reason}", operation.id()),
                    source,
                ));
            }
            if source.is_builder() {
                let reason = "the URL is too long; use a shorter name or user";
                return Err(Error::not_sent(operation, reason));
            }
            if source.is_connect() {
                let server = settings.server.origin().ascii_serialization();
                Failure::Connect { server, reason: Reason::of(&source), source }
            } else if source.is_timeout() {
                Failure::Timeout(source.into())
            } else {
                Failure::Connection(source)
            }
        }
        Generated::InvalidRequest(reason) | Generated::Custom(reason) => {
            return Err(Error::not_sent(operation, reason));
        }
    })
}

fn is_over_limit(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Reads how long the response asks to wait: a number of seconds, or until a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that is too large is too long to wait for.
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    // A past date asks for no wait.
    Some(date.duration_since(Timestamp::now()).try_into().unwrap_or_default())
}
