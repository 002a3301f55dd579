//! Opens a database, and creates it if it is missing.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::pool::{Place, Pool, check_master_key, connect, open_in_memory};
use super::{Error, Location};
use crate::private_file;
use crate::vault::{MasterKey, Vault};

const SCHEMA: &str = include_str!("schema.sql");
/// The version of the schema, stored in SQLite's `user_version`.
const VERSION: i64 = 1;
/// How long opening waits for other processes that open the same database.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn open(location: Location) -> io::Result<Pool> {
    let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidInput, reason);
    let name = location
        .url
        .strip_prefix("sqlite:")
        .ok_or_else(|| invalid("expected a URL like sqlite:keys.db"))?;
    match name.strip_prefix("//").unwrap_or(name) {
        ":memory:" => create_in_memory(location.master_key),
        "" => Err(invalid("the file name is empty")),
        name if name.contains('?') => {
            Err(invalid("URL parameters are not supported; pass only the file name"))
        }
        name => open_file(name.into(), location.master_key, location.may_create),
    }
}

fn create_in_memory(master_key: Option<MasterKey>) -> io::Result<Pool> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!("file:/rockset-apikeys-{}?vfs=memdb", NUMBER.fetch_add(1, Relaxed));
    let mut connection = open_in_memory(&name)?;
    let vault = prepare(&mut connection, |_| master_key.map_or_else(MasterKey::generate, Ok))?;
    Ok(Pool::new(Place::Memory(name), vault, connection)?)
}

fn open_file(file: PathBuf, master_key: Option<MasterKey>, may_create: bool) -> io::Result<Pool> {
    if !file.exists() {
        if !may_create {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the file does not exist"));
        }
        private_file::create(&file, b"")?;
    }
    let mut key_file = file.as_os_str().to_owned();
    key_file.push(".master-key");
    let place = Place::File(file);
    let mut connection = connect(&place, OPEN_TIMEOUT)?;
    use_write_ahead_log(&connection)?;
    let vault = prepare(&mut connection, |is_new| {
        master_key.map_or_else(|| MasterKey::from_file(key_file.as_ref(), is_new), Ok)
    })?;
    Ok(Pool::new(place, vault, connection)?)
}

/// Allows reads during a write. SQLite does not wait for another process that does the same.
fn use_write_ahead_log(connection: &Connection) -> Result<(), Error> {
    let deadline = Instant::now() + OPEN_TIMEOUT;
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

/// Creates the tables of a new database, or checks the master key of another one.
///
/// The transaction excludes other processes.
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
        let reason = "it was not created by this version of the server";
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
        check_master_key(&transaction, &vault)?;
    }
    transaction.commit().map_err(Error::from)?;
    Ok(vault)
}
