//! The outcome of a part.

use std::fmt::Display;

use anyhow::Result;
use serde::Serialize;

#[derive(Default, Serialize)]
pub struct Outcome {
    pub cases: u32,
    pub failures: Vec<String>,
    /// Remarks for the report, for example intended differences.
    pub notes: Vec<String>,
    /// The independent tools.
    pub tools: Vec<&'static str>,
}

impl Outcome {
    pub fn new(tools: &[&'static str]) -> Self {
        Self { tools: tools.to_vec(), ..Self::default() }
    }

    /// Counts a case, and records its error.
    pub fn case(&mut self, name: impl Display, result: Result<()>) {
        self.cases += 1;
        if let Err(error) = result {
            self.failures.push(format!("{name}: {error:#}"));
        }
    }

    /// Counts a case, and records its name if it fails.
    pub fn check(&mut self, name: impl Display, succeeds: bool) {
        self.cases += 1;
        if !succeeds {
            self.failures.push(name.to_string());
        }
    }

    /// Adds the cases of another outcome.
    pub fn extend(&mut self, other: Self) {
        self.cases += other.cases;
        self.failures.extend(other.failures);
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}
