//! The users of a database: added, removed and given keys by the CLI and at startup.

use std::io;

use rockset_apikeys::ApiKeyValue;

use crate::permission::Role;
use crate::record::{KeyRecord, check_email};
use crate::store::{Change, Rows, Store};
use crate::time::Millis;

/// The name of a user's first key.
const FIRST_KEY: &str = "initial";
/// The number of a user's keys that are deleted in one transaction.
const CHUNK: u32 = 1000;

/// Adds a user and returns the user's first key, or `None` if the user exists.
pub(crate) async fn add_user(
    store: &Store,
    email: &str,
    role: Role,
    now: Millis,
) -> io::Result<Option<ApiKeyValue>> {
    check_email(email).map_err(invalid)?;
    let new = store.vault().generate()?;
    let key = KeyRecord::new(email, role, FIRST_KEY, &new, now);
    let decide = move |rows: &dyn Rows| {
        let users = rows.users()?;
        if users.iter().any(|(user, _)| *user == key.owner) {
            // An earlier run of this decision may have been applied.
            let existing = rows.key_by_hash(&key.lookup_hash)?;
            return Ok((Change::Nothing, Ok(existing.is_some())));
        }
        // People cannot tell such users apart.
        let mut users = users.into_iter();
        if let Some((twin, _)) =
            users.find(|(user, _)| user.to_lowercase() == key.owner.to_lowercase())
        {
            return Ok((Change::Nothing, Err(twin)));
        }
        Ok((Change::AddUser(Box::new(key.clone())), Ok(true)))
    };
    match store.change(decide).await? {
        Ok(is_added) => Ok(is_added.then_some(new.value)),
        Err(twin) => {
            Err(invalid(format!("cannot add the user {email:?}: it is too similar to {twin:?}")))
        }
    }
}

/// Creates a key for an existing user and returns its name and value.
pub(crate) async fn issue_key(
    store: &Store,
    email: &str,
    now: Millis,
) -> io::Result<(String, ApiKeyValue)> {
    let name = format!("issued-{}", now.0);
    let new = store.vault().generate()?;
    let key = KeyRecord::new(email, Role::ReadOnly, &name, &new, now);
    let decide = move |rows: &dyn Rows| {
        let Some(owners_role) = rows.role(&key.owner)? else {
            return Ok((Change::Nothing, false));
        };
        if rows.key_by_hash(&key.lookup_hash)?.is_some() {
            // An earlier run of this decision was applied.
            return Ok((Change::Nothing, true));
        }
        let key = KeyRecord { owners_role, ..key.clone() };
        Ok((Change::CreateKey(Box::new(key)), true))
    };
    match store.change(decide).await? {
        true => Ok((name, new.value)),
        false => Err(no_user(email)),
    }
}

/// Deletes an issued key that could not be printed.
pub(crate) async fn undo_issue_key(store: &Store, email: &str, name: &str) -> io::Result<()> {
    let (email, name) = (email.to_owned(), name.to_owned());
    let decide = move |rows: &dyn Rows| {
        let key = rows.key(&email, &name)?;
        Ok((key.map_or(Change::Nothing, |key| Change::DeleteKey(key.id)), ()))
    };
    Ok(store.change(decide).await?)
}

/// Removes a user and the user's keys.
///
/// Many keys are deleted in several transactions, so that other changes do not wait for long.
pub(crate) async fn remove_user(store: &Store, email: &str) -> io::Result<()> {
    loop {
        let owner = email.to_owned();
        let mut is_removed = None;
        let decide = move |rows: &dyn Rows| {
            if rows.role(&owner)?.is_none() {
                // An earlier run of this decision may have been applied.
                return Ok((Change::Nothing, is_removed));
            }
            if rows.count_keys(&owner, CHUNK)? == CHUNK {
                return Ok((Change::RemoveKeys(owner.clone(), CHUNK), Some(false)));
            }
            is_removed = Some(true);
            Ok((Change::RemoveUser(owner.clone()), is_removed))
        };
        match store.change(decide).await? {
            None => return Err(no_user(email)),
            Some(true) => return Ok(()),
            Some(false) => {}
        }
    }
}

/// Returns a user's first key, and adds the user if missing.
pub(crate) async fn first_key(
    store: &Store,
    email: &str,
    role: Role,
    now: Millis,
) -> io::Result<ApiKeyValue> {
    if let Some(key) = add_user(store, email, role, now).await? {
        return Ok(key);
    }
    let Some(key) = store.read().key(email, FIRST_KEY)? else {
        let reason = format!("cannot get the first key of {email:?}: it was deleted");
        return Err(io::Error::new(io::ErrorKind::NotFound, reason));
    };
    store.vault().decrypt(&key.encrypted, &key.lookup_hash)
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason.into())
}

fn no_user(email: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("unknown user {email:?}"))
}
