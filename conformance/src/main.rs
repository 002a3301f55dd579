//! `cargo xtask conformance`: documentation, contract, generated client, facade and server say the
//! same thing, which is shown by tools and clients that nobody here wrote.
//!
//! Each part is a file, and tells what came of it; this file runs them and reports. `spec.rs` reads
//! the contract for all of them, `call.rs` writes calls down for several clients to make,
//! `tools.rs` installs what comes from outside, and `recorder.rs` listens between clients and
//! servers.

// What is indexed here is JSON, which gives `null` where there is nothing, and does not panic.
#![allow(clippy::indexing_slicing)]

mod call;
mod contract;
mod facts;
mod generated;
mod mutations;
mod page;
mod recorder;
mod report;
mod round_trips;
mod server;
mod spec;
mod strict_mock;
mod tools;
mod wire_parity;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::{Parser, ValueEnum};
use tokio::time::timeout;

use report::{Outcome, Report};
use tools::Tools;

/// No part takes longer than this, with all that it installs.
const LIMIT: Duration = Duration::from_secs(1200);

/// Proves the contract on code that nobody here wrote, and writes a report.
#[derive(Parser)]
#[command(bin_name = "cargo xtask conformance")]
struct Arguments {
    /// Runs this part alone.
    #[arg(long, value_name = "NAME")]
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    /// The contract, to linters and to the documentation page
    Contract,
    /// The generated code, fresh and the same with and without the generator
    Generated,
    /// The client against a strict mock server of the contract, Prism
    StrictMock,
    /// What the vendor's clients and ours put on the wire for the same calls
    WireParity,
    /// The server, to the vendor's clients and a fuzzer, each answer checked
    Server,
    /// Values of each schema through the Rust types, and the schemas derived from these
    RoundTrips,
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    async fn run(self, tools: &Tools) -> Result<Outcome> {
        match self {
            Self::Contract => contract::run(tools).await,
            Self::Generated => generated::run(tools).await,
            Self::StrictMock => strict_mock::run(tools).await,
            Self::WireParity => wire_parity::run(tools).await,
            Self::Server => server::run(tools).await,
            Self::RoundTrips => round_trips::run(tools).await,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let only = Arguments::parse().only;
    match run(only).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the parts, or one of them; whether all of it holds.
async fn run(only: Option<Part>) -> Result<bool> {
    let tools = Tools::find()?;
    let mut report = Report::default();
    for &part in Part::value_variants() {
        if only.is_some_and(|only| only != part) {
            continue;
        }
        let name = part.name();
        println!("{name} …");
        let start = Instant::now();
        let late = |_| Err(anyhow!("it did not end within {} s", LIMIT.as_secs()));
        let outcome = timeout(LIMIT, part.run(&tools)).await.unwrap_or_else(late);
        // What cannot be run has not been shown to hold.
        let outcome = outcome.unwrap_or_else(Outcome::not_run);
        report.add(name, outcome, start.elapsed());
    }
    let folder = report.write(tools.folder())?;
    println!("\n{}\nThe whole report is in {}.", report.table(), folder.display());
    Ok(report.holds())
}
