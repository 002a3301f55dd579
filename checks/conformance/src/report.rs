//! The results of the parts: in the terminal, in Markdown, and in JSON for programs.

use std::fmt::{Display, Write as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use serde::Serialize;

/// The number of failures of a part that the terminal shows.
const SHOWN: usize = 20;

/// The result of a part.
#[derive(Default, Serialize)]
pub struct Outcome {
    cases: u32,
    failures: Vec<String>,
    /// What a reader should know of the result, such as intended differences.
    notes: Vec<String>,
    /// The independent tools, with their versions.
    tools: Vec<String>,
}

impl Outcome {
    pub fn new(tools: &[impl ToString]) -> Self {
        Self { tools: tools.iter().map(ToString::to_string).collect(), ..Self::default() }
    }

    /// Returns the result of a part that did not run to its end.
    pub fn not_run(error: Error) -> Self {
        let mut outcome = Self::default();
        outcome.case("the part runs to its end", Err(error));
        outcome
    }

    /// Counts a case, and records its failure.
    pub fn case(&mut self, name: impl Display, result: Result<()>) {
        self.cases += 1;
        if let Err(error) = result {
            self.failures.push(format!("{name}: {error:#}"));
        }
    }

    /// Counts a case, and records its name if it does not hold.
    pub fn check(&mut self, name: impl Display, holds: bool) {
        self.cases += 1;
        if !holds {
            self.failures.push(name.to_string());
        }
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

#[derive(Default, Serialize)]
pub struct Report {
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    part: String,
    seconds: f64,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Report {
    /// Adds the result of a part, and prints it.
    pub fn add(&mut self, part: String, outcome: Outcome, time: Duration) {
        let Outcome { cases, failures, .. } = &outcome;
        let seconds = (time.as_secs_f64() * 10.0).round() / 10.0;
        println!("  {cases} cases, {} failures, {seconds} s", failures.len());
        for failure in failures.iter().take(SHOWN) {
            println!("  FAILED {failure}");
        }
        if let Some(more) = failures.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            println!("  and {more} more failures, which are in the report");
        }
        self.parts.push(Part { part, seconds, outcome });
    }

    pub fn holds(&self) -> bool {
        self.parts.iter().all(|part| part.outcome.failures.is_empty() && part.outcome.cases > 0)
    }

    /// Returns the table of parts, in Markdown.
    pub fn table(&self) -> String {
        let mut table = "| Part | Cases | Failures | Seconds | Tools |\n".to_owned();
        table += "| --- | --- | --- | --- | --- |\n";
        for Part { part, seconds, outcome } in &self.parts {
            let (cases, failures) = (outcome.cases, outcome.failures.len());
            let tools = outcome.tools.join(", ");
            // Writing to a String does not fail.
            let _ = writeln!(table, "| {part} | {cases} | {failures} | {seconds} | {tools} |");
        }
        table
    }

    fn markdown(&self) -> String {
        let mut text = format!("# Conformance\n\n{}", self.table());
        for Part { part, outcome, .. } in &self.parts {
            for (title, lines) in [("failures", &outcome.failures), ("notes", &outcome.notes)] {
                if !lines.is_empty() {
                    let _ = write!(text, "\n## {part}: {title}\n\n");
                }
                for line in lines {
                    let _ = writeln!(text, "- {}", line.replace('\n', "\n  "));
                }
            }
        }
        text
    }

    /// Writes the report into this folder. Returns the path of the Markdown file.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let markdown = folder.join("report.md");
        let json = serde_json::to_string_pretty(self)?;
        for (file, text) in [(&markdown, self.markdown()), (&folder.join("report.json"), json)] {
            fs::write(file, text).with_context(|| file.display().to_string())?;
        }
        Ok(markdown)
    }
}
