//! A server of Rockset's API-keys API, for tests of programs that call it.
//!
//! The hosted service was retired in 2024. A test starts this server in its own process and passes
//! the server's URL and a key to the program under test. Like the API, the server checks roles,
//! expiry and conflicts. It keeps its data in memory unless you set a database file.
//!
//! | To | Use |
//! | --- | --- |
//! | start a server | [`Server::start`], [`Server::start_blocking`], [`Server::builder`] |
//! | call it | [`Server::client`], or your own client with [`Server::url`] and a key |
//! | add users with other roles | [`ServerBuilder::user`], [`Server::client_for`], [`Server::key`] |
//! | make requests fail, wait, or lose their response | [`Server::inject`] with a [`Fault`] |
//! | expire keys without waiting | [`ServerBuilder::clock`] with a [`Clock`] |
//! | reach a limit | [`ServerBuilder::rate_limit`], [`ServerBuilder::max_keys_per_user`] |
//!
//! Disable the default features in tests: the feature `cli` adds the program with its arguments,
//! log and TLS. The README describes the program.
//!
//! # Async tests
//!
//! ```
//! use rockset_apikeys::{ErrorKind, StatusCode};
//! use rockset_apikeys_server::{Role, Server};
//!
//! #[tokio::main] // in a test: #[tokio::test]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let server = Server::builder().user("dev@me.com", Role::ReadOnly).start().await?;
//!     server.client().create_api_key("my-app").await?;
//!
//!     let client = server.client_for("dev@me.com").ok_or("no such user")?;
//!     assert_eq!(client.list_api_keys().await?.len(), 1);
//!     let error = client.create_api_key("my-app").await.unwrap_err();
//!     assert_eq!(error.kind(), ErrorKind::Response(StatusCode::FORBIDDEN));
//!     Ok(())
//! }
//! ```
//!
//! # Blocking tests
//!
//! [`Server::start_blocking`] needs no tokio runtime: the server runs on its own thread.
//!
//! ```
//! use rockset_apikeys_server::Server;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let server = Server::start_blocking()?;
//!     let client = server.client();
//!
//!     client.create_api_key("my-app").send_blocking()?;
//!     assert_eq!(client.list_api_keys().send_blocking()?.len(), 2);
//!     Ok(())
//! }
//! ```
//!
//! # Fault injection
//!
//! ```
//! use rockset_apikeys_server::{Fault, Server};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let server = Server::start().await?;
//!     let client = server.client();
//!
//!     // The server creates the key, but the client gets a gateway's error.
//!     server.inject(Fault::status_after_handling(502), 1);
//!     let error = client.create_api_key("my-app").await.unwrap_err();
//!     assert!(error.is_ambiguous());
//!     assert_eq!(client.get_api_key("my-app").await?.name, "my-app");
//!     Ok(())
//! }
//! ```
//!
//! # Expiry
//!
//! ```
//! use jiff::SignedDuration;
//! use rockset_apikeys::KeyState;
//! use rockset_apikeys_server::{Clock, Server};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let clock = Clock::at("2030-01-01T00:00:00Z".parse()?);
//!     let server = Server::builder().clock(&clock).start().await?;
//!     let client = server.client();
//!
//!     let expiry = clock.now() + SignedDuration::from_hours(1);
//!     client.create_api_key("short-lived").expiry_time(expiry).await?;
//!     clock.advance(SignedDuration::from_hours(2));
//!     let key = client.get_api_key("short-lived").await?;
//!     assert_eq!(key.state, Some(KeyState::Suspended));
//!     Ok(())
//! }
//! ```
//!
//! Times are [`jiff::Timestamp`]s and [`jiff::SignedDuration`]s; keys are
//! [`rockset_apikeys::ApiKeyValue`]s.

#![cfg_attr(
    not(feature = "cli"),
    expect(dead_code, reason = "only the CLI issues keys and removes users")
)]

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod error;
mod faults;
mod http;
mod listen;
mod permission;
mod private_file;
mod record;
mod service;
mod store;
mod time;
mod users;
mod vault;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use rockset_apikeys::{ApiKeyValue, Client};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::oneshot;

use faults::Faults;
use http::RequestLimits;
use listen::Limits;
use service::Service;
use store::{Location, Store};

pub use faults::Fault;
pub use permission::{ParseRoleError, Role};
pub use time::Clock;

/// The e-mail address of every server's administrator.
pub const ADMIN: &str = "admin@me.com";

const IN_MEMORY: &str = "sqlite::memory:";

/// A running server, which stops when this is dropped.
///
/// Requests in flight then have one second to finish. Dropping a server that was started by
/// [`start_blocking`](Self::start_blocking) waits until it has stopped.
#[derive(Debug)]
pub struct Server {
    url: String,
    admin: User,
    /// The users added with [`ServerBuilder::user`].
    others: Vec<User>,
    faults: Arc<Faults>,
    /// Dropping this stops the server.
    stop: Option<oneshot::Sender<()>>,
    /// The server's thread after [`start_blocking`](Self::start_blocking).
    thread: Option<JoinHandle<()>>,
}

/// A user's first key, and a client with that key.
#[derive(Debug)]
struct User {
    email: String,
    key: ApiKeyValue,
    client: Client,
}

impl Server {
    /// Starts a server on a free loopback port, with [`ADMIN`] as its only user.
    ///
    /// # Errors
    ///
    /// Fails if no port is available.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts a server like [`start`](Self::start), but on its own thread.
    ///
    /// See [`ServerBuilder::start_blocking`].
    ///
    /// # Errors
    ///
    /// Fails if no port or no thread is available.
    pub fn start_blocking() -> io::Result<Self> {
        Self::builder().start_blocking()
    }

    /// Returns a builder with the default settings.
    ///
    /// They are an in-memory database, a free loopback port, and no limits.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            database: IN_MEMORY.to_owned(),
            clock: Clock::default(),
            rate_limit: None,
            auth_failure_limit: None,
            max_keys_per_user: None,
            users: Vec::new(),
        }
    }

    /// Returns the URL of the API server, for example `http://127.0.0.1:43121`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns a client with the first key of [`ADMIN`].
    ///
    /// It has the default settings, including retries. For other settings, build a client with
    /// [`url`](Self::url) and [`admin_key`](Self::admin_key).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rockset_apikeys_server::Server;
    ///
    /// let server = Server::start().await?;
    /// server.client().create_api_key("my-app").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn client(&self) -> Client {
        self.admin.client.clone()
    }

    /// Returns a client with a user's first key.
    ///
    /// Returns `None` if the user is neither [`ADMIN`] nor added with [`ServerBuilder::user`].
    pub fn client_for(&self, user: &str) -> Option<Client> {
        self.user(user).map(|user| user.client.clone())
    }

    /// Returns the first key of [`ADMIN`], which has the role `admin`.
    pub fn admin_key(&self) -> &ApiKeyValue {
        &self.admin.key
    }

    /// Returns a user's first key, which has the user's full role.
    ///
    /// Returns `None` if the user is neither [`ADMIN`] nor added with [`ServerBuilder::user`].
    pub fn key(&self, user: &str) -> Option<&ApiKeyValue> {
        self.user(user).map(|user| &user.key)
    }

    /// Injects a fault into the next `responses` responses.
    ///
    /// Pending faults are applied in the order in which they were injected.
    ///
    /// ```
    /// use rockset_apikeys_server::{Fault, Server};
    ///
    /// #[tokio::main]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let server = Server::start().await?;
    ///     let client = server.client();
    ///
    ///     server.inject(Fault::status(503), 1);
    ///     assert!(client.create_api_key("my-app").await.is_err());
    ///     assert!(client.create_api_key("my-app").await.is_ok());
    ///     Ok(())
    /// }
    /// ```
    pub fn inject(&self, fault: Fault, responses: usize) {
        self.faults.add(fault, responses);
    }

    /// Removes all pending faults.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    fn user(&self, email: &str) -> Option<&User> {
        std::iter::once(&self.admin).chain(&self.others).find(|user| user.email == email)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The settings of a [`Server`], created by [`Server::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ServerBuilder {
    listen: SocketAddr,
    database: String,
    clock: Clock,
    rate_limit: Option<NonZeroU32>,
    auth_failure_limit: Option<NonZeroU32>,
    max_keys_per_user: Option<NonZeroU32>,
    users: Vec<(String, Role)>,
}

impl ServerBuilder {
    /// Sets the address to listen on; defaults to a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Sets the database, for example `sqlite:keys.db`; defaults to in memory.
    ///
    /// A missing file is created, together with a file for the master key that encrypts its keys.
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.database = url.into();
        self
    }

    /// Sets the clock for expiry and the `Date` header; defaults to the system clock.
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// Limits the requests per key per second; defaults to no limit.
    ///
    /// Further requests get 429.
    pub fn rate_limit(mut self, requests: NonZeroU32) -> Self {
        self.rate_limit = Some(requests);
        self
    }

    /// Limits the failed authentications per address per minute; defaults to no limit.
    ///
    /// Further ones get 429 instead of 401; requests with a valid key still succeed.
    pub fn auth_failure_limit(mut self, requests: NonZeroU32) -> Self {
        self.auth_failure_limit = Some(requests);
        self
    }

    /// Limits the keys per user; defaults to no limit.
    ///
    /// Creating another key gets 403.
    pub fn max_keys_per_user(mut self, keys: NonZeroU32) -> Self {
        self.max_keys_per_user = Some(keys);
        self
    }

    /// Adds a user. The role limits what all keys of the user may do.
    pub fn user(mut self, email: impl Into<String>, role: Role) -> Self {
        self.users.push((email.into(), role));
        self
    }

    /// Starts the server on the current tokio runtime.
    ///
    /// A call that blocks the runtime's only thread also blocks the server, and so times out. Use
    /// [`start_blocking`](Self::start_blocking) in blocking programs.
    ///
    /// # Errors
    ///
    /// Fails if
    ///
    /// - the address is not available;
    /// - a user is added twice, or has an invalid e-mail address: one that cannot be a path segment,
    ///   is not printable, or differs from another user's only by case;
    /// - the database cannot be opened, was written with another master key, or no longer contains
    ///   the first key of one of the users.
    pub async fn start(self) -> io::Result<Server> {
        let (server, serve) = self.prepare().await?;
        tokio::spawn(serve);
        Ok(server)
    }

    /// Starts the server on its own thread, for tests of blocking programs.
    ///
    /// This needs no tokio runtime, and the server responds while the program blocks. Starting and
    /// dropping it block the current thread, for milliseconds unless requests are in flight.
    ///
    /// # Errors
    ///
    /// Fails like [`start`](Self::start), and if no thread is available.
    pub fn start_blocking(self) -> io::Result<Server> {
        let (sender, started) = mpsc::channel();
        let thread = thread::Builder::new().name("rockset-server".to_owned()).spawn(move || {
            if let Err(error) = self.run(&sender) {
                let _ = sender.send(Err(error));
            }
        })?;
        let panicked = |_| io::Error::other("the server's thread panicked");
        let mut server = started.recv().map_err(panicked)??;
        server.thread = Some(thread);
        Ok(server)
    }

    /// Sends the server when it is ready, then serves until it is dropped.
    fn run(self, started: &mpsc::Sender<io::Result<Server>>) -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (server, serve) = self.prepare().await?;
            let _ = started.send(Ok(server));
            serve.await;
            Ok(())
        })
    }

    /// Returns the server, and a future that serves until the server is dropped.
    async fn prepare(self) -> io::Result<(Server, impl Future<Output = ()> + Send + 'static)> {
        let mut seen = HashSet::from([ADMIN]);
        for (email, _) in &self.users {
            if !seen.insert(email) {
                let reason = format!("the user {email:?} is added twice");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
            }
        }
        let location = Location { url: self.database, master_key: None, may_create: true };
        let store = Store::open(location)?;
        let now = self.clock.now().into();
        let admin_key = users::first_key(&store, ADMIN, Role::Admin, now).await?;
        let mut keys = Vec::with_capacity(self.users.len());
        for (email, role) in self.users {
            let key = users::first_key(&store, &email, role, now).await?;
            keys.push((email, key));
        }
        let service = Service::start(store, self.clock.clone(), self.max_keys_per_user);
        let listener = TcpListener::bind(self.listen).await?;
        let url = format!("http://{}", client_address(listener.local_addr()?));
        let user = |(email, key)| User::new(email, key, &url);
        let admin = user((ADMIN.to_owned(), admin_key))?;
        let others = keys.into_iter().map(user).collect::<io::Result<_>>()?;
        let faults = Arc::<Faults>::default();
        let limits = RequestLimits {
            rate_limit: self.rate_limit,
            auth_failure_limit: self.auth_failure_limit,
        };
        let router = http::router(Arc::clone(&service), Arc::clone(&faults), limits);
        let router = http::dated(router, self.clock);
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = async move {
            let stopped = async {
                // Completes when the server, and with it the sender, is dropped.
                let _ = stopped.await;
            };
            listen::serve(listener, listen::plain, router, Limits::default(), stopped).await;
            if let Err(error) = service.close().await {
                tracing::error!(%error, "cannot close the database");
            }
        };
        Ok((Server { url, admin, others, faults, stop: Some(stop), thread: None }, serve))
    }
}

/// Returns the address for local clients of a server that listens on `address`.
fn client_address(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl User {
    fn new(email: String, key: ApiKeyValue, url: &str) -> io::Result<Self> {
        // The server may listen on an address other than loopback.
        let client = Client::builder().api_server(url).api_key(key.clone()).allow_http(true);
        let client = client.build().map_err(io::Error::other)?;
        Ok(Self { email, key, client })
    }
}

/// Runs the README's code as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
