//! The command line of `cargo xtask`.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use xshell::{Shell, cmd};
use xtask::{api, bench, regen};

/// The project's development commands
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Xtask {
    /// Update the generated code and report what a contract change means for users
    Regen(regen::Options),
    /// Record the public API in xtask/public-api
    Api(api::Options),
    /// Compare the client with hand-written reqwest; needs valgrind
    Bench(bench::Options),
    /// Check the contract with independent tools and clients
    #[command(disable_help_flag = true)]
    Conformance {
        /// Options of the checks; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match run(Xtask::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Xtask) -> Result<()> {
    // Cargo sets the variable to this package's directory. All paths are relative to the root.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| "xtask".into());
    env::set_current_dir(Path::new(&package).join(".."))?;
    match command {
        Xtask::Regen(options) => regen::run(&options),
        Xtask::Api(options) => api::run(&options),
        Xtask::Bench(options) => bench::run(&options),
        Xtask::Conformance { arguments } => conformance(&arguments),
    }
}

/// Runs the checks as a separate program, because they need the client to compile.
fn conformance(arguments: &[OsString]) -> Result<()> {
    let sh = Shell::new()?;
    // The servers are on the loopback interface; several tools would call them through a proxy.
    let direct = env::var("no_proxy").or_else(|_| env::var("NO_PROXY")).unwrap_or_default();
    let direct = format!("127.0.0.1,{direct}");
    let test = cmd!(sh, "cargo test --quiet --workspace --test conformance -- {arguments...}");
    Ok(test.env("no_proxy", &direct).env("NO_PROXY", &direct).quiet().run()?)
}
