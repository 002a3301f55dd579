//! How a command fails: its exit code, and its text on standard error.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use rockset_apikeys::Error;
use serde_json::{Map, Value, json};

use crate::note;
use crate::output::Format;
use crate::sink::Sink;

/// An exit code of the program. `--help` explains them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Done = 0,
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
        if error.is_invalid_input() {
            Self::Usage
        } else if error.is_ambiguous() {
            Self::Ambiguous
        } else if error.is_unauthorized() || error.is_forbidden() {
            Self::NotPermitted
        } else if error.is_not_found() || error.is_conflict() {
            Self::NotFoundOrConflict
        } else {
            Self::Failed
        }
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
    /// The command that helps.
    next: Option<String>,
    /// What is known of the failed call.
    call: Map<String, Value>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), next: None, call: Map::new() }
    }

    /// The failure at Ctrl-C, with the command that resumes.
    pub(crate) fn interrupted(resume: Option<String>) -> Self {
        let message = "interrupted; a change that was under way may have been applied";
        Self { next: resume, ..Self::new(Code::Interrupted, message) }
    }

    /// Adds the command that helps.
    pub(crate) fn next(mut self, command: impl Into<String>) -> Self {
        self.next = Some(command.into());
        self
    }

    /// Adds a sentence to the message.
    pub(crate) fn with(mut self, text: &str) -> Self {
        self.message = format!("{}; {text}", self.message);
        self
    }

    /// Says that a sink cannot be written, for this reason.
    pub(crate) fn of_sink(mut self, sink: &Sink) -> Self {
        self.message = format!("{sink} cannot be written: {}", self.message);
        self
    }

    /// Sets the exit code.
    pub(crate) fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Adds what is known of the failed call.
    pub(crate) fn of_call(mut self, error: Option<&Error>) -> Self {
        let Some(error) = error else { return self };
        let details = error.details();
        let trace_id = error.report().and_then(|report| report.trace_id());
        self.call = Map::from_iter([
            ("status".to_owned(), json!(error.status().map(|status| status.as_u16()))),
            (
                "type".to_owned(),
                json!(details.and_then(|it| it.type_.as_ref()).map(|it| it.as_str())),
            ),
            ("trace_id".to_owned(), json!(trace_id)),
            ("attempts".to_owned(), json!(error.attempts())),
        ]);
        self
    }

    /// Returns one failure for those of several calls, of which some succeeded. Each but the only
    /// one is reported in the message.
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

    /// Writes the failure to standard error: one JSON object, or lines for a person.
    pub(crate) fn report(self, format: Format) -> ExitCode {
        let Self { code, message, next, call } = self;
        if format == Format::Json {
            let mut error = call;
            error.insert("exit_code".to_owned(), json!(code as u8));
            error.insert("message".to_owned(), json!(message));
            error.insert("next".to_owned(), json!(next));
            let _ = writeln!(io::stderr(), "{}", json!({ "error": error }));
        } else {
            note(&format!("rockset-apikeys: {message}"));
            if let Some(next) = next {
                note(&format!("next: {next}"));
            }
        }
        code.into()
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
