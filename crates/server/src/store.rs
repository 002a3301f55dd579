//! The interface of the database: the rows that a decision reads, and the change that it returns.
//!
//! Every request is one transaction. [`Store::read`] begins one that reads. [`Store::change`] runs
//! a decision and applies its change in one transaction; the decision is a function of the rows
//! that it reads, so the store may run it again in another transaction. Decisions do not depend on
//! the engine, and other processes may change the database between transactions.
//!
//! `sqlite.rs` is the only engine. Another one implements [`Rows`] and the methods of [`Store`].

mod sqlite;

use std::io;

use crate::error::ApiError;
use crate::permission::Role;
use crate::record::KeyRecord;
use crate::time::Millis;
use crate::vault::{LookupHash, MasterKey};

pub(crate) use sqlite::{Store, Transaction};

/// The database to open.
pub(crate) struct Location {
    /// For example, `sqlite:keys.db` or `sqlite::memory:`.
    pub(crate) url: String,
    /// `None` stands for the master key in a file next to the database.
    pub(crate) master_key: Option<MasterKey>,
    /// Whether to create a missing database.
    pub(crate) may_create: bool,
}

/// The rows of one transaction.
pub(crate) trait Rows {
    fn key_by_hash(&self, hash: &LookupHash) -> Result<Option<KeyRecord>, Error>;

    fn key(&self, owner: &str, name: &str) -> Result<Option<KeyRecord>, Error>;

    /// Returns up to `limit` keys with IDs above `after`, in the order of creation.
    fn keys(&self, owner: &str, after: i64, limit: usize) -> Result<Vec<KeyRecord>, Error>;

    /// Counts the keys of a user, up to `limit`.
    fn count_keys(&self, owner: &str, limit: u32) -> Result<u32, Error>;

    /// Returns whether an administrator has a working key other than this one.
    fn has_other_admin_key(&self, id: i64, now: Millis) -> Result<bool, Error>;

    /// Returns whether keys have expired that are not suspended yet.
    fn has_expired_keys(&self, now: Millis) -> Result<bool, Error>;

    /// Returns a user's role, or `None` if there is no such user.
    fn role(&self, email: &str) -> Result<Option<Role>, Error>;

    /// Returns all users, ordered by e-mail address.
    fn users(&self) -> Result<Vec<(String, Role)>, Error>;
}

/// The change that a decision returns.
pub(crate) enum Change {
    Nothing,
    /// Adds the owner of this key together with the key.
    AddUser(Box<KeyRecord>),
    /// Deletes a user and the user's keys.
    RemoveUser(String),
    /// Deletes up to this many keys of a user.
    RemoveKeys(String, u32),
    CreateKey(Box<KeyRecord>),
    /// Stores the key's state and expiry time.
    UpdateKey(Box<KeyRecord>),
    DeleteKey(i64),
    /// Stores last-access times, by key ID.
    RecordAccess(Vec<(i64, Millis)>),
    /// Suspends up to this many keys that have expired by the given time.
    SuspendExpired(Millis, u32),
    /// Writes a counter, to check that the database accepts writes.
    Probe,
}

/// A database error.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    kind: ErrorKind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorKind {
    /// Another process has locked the database.
    Busy,
    /// The disk is full or read-only, or the database is missing.
    Unavailable,
    /// A disk operation failed, but may have stored its data.
    DiskFailure,
    /// The database's content is not what the server expects.
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

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error.message)
    }
}

impl From<Error> for ApiError {
    /// Converts an error after which nothing was changed.
    fn from(error: Error) -> Self {
        match error.kind {
            ErrorKind::Busy | ErrorKind::Unavailable | ErrorKind::DiskFailure => {
                Self::unavailable(error.message)
            }
            ErrorKind::Broken => Self::internal(error.message),
        }
    }
}
