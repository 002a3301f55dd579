//! The users of a database: they are managed by the command line, and added at the start.

use std::io;

use rockset_apikeys::ApiKeyValue;

use crate::permission::Role;
use crate::record::{KeyRecord, check_email};
use crate::store::{Change, Rows, Store};
use crate::time::Millis;

/// The name of a user's first key.
const FIRST_KEY: &str = "initial";
/// How many keys of a user are removed in one transaction.
const CHUNK: usize = 1000;

/// Adds a user, and returns the user's first key; `None` where the user exists.
pub(crate) async fn add_user(
    store: &Store,
    email: &str,
    role: Role,
    now: Millis,
) -> io::Result<Option<ApiKeyValue>> {
    check_email(email).map_err(invalid)?;
    let key = new_key(store, email, FIRST_KEY, now)?;
    let (value, key) = (key.0, KeyRecord { owners_role: role, ..key.1 });
    let decide = move |rows: &dyn Rows| {
        let users = rows.users()?;
        if users.iter().any(|(user, _)| *user == key.owner) {
            // An earlier run of this decision may have been applied.
            let existing = rows.key_by_hash(&key.lookup_hash)?;
            return Ok((Change::Nothing, Ok(existing.is_some())));
        }
        // To a person they look the same.
        let mut users = users.into_iter();
        if let Some((twin, _)) =
            users.find(|(user, _)| user.to_lowercase() == key.owner.to_lowercase())
        {
            return Ok((Change::Nothing, Err(twin)));
        }
        Ok((Change::AddUser(Box::new(key.clone())), Ok(true)))
    };
    match store.change(decide).await? {
        Ok(is_added) => Ok(is_added.then_some(value)),
        Err(twin) => Err(invalid(format!("the user {email:?} is too similar to {twin:?}"))),
    }
}

/// Creates a key for a user who exists, and returns its name and value.
pub(crate) async fn issue_key(
    store: &Store,
    email: &str,
    now: Millis,
) -> io::Result<(String, ApiKeyValue)> {
    let name = format!("issued-{}", now.0);
    let (value, key) = new_key(store, email, &name, now)?;
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
        true => Ok((name, value)),
        false => Err(no_user(email)),
    }
}

/// Removes a key that was issued, because nobody has seen it.
pub(crate) async fn take_back(store: &Store, email: &str, name: &str) -> io::Result<()> {
    let (email, name) = (email.to_owned(), name.to_owned());
    let decide = move |rows: &dyn Rows| {
        let key = rows.key(&email, &name)?;
        Ok((key.map_or(Change::Nothing, |key| Change::DeleteKey(key.id)), ()))
    };
    Ok(store.change(decide).await?)
}

/// Removes a user with all keys. The keys go first, in transactions that keep nobody waiting.
pub(crate) async fn remove_user(store: &Store, email: &str) -> io::Result<()> {
    loop {
        let owner = email.to_owned();
        let mut is_removed = None;
        let decide = move |rows: &dyn Rows| {
            if rows.role(&owner)?.is_none() {
                // An earlier run of this decision may have been applied.
                return Ok((Change::Nothing, is_removed));
            }
            if rows.has_keys(&owner, CHUNK as u32)? {
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

/// Returns the first key of a user, and adds the user where there is none.
pub(crate) async fn first_key(
    store: &Store,
    email: &str,
    role: Role,
    now: Millis,
) -> io::Result<ApiKeyValue> {
    if let Some(key) = add_user(store, email, role, now).await? {
        return Ok(key);
    }
    let Some(key) = store.snapshot().key(email, FIRST_KEY)? else {
        let reason = format!("the first key of {email:?} was deleted from the database");
        return Err(io::Error::new(io::ErrorKind::NotFound, reason));
    };
    store.vault().decrypt(&key.encrypted, &key.lookup_hash)
}

fn new_key(
    store: &Store,
    email: &str,
    name: &str,
    now: Millis,
) -> io::Result<(ApiKeyValue, KeyRecord)> {
    let new = store.vault().generate()?;
    let key = KeyRecord {
        id: 0,
        owner: email.to_owned(),
        owners_role: Role::ReadOnly,
        name: name.to_owned(),
        lookup_hash: new.lookup_hash,
        encrypted: new.encrypted,
        identifier: new.value.identifier().to_owned(),
        role: None,
        created_at: now,
        created_by_key: None,
        expires_at: None,
        last_access: None,
        suspended: false,
    };
    Ok((new.value, key))
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason.into())
}

fn no_user(email: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("there is no user {email:?}"))
}
