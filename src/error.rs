//! Everything that can go wrong, as callers see it.

use std::error::Error as StdError;
use std::fmt;

use reqwest::StatusCode;

use crate::generated::types::ErrorModel;
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
    attempt: Option<Attempt>,
    kind: Kind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

enum Kind {
    /// Refused here; nothing was sent.
    Refused(String),
    /// Sent, or not even that, and no whole answer came. With a status, the answer broke off after
    /// it.
    Unanswered { timeout: bool, connect: bool, status: Option<StatusCode> },
    /// Answered, and not with a success that can be read. Without a model, the body cannot be read.
    Answered { status: StatusCode, model: Option<ErrorModel> },
}

/// What a call tried to do, for the error's text.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) operation: &'static str,
    pub(crate) name: Option<PathSegment>,
    /// The keys' owner, unless that is `self`.
    pub(crate) user: Option<PathSegment>,
}

impl fmt::Display for Attempt {
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

    pub(crate) fn unanswered(
        attempt: Attempt,
        status: Option<StatusCode>,
        error: reqwest::Error,
    ) -> Self {
        let (timeout, connect) = (error.is_timeout(), error.is_connect());
        let kind = Kind::Unanswered { timeout, connect, status };
        // The text of the URL adds nothing to what the attempt says.
        Self::new(Some(attempt), kind, Some(Box::new(error.without_url())))
    }

    pub(crate) fn answered(attempt: Attempt, status: StatusCode, model: ErrorModel) -> Self {
        Self::new(Some(attempt), Kind::Answered { status, model: Some(model) }, None)
    }

    pub(crate) fn unreadable(
        attempt: Attempt,
        status: StatusCode,
        error: &serde_json::Error,
    ) -> Self {
        let kind = Kind::Answered { status, model: None };
        Self::new(Some(attempt), kind, Some(Box::new(UnreadableBody::from(error))))
    }

    pub(crate) fn too_large(attempt: Attempt, status: StatusCode, limit: usize) -> Self {
        let kind = Kind::Answered { status, model: None };
        Self::new(Some(attempt), kind, Some(Box::new(UnreadableBody::TooLarge { limit })))
    }

    fn new(
        attempt: Option<Attempt>,
        kind: Kind,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Box::new(Inner { attempt, kind, source }))
    }

    fn model(&self) -> Option<&ErrorModel> {
        match &self.0.kind {
            Kind::Answered { model, .. } => model.as_ref(),
            _ => None,
        }
    }

    fn has_status(&self, status: StatusCode) -> bool {
        self.status() == Some(status)
    }

    /// The status of the answer, whatever its body was; `None` when no answer came.
    pub fn status(&self) -> Option<StatusCode> {
        match self.0.kind {
            Kind::Answered { status, .. } => Some(status),
            Kind::Unanswered { status, .. } => status,
            Kind::Refused(_) => None,
        }
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

    /// The user has a key of that name already (409).
    pub fn is_conflict(&self) -> bool {
        self.has_status(StatusCode::CONFLICT)
    }

    /// A limit is used up, or there were too many requests (429). Wait before the next call.
    pub fn is_rate_limited(&self) -> bool {
        self.has_status(StatusCode::TOO_MANY_REQUESTS)
    }

    /// The time ran out: the client's own limit, or the server or a gateway said so (408, 504).
    ///
    /// The server may have done what was asked for all the same.
    pub fn is_timeout(&self) -> bool {
        match self.0.kind {
            Kind::Unanswered { timeout, .. } => timeout,
            Kind::Answered { status, .. } => {
                matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT)
            }
            Kind::Refused(_) => false,
        }
    }

    /// No connection was made, so the server did nothing.
    ///
    /// The server is down, its address is wrong, or its certificate is not trusted; the
    /// [`source`](StdError::source) says which.
    pub fn is_connect(&self) -> bool {
        matches!(self.0.kind, Kind::Unanswered { connect: true, .. })
    }

    /// The same call may succeed later: no answer came, a success broke off, or the status is 408,
    /// 429, 500, 502, 503 or 504.
    ///
    /// It may also have succeeded already: a create after which no answer came may have made the
    /// key, and says 409 when it is repeated.
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            Kind::Unanswered { status: None, .. } => true,
            Kind::Unanswered { status: Some(status), .. } if status.is_success() => true,
            Kind::Unanswered { status: Some(status), .. } | Kind::Answered { status, .. } => {
                matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
            }
            Kind::Refused(_) => false,
        }
    }

    /// The server or a gateway before it failed (any status from 500 to 599).
    pub fn is_server_error(&self) -> bool {
        self.status().is_some_and(|status| status.is_server_error())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(attempt) = &self.0.attempt {
            write!(f, "{attempt}: ")?;
        }
        let (status, model) = match &self.0.kind {
            Kind::Refused(reason) => return f.write_str(reason),
            Kind::Unanswered { timeout: true, .. } => {
                return f.write_str("no whole answer came within the time limit");
            }
            Kind::Unanswered { connect: true, .. } => {
                return f.write_str("the API server cannot be reached");
            }
            Kind::Unanswered { status: Some(status), .. } => {
                return write!(f, "{status}, but the answer broke off");
            }
            Kind::Unanswered { .. } => return f.write_str("the connection failed"),
            Kind::Answered { status, model } => (status, model),
        };
        write!(f, "{status}")?;
        let Some(model) = model else {
            return f.write_str(", with a body that cannot be used");
        };
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
}

/// Writes text that came from outside, so that it can neither break the line nor flood it.
fn write_on_one_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    const LONGEST: usize = 300;
    for (index, char) in text.chars().enumerate() {
        if index == LONGEST {
            return f.write_str("…");
        }
        write!(f, "{}", if char.is_control() { ' ' } else { char })?;
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

/// Why a body cannot be used. It stands in for the parser's own error, whose text can quote the
/// body, and with it a key.
#[derive(Debug)]
enum UnreadableBody {
    Malformed { reason: &'static str, line: usize, column: usize },
    TooLarge { limit: usize },
}

impl From<&serde_json::Error> for UnreadableBody {
    fn from(error: &serde_json::Error) -> Self {
        let reason = match error.classify() {
            serde_json::error::Category::Data => "the JSON is not of the shape that it should be",
            serde_json::error::Category::Eof => "the JSON breaks off",
            _ => "it is no JSON",
        };
        Self::Malformed { reason, line: error.line(), column: error.column() }
    }
}

impl fmt::Display for UnreadableBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { reason, line, column } => {
                write!(f, "{reason}, at line {line} column {column}")
            }
            Self::TooLarge { limit } => write!(f, "it is larger than the limit of {limit} bytes"),
        }
    }
}

impl StdError for UnreadableBody {}
