//! The error of calls and of settings, as callers see it. What is retried is decided in `retry`.

use std::error::Error as StdError;
use std::fmt;
use std::iter;
use std::sync::LazyLock;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::connect::Reason;
use crate::generated::ErrorBody;
use crate::operation::{Operation, OperationKind};
use crate::report::CallReport;
use crate::retry::Outcome;

type Source = Box<dyn StdError + Send + Sync>;

/// The error of a call, or of setting up a client.
///
/// Either the input or a setting was invalid, so nothing was sent
/// ([`is_invalid_input`](Self::is_invalid_input)), or a call failed: classify it with the `is_*` methods.
///
/// `Display` is one line: the operation, what went wrong, and the trace id that finds the request
/// in the server's log, if there is one. It does not repeat the [`source`](StdError::source).
/// `Debug` adds the causes, one per line, for `unwrap` and for `fn main() -> Result<(), Error>`:
///
/// ```text
/// Error: list_api_keys: cannot connect to http://127.0.0.1:8080: connection refused (is the server
/// running?); 4 attempts were made
///
/// Caused by:
///     error sending request
///     client error (Connect)
///     tcp connect error
///     Connection refused (os error 111)
/// ```
///
/// Neither shows a key. Match the classes that the program handles, and return the others:
///
/// ```no_run
/// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
/// match client.create_api_key("my-app").await {
///     Ok(created) => println!("created {}", created.name),
///     Err(error) if error.is_conflict() => println!("the key exists"),
///     Err(error) if error.is_ambiguous() => println!("look it up before retrying: {error}"),
///     Err(error) if error.is_retryable() => println!("try again later: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
///
/// When this error is returned, the client has made all the retries that are safe and permitted:
/// [`RetryPolicy`](crate::RetryPolicy) says which.
pub struct Error(Repr);

enum Repr {
    Rejected(Box<Rejected>),
    Failed(Box<Failed>),
}

/// Invalid input or settings: nothing was sent.
struct Rejected {
    reason: String,
    source: Option<Source>,
}

/// A call that failed.
pub(crate) struct Failed {
    pub(crate) operation: &'static Operation,
    pub(crate) name: Option<String>,
    /// The owner, unless it is the caller.
    pub(crate) user: Option<String>,
    pub(crate) report: CallReport,
    /// Whether an attempt may have been applied.
    pub(crate) is_ambiguous: bool,
    /// Whether only the retry budget forbade a retry.
    pub(crate) is_budget_used_up: bool,
    /// How the last attempt failed.
    pub(crate) failure: Failure,
}

/// How an attempt failed.
pub(crate) enum Failure {
    /// No connection was made to this server.
    Connect { server: String, reason: Reason, source: reqwest::Error },
    /// The time ran out.
    Timeout(Source),
    /// The connection failed before a response arrived.
    Connection(reqwest::Error),
    /// The connection failed within the body of a success.
    CutOff { status: StatusCode, source: reqwest::Error },
    /// A success whose body is invalid. The details have the beginning of its text.
    Body { status: StatusCode, details: ErrorBody, source: Source },
    /// An error response, or one with a status that the contract does not document.
    Response {
        status: StatusCode,
        headers: HeaderMap,
        retry_after: Option<Duration>,
        details: ErrorBody,
    },
}

impl Failure {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Connect { reason, .. } => {
                Outcome::NotConnected { is_permanent: reason.is_permanent() }
            }
            Self::Timeout(_) => Outcome::NoResponse { timeout: true },
            Self::Connection(_) => Outcome::NoResponse { timeout: false },
            Self::CutOff { source, .. } => Outcome::NoResponse { timeout: source.is_timeout() },
            Self::Body { status, .. } => Outcome::Response { status: *status, retry_after: None },
            Self::Response { status, retry_after, .. } => {
                Outcome::Response { status: *status, retry_after: *retry_after }
            }
        }
    }

    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::CutOff { status, .. }
            | Self::Body { status, .. }
            | Self::Response { status, .. } => Some(*status),
            Self::Connect { .. } | Self::Timeout(_) | Self::Connection(_) => None,
        }
    }

    /// The status and the headers of the response, as far as there are any.
    pub(crate) fn response(&self) -> Option<(StatusCode, &HeaderMap)> {
        static NONE: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
        let headers = match self {
            Self::Response { headers, .. } => headers,
            _ => &NONE,
        };
        Some((self.status()?, headers))
    }

    pub(crate) fn details(&self) -> Option<&ErrorBody> {
        match self {
            Self::Response { details, .. } | Self::Body { details, .. } => Some(details),
            _ => None,
        }
    }

    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Connect { source, .. }
            | Self::Connection(source)
            | Self::CutOff { source, .. } => Some(source),
            Self::Timeout(source) | Self::Body { source, .. } => Some(&**source),
            Self::Response { .. } => None,
        }
    }
}

/// The attempt before one that had no time to end.
pub(crate) struct Earlier(pub(crate) Failure);

impl fmt::Display for Earlier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the attempt before: {}", self.0)
    }
}

impl fmt::Debug for Earlier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Earlier {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl Failed {
    /// Says what may have happened although the call failed.
    fn ambiguity(&self) -> Option<&'static str> {
        if !self.is_ambiguous {
            return None;
        }
        match self.operation.kind() {
            OperationKind::Read => None,
            OperationKind::Create if self.failure.status() == Some(StatusCode::CONFLICT) => {
                Some("an earlier attempt may have created it; look it up")
            }
            OperationKind::Create => Some("it may have been created; look it up before retrying"),
            OperationKind::Update => Some("it may have been updated"),
            OperationKind::Delete if self.failure.status() == Some(StatusCode::NOT_FOUND) => {
                Some("an earlier attempt may already have deleted it")
            }
            OperationKind::Delete => Some("it may have been deleted"),
        }
    }
}

impl Error {
    pub(crate) fn rejected(reason: impl Into<String>) -> Self {
        let rejected = Rejected { reason: reason.into(), source: None };
        Self(Repr::Rejected(Box::new(rejected)))
    }

    pub(crate) fn rejected_because(reason: impl Into<String>, source: impl Into<Source>) -> Self {
        let rejected = Rejected { reason: reason.into(), source: Some(source.into()) };
        Self(Repr::Rejected(Box::new(rejected)))
    }

    /// A call that was rejected before sending.
    pub(crate) fn not_sent(operation: &Operation, reason: impl fmt::Display) -> Self {
        Self::rejected(format!("{}: {reason}; nothing was sent", operation.id()))
    }

    pub(crate) fn failed(failed: Failed) -> Self {
        Self(Repr::Failed(Box::new(failed)))
    }

    /// A call whose one attempt got this error response.
    #[cfg(feature = "httpmock")]
    pub(crate) fn response(
        operation: &'static Operation,
        status: StatusCode,
        details: ErrorBody,
    ) -> Self {
        let headers = HeaderMap::new();
        let report = CallReport::new(1, Duration::ZERO, Some((status, &headers)), None);
        let failure = Failure::Response { status, headers, retry_after: None, details };
        let is_ambiguous = failure.outcome().is_ambiguous(operation.kind());
        Self::failed(Failed {
            operation,
            name: None,
            user: None,
            report,
            is_ambiguous,
            is_budget_used_up: false,
            failure,
        })
    }

    fn call(&self) -> Option<&Failed> {
        match &self.0 {
            Repr::Failed(failed) => Some(failed),
            Repr::Rejected(_) => None,
        }
    }

    fn has_status(&self, status: StatusCode) -> bool {
        self.status() == Some(status)
    }

    /// Returns the kind of failure, for `match`; the `is_*` methods ask for single ones.
    pub fn kind(&self) -> ErrorKind {
        let Some(call) = self.call() else { return ErrorKind::InvalidInput };
        match &call.failure {
            Failure::Connect { .. } => ErrorKind::Connect,
            Failure::Timeout(_) => ErrorKind::Timeout,
            Failure::CutOff { source, .. } if source.is_timeout() => ErrorKind::Timeout,
            Failure::Connection(_) | Failure::CutOff { .. } => ErrorKind::Connection,
            Failure::Body { .. } => ErrorKind::Decode,
            Failure::Response { status, .. } => ErrorKind::Response(*status),
        }
    }

    /// Returns the status of the last response, or `None` if none arrived.
    pub fn status(&self) -> Option<StatusCode> {
        self.call()?.failure.status()
    }

    /// Returns what the server said about the error, redacted.
    ///
    /// That is the contract's error model, with `message`, `type_`, `trace_id`, `error_id`,
    /// `query_id`, `line`, `column` and `virtual_instance_rrn`, all optional.
    ///
    /// `None` if no response arrived. If the body is something else, such as a proxy's HTML page,
    /// `message` is the beginning of its text; for a redirect, it names the host. If the body of a
    /// success is invalid, the [`source`](StdError::source) says why.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) {
    /// use rockset_apikeys::ErrorType;
    ///
    /// if let Err(error) = client.get_api_key("my-app").await
    ///     && let Some(details) = error.details()
    /// {
    ///     assert_eq!(details.type_, Some(ErrorType::NotFound));
    ///     println!("{:?}, trace id {:?}", details.message, details.trace_id);
    /// }
    /// # }
    /// ```
    pub fn details(&self) -> Option<&ErrorBody> {
        self.call()?.failure.details()
    }

    /// Returns the number of attempts; 0 if the call was rejected before sending.
    pub fn attempts(&self) -> u32 {
        self.report().map_or(0, CallReport::attempts)
    }

    /// Returns what the call took: attempts, time, and the last response's status and headers.
    ///
    /// `None` if the call was rejected before sending.
    pub fn report(&self) -> Option<&CallReport> {
        Some(&self.call()?.report)
    }

    /// Returns how long the server asked to wait (`Retry-After`), from its response on.
    ///
    /// The client waits by itself, unless the wait ends after the call's
    /// [`timeout`](crate::ClientBuilder::timeout): then it returns the error at once.
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.call()?.failure {
            Failure::Response { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns true if the input or a setting is invalid, so nothing was sent.
    ///
    /// The text says what to change.
    pub fn is_invalid_input(&self) -> bool {
        self.call().is_none()
    }

    /// Returns true for status 400: the server does not accept a value of the request.
    ///
    /// The [`details`](Self::details) say which.
    pub fn is_bad_request(&self) -> bool {
        self.has_status(StatusCode::BAD_REQUEST)
    }

    /// Returns true for status 401: the client's key is not valid.
    ///
    /// It is mistyped, belongs to another server, or was suspended or deleted, or it expired.
    pub fn is_unauthorized(&self) -> bool {
        self.has_status(StatusCode::UNAUTHORIZED)
    }

    /// Returns true for status 403: the client's key lacks the permission.
    ///
    /// Its role or its owner's roles do not allow the operation; only administrators manage the
    /// keys of other users.
    pub fn is_forbidden(&self) -> bool {
        self.has_status(StatusCode::FORBIDDEN)
    }

    /// Returns true for status 404: there is no such key or user.
    ///
    /// If the name is right, the path of the API server's URL may be wrong.
    pub fn is_not_found(&self) -> bool {
        self.has_status(StatusCode::NOT_FOUND)
    }

    /// Returns true for status 409: the request conflicts with the present state.
    ///
    /// The user has a key of that name, or the key to activate has expired.
    pub fn is_conflict(&self) -> bool {
        self.has_status(StatusCode::CONFLICT)
    }

    /// Returns true for status 429: too many requests, or a quota is used up.
    ///
    /// Wait before the next call, at least [`retry_after`](Self::retry_after).
    pub fn is_rate_limited(&self) -> bool {
        self.has_status(StatusCode::TOO_MANY_REQUESTS)
    }

    /// Returns true for status 500 to 599: the server, or a gateway before it, failed.
    pub fn is_server_error(&self) -> bool {
        self.status().is_some_and(|status| status.is_server_error())
    }

    /// Returns true if the time ran out, here or at the server or a gateway (408, 504).
    ///
    /// [`is_ambiguous`](Self::is_ambiguous) tells whether the request may have been applied.
    pub fn is_timeout(&self) -> bool {
        match self.call().map(|call| &call.failure) {
            Some(Failure::Timeout(_)) => true,
            Some(Failure::Connect { source, .. } | Failure::CutOff { source, .. }) => {
                source.is_timeout()
            }
            _ => {
                self.has_status(StatusCode::REQUEST_TIMEOUT)
                    || self.has_status(StatusCode::GATEWAY_TIMEOUT)
            }
        }
    }

    /// Returns true if the last attempt made no connection.
    ///
    /// The server is down, its address is wrong, or its certificate is not trusted: the text says
    /// which, and the [`source`](StdError::source) has the cause.
    pub fn is_connect(&self) -> bool {
        self.call().is_some_and(|call| matches!(call.failure, Failure::Connect { .. }))
    }

    /// Returns true if the same call may succeed later and is safe to make again.
    ///
    /// That is so if no complete response arrived, or one with status 408, 429, 500, 502, 503 or
    /// 504. It is not for a create that is [ambiguous](Self::is_ambiguous), nor for a certificate
    /// that is not trusted, a server without TLS, or a proxy that wants a password. The client has
    /// retried already, as far as its [`RetryPolicy`](crate::RetryPolicy), time and budget allowed.
    pub fn is_retryable(&self) -> bool {
        self.call().is_some_and(|call| {
            let is_unsafe = call.is_ambiguous && call.operation.kind() == OperationKind::Create;
            !is_unsafe && call.failure.outcome().is_transient()
        })
    }

    /// Returns true if the request may have been applied although the call failed.
    ///
    /// An attempt got no complete response, or one that does not tell: a success with an invalid
    /// body, a 408, or a 5xx other than 501 and a 503 with `Retry-After`. Look at the key before
    /// anything else. Reads are never ambiguous.
    ///
    /// A delete can be ambiguous and [not found](Self::is_not_found): the retry found no key, maybe
    /// because an earlier attempt deleted it. So can a create and a [conflict](Self::is_conflict),
    /// if an earlier attempt got 503 with `Retry-After`, which a gateway may have sent.
    pub fn is_ambiguous(&self) -> bool {
        self.call().is_some_and(|call| call.is_ambiguous)
    }
}

/// How a call failed, from [`Error::kind`].
///
/// ```no_run
/// # async fn example(client: rockset_apikeys::Client) {
/// use rockset_apikeys::{ErrorKind, StatusCode};
///
/// if let Err(error) = client.get_api_key("my-app").await {
///     let exit_code = match error.kind() {
///         ErrorKind::InvalidInput => 2,
///         ErrorKind::Response(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => 4,
///         ErrorKind::Response(StatusCode::NOT_FOUND) => 5,
///         _ => 1,
///     };
///     std::process::exit(exit_code);
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input or a setting is invalid, so nothing was sent.
    InvalidInput,
    /// No connection was made.
    Connect,
    /// The time ran out before a complete response arrived.
    Timeout,
    /// The connection failed before a complete response arrived.
    Connection,
    /// A success whose body could not be decoded, or is too large.
    Decode,
    /// An error response, or one with a status that the contract does not document.
    Response(StatusCode),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Rejected(rejected) => f.write_str(&rejected.reason),
            Repr::Failed(call) => call.fmt(f),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation.id())?;
        if let Some(name) = &self.name {
            f.write_str(" ")?;
            write_quoted(f, name)?;
        }
        if let Some(user) = &self.user {
            f.write_str(" of user ")?;
            write_quoted(f, user)?;
        }
        write!(f, ": {}", self.failure)?;
        if self.report.attempts() > 1 {
            write!(f, "; {} attempts were made", self.report.attempts())?;
        }
        if self.is_budget_used_up {
            f.write_str("; the retry budget is used up")?;
        }
        if let Failure::Response { retry_after: Some(wait), .. } = self.failure {
            write!(f, "; the server asks to wait {} s", wait.as_secs())?;
        }
        match self.ambiguity() {
            Some(ambiguity) => write!(f, "; {ambiguity}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { server, reason, .. } => write!(f, "cannot connect to {server}{reason}"),
            Self::Timeout(_) => f.write_str("no complete response within the timeout"),
            Self::Connection(_) => f.write_str("the connection failed"),
            Self::CutOff { status, .. } => write!(f, "{status}, but the response was cut off"),
            Self::Body { status, details, .. } => {
                write!(f, "{status}, but the response body is invalid")?;
                write_details(f, details)
            }
            Self::Response { status, .. } if status.is_success() => {
                write!(f, "{status}, which the contract does not document")
            }
            Self::Response { status, details, .. } => {
                write!(f, "{status}")?;
                write_details(f, details)
            }
        }
    }
}

/// Writes the server's message, its error type and its trace id.
fn write_details(f: &mut fmt::Formatter<'_>, details: &ErrorBody) -> fmt::Result {
    if let Some(message) = &details.message {
        f.write_str(": ")?;
        write_on_one_line(f, message)?;
    }
    let more = [
        details.type_.as_ref().map(|it| ("", it.as_str())),
        details.trace_id.as_deref().map(|it| ("trace id ", it)),
    ];
    let mut separator = " (";
    for (label, text) in more.into_iter().flatten() {
        write!(f, "{separator}{label}")?;
        write_on_one_line(f, text)?;
        separator = ", ";
    }
    if separator == ", " { f.write_str(")") } else { Ok(()) }
}

/// Writes a name in quotes, and of a long one the beginning.
fn write_quoted(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    const LONGEST: usize = 100;
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => write!(f, "{:?}…", name.get(..end).unwrap_or_default()),
        None => write!(f, "{name:?}"),
    }
}

/// Writes text from outside, so that it can neither break the line nor flood it.
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
        write!(f, "{self}")?;
        let causes = iter::successors(self.source(), |&cause| cause.source());
        for (index, cause) in causes.enumerate() {
            f.write_str(if index == 0 { "\n\nCaused by:\n    " } else { "\n    " })?;
            write_on_one_line(f, &cause.to_string())?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Repr::Rejected(rejected) => rejected.source.as_deref().map(|source| source as _),
            Repr::Failed(call) => call.failure.source(),
        }
    }
}
