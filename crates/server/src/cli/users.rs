//! `users`: who may use the API.

use std::io::{self, Write};

use clap::Subcommand;
use jiff::Timestamp;
use rockset_apikeys::ApiKeyValue;
use serde_json::json;

use super::log::print;
use super::{Database, invalid};
use crate::directory;
use crate::permission::Role;
use crate::store::{Rows, Store};

#[derive(Subcommand)]
pub(super) enum Users {
    /// Add a user, and print the user's first key
    Add {
        #[command(flatten)]
        database: Database,
        email: String,
        /// What the user may do: read-only, member or admin
        #[arg(long, default_value = "member")]
        role: Role,
    },
    /// Issue a new key to a user, such as an administrator who has no working key
    IssueKey {
        #[command(flatten)]
        database: Database,
        email: String,
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

impl Users {
    pub(super) async fn run(self) -> io::Result<()> {
        let now = Timestamp::now().into();
        match self {
            Self::Add { database, email, role } => {
                let store = database.open(true)?;
                let Some(key) = directory::add_user(&store, &email, role, now).await? else {
                    return Err(invalid(format!("the user {email:?} already exists")));
                };
                if let Err(error) = print_key(&key) {
                    return Err(not_printed(error, directory::remove_user(&store, &email).await));
                }
                print(format!(
                    "This is the first key of {email}, a {role}. Keep it: it is not shown again."
                ));
                store.close().await
            }
            Self::IssueKey { database, email } => {
                let store = database.open(false)?;
                let (name, key) = directory::issue_key(&store, &email, now).await?;
                if let Err(error) = print_key(&key) {
                    let taken_back = directory::take_back(&store, &email, &name).await;
                    return Err(not_printed(error, taken_back));
                }
                print(format!(
                    "This is the key {name:?} of {email}. Keep it: it is not shown again."
                ));
                store.close().await
            }
            Self::List { database, json } => {
                let store = database.open(false)?;
                list(&store, json)?;
                store.close().await
            }
            Self::Remove { database, email } => {
                let store = database.open(false)?;
                directory::remove_user(&store, &email).await?;
                print(format!("{email} is removed with all keys, which no longer work."));
                store.close().await
            }
        }
    }
}

/// Fails where standard output is full or closed, unlike `println`, which panics.
fn print_key(key: &ApiKeyValue) -> io::Result<()> {
    require_output()?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", key.expose_secret())?;
    out.flush()
}

/// Fails where what is printed is lost. In place of a standard output that is closed, Rust opens
/// /dev/null, where every write succeeds.
#[cfg(unix)]
pub(super) fn require_output() -> io::Result<()> {
    use std::fs::{File, metadata};
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?).metadata()?;
    match metadata("/dev/null") {
        Ok(null) if null.rdev() == output.rdev() => {
            Err(io::Error::new(io::ErrorKind::BrokenPipe, "standard output is closed or /dev/null"))
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
pub(super) fn require_output() -> io::Result<()> {
    Ok(())
}

/// Reports a key that nobody has seen, and that therefore must not exist.
pub(super) fn not_printed(error: io::Error, taken_back: io::Result<()>) -> io::Error {
    let outcome = match taken_back {
        Ok(()) => "nothing was changed".to_owned(),
        Err(error) => format!(
            "and the change cannot be undone: {error}; `users issue-key EMAIL` prints another key"
        ),
    };
    io::Error::new(error.kind(), format!("the new key cannot be printed: {error}; {outcome}"))
}

fn list(store: &Store, json: bool) -> io::Result<()> {
    let rows = store.snapshot();
    let mut users = Vec::new();
    for (email, role) in rows.users()? {
        let keys = rows.count_keys(&email)?;
        users.push((email, role, keys));
    }
    // Standard output may not be read for long, and SQLite keeps what an open transaction reads.
    drop(rows);
    let mut out = io::stdout().lock();
    if json {
        let users = users.into_iter().map(
            |(email, role, keys)| json!({ "email": email, "role": role.as_str(), "keys": keys }),
        );
        writeln!(out, "{:#}", users.collect::<serde_json::Value>())?;
    } else {
        let width = users.iter().map(|(email, ..)| email.chars().count()).max();
        let width = width.unwrap_or_default().max("USER".len());
        writeln!(out, "{:width$}  {:9}  KEYS", "USER", "ROLE")?;
        for (email, role, keys) in users {
            writeln!(out, "{email:width$}  {role:9}  {keys:>4}")?;
        }
    }
    out.flush()
}
