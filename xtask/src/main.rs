//! The project's own commands, run as `cargo xtask <command>`.

use std::env;
use std::process::{Command, ExitCode};

#[path = "../../openapi/generate.rs"]
mod generate;
mod regen;
mod surface;

const USAGE: &str = "\
Usage: cargo xtask <command>

Commands:
  regen          check the contract, write the client generated from it to src/generated, and say
                 what changed for users
  regen --check  change nothing; fail and show the difference if src/generated is stale
  conformance    prove the contract with tools and clients from outside, and write a report to
                 target/conformance; --only NAME runs one part, --help lists them";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["regen"] => regen::write(),
        ["regen", "--check"] => regen::check(),
        ["conformance", arguments @ ..] => return conformance(arguments),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a program of its own, for which the client has to compile; `regen` has to work without.
/// Ends as that does.
fn conformance(arguments: &[&str]) -> ExitCode {
    let run = ["run", "--quiet", "--package", "rockset-apikeys-conformance", "--"];
    // Its servers are on this machine, where no proxy reaches them, and more than one tool asks.
    let direct = env::var("no_proxy").or_else(|_| env::var("NO_PROXY")).unwrap_or_default();
    let direct = format!("127.0.0.1,{direct}");
    let mut cargo = Command::new("cargo");
    cargo.args(run).args(arguments).env("no_proxy", &direct).env("NO_PROXY", &direct);
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
