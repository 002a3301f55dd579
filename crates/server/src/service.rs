//! The operations. Each is one transaction: it reads the caller, the key and its owner, decides on
//! them, and carries out the decision. `listing.rs` has the fifth.

mod listing;
mod maintenance;

use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

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

pub(crate) use listing::Listing;

pub(crate) struct Service {
    store: Store,
    clock: ExpiryClock,
    usage: Usage,
    keys_per_user: Option<NonZeroU32>,
    listings: Semaphore,
    /// When the health check last ran, and whether the database was usable.
    health: Arc<Mutex<Option<(Instant, bool)>>>,
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
            health: Arc::default(),
        });
        tokio::spawn(maintenance::maintain(Arc::downgrade(&service)));
        service
    }

    /// Authenticates the caller with this key.
    pub(crate) fn authenticate(&self, key: &str) -> Result<(Caller, Reader), ApiError> {
        let hash = self.store.vault().lookup_hash(key);
        let snapshot = self.store.snapshot();
        let now = self.clock.now();
        let record = find(&snapshot, &hash)?;
        let principal = record.principal(now)?;
        self.usage.record(record.id, now);
        Ok((Caller { hash, key_id: record.id }, Reader { principal, snapshot }))
    }

    pub(crate) fn get(
        &self,
        reader: &Reader,
        user: &str,
        name: &str,
        reveal: bool,
    ) -> Result<ApiKey, ApiError> {
        let access = if reveal { Access::Reveal } else { Access::Read };
        let key = permitted(&reader.snapshot, &reader.principal, access, user, name)?;
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

    fn with_last_access(&self, mut key: KeyRecord) -> KeyRecord {
        key.last_access = self.usage.latest(key.id, key.last_access);
        key
    }

    fn show(&self, key: KeyRecord, now: Millis) -> ApiKey {
        self.with_last_access(key).show_identifier(now)
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
