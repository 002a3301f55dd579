//! The one place that every request passes: it is signed and sent, as often as is safe and as long
//! as there is time, and what comes of it becomes a value or an [`Error`]. What may be repeated is
//! decided by `retry`, what an answer says is found by `answer`, and what the operations are is not
//! known here.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use progenitor_client::{ClientHooks, ClientInfo, OperationInfo, ResponseValue};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Request, Response, StatusCode};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::answer::{self, Context};
use crate::error::{Action, Course};
use crate::generated::types::ErrorModel;
use crate::retry::{Budget, Effect, Outcome, Retries};
use crate::{Error, RetryPolicy, generated, span};

/// What the generated client carries for its requests to be signed and watched.
#[derive(Clone)]
pub struct Transport {
    settings: Arc<Settings>,
    timeout: Duration,
    /// How the one call went that this client was copied for.
    course: Option<Arc<OnceLock<Course>>>,
}

/// What all calls of a client share.
pub(crate) struct Settings {
    pub(crate) authorization: HeaderValue,
    pub(crate) attempt_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) max_response_bytes: usize,
    pub(crate) retry_policy: RetryPolicy,
    pub(crate) budget: Budget,
}

impl Transport {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { timeout: settings.timeout, settings: Arc::new(settings), course: None }
    }

    /// Sends the request, as often as it takes and may be.
    async fn send(
        &self,
        http: &reqwest::Client,
        mut request: Request,
        operation: &'static str,
        span: &Span,
    ) -> reqwest::Result<Response> {
        let settings = &self.settings;
        let start = Instant::now();
        let effect = Effect::of(operation);
        let mut retries = Retries::new(&settings.retry_policy, &settings.budget, effect);
        loop {
            let again = request.try_clone();
            let left = self.timeout.saturating_sub(start.elapsed());
            let attempt = self.attempt(http, request, left, span).await;
            let left = self.timeout.saturating_sub(start.elapsed());
            let wait = retries.wait_after(&attempt.outcome, left);
            if let (Some(wait), Some(again)) = (wait, again) {
                let (outcome, wait_ms) = (attempt.outcome, wait.as_millis());
                let attempt = retries.attempts();
                tracing::warn!(operation, attempt, %outcome, wait_ms, "the call is repeated");
                tokio::time::sleep(wait).await;
                request = again;
                continue;
            }
            let course = Course {
                attempts: retries.attempts(),
                status: attempt.status,
                retry_after: attempt.outcome.retry_after(),
                effect,
                in_doubt: retries.in_doubt(),
            };
            span::completed(span, &attempt.outcome, attempt.status, course.attempts);
            if let Some(of_call) = &self.course {
                // A copy of the client lives for one call, so that nothing is there yet.
                let _ = of_call.set(course);
            }
            return attempt.response;
        }
    }

    /// Sends the request once and reads the answer.
    async fn attempt(
        &self,
        http: &reqwest::Client,
        mut request: Request,
        left: Duration,
        span: &Span,
    ) -> Attempt {
        *request.timeout_mut() = Some(left.min(self.settings.attempt_timeout));
        let url = request.url().clone();
        let mut response = match http.execute(request).await {
            Ok(response) => response,
            Err(error) => return Attempt::failed(None, error),
        };
        let status = response.status();
        let limit = self.settings.max_response_bytes;
        let mut body = Vec::new();
        let over_limit = loop {
            match response.chunk().await {
                Ok(Some(chunk)) if chunk.len() > limit.saturating_sub(body.len()) => {
                    break Some(limit);
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break None,
                // Of an error's body, what came is better than nothing.
                Err(error) if status.is_success() => return Attempt::failed(Some(status), error),
                Err(_) => break None,
            }
        };
        let retry_after = answer::retry_after(response.headers());
        let (mut head, _) = http::Response::<reqwest::Body>::from(response).into_parts();
        let authorization = self.settings.authorization.clone();
        let context = Context { authorization, url, over_limit, span: span.clone() };
        context.hide_key_in(&mut head.headers);
        head.extensions.insert(context);
        Attempt {
            outcome: Outcome::Answered { status, retry_after },
            status: Some(status),
            response: Ok(http::Response::from_parts(head, body).into()),
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

/// What came of sending a request once.
struct Attempt {
    outcome: Outcome,
    /// Also there when the body broke off after it.
    status: Option<StatusCode>,
    response: reqwest::Result<Response>,
}

impl Attempt {
    fn failed(status: Option<StatusCode>, error: reqwest::Error) -> Self {
        let outcome = if error.is_connect() {
            Outcome::Unreachable
        } else {
            Outcome::Unanswered { timeout: error.is_timeout() }
        };
        Self { outcome, status, response: Err(error) }
    }
}

impl ClientHooks<Transport> for generated::Client {
    async fn exec(
        &self,
        mut request: Request,
        operation: &OperationInfo,
    ) -> reqwest::Result<Response> {
        let transport = self.inner();
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, transport.settings.authorization.clone());
        // The generator adds it to every request; the vendor's clients do not send it.
        headers.remove("api-version");
        let operation = operation.operation_id;
        let span = span::of_call(&request, operation);
        let sent = transport.send(self.client(), request, operation, &span);
        sent.instrument(span.clone()).await
    }
}

/// One call: a copy of the generated client with a course of its own.
pub(crate) struct Call {
    action: Action,
    generated: generated::Client,
    course: Arc<OnceLock<Course>>,
}

impl Call {
    /// A call by this client that may take this long, or as long as the client's calls may.
    pub(crate) fn new(
        generated: &generated::Client,
        action: Action,
        timeout: Option<Duration>,
    ) -> Self {
        let mut generated = generated.clone();
        let course = Arc::new(OnceLock::new());
        generated.inner.course = Some(Arc::clone(&course));
        if let Some(timeout) = timeout {
            generated.inner.timeout = timeout;
        }
        Self { action, generated, course }
    }

    pub(crate) fn generated(&self) -> &generated::Client {
        &self.generated
    }

    /// Runs the generated request, and makes a value or an error of what comes of it.
    pub(crate) async fn run<T>(
        &self,
        request: impl Future<Output = Result<ResponseValue<T>, generated::Error<ErrorModel>>>,
    ) -> Result<T, Error> {
        if self.generated.inner.timeout.is_zero() {
            let action = &self.action;
            return Err(Error::refused(format!(
                "{action}: its time limit is zero; nothing was sent"
            )));
        }
        request.await.map(ResponseValue::into_inner).map_err(|error| self.error(error))
    }

    fn error(&self, error: generated::Error<ErrorModel>) -> Error {
        use generated::Error as Generated;
        let action = self.action.clone();
        let course = self.course.get().copied().unwrap_or(Course {
            // Nothing got as far as being sent.
            effect: Effect::of(action.operation),
            attempts: 0,
            status: None,
            retry_after: None,
            in_doubt: false,
        });
        match error {
            Generated::ErrorResponse(answer) => {
                Error::answered(action, course, answer.into_inner())
            }
            Generated::InvalidResponsePayload(excerpt, cause) => {
                let excerpt = String::from_utf8_lossy(&excerpt);
                let message = (!excerpt.is_empty()).then(|| excerpt.into_owned());
                let model = ErrorModel { message, ..ErrorModel::default() };
                Error::unreadable(action, course, model, cause)
            }
            Generated::CommunicationError(cause)
            | Generated::ResponseBodyError(cause)
            | Generated::InvalidUpgrade(cause) => Error::unanswered(action, course, cause),
            Generated::UnexpectedResponse(_) => {
                Error::answered(action, course, ErrorModel::default())
            }
            Generated::InvalidRequest(reason) | Generated::Custom(reason) => Error::refused(reason),
        }
    }
}
