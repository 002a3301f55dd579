//! The connections to one database. A connection that has failed is not used again: SQLite and its
//! library may disagree about the transaction that is open on it.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::{Error, ErrorKind, Rows};
use crate::vault::Vault;

/// How many connections wait for their next use. More are opened when more are needed at once.
const IDLE: usize = 8;
/// Statements that a connection keeps compiled.
const STATEMENTS: usize = 32;

/// Where a database is.
pub(super) enum Place {
    File(PathBuf),
    /// In memory, under a name that connections share. SQLite lets nobody read such a database
    /// while it is written, so it has one connection in use at a time. The first connection is
    /// kept unused: the database lives as long as a connection to it.
    Memory {
        name: String,
        _anchor: Mutex<Connection>,
    },
}

pub(super) struct Pool {
    pub(super) place: Place,
    pub(super) vault: Arc<Vault>,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Link>,
    in_use: usize,
    /// The file of the database, as connections have it open.
    file: Option<FileId>,
}

/// A connection, and the file that it has open.
pub(super) struct Link {
    pub(super) connection: Connection,
    file: Option<FileId>,
    /// How its first statement failed that did.
    failure: OnceCell<Error>,
}

impl Pool {
    pub(super) fn new(place: Place, vault: Arc<Vault>) -> Self {
        Self { place, vault, state: Mutex::default(), returned: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_in_memory(&self) -> bool {
        matches!(self.place, Place::Memory { .. })
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

    /// Puts a connection back, or says that it is gone.
    pub(super) fn put_back(&self, link: Option<Link>) {
        let mut state = self.state();
        state.in_use -= 1;
        if let Some(link) = link
            && link.failure.get().is_none()
            && link.connection.is_autocommit()
            && link.file == state.file
            && state.idle.len() < IDLE
        {
            state.idle.push(link);
        }
        drop(state);
        self.returned.notify_one();
    }

    fn connect(&self) -> Result<Link, Error> {
        let before = self.file()?;
        let connection = connect(&self.place)?;
        check(&connection, &self.vault)?;
        if self.file()? != before {
            return Err(Error::unavailable("the database's file was replaced"));
        }
        let mut state = self.state();
        if state.file != before {
            state.idle.clear();
            state.file = before;
        }
        Ok(Link { connection, file: before, failure: OnceCell::new() })
    }

    /// Fails if the database's file is no longer the one that this connection has open. What is
    /// written to it then is lost.
    pub(super) fn check_in_place(&self, link: &Link) -> Result<(), Error> {
        match self.file() {
            Ok(file) if file == link.file => Ok(()),
            _ => {
                let mut state = self.state();
                state.idle.clear();
                state.file = None;
                Err(Error::unavailable("the database's file was removed or replaced"))
            }
        }
    }

    /// Closes all idle connections.
    pub(super) fn close(&self) {
        self.state().idle.clear();
    }

    #[cfg(unix)]
    fn file(&self) -> Result<Option<FileId>, Error> {
        use std::os::unix::fs::MetadataExt;
        let Place::File(path) = &self.place else { return Ok(None) };
        let file = std::fs::metadata(path).map_err(|error| {
            Error::unavailable(format!("the database's file {}: {error}", path.display()))
        })?;
        Ok(Some((file.dev(), file.ino())))
    }

    #[cfg(not(unix))]
    fn file(&self) -> Result<Option<FileId>, Error> {
        Ok(None)
    }
}

/// A device and a file on it.
type FileId = (u64, u64);

/// Opens a database that exists.
pub(super) fn connect(place: &Place) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match place {
        Place::File(path) => Connection::open_with_flags(path, flags)?,
        Place::Memory { name, .. } => open_in_memory(name)?,
    };
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
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

/// A transaction that reads.
pub(crate) struct Snapshot {
    pool: Arc<Pool>,
    link: Option<Link>,
}

impl Snapshot {
    pub(super) fn begin(pool: &Arc<Pool>) -> Result<Self, Error> {
        let snapshot = Self { pool: Arc::clone(pool), link: Some(pool.take()?) };
        snapshot.link()?.run("BEGIN")?;
        Ok(snapshot)
    }

    pub(crate) fn rows(&self) -> Result<&impl Rows, Error> {
        self.link()
    }

    fn link(&self) -> Result<&Link, Error> {
        self.link.as_ref().ok_or_else(|| Error::broken("the transaction has ended"))
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            // A connection that cannot end its transaction is not used again.
            let _ = link.run("COMMIT");
        }
        self.pool.put_back(self.link.take());
    }
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
