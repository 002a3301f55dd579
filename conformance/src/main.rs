//! `cargo xtask conformance`: shows with tools and clients from outside that documentation,
//! contract, generated client, facade and server agree.
//!
//! Each part is a file; this file runs them and reports. `spec.rs` reads the contract for all of
//! them. `linters.rs`, `facts.rs`, `page.rs` and `mutations.rs` belong to `contract.rs`. `call.rs`
//! has calls for several clients to make, `tools.rs` installs what comes from outside, and
//! `recorder.rs` sits between clients and servers.

// What is indexed here is JSON, which gives `null` where there is nothing, and does not panic.
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
mod wire_parity;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::{Parser, ValueEnum};
use tokio::time::timeout;

use report::{Outcome, Report};
use tools::Tools;

/// How long a part may take, with all that it installs.
const LIMIT: Duration = Duration::from_secs(1200);

/// Proves the contract with tools and clients from outside, and writes a report.
#[derive(Parser)]
#[command(bin_name = "cargo xtask conformance")]
struct Arguments {
    /// Runs this part alone.
    #[arg(long, value_name = "NAME")]
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    /// The contract, held to linters, to the documentation page and to the vendor's clients
    Contract,
    /// The generated code, fresh and the same with and without the generator
    Generated,
    /// The client against a strict mock server of the contract, Prism
    StrictMock,
    /// What the vendor's clients and ours put on the wire for the same calls
    WireParity,
    /// The server, used by the vendor's clients and a fuzzer, with each response checked
    Server,
    /// What the server's README shows for other clients, run as it stands there
    Readme,
    /// Values of each schema, through the Rust types and the schemas derived from them
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
        let late = |_| Err(anyhow!("it took longer than {} s", LIMIT.as_secs()));
        let outcome = timeout(LIMIT, part.run(&tools)).await.unwrap_or_else(late);
        // A part that cannot run shows nothing, so it fails.
        let outcome = outcome.unwrap_or_else(Outcome::not_run);
        report.add(name, outcome, start.elapsed());
    }
    let folder = report.write(tools.folder())?;
    println!("\n{}\nThe whole report is in {}.", report.table(), folder.display());
    Ok(report.holds())
}
