//! SQLite's rows: what a decision reads, and how its change is written.

use rusqlite::{OptionalExtension, Params, Row, params};
use serde_json::json;

use super::pool::Link;
use super::{Change, Error, Rows};
use crate::permission::Role;
use crate::record::KeyRecord;
use crate::time::Millis;
use crate::vault::LookupHash;

/// Columns in the order in which [`key_record`] reads them.
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

impl Rows for Link {
    fn key_by_hash(&self, hash: &LookupHash) -> Result<Option<KeyRecord>, Error> {
        self.one(select_keys!("WHERE lookup_hash = ?"), [hash.0.as_slice()], key_record)
    }

    fn key(&self, owner: &str, name: &str) -> Result<Option<KeyRecord>, Error> {
        self.one(select_keys!("WHERE owner = ? AND name = ?"), [owner, name], key_record)
    }

    fn keys(&self, owner: &str, after: i64, limit: usize) -> Result<Vec<KeyRecord>, Error> {
        let sql = select_keys!("WHERE owner = ? AND id > ? ORDER BY id LIMIT ?");
        self.all(sql, params![owner, after, limit as i64], key_record)
    }

    fn count_keys(&self, owner: &str) -> Result<i64, Error> {
        let sql = "SELECT count(*) FROM api_keys WHERE owner = ?";
        Ok(self.one(sql, [owner], |row| row.get(0))?.unwrap_or_default())
    }

    fn has_keys(&self, owner: &str, at_least: u32) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM api_keys WHERE owner = ? LIMIT 1 OFFSET ?";
        self.exists(sql, params![owner, at_least.saturating_sub(1)])
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
        self.one("SELECT role FROM users WHERE email = ?", [email], |row| role(row, 0))
    }

    fn users(&self) -> Result<Vec<(String, Role)>, Error> {
        let sql = "SELECT email, role FROM users ORDER BY email";
        self.all(sql, [], |row| Ok((row.get(0)?, role(row, 1)?)))
    }
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

impl Link {
    /// Runs a statement to its end and gives its row, if it has one.
    fn one<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        let run = || self.connection.prepare_cached(sql)?.query_row(parameters, read).optional();
        self.note(run())
    }

    fn all<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let run = || self.connection.prepare_cached(sql)?.query_map(parameters, read)?.collect();
        self.note(run())
    }

    fn exists(&self, sql: &str, parameters: impl Params) -> Result<bool, Error> {
        Ok(self.one(sql, parameters, |_| Ok(()))?.is_some())
    }

    /// Runs a statement to its end and gives the number of rows that it changed.
    fn execute(&self, sql: &str, parameters: impl Params) -> Result<usize, Error> {
        let run = || self.connection.prepare_cached(sql)?.execute(parameters);
        self.note(run())
    }

    /// Runs a statement that is about one row, which this transaction has read.
    fn change_one(&self, sql: &str, parameters: impl Params) -> Result<(), Error> {
        match self.execute(sql, parameters)? {
            1 => Ok(()),
            rows => self.note(Err(Error::broken(format!("{rows} rows changed instead of one")))),
        }
    }

    /// Writes what a decision came to.
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
                self.execute(sql, params![owner, limit as i64]).map(drop)
            }
            Change::CreateKey(key) => self.insert(&key),
            Change::UpdateKey(key) => self.change_one(
                "UPDATE api_keys SET expires_at = ?, suspended = ? WHERE id = ?",
                params![key.expires_at.map(|time| time.0), key.suspended, key.id],
            ),
            Change::DeleteKey(id) => self.change_one("DELETE FROM api_keys WHERE id = ?", [id]),
            Change::RecordUse(uses) => {
                let uses: Vec<_> = uses.iter().map(|(id, time)| json!([id, time.0])).collect();
                // A key that is gone by now is left out, and the time never goes backwards.
                let sql = "UPDATE api_keys
                     SET last_access = max(coalesce(last_access, used.time), used.time)
                     FROM (SELECT value ->> 0 AS id, value ->> 1 AS time FROM json_each(?)) AS used
                     WHERE api_keys.id = used.id";
                self.execute(sql, [serde_json::Value::Array(uses).to_string()]).map(drop)
            }
            Change::SuspendExpired(now, limit) => {
                let sql = "UPDATE api_keys SET suspended = 1 WHERE id IN (
                         SELECT id FROM api_keys WHERE suspended = 0 AND expires_at <= ? LIMIT ?)";
                self.execute(sql, params![now.0, limit as i64]).map(drop)
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
