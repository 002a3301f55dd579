//! Why a command fails: an exit code and a message. `output` prints it.

use std::fmt;
use std::process::ExitCode;

use rockset_apikeys::{CallReport, Error, ErrorKind, StatusCode};
use serde_json::{Map, Value, json};

/// An exit code of the program; `--help` describes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Success = 0,
    Failed = 1,
    Usage = 2,
    Findings = 3,
    NotPermitted = 4,
    NotFoundOrConflict = 5,
    Ambiguous = 6,
    Unfinished = 7,
    Partial = 8,
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

impl From<&Error> for Code {
    fn from(error: &Error) -> Self {
        if error.is_ambiguous() {
            return Self::Ambiguous;
        }
        match error.kind() {
            ErrorKind::InvalidInput => Self::Usage,
            ErrorKind::Response(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Self::NotPermitted
            }
            ErrorKind::Response(StatusCode::NOT_FOUND | StatusCode::CONFLICT) => {
                Self::NotFoundOrConflict
            }
            _ => Self::Failed,
        }
    }
}

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// The command to run next.
    pub(crate) next: Option<String>,
    /// Details of the failed API call, for JSON.
    pub(crate) call: Map<String, Value>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), next: None, call: Map::new() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// Sets the command to run next.
    pub(crate) fn next(mut self, command: impl Into<String>) -> Self {
        self.next = Some(command.into());
        self
    }

    /// Appends to the message.
    pub(crate) fn with(mut self, text: &str) -> Self {
        self.message = format!("{}; {text}", self.message);
        self
    }

    /// Prefixes the message with the action that failed.
    pub(crate) fn context(mut self, action: &str) -> Self {
        self.message = format!("{action}: {}", self.message);
        self
    }

    /// Sets the exit code.
    pub(crate) fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Adds the details of the failed API call.
    pub(crate) fn of_call(mut self, error: Option<&Error>) -> Self {
        let Some(error) = error else { return self };
        let type_ = error.details().and_then(|it| it.type_.as_ref()).map(|it| it.as_str());
        let trace_id = error.report().and_then(|report| report.trace_id());
        self.call = Map::from_iter([
            (
                "status".to_owned(),
                json!(error.report().and_then(CallReport::status).map(|status| status.as_u16())),
            ),
            ("type".to_owned(), json!(type_)),
            ("trace_id".to_owned(), json!(trace_id)),
            ("attempts".to_owned(), json!(error.attempts())),
        ]);
        self
    }

    /// Combines the failures of several calls, of which others succeeded.
    pub(crate) fn all(failures: Vec<Self>, succeeded: usize) -> Option<Self> {
        let count = failures.len();
        let mut failures = failures.into_iter();
        let mut all = failures.next()?;
        for failure in failures {
            all.message = format!("{}; {}", all.message, failure.message);
            if failure.code == Code::Ambiguous {
                all.code = Code::Ambiguous;
                all.next = failure.next;
            }
        }
        if succeeded > 0 {
            all.code = Code::Partial;
            all.message = format!("{count} of {} failed: {}", count + succeeded, all.message);
        }
        Some(all)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(Code::from(&error), error.to_string()).of_call(Some(&error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
