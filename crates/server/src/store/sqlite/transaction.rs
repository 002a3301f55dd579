//! A transaction: the SQL that reads rows and applies changes.
//!
//! A transaction that reads begins in SQLite when a row is not in the cache. Dropping a transaction
//! rolls it back.

use std::cell::OnceCell;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rusqlite::{Params, Row, params};
use serde_json::json;

use super::cache::Version;
use super::pool::{Link, Pool};
use super::{Change, Error, Rows};
use crate::permission::Role;
use crate::record::KeyRecord;
use crate::time::Millis;
use crate::vault::LookupHash;

/// The interval between attempts to lock the database.
const LOCK_INTERVAL: Duration = Duration::from_millis(2);

pub(crate) struct Transaction {
    pool: Arc<Pool>,
    /// The version of the database at the beginning, or `None` without the cache.
    ///
    /// All rows from the cache belong to this version.
    version: Option<Version>,
    link: OnceCell<Link>,
    /// The key that came from the cache.
    cached: OnceCell<Arc<KeyRecord>>,
}

impl Transaction {
    /// Begins a transaction that reads.
    pub(super) fn read(pool: &Arc<Pool>) -> Self {
        let version = pool.cache.version();
        Self { pool: Arc::clone(pool), version, link: OnceCell::new(), cached: OnceCell::new() }
    }

    /// Returns a connection on which no transaction has begun.
    pub(super) fn idle(pool: &Arc<Pool>) -> Result<Self, Error> {
        let link = pool.take()?.into();
        Ok(Self { pool: Arc::clone(pool), version: None, link, cached: OnceCell::new() })
    }

    /// Begins a transaction that writes as soon as no other process is in one.
    ///
    /// Gives up when `is_wanted` returns false.
    pub(super) fn write(pool: &Arc<Pool>, is_wanted: impl Fn() -> bool) -> Result<Self, Error> {
        let transaction = Self::idle(pool)?;
        while is_wanted() {
            if transaction.link()?.try_begin_immediate()? {
                return Ok(transaction);
            }
            thread::sleep(LOCK_INTERVAL);
        }
        Err(Error::unavailable("the database was locked for too long"))
    }

    pub(super) fn commit(&self) -> Result<(), Error> {
        let outcome = self.execute("COMMIT", []).map(drop);
        // A failed commit may have been applied.
        self.pool.cache.committed();
        outcome
    }

    /// Fails if the database's file was removed or replaced.
    pub(super) fn check_in_place(&self) -> Result<(), Error> {
        self.pool.check_in_place(self.link()?)
    }

    /// Fails if a statement has failed.
    pub(super) fn check_statements(&self) -> Result<(), Error> {
        self.link()?.check_statements()
    }

    /// Returns the connection, and begins the transaction of a read.
    ///
    /// Fails if the key from the cache was changed before the transaction began.
    fn link(&self) -> Result<&Link, Error> {
        if let Some(link) = self.link.get() {
            return Ok(link);
        }
        let taken = self.pool.take()?;
        let link = self.link.get_or_init(|| taken);
        link.execute("BEGIN", [])?;
        let Some(cached) = self.cached.get() else { return Ok(link) };
        match key_by_hash(link, &cached.lookup_hash)? {
            Some(key) if key.is_same(cached) => Ok(link),
            _ => Err(Error::unavailable("the caller's key was changed in the meantime")),
        }
    }

    /// Looks up a key in the cache.
    ///
    /// Once a transaction of SQLite has begun, which may read a later version, all rows come from
    /// there.
    fn cached_key(
        &self,
        find: impl FnOnce(Version) -> Option<Arc<KeyRecord>>,
    ) -> Option<Arc<KeyRecord>> {
        self.version.filter(|_| self.link.get().is_none()).and_then(find)
    }

    /// Caches a key, unless a later version of the database was read.
    fn cache(&self, key: Option<KeyRecord>) -> Option<KeyRecord> {
        if let (Some(version), Some(key)) = (self.version, &key)
            && self.pool.cache.version() == Some(version)
        {
            self.pool.cache.insert(version, key.clone());
        }
        key
    }

    fn execute(&self, sql: &str, parameters: impl Params) -> Result<usize, Error> {
        self.link()?.execute(sql, parameters)
    }

    fn exists(&self, sql: &str, parameters: impl Params) -> Result<bool, Error> {
        Ok(self.link()?.one(sql, parameters, |_| Ok(()))?.is_some())
    }

    /// Changes one row, which this transaction has read.
    fn change_one(&self, sql: &str, parameters: impl Params) -> Result<(), Error> {
        match self.execute(sql, parameters)? {
            1 => Ok(()),
            rows => {
                let error =
                    Error::broken(format!("a statement changed {rows} rows instead of one"));
                self.link()?.note(Err(error))
            }
        }
    }

    /// Applies the change of a decision.
    pub(super) fn apply(&self, change: Change) -> Result<(), Error> {
        match change {
            Change::Nothing => Ok(()),
            Change::AddUser(key) => {
                let sql = "INSERT INTO users (email, role) VALUES (?, ?)";
                self.change_one(sql, [key.owner.as_str(), key.owners_role.as_str()])?;
                self.insert(&key)
            }
            Change::RemoveUser(email) => {
                self.change_one("DELETE FROM users WHERE email = ?", [email])
            }
            Change::RemoveKeys(owner, limit) => {
                let sql = "DELETE FROM api_keys
                     WHERE id IN (SELECT id FROM api_keys WHERE owner = ? LIMIT ?)";
                self.execute(sql, params![owner, limit]).map(drop)
            }
            Change::CreateKey(key) => self.insert(&key),
            Change::UpdateKey(key) => self.change_one(
                "UPDATE api_keys SET expires_at = ?, suspended = ? WHERE id = ?",
                params![key.expires_at.map(|time| time.0), key.suspended, key.id],
            ),
            Change::DeleteKey(id) => self.change_one("DELETE FROM api_keys WHERE id = ?", [id]),
            Change::RecordAccess(times) => {
                let times: Vec<_> = times.iter().map(|(id, time)| json!([id, time.0])).collect();
                // Skips deleted keys. The time never goes backwards.
                let sql = "UPDATE api_keys
                     SET last_access = max(coalesce(last_access, used.time), used.time)
                     FROM (SELECT value ->> 0 AS id, value ->> 1 AS time FROM json_each(?)) AS used
                     WHERE api_keys.id = used.id";
                self.execute(sql, [serde_json::Value::Array(times).to_string()]).map(drop)
            }
            Change::SuspendExpired(now, limit) => {
                let sql = "UPDATE api_keys SET suspended = 1 WHERE id IN (
                         SELECT id FROM api_keys WHERE suspended = 0 AND expires_at <= ? LIMIT ?)";
                self.execute(sql, params![now.0, limit]).map(drop)
            }
            Change::Probe => self.change_one("UPDATE directory SET probes = probes + 1", []),
        }
    }

    fn insert(&self, key: &KeyRecord) -> Result<(), Error> {
        self.change_one(
            "INSERT INTO api_keys (owner, name, lookup_hash, encrypted, identifier, role,
                                   created_at, created_by_key, expires_at, suspended)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                key.owner,
                key.name,
                key.lookup_hash.0.as_slice(),
                key.encrypted,
                key.identifier,
                key.role.map(Role::as_str),
                key.created_at.0,
                key.created_by_key,
                key.expires_at.map(|time| time.0),
                key.suspended,
            ],
        )
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            if link.is_in_transaction() {
                // After a failure, the connection is closed, which rolls back as well.
                let _ = link.execute("ROLLBACK", []);
            }
            self.pool.put_back(Some(link));
        }
    }
}

/// Selects columns in the order in which [`key_record`] reads them.
macro_rules! select_keys {
    ($rest:literal) => {
        concat!(
            "SELECT id, owner, users.role, name, lookup_hash, encrypted, identifier, api_keys.role,
                    created_at, created_by_key, expires_at, last_access, suspended
             FROM api_keys JOIN users ON email = owner ",
            $rest
        )
    };
}

impl Rows for Transaction {
    fn key_by_hash(&self, hash: &LookupHash) -> Result<Option<KeyRecord>, Error> {
        if let Some(key) = self.cached_key(|version| self.pool.cache.by_hash(version, hash)) {
            return Ok(Some(self.cached.get_or_init(|| key).as_ref().clone()));
        }
        key_by_hash(self.link()?, hash).map(|key| self.cache(key))
    }

    fn key(&self, owner: &str, name: &str) -> Result<Option<KeyRecord>, Error> {
        if let Some(key) = self.cached_key(|version| self.pool.cache.by_name(version, owner, name))
        {
            return Ok(Some(key.as_ref().clone()));
        }
        let sql = select_keys!("WHERE owner = ? AND name = ?");
        self.link()?.one(sql, [owner, name], key_record).map(|key| self.cache(key))
    }

    fn keys(&self, owner: &str, after: i64, limit: usize) -> Result<Vec<KeyRecord>, Error> {
        let sql = select_keys!("WHERE owner = ? AND id > ? ORDER BY id LIMIT ?");
        self.link()?.all(sql, params![owner, after, limit as i64], key_record)
    }

    fn count_keys(&self, owner: &str, limit: u32) -> Result<u32, Error> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM api_keys WHERE owner = ? LIMIT ?)";
        let count = self.link()?.one(sql, params![owner, limit], |row| row.get(0))?;
        Ok(count.unwrap_or_default())
    }

    fn has_other_admin_key(&self, id: i64, now: Millis) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM users JOIN api_keys ON owner = email
             WHERE users.role = 'admin' AND (api_keys.role ISNULL OR api_keys.role = 'admin')
                 AND suspended = 0 AND (expires_at ISNULL OR expires_at > ?) AND id <> ?
             LIMIT 1";
        self.exists(sql, params![now.0, id])
    }

    fn has_expired_keys(&self, now: Millis) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM api_keys WHERE suspended = 0 AND expires_at <= ? LIMIT 1";
        self.exists(sql, [now.0])
    }

    fn role(&self, email: &str) -> Result<Option<Role>, Error> {
        self.link()?.one("SELECT role FROM users WHERE email = ?", [email], |row| role(row, 0))
    }

    fn users(&self) -> Result<Vec<(String, Role)>, Error> {
        let sql = "SELECT email, role FROM users ORDER BY email";
        self.link()?.all(sql, [], |row| Ok((row.get(0)?, role(row, 1)?)))
    }
}

fn key_by_hash(link: &Link, hash: &LookupHash) -> Result<Option<KeyRecord>, Error> {
    link.one(select_keys!("WHERE lookup_hash = ?"), [hash.0.as_slice()], key_record)
}

fn key_record(row: &Row<'_>) -> Result<KeyRecord, rusqlite::Error> {
    let time = |index| row.get::<_, Option<i64>>(index).map(|time| time.map(Millis));
    Ok(KeyRecord {
        id: row.get(0)?,
        owner: row.get(1)?,
        owners_role: role(row, 2)?,
        name: row.get(3)?,
        lookup_hash: LookupHash(row.get(4)?),
        encrypted: row.get(5)?,
        identifier: row.get(6)?,
        role: match row.get_ref(7)? {
            rusqlite::types::ValueRef::Null => None,
            _ => Some(role(row, 7)?),
        },
        created_at: Millis(row.get(8)?),
        created_by_key: row.get(9)?,
        expires_at: time(10)?,
        last_access: time(11)?,
        suspended: row.get(12)?,
    })
}

fn role(row: &Row<'_>, index: usize) -> Result<Role, rusqlite::Error> {
    let value = row.get_ref(index)?;
    value.as_str()?.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(index, value.data_type(), Box::new(error))
    })
}
