//! `users`: adds, lists and removes users, and issues keys.

use std::io::{self, Write};

use clap::Subcommand;
use jiff::Timestamp;
use rockset_apikeys::ApiKeyValue;
use serde_json::json;

use super::log::print;
use super::{Database, invalid};
use crate::permission::Role;
use crate::store::{Rows, Store};
use crate::users;

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Add a user and print the user's first key
    Add {
        email: String,
        /// Role of the user: read-only, member or admin
        #[arg(long, default_value = "member")]
        role: Role,
    },
    /// Issue a new key to a user, for example to an administrator without a working key
    IssueKey { email: String },
    /// List users with their roles and numbers of keys
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a user and the user's keys
    Remove { email: String },
}

impl UserCommand {
    pub(super) async fn run(self, database: Database) -> io::Result<()> {
        let now = Timestamp::now().into();
        let store = database.open(matches!(self, Self::Add { .. }))?;
        match self {
            Self::Add { email, role } => {
                let Some(key) = users::add_user(&store, &email, role, now).await? else {
                    return Err(invalid(format!("the user {email:?} already exists")));
                };
                if let Err(error) = print_key(&key) {
                    return Err(not_printed(error, users::remove_user(&store, &email).await));
                }
                print(format!(
                    "This is the first key of {email} ({role}). Store it: it is not shown again."
                ));
            }
            Self::IssueKey { email } => {
                let (name, key) = users::issue_key(&store, &email, now).await?;
                if let Err(error) = print_key(&key) {
                    let undone = users::undo_issue_key(&store, &email, &name).await;
                    return Err(not_printed(error, undone));
                }
                print(format!(
                    "This is the key {name:?} of {email}. Store it: it is not shown again."
                ));
            }
            Self::List { json } => list(&store, json)?,
            Self::Remove { email } => {
                users::remove_user(&store, &email).await?;
                print(format!("Removed {email} and all keys of this user."));
            }
        }
        store.close().await
    }
}

/// Prints a key. Unlike `println`, this fails instead of panicking if standard output fails.
fn print_key(key: &ApiKeyValue) -> io::Result<()> {
    require_output()?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", key.expose_secret())?;
    out.flush()
}

/// Fails if output would be lost.
///
/// Rust replaces a closed standard output by /dev/null, which accepts every write.
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

/// Returns the error for a new key that could not be printed.
pub(super) fn not_printed(error: io::Error, undone: io::Result<()>) -> io::Error {
    let outcome = match undone {
        Ok(()) => "nothing was changed".to_owned(),
        Err(error) => format!(
            "cannot undo the change: {error}; run `users issue-key EMAIL` to print another key"
        ),
    };
    io::Error::new(error.kind(), format!("cannot print the new key: {error}; {outcome}"))
}

fn list(store: &Store, json: bool) -> io::Result<()> {
    let rows = store.read();
    let mut users = Vec::new();
    for (email, role) in rows.users()? {
        let keys = rows.count_keys(&email, u32::MAX)?;
        users.push((email, role, keys));
    }
    // Writing to standard output may block, and an open transaction prevents checkpoints.
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
