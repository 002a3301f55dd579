//! The project's own commands, run as `cargo xtask <command>`.

mod api;
mod baseline;
mod bench;
mod regen;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;

/// The project's own commands
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Xtask {
    /// Generates the client from the contract and reports what changed for users
    Regen(regen::Options),
    /// Records the public API in xtask/public-api
    Api(api::Options),
    /// Measures what a call costs, beside the same call written by hand; needs valgrind
    Bench(bench::Options),
    /// Checks the contract with independent tools and clients; reports to target/conformance
    #[command(disable_help_flag = true)]
    Conformance {
        /// Passed on; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let outcome = match Xtask::parse() {
        Xtask::Regen(options) => regen::run(&options),
        Xtask::Api(options) => api::run(&options),
        Xtask::Bench(options) => bench::run(&options),
        Xtask::Conformance { arguments } => return conformance(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a program of its own, which needs the client to compile; `regen` works without. Ends with
/// the exit code of that program.
fn conformance(arguments: &[OsString]) -> ExitCode {
    let test = ["test", "--quiet", "--workspace", "--test", "conformance", "--"];
    // Its servers are on this machine, where no proxy reaches them, and more than one tool asks.
    let direct = env::var("no_proxy").or_else(|_| env::var("NO_PROXY")).unwrap_or_default();
    let direct = format!("127.0.0.1,{direct}");
    let mut cargo = Command::new("cargo");
    cargo.args(test).args(arguments).env("no_proxy", &direct).env("NO_PROXY", &direct);
    match cargo.status() {
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            code.map_or(ExitCode::FAILURE, ExitCode::from)
        }
        Err(error) => {
            eprintln!("cargo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The project's root. Cargo tells where this package is when it runs it.
fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| "xtask".into());
    Path::new(&package).join("..")
}
