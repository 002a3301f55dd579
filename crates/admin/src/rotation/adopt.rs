//! Creates a key, or takes the one that an earlier, ambiguous create has made.

use std::time::Instant;

use rockset_apikeys::jiff::{self, SignedDuration};
use rockset_apikeys::{ApiKey, Client, Error, KeyState, Timestamp};

use super::time::server_time;

/// A key to create, for [`create_or_adopt`].
#[derive(Clone, Debug)]
#[must_use]
pub struct NewKey {
    name: String,
    user: Option<String>,
    role: Option<String>,
    expiry_time: Option<Timestamp>,
    client_key: Option<String>,
}

impl NewKey {
    /// Makes a key of this name: of the caller's user, with all its roles, without an expiry time.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), user: None, role: None, expiry_time: None, client_key: None }
    }

    /// Sets the email address of the owner; defaults to the caller.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets the role; without it, the key has all roles of its owner.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// Sets when the key expires; by default it does not.
    pub fn expiry_time(mut self, time: impl Into<Timestamp>) -> Self {
        self.expiry_time = Some(time.into());
        self
    }

    /// Sets the name of the client's own key. A key that another one created is not adopted.
    pub fn client_key(mut self, name: impl Into<String>) -> Self {
        self.client_key = Some(name.into());
        self
    }

    /// Whether the key is the one that a create since this time has made.
    pub(super) fn fits(&self, key: &ApiKey, since: jiff::Timestamp) -> bool {
        let created_at = key.created_at.as_ref().and_then(Timestamp::to_jiff);
        let is_owner = self
            .user
            .as_ref()
            .is_none_or(|user| key.created_by.as_ref().is_some_and(|owner| owner == user));
        let is_creator = self.client_key.is_none() || key.created_by_apikey_name == self.client_key;
        key.role == self.role
            && millisecond(&key.expiry_time) == millisecond(&self.expiry_time)
            && key.state == Some(KeyState::Active)
            && created_at.is_some_and(|time| time >= since)
            && key.key.full_key().is_some()
            && is_owner
            && is_creator
    }
}

/// A server may keep no more of a time than its milliseconds.
fn millisecond(time: &Option<Timestamp>) -> Option<Result<i64, &str>> {
    let time = time.as_ref()?;
    Some(time.to_jiff().map(|instant| instant.as_millisecond()).ok_or_else(|| time.as_str()))
}

/// A key from [`create_or_adopt`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Created {
    /// The key, with its full value.
    pub key: ApiKey,
    /// Whether the create was ambiguous and the key was found by looking it up.
    pub is_adopted: bool,
}

/// Creates a key; after an ambiguous create, looks it up by name and takes it if it fits.
///
/// It fits if its role, its expiry time, its owner, and the key that created it are the ones asked
/// for, it is active, and the server created it during this call. Reveals the key to return its
/// full value.
///
/// # Errors
///
/// Fails as a create does. If no fitting key is found, the error is that of the create, and
/// [ambiguous](Error::is_ambiguous).
///
/// ```
/// use rockset_apikeys_admin::rotation::{NewKey, create_or_adopt};
/// use rockset_apikeys_server::{Fault, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::start().await?;
/// server.inject(Fault::drop_connection(), 1);
/// let created = create_or_adopt(&server.client(), &NewKey::new("my-app").role("member")).await?;
/// assert!(created.is_adopted && created.key.key.full_key().is_some());
/// # Ok(())
/// # }
/// ```
pub async fn create_or_adopt(client: &Client, new: &NewKey) -> Result<Created, Error> {
    let begin = Instant::now();
    let mut call = client.create_api_key(&new.name);
    if let Some(user) = &new.user {
        call = call.created_by(user);
    }
    if let Some(role) = &new.role {
        call = call.role(role);
    }
    if let Some(time) = &new.expiry_time {
        call = call.expiry_time(time.clone());
    }
    let error = match call.await {
        Ok(key) => return Ok(Created { key, is_adopted: false }),
        Err(error) if error.is_ambiguous() => error,
        Err(error) => return Err(error),
    };
    let mut lookup = client.get_api_key(&new.name).reveal(true);
    if let Some(user) = &new.user {
        lookup = lookup.user(user);
    }
    let Ok((key, report)) = lookup.with_report().await else { return Err(error) };
    // The server's clock at the beginning; the header that tells it has no fractions of a second.
    let elapsed = SignedDuration::try_from(begin.elapsed()).unwrap_or(SignedDuration::MAX);
    let since = server_time(&report)
        .checked_sub(elapsed + SignedDuration::from_secs(1))
        .unwrap_or(jiff::Timestamp::MIN);
    if new.fits(&key, since) { Ok(Created { key, is_adopted: true }) } else { Err(error) }
}
