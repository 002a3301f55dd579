//! The program, which `cli.rs` implements.

use std::process::ExitCode;

fn main() -> ExitCode {
    rockset_apikeys_server::cli::main()
}
