//! Where users and keys are kept. This file is what the rest of the server knows of it: rows that a
//! decision reads, and the change that it comes to.
//!
//! Every request is one transaction. [`Store::snapshot`] begins one that reads; [`Store::change`]
//! runs a decision in one that then carries out its change. A decision is a function of the rows
//! that it reads, so it may be run again, in another transaction, on other rows. It depends neither
//! on being the only process nor on SQLite: another engine is a second implementation of [`Rows`]
//! and of these two methods.

mod cache;
mod pool;
mod rows;
mod snapshot;
mod sqlite;
mod writer;

use std::io;

use rusqlite::{ErrorCode, ffi};

use crate::error::ApiError;
use crate::permission::Role;
use crate::record::KeyRecord;
use crate::time::Millis;
use crate::vault::LookupHash;

pub(crate) use snapshot::Snapshot;
pub(crate) use sqlite::{Location, Store};

/// The rows of one transaction.
pub(crate) trait Rows {
    fn key_by_hash(&self, hash: &LookupHash) -> Result<Option<KeyRecord>, Error>;

    fn key(&self, owner: &str, name: &str) -> Result<Option<KeyRecord>, Error>;

    /// At most this many keys with ids beyond `after`, in the order of creation.
    fn keys(&self, owner: &str, after: i64, limit: usize) -> Result<Vec<KeyRecord>, Error>;

    fn count_keys(&self, owner: &str) -> Result<i64, Error>;

    fn has_keys(&self, owner: &str, at_least: u32) -> Result<bool, Error>;

    /// Whether an administrator has a working key besides this one.
    fn has_other_admin_key(&self, id: i64, now: Millis) -> Result<bool, Error>;

    fn has_expired_keys(&self, now: Millis) -> Result<bool, Error>;

    fn role(&self, email: &str) -> Result<Option<Role>, Error>;

    /// All users, by e-mail address.
    fn users(&self) -> Result<Vec<(String, Role)>, Error>;
}

/// What a decision comes to.
pub(crate) enum Change {
    Nothing,
    AddUser(Box<KeyRecord>),
    /// Together with all keys.
    RemoveUser(String),
    /// At most this many keys of a user.
    RemoveKeys(String, usize),
    CreateKey(Box<KeyRecord>),
    /// The state and the expiry time of this key.
    UpdateKey(Box<KeyRecord>),
    DeleteKey(i64),
    /// Keys by id, each with the time of its last use.
    RecordUse(Vec<(i64, Millis)>),
    /// At most this many keys that have expired by then.
    SuspendExpired(Millis, usize),
    /// A write that is made to see whether it is kept.
    Probe,
}

/// How the database fails.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    kind: ErrorKind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorKind {
    /// Another process has locked it.
    Busy,
    /// The disk is full or read-only, or the file is gone.
    Unavailable,
    /// The disk fails, and may have kept what was written.
    DiskFailure,
    /// It has what it should not have.
    Broken,
}

impl Error {
    fn unavailable(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unavailable, message: message.into() }
    }

    fn broken(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Broken, message: message.into() }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let extended = error.sqlite_error().map(|error| error.extended_code);
        let kind = match error.sqlite_error_code() {
            // A write fails without a full copy of the data.
            _ if extended == Some(ffi::SQLITE_IOERR_WRITE) => ErrorKind::Unavailable,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Busy,
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::DiskFull
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly,
            ) => ErrorKind::Unavailable,
            Some(ErrorCode::SystemIoFailure) => ErrorKind::DiskFailure,
            _ => ErrorKind::Broken,
        };
        Self { kind, message: format!("the database failed: {error}") }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error.message)
    }
}

impl From<Error> for ApiError {
    /// For a failure after which nothing was changed.
    fn from(error: Error) -> Self {
        match error.kind {
            ErrorKind::Busy | ErrorKind::Unavailable | ErrorKind::DiskFailure => {
                Self::unavailable(error.message)
            }
            ErrorKind::Broken => Self::internal(error.message),
        }
    }
}
