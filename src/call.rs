//! One call: its attempts, until one settles it or its time ends; its span; and the error that it
//! ends in. How a request is sent is in `hook`, what may be retried is decided in `retry`.

use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;

use http_body_util::LengthLimitError;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, Span};

use crate::connect::Reason;
use crate::error::{Earlier, Error, Failed, Failure};
use crate::generated::{self, ErrorBody, ResponseValue};
use crate::operation::Operation;
use crate::retry::{Budget, Outcome, Retries, RetryPolicy};
use crate::span::{self, Unfinished};

/// What all calls of a client share.
pub(crate) struct Settings {
    pub(crate) server: Url,
    pub(crate) timeout: Duration,
    pub(crate) max_response_bytes: usize,
    pub(crate) retry_policy: RetryPolicy,
    pub(crate) budget: Budget,
}

/// What a call is about, for the text of its error.
#[derive(Clone, Copy, Default)]
pub(crate) struct Subject<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) user: Option<&'a str>,
}

/// Makes a call that may take this time: `send` makes and sends the generated request, once for
/// each attempt.
pub(crate) async fn run<T, F>(
    settings: &Settings,
    operation: &'static Operation,
    subject: Subject<'_>,
    time: Option<Duration>,
    send: impl Fn() -> F,
) -> Result<ResponseValue<T>, Error>
where
    F: Future<Output = Result<ResponseValue<T>, generated::Error<ErrorBody>>>,
{
    let time = time.unwrap_or(settings.timeout);
    if time.is_zero() {
        return Err(Error::not_sent(operation, "the timeout is zero"));
    }
    if Handle::try_current().is_err() {
        let reason = "no tokio runtime runs this code; await the call in one, or use the feature \
                      `blocking`";
        return Err(Error::not_sent(operation, reason));
    }
    let span = span::of_call(operation, &settings.server);
    let unfinished = Unfinished::new(&span);
    let attempts = attempts(settings, operation, subject, time, send, &span);
    let outcome = attempts.instrument(span.clone()).await;
    unfinished.finished();
    outcome
}

async fn attempts<T, F>(
    settings: &Settings,
    operation: &'static Operation,
    subject: Subject<'_>,
    time: Duration,
    send: impl Fn() -> F,
    span: &Span,
) -> Result<ResponseValue<T>, Error>
where
    F: Future<Output = Result<ResponseValue<T>, generated::Error<ErrorBody>>>,
{
    let start = Instant::now();
    let left = || time.saturating_sub(start.elapsed());
    let mut retries = Retries::new(&settings.retry_policy, &settings.budget, operation.kind());
    let mut previous = None;
    loop {
        // The HTTP client has the timeout of an attempt.
        let failure = match timeout(left(), send()).await {
            Ok(Ok(response)) => {
                span::succeeded(span, response.status(), response.headers(), retries.settled());
                return Ok(response);
            }
            Ok(Err(error)) => match failure(error, operation, settings).await {
                Ok(failure) => failure,
                Err(rejected) => {
                    span::rejected(span);
                    return Err(rejected);
                }
            },
            Err(elapsed) => Failure::Timeout(match previous.take() {
                Some(failure) => Earlier(failure).into(),
                None => elapsed.into(),
            }),
        };
        let outcome = failure.outcome();
        let Some(wait) = retries.wait_after(&outcome, left()) else {
            span::failed(span, &failure, retries.attempts());
            return Err(Error::failed(Failed {
                operation,
                name: subject.name.map(str::to_owned),
                user: subject.user.map(str::to_owned),
                attempts: retries.attempts(),
                is_ambiguous: retries.is_ambiguous(),
                failure,
            }));
        };
        retrying(operation, &outcome, wait, retries.attempts());
        previous = Some(failure);
        sleep(wait).await;
    }
}

fn retrying(operation: &Operation, outcome: &Outcome, wait: Duration, attempt: u32) {
    let operation = operation.id();
    // The 128 bits of `as_millis` would be text in JSON.
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    tracing::warn!(operation, attempt, %outcome, wait_ms, "retrying");
}

/// Finds out how an attempt failed; the error is that of a request that was not sent.
async fn failure(
    error: generated::Error<ErrorBody>,
    operation: &'static Operation,
    settings: &Settings,
) -> Result<Failure, Error> {
    use generated::Error as Generated;
    let success = StatusCode::from_u16(operation.success).unwrap_or_default();
    Ok(match error {
        Generated::ErrorResponse(response) => Failure::Response {
            status: response.status(),
            retry_after: retry_after(response.headers()),
            details: response.into_inner(),
        },
        // The contract does not document this status. The body of a success could be anything; all
        // others have been made an error model.
        Generated::UnexpectedResponse(response) => {
            let (status, retry_after) = (response.status(), retry_after(response.headers()));
            let details = match status.is_success() {
                true => ErrorBody::default(),
                false => response.json().await.unwrap_or_default(),
            };
            Failure::Response { status, retry_after, details }
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
