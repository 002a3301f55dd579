//! The five operations. Each runs in one transaction: it reads the caller, the key and its owner,
//! decides, and applies the decision.
//!
//! A listing reads further pages in later transactions. `service/maintenance.rs` contains the work
//! that is not part of a request.

mod maintenance;

use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use rockset_apikeys::ErrorType;
use rockset_apikeys::types::{ApiKey, CreateApiKeyRequest, UpdateApiKeyRequest};
use tokio::sync::{Mutex, Semaphore};

use crate::error::ApiError;
use crate::permission::{Access, Principal, Role};
use crate::record::{Changes, KeyRecord, SELF, check_name, parse_expiry};
use crate::store::{Change, Rows, Store, Transaction};
use crate::time::{ExpiryClock, LastAccess, Millis};
use crate::vault::LookupHash;

/// The number of keys that a listing reads in one transaction.
const PAGE: usize = 64;

pub(crate) struct Service {
    store: Store,
    clock: ExpiryClock,
    last_access: LastAccess,
    max_keys_per_user: Option<NonZeroU32>,
    /// Allows one listing at a time to read a page.
    page_turn: Semaphore,
    /// When the health check last ran, and whether the database accepted a write.
    health: Arc<Mutex<Option<(Instant, bool)>>>,
}

/// An authenticated caller.
pub(crate) struct Caller {
    hash: LookupHash,
    pub(crate) key_id: i64,
}

impl Caller {
    /// Reads the caller in the transaction of a change.
    ///
    /// The key may have been revoked since the request was authenticated.
    fn principal(&self, rows: &dyn Rows, now: Millis) -> Result<Principal, ApiError> {
        find(rows, &self.hash)?.principal(now)
    }
}

/// An authenticated caller with its transaction, for operations that read.
pub(crate) struct Reader {
    pub(crate) caller: Caller,
    principal: Principal,
    rows: Transaction,
}

impl Service {
    /// Authenticates the caller with this key.
    pub(crate) fn authenticate(&self, key: &str) -> Result<Reader, ApiError> {
        let hash = self.store.vault().lookup_hash(key);
        let rows = self.store.read();
        let now = self.clock.now();
        let record = find(&rows, &hash)?;
        let principal = record.principal(now)?;
        self.last_access.record(record.id, now);
        Ok(Reader { caller: Caller { hash, key_id: record.id }, principal, rows })
    }

    pub(crate) fn get(
        &self,
        reader: &Reader,
        user: &str,
        name: &str,
        reveal: bool,
    ) -> Result<ApiKey, ApiError> {
        let access = if reveal { Access::Reveal } else { Access::Read };
        let key = permitted(&reader.rows, &reader.principal, access, user, name)?;
        let now = self.clock.now();
        if !reveal {
            return Ok(self.show(key, now));
        }
        let value = self.store.vault().decrypt(&key.encrypted, &key.lookup_hash);
        let value = value.map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(self.with_last_access(key).show(value, now))
    }

    /// Starts a listing and reads its first page in the caller's transaction.
    pub(crate) fn list(self: &Arc<Self>, reader: Reader, user: &str) -> Result<Listing, ApiError> {
        let owner = resolve(&reader.principal, user);
        reader.principal.authorize(Access::Read, owner, None)?;
        reader.rows.role(owner)?.ok_or_else(|| no_user(owner))?;
        let first = reader.rows.keys(owner, 0, PAGE)?;
        Ok(Listing { service: Arc::clone(self), owner: owner.to_owned(), page: Some(first) })
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
            let caller = caller.principal(rows, now)?;
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
            if let Some(limit) = service.max_keys_per_user.map(NonZeroU32::get)
                && rows.count_keys(owner, limit)? >= limit
            {
                let message = format!(
                    "{owner} already has the maximum of {limit} API keys; delete one first"
                );
                return Err(ApiError::new(403, ErrorType::ResourceExceeded, message));
            }
            let key = KeyRecord {
                role,
                created_by_key: Some(caller.key_name.clone()),
                expires_at,
                ..KeyRecord::new(owner, owners_role, &request.name, &new, service.clock.now())
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
                // An earlier run of this decision was applied. It may have suspended the caller.
                return Ok((Change::Nothing, service.show(key, now)));
            }
            let caller = caller.principal(rows, now)?;
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
                // An earlier run of this decision was applied. It may have deleted the caller.
                return Ok((Change::Nothing, service.show(deleted.clone(), now)));
            }
            let caller = caller.principal(rows, now)?;
            let key = permitted(rows, &caller, Access::Manage, &user, &name)?;
            if key.is_working_admin_key(now) {
                check_not_last(rows, &key, now)?;
            }
            deleted = Some(key.clone());
            Ok((Change::DeleteKey(key.id), service.show(key, now)))
        };
        self.store.change(decide).await
    }

    fn with_last_access(&self, mut key: KeyRecord) -> KeyRecord {
        key.last_access = self.last_access.latest(key.id, key.last_access);
        key
    }

    fn show(&self, key: KeyRecord, now: Millis) -> ApiKey {
        self.with_last_access(key).show_identifier(now)
    }
}

/// A listing of a user's keys, read one page at a time.
///
/// It contains every key that exists from the first to the last page. A key that is created or
/// deleted in the meantime may be missing.
pub(crate) struct Listing {
    service: Arc<Service>,
    owner: String,
    page: Option<Vec<KeyRecord>>,
}

impl Listing {
    /// Returns the next page, or `None` after the last one.
    pub(crate) fn next_page(&mut self) -> Result<Option<Vec<ApiKey>>, ApiError> {
        let Some(page) = self.page.take() else { return Ok(None) };
        if let (PAGE, Some(last)) = (page.len(), page.last()) {
            let next = self.service.store.read().keys(&self.owner, last.id, PAGE)?;
            self.page = Some(next).filter(|next| !next.is_empty());
        }
        let now = self.service.clock.now();
        Ok(Some(page.into_iter().map(|key| self.service.show(key, now)).collect()))
    }

    /// Like [`next_page`](Self::next_page), but gives way to other requests and listings.
    ///
    /// So other requests do not wait, however many listings are read.
    pub(crate) async fn next_page_in_turn(&mut self) -> Result<Option<Vec<ApiKey>>, ApiError> {
        let service = Arc::clone(&self.service);
        // The semaphore is never closed.
        let _turn = service.page_turn.acquire().await.ok();
        tokio::task::yield_now().await;
        self.next_page()
    }

    /// Returns whether there are no more pages.
    pub(crate) fn is_complete(&self) -> bool {
        self.page.is_none()
    }
}

fn find(rows: &dyn Rows, hash: &LookupHash) -> Result<KeyRecord, ApiError> {
    rows.key_by_hash(hash)?.ok_or_else(|| ApiError::unauthorized("unknown API key"))
}

/// Resolves `self` in a path or body to the caller's user.
fn resolve<'a>(caller: &'a Principal, user: &'a str) -> &'a str {
    if user == SELF { &caller.user } else { user }
}

/// Returns the key with this name if the caller is allowed to access it.
fn permitted(
    rows: &dyn Rows,
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

/// Fails if administrators have no other key with which they can call the API.
fn check_not_last(rows: &dyn Rows, key: &KeyRecord, now: Millis) -> Result<(), ApiError> {
    if rows.has_other_admin_key(key.id, now)? {
        return Ok(());
    }
    Err(ApiError::new(
        409,
        ErrorType::Conflict,
        "this is the last working key of an administrator; create another one first",
    ))
}

fn no_user(email: &str) -> ApiError {
    ApiError::not_found(format!("unknown user {email:?}"))
}
