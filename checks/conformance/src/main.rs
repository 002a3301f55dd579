//! `cargo xtask conformance`: checks with independent tools and clients that documentation,
//! contract, generated client, facade and server agree.
//!
//! Each part is a file, and this file runs the parts and writes the report. `linters.rs` and
//! `facts.rs` are the part `contract`. The parts share `calls.rs`, the calls that several clients
//! make, `recorder.rs`, which records requests and responses, and `tools.rs`, which installs tools.

// Only JSON is indexed here, which returns `null` for a missing entry and does not panic.
#![allow(clippy::indexing_slicing)]

mod calls;
// The tests of the client and of the server read the contract in the same way.
#[allow(dead_code)]
#[path = "../../../tests/sdk/support/contract.rs"]
mod contract;
mod facts;
mod generated;
mod linters;
mod outcome;
mod readme;
mod recorder;
mod round_trips;
mod server;
mod strict_mock;
mod tools;
mod vendor;
mod wire_parity;

use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use tokio::time::timeout;

use outcome::Outcome;
use tools::Tools;

/// Timeout of a part, including its installations.
const TIMEOUT: Duration = Duration::from_secs(1200);

/// The number of a part's failures that the terminal shows.
const SHOWN: usize = 20;

/// Checks the contract with independent tools and clients, and writes a report
#[derive(Parser)]
#[command(bin_name = "cargo xtask conformance")]
struct Arguments {
    /// Run only this part
    #[arg(long, value_name = "NAME")]
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    /// Lint the contract, and compare it with the documentation page and the vendor's clients
    Contract,
    /// Compare the code of builds with and without the generator
    Generated,
    /// Call Prism, a strict mock server of the contract, with the client
    StrictMock,
    /// Compare the requests of the vendor's clients and this one
    WireParity,
    /// Call the server with the vendor's clients and a fuzzer, and check each response
    Server,
    /// Run the snippets for other clients in the server's README
    Readme,
    /// Decode and encode values of each schema with the Rust types
    RoundTrips,
}

impl Part {
    async fn run(self, tools: &Tools) -> Result<Outcome> {
        match self {
            Self::Contract => {
                let mut outcome = linters::run(tools).await?;
                facts::run(tools, &mut outcome).await?;
                Ok(outcome)
            }
            Self::Generated => generated::run(tools).await,
            Self::StrictMock => strict_mock::run(tools).await,
            Self::WireParity => wire_parity::run(tools).await,
            Self::Server => server::run(tools).await,
            Self::Readme => readme::run(tools).await,
            Self::RoundTrips => round_trips::run(tools).await,
        }
    }
}

/// The outcome of a part, as the report lists it.
#[derive(Serialize)]
struct Entry {
    part: String,
    seconds: f64,
    #[serde(flatten)]
    outcome: Outcome,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().only).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all parts or one. Returns whether all checks succeeded.
async fn run(only: Option<Part>) -> Result<bool> {
    let tools = Tools::new()?;
    let mut entries = Vec::new();
    for &part in Part::value_variants().iter().filter(|part| only.is_none_or(|it| it == **part)) {
        let value = part.to_possible_value();
        let name = value.map_or_else(String::new, |value| value.get_name().to_owned());
        println!("{name} …");
        let start = Instant::now();
        let late = |_| Err(anyhow!("timed out after {} s", TIMEOUT.as_secs()));
        let outcome = timeout(TIMEOUT, part.run(&tools)).await.unwrap_or_else(late);
        // A part that cannot run has checked nothing, so it fails.
        let outcome = outcome.unwrap_or_else(|error| {
            let mut outcome = Outcome::default();
            outcome.case("cannot run the part", Err(error));
            outcome
        });
        let seconds = (start.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        let failures = &outcome.failures;
        println!("  {} cases, {} failures, {seconds} s", outcome.cases, failures.len());
        for failure in failures.iter().take(SHOWN) {
            println!("  FAILED {failure}");
        }
        if failures.len() > SHOWN {
            println!("  and {} more failures, see the report", failures.len() - SHOWN);
        }
        entries.push(Entry { part: name, seconds, outcome });
    }
    let table = table(&entries);
    fs::write(tools.directory.join("report.json"), serde_json::to_string_pretty(&entries)?)?;
    let file = tools.directory.join("report.md");
    fs::write(&file, format!("# Conformance\n\n{table}{}", details(&entries)))?;
    println!("\n{table}\nSee {} for the whole report.", file.display());
    let outcomes = entries.iter().map(|entry| &entry.outcome);
    Ok(outcomes.clone().all(|it| it.failures.is_empty() && it.cases > 0))
}

/// Returns the table of parts, in Markdown.
fn table(entries: &[Entry]) -> String {
    let mut table = "| Part | Cases | Failures | Seconds | Tools |\n".to_owned();
    table += "| --- | --- | --- | --- | --- |\n";
    for Entry { part, seconds, outcome } in entries {
        let (cases, failures) = (outcome.cases, outcome.failures.len());
        let tools = outcome.tools.join(", ");
        // Writing to a String does not fail.
        let _ = writeln!(table, "| {part} | {cases} | {failures} | {seconds} | {tools} |");
    }
    table
}

/// Returns the failures and notes of the parts, in Markdown.
fn details(entries: &[Entry]) -> String {
    let mut details = String::new();
    for Entry { part, outcome, .. } in entries {
        for (title, lines) in [("failures", &outcome.failures), ("notes", &outcome.notes)] {
            if !lines.is_empty() {
                let _ = write!(details, "\n## {part}: {title}\n\n");
            }
            for line in lines {
                let _ = writeln!(details, "- {}", line.replace('\n', "\n  "));
            }
        }
    }
    details
}
