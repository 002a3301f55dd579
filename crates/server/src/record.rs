//! A key as the database has it, what may be changed about it, and which names there can be.

use rockset_apikeys::types::{ApiKey, UpdateApiKeyRequest};
use rockset_apikeys::{ApiKeyValue, ErrorType, KeyState};

use crate::error::ApiError;
use crate::permission::{Principal, Role};
use crate::time::Millis;
use crate::vault::LookupHash;

/// The longest name of a key or user, in bytes of UTF-8. Percent-encoded, a key's and its user's
/// then take up at most 6,000 bytes of a URL: less than the 8 KiB that many proxies allow a request
/// line.
const LONGEST_NAME: usize = 1000;
/// The user in a path who is the owner of the caller's key.
pub(crate) const SELF: &str = "self";

/// A key. Its full value is not in it.
#[derive(Clone, PartialEq)]
pub(crate) struct KeyRecord {
    /// In the order of creation; 0 in a key that is to be created.
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
    /// Returns what the key may do.
    pub(crate) fn effective_role(&self) -> Role {
        Role::effective(self.role, self.owners_role)
    }

    /// Whether this is the same key in the same state, whenever it was used.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        *self == Self { last_access: self.last_access, ..other.clone() }
    }

    /// A key whose expiry time has passed is suspended by itself.
    pub(crate) fn is_suspended(&self, now: Millis) -> bool {
        self.suspended || self.expires_at.is_some_and(|expiry| expiry <= now)
    }

    /// Whether an administrator can call every operation with the key.
    pub(crate) fn is_working_admin_key(&self, now: Millis) -> bool {
        !self.is_suspended(now) && self.effective_role() == Role::Admin
    }

    /// Returns the caller whose key this is, if the key works.
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
        // Without a new state it stays suspended, although it may now expire later.
        self.suspended = changes.suspended.unwrap_or(was_suspended);
        if changes.suspended == Some(false) && self.is_suspended(now) {
            return Err(ApiError::new(
                409,
                ErrorType::Conflict,
                "the key has expired; to make it active, give a later expiry_time or \
                 clear_expiry_time",
            ));
        }
        Ok(())
    }

    /// Returns the key as the API shows it, with this in place of its full value.
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

    /// Returns the key as the API shows it where its full value is not asked for.
    pub(crate) fn show_identifier(mut self, now: Millis) -> ApiKey {
        let identifier = std::mem::take(&mut self.identifier);
        self.show(identifier.into(), now)
    }
}

/// The changes of an update. What it leaves out stays as it is.
pub(crate) struct Changes {
    expires_at: Option<Option<Millis>>,
    suspended: Option<bool>,
}

impl Changes {
    pub(crate) fn parse(request: &UpdateApiKeyRequest) -> Result<Self, ApiError> {
        let expires_at = match (&request.expiry_time, request.clear_expiry_time) {
            (Some(_), Some(true)) => {
                return Err(ApiError::invalid(
                    "expiry_time and clear_expiry_time exclude each other; give one of them",
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
                    "there is no state {:?}; the states are ACTIVE and SUSPENDED",
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
            "the expiry_time {:?} is not a date and time with an offset, such as \
             2030-01-01T00:00:00Z",
            time.as_str()
        ))
    })
}

/// Rejects what cannot be a user's e-mail address.
pub(crate) fn check_email(email: &str) -> Result<(), String> {
    if email == SELF {
        return Err(format!("a user cannot be {SELF:?}, which stands for the caller"));
    }
    let is_plain = |char: char| {
        let is_escaped = char.escape_debug().count() > 1 && !matches!(char, '"' | '\'' | '\\');
        !char.is_whitespace() && !is_escaped
    };
    if !email.chars().all(is_plain) {
        return Err(format!("the user {email:?} has a space or a character that is not printable"));
    }
    check_name("user", email)
}

/// Rejects a name that no URL can carry as a path segment, so that no request could name it.
pub(crate) fn check_name(what: &str, text: &str) -> Result<(), String> {
    match text {
        "" => Err(format!("the {what} is empty")),
        "." | ".." => Err(format!("the {what} is {text:?}, which URLs resolve as a relative path")),
        _ if text.len() > LONGEST_NAME => {
            Err(format!("the {what} has {} bytes; at most {LONGEST_NAME} are allowed", text.len()))
        }
        _ => Ok(()),
    }
}
