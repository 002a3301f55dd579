//! The public error type, its kinds and its messages. `wire` creates the failure inside it.

use std::error::Error as StdError;
use std::fmt;
use std::iter;
use std::time::Duration;

use reqwest::StatusCode;

use crate::call::report::CallReport;
use crate::call::retry;
use crate::generated::{Error as Failure, ErrorBody};
use crate::wire::runtime::{Operation, OperationKind};

type Source = Box<dyn StdError + Send + Sync>;

/// The error of a call or of an invalid client setting.
///
/// [`kind`](Self::kind) classifies it; the `is_*` methods cover the cases that most programs
/// handle.
///
/// `Display` prints one line: the operation, the cause, and the trace ID to look up in the server
/// log. It does not repeat the [`source`](StdError::source). `Debug` adds the causes, one per line,
/// for `unwrap` and for `fn main() -> Result<(), Error>`:
///
/// ```text
/// Error: list_api_keys: cannot connect to http://127.0.0.1:8080: connection refused (is the server
/// running?), after 4 attempts
///
/// Caused by:
///     error sending request
///     client error (Connect)
///     tcp connect error
///     Connection refused (os error 111)
/// ```
///
/// Neither contains a key. Match the errors that your program handles, and return the others:
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
/// The client returns this error only after all safe and permitted retries; see
/// [`RetryPolicy`](crate::RetryPolicy).
pub struct Error(Repr);

enum Repr {
    InvalidInput(Box<InvalidInput>),
    Failed(Box<Failed>),
}

/// Invalid input or settings: nothing was sent.
struct InvalidInput {
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
    pub(crate) retry_after: Option<Duration>,
    /// Whether an attempt may have been applied.
    pub(crate) is_ambiguous: bool,
    /// Whether only the retry budget prevented a retry.
    pub(crate) is_budget_used_up: bool,
    /// The failure of the last attempt.
    pub(crate) failure: Box<Failure<ErrorBody>>,
}

impl Failed {
    /// Returns how the failed call may still have been applied.
    fn ambiguity(&self) -> Option<&'static str> {
        if !self.is_ambiguous {
            return None;
        }
        match self.operation.kind() {
            OperationKind::Read => None,
            OperationKind::Create if self.failure.status() == Some(StatusCode::CONFLICT) => {
                Some("an earlier attempt may have succeeded; look up its result")
            }
            OperationKind::Create => {
                Some("the create may have succeeded; look up its result before retrying")
            }
            OperationKind::Update => Some("the update may have succeeded"),
            OperationKind::Delete if self.failure.status() == Some(StatusCode::NOT_FOUND) => {
                Some("an earlier attempt may have succeeded")
            }
            OperationKind::Delete => Some("the delete may have succeeded"),
        }
    }
}

impl Error {
    pub(crate) fn invalid_input(reason: impl Into<String>) -> Self {
        let invalid = InvalidInput { reason: reason.into(), source: None };
        Self(Repr::InvalidInput(Box::new(invalid)))
    }

    pub(crate) fn invalid_input_because(
        reason: impl Into<String>,
        source: impl Into<Source>,
    ) -> Self {
        let invalid = InvalidInput { reason: reason.into(), source: Some(source.into()) };
        Self(Repr::InvalidInput(Box::new(invalid)))
    }

    /// Creates the error of a call that was rejected before sending.
    pub(crate) fn not_sent(operation: &Operation, reason: impl fmt::Display) -> Self {
        Self::invalid_input(format!("{}: {reason}; nothing was sent", operation.id()))
    }

    pub(crate) fn not_sent_because(
        operation: &Operation,
        reason: &str,
        source: impl Into<Source>,
    ) -> Self {
        let reason = format!("{}: {reason}; nothing was sent", operation.id());
        Self::invalid_input_because(reason, source)
    }

    pub(crate) fn failed(failed: Failed) -> Self {
        Self(Repr::Failed(Box::new(failed)))
    }

    fn call(&self) -> Option<&Failed> {
        match &self.0 {
            Repr::Failed(failed) => Some(failed),
            Repr::InvalidInput(_) => None,
        }
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        let Some(call) = self.call() else { return ErrorKind::InvalidInput };
        match &*call.failure {
            Failure::InvalidRequest(_) | Failure::NotSent(..) => ErrorKind::InvalidInput,
            Failure::Connect(..) => ErrorKind::Connect,
            Failure::Timeout(..) => ErrorKind::Timeout,
            Failure::Connection(..) => ErrorKind::Connection,
            Failure::Decode(..) => ErrorKind::Decode,
            Failure::UnexpectedResponse(response) => ErrorKind::Response(response.status),
            Failure::ErrorResponse(response) => ErrorKind::Response(response.status()),
        }
    }

    /// Returns the server's description of the error, redacted.
    ///
    /// This is the contract's error model, with `message`, `type_`, `trace_id`, `error_id`,
    /// `query_id`, `line`, `column` and `virtual_instance_rrn`, all optional.
    ///
    /// `None` if no response arrived. If the body is not the error model (for example, a proxy's
    /// HTML page), `message` contains its beginning; for a redirect, it names the host. If the body
    /// of a success is invalid, the [`source`](StdError::source) explains why.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) {
    /// use rockset_apikeys::ErrorType;
    ///
    /// if let Err(error) = client.get_api_key("my-app").await
    ///     && let Some(details) = error.details()
    /// {
    ///     assert_eq!(details.type_, Some(ErrorType::NotFound));
    ///     println!("{:?}, trace ID {:?}", details.message, details.trace_id);
    /// }
    /// # }
    /// ```
    pub fn details(&self) -> Option<&ErrorBody> {
        self.call()?.failure.details()
    }

    /// Returns the number of attempts, or 0 if nothing was sent.
    pub fn attempts(&self) -> u32 {
        self.report().map_or(0, CallReport::attempts)
    }

    /// Returns the call report, or `None` if nothing was sent.
    pub fn report(&self) -> Option<&CallReport> {
        Some(&self.call()?.report)
    }

    /// Returns the wait that the server asked for (`Retry-After`).
    ///
    /// The wait starts with the response. The client waits automatically, unless the wait ends
    /// after the call's [`timeout`](crate::ClientBuilder::timeout): then it returns the error at
    /// once.
    pub fn retry_after(&self) -> Option<Duration> {
        self.call()?.retry_after
    }

    /// Returns true if an argument or a setting is invalid, so nothing was sent.
    ///
    /// The message explains how to correct it.
    pub fn is_invalid_input(&self) -> bool {
        self.kind() == ErrorKind::InvalidInput
    }

    /// Returns true for status 404: the key or the user does not exist.
    ///
    /// If the name is right, the path of the API server's URL may be wrong.
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::Response(StatusCode::NOT_FOUND)
    }

    /// Returns true for status 409: the request conflicts with the current state.
    ///
    /// The user already has a key of that name, or the key to activate has expired.
    pub fn is_conflict(&self) -> bool {
        self.kind() == ErrorKind::Response(StatusCode::CONFLICT)
    }

    /// Returns true if the client, the server or a gateway timed out (408, 504).
    ///
    /// The request may have been applied: see [`is_ambiguous`](Self::is_ambiguous).
    pub fn is_timeout(&self) -> bool {
        match self.call().map(|call| &*call.failure) {
            Some(Failure::Timeout(..)) => true,
            Some(Failure::Connect(_, _, source)) => source.is_timeout(),
            Some(Failure::ErrorResponse(response)) => {
                matches!(
                    response.status(),
                    StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT
                )
            }
            _ => false,
        }
    }

    /// Returns true if the last attempt could not connect.
    ///
    /// The message names the reason (for example, the server is down, its address is wrong, or its
    /// certificate is not trusted), and the [`source`](StdError::source) is the cause.
    pub fn is_connect(&self) -> bool {
        self.kind() == ErrorKind::Connect
    }

    /// Returns true if the same call is safe to retry and may succeed later.
    ///
    /// This is the case if no complete response arrived, or one with status 408, 429, 500, 502, 503
    /// or 504. Errors are not retryable if they come from an [ambiguous](Self::is_ambiguous)
    /// create, an untrusted certificate, a server without TLS, or a proxy that asks for a password.
    /// The client has already retried as far as its [`RetryPolicy`](crate::RetryPolicy), timeout
    /// and retry budget permit.
    pub fn is_retryable(&self) -> bool {
        self.call().is_some_and(|call| {
            let is_unsafe = call.is_ambiguous && call.operation.kind() == OperationKind::Create;
            !is_unsafe && retry::is_transient(&call.failure)
        })
    }

    /// Returns true if the request may have been applied although the call failed.
    ///
    /// An attempt got no complete response, or an inconclusive one: a success with an invalid body,
    /// a 408, or a 5xx other than 501 and a 503 with `Retry-After`. Check the key before you
    /// continue. Reads are never ambiguous.
    ///
    /// A delete can be both ambiguous and [not found](Self::is_not_found): the retry found no key,
    /// possibly because an earlier attempt deleted it. Likewise, a create can be both ambiguous and
    /// a [conflict](Self::is_conflict), if an earlier attempt got 503 with `Retry-After`, which a
    /// gateway may have sent.
    pub fn is_ambiguous(&self) -> bool {
        self.call().is_some_and(|call| call.is_ambiguous)
    }
}

/// The kind of an [`Error`].
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
    /// An argument or a setting is invalid, so nothing was sent.
    InvalidInput,
    /// The client could not connect.
    Connect,
    /// A timeout passed before a complete response arrived.
    Timeout,
    /// The connection failed before a complete response arrived.
    Connection,
    /// The body of a success is too large or cannot be decoded.
    Decode,
    /// The response has an error status, or one that the contract does not document.
    Response(StatusCode),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::InvalidInput(invalid) => f.write_str(&invalid.reason),
            Repr::Failed(call) => call.fmt(f),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation.id())?;
        if let Some(name) = &self.name {
            f.write_str(" ")?;
            write_truncated(f, name)?;
        }
        if let Some(user) = &self.user {
            f.write_str(" of user ")?;
            write_truncated(f, user)?;
        }
        write!(f, ": {}", self.failure)?;
        if self.report.attempts() > 1 {
            write!(f, ", after {} attempts", self.report.attempts())?;
        }
        if self.is_budget_used_up {
            f.write_str("; the retry budget is used up")?;
        }
        if let Some(wait) = self.retry_after {
            write!(f, "; the server asks to wait {} s", wait.as_secs())?;
        }
        match self.ambiguity() {
            Some(ambiguity) => write!(f, "; {ambiguity}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Failure<ErrorBody> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidRequest(reason) => f.write_str(reason),
            Self::NotSent(reason, _) => f.write_str(reason),
            Self::Connect(server, reason, _) => write!(f, "cannot connect to {server}{reason}"),
            Self::Timeout(..) => f.write_str("no complete response within the timeout"),
            Self::Connection(None, _) => f.write_str("the connection failed"),
            Self::Connection(Some(status), _) => {
                write!(f, "{status}, but the response was cut off")
            }
            Self::Decode(response, _) => {
                write!(f, "{}, but the response body is invalid", response.status())?;
                write_details(f, response)
            }
            Self::UnexpectedResponse(response) => {
                write!(f, "{}, which the contract does not document", response.status)
            }
            Self::ErrorResponse(response) => {
                write!(f, "{}", response.status())?;
                write_details(f, response)
            }
        }
    }
}

impl fmt::Debug for Failure<ErrorBody> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Failure<ErrorBody> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NotSent(_, source)
            | Self::Connect(_, _, source)
            | Self::Connection(_, source) => Some(source),
            Self::Timeout(_, source) | Self::Decode(_, source) => Some(&**source),
            Self::InvalidRequest(_) | Self::UnexpectedResponse(_) | Self::ErrorResponse(_) => None,
        }
    }
}

/// Writes the server's message, its error type and its trace ID.
fn write_details(f: &mut fmt::Formatter<'_>, details: &ErrorBody) -> fmt::Result {
    if let Some(message) = &details.message {
        f.write_str(": ")?;
        write_on_one_line(f, message)?;
    }
    let more = [
        details.type_.as_ref().map(|it| ("", it.as_str())),
        details.trace_id.as_deref().map(|it| ("trace ID ", it)),
    ];
    let mut separator = " (";
    for (label, value) in more.into_iter().flatten() {
        write!(f, "{separator}{label}")?;
        write_on_one_line(f, value)?;
        separator = ", ";
    }
    if separator == ", " { f.write_str(")") } else { Ok(()) }
}

/// Writes a name in quotes, truncated to 100 characters.
fn write_truncated(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    const MAX_LENGTH: usize = 100;
    match name.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => write!(f, "{:?}…", name.get(..end).unwrap_or_default()),
        None => write!(f, "{name:?}"),
    }
}

/// Writes a server's string on one line, truncated to 300 characters.
fn write_on_one_line(f: &mut fmt::Formatter<'_>, string: &str) -> fmt::Result {
    const MAX_LENGTH: usize = 300;
    for (index, char) in string.chars().enumerate() {
        if index == MAX_LENGTH {
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
            Repr::InvalidInput(invalid) => invalid.source.as_deref().map(|source| source as _),
            Repr::Failed(call) => call.failure.source(),
        }
    }
}
