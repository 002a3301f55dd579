//! The connections to one database file or in-memory database.
//!
//! A connection is not reused after a failed statement, because SQLite and rusqlite may then
//! disagree about its open transaction.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Params, Row, ffi};

use super::cache::Cache;
use super::{Error, ErrorKind};
use crate::vault::Vault;

/// The maximum number of idle connections. More are opened if they are in use at the same time.
const IDLE: usize = 8;
/// How long a statement waits for a lock.
///
/// A change then retries. A read has to wait only while another process recovers the database.
const BUSY_TIMEOUT: Duration = Duration::from_millis(50);
/// The number of compiled statements that a connection caches.
const STATEMENTS: usize = 32;

pub(super) enum Place {
    File(PathBuf),
    /// The name of an in-memory database that connections share.
    ///
    /// SQLite does not allow reads while it is written, so one connection is in use at a time.
    Memory(String),
}

pub(super) struct Pool {
    place: Place,
    pub(super) vault: Vault,
    pub(super) cache: Cache,
    state: Mutex<State>,
    returned: Condvar,
}

struct State {
    idle: Vec<Link>,
    in_use: usize,
    /// The file that was opened last, and that the write-ahead log belongs to.
    file: Option<FileId>,
    /// A connection that stays open and unused while that file is in its place.
    ///
    /// SQLite creates the write-ahead log with the first connection, which fails on a full disk,
    /// and removes it with the last one. An in-memory database ends with its last connection.
    anchor: Option<Connection>,
}

/// A device and an inode.
type FileId = (u64, u64);

/// A connection, and the file that it has open.
pub(super) struct Link {
    connection: Connection,
    file: Option<FileId>,
    /// The first error of a statement.
    failure: OnceCell<Error>,
}

impl Pool {
    /// Creates a pool for the database that this connection has open.
    pub(super) fn new(place: Place, vault: Vault, connection: Connection) -> Result<Self, Error> {
        let file = place.file()?;
        let state = State { idle: Vec::new(), in_use: 0, file, anchor: Some(connection) };
        let cache = Cache::new();
        cache.follow(place.path());
        Ok(Self { place, vault, cache, state: state.into(), returned: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_in_memory(&self) -> bool {
        matches!(self.place, Place::Memory(_))
    }

    /// Takes an idle connection, or opens one.
    pub(super) fn take(&self) -> Result<Link, Error> {
        let mut state = self.state();
        while self.is_in_memory() && state.in_use > 0 {
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.in_use += 1;
        if let Some(link) = state.idle.pop() {
            return Ok(link);
        }
        drop(state);
        self.connect().inspect_err(|_| self.put_back(None))
    }

    /// Returns a connection; `None` stands for one that could not be opened.
    pub(super) fn put_back(&self, link: Option<Link>) {
        let mut state = self.state();
        state.in_use -= 1;
        match link {
            // The cause may affect the others, and they may not notice when it ends.
            Some(link) if link.failure.get().is_some() => state.idle.clear(),
            Some(link)
                if link.connection.is_autocommit()
                    && link.file == state.file
                    && state.anchor.is_some()
                    && state.idle.len() < IDLE =>
            {
                state.idle.push(link);
            }
            _ => {}
        }
        drop(state);
        self.returned.notify_one();
    }

    fn connect(&self) -> Result<Link, Error> {
        let file = self.place.file()?;
        if self.state().file != file && self.place.has_log() {
            // SQLite would apply the log to the new file.
            return Err(Error::unavailable(
                "the database's file was replaced, but its write-ahead log was not",
            ));
        }
        let open = || {
            let connection = connect(&self.place, BUSY_TIMEOUT)?;
            check_master_key(&connection, &self.vault)?;
            Ok::<_, Error>(connection)
        };
        let connection = open()?;
        if self.place.file()? != file {
            return Err(Error::unavailable("the database's file was replaced"));
        }
        let mut state = self.state();
        if state.file != file || state.anchor.is_none() {
            state.idle.clear();
            state.anchor = Some(open()?);
            state.file = file;
            self.cache.follow(self.place.path());
        }
        Ok(Link { connection, file, failure: OnceCell::new() })
    }

    /// Fails if the database's path no longer names the file of this connection.
    ///
    /// Writes to that file would be lost.
    pub(super) fn check_in_place(&self, link: &Link) -> Result<(), Error> {
        match self.place.file() {
            Ok(file) if file == link.file => Ok(()),
            _ => {
                self.close();
                Err(Error::unavailable("the database's file was removed or replaced"))
            }
        }
    }

    /// Moves the write-ahead log into the database's file.
    pub(super) fn checkpoint(&self) -> Result<(), Error> {
        if self.is_in_memory() {
            return Ok(());
        }
        let link = self.take()?;
        let is_busy = link.one("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        self.put_back(Some(link));
        if is_busy?.unwrap_or(false) {
            tracing::info!("another process uses the database, so its write-ahead log remains");
        }
        Ok(())
    }

    /// Closes all idle connections.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.idle.clear();
        state.anchor = None;
        self.cache.stop();
    }
}

impl Place {
    fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Memory(_) => None,
        }
    }

    #[cfg(unix)]
    fn file(&self) -> Result<Option<FileId>, Error> {
        use std::os::unix::fs::MetadataExt;
        let Self::File(path) = self else { return Ok(None) };
        let file = std::fs::metadata(path).map_err(|error| {
            let path = path.display();
            Error::unavailable(format!("cannot find the database's file {path}: {error}"))
        })?;
        Ok(Some((file.dev(), file.ino())))
    }

    #[cfg(not(unix))]
    fn file(&self) -> Result<Option<FileId>, Error> {
        Ok(None)
    }

    /// Returns whether the write-ahead log exists and is not empty.
    fn has_log(&self) -> bool {
        let Self::File(path) = self else { return false };
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
    }
}

/// Opens an existing database. Statements wait for locks for up to `busy_timeout`.
pub(super) fn connect(place: &Place, busy_timeout: Duration) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match place {
        Place::File(path) => Connection::open_with_flags(path, flags)?,
        Place::Memory(name) => open_in_memory(name)?,
    };
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(busy_timeout)?;
    // A commit is on the disk before it is reported.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
         PRAGMA foreign_keys = ON",
    )?;
    Ok(connection)
}

pub(super) fn open_in_memory(name: &str) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(name, flags)?;
    connection.execute_batch("PRAGMA journal_mode = MEMORY")?;
    Ok(connection)
}

/// Fails if the database was written with another master key.
///
/// Another database may have replaced it.
pub(super) fn check_master_key(connection: &Connection, vault: &Vault) -> Result<(), Error> {
    let key_check: Vec<u8> =
        connection.query_row("SELECT key_check FROM directory", [], |row| row.get(0))?;
    if key_check == vault.key_check() {
        return Ok(());
    }
    Err(Error::unavailable("the database was written with another master key"))
}

impl Link {
    /// Records a failure, so that the connection is not reused.
    pub(super) fn note<T>(&self, outcome: Result<T, impl Into<Error>>) -> Result<T, Error> {
        outcome.map_err(|error| {
            let error = error.into();
            // The first failure is the cause of all others.
            let _ = self.failure.set(error.clone());
            error
        })
    }

    /// Fails if a statement has failed.
    pub(super) fn check_statements(&self) -> Result<(), Error> {
        self.failure.get().cloned().map_or(Ok(()), Err)
    }

    pub(super) fn is_in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Begins a transaction that writes. Returns `false` if another process is in one.
    pub(super) fn try_begin_immediate(&self) -> Result<bool, Error> {
        let begin = || self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]);
        match begin().map_err(Error::from) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::Busy => Ok(false),
            Err(error) => self.note(Err(error)),
        }
    }

    /// Runs a statement and returns the number of changed rows.
    pub(super) fn execute(&self, sql: &str, parameters: impl Params) -> Result<usize, Error> {
        let run = || self.connection.prepare_cached(sql)?.execute(parameters);
        self.note(run())
    }

    /// Returns the first row of a query.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        let run = || self.connection.prepare_cached(sql)?.query_row(parameters, read).optional();
        self.note(run())
    }

    /// Returns all rows of a query.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let run = || self.connection.prepare_cached(sql)?.query_map(parameters, read)?.collect();
        self.note(run())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let extended = error.sqlite_error().map(|error| error.extended_code);
        let kind = match error.sqlite_error_code() {
            // A failed write has not stored all of its data.
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
