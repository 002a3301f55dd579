//! Creates a key, or adopts the one that an ambiguous create made.

use std::time::Instant;

use rockset_apikeys::jiff::{self, SignedDuration};
use rockset_apikeys::{ApiKey, Client, Error, KeyState, Timestamp};

use crate::time::server_time;

/// A key to create, for [`create_or_adopt`].
#[derive(Clone, Debug)]
#[must_use]
pub struct NewKey {
    name: String,
    user: Option<String>,
    role: Option<String>,
    expiry_time: Option<Timestamp>,
    own_key_name: Option<String>,
}

impl NewKey {
    /// Creates a key with this name: owned by the caller, without a role or an expiry time.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), user: None, role: None, expiry_time: None, own_key_name: None }
    }

    /// Sets the email address of the owner; defaults to the caller.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets the role; defaults to all roles of the owner.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// Sets the expiry time; by default the key does not expire.
    pub fn expiry_time(mut self, time: impl Into<Timestamp>) -> Self {
        self.expiry_time = Some(time.into());
        self
    }

    /// Sets the name of the client's own key, so that keys created by other keys are not adopted.
    pub fn own_key_name(mut self, name: impl Into<String>) -> Self {
        self.own_key_name = Some(name.into());
        self
    }

    /// Returns true if a create since this time may have made the key.
    pub(super) fn fits(&self, key: &ApiKey, since: jiff::Timestamp) -> bool {
        let created_at = key.created_at.as_ref().and_then(Timestamp::to_jiff);
        let is_owner = self
            .user
            .as_ref()
            .is_none_or(|user| key.created_by.as_ref().is_some_and(|owner| owner == user));
        let is_creator =
            self.own_key_name.is_none() || key.created_by_apikey_name == self.own_key_name;
        key.role == self.role
            && millisecond(&key.expiry_time) == millisecond(&self.expiry_time)
            && key.state == Some(KeyState::Active)
            && created_at.is_some_and(|time| time >= since)
            && key.key.full_key().is_some()
            && is_owner
            && is_creator
    }
}

/// Servers may truncate timestamps to milliseconds.
fn millisecond(time: &Option<Timestamp>) -> Option<Result<i64, &str>> {
    let time = time.as_ref()?;
    Some(time.to_jiff().map(|instant| instant.as_millisecond()).ok_or_else(|| time.as_str()))
}

/// A key from [`create_or_adopt`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Created {
    /// The key with its full value.
    pub key: ApiKey,
    /// True if the create was ambiguous and a lookup found the key.
    pub adopted: bool,
}

/// Creates a key; after an ambiguous create, looks it up by name and adopts it.
///
/// The key is adopted only if its role, expiry time, owner and creator match, it is active, and the
/// server created it during this call. The lookup reveals the key to return its full value.
///
/// # Errors
///
/// Fails as a create does. If no matching key is found, returns the
/// [ambiguous](Error::is_ambiguous) error of the create.
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
/// assert!(created.adopted && created.key.key.full_key().is_some());
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
        Ok(key) => return Ok(Created { key, adopted: false }),
        Err(error) if error.is_ambiguous() => error,
        Err(error) => return Err(error),
    };
    let mut lookup = client.get_api_key(&new.name).reveal(true);
    if let Some(user) = &new.user {
        lookup = lookup.user(user);
    }
    let Ok((key, report)) = lookup.with_report().await else { return Err(error) };
    // The server's time when the call began. The `Date` header has no fractions of a second.
    let elapsed = SignedDuration::try_from(begin.elapsed()).unwrap_or(SignedDuration::MAX);
    let since = server_time(&report)
        .checked_sub(elapsed + SignedDuration::from_secs(1))
        .unwrap_or(jiff::Timestamp::MIN);
    if new.fits(&key, since) { Ok(Created { key, adopted: true }) } else { Err(error) }
}
