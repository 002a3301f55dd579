//! Who may do what to whose keys: the roles, and the one permission rule for all operations.

use std::fmt;
use std::str::FromStr;

use crate::error::ApiError;

/// A role that every organization has. Each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads its own user's keys: `read-only`.
    ReadOnly,
    /// Manages its own user's keys: `member`.
    Member,
    /// Manages the keys of all users: `admin`.
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

    /// Returns what a key may do: the lesser of its own role, if it has one, and its owner's.
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

/// The error of parsing a [`Role`].
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

/// What an operation does to a key, as far as permission depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Shows it without its full value: list, and get.
    Read,
    /// Shows its full value: get with `reveal`.
    Reveal,
    /// Creates, updates or deletes it.
    Manage,
}

/// Who calls, as the transaction that carries out the call sees it.
pub(crate) struct Principal {
    pub(crate) user: String,
    pub(crate) key_name: String,
    /// What the caller's key may do.
    pub(crate) role: Role,
}

impl Principal {
    /// The permission rule: keys below `admin` access their own user's keys alone, keys below
    /// `member` manage none, and no key reveals or manages one that may do more than itself.
    ///
    /// `target` is what the key in question may do; `None` where there is no such key.
    pub(crate) fn authorize(
        &self,
        access: Access,
        owner: &str,
        target: Option<Role>,
    ) -> Result<(), ApiError> {
        if access == Access::Manage && self.role < Role::Member {
            return Err(ApiError::forbidden("the caller's key is read-only"));
        }
        if owner != self.user && self.role < Role::Admin {
            return Err(ApiError::forbidden("only an administrator may access other users' keys"));
        }
        if access != Access::Read && target > Some(self.role) {
            let message = format!("the key may do more than the caller's, which is {}", self.role);
            return Err(ApiError::forbidden(message));
        }
        Ok(())
    }
}
