//! The five operations. Each is one transaction: it reads the caller, the key and its owner,
//! decides on them, and carries out the decision.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rockset_apikeys::ErrorType;
use rockset_apikeys::types::{ApiKey, CreateApiKeyRequest, UpdateApiKeyRequest};
use tokio::sync::{Mutex, Semaphore};

use crate::clock::Clock;
use crate::error::ApiError;
use crate::permission::{Access, Principal, Role};
use crate::record::{Changes, KeyRecord, SELF, check_name, parse_expiry};
use crate::store::{Change, Rows, Snapshot, Store};
use crate::time::{ExpiryClock, Millis};
use crate::usage::Usage;
use crate::vault::LookupHash;

/// How often the maintenance task runs.
const MAINTENANCE: Duration = Duration::from_secs(1);
/// How many keys the maintenance task changes in one transaction.
const CHUNK: usize = 1000;
/// How long an outcome of the health check is used again, and how long the check may take.
const HEALTH: Duration = Duration::from_secs(1);
/// How many keys of a listing are read at a time.
const PAGE: usize = 64;

pub(crate) struct Service {
    store: Store,
    clock: ExpiryClock,
    usage: Usage,
    keys_per_user: Option<NonZeroU32>,
    listings: Semaphore,
    /// When the health check last ran, and whether the database was usable.
    health: Mutex<Option<(Instant, bool)>>,
}

/// An authenticated caller. The operation authenticates it again, in its own transaction.
pub(crate) struct Caller {
    hash: LookupHash,
    pub(crate) key_id: i64,
}

/// A caller together with the transaction that authenticated it, for an operation that reads.
pub(crate) struct Reader {
    principal: Principal,
    snapshot: Snapshot,
}

impl Service {
    /// Starts the maintenance task as well, which ends with the service.
    pub(crate) fn new(store: Store, clock: Clock, keys_per_user: Option<NonZeroU32>) -> Arc<Self> {
        let service = Arc::new(Self {
            store,
            clock: ExpiryClock::new(clock),
            usage: Usage::default(),
            keys_per_user,
            listings: Semaphore::new(1),
            health: Mutex::default(),
        });
        tokio::spawn(maintain(Arc::downgrade(&service)));
        service
    }

    /// Authenticates the caller with this key.
    pub(crate) fn authenticate(&self, key: &str) -> Result<(Caller, Reader), ApiError> {
        let hash = self.store.vault().lookup_hash(key);
        let snapshot = self.store.snapshot()?;
        let now = self.clock.now();
        let record = find(snapshot.rows()?, &hash)?;
        let principal = record.principal(now)?;
        self.usage.record(record.id, now);
        Ok((Caller { hash, key_id: record.id }, Reader { principal, snapshot }))
    }

    pub(crate) fn list(self: &Arc<Self>, reader: Reader, user: &str) -> Result<Listing, ApiError> {
        let owner = resolve(&reader.principal, user);
        reader.principal.authorize(Access::Read, owner, None)?;
        let rows = reader.snapshot.rows()?;
        rows.role(owner)?.ok_or_else(|| no_user(owner))?;
        let first = rows.keys(owner, 0, PAGE)?;
        Ok(Listing { service: Arc::clone(self), owner: owner.to_owned(), page: Some(first) })
    }

    pub(crate) fn get(
        &self,
        reader: &Reader,
        user: &str,
        name: &str,
        reveal: bool,
    ) -> Result<ApiKey, ApiError> {
        let access = if reveal { Access::Reveal } else { Access::Read };
        let key = permitted(reader.snapshot.rows()?, &reader.principal, access, user, name)?;
        let now = self.clock.now();
        if !reveal {
            return Ok(self.show(key, now));
        }
        let value = self.store.vault().decrypt(&key.encrypted, &key.lookup_hash);
        let value = value.map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(self.with_last_access(key).show(value, now))
    }

    pub(crate) async fn create(
        self: &Arc<Self>,
        caller: Caller,
        request: CreateApiKeyRequest,
    ) -> Result<ApiKey, ApiError> {
        check_name("name", &request.name).map_err(ApiError::invalid)?;
        let role = request.role.as_deref().map(Role::from_str).transpose();
        let role = role.map_err(|error| ApiError::invalid(error.to_string()))?;
        let expires_at = request.expiry_time.as_ref().map(parse_expiry).transpose()?;
        let new = self.store.vault().generate();
        let new = new.map_err(|error| ApiError::internal(error.to_string()))?;
        let service = Arc::clone(self);
        let decide = move |rows: &dyn Rows| {
            let now = service.clock.now();
            let caller = find(rows, &caller.hash)?.principal(now)?;
            let owner = resolve(&caller, request.created_by.as_deref().unwrap_or(SELF));
            let owners_role = rows.role(owner)?;
            let target = owners_role.map(|owners_role| Role::effective(role, owners_role));
            caller.authorize(Access::Manage, owner, target)?;
            let owners_role = owners_role.ok_or_else(|| no_user(owner))?;
            if let Some(existing) = rows.key(owner, &request.name)? {
                if existing.lookup_hash == new.lookup_hash {
                    // An earlier run of this decision was applied.
                    return Ok((Change::Nothing, existing.show(new.value.clone(), now)));
                }
                let message = format!("{owner} already has an API key named {:?}", request.name);
                return Err(ApiError::new(409, ErrorType::AlreadyExists, message));
            }
            if let Some(limit) = service.keys_per_user
                && rows.has_keys(owner, limit.get())?
            {
                let message = format!("{owner} has {limit} API keys, the most; delete one first");
                return Err(ApiError::new(403, ErrorType::ResourceExceeded, message));
            }
            let key = KeyRecord {
                id: 0,
                owner: owner.to_owned(),
                owners_role,
                name: request.name.clone(),
                lookup_hash: new.lookup_hash,
                encrypted: new.encrypted.clone(),
                identifier: new.value.identifier().to_owned(),
                role,
                created_at: service.clock.now(),
                created_by_key: Some(caller.key_name),
                expires_at,
                last_access: None,
                suspended: false,
            };
            Ok((Change::CreateKey(Box::new(key.clone())), key.show(new.value.clone(), now)))
        };
        self.store.change(decide).await
    }

    pub(crate) async fn update(
        self: &Arc<Self>,
        caller: Caller,
        user: String,
        name: String,
        request: UpdateApiKeyRequest,
    ) -> Result<ApiKey, ApiError> {
        let changes = Changes::parse(&request)?;
        let service = Arc::clone(self);
        let mut updated: Option<KeyRecord> = None;
        let decide = move |rows: &dyn Rows| {
            let now = service.clock.now();
            if let Some(updated) = &updated
                && let Some(key) = rows.key(&updated.owner, &name)?
                && (key.id, key.suspended, key.expires_at)
                    == (updated.id, updated.suspended, updated.expires_at)
            {
                // An earlier run of this decision was applied. The caller may be the key itself.
                return Ok((Change::Nothing, service.show(key, now)));
            }
            let caller = find(rows, &caller.hash)?.principal(now)?;
            let mut key = permitted(rows, &caller, Access::Manage, &user, &name)?;
            let was_working = key.is_working_admin_key(now);
            key.update(&changes, now)?;
            if was_working && !key.is_working_admin_key(now) {
                check_not_last(rows, &key, now)?;
            }
            updated = Some(key.clone());
            Ok((Change::UpdateKey(Box::new(key.clone())), service.show(key, now)))
        };
        self.store.change(decide).await
    }

    pub(crate) async fn delete(
        self: &Arc<Self>,
        caller: Caller,
        user: String,
        name: String,
    ) -> Result<ApiKey, ApiError> {
        let service = Arc::clone(self);
        let mut deleted: Option<KeyRecord> = None;
        let decide = move |rows: &dyn Rows| {
            let now = service.clock.now();
            if let Some(deleted) = &deleted
                && rows.key(&deleted.owner, &name)?.is_none_or(|key| key.id != deleted.id)
            {
                // An earlier run of this decision was applied. The caller may be the key itself.
                return Ok((Change::Nothing, service.show(deleted.clone(), now)));
            }
            let caller = find(rows, &caller.hash)?.principal(now)?;
            let key = permitted(rows, &caller, Access::Manage, &user, &name)?;
            if key.is_working_admin_key(now) {
                check_not_last(rows, &key, now)?;
            }
            deleted = Some(key.clone());
            Ok((Change::DeleteKey(key.id), service.show(key, now)))
        };
        self.store.change(decide).await
    }

    /// Whether a change can be made. It is tried at most once a second, however many ask.
    pub(crate) async fn is_healthy(&self) -> bool {
        let mut health = self.health.lock().await;
        if let Some((checked, is_healthy)) = *health
            && checked.elapsed() < HEALTH
        {
            return is_healthy;
        }
        let probe = self.store.change(|_| Ok((Change::Probe, ())));
        let is_healthy = match tokio::time::timeout(HEALTH, probe).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(cause = error.cause, "the health check failed");
                false
            }
            Err(_) => {
                tracing::error!("the health check took too long");
                false
            }
        };
        *health = Some((Instant::now(), is_healthy));
        is_healthy
    }

    /// Writes what is collected, and closes the database.
    pub(crate) async fn close(&self) -> std::io::Result<()> {
        let written = self.record_usage().await;
        self.store.close().await?;
        Ok(written?)
    }

    async fn record_usage(&self) -> Result<(), ApiError> {
        loop {
            let uses = self.usage.some(CHUNK);
            if uses.is_empty() {
                return Ok(());
            }
            let change = uses.clone();
            self.store.change(move |_| Ok((Change::RecordUse(change.clone()), ()))).await?;
            self.usage.forget(&uses);
        }
    }

    /// Suspends keys that have expired, so that they stay so whatever becomes of the clock.
    async fn suspend_expired(&self) -> Result<(), ApiError> {
        let now = self.clock.now();
        while self.store.snapshot()?.rows()?.has_expired_keys(now)? {
            self.store.change(move |_| Ok((Change::SuspendExpired(now, CHUNK), ()))).await?;
        }
        self.clock.settle(now);
        Ok(())
    }

    fn with_last_access(&self, mut key: KeyRecord) -> KeyRecord {
        key.last_access = self.usage.latest(key.id, key.last_access);
        key
    }

    fn show(&self, key: KeyRecord, now: Millis) -> ApiKey {
        self.with_last_access(key).show_identifier(now)
    }
}

/// The keys of a user, read a page at a time. A key that is there from the beginning to the end is
/// listed; one that is created or deleted meanwhile may or may not be.
pub(crate) struct Listing {
    service: Arc<Service>,
    owner: String,
    page: Option<Vec<KeyRecord>>,
}

impl Listing {
    /// Returns some more keys; `None` after the last ones.
    pub(crate) fn next_page(&mut self) -> Result<Option<Vec<ApiKey>>, ApiError> {
        let Some(page) = self.page.take() else { return Ok(None) };
        if let (PAGE, Some(last)) = (page.len(), page.last()) {
            let snapshot = self.service.store.snapshot()?;
            let page = snapshot.rows()?.keys(&self.owner, last.id, PAGE)?;
            self.page = Some(page).filter(|page| !page.is_empty());
        }
        let now = self.service.clock.now();
        Ok(Some(page.into_iter().map(|key| self.service.show(key, now)).collect()))
    }

    /// Like `next_page`, when no other listing reads a page and other requests have had their
    /// turn, so that they do not wait for listings, however many there are.
    pub(crate) async fn next_page_in_turn(&mut self) -> Result<Option<Vec<ApiKey>>, ApiError> {
        let service = Arc::clone(&self.service);
        // The semaphore is never closed.
        let _turn = service.listings.acquire().await.ok();
        tokio::task::yield_now().await;
        self.next_page()
    }

    /// Whether there are no more pages.
    pub(crate) fn is_complete(&self) -> bool {
        self.page.is_none()
    }
}

async fn maintain(service: Weak<Service>) {
    loop {
        tokio::time::sleep(MAINTENANCE).await;
        let Some(service) = service.upgrade() else { return };
        let outcomes = [
            service.store.check_in_place().map_err(ApiError::from),
            service.record_usage().await,
            service.suspend_expired().await,
        ];
        for error in outcomes.into_iter().filter_map(Result::err) {
            tracing::error!(cause = error.cause, "maintenance failed");
        }
    }
}

fn find(rows: &(impl Rows + ?Sized), hash: &LookupHash) -> Result<KeyRecord, ApiError> {
    rows.key_by_hash(hash)?.ok_or_else(|| ApiError::unauthorized("there is no such API key"))
}

/// Returns the user in a path or a body, with `self` resolved.
fn resolve<'a>(caller: &'a Principal, user: &'a str) -> &'a str {
    if user == SELF { &caller.user } else { user }
}

/// Returns the key with this name if the caller may access it in this way.
fn permitted(
    rows: &(impl Rows + ?Sized),
    caller: &Principal,
    access: Access,
    user: &str,
    name: &str,
) -> Result<KeyRecord, ApiError> {
    let owner = resolve(caller, user);
    let key = rows.key(owner, name)?;
    caller.authorize(access, owner, key.as_ref().map(KeyRecord::effective_role))?;
    match key {
        Some(key) => Ok(key),
        None if rows.role(owner)?.is_none() => Err(no_user(owner)),
        None => Err(ApiError::not_found(format!("{owner} has no API key named {name:?}"))),
    }
}

/// Keeps administrators the last key with which they can call the API.
fn check_not_last(rows: &dyn Rows, key: &KeyRecord, now: Millis) -> Result<(), ApiError> {
    if rows.has_other_admin_key(key.id, now)? {
        return Ok(());
    }
    Err(ApiError::new(
        409,
        ErrorType::Conflict,
        "the key is the last working one of an administrator; create another one first",
    ))
}

fn no_user(email: &str) -> ApiError {
    ApiError::not_found(format!("there is no user {email:?}"))
}
