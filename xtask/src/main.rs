//! The project's own commands, run as `cargo xtask <command>`.

use std::env;
use std::process::ExitCode;

#[path = "../../openapi/generate.rs"]
mod generate;
mod regen;
mod surface;

const USAGE: &str = "\
Usage: cargo xtask <command>

Commands:
  regen          check the contract, write the client generated from it to src/generated, and say
                 what changed for users
  regen --check  change nothing; fail and show the difference if src/generated is stale";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["regen"] => regen::write(),
        ["regen", "--check"] => regen::check(),
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
