//! A transaction that reads. It begins when a row is not in the cache.

use std::cell::OnceCell;
use std::sync::Arc;

use super::cache::Version;
use super::pool::{Link, Pool};
use super::{Error, Rows};
use crate::permission::Role;
use crate::record::KeyRecord;
use crate::time::Millis;
use crate::vault::LookupHash;

pub(crate) struct Snapshot {
    pool: Arc<Pool>,
    /// The database when this was made, and so that of all rows that come from the cache.
    version: Option<Version>,
    link: OnceCell<Link>,
    /// The key that came from the cache.
    cached: OnceCell<Arc<KeyRecord>>,
}

impl Snapshot {
    pub(super) fn new(pool: &Arc<Pool>) -> Self {
        Self {
            pool: Arc::clone(pool),
            version: pool.cache.version(),
            link: OnceCell::new(),
            cached: OnceCell::new(),
        }
    }

    /// Returns the version of rows that may come from the cache. A transaction of SQLite may be one
    /// of a later version, and then all further rows are read in it.
    fn cache_version(&self) -> Option<Version> {
        self.version.filter(|_| self.link.get().is_none())
    }

    /// Returns the connection, in a transaction in which all that was read before is true.
    fn link(&self) -> Result<&Link, Error> {
        if let Some(link) = self.link.get() {
            return Ok(link);
        }
        let link = self.pool.take()?;
        let begun = link.run("BEGIN").and_then(|()| self.check_cached(&link));
        let link = self.link.get_or_init(|| link);
        begun.map(|()| link)
    }

    fn check_cached(&self, link: &Link) -> Result<(), Error> {
        let Some(cached) = self.cached.get() else { return Ok(()) };
        match link.key_by_hash(&cached.lookup_hash)? {
            Some(key) if key.is_same(cached) => Ok(()),
            _ => Err(Error::unavailable("the caller's key was changed at this moment")),
        }
    }

    /// Keeps a key that was read here, if it is the version's.
    fn keep(&self, key: Option<&KeyRecord>) {
        if let (Some(version), Some(key)) = (self.version, key)
            && self.pool.cache.version() == Some(version)
        {
            self.pool.cache.insert(version, key.clone());
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            // A connection that cannot end its transaction is not used again.
            let _ = link.run("COMMIT");
            self.pool.put_back(Some(link));
        }
    }
}

impl Rows for Snapshot {
    fn key_by_hash(&self, hash: &LookupHash) -> Result<Option<KeyRecord>, Error> {
        let cached = |version| self.pool.cache.by_hash(version, hash);
        if let Some(key) = self.cache_version().and_then(cached) {
            return Ok(Some(self.cached.get_or_init(|| key).as_ref().clone()));
        }
        let key = self.link()?.key_by_hash(hash)?;
        self.keep(key.as_ref());
        Ok(key)
    }

    fn key(&self, owner: &str, name: &str) -> Result<Option<KeyRecord>, Error> {
        let cached = |version| self.pool.cache.by_name(version, owner, name);
        if let Some(key) = self.cache_version().and_then(cached) {
            return Ok(Some(key.as_ref().clone()));
        }
        let key = self.link()?.key(owner, name)?;
        self.keep(key.as_ref());
        Ok(key)
    }

    fn keys(&self, owner: &str, after: i64, limit: usize) -> Result<Vec<KeyRecord>, Error> {
        self.link()?.keys(owner, after, limit)
    }

    fn count_keys(&self, owner: &str) -> Result<i64, Error> {
        self.link()?.count_keys(owner)
    }

    fn has_keys(&self, owner: &str, at_least: u32) -> Result<bool, Error> {
        self.link()?.has_keys(owner, at_least)
    }

    fn has_other_admin_key(&self, id: i64, now: Millis) -> Result<bool, Error> {
        self.link()?.has_other_admin_key(id, now)
    }

    fn has_expired_keys(&self, now: Millis) -> Result<bool, Error> {
        self.link()?.has_expired_keys(now)
    }

    fn role(&self, email: &str) -> Result<Option<Role>, Error> {
        self.link()?.role(email)
    }

    fn users(&self) -> Result<Vec<(String, Role)>, Error> {
        self.link()?.users()
    }
}
