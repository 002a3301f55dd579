//! The server as a program; what it does is in `cli.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rockset_apikeys_server::cli::main()
}
