//! The server as a program: `serve`, and `users` to say who may use it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::fault::Faults;
use crate::http::{self, App};
use crate::listen::Limits;
use crate::master_key::MasterKey;
use crate::service::Service;
use crate::store::Store;
use crate::{ADMIN, Role, listen, log, rules};

const MASTER_KEY: &str = "ROCKSET_SERVER_MASTER_KEY";

/// A server of Rockset's API-keys API, which keeps users and keys in an SQLite database.
///
/// The keys in a database are encrypted with a master key: 64 hexadecimal digits, from the variable
/// ROCKSET_SERVER_MASTER_KEY or else from a file beside the database, which is created with it. A
/// database without its master key is of no use, to anybody.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API until Ctrl-C or SIGTERM, and then finish what is in flight; a second one
    /// ends the process at once
    Serve(Serve),
    /// Add, list and remove the users of a database, also while a server has it open
    Users {
        #[command(subcommand)]
        command: Users,
    },
}

#[derive(Args)]
struct Database {
    /// Database to keep users and keys in; `sqlite::memory:` forgets them at the end
    #[arg(
        long = "database",
        value_name = "URL",
        env = "ROCKSET_SERVER_DATABASE",
        default_value = "sqlite:keys.db"
    )]
    url: String,
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    database: Database,

    /// Address to listen at; port 0 stands for a free one
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "ROCKSET_SERVER_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    listen: SocketAddr,

    /// A user to add where there is none yet, with a role: read-only, member or admin
    #[arg(long = "user", value_name = "EMAIL=ROLE", value_parser = user)]
    users: Vec<(String, Role)>,

    /// PEM file of the certificates, the server's own first, to serve https
    #[arg(long, value_name = "FILE", env = "ROCKSET_SERVER_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// PEM file of the certificate's private key
    #[arg(long, value_name = "FILE", env = "ROCKSET_SERVER_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Requests per second that each key may sign; 0 for any number
    #[arg(long, value_name = "NUMBER", env = "ROCKSET_SERVER_RATE_LIMIT", default_value_t = 100)]
    rate_limit: u32,

    /// Connections that may be open at once; further ones wait
    #[arg(long, value_name = "NUMBER", env = "ROCKSET_SERVER_CONNECTIONS", default_value = "512")]
    connections: NonZeroUsize,

    /// Seconds until a client that does not read its response is disconnected
    #[arg(
        long,
        value_name = "SECONDS",
        env = "ROCKSET_SERVER_RESPONSE_TIMEOUT",
        default_value_t = 30
    )]
    response_timeout: u32,

    /// Seconds that requests in flight may take when the server stops
    #[arg(long, value_name = "SECONDS", env = "ROCKSET_SERVER_GRACE", default_value_t = 30)]
    grace: u32,

    /// Let anybody make the next answers fail, with POST /faults; for tests
    #[arg(long)]
    faults: bool,

    /// The least severe messages to log to standard error: error, warn, info, debug or off
    #[arg(long, value_name = "LEVEL", env = "ROCKSET_SERVER_LOG", default_value = "info")]
    log: LevelFilter,

    /// How log messages are written
    #[arg(long, value_name = "FORMAT", env = "ROCKSET_SERVER_LOG_FORMAT", default_value = "text")]
    log_format: log::Format,
}

#[derive(Subcommand)]
enum Users {
    /// Add a user, and print the user's first key
    Add {
        #[command(flatten)]
        database: Database,
        email: String,
        /// What the user may do: read-only, member or admin
        #[arg(long, default_value = "member")]
        role: Role,
    },
    /// List the users with their roles and how many keys they have
    List {
        #[command(flatten)]
        database: Database,
        /// Print JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Remove a user with all keys
    Remove {
        #[command(flatten)]
        database: Database,
        email: String,
    },
}

fn user(text: &str) -> Result<(String, Role), String> {
    let (email, role) = text.rsplit_once('=').ok_or("give a user as EMAIL=ROLE")?;
    let role = role.parse::<Role>().map_err(|error| error.to_string())?;
    Ok((email.to_owned(), role))
}

/// Runs the program that its arguments ask for.
pub fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let outcome = match Arguments::parse().command {
        Command::Serve(arguments) => runtime.block_on(serve(arguments)),
        Command::Users { command } => runtime.block_on(users(command)),
    };
    outcome.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn failed(error: &io::Error) -> ExitCode {
    log::print(format!("rockset-apikeys-server: {error}"));
    ExitCode::FAILURE
}

fn refused(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason.into())
}

async fn open(database: &Database, may_create: bool) -> io::Result<Store> {
    let master = match std::env::var(MASTER_KEY) {
        Ok(text) => {
            let key = MasterKey::parse(&Zeroizing::new(text));
            Some(key.map_err(|error| refused(format!("{MASTER_KEY}: {error}")))?)
        }
        Err(std::env::VarError::NotPresent) => None,
        Err(error) => return Err(refused(format!("{MASTER_KEY}: {error}"))),
    };
    Store::open(&database.url, master, may_create).await
}

async fn serve(arguments: Serve) -> io::Result<()> {
    let _log = log::start(arguments.log, arguments.log_format);
    let tls = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificates), Some(key)) => Some(listen::tls(certificates, key)?),
        _ => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let address = arguments.listen;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot serve at {address}: {error}"))
    })?;
    let mut store = open(&arguments.database, true).await?;
    let now = Timestamp::now();
    let mut keys = Vec::new();
    if store.users().await?.is_empty() {
        keys.push((ADMIN.to_owned(), store.add_user(ADMIN, Role::Admin, now).await?));
    }
    for (email, role) in arguments.users {
        rules::check_email(&email).map_err(refused)?;
        if !store.has_user(&email).await? {
            let key = store.add_user(&email, role, now).await?;
            keys.push((email, key));
        }
    }
    let service = Service::new(store, Clock::default()).await?;
    let limit = NonZeroU32::new(arguments.rate_limit);
    let app = App::new(service.clone(), Faults::default().into(), limit);
    let router = http::router(app, arguments.faults);

    let stop = stop()?;
    let mut out = io::stdout().lock();
    writeln!(out, "Rockset API-keys server, users and keys in {}", arguments.database.url)?;
    writeln!(out, "\n  export ROCKSET_APISERVER={scheme}://{}", listener.local_addr()?)?;
    for (email, key) in &keys {
        let key = key.expose_secret();
        if email == ADMIN {
            writeln!(out, "  export ROCKSET_APIKEY={key}")?;
            writeln!(out, "\nThe key is {ADMIN}'s. Keep it: it is not shown again.")?;
        } else {
            writeln!(out, "\nKey of {email}, not shown again:\n\n  {key}")?;
        }
    }
    writeln!(out, "\nCtrl-C stops it.")?;
    out.flush()?;
    drop(out);

    let limits = Limits {
        connections: arguments.connections,
        response_timeout: Duration::from_secs(arguments.response_timeout.into()),
        grace: Duration::from_secs(arguments.grace.into()),
    };
    listen::serve(listener, tls, router, limits, stop).await;
    tracing::info!("the server has stopped");
    service.catch_up().await
}

/// Done when the process is asked to stop, from now on. When it is asked again, it ends at once,
/// in the signal handler, whatever its threads wait for.
#[cfg(unix)]
fn stop() -> io::Result<impl Future<Output = ()>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    use tokio::signal::unix::{SignalKind, signal};
    let stopping = Arc::new(AtomicBool::new(false));
    for number in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&stopping))?;
        // After the one above, so that the first signal finds the flag unset.
        flag::register(number, Arc::clone(&stopping))?;
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

async fn users(command: Users) -> io::Result<()> {
    match command {
        Users::Add { database, email, role } => {
            rules::check_email(&email).map_err(refused)?;
            let mut store = open(&database, true).await?;
            if store.has_user(&email).await? {
                return Err(refused(format!("the user {email:?} is there already")));
            }
            let key = store.add_user(&email, role, Timestamp::now()).await?;
            println!("{}", key.expose_secret());
            eprintln!(
                "This is the first key of {email}, a {role}. Keep it: it is not shown again."
            );
        }
        Users::List { database, json } => {
            let users = open(&database, false).await?.users().await?;
            if json {
                let users = users.into_iter().map(|(email, role, keys)| {
                    json!({ "email": email, "role": role.as_str(), "keys": keys })
                });
                println!("{:#}", users.collect::<serde_json::Value>());
            } else {
                let width = users.iter().map(|(email, ..)| email.chars().count()).max();
                let width = width.unwrap_or_default().max("USER".len());
                println!("{:width$}  {:9}  KEYS", "USER", "ROLE");
                for (email, role, keys) in users {
                    println!("{email:width$}  {role:9}  {keys:>4}");
                }
            }
        }
        Users::Remove { database, email } => {
            if !open(&database, false).await?.remove_user(&email).await? {
                return Err(refused(format!("there is no user {email:?}")));
            }
            eprintln!(
                "{email} is removed with all keys; a running server notices within a second."
            );
        }
    }
    Ok(())
}
