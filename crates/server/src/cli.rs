//! The command line: `serve`, and `users` to manage who may use the API.

mod log;
mod ready;
mod serve;
mod tls;
mod users;

use std::io;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use zeroize::Zeroizing;

use crate::master_key::MasterKey;
use crate::store::{Location, Store};

const MASTER_KEY: &str = "ROCKSET_SERVER_MASTER_KEY";

/// A server of Rockset's API-keys API, which keeps users and keys in an SQLite database.
///
/// The keys in a database are encrypted with secrets of a master key: 64 hexadecimal digits, from
/// the variable ROCKSET_SERVER_MASTER_KEY, or else from a file beside the database, which is
/// created with it. Keep a copy of it: a database without its master key is useless.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API until Ctrl-C or SIGTERM, then finish the requests in flight; a second signal
    /// ends the process at once
    Serve(serve::Serve),
    /// Manage the users of a database, also while a server uses it
    Users {
        #[command(subcommand)]
        command: users::Users,
    },
}

#[derive(Args)]
struct Database {
    /// Database of users and keys; `sqlite::memory:` is forgotten at the end
    #[arg(
        long = "database",
        value_name = "URL",
        env = "ROCKSET_SERVER_DATABASE",
        default_value = "sqlite:keys.db"
    )]
    url: String,
}

impl Database {
    fn open(&self, may_create: bool) -> io::Result<Store> {
        let master_key = match std::env::var(MASTER_KEY) {
            Ok(text) => {
                let key = MasterKey::parse(&Zeroizing::new(text));
                Some(key.map_err(|error| invalid(format!("{MASTER_KEY}: {error}")))?)
            }
            Err(std::env::VarError::NotPresent) => None,
            Err(error) => return Err(invalid(format!("{MASTER_KEY}: {error}"))),
        };
        Store::open(Location { url: self.url.clone(), master_key, may_create })
    }
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason.into())
}

/// Runs the program with its arguments.
pub fn main() -> ExitCode {
    let outcome =
        tokio::runtime::Runtime::new().and_then(|runtime| match Arguments::parse().command {
            Command::Serve(arguments) => runtime.block_on(arguments.run()),
            Command::Users { command } => runtime.block_on(command.run()),
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::print(format!("rockset-apikeys-server: {error}"));
            ExitCode::FAILURE
        }
    }
}
