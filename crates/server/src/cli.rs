//! The CLI: `serve`, and `users` to manage users.

mod banner;
mod log;
mod serve;
mod user_commands;

use std::io;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use zeroize::Zeroizing;

use crate::store::{Location, Store};
use crate::vault::MasterKey;

const MASTER_KEY: &str = "ROCKSET_SERVER_MASTER_KEY";

/// A server of Rockset's API-keys API with an SQLite database
///
/// A master key encrypts the keys in the database. It is 64 hexadecimal digits in the environment
/// variable ROCKSET_SERVER_MASTER_KEY, or else in a file next to the database, which is created
/// with it. Back it up: without its master key, a database is useless.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API
    ///
    /// Ctrl-C or SIGTERM stops the server once it has finished the requests in flight. A second
    /// signal ends the process immediately.
    Serve(serve::Serve),
    /// Manage the users of a database, even while a server uses it
    Users {
        #[command(flatten)]
        database: Database,
        #[command(subcommand)]
        command: user_commands::UserCommand,
    },
}

#[derive(Args)]
struct Database {
    /// Database of users and keys; `sqlite::memory:` keeps nothing
    #[arg(
        long = "database",
        global = true,
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
                Some(key.map_err(|error| invalid(format!("invalid {MASTER_KEY}: {error}")))?)
            }
            Err(std::env::VarError::NotPresent) => None,
            Err(error) => return Err(invalid(format!("invalid {MASTER_KEY}: {error}"))),
        };
        Store::open(Location { url: self.url.clone(), master_key, may_create })
    }
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason.into())
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let outcome =
        tokio::runtime::Runtime::new().and_then(|runtime| match Arguments::parse().command {
            Command::Serve(arguments) => runtime.block_on(arguments.run()),
            Command::Users { database, command } => runtime.block_on(command.run(database)),
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::print(format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
