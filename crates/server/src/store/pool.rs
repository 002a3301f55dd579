//! The connections to one database. A connection that has failed is not used again: SQLite and its
//! library may disagree about the transaction that is open on it.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::cache::Cache;
use super::{Error, ErrorKind};
use crate::vault::Vault;

/// How many connections wait for their next use. More are opened when more are needed at once.
const IDLE: usize = 8;
/// How long a statement waits for a lock. A change then tries again; a read waits this long only
/// while another process recovers the database.
const BUSY: Duration = Duration::from_millis(50);
/// Statements that a connection keeps compiled.
const STATEMENTS: usize = 32;

/// Where a database is.
pub(super) enum Place {
    File(PathBuf),
    /// In memory, under a name that connections share. SQLite lets nobody read such a database
    /// while it is written, so it has one connection in use at a time.
    Memory(String),
}

pub(super) struct Pool {
    pub(super) place: Place,
    pub(super) vault: Arc<Vault>,
    pub(super) cache: Cache,
    state: Mutex<State>,
    returned: Condvar,
}

struct State {
    idle: Vec<Link>,
    in_use: usize,
    /// The file that was opened last, and that the write-ahead log belongs to.
    file: Option<FileId>,
    /// A connection that is never used, while that file is in its place. SQLite creates the
    /// write-ahead log with the first connection and removes it with the last one; on a full disk
    /// it could not create it again. A database in memory ends with its last connection.
    anchor: Option<Connection>,
}

/// A connection, and the file that it has open.
pub(super) struct Link {
    pub(super) connection: Connection,
    file: Option<FileId>,
    /// How its first statement failed that did.
    failure: OnceCell<Error>,
}

impl Pool {
    /// The pool of a database that this connection has open.
    pub(super) fn new(
        place: Place,
        vault: Arc<Vault>,
        connection: Connection,
    ) -> Result<Self, Error> {
        let file = place.file()?;
        let state = State { idle: Vec::new(), in_use: 0, file, anchor: Some(connection) };
        let cache = Cache::new();
        cache.follow(&place);
        Ok(Self { place, vault, cache, state: state.into(), returned: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_in_memory(&self) -> bool {
        matches!(self.place, Place::Memory(_))
    }

    /// Takes a connection out, and opens one where none is idle.
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

    /// Puts a connection back, or reports that it is gone.
    pub(super) fn put_back(&self, link: Option<Link>) {
        let mut state = self.state();
        state.in_use -= 1;
        match link {
            // What failed for one may fail for the others, and they may not notice its end.
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
            // SQLite would apply it to the new file.
            return Err(Error::unavailable(
                "the database's file was replaced, and its write-ahead log was not",
            ));
        }
        let open = || {
            let connection = connect(&self.place, BUSY)?;
            check(&connection, &self.vault)?;
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
            self.cache.follow(&self.place);
        }
        Ok(Link { connection, file, failure: OnceCell::new() })
    }

    /// Fails if the database's file is no longer the one that this connection has open. What is
    /// written to it then is lost.
    pub(super) fn check_in_place(&self, link: &Link) -> Result<(), Error> {
        match self.place.file() {
            Ok(file) if file == link.file => Ok(()),
            _ => {
                self.close();
                Err(Error::unavailable("the database's file was removed or replaced"))
            }
        }
    }

    /// Closes all connections that are not in use.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.idle.clear();
        state.anchor = None;
        self.cache.stop();
    }
}

impl Place {
    #[cfg(unix)]
    fn file(&self) -> Result<Option<FileId>, Error> {
        use std::os::unix::fs::MetadataExt;
        let Self::File(path) = self else { return Ok(None) };
        let file = std::fs::metadata(path).map_err(|error| {
            Error::unavailable(format!("the database's file {}: {error}", path.display()))
        })?;
        Ok(Some((file.dev(), file.ino())))
    }

    #[cfg(not(unix))]
    fn file(&self) -> Result<Option<FileId>, Error> {
        Ok(None)
    }

    /// Whether there is a write-ahead log that has something.
    fn has_log(&self) -> bool {
        let Self::File(path) = self else { return false };
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
    }
}

/// A device and a file on it.
type FileId = (u64, u64);

/// Opens a database that exists. Statements wait this long for a lock.
pub(super) fn connect(place: &Place, busy: Duration) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match place {
        Place::File(path) => Connection::open_with_flags(path, flags)?,
        Place::Memory(name) => open_in_memory(name)?,
    };
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(busy)?;
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

/// Fails unless this is a database of this master key. Another one may have taken its place.
pub(super) fn check(connection: &Connection, vault: &Vault) -> Result<(), Error> {
    let key_check: Vec<u8> =
        connection.query_row("SELECT key_check FROM directory", [], |row| row.get(0))?;
    if key_check == vault.key_check() {
        return Ok(());
    }
    Err(Error::unavailable("the database was written with another master key"))
}

impl Link {
    /// Notes a failure, after which the connection is not used again.
    pub(super) fn note<T>(&self, outcome: Result<T, impl Into<Error>>) -> Result<T, Error> {
        outcome.map_err(|error| {
            let error = error.into();
            // The first failure is the cause of all others.
            let _ = self.failure.set(error.clone());
            error
        })
    }

    /// Fails if a statement has failed.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.failure.get().cloned().map_or(Ok(()), Err)
    }

    /// Runs a statement without rows.
    pub(super) fn run(&self, sql: &str) -> Result<(), Error> {
        let run = || self.connection.prepare_cached(sql)?.execute([]);
        self.note(run()).map(drop)
    }

    /// Begins a transaction that may write; `false` while another process is in one.
    pub(super) fn try_begin_immediate(&self) -> Result<bool, Error> {
        let begin = || self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]);
        match begin().map_err(Error::from) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::Busy => Ok(false),
            Err(error) => self.note(Err(error)),
        }
    }

    /// Moves the write-ahead log to the database's file; `true` if another process prevents it.
    pub(super) fn checkpoint(&self) -> Result<bool, Error> {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.note(self.connection.query_row(sql, [], |row| row.get(0)))
    }
}
