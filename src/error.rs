//! Everything that can go wrong, as callers see it.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;

use crate::generated::types::ErrorModel;
use crate::retry::{Effect, is_transient};
use crate::{ErrorType, PathSegment};

/// What went wrong with a call, or with setting up a client.
///
/// There are three kinds of error. Either something was refused before anything was sent, and only
/// the message tells more; or no answer came ([`is_connect`](Self::is_connect),
/// [`is_timeout`](Self::is_timeout), and a [`source`](StdError::source)); or an answer came that is
/// no success, and [`status`](Self::status) and the accessors tell what the server said.
///
/// `Display` is one line: what was tried, what went wrong, and the trace id where there is one. The
/// causes below are in the source chain and not repeated in that line.
///
/// ```no_run
/// # async fn example(client: rockset_apikeys::Client) {
/// match client.get_api_key("my-app").await {
///     Ok(key) => println!("{} is {:?}", key.name, key.state),
///     Err(error) if error.is_not_found() => println!("there is no such key"),
///     Err(error) => println!("{error}"),
/// }
/// # }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    call: Option<(Action, Course)>,
    kind: Kind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

enum Kind {
    /// Refused here; nothing was sent.
    Refused(String),
    /// Sent, or not even that, and no whole answer came.
    Unanswered { timeout: bool, connect: bool },
    /// Answered, and not with a success that can be read. If it is a success, there is a source.
    Answered(ErrorModel),
}

/// What a call tried to do.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) operation: &'static str,
    pub(crate) name: Option<PathSegment>,
    /// The keys' owner, unless that is `self`.
    pub(crate) user: Option<PathSegment>,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        if let Some(name) = &self.name {
            write!(f, " {:?}", name.as_str())?;
        }
        if let Some(user) = &self.user {
            write!(f, " of user {:?}", user.as_str())?;
        }
        Ok(())
    }
}

/// How a call went.
#[derive(Clone, Copy)]
pub(crate) struct Course {
    pub(crate) effect: Effect,
    pub(crate) attempts: u32,
    /// The status of the last answer, also of one that broke off after it.
    pub(crate) status: Option<StatusCode>,
    pub(crate) retry_after: Option<Duration>,
    /// An attempt may have done what was asked for without an answer that says so.
    pub(crate) in_doubt: bool,
}

impl Course {
    /// What the server may have done although the call failed.
    fn doubt(&self) -> Option<&'static str> {
        let succeeded = self.status.is_some_and(|status| status.is_success());
        if !succeeded && !self.in_doubt {
            return None;
        }
        match self.effect {
            Effect::Reads => None,
            Effect::Creates => {
                Some("the key may exist all the same, so look for it before creating it again")
            }
            Effect::Updates => Some("the key may have been updated all the same"),
            Effect::Deletes if self.status == Some(StatusCode::NOT_FOUND) => {
                Some("an earlier attempt, without a clear answer, may have deleted it")
            }
            Effect::Deletes => Some("the key may have been deleted all the same"),
        }
    }
}

impl Error {
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::new(None, Kind::Refused(reason.into()), None)
    }

    pub(crate) fn refused_because(
        reason: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self::new(None, Kind::Refused(reason.into()), Some(Box::new(source)))
    }

    pub(crate) fn unanswered(action: Action, course: Course, cause: reqwest::Error) -> Self {
        let kind = Kind::Unanswered { timeout: cause.is_timeout(), connect: cause.is_connect() };
        // The text of the URL adds nothing to what the action says.
        Self::new(Some((action, course)), kind, Some(Box::new(cause.without_url())))
    }

    pub(crate) fn answered(action: Action, course: Course, model: ErrorModel) -> Self {
        Self::new(Some((action, course)), Kind::Answered(model), None)
    }

    pub(crate) fn unreadable(
        action: Action,
        course: Course,
        model: ErrorModel,
        cause: serde_json::Error,
    ) -> Self {
        Self::new(Some((action, course)), Kind::Answered(model), Some(Box::new(cause)))
    }

    fn new(
        call: Option<(Action, Course)>,
        kind: Kind,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Box::new(Inner { call, kind, source }))
    }

    fn course(&self) -> Option<&Course> {
        self.0.call.as_ref().map(|(_, course)| course)
    }

    fn model(&self) -> Option<&ErrorModel> {
        match &self.0.kind {
            Kind::Answered(model) => Some(model),
            _ => None,
        }
    }

    fn has_status(&self, status: StatusCode) -> bool {
        self.status() == Some(status)
    }

    /// The status of the answer to the last attempt, whatever its body was; `None` when no answer
    /// came.
    pub fn status(&self) -> Option<StatusCode> {
        self.course()?.status
    }

    /// How many attempts were made; 0 when the call was refused before anything was sent.
    pub fn attempts(&self) -> u32 {
        self.course().map_or(0, |course| course.attempts)
    }

    /// How long the server asked to wait before the next attempt, with `Retry-After`.
    ///
    /// The client waits by itself, unless the wait reaches past the call's
    /// [`timeout`](crate::ClientBuilder::timeout): then the error comes back at once. It counts
    /// from when the answer came.
    pub fn retry_after(&self) -> Option<Duration> {
        self.course()?.retry_after
    }

    /// What the server said went wrong, for people. Where the body is not what the contract says,
    /// such as a proxy's page of HTML, it is the beginning of its text; of a redirect, it is where
    /// that leads.
    pub fn message(&self) -> Option<&str> {
        self.model()?.message.as_deref()
    }

    /// What the server said went wrong, for programs.
    pub fn error_type(&self) -> Option<&ErrorType> {
        self.model()?.type_.as_ref()
    }

    /// The identifier of the request in the server's logs: what to give to whoever runs it.
    pub fn trace_id(&self) -> Option<&str> {
        self.model()?.trace_id.as_deref()
    }

    /// The identifier that the server gave this error.
    pub fn error_id(&self) -> Option<&str> {
        self.model()?.error_id.as_deref()
    }

    /// The identifier of the query that failed, where there was one.
    pub fn query_id(&self) -> Option<&str> {
        self.model()?.query_id.as_deref()
    }

    /// The line of the request's text in which the server found the error, from 1.
    pub fn line(&self) -> Option<i64> {
        self.model()?.line
    }

    /// The column of the request's text in which the server found the error, from 1.
    pub fn column(&self) -> Option<i64> {
        self.model()?.column
    }

    /// The request could not be understood, or a value in it cannot be used (400).
    ///
    /// The [`message`](Self::message) says which. What this crate refuses by itself has no status
    /// and is no bad request.
    pub fn is_bad_request(&self) -> bool {
        self.has_status(StatusCode::BAD_REQUEST)
    }

    /// The key that signs the requests is not valid (401).
    ///
    /// It is mistyped, belongs to another server, or was suspended, deleted, or has expired.
    pub fn is_unauthorized(&self) -> bool {
        self.has_status(StatusCode::UNAUTHORIZED)
    }

    /// The key that signs the requests may not do this (403).
    ///
    /// Its role or its owner's roles do not allow it; only an administrator touches the keys of
    /// others.
    pub fn is_forbidden(&self) -> bool {
        self.has_status(StatusCode::FORBIDDEN)
    }

    /// There is no such key or user (404).
    ///
    /// Where the name is right, the API server's path may be wrong.
    pub fn is_not_found(&self) -> bool {
        self.has_status(StatusCode::NOT_FOUND)
    }

    /// The request does not go with what there is (409).
    ///
    /// The user has a key of that name already, or a key is to be active that has expired.
    pub fn is_conflict(&self) -> bool {
        self.has_status(StatusCode::CONFLICT)
    }

    /// A limit is used up, or there were too many requests (429). Wait before the next call.
    pub fn is_rate_limited(&self) -> bool {
        self.has_status(StatusCode::TOO_MANY_REQUESTS)
    }

    /// The time ran out: one of the client's own limits, or the server or a gateway said so (408,
    /// 504).
    ///
    /// Whether the server may have acted, [`is_ambiguous`](Self::is_ambiguous) tells.
    pub fn is_timeout(&self) -> bool {
        match self.0.kind {
            Kind::Unanswered { timeout, .. } => timeout,
            Kind::Answered(_) => {
                self.has_status(StatusCode::REQUEST_TIMEOUT)
                    || self.has_status(StatusCode::GATEWAY_TIMEOUT)
            }
            Kind::Refused(_) => false,
        }
    }

    /// No connection was made in the last attempt.
    ///
    /// The server is down, its address is wrong, or its certificate is not trusted; the
    /// [`source`](StdError::source) says which.
    pub fn is_connect(&self) -> bool {
        matches!(self.0.kind, Kind::Unanswered { connect: true, .. })
    }

    /// The same call may be made again, and may succeed later: no whole answer came, or the status
    /// is 408, 429, 500, 502, 503 or 504.
    ///
    /// A creation that is [ambiguous](Self::is_ambiguous) is not retryable. Everything else that is
    /// was repeated by the client already, as far as its [`RetryPolicy`](crate::RetryPolicy), the
    /// time and its budget for repeats allowed.
    pub fn is_retryable(&self) -> bool {
        let Some(course) = self.course() else { return false };
        if course.effect == Effect::Creates && course.doubt().is_some() {
            return false;
        }
        match self.0.kind {
            Kind::Unanswered { .. } => true,
            Kind::Answered(_) => course.status.is_some_and(is_transient),
            Kind::Refused(_) => false,
        }
    }

    /// The server may have created, updated or deleted the key although the call failed.
    ///
    /// An attempt got no whole answer, or one that does not tell: a success that cannot be read, a
    /// 408, a 5xx other than 501 and a 503 with `Retry-After`. Look at the key before doing
    /// anything else. Retrievals and listings are never ambiguous.
    ///
    /// A deletion can be ambiguous and [not found](Self::is_not_found): the repeat found no key,
    /// maybe because the attempt before had deleted it.
    pub fn is_ambiguous(&self) -> bool {
        self.course().is_some_and(|course| course.doubt().is_some())
    }

    /// The server or a gateway before it failed (any status from 500 to 599).
    pub fn is_server_error(&self) -> bool {
        self.status().is_some_and(|status| status.is_server_error())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (action, course) = match (&self.0.kind, &self.0.call) {
            (Kind::Refused(reason), _) => return f.write_str(reason),
            (_, Some((action, course))) => (action, course),
            // Only what was refused is about no call.
            (_, None) => return f.write_str("the call failed"),
        };
        write!(f, "{action}: ")?;
        if let Some(status) = course.status {
            write!(f, "{status}")?;
        }
        match &self.0.kind {
            Kind::Refused(_) => {}
            Kind::Answered(model) => {
                if self.0.source.is_some() {
                    f.write_str(", with a body that cannot be used")?;
                }
                write_model(f, model)?;
            }
            Kind::Unanswered { .. } if course.status.is_some() => {
                f.write_str(", but the answer broke off")?;
            }
            Kind::Unanswered { connect: true, .. } => {
                f.write_str("the API server cannot be reached")?;
            }
            Kind::Unanswered { timeout: true, .. } => {
                f.write_str("no whole answer came within the time limit")?;
            }
            Kind::Unanswered { .. } => f.write_str("the connection failed")?,
        }
        if course.attempts > 1 {
            write!(f, "; {} attempts were made", course.attempts)?;
        }
        if let Some(wait) = course.retry_after {
            write!(f, "; the server asks to wait for {} s", wait.as_secs())?;
        }
        match course.doubt() {
            Some(doubt) => write!(f, "; {doubt}"),
            None => Ok(()),
        }
    }
}

/// Writes what the server said: its message, and what helps to find out more.
fn write_model(f: &mut fmt::Formatter<'_>, model: &ErrorModel) -> fmt::Result {
    if let Some(message) = &model.message {
        f.write_str(": ")?;
        write_on_one_line(f, message)?;
    }
    let details = [
        model.type_.as_ref().map(|it| ("", it.as_str())),
        model.trace_id.as_deref().map(|it| ("trace id ", it)),
    ];
    let mut separator = " (";
    for (label, text) in details.into_iter().flatten() {
        write!(f, "{separator}{label}")?;
        write_on_one_line(f, text)?;
        separator = ", ";
    }
    if separator == ", " { f.write_str(")") } else { Ok(()) }
}

/// Writes text that came from outside, so that it can neither break the line nor flood it.
fn write_on_one_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    const LONGEST: usize = 300;
    for (index, char) in text.chars().enumerate() {
        if index == LONGEST {
            return f.write_str("…");
        }
        write!(f, "{}", if char.is_control() || char.is_whitespace() { ' ' } else { char })?;
    }
    Ok(())
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("display", &format_args!("{self}"));
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
