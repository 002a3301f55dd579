//! The five operations: arguments in, a generated request out; the answer's envelope in, its value
//! out. How requests are sent is not known here.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use crate::error::Action;
use crate::transport::Call;
use crate::types::{CreateApiKeyRequest, UpdateApiKeyRequest};
use crate::{ApiKey, Client, Error, KeyState, PathSegment, Timestamp};

/// The user who owns the key that signs the request.
const SELF: &str = "self";

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

impl Client {
    /// Creates a key of this name that belongs to the user whose key signs the request.
    ///
    /// The answer is one of the two places where the full value can be read; the other is
    /// [`GetApiKey::reveal`].
    ///
    /// On the vendor's documentation page: `create_api_key`, `POST
    /// /v1/orgs/self/users/self/apikeys`.
    ///
    /// # Errors
    ///
    /// Fails with [`is_conflict`](Error::is_conflict) when the user has a key of that name, and is
    /// refused when the name is empty, `.` or `..`.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// let created = client.create_api_key("my-app").role("read-only").await?;
    /// let value: &str = created.key.expose_secret();
    /// # let _ = value;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Without async, with the feature `blocking`:
    ///
    /// ```no_run
    /// # #[cfg(feature = "blocking")]
    /// # fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// let created = client.create_api_key("my-app").role("read-only").send_blocking()?;
    /// # let _ = created;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_api_key(&self, name: impl Into<String>) -> CreateApiKey {
        CreateApiKey {
            client: self.clone(),
            timeout: None,
            name: name.into(),
            role: None,
            expiry_time: None,
            created_by: None,
        }
    }

    /// Lists a user's keys, oldest first, one's own unless [`user`](ListApiKeys::user) is given.
    /// Each has its identifier in place of its full value.
    ///
    /// On the vendor's documentation page: `list_api_keys`, `GET
    /// /v1/orgs/self/users/{user}/apikeys`.
    ///
    /// # Errors
    ///
    /// Fails with [`is_forbidden`](Error::is_forbidden) when another's keys are listed with a key
    /// that is no administrator's.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// for key in client.list_api_keys().user("admin@me.com").await? {
    ///     println!("{} {}", key.key.identifier(), key.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Without async, with the feature `blocking`:
    ///
    /// ```no_run
    /// # #[cfg(feature = "blocking")]
    /// # fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// let keys = client.list_api_keys().user("admin@me.com").send_blocking()?;
    /// # let _ = keys;
    /// # Ok(())
    /// # }
    /// ```
    pub fn list_api_keys(&self) -> ListApiKeys {
        ListApiKeys { client: self.clone(), timeout: None, user: SELF.to_owned() }
    }

    /// Retrieves the key of this name, with its identifier in place of its full value unless
    /// [`reveal`](GetApiKey::reveal) is given.
    ///
    /// On the vendor's documentation page: `get_api_key`, `GET
    /// /v1/orgs/self/users/{user}/apikeys/{name}`.
    ///
    /// # Errors
    ///
    /// Fails with [`is_not_found`](Error::is_not_found) when the user has no such key, and is
    /// refused when the name is empty, `.` or `..`.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// let key = client.get_api_key("my-app").reveal(true).await?;
    /// let value: &str = key.key.expose_secret();
    /// # let _ = value;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Without async, with the feature `blocking`:
    ///
    /// ```no_run
    /// # #[cfg(feature = "blocking")]
    /// # fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// let key = client.get_api_key("my-app").reveal(true).send_blocking()?;
    /// # let _ = key;
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_api_key(&self, name: impl Into<String>) -> GetApiKey {
        GetApiKey {
            client: self.clone(),
            timeout: None,
            name: name.into(),
            user: SELF.to_owned(),
            reveal: None,
        }
    }

    /// Updates the state or the expiry time of the key of this name; what is not given stays. The
    /// answer is the key as it is then.
    ///
    /// On the vendor's documentation page: `update_api_key`, `POST
    /// /v1/orgs/self/users/{user}/apikeys/{name}`.
    ///
    /// # Errors
    ///
    /// Fails with [`is_not_found`](Error::is_not_found) when the user has no such key, and is
    /// refused when the name is empty, `.` or `..`.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// use rockset_apikeys::KeyState;
    ///
    /// let key = client.update_api_key("my-app").state(KeyState::Suspended).await?;
    /// assert_eq!(key.state, Some(KeyState::Suspended));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Without async, with the feature `blocking`:
    ///
    /// ```no_run
    /// # #[cfg(feature = "blocking")]
    /// # fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// # use rockset_apikeys::KeyState;
    /// let key = client.update_api_key("my-app").state(KeyState::Suspended).send_blocking()?;
    /// # let _ = key;
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_api_key(&self, name: impl Into<String>) -> UpdateApiKey {
        UpdateApiKey {
            client: self.clone(),
            timeout: None,
            name: name.into(),
            user: SELF.to_owned(),
            changes: UpdateApiKeyRequest::default(),
        }
    }

    /// Deletes the key of this name for good. The answer is the key that was deleted.
    ///
    /// On the vendor's documentation page: `delete_api_key`, `DELETE
    /// /v1/orgs/self/users/{user}/apikeys/{name}`.
    ///
    /// # Errors
    ///
    /// Fails with [`is_not_found`](Error::is_not_found) when the user has no such key, and is
    /// refused when the name is empty, `.` or `..`.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// let gone = client.delete_api_key("my-app").user("admin@me.com").await?;
    /// println!("deleted {}", gone.key.identifier());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Without async, with the feature `blocking`:
    ///
    /// ```no_run
    /// # #[cfg(feature = "blocking")]
    /// # fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// let gone = client.delete_api_key("my-app").user("admin@me.com").send_blocking()?;
    /// # let _ = gone;
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete_api_key(&self, name: impl Into<String>) -> DeleteApiKey {
        DeleteApiKey {
            client: self.clone(),
            timeout: None,
            name: name.into(),
            user: SELF.to_owned(),
        }
    }

    fn call(
        &self,
        operation: &'static str,
        user: Option<&PathSegment>,
        name: Option<&PathSegment>,
        timeout: Option<Duration>,
    ) -> Call {
        let user = user.filter(|user| user.as_str() != SELF).cloned();
        Call::new(self.generated(), Action { operation, user, name: name.cloned() }, timeout)
    }
}

/// Refuses a name or a user that no URL can carry.
fn segment(operation: &str, what: &str, text: String) -> Result<PathSegment, Error> {
    PathSegment::try_from(text).map_err(|error| {
        Error::refused_because(format!("{operation}: the {what} cannot be used: {error}"), error)
    })
}

/// What every call has: a time limit of its own, and the two ways to make it.
macro_rules! call {
    ($operation:literal: $call:ident -> $value:ty) => {
        impl $call {
            const OPERATION: &'static str = $operation;

            /// The longest that this call may take, all its attempts and the waits between them
            /// included; the client's [`timeout`](crate::ClientBuilder::timeout) unless given.
            pub fn timeout(mut self, timeout: Duration) -> Self {
                self.timeout = Some(timeout);
                self
            }

            /// Makes this call without async: it blocks the thread until the call has ended.
            ///
            /// # Errors
            ///
            /// As when it is awaited. Code that an async runtime runs is refused, with nothing
            /// sent, as it would block the runtime; in `tokio::task::spawn_blocking` it may call
            /// this.
            #[cfg(feature = "blocking")]
            pub fn send_blocking(self) -> Result<$value, Error> {
                crate::blocking::wait(Self::OPERATION, self.into_future())
            }
        }

        impl IntoFuture for $call {
            type Output = Result<$value, Error>;
            type IntoFuture = Answer<$value>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.send())
            }
        }
    };
}

/// What a call has that is about a user's keys.
macro_rules! call_of_user {
    ($call:ident) => {
        impl $call {
            /// The e-mail address of the owner; `self`, for whoever owns the key that signs the
            /// request, unless given.
            pub fn user(mut self, user: impl Into<String>) -> Self {
                self.user = user.into();
                self
            }
        }
    };
}

call!("create_api_key": CreateApiKey -> ApiKey);
call!("list_api_keys": ListApiKeys -> Vec<ApiKey>);
call!("get_api_key": GetApiKey -> ApiKey);
call!("update_api_key": UpdateApiKey -> ApiKey);
call!("delete_api_key": DeleteApiKey -> ApiKey);

call_of_user!(ListApiKeys);
call_of_user!(GetApiKey);
call_of_user!(UpdateApiKey);
call_of_user!(DeleteApiKey);

/// A call of [`Client::create_api_key`], to be awaited or sent.
///
/// ```no_run
/// use std::time::Duration;
/// use rockset_apikeys::Timestamp;
///
/// # async fn example(client: rockset_apikeys::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let expiry: Timestamp = "2099-01-01T00:00:00Z".parse()?;
/// let call = client.create_api_key("my-app").role("read-only").expiry_time(expiry);
/// let created = call.created_by("dev@me.com").timeout(Duration::from_secs(5)).await?;
/// # let _ = created;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited or sent"]
pub struct CreateApiKey {
    client: Client,
    timeout: Option<Duration>,
    name: String,
    role: Option<String>,
    expiry_time: Option<Timestamp>,
    created_by: Option<String>,
}

impl CreateApiKey {
    /// The role that limits what the key may do, such as `read-only`. Without it the key has all
    /// roles of its owner.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// When the key stops working by itself. Without it the key never does. A later addition to
    /// the API, not on the documentation page.
    pub fn expiry_time(mut self, time: impl Into<Timestamp>) -> Self {
        self.expiry_time = Some(time.into());
        self
    }

    /// The e-mail address of the user on whose behalf the key is created. A later addition to the
    /// API, not on the documentation page.
    pub fn created_by(mut self, user: impl Into<String>) -> Self {
        self.created_by = Some(user.into());
        self
    }

    async fn send(self) -> Result<ApiKey, Error> {
        let name = segment(Self::OPERATION, "name", self.name)?;
        let call = self.client.call(Self::OPERATION, None, Some(&name), self.timeout);
        let request = call.generated().create_api_key().body(CreateApiKeyRequest {
            name,
            role: self.role,
            expiry_time: self.expiry_time,
            created_by: self.created_by,
        });
        Ok(call.run(request.send()).await?.data)
    }
}

/// A call of [`Client::list_api_keys`], to be awaited or sent.
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn example(client: rockset_apikeys::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let keys = client.list_api_keys().user("dev@me.com").timeout(Duration::from_secs(5)).await?;
/// # let _ = keys;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited or sent"]
pub struct ListApiKeys {
    client: Client,
    timeout: Option<Duration>,
    user: String,
}

impl ListApiKeys {
    async fn send(self) -> Result<Vec<ApiKey>, Error> {
        let user = segment(Self::OPERATION, "user", self.user)?;
        let call = self.client.call(Self::OPERATION, Some(&user), None, self.timeout);
        let request = call.generated().list_api_keys().user(user);
        Ok(call.run(request.send()).await?.data)
    }
}

/// A call of [`Client::get_api_key`], to be awaited or sent.
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn example(client: rockset_apikeys::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let call = client.get_api_key("my-app").user("dev@me.com").reveal(true);
/// let key = call.timeout(Duration::from_secs(5)).await?;
/// # let _ = key;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited or sent"]
pub struct GetApiKey {
    client: Client,
    timeout: Option<Duration>,
    name: String,
    user: String,
    reveal: Option<bool>,
}

impl GetApiKey {
    /// Whether to answer with the full value instead of the identifier.
    pub fn reveal(mut self, reveal: bool) -> Self {
        self.reveal = Some(reveal);
        self
    }

    async fn send(self) -> Result<ApiKey, Error> {
        let name = segment(Self::OPERATION, "name", self.name)?;
        let user = segment(Self::OPERATION, "user", self.user)?;
        let call = self.client.call(Self::OPERATION, Some(&user), Some(&name), self.timeout);
        let mut request = call.generated().get_api_key().user(user).name(name);
        if let Some(reveal) = self.reveal {
            request = request.reveal(reveal);
        }
        Ok(call.run(request.send()).await?.data)
    }
}

/// A call of [`Client::update_api_key`], to be awaited or sent.
///
/// ```no_run
/// use std::time::Duration;
/// use rockset_apikeys::KeyState;
///
/// # async fn example(client: rockset_apikeys::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let call = client.update_api_key("my-app").user("dev@me.com");
/// let call = call.state(KeyState::Active).clear_expiry_time(true);
/// let key = call.timeout(Duration::from_secs(5)).await?;
/// # let _ = key;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited or sent"]
pub struct UpdateApiKey {
    client: Client,
    timeout: Option<Duration>,
    name: String,
    user: String,
    changes: UpdateApiKeyRequest,
}

impl UpdateApiKey {
    /// The state that the key is to have.
    pub fn state(mut self, state: KeyState) -> Self {
        self.changes.state = Some(state);
        self
    }

    /// When the key is to stop working by itself. A later addition to the API, not on the
    /// documentation page.
    pub fn expiry_time(mut self, time: impl Into<Timestamp>) -> Self {
        self.changes.expiry_time = Some(time.into());
        self
    }

    /// Whether to remove the expiry time, so that the key never stops by itself. A later addition
    /// to the API, not on the documentation page.
    pub fn clear_expiry_time(mut self, clear: bool) -> Self {
        self.changes.clear_expiry_time = Some(clear);
        self
    }

    async fn send(self) -> Result<ApiKey, Error> {
        let name = segment(Self::OPERATION, "name", self.name)?;
        let user = segment(Self::OPERATION, "user", self.user)?;
        let call = self.client.call(Self::OPERATION, Some(&user), Some(&name), self.timeout);
        let request = call.generated().update_api_key().user(user).name(name).body(self.changes);
        Ok(call.run(request.send()).await?.data)
    }
}

/// A call of [`Client::delete_api_key`], to be awaited or sent.
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn example(client: rockset_apikeys::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let call = client.delete_api_key("my-app").user("dev@me.com");
/// let gone = call.timeout(Duration::from_secs(5)).await?;
/// # let _ = gone;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited or sent"]
pub struct DeleteApiKey {
    client: Client,
    timeout: Option<Duration>,
    name: String,
    user: String,
}

impl DeleteApiKey {
    async fn send(self) -> Result<ApiKey, Error> {
        let name = segment(Self::OPERATION, "name", self.name)?;
        let user = segment(Self::OPERATION, "user", self.user)?;
        let call = self.client.call(Self::OPERATION, Some(&user), Some(&name), self.timeout);
        let request = call.generated().delete_api_key().user(user).name(name);
        Ok(call.run(request.send()).await?.data)
    }
}
