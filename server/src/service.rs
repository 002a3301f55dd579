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
use crate::rules::{Refusal, Rules, Signer, kept};
use crate::store::Store;
use crate::vault::Vault;

/// How often what may be late is done: storing when keys were last used, and looking for changes
/// by another process.
const ROUND: Duration = Duration::from_secs(1);

pub(crate) struct Service {
    rules: RwLock<Rules>,
    store: Mutex<Store>,
    vault: Arc<Vault>,
    clock: Clock,
}

impl Service {
    pub(crate) async fn new(mut store: Store, clock: Clock) -> io::Result<Arc<Self>> {
        let rules = RwLock::new(store.load().await?);
        let vault = Arc::clone(store.vault());
        let service = Arc::new(Self { rules, store: Mutex::new(store), vault, clock });
        tokio::spawn(rounds(Arc::downgrade(&service)));
        Ok(service)
    }

    /// Who signs with this key.
    pub(crate) fn signer(&self, key: &str) -> Result<Signer, Refusal> {
        self.read().signer(&self.vault.fingerprint(key), self.now())
    }

    pub(crate) fn list(&self, signer: &Signer, user: &str) -> Result<Vec<ApiKey>, Refusal> {
        self.read().list(signer, user, self.now())
    }

    pub(crate) fn get(
        &self,
        signer: &Signer,
        user: &str,
        name: &str,
        reveal: bool,
    ) -> Result<ApiKey, Refusal> {
        let key = self.read().get(signer, user, name, reveal)?;
        let now = self.now();
        if !reveal {
            return Ok(key.short_view(now));
        }
        Ok(key.view(self.vault.open(&key.sealed, &key.fingerprint)?, now))
    }

    // A change that has begun has to end, whatever becomes of the request: between the database and
    // the memory it must not be left. Whoever calls these gives them to a task of their own.

    pub(crate) async fn create(
        &self,
        signer: &Signer,
        request: &CreateApiKeyRequest,
    ) -> Result<ApiKey, Refusal> {
        let mut store = self.writer().await?;
        let now = self.now();
        let terms = self.read().create(signer, request, now)?;
        let (key, value) = store.insert(terms).await?;
        Ok(self.change(|rules| rules.put(key)).view(value, now))
    }

    pub(crate) async fn update(
        &self,
        signer: &Signer,
        user: &str,
        name: &str,
        changes: &UpdateApiKeyRequest,
    ) -> Result<ApiKey, Refusal> {
        let mut store = self.writer().await?;
        let now = self.now();
        let (key, terms) = self.read().update(signer, user, name, changes, now)?;
        let key = key.with(terms);
        store.update(&key).await?;
        Ok(self.change(|rules| rules.put(key)).short_view(now))
    }

    pub(crate) async fn delete(
        &self,
        signer: &Signer,
        user: &str,
        name: &str,
    ) -> Result<ApiKey, Refusal> {
        let mut store = self.writer().await?;
        let key = self.read().delete(signer, user, name)?;
        store.delete(&key).await?;
        self.change(|rules| rules.remove(&key));
        Ok(key.short_view(self.now()))
    }

    /// Stores when keys were last used, and takes over what another process has changed.
    pub(crate) async fn catch_up(&self) -> io::Result<()> {
        let mut store = self.store.lock().await;
        self.flush(&mut store).await?;
        self.refresh(&mut store).await
    }

    /// The database, for a change that is decided on nothing older than what it has.
    async fn writer(&self) -> io::Result<MutexGuard<'_, Store>> {
        let mut store = self.store.lock().await;
        self.refresh(&mut store).await?;
        Ok(store)
    }

    async fn refresh(&self, store: &mut Store) -> io::Result<()> {
        if store.changed_elsewhere().await? {
            self.flush(store).await?;
            let rules = store.load().await?;
            self.change(|current| *current = rules);
        }
        Ok(())
    }

    async fn flush(&self, store: &mut Store) -> io::Result<()> {
        let used = self.read().used_since(store.flushed_at());
        store.flush(&used, self.now()).await
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
    /// What went wrong is for the log; a caller can do nothing about it.
    fn from(error: io::Error) -> Self {
        Self {
            cause: Some(error.to_string()),
            ..Self::new(500, ErrorType::InternalError, "the server failed; its log says how")
        }
    }
}
