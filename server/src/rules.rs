//! What the API does: who the users are, which keys they have, and what a key may do. Decisions are
//! made here and not carried out: how requests arrive, where keys are stored and what they are is
//! not known.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use rockset_apikeys::types::{ApiKey, CreateApiKeyRequest, UpdateApiKeyRequest};
use rockset_apikeys::{ApiKeyValue, ErrorType, KeyState};

use crate::vault::LookupHash;

/// The longest name of a key or user, in bytes of UTF-8. Percent-encoded, a key's and its user's
/// then take up at most 6,000 bytes of a URL: less than the 64 KiB that this server reads, and than
/// the 8 KiB that many proxies allow a request line.
const LONGEST_NAME: usize = 1000;
/// The name of the key that a user has from the start.
pub(crate) const FIRST_KEY: &str = "initial";
/// The user of a request's path who is whoever owns the key that signs the request.
const SELF: &str = "self";

/// A role that every organization has. Each may do all that those before it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads one's own keys: `read-only`.
    ReadOnly,
    /// Manages one's own keys: `member`.
    Member,
    /// Manages everybody's keys: `admin`.
    Admin,
}

impl Role {
    const ALL: [Self; 3] = [Self::ReadOnly, Self::Member, Self::Admin];

    /// The name of the role in requests and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ParseRoleError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == name);
        found.ok_or_else(|| ParseRoleError { name: name.to_owned() })
    }
}

/// The name is no [`Role`]'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseRoleError {
    name: String,
}

impl fmt::Display for ParseRoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no role {:?}; the roles are read-only, member and admin", self.name)
    }
}

impl std::error::Error for ParseRoleError {}

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) kind: ErrorType,
    pub(crate) message: String,
    /// Line and column of the request's body, from 1.
    pub(crate) place: Option<(usize, usize)>,
    /// How long to wait before the next request.
    pub(crate) retry_after: Option<Duration>,
    /// What is for the server's log alone.
    pub(crate) cause: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: u16, kind: ErrorType, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), place: None, retry_after: None, cause: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, ErrorType::InvalidInput, message)
    }

    fn unauthorized(message: &str) -> Self {
        Self::new(401, ErrorType::AuthException, message)
    }

    fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, ErrorType::Forbidden, message)
    }
}

/// An authenticated caller.
pub(crate) struct Signer {
    pub(crate) fingerprint: LookupHash,
    pub(crate) key_id: i64,
    user: String,
    key_name: String,
    /// What the key may do: the lesser of its own role and its owner's.
    role: Role,
}

/// What an operation does to a key, as far as permission depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Shows it without its full value: list, and get.
    Read,
    /// Shows its full value: get with `reveal`.
    Reveal,
    /// Creates, updates or deletes it.
    Manage,
}

impl Signer {
    /// The permission rule, for all operations: callers below an administrator touch their own
    /// user's keys alone, callers below a member manage none, and no caller reveals or manages a
    /// key that may do more than the caller's.
    ///
    /// `target` is what the key may do; `None` where there is no such key.
    fn permit(&self, access: Access, owner: &str, target: Option<Role>) -> Result<(), Refusal> {
        if access == Access::Manage && self.role < Role::Member {
            return Err(Refusal::forbidden("the caller's key is read-only"));
        }
        if owner != self.user && self.role < Role::Admin {
            return Err(Refusal::forbidden("only an administrator may touch the keys of others"));
        }
        if access != Access::Read && target > Some(self.role) {
            return Err(Refusal::forbidden(format!(
                "the key may do more than the caller's, which is {}",
                self.role
            )));
        }
        Ok(())
    }

    /// The user in a request's path or body, with `self` resolved.
    fn resolve<'a>(&'a self, user: &'a str) -> &'a str {
        if user == SELF { &self.user } else { user }
    }
}

/// A key as it is stored. Its full value is not in it.
pub(crate) struct Key {
    /// In the order of creation.
    pub(crate) id: i64,
    pub(crate) fingerprint: LookupHash,
    pub(crate) sealed: Vec<u8>,
    pub(crate) terms: Terms,
    /// Milliseconds since 1970; [`Key::NEVER`] before the first use. It changes with every request
    /// that the key signs, which no lock is worth.
    last_access: AtomicI64,
}

/// All of a key but its secrets.
#[derive(Clone, PartialEq)]
pub(crate) struct Terms {
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) identifier: String,
    pub(crate) role: Option<Role>,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by_key: Option<String>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) suspended: bool,
}

impl Terms {
    /// A key whose expiry time has passed is suspended by itself, and stays so when the expiry time
    /// is changed afterwards.
    fn is_suspended(&self, now: Timestamp) -> bool {
        self.suspended || self.expires_at.is_some_and(|expiry| expiry <= now)
    }
}

impl Key {
    const NEVER: i64 = i64::MIN;

    pub(crate) fn new(
        id: i64,
        fingerprint: LookupHash,
        sealed: Vec<u8>,
        terms: Terms,
        last_access: Option<i64>,
    ) -> Self {
        let last_access = AtomicI64::new(last_access.unwrap_or(Self::NEVER));
        Self { id, fingerprint, sealed, terms, last_access }
    }

    /// The same key on other terms.
    pub(crate) fn with(&self, terms: Terms) -> Self {
        let (id, fingerprint, sealed) = (self.id, self.fingerprint, self.sealed.clone());
        Self::new(id, fingerprint, sealed, terms, self.last_access())
    }

    /// When the key last signed a request, in milliseconds since 1970.
    pub(crate) fn last_access(&self) -> Option<i64> {
        Some(self.last_access.load(Relaxed)).filter(|time| *time != Self::NEVER)
    }

    /// The key as the API shows it, with this in place of its full value.
    pub(crate) fn view(&self, value: ApiKeyValue, now: Timestamp) -> ApiKey {
        let terms = &self.terms;
        let last_access =
            self.last_access().and_then(|time| Timestamp::from_millisecond(time).ok());
        let suspended = terms.is_suspended(now);
        ApiKey {
            name: terms.name.clone(),
            key: value,
            created_at: Some(terms.created_at.into()),
            created_by: Some(terms.owner.clone()),
            created_by_apikey_name: terms.created_by_key.clone(),
            expiry_time: terms.expires_at.map(Into::into),
            last_access_time: last_access.map(Into::into),
            role: terms.role.map(|role| role.to_string()),
            state: Some(if suspended { KeyState::Suspended } else { KeyState::Active }),
        }
    }

    /// The key as the API shows it where its full value is not asked for.
    pub(crate) fn short_view(&self, now: Timestamp) -> ApiKey {
        self.view(self.terms.identifier.as_str().into(), now)
    }
}

struct User {
    role: Role,
    /// By id, and thus oldest first.
    keys: BTreeMap<i64, Arc<Key>>,
    names: HashMap<String, i64>,
}

/// The users, their keys, and the rules by which they change.
#[derive(Default)]
pub(crate) struct Rules {
    users: BTreeMap<String, User>,
    fingerprints: HashMap<LookupHash, Arc<Key>>,
}

impl Rules {
    pub(crate) fn add_user(&mut self, email: String, role: Role) {
        self.users.insert(email, User { role, keys: BTreeMap::new(), names: HashMap::new() });
    }

    /// Puts a key in its place, or in that of the same key on other terms.
    pub(crate) fn put(&mut self, key: Key) -> Arc<Key> {
        let key = Arc::new(key);
        self.fingerprints.insert(key.fingerprint, Arc::clone(&key));
        if let Some(user) = self.users.get_mut(&key.terms.owner) {
            user.names.insert(key.terms.name.clone(), key.id);
            user.keys.insert(key.id, Arc::clone(&key));
        }
        key
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        self.fingerprints.remove(&key.fingerprint);
        if let Some(user) = self.users.get_mut(&key.terms.owner) {
            user.names.remove(&key.terms.name);
            user.keys.remove(&key.id);
        }
    }

    /// The keys that signed a request then or later, in milliseconds since 1970.
    pub(crate) fn used_since(&self, time: i64) -> Vec<Arc<Key>> {
        let keys = self.fingerprints.values();
        keys.filter(|key| key.last_access().is_some_and(|last| last >= time)).cloned().collect()
    }

    pub(crate) fn find(&self, fingerprint: &LookupHash) -> Option<&Arc<Key>> {
        self.fingerprints.get(fingerprint)
    }

    /// Takes over the last uses of keys that are not stored yet.
    pub(crate) fn keep_last_access(&self, former: &Self) {
        for key in self.fingerprints.values() {
            if let Some(last) = former.find(&key.fingerprint).and_then(|key| key.last_access()) {
                key.last_access.fetch_max(last, Relaxed);
            }
        }
    }

    /// Who the key belongs to, unless it signs nothing.
    pub(crate) fn signer(
        &self,
        fingerprint: &LookupHash,
        now: Timestamp,
    ) -> Result<Signer, Refusal> {
        let key = self.fingerprints.get(fingerprint);
        let key = key.ok_or_else(|| Refusal::unauthorized("there is no such API key"))?;
        if key.terms.is_suspended(now) {
            return Err(Refusal::unauthorized("the API key is suspended or has expired"));
        }
        key.last_access.fetch_max(now.as_millisecond(), Relaxed);
        Ok(Signer {
            fingerprint: key.fingerprint,
            user: key.terms.owner.clone(),
            key_id: key.id,
            key_name: key.terms.name.clone(),
            role: self.effective_role(&key.terms),
        })
    }

    /// The terms of the key to create; its value is not made yet, and its identifier is empty.
    pub(crate) fn create(
        &self,
        caller: &LookupHash,
        request: &CreateApiKeyRequest,
        now: Timestamp,
    ) -> Result<Terms, Refusal> {
        let signer = self.signer(caller, now)?;
        let name = request.name.clone();
        check_segment("name", &name).map_err(Refusal::invalid)?;
        let role = request.role.as_deref().map(Role::from_str).transpose();
        let role = role.map_err(|error| Refusal::invalid(error.to_string()))?;
        let expires_at = request.expiry_time.as_ref().map(instant).transpose()?;
        let owner = signer.resolve(request.created_by.as_deref().unwrap_or(SELF));
        let user = self.users.get(owner);
        let target = user.map(|user| effective_role(role, user.role));
        signer.permit(Access::Manage, owner, target)?;
        let user = user.ok_or_else(|| no_user(owner))?;
        if user.names.contains_key(&name) {
            let message = format!("{owner} has an API key named {name:?} already");
            return Err(Refusal::new(409, ErrorType::AlreadyExists, message));
        }
        Ok(Terms {
            owner: owner.to_owned(),
            name,
            identifier: String::new(),
            role,
            created_at: now,
            created_by_key: Some(signer.key_name),
            expires_at,
            suspended: false,
        })
    }

    pub(crate) fn list(
        &self,
        caller: &LookupHash,
        user: &str,
        now: Timestamp,
    ) -> Result<Vec<ApiKey>, Refusal> {
        let signer = self.signer(caller, now)?;
        let owner = signer.resolve(user);
        signer.permit(Access::Read, owner, None)?;
        let user = self.users.get(owner).ok_or_else(|| no_user(owner))?;
        Ok(user.keys.values().map(|key| key.short_view(now)).collect())
    }

    /// The key, if the caller may see it, and its full value too if that is asked for.
    pub(crate) fn get(
        &self,
        caller: &LookupHash,
        user: &str,
        name: &str,
        reveal: bool,
        now: Timestamp,
    ) -> Result<Arc<Key>, Refusal> {
        let access = if reveal { Access::Reveal } else { Access::Read };
        self.permitted(caller, access, user, name, now)
    }

    /// The key to update, and its terms after that.
    pub(crate) fn update(
        &self,
        caller: &LookupHash,
        user: &str,
        name: &str,
        changes: &UpdateApiKeyRequest,
        now: Timestamp,
    ) -> Result<(Arc<Key>, Terms), Refusal> {
        let key = self.permitted(caller, Access::Manage, user, name, now)?;
        let mut terms = key.terms.clone();
        terms.suspended = terms.is_suspended(now);
        terms.expires_at = match (&changes.expiry_time, changes.clear_expiry_time) {
            (Some(_), Some(true)) => {
                return Err(Refusal::invalid(
                    "expiry_time and clear_expiry_time exclude each other; give one of them",
                ));
            }
            (Some(time), _) => Some(instant(time)?),
            (None, Some(true)) => None,
            (None, _) => terms.expires_at,
        };
        terms.suspended = match &changes.state {
            None => terms.suspended,
            Some(KeyState::Suspended) => true,
            Some(KeyState::Active) if terms.expires_at.is_some_and(|expiry| expiry <= now) => {
                return Err(Refusal::new(
                    409,
                    ErrorType::Conflict,
                    "the key has expired; to make it active, give a later expiry_time or \
                     clear_expiry_time",
                ));
            }
            Some(KeyState::Active) => false,
            Some(other) => {
                return Err(Refusal::invalid(format!(
                    "there is no state {:?}; the states are ACTIVE and SUSPENDED",
                    other.as_str()
                )));
            }
        };
        if terms.is_suspended(now) {
            self.check_not_last(&key, now)?;
        }
        Ok((key, terms))
    }

    /// The key to delete.
    pub(crate) fn delete(
        &self,
        caller: &LookupHash,
        user: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<Arc<Key>, Refusal> {
        let key = self.permitted(caller, Access::Manage, user, name, now)?;
        self.check_not_last(&key, now)?;
        Ok(key)
    }

    /// The key with this name, if the caller may access it in this way.
    fn permitted(
        &self,
        caller: &LookupHash,
        access: Access,
        user: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<Arc<Key>, Refusal> {
        let signer = self.signer(caller, now)?;
        let owner = signer.resolve(user);
        let user = self.users.get(owner);
        let key = user.and_then(|user| user.keys.get(user.names.get(name)?));
        signer.permit(access, owner, key.map(|key| self.effective_role(&key.terms)))?;
        match (user, key) {
            (None, _) => Err(no_user(owner)),
            (_, None) => {
                let message = format!("{owner} has no API key named {name:?}");
                Err(Refusal::new(404, ErrorType::NotFound, message))
            }
            (_, Some(key)) => Ok(Arc::clone(key)),
        }
    }

    /// Refuses to take from the administrators the last key with which they can call the API.
    fn check_not_last(&self, key: &Key, now: Timestamp) -> Result<(), Refusal> {
        let works = |key: &Key| {
            !key.terms.is_suspended(now) && self.effective_role(&key.terms) == Role::Admin
        };
        let admins = self.users.values().filter(|user| user.role == Role::Admin);
        let has_other = || {
            let mut keys = admins.flat_map(|user| user.keys.values());
            keys.any(|other| other.id != key.id && works(other))
        };
        if !works(key) || has_other() {
            return Ok(());
        }
        Err(Refusal::new(
            409,
            ErrorType::Conflict,
            "the key is the last working one of an administrator; create another one first",
        ))
    }

    fn effective_role(&self, terms: &Terms) -> Role {
        let owners = self.users.get(&terms.owner).map_or(Role::ReadOnly, |user| user.role);
        effective_role(terms.role, owners)
    }
}

/// What a key may do: the lesser of its own role, if it has one, and its owner's.
fn effective_role(own: Option<Role>, owners: Role) -> Role {
    own.map_or(owners, |role| role.min(owners))
}

fn no_user(email: &str) -> Refusal {
    Refusal::new(404, ErrorType::NotFound, format!("there is no user {email:?}"))
}

/// Refuses what can be no user's e-mail address.
pub(crate) fn check_email(email: &str) -> Result<(), String> {
    if email == SELF {
        return Err(format!("a user cannot be {SELF:?}, which stands for whoever signs a request"));
    }
    check_segment("user", email)
}

/// Rejects a text that no URL can carry as a path segment, so that no request could name it.
fn check_segment(what: &str, text: &str) -> Result<(), String> {
    match text {
        "" => Err(format!("the {what} is empty")),
        "." | ".." => Err(format!("the {what} is {text:?}, which URLs resolve as a relative path")),
        _ if text.len() > LONGEST_NAME => {
            Err(format!("the {what} has {} bytes; at most {LONGEST_NAME} are allowed", text.len()))
        }
        _ => Ok(()),
    }
}

/// The time as it is kept: in milliseconds.
pub(crate) fn kept(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

fn instant(time: &rockset_apikeys::Timestamp) -> Result<Timestamp, Refusal> {
    time.instant().map(kept).ok_or_else(|| {
        Refusal::invalid(format!(
            "the expiry_time {:?} is no date and time with an offset, such as 2030-01-01T00:00:00Z",
            time.as_str()
        ))
    })
}
