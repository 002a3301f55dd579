//! A database as it is opened, used and closed. Reads run on the caller's thread: a row costs less
//! than handing the work to another thread. All changes go to the one thread of `writer.rs`.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::pool::{Place, Pool, check, connect, open_in_memory};
use super::snapshot::Snapshot;
use super::writer::Writer;
use super::{Change, Error, Rows};
use crate::error::ApiError;
use crate::master_key::{MasterKey, sync_folder_of};
use crate::vault::Vault;

const SCHEMA: &str = include_str!("schema.sql");
/// The version of the schema, in SQLite's `user_version`.
const VERSION: i64 = 1;
/// How long opening waits for other processes that open the same database.
const OPENING: Duration = Duration::from_secs(10);

/// Which database to open.
pub(crate) struct Location {
    /// Such as `sqlite:keys.db` or `sqlite::memory:`.
    pub(crate) url: String,
    /// Without one, a file's master key is in a file beside it.
    pub(crate) master_key: Option<MasterKey>,
    /// Whether to create the database where there is none.
    pub(crate) may_create: bool,
}

/// An open database.
pub(crate) struct Store {
    pool: Arc<Pool>,
    writer: Writer,
}

impl Store {
    pub(crate) fn open(location: Location) -> io::Result<Self> {
        let url = location.url.clone();
        open(location).map_err(|error| {
            io::Error::new(error.kind(), format!("the database {url} cannot be opened: {error}"))
        })
    }

    pub(crate) fn vault(&self) -> &Arc<Vault> {
        &self.pool.vault
    }

    /// Returns a transaction that reads. It has all that was committed until now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.pool)
    }

    /// Makes a decision and carries out its change in one transaction. A success is returned after
    /// the database has committed it.
    ///
    /// The decision may be run again: after a failure, on what the database has then. If its first
    /// run was applied nonetheless, it has to recognize that.
    pub(crate) async fn change<T, D>(&self, decide: D) -> Result<T, ApiError>
    where
        T: Send + 'static,
        D: FnMut(&dyn Rows) -> Result<(Change, T), ApiError> + Send + 'static,
    {
        self.writer.change(decide).await
    }

    /// Fails if the database's file was removed or replaced. Reads notice by the next call of this.
    pub(crate) fn check_in_place(&self) -> Result<(), Error> {
        let link = self.pool.take()?;
        let outcome = self.pool.check_in_place(&link);
        self.pool.put_back(Some(link));
        outcome
    }

    /// Ends all changes and moves them from the write-ahead log to the database's file.
    pub(crate) async fn close(&self) -> io::Result<()> {
        self.writer.close().await
    }
}

fn open(location: Location) -> io::Result<Store> {
    let name = location.url.strip_prefix("sqlite:").ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "give a URL such as sqlite:keys.db")
    })?;
    let name = name.strip_prefix("//").unwrap_or(name);
    let (place, vault, connection) = match name {
        ":memory:" => create_in_memory(location.master_key)?,
        "" => return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file has no name")),
        _ if name.contains('?') => {
            let reason = "parameters are not supported; give the file alone";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        file => open_file(file.into(), location.master_key, location.may_create)?,
    };
    let pool = Arc::new(Pool::new(place, Arc::new(vault), connection)?);
    let writer = Writer::start(Arc::clone(&pool))?;
    Ok(Store { pool, writer })
}

fn create_in_memory(master_key: Option<MasterKey>) -> io::Result<(Place, Vault, Connection)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!("file:/rockset-apikeys-{}?vfs=memdb", NUMBER.fetch_add(1, Relaxed));
    let mut connection = open_in_memory(&name)?;
    let vault = prepare(&mut connection, |_| master_key.map_or_else(MasterKey::generate, Ok))?;
    Ok((Place::Memory(name), vault, connection))
}

fn open_file(
    file: PathBuf,
    master_key: Option<MasterKey>,
    may_create: bool,
) -> io::Result<(Place, Vault, Connection)> {
    if !file.exists() {
        if !may_create {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is none"));
        }
        create_private(&file)?;
    }
    let beside = beside(&file);
    let place = Place::File(file);
    let mut connection = connect(&place, OPENING)?;
    use_write_ahead_log(&connection)?;
    let vault = prepare(&mut connection, |is_new| {
        master_key.map_or_else(|| MasterKey::from_file(&beside, is_new), Ok)
    })?;
    Ok((place, vault, connection))
}

/// Lets reads and a write go on at once. SQLite does not wait for a process that does the same.
fn use_write_ahead_log(connection: &Connection) -> Result<(), Error> {
    let deadline = Instant::now() + OPENING;
    loop {
        match connection.execute_batch("PRAGMA journal_mode = WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            outcome => return outcome.map_err(Error::from),
        }
    }
}

/// Creates the tables in a new database, and compares the master key in others. One process at a
/// time does this with a database.
fn prepare(
    connection: &mut Connection,
    master_key: impl FnOnce(bool) -> io::Result<MasterKey>,
) -> io::Result<Vault> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(Error::from)?;
    let number = |sql| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
    let version = number("PRAGMA user_version").map_err(Error::from)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(Error::from)?;
    let is_new = version == 0 && tables == 0;
    if !is_new && version != VERSION {
        let reason = "it is not a database of this version of the server";
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let vault = Vault::new(&master_key(is_new)?)?;
    if is_new {
        let create = || {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            let insert = "INSERT INTO directory (key_check) VALUES (?)";
            transaction.execute(insert, [vault.key_check().as_slice()])
        };
        create().map_err(Error::from)?;
    } else {
        check(&transaction, &vault)?;
    }
    transaction.commit().map_err(Error::from)?;
    Ok(vault)
}

/// Returns the file of the master key of a database's file.
fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".master-key");
    name.into()
}

/// Creates an empty file that only its owner can read, unless another process has just done so.
fn create_private(file: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(file) {
        Ok(created) => created.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }?;
    sync_folder_of(file)
}
