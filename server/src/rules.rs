//! What the API does: who the users are, which keys they have, and what a key may do. How requests
//! arrive is not known here.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rand::distr::{Alphanumeric, SampleString};
use rockset_apikeys::types::{ApiKey, CreateApiKeyRequest, UpdateApiKeyRequest};
use rockset_apikeys::{ApiKeyValue, ErrorType, KeyState, PathSegment};

/// The length of a key, as in the documentation's examples.
const KEY_LENGTH: usize = 64;
/// The name of the key that a user has from the start.
const FIRST_KEY: &str = "initial";
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
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) kind: ErrorType,
    pub(crate) message: String,
    /// Line and column of the request's body, from 1.
    pub(crate) place: Option<(usize, usize)>,
}

impl Refusal {
    pub(crate) fn new(status: u16, kind: ErrorType, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), place: None }
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

/// Who signs a request.
pub(crate) struct Signer {
    user: String,
    key_name: String,
    /// What the key may do: the lesser of its own role and its owner's.
    role: Role,
}

struct Key {
    value: ApiKeyValue,
    name: String,
    owner: String,
    role: Option<Role>,
    created_at: Timestamp,
    created_by_key: Option<String>,
    expires_at: Option<Timestamp>,
    last_access: Option<Timestamp>,
    suspended: bool,
}

impl Key {
    /// A key whose expiry time has passed becomes suspended by itself, and stays so when the expiry
    /// time is changed afterwards.
    fn suspend_if_expired(&mut self, now: Timestamp) {
        self.suspended |= self.expires_at.is_some_and(|expiry| expiry <= now);
    }

    fn view(&self, full: bool) -> ApiKey {
        ApiKey {
            name: self.name.clone(),
            key: if full { self.value.clone() } else { self.value.identifier().into() },
            created_at: Some(self.created_at.into()),
            created_by: Some(self.owner.clone()),
            created_by_apikey_name: self.created_by_key.clone(),
            expiry_time: self.expires_at.map(Into::into),
            last_access_time: self.last_access.map(Into::into),
            role: self.role.map(|role| role.to_string()),
            state: Some(if self.suspended { KeyState::Suspended } else { KeyState::Active }),
        }
    }
}

/// The users, their keys, and the rules by which they change.
#[derive(Default)]
pub(crate) struct Rules {
    users: BTreeMap<String, Role>,
    /// Oldest first.
    keys: Vec<Key>,
}

impl Rules {
    /// Adds a user with a first key and gives the key. An error says what is wrong with the
    /// address.
    pub(crate) fn add_user(&mut self, email: &str, role: Role) -> Result<ApiKeyValue, String> {
        PathSegment::try_from(email).map_err(|error| format!("the user {email:?}: {error}"))?;
        if email == SELF || self.users.contains_key(email) {
            return Err(format!("the user {email:?} is there already"));
        }
        self.users.insert(email.to_owned(), role);
        let value = new_value();
        self.keys.push(Key {
            value: value.clone(),
            name: FIRST_KEY.to_owned(),
            owner: email.to_owned(),
            role: None,
            created_at: Timestamp::now(),
            created_by_key: None,
            expires_at: None,
            last_access: None,
            suspended: false,
        });
        Ok(value)
    }

    /// Who the key belongs to, unless it signs nothing.
    pub(crate) fn signer(&mut self, value: &str) -> Result<Signer, Refusal> {
        let key = self.keys.iter_mut().find(|key| key.value.expose_secret() == value);
        let key = key.ok_or_else(|| Refusal::unauthorized("there is no such API key"))?;
        let now = Timestamp::now();
        key.suspend_if_expired(now);
        if key.suspended {
            return Err(Refusal::unauthorized("the API key is suspended or has expired"));
        }
        key.last_access = Some(now);
        let role = effective_role(&self.users, key);
        Ok(Signer { user: key.owner.clone(), key_name: key.name.clone(), role })
    }

    pub(crate) fn create(
        &mut self,
        signer: &Signer,
        request: CreateApiKeyRequest,
    ) -> Result<ApiKey, Refusal> {
        must_manage(signer)?;
        let owner = self.owner(signer, request.created_by.as_deref().unwrap_or(SELF))?;
        let role = request.role.as_deref().map(Role::from_str).transpose();
        let role = role.map_err(|error| Refusal::invalid(error.to_string()))?;
        let owners_role = self.users.get(&owner).copied().unwrap_or(Role::ReadOnly);
        if role.unwrap_or(owners_role).min(owners_role) > signer.role {
            return Err(Refusal::forbidden(format!(
                "the new key could do more than the one that signs the request, which is {}; give \
                 it a role of no more than that",
                signer.role
            )));
        }
        let name = request.name.to_string();
        if self.keys.iter().any(|key| key.owner == owner && key.name == name) {
            let message = format!("{owner} has an API key named {name:?} already");
            return Err(Refusal::new(409, ErrorType::AlreadyExists, message));
        }
        let now = Timestamp::now();
        let mut key = Key {
            value: new_value(),
            name,
            owner,
            role,
            created_at: now,
            created_by_key: Some(signer.key_name.clone()),
            expires_at: request.expiry_time.as_ref().map(instant).transpose()?,
            last_access: None,
            suspended: false,
        };
        key.suspend_if_expired(now);
        let view = key.view(true);
        self.keys.push(key);
        Ok(view)
    }

    pub(crate) fn list(&mut self, signer: &Signer, user: &str) -> Result<Vec<ApiKey>, Refusal> {
        let owner = self.owner(signer, user)?;
        let now = Timestamp::now();
        let keys = self.keys.iter_mut().filter(|key| key.owner == owner);
        Ok(keys
            .map(|key| {
                key.suspend_if_expired(now);
                key.view(false)
            })
            .collect())
    }

    pub(crate) fn get(
        &mut self,
        signer: &Signer,
        user: &str,
        name: &str,
        reveal: bool,
    ) -> Result<ApiKey, Refusal> {
        let index = self.find(signer, user, name)?;
        let Self { users, keys } = self;
        let Some(key) = keys.get(index) else { return Err(not_found(user, name)) };
        if reveal && effective_role(users, key) > signer.role {
            return Err(Refusal::forbidden(
                "the key that signs the request may do less than the one to reveal",
            ));
        }
        Ok(key.view(reveal))
    }

    pub(crate) fn update(
        &mut self,
        signer: &Signer,
        user: &str,
        name: &str,
        changes: UpdateApiKeyRequest,
    ) -> Result<ApiKey, Refusal> {
        must_manage(signer)?;
        let index = self.find(signer, user, name)?;
        let Some(key) = self.keys.get_mut(index) else { return Err(not_found(user, name)) };
        let expires_at = match (&changes.expiry_time, changes.clear_expiry_time) {
            (Some(_), Some(true)) => {
                return Err(Refusal::invalid(
                    "expiry_time and clear_expiry_time exclude each other; give one of them",
                ));
            }
            (Some(time), _) => Some(instant(time)?),
            (None, Some(true)) => None,
            (None, _) => key.expires_at,
        };
        let now = Timestamp::now();
        let suspended = match changes.state {
            None => key.suspended,
            Some(KeyState::Suspended) => true,
            Some(KeyState::Active) if expires_at.is_some_and(|expiry| expiry <= now) => {
                return Err(Refusal::invalid(
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
        key.expires_at = expires_at;
        key.suspended = suspended;
        key.suspend_if_expired(now);
        Ok(key.view(false))
    }

    pub(crate) fn delete(
        &mut self,
        signer: &Signer,
        user: &str,
        name: &str,
    ) -> Result<ApiKey, Refusal> {
        must_manage(signer)?;
        let index = self.find(signer, user, name)?;
        Ok(self.keys.remove(index).view(false))
    }

    /// The user whose keys a request is about, if the signer may touch them.
    fn owner(&self, signer: &Signer, user: &str) -> Result<String, Refusal> {
        if user == SELF || user == signer.user {
            return Ok(signer.user.clone());
        }
        if signer.role < Role::Admin {
            return Err(Refusal::forbidden("only an administrator may touch the keys of others"));
        }
        if self.users.contains_key(user) {
            return Ok(user.to_owned());
        }
        Err(Refusal::new(404, ErrorType::NotFound, format!("there is no user {user:?}")))
    }

    /// Where the key is, its expiry accounted for.
    fn find(&mut self, signer: &Signer, user: &str, name: &str) -> Result<usize, Refusal> {
        let owner = self.owner(signer, user)?;
        let now = Timestamp::now();
        for (index, key) in self.keys.iter_mut().enumerate() {
            if key.owner == owner && key.name == name {
                key.suspend_if_expired(now);
                return Ok(index);
            }
        }
        Err(not_found(&owner, name))
    }
}

fn effective_role(users: &BTreeMap<String, Role>, key: &Key) -> Role {
    let owners = users.get(&key.owner).copied().unwrap_or(Role::ReadOnly);
    key.role.map_or(owners, |role| role.min(owners))
}

fn must_manage(signer: &Signer) -> Result<(), Refusal> {
    if signer.role < Role::Member {
        return Err(Refusal::forbidden("the key that signs the request is read-only"));
    }
    Ok(())
}

fn not_found(user: &str, name: &str) -> Refusal {
    let message = format!("{user} has no API key named {name:?}");
    Refusal::new(404, ErrorType::NotFound, message)
}

fn instant(time: &rockset_apikeys::Timestamp) -> Result<Timestamp, Refusal> {
    time.instant().ok_or_else(|| {
        Refusal::invalid(format!(
            "the expiry_time {:?} is no date and time with an offset, such as 2030-01-01T00:00:00Z",
            time.as_str()
        ))
    })
}

fn new_value() -> ApiKeyValue {
    Alphanumeric.sample_string(&mut rand::rng(), KEY_LENGTH).into()
}
