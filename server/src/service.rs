//! From a decision to what is kept: `rules` decides on what is in memory, `store` keeps what was
//! decided, and then the memory changes, in this order, so that an answer is never ahead of the
//! database. Reading needs the memory alone.

use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use jiff::Timestamp;
use rockset_apikeys::ErrorType;
use rockset_apikeys::types::{ApiKey, CreateApiKeyRequest, UpdateApiKeyRequest};
use tokio::sync::{Mutex, MutexGuard};

use crate::clock::Clock;
use crate::rules::{Key, Refusal, Rules, Signer, kept};
use crate::store::Store;
use crate::vault::{LookupHash, Vault};

/// How often what may be late is done: storing when keys were last used, and looking for changes
/// by another process.
const ROUND: Duration = Duration::from_secs(1);

/// How long a client is told to wait while the database is unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(crate) struct Service {
    rules: RwLock<Rules>,
    store: Mutex<Store>,
    vault: Arc<Vault>,
    clock: Clock,
}

impl Service {
    pub(crate) async fn new(mut store: Store, clock: Clock) -> io::Result<Arc<Self>> {
        let rules = RwLock::new(store.changed().await?.unwrap_or_default());
        let vault = Arc::clone(store.vault());
        let service = Arc::new(Self { rules, store: Mutex::new(store), vault, clock });
        tokio::spawn(rounds(Arc::downgrade(&service)));
        Ok(service)
    }

    /// Authenticates the caller with this key.
    pub(crate) fn signer(&self, key: &str) -> Result<Signer, Refusal> {
        self.read().signer(&self.vault.lookup_hash(key), self.now())
    }

    pub(crate) fn list(&self, caller: &LookupHash, user: &str) -> Result<Vec<ApiKey>, Refusal> {
        self.read().list(caller, user, self.now())
    }

    pub(crate) fn get(
        &self,
        caller: &LookupHash,
        user: &str,
        name: &str,
        reveal: bool,
    ) -> Result<ApiKey, Refusal> {
        let now = self.now();
        let key = self.read().get(caller, user, name, reveal, now)?;
        if !reveal {
            return Ok(key.short_view(now));
        }
        Ok(key.view(self.vault.decrypt(&key.sealed, &key.fingerprint)?, now))
    }

    // A change that has begun has to end, whatever becomes of the request: between the database and
    // the memory it must not be left. Each of these runs in a task of its own.
    //
    // A change is decided under the lock of the database, so that the caller is authorized by what
    // is true then. After a failure the database is read again, because a commit may be applied and
    // report an error. A change that was not applied is decided again, because another process may
    // have come first.

    pub(crate) async fn create(
        &self,
        caller: &LookupHash,
        request: &CreateApiKeyRequest,
    ) -> Result<ApiKey, Refusal> {
        let mut store = self.writer().await?;
        let now = self.now();
        let decide = |rules: &Rules| rules.create(caller, request, now);
        let mut terms = decide(&self.read())?;
        let new = self.vault.generate()?;
        terms.identifier = new.value.identifier().to_owned();
        let key = match store.insert(&new, &terms).await {
            Ok(id) => {
                let key = Key::new(id, new.lookup_hash, new.encrypted, terms, None);
                self.change(|rules| rules.put(key))
            }
            Err(error) => {
                self.look_up(&mut store, &error).await?;
                let rules = self.read();
                match rules.find(&new.lookup_hash) {
                    Some(key) => Arc::clone(key),
                    None => return Err(decide(&rules).err().unwrap_or_else(|| error.into())),
                }
            }
        };
        Ok(key.view(new.value, now))
    }

    pub(crate) async fn update(
        &self,
        caller: &LookupHash,
        user: &str,
        name: &str,
        changes: &UpdateApiKeyRequest,
    ) -> Result<ApiKey, Refusal> {
        let mut store = self.writer().await?;
        let now = self.now();
        let decide = |rules: &Rules| rules.update(caller, user, name, changes, now);
        let (key, terms) = decide(&self.read())?;
        let key = key.with(terms);
        let Err(error) = store.update(&key).await else {
            return Ok(self.change(|rules| rules.put(key)).short_view(now));
        };
        self.look_up(&mut store, &error).await?;
        let rules = self.read();
        match rules.find(&key.fingerprint) {
            Some(current) if current.terms == key.terms => Ok(current.short_view(now)),
            _ => Err(decide(&rules).err().unwrap_or_else(|| error.into())),
        }
    }

    pub(crate) async fn delete(
        &self,
        caller: &LookupHash,
        user: &str,
        name: &str,
    ) -> Result<ApiKey, Refusal> {
        let mut store = self.writer().await?;
        let now = self.now();
        let decide = |rules: &Rules| rules.delete(caller, user, name, now);
        let key = decide(&self.read())?;
        let Err(error) = store.delete(&key).await else {
            self.change(|rules| rules.remove(&key));
            return Ok(key.short_view(now));
        };
        self.look_up(&mut store, &error).await?;
        let rules = self.read();
        // Where the row was gone before, another process deleted the key.
        let is_applied =
            error.kind() != io::ErrorKind::NotFound && rules.find(&key.fingerprint).is_none();
        if is_applied {
            return Ok(key.short_view(now));
        }
        Err(decide(&rules).err().unwrap_or_else(|| error.into()))
    }

    /// Takes over what another process has changed, and stores when keys were last used.
    pub(crate) async fn catch_up(&self) -> io::Result<()> {
        let mut store = self.store.lock().await;
        self.refresh(&mut store).await?;
        let used = self.read().used_since(store.flushed_at());
        store.flush(&used, self.now()).await
    }

    /// The database, for a change that is decided on nothing older than what it has.
    async fn writer(&self) -> io::Result<MutexGuard<'_, Store>> {
        let mut store = self.store.lock().await;
        self.refresh(&mut store).await?;
        Ok(store)
    }

    /// Loads what has changed. This only reads, so that a database that is full or locked by a
    /// writer keeps no key working that was revoked in it.
    async fn refresh(&self, store: &mut Store) -> io::Result<()> {
        if let Some(rules) = store.changed().await? {
            self.change(|current| {
                rules.keep_last_access(current);
                *current = rules;
            });
        }
        Ok(())
    }

    /// Loads what the database has after a change has failed.
    async fn look_up(&self, store: &mut Store, failure: &io::Error) -> Result<(), Refusal> {
        self.refresh(store).await.map_err(|error| Refusal {
            cause: Some(format!("{failure}, and its outcome is unknown: {error}")),
            // Without Retry-After, which says that nothing was changed.
            ..Refusal::new(
                503,
                ErrorType::ServiceUnavailable,
                "the database failed, and the change may have been applied; look it up before \
                 retrying",
            )
        })
    }

    fn now(&self) -> Timestamp {
        kept(self.clock.now())
    }

    // Each change is one step under the lock, so that a panic elsewhere leaves the rules whole.

    fn read(&self) -> RwLockReadGuard<'_, Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Rules) -> T) -> T {
        change(&mut self.rules.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Catches up every second, for as long as there is somebody to do it for.
async fn rounds(service: Weak<Service>) {
    loop {
        tokio::time::sleep(ROUND).await;
        let Some(service) = service.upgrade() else { return };
        if let Err(error) = service.catch_up().await {
            tracing::error!(%error, "the database cannot be kept up to date");
        }
    }
}

impl From<io::Error> for Refusal {
    /// Hides what went wrong from the client; the log has it.
    fn from(error: io::Error) -> Self {
        let refusal = match error.kind() {
            io::ErrorKind::ResourceBusy | io::ErrorKind::NotFound => Self {
                retry_after: Some(RETRY_AFTER),
                ..Self::new(
                    503,
                    ErrorType::ServiceUnavailable,
                    "the database is unavailable and nothing was changed; retry later",
                )
            },
            _ => Self::new(500, ErrorType::InternalError, "the server failed; its log says how"),
        };
        Self { cause: Some(error.to_string()), ..refusal }
    }
}
