//! Makes calls with one of several clients. `cargo xtask bench` counts the instructions and the
//! memory of this program's runs, and compares the clients.
//!
//! The clients are this project's, the generated client of the same contract without the facade,
//! and hand-written code with reqwest. All call the same server, which runs in a separate process
//! and sends fixed responses.

mod client;
mod generated;
mod hand_written;
mod server;
mod work;

use std::mem;

use clap::{Parser, ValueEnum};
use rockset_apikeys::types::ListApiKeysResponse;
use rustls::crypto::ring;

use client::BoxError;
use work::{Operation, Work};

/// Makes calls with one of several clients
#[derive(Parser)]
enum Options {
    /// Run the server until standard input ends, and print its port
    Serve {
        /// Number of keys in a listing
        #[arg(long, default_value_t = 1)]
        keys: usize,
        /// Number of requests after which the server responds to them
        #[arg(long, default_value_t = 1)]
        hold: usize,
    },
    /// Keep the body of a listing and its decoded keys in memory, and exit
    Values {
        /// Number of keys in the listing
        #[arg(long)]
        keys: usize,
    },
    /// Make calls
    Call {
        client: Name,
        operation: Operation,
        #[arg(long)]
        port: u16,
        #[command(subcommand)]
        work: Work,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// rockset-apikeys
    Sdk,
    /// The generated client of the same contract, without the facade
    Generated,
    /// Hand-written code with reqwest
    HandWritten,
}

fn main() -> Result<(), BoxError> {
    ring::default_provider().install_default().map_err(|_| "a provider is installed already")?;
    match Options::parse() {
        Options::Serve { keys, hold } => {
            work::open_files(hold)?;
            server::serve(keys, hold)
        }
        Options::Values { keys } => values(keys),
        Options::Call { client, operation, port, work } => match client {
            Name::Sdk => work.run(client::sdk(port)?, operation),
            Name::Generated => work.run(generated::client(port)?, operation),
            Name::HandWritten => work.run(hand_written::client(port)?, operation),
        },
    }
}

/// Keeps the body and the keys until the program ends, when a heap profiler counts them.
fn values(keys: usize) -> Result<(), BoxError> {
    let body = server::listing(keys);
    let mut response: ListApiKeysResponse = serde_json::from_str(&body)?;
    response.data.shrink_to_fit();
    mem::forget((body.into_boxed_str(), response));
    Ok(())
}
