//! A key as the database stores it, its updates, and the rules for names.

use rockset_apikeys::types::{ApiKey, UpdateApiKeyRequest};
use rockset_apikeys::{ApiKeyValue, ErrorType, KeyState};

use crate::error::ApiError;
use crate::permission::{Principal, Role};
use crate::time::Millis;
use crate::vault::{LookupHash, NewKey};

/// The maximum length of a key's or user's name, in bytes of UTF-8.
///
/// Percent-encoded, both names take up at most 6,000 bytes of a URL. Many proxies limit the request
/// line to 8 KiB.
const LONGEST_NAME: usize = 1000;
/// In a path or body, stands for the owner of the caller's key.
pub(crate) const SELF: &str = "self";

/// A key without its full value.
#[derive(Clone, PartialEq)]
pub(crate) struct KeyRecord {
    /// Assigned in the order of creation; 0 for a new key.
    pub(crate) id: i64,
    pub(crate) owner: String,
    pub(crate) owners_role: Role,
    pub(crate) name: String,
    pub(crate) lookup_hash: LookupHash,
    pub(crate) encrypted: Vec<u8>,
    pub(crate) identifier: String,
    pub(crate) role: Option<Role>,
    pub(crate) created_at: Millis,
    pub(crate) created_by_key: Option<String>,
    pub(crate) expires_at: Option<Millis>,
    pub(crate) last_access: Option<Millis>,
    pub(crate) suspended: bool,
}

impl KeyRecord {
    /// Creates the record of a new key without a role and an expiry time.
    pub(crate) fn new(
        owner: &str,
        owners_role: Role,
        name: &str,
        new: &NewKey,
        created_at: Millis,
    ) -> Self {
        Self {
            id: 0,
            owner: owner.to_owned(),
            owners_role,
            name: name.to_owned(),
            lookup_hash: new.lookup_hash,
            encrypted: new.encrypted.clone(),
            identifier: new.value.identifier().to_owned(),
            role: None,
            created_at,
            created_by_key: None,
            expires_at: None,
            last_access: None,
            suspended: false,
        }
    }

    /// Returns the role that limits the key's permissions.
    pub(crate) fn effective_role(&self) -> Role {
        Role::effective(self.role, self.owners_role)
    }

    /// Returns whether both are equal except for their last-access times.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        *self == Self { last_access: self.last_access, ..other.clone() }
    }

    /// Returns whether the key is suspended or has expired.
    pub(crate) fn is_suspended(&self, now: Millis) -> bool {
        self.suspended || self.expires_at.is_some_and(|expiry| expiry <= now)
    }

    /// Returns whether an administrator can call every operation with the key.
    pub(crate) fn is_working_admin_key(&self, now: Millis) -> bool {
        !self.is_suspended(now) && self.effective_role() == Role::Admin
    }

    /// Returns the caller who uses this key, or an error if the key is suspended.
    pub(crate) fn principal(&self, now: Millis) -> Result<Principal, ApiError> {
        if self.is_suspended(now) {
            return Err(ApiError::unauthorized("the API key is suspended or has expired"));
        }
        Ok(Principal {
            user: self.owner.clone(),
            key_name: self.name.clone(),
            role: self.effective_role(),
        })
    }

    /// Applies an update's changes to this record.
    pub(crate) fn update(&mut self, changes: &Changes, now: Millis) -> Result<(), ApiError> {
        let was_suspended = self.is_suspended(now);
        self.expires_at = changes.expires_at.unwrap_or(self.expires_at);
        // Without a new state, an expired key stays suspended even if it now expires later.
        self.suspended = changes.suspended.unwrap_or(was_suspended);
        if changes.suspended == Some(false) && self.is_suspended(now) {
            return Err(ApiError::new(
                409,
                ErrorType::Conflict,
                "cannot activate the key: it has expired; also set a later expiry_time or \
                 clear_expiry_time",
            ));
        }
        Ok(())
    }

    /// Returns the API's model of the key, with the given value.
    pub(crate) fn show(self, key: ApiKeyValue, now: Millis) -> ApiKey {
        let suspended = self.is_suspended(now);
        let mut shown = ApiKey::new(self.name, key);
        shown.created_at = self.created_at.to_timestamp();
        shown.created_by = Some(self.owner);
        shown.created_by_apikey_name = self.created_by_key;
        shown.expiry_time = self.expires_at.and_then(Millis::to_timestamp);
        shown.last_access_time = self.last_access.and_then(Millis::to_timestamp);
        shown.role = self.role.map(|role| role.to_string());
        shown.state = Some(if suspended { KeyState::Suspended } else { KeyState::Active });
        shown
    }

    /// Returns the API's model of the key, with its identifier as the value.
    pub(crate) fn show_identifier(mut self, now: Millis) -> ApiKey {
        let identifier = std::mem::take(&mut self.identifier);
        self.show(identifier.into(), now)
    }
}

/// The fields that an update changes; `None` leaves a field unchanged.
pub(crate) struct Changes {
    expires_at: Option<Option<Millis>>,
    suspended: Option<bool>,
}

impl Changes {
    pub(crate) fn parse(request: &UpdateApiKeyRequest) -> Result<Self, ApiError> {
        let expires_at = match (&request.expiry_time, request.clear_expiry_time) {
            (Some(_), Some(true)) => {
                return Err(ApiError::invalid(
                    "expiry_time and clear_expiry_time are mutually exclusive; set one of them",
                ));
            }
            (Some(time), _) => Some(Some(parse_expiry(time)?)),
            (None, Some(true)) => Some(None),
            (None, _) => None,
        };
        let suspended = match &request.state {
            None => None,
            Some(KeyState::Suspended) => Some(true),
            Some(KeyState::Active) => Some(false),
            Some(other) => {
                return Err(ApiError::invalid(format!(
                    "unknown state {:?}; expected ACTIVE or SUSPENDED",
                    other.as_str()
                )));
            }
        };
        Ok(Self { expires_at, suspended })
    }
}

pub(crate) fn parse_expiry(time: &rockset_apikeys::Timestamp) -> Result<Millis, ApiError> {
    Millis::parse(time).ok_or_else(|| {
        ApiError::invalid(format!(
            "invalid expiry_time {:?}; expected an RFC 3339 timestamp like 2030-01-01T00:00:00Z",
            time.as_str()
        ))
    })
}

/// Rejects invalid e-mail addresses of users.
pub(crate) fn check_email(email: &str) -> Result<(), String> {
    if email == SELF {
        return Err(format!("a user cannot be named {SELF:?}: it stands for the caller"));
    }
    let is_plain = |char: char| {
        let is_escaped = char.escape_debug().count() > 1 && !matches!(char, '"' | '\'' | '\\');
        !char.is_whitespace() && !is_escaped
    };
    if !email.chars().all(is_plain) {
        return Err(format!("the user {email:?} contains a space or an unprintable character"));
    }
    check_name("user", email)
}

/// Rejects names that are too long or cannot be a path segment of a URL.
pub(crate) fn check_name(field: &str, name: &str) -> Result<(), String> {
    match name {
        "" => Err(format!("the {field} is empty")),
        "." | ".." => {
            Err(format!("the {field} cannot be {name:?}: URLs resolve it as a relative path"))
        }
        _ if name.len() > LONGEST_NAME => Err(format!(
            "the {field} is too long: it has {} bytes; the maximum is {LONGEST_NAME}",
            name.len()
        )),
        _ => Ok(()),
    }
}
