//! The five operations: each creates a generated request from its arguments, and returns the
//! response's value. [`Call`] contains the common setters; `call` runs the attempts.
//!
//! `cargo xtask regen` checks this file against the contract: it requires a method per operation,
//! and an argument or a setter per parameter and body field.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::mem;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use crate::call::report::CallReport;
use crate::call::retry::RetryPolicy;
use crate::call::{self, Attempt, Options, Subject, Success};
use crate::client::Client;
use crate::error::Error;
use crate::generated::enums::KeyState;
use crate::generated::operations;
use crate::generated::types::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, DeleteApiKeyResponse, GetApiKeyResponse,
    ListApiKeysResponse, UpdateApiKeyRequest, UpdateApiKeyResponse, builder,
};
use crate::generated::{Client as Generated, DEFAULT_USER};
use crate::settings;
use crate::values::Timestamp;
use crate::wire;
use crate::wire::runtime::Operation;

/// A request that is sent when awaited.
///
/// Dropping its future cancels the call and closes its connection.
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
/// let call = client.get_api_key("my-app").user("dev@me.com").reveal(true);
/// let key = call.timeout(Duration::from_secs(5)).await?;
/// # let _ = key;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited or sent"]
pub struct Call<R> {
    client: Client,
    options: Options,
    request: R,
}

impl<R: Request> Call<R> {
    /// Sets the timeout of this call, including all attempts and waits.
    ///
    /// Defaults to the client's [`timeout`](crate::ClientBuilder::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Sets the retry policy of this call.
    ///
    /// Defaults to the client's [`retry_policy`](crate::ClientBuilder::retry_policy).
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.options.retry_policy = Some(policy);
        self
    }

    /// Adds a header to the requests of this call.
    ///
    /// It overrides a [default header](crate::ClientBuilder::default_header) of the same name.
    /// Invalid headers and headers that the client sets itself are rejected before sending.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        match settings::header("`header`", name.as_ref(), value.as_ref()) {
            Ok((name, value)) => {
                self.options.headers.insert(name, value);
            }
            Err(reason) => self.options.invalid = Some(reason),
        }
        self
    }

    /// Also returns the call report: status, headers, trace ID, attempts and duration.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// let (key, report) = client.get_api_key("my-app").with_report().await?;
    /// println!("{}: {:?}, trace ID {:?}", key.name, report.elapsed(), report.trace_id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_report(self) -> Call<WithReport<R>> {
        Call { client: self.client, options: self.options, request: WithReport(self.request) }
    }

    /// Sends the request, as awaiting the call does.
    ///
    /// # Errors
    ///
    /// See the operation's method of [`Client`].
    pub fn send(self) -> <Self as IntoFuture>::IntoFuture {
        self.into_future()
    }

    /// Sends the request without async and blocks until the call finishes.
    ///
    /// # Errors
    ///
    /// Fails as an awaited call does, and is rejected before sending:
    ///
    /// - in async code, where it would block the runtime; use `tokio::task::spawn_blocking`. The
    ///   runtimes of tokio and of `futures::executor` are recognized; other runtimes (smol, for
    ///   example) look like plain threads;
    /// - in the destructor of a thread-local value, while its thread ends;
    /// - in a process that was forked after a blocking call.
    ///
    /// ```no_run
    /// # fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// let created = client.create_api_key("my-app").role("read-only").send_blocking()?;
    /// println!("created {}", created.key.identifier());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Tests of blocking programs
    ///
    /// Start the server without async, in an ordinary `#[test]`. It runs on a separate thread:
    ///
    /// ```
    /// use rockset_apikeys_server::Server;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::start_blocking()?;
    /// let client = server.client();
    ///
    /// client.create_api_key("my-app").send_blocking()?;
    /// assert_eq!(client.list_api_keys().send_blocking()?.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// In a `#[tokio::test]`, use `spawn_blocking` and await it:
    ///
    /// ```
    /// # use rockset_apikeys_server::Server;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::start().await?;
    /// let client = server.client();
    ///
    /// let calls = move || client.create_api_key("my-app").send_blocking();
    /// let created = tokio::task::spawn_blocking(calls).await??;
    /// assert_eq!(created.name, "my-app");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "blocking")]
    pub fn send_blocking(self) -> Result<R::Output, Error> {
        crate::blocking::wait(R::OPERATION, self.into_future())
    }
}

impl<R: Request> IntoFuture for Call<R> {
    type Output = Result<R::Output, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { client, options, request } = &self;
            let with_headers = (!options.headers.is_empty()).then(|| client.with_headers(options));
            let client = with_headers.as_ref().unwrap_or(client);
            let send = || request.send(client.generated());
            let (defaults, subject) = (client.defaults(), request.subject());
            let success = call::run(defaults, R::OPERATION, subject, options, send);
            Ok(R::output(success.await?, client))
        })
    }
}

/// A request of one operation, as a bound for code that is generic over calls.
///
/// This crate implements it for each operation; other crates cannot.
///
/// ```
/// use std::time::Duration;
///
/// use rockset_apikeys::{Call, Error, Request};
///
/// async fn quick<R: Request>(call: Call<R>) -> Result<R::Output, Error> {
///     call.timeout(Duration::from_secs(1)).await
/// }
/// ```
pub trait Request: Send + Sync + Sized + 'static {
    /// The value that the call returns.
    type Output: Send + 'static;

    #[doc(hidden)]
    type Body: Send;
    #[doc(hidden)]
    const OPERATION: &'static Operation;

    /// Returns the key's name and owner, for the error message.
    #[doc(hidden)]
    fn subject(&self) -> Subject<'_>;

    /// Creates and sends the generated request, for one attempt.
    #[doc(hidden)]
    fn send<'a>(
        &'a self,
        client: &'a Generated,
    ) -> impl Future<Output = Attempt<Self::Body>> + Send;

    #[doc(hidden)]
    fn output(success: Success<Self::Body>, client: &Client) -> Self::Output;
}

/// A request whose output includes the call report, from [`Call::with_report`].
#[derive(Clone, Debug)]
pub struct WithReport<R>(R);

impl<R: Request> Request for WithReport<R> {
    type Body = R::Body;
    type Output = (R::Output, CallReport);
    const OPERATION: &'static Operation = R::OPERATION;

    fn subject(&self) -> Subject<'_> {
        self.0.subject()
    }

    fn send<'a>(&'a self, client: &'a Generated) -> impl Future<Output = Attempt<R::Body>> {
        self.0.send(client)
    }

    fn output(success: Success<R::Body>, client: &Client) -> Self::Output {
        let report = success.report(client.defaults());
        (R::output(success, client), report)
    }
}

impl Client {
    fn call<R>(&self, request: R) -> Call<R> {
        Call { client: self.clone(), options: Options::default(), request }
    }

    /// Creates an API key for the authenticated user.
    ///
    /// The response contains the full key; later, only [`reveal`](Call::<GetApiKey>::reveal)
    /// returns it.
    ///
    /// Documentation page: `create_api_key`, `POST /v1/orgs/self/users/self/apikeys`.
    ///
    /// # Errors
    ///
    /// Fails with [`is_conflict`](Error::is_conflict) if the user already has a key of that name.
    /// The names `""`, `.` and `..` are rejected before sending.
    ///
    /// ```no_run
    /// # use rockset_apikeys::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use rockset_apikeys::Timestamp;
    ///
    /// let expiry: Timestamp = "2099-01-01T00:00:00Z".parse()?;
    /// let call = client.create_api_key("my-app").role("read-only").expiry_time(expiry);
    /// let created = call.created_by("dev@me.com").await?;
    /// let value: &str = created.key.expose_secret();
    /// # let _ = value;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_api_key(&self, name: impl Into<String>) -> Call<CreateApiKey> {
        let name = name.into();
        // Later requests could not name the key in their URLs.
        let invalid = wire::check_segment("name", &name).err();
        let mut call = self.call(CreateApiKey { name, body: CreateApiKeyRequest::builder() });
        call.options.invalid = invalid;
        call
    }

    /// Lists a user's API keys, oldest first.
    ///
    /// The user defaults to the authenticated one. The response contains identifiers instead of
    /// full keys.
    ///
    /// Documentation page: `list_api_keys`, `GET /v1/orgs/self/users/{user}/apikeys`.
    ///
    /// # Errors
    ///
    /// Fails with status 403 for another user's keys, unless the client's key is an
    /// administrator's.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// for key in client.list_api_keys().user("admin@me.com").await? {
    ///     println!("{} {}", key.key.identifier(), key.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn list_api_keys(&self) -> Call<ListApiKeys> {
        self.call(ListApiKeys { user: DEFAULT_USER.into() })
    }

    /// Retrieves an API key.
    ///
    /// The response contains the identifier instead of the full key, unless
    /// [`reveal`](Call::<GetApiKey>::reveal) is set.
    ///
    /// Documentation page: `get_api_key`, `GET /v1/orgs/self/users/{user}/apikeys/{name}`.
    ///
    /// # Errors
    ///
    /// Fails with [`is_not_found`](Error::is_not_found) if the user has no key of that name. The
    /// names `""`, `.` and `..` are rejected before sending.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// let key = client.get_api_key("my-app").reveal(true).await?;
    /// let value: &str = key.key.expose_secret();
    /// # let _ = value;
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_api_key(&self, name: impl Into<String>) -> Call<GetApiKey> {
        self.call(GetApiKey { user: DEFAULT_USER.into(), name: name.into(), reveal: None })
    }

    /// Updates the state or the expiry time of an API key.
    ///
    /// Fields that are not set keep their values. The response is the key after the update.
    ///
    /// Documentation page: `update_api_key`, `POST /v1/orgs/self/users/{user}/apikeys/{name}`.
    ///
    /// # Errors
    ///
    /// Fails as [`get_api_key`](Self::get_api_key) does, and with
    /// [`is_conflict`](Error::is_conflict) on an attempt to activate an expired key.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// use rockset_apikeys::KeyState;
    ///
    /// let call = client.update_api_key("my-app").user("dev@me.com");
    /// let key = call.state(KeyState::Active).clear_expiry_time(true).await?;
    /// assert_eq!(key.state, Some(KeyState::Active));
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_api_key(&self, name: impl Into<String>) -> Call<UpdateApiKey> {
        let body = UpdateApiKeyRequest::default();
        self.call(UpdateApiKey { user: DEFAULT_USER.into(), name: name.into(), body })
    }

    /// Deletes an API key permanently and returns it.
    ///
    /// Documentation page: `delete_api_key`, `DELETE /v1/orgs/self/users/{user}/apikeys/{name}`.
    ///
    /// # Errors
    ///
    /// Fails as [`get_api_key`](Self::get_api_key) does.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// let deleted = client.delete_api_key("my-app").user("admin@me.com").await?;
    /// println!("deleted {}", deleted.key.identifier());
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete_api_key(&self, name: impl Into<String>) -> Call<DeleteApiKey> {
        self.call(DeleteApiKey { user: DEFAULT_USER.into(), name: name.into() })
    }
}

/// Returns the key's name and owner for error messages. The caller is not named as the owner.
fn subject<'a>(user: &'a str, name: Option<&'a str>) -> Subject<'a> {
    Subject { name, user: Some(user).filter(|user| *user != DEFAULT_USER) }
}

impl<R: Expiring> Call<R> {
    /// Sets when the key expires: this long from now, by the local system clock.
    ///
    /// Timestamps after the year 9999 are rejected before sending.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    ///
    /// let created = client.create_api_key("my-app").expires_in(90 * DAY).await?;
    /// # let _ = created;
    /// # Ok(())
    /// # }
    /// ```
    pub fn expires_in(self, duration: Duration) -> Self {
        self.expires_at(jiff::Timestamp::now().checked_add(duration).map(Timestamp::from))
    }

    fn expires_at(mut self, time: Result<Timestamp, impl fmt::Display>) -> Self {
        let time = time.map_err(|error| error.to_string());
        // Timestamps from a server may be malformed; those are not sent back.
        let valid = time
            .and_then(|time| Timestamp::from_str(time.as_str()).map_err(|error| error.to_string()));
        match valid {
            Ok(time) => self.request.set_expiry_time(time),
            Err(reason) => {
                self.options.invalid = Some(format!("cannot set the expiry time: {reason}"));
            }
        }
        self
    }
}

/// A request that sets when a key expires.
pub trait Expiring: Request {
    fn set_expiry_time(&mut self, time: Timestamp);
}

/// The request of [`Client::create_api_key`].
#[derive(Clone, Debug)]
pub struct CreateApiKey {
    name: String,
    body: builder::CreateApiKeyRequest,
}

impl Call<CreateApiKey> {
    /// Sets the role that limits the key's permissions (for example, `read-only`).
    ///
    /// Without it, the key has all roles of its owner.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.request.body = self.request.body.role(Some(role.into()));
        self
    }

    /// Sets when the key expires; by default it does not.
    ///
    /// Accepts an RFC 3339 string (`2030-01-01T00:00:00Z`), a `SystemTime`, a `jiff::Timestamp`, or
    /// a [`Timestamp`]. Invalid timestamps are rejected before sending.
    ///
    /// Not on the documentation page: a later addition to the API.
    pub fn expiry_time<T>(self, time: T) -> Self
    where
        T: TryInto<Timestamp>,
        T::Error: fmt::Display,
    {
        self.expires_at(time.try_into())
    }

    /// Sets the email address of the user for whom the key is created.
    ///
    /// Not on the documentation page: a later addition to the API.
    pub fn created_by(mut self, user: impl Into<String>) -> Self {
        self.request.body = self.request.body.created_by(Some(user.into()));
        self
    }
}

impl Expiring for CreateApiKey {
    fn set_expiry_time(&mut self, time: Timestamp) {
        self.body = mem::take(&mut self.body).expiry_time(Some(time));
    }
}

impl Request for CreateApiKey {
    type Body = CreateApiKeyResponse;
    type Output = ApiKey;
    const OPERATION: &'static Operation = &operations::CREATE_API_KEY;

    fn subject(&self) -> Subject<'_> {
        Subject { name: Some(&self.name), user: None }
    }

    fn send<'a>(&'a self, client: &'a Generated) -> impl Future<Output = Attempt<Self::Body>> {
        client.create_api_key().body(self.body.clone().name(&self.name)).send()
    }

    fn output(success: Success<Self::Body>, _: &Client) -> Self::Output {
        success.response.into_inner().data
    }
}

/// The request of [`Client::list_api_keys`].
#[derive(Clone, Debug)]
pub struct ListApiKeys {
    user: Cow<'static, str>,
}

impl Call<ListApiKeys> {
    /// Sets the owner's email address; defaults to `self`, the authenticated user.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.request.user = Cow::Owned(user.into());
        self
    }
}

impl Request for ListApiKeys {
    type Body = ListApiKeysResponse;
    type Output = Vec<ApiKey>;
    const OPERATION: &'static Operation = &operations::LIST_API_KEYS;

    fn subject(&self) -> Subject<'_> {
        subject(&self.user, None)
    }

    fn send<'a>(&'a self, client: &'a Generated) -> impl Future<Output = Attempt<Self::Body>> {
        client.list_api_keys().user(&*self.user).send()
    }

    fn output(success: Success<Self::Body>, _: &Client) -> Self::Output {
        success.response.into_inner().data
    }
}

/// The request of [`Client::get_api_key`].
#[derive(Clone, Debug)]
pub struct GetApiKey {
    user: Cow<'static, str>,
    name: String,
    reveal: Option<bool>,
}

impl Call<GetApiKey> {
    /// Sets the owner's email address; defaults to `self`, the authenticated user.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.request.user = Cow::Owned(user.into());
        self
    }

    /// Sets whether the response contains the full key instead of the identifier.
    pub fn reveal(mut self, reveal: bool) -> Self {
        self.request.reveal = Some(reveal);
        self
    }
}

impl Request for GetApiKey {
    type Body = GetApiKeyResponse;
    type Output = ApiKey;
    const OPERATION: &'static Operation = &operations::GET_API_KEY;

    fn subject(&self) -> Subject<'_> {
        subject(&self.user, Some(&self.name))
    }

    fn send<'a>(&'a self, client: &'a Generated) -> impl Future<Output = Attempt<Self::Body>> {
        let request = client.get_api_key().user(&*self.user).name(&self.name);
        match self.reveal {
            Some(reveal) => request.reveal(reveal).send(),
            None => request.send(),
        }
    }

    fn output(success: Success<Self::Body>, _: &Client) -> Self::Output {
        success.response.into_inner().data
    }
}

/// The request of [`Client::update_api_key`].
#[derive(Clone, Debug)]
pub struct UpdateApiKey {
    user: Cow<'static, str>,
    name: String,
    body: UpdateApiKeyRequest,
}

impl Call<UpdateApiKey> {
    /// Sets the owner's email address; defaults to `self`, the authenticated user.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.request.user = Cow::Owned(user.into());
        self
    }

    /// Sets the key's state.
    pub fn state(mut self, state: KeyState) -> Self {
        self.request.body.state = Some(state);
        self
    }

    /// Sets when the key expires.
    ///
    /// Accepts an RFC 3339 string (`2030-01-01T00:00:00Z`), a `SystemTime`, a `jiff::Timestamp`, or
    /// a [`Timestamp`]. Invalid timestamps are rejected before sending.
    ///
    /// Not on the documentation page: a later addition to the API.
    pub fn expiry_time<T>(self, time: T) -> Self
    where
        T: TryInto<Timestamp>,
        T::Error: fmt::Display,
    {
        self.expires_at(time.try_into())
    }

    /// Sets whether to remove the expiry time, so that the key does not expire.
    ///
    /// Not on the documentation page: a later addition to the API.
    pub fn clear_expiry_time(mut self, clear: bool) -> Self {
        self.request.body.clear_expiry_time = Some(clear);
        self
    }
}

impl Expiring for UpdateApiKey {
    fn set_expiry_time(&mut self, time: Timestamp) {
        self.body.expiry_time = Some(time);
    }
}

impl Request for UpdateApiKey {
    type Body = UpdateApiKeyResponse;
    type Output = ApiKey;
    const OPERATION: &'static Operation = &operations::UPDATE_API_KEY;

    fn subject(&self) -> Subject<'_> {
        subject(&self.user, Some(&self.name))
    }

    fn send<'a>(&'a self, client: &'a Generated) -> impl Future<Output = Attempt<Self::Body>> {
        let request = client.update_api_key().user(&*self.user).name(&self.name);
        request.body(self.body.clone()).send()
    }

    fn output(success: Success<Self::Body>, _: &Client) -> Self::Output {
        success.response.into_inner().data
    }
}

/// The request of [`Client::delete_api_key`].
#[derive(Clone, Debug)]
pub struct DeleteApiKey {
    user: Cow<'static, str>,
    name: String,
}

impl Call<DeleteApiKey> {
    /// Sets the owner's email address; defaults to `self`, the authenticated user.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.request.user = Cow::Owned(user.into());
        self
    }
}

impl Request for DeleteApiKey {
    type Body = DeleteApiKeyResponse;
    type Output = ApiKey;
    const OPERATION: &'static Operation = &operations::DELETE_API_KEY;

    fn subject(&self) -> Subject<'_> {
        subject(&self.user, Some(&self.name))
    }

    fn send<'a>(&'a self, client: &'a Generated) -> impl Future<Output = Attempt<Self::Body>> {
        client.delete_api_key().user(&*self.user).name(&self.name).send()
    }

    fn output(success: Success<Self::Body>, _: &Client) -> Self::Output {
        success.response.into_inner().data
    }
}
