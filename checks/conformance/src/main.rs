//! `cargo xtask conformance`: checks with independent tools and clients that documentation,
//! contract, generated client, facade and server agree.
//!
//! Each part is a file; this file runs the parts and reports. `spec.rs` has the contract for all of
//! them. `linters.rs`, `facts.rs`, `page.rs` and `mutations.rs` belong to `contract.rs`. `call.rs`
//! describes calls that several clients make, `tools.rs` installs the tools, and `recorder.rs`
//! records requests and responses between clients and servers.

// Only JSON is indexed here, which returns `null` for a missing entry and does not panic.
#![allow(clippy::indexing_slicing)]

mod call;
mod contract;
mod facts;
mod generated;
mod linters;
mod mutations;
mod page;
mod readme;
mod recorder;
mod report;
mod round_trips;
mod server;
mod spec;
mod strict_mock;
mod tools;
mod vendor;
mod wire_parity;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::{Parser, ValueEnum};
use tokio::time::timeout;

use report::{Outcome, Report};
use tools::Tools;

/// Timeout of a part, with all that it installs.
const LIMIT: Duration = Duration::from_secs(1200);

/// Checks the contract with independent tools and clients, and writes a report.
#[derive(Parser)]
#[command(bin_name = "cargo xtask conformance")]
struct Arguments {
    /// Runs this part alone.
    #[arg(long, value_name = "NAME")]
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    /// The contract: linted, and compared with the documentation page and the vendor's clients
    Contract,
    /// The generated code: the same with and without the generator
    Generated,
    /// The client against Prism, a strict mock server of the contract
    StrictMock,
    /// The requests that the vendor's clients and this one send for the same calls
    WireParity,
    /// The server, called by the vendor's clients and a fuzzer; each response is checked
    Server,
    /// The snippets of the server's README for other clients, run as they stand there
    Readme,
    /// Values of each schema, decoded and encoded by the Rust types
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
            Self::Readme => readme::run(tools).await,
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

/// Runs the parts, or one of them. Returns whether all checks succeeded.
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
        let late = |_| Err(anyhow!("it took more than {} s", LIMIT.as_secs()));
        let outcome = timeout(LIMIT, part.run(&tools)).await.unwrap_or_else(late);
        // A part that cannot run has checked nothing, so it fails.
        let outcome = outcome.unwrap_or_else(Outcome::not_run);
        report.add(name, outcome, start.elapsed());
    }
    let folder = report.write(tools.folder())?;
    println!("\n{}\nThe whole report is in {}.", report.table(), folder.display());
    Ok(report.holds())
}
