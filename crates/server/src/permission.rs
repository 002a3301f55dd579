//! Roles, and the permission rule of all operations.

use std::fmt;
use std::str::FromStr;

use crate::error::ApiError;

/// The role of a user or key. Each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// `read-only`: reads its own user's keys.
    ReadOnly,
    /// `member`: manages its own user's keys.
    Member,
    /// `admin`: manages the keys of all users.
    Admin,
}

impl Role {
    const ALL: [Self; 3] = [Self::ReadOnly, Self::Member, Self::Admin];

    /// Returns the role's name in requests and responses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    /// Returns a key's effective role: the lesser of its own, if any, and its owner's.
    pub(crate) fn effective(own: Option<Self>, owners: Self) -> Self {
        own.map_or(owners, |role| role.min(owners))
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

/// An unknown role name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseRoleError {
    name: String,
}

impl fmt::Display for ParseRoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown role {:?}; expected read-only, member or admin", self.name)
    }
}

impl std::error::Error for ParseRoleError {}

/// How an operation accesses a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Returns it without its full value: list and get.
    Read,
    /// Returns its full value: get with `reveal`.
    Reveal,
    /// Creates, updates or deletes it.
    Manage,
}

/// The caller, as read in the transaction of the operation.
pub(crate) struct Principal {
    pub(crate) user: String,
    pub(crate) key_name: String,
    /// The effective role of the caller's key.
    pub(crate) role: Role,
}

impl Principal {
    /// Applies the permission rule.
    ///
    /// Only `admin` keys access other users' keys, `read-only` keys manage none, and no key reveals
    /// or manages a key with a higher role.
    ///
    /// `target` is the effective role of the accessed key, or `None` if there is no such key.
    pub(crate) fn authorize(
        &self,
        access: Access,
        owner: &str,
        target: Option<Role>,
    ) -> Result<(), ApiError> {
        if access == Access::Manage && self.role < Role::Member {
            return Err(ApiError::forbidden("the caller's API key is read-only"));
        }
        if owner != self.user && self.role < Role::Admin {
            return Err(ApiError::forbidden("only an administrator may access other users' keys"));
        }
        if access != Access::Read && target > Some(self.role) {
            let message = format!("the key has a higher role than the caller's: {}", self.role);
            return Err(ApiError::forbidden(message));
        }
        Ok(())
    }
}
