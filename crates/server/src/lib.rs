//! A server of Rockset's API-keys API, for tests of programs that call it.
//!
//! The hosted service was retired in 2024. A test starts this server in its own process and gives
//! the program under test the server's URL and a key. The server checks roles, expiry and conflicts
//! as the API does, and keeps its data in memory unless a file is given.
//!
//! | To | Use |
//! | --- | --- |
//! | start a server | [`Server::start`], [`Server::start_blocking`], [`Server::builder`] |
//! | call it | [`Server::client`], or a client of your own with [`Server::url`] and a key |
//! | add users with other roles | [`ServerBuilder::user`], [`Server::client_for`], [`Server::key`] |
//! | make requests fail, wait, or lose their response | [`Server::inject`] with a [`Fault`] |
//! | let keys expire without waiting | [`ServerBuilder::clock`] with a [`Clock`] |
//! | reach a limit | [`ServerBuilder::rate_limit`], [`ServerBuilder::keys_per_user`] |
//!
//! Depend on it without default features: the feature `cli`, which is on by default, is the program
//! with its command line, log and TLS, and no test needs it. The README describes the program.
//!
//! # An async test
//!
//! ```
//! use rockset_apikeys_server::{Role, Server};
//!
//! #[tokio::main] // in a test: #[tokio::test]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let server = Server::builder().user("dev@me.com", Role::ReadOnly).start().await?;
//!     server.client().create_api_key("my-app").await?;
//!
//!     let client = server.client_for("dev@me.com").ok_or("no such user")?;
//!     assert_eq!(client.list_api_keys().await?.len(), 1);
//!     assert!(client.create_api_key("my-app").await.unwrap_err().is_forbidden());
//!     Ok(())
//! }
//! ```
//!
//! # A test of a blocking program
//!
//! [`Server::start_blocking`] needs no tokio runtime: the server runs on a thread of its own.
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
//! # A fault
//!
//! ```
//! use rockset_apikeys_server::{Fault, Server};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let server = Server::start().await?;
//!     let client = server.client();
//!
//!     // The key is created, but the client gets a gateway's error.
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
    expect(dead_code, reason = "the command line alone issues keys and removes users")
)]

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod clock;
mod directory;
mod error;
mod fault;
mod http;
mod listen;
mod master_key;
mod permission;
mod rate_limit;
mod record;
mod service;
mod store;
mod time;
mod usage;
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

use fault::Faults;
use http::{App, RequestLimits};
use listen::Limits;
use service::Service;
use store::{Location, Store};

pub use clock::Clock;
pub use fault::Fault;
pub use permission::{ParseRoleError, Role};

/// The e-mail address of the administrator that every server has.
pub const ADMIN: &str = "admin@me.com";

const IN_MEMORY: &str = "sqlite::memory:";

/// A running server. It stops when this is dropped.
///
/// Requests that are in flight then have a second to finish. A server that was started by
/// [`start_blocking`](Self::start_blocking) has stopped when the drop returns.
#[derive(Debug)]
pub struct Server {
    url: String,
    admin: User,
    /// The other users of the configuration.
    others: Vec<User>,
    faults: Arc<Faults>,
    /// The server stops when this is dropped.
    stop: Option<oneshot::Sender<()>>,
    /// The server's own thread, if it has one.
    thread: Option<JoinHandle<()>>,
}

/// A user, with the first key and a client that has it.
#[derive(Debug)]
struct User {
    email: String,
    key: ApiKeyValue,
    client: Client,
}

impl Server {
    /// Starts a server with one user, the administrator [`ADMIN`], on a free loopback port.
    ///
    /// # Errors
    ///
    /// When no port is available.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts a server as [`start`](Self::start) does, but on a thread of its own.
    ///
    /// See [`ServerBuilder::start_blocking`].
    ///
    /// # Errors
    ///
    /// When no port or no thread is available.
    pub fn start_blocking() -> io::Result<Self> {
        Self::builder().start_blocking()
    }

    /// Returns the default configuration: in memory, on a free loopback port, without limits.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            database: IN_MEMORY.to_owned(),
            clock: Clock::default(),
            rate_limit: None,
            bad_key_limit: None,
            keys_per_user: None,
            users: Vec::new(),
        }
    }

    /// Returns the URL that clients take as their API server, such as `http://127.0.0.1:43121`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns a client of the server, with the first key of [`ADMIN`].
    ///
    /// It has the default settings, retries included. For other settings, build a client with
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

    /// Returns a client with the first key of a user; `None` for a user whom the configuration does
    /// not name.
    pub fn client_for(&self, user: &str) -> Option<Client> {
        self.user(user).map(|user| user.client.clone())
    }

    /// Returns the first key of [`ADMIN`], with all an administrator's privileges.
    pub fn admin_key(&self) -> &ApiKeyValue {
        &self.admin.key
    }

    /// Returns the first key of a user, with all the user's privileges; `None` for a user whom the
    /// configuration does not name.
    pub fn key(&self, user: &str) -> Option<&ApiKeyValue> {
        self.user(user).map(|user| &user.key)
    }

    /// Injects a fault into the next responses, this many. Faults that were injected before come
    /// first.
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

    /// Withdraws all injected faults that no response has had yet.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    /// Returns the first key of every user, the administrator's before the others.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &ApiKeyValue)> {
        self.users().map(|user| (user.email.as_str(), &user.key))
    }

    fn users(&self) -> impl Iterator<Item = &User> {
        std::iter::once(&self.admin).chain(&self.others)
    }

    fn user(&self, email: &str) -> Option<&User> {
        self.users().find(|user| user.email == email)
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

/// The configuration of a [`Server`], from [`Server::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ServerBuilder {
    listen: SocketAddr,
    database: String,
    clock: Clock,
    rate_limit: Option<NonZeroU32>,
    bad_key_limit: Option<NonZeroU32>,
    keys_per_user: Option<NonZeroU32>,
    users: Vec<(String, Role)>,
}

impl ServerBuilder {
    /// Sets the address to listen at; defaults to a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Sets the database of users and keys, such as `sqlite:keys.db`; defaults to one in memory.
    ///
    /// The file is created where there is none, and beside it one with the master key that encrypts
    /// the keys in it.
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.database = url.into();
        self
    }

    /// Sets the clock by which keys expire and responses have their date; defaults to the system's.
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// Limits the requests of each key in any second; defaults to no limit. More are 429.
    pub fn rate_limit(mut self, requests: NonZeroU32) -> Self {
        self.rate_limit = Some(requests);
        self
    }

    /// Limits the requests without a valid key from each address in any minute; defaults to no
    /// limit. More are 429 in place of 401.
    pub fn bad_key_limit(mut self, requests: NonZeroU32) -> Self {
        self.bad_key_limit = Some(requests);
        self
    }

    /// Limits the keys of each user; defaults to no limit. Creating more is 403.
    pub fn keys_per_user(mut self, keys: NonZeroU32) -> Self {
        self.keys_per_user = Some(keys);
        self
    }

    /// Adds a user, with a role that limits what all keys of the user may do.
    pub fn user(mut self, email: impl Into<String>, role: Role) -> Self {
        self.users.push((email.into(), role));
        self
    }

    /// Starts the server on the current tokio runtime, where it then runs.
    ///
    /// It stands still while a call blocks the runtime's only thread, so that the call times out.
    /// [`start_blocking`](Self::start_blocking) is for blocking programs.
    ///
    /// # Errors
    ///
    /// When the address is not available; when a user is given twice, does not fit into a path
    /// segment, is not printable, or differs from another by upper and lower case alone; and when
    /// the database cannot be opened, was written with another master key than the one beside it,
    /// or no longer has the first key of one of the users.
    pub async fn start(self) -> io::Result<Server> {
        let (server, serve) = self.prepare().await?;
        tokio::spawn(serve);
        Ok(server)
    }

    /// Starts the server on a thread of its own, for tests of blocking programs.
    ///
    /// It needs no tokio runtime, and serves while the program blocks. Starting and dropping it
    /// block the thread, in async code too: for milliseconds, unless requests are in flight at the
    /// end.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start), and when no thread is available.
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

    /// Hands out the server when it is ready, and serves on this thread until it is dropped.
    fn run(self, started: &mpsc::Sender<io::Result<Server>>) -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (server, serve) = self.prepare().await?;
            let _ = started.send(Ok(server));
            serve.await;
            Ok(())
        })
    }

    /// Returns the server, and the future that serves until it is dropped.
    async fn prepare(self) -> io::Result<(Server, impl Future<Output = ()> + Send + 'static)> {
        let mut seen = HashSet::from([ADMIN]);
        for (email, _) in &self.users {
            if !seen.insert(email) {
                let reason = format!("the user {email:?} is given twice");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
            }
        }
        let location = Location { url: self.database, master_key: None, may_create: true };
        let store = Store::open(location)?;
        let now = self.clock.now().into();
        let admin_key = directory::first_key(&store, ADMIN, Role::Admin, now).await?;
        let mut keys = Vec::with_capacity(self.users.len());
        for (email, role) in self.users {
            let key = directory::first_key(&store, &email, role, now).await?;
            keys.push((email, key));
        }
        let service = Service::new(store, self.clock.clone(), self.keys_per_user);
        let listener = TcpListener::bind(self.listen).await?;
        let url = format!("http://{}", on_this_machine(listener.local_addr()?));
        let user = |(email, key)| User::new(email, key, &url);
        let admin = user((ADMIN.to_owned(), admin_key))?;
        let others = keys.into_iter().map(user).collect::<io::Result<_>>()?;
        let faults = Arc::<Faults>::default();
        let limits = RequestLimits { per_key: self.rate_limit, bad_keys: self.bad_key_limit };
        let app = App::new(Arc::clone(&service), Arc::clone(&faults), limits);
        let router = http::dated(http::router(app, false), self.clock);
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = async move {
            let stopped = async {
                // Ends when the sender is dropped, together with the server.
                let _ = stopped.await;
            };
            listen::serve(listener, listen::plain, router, Limits::default(), stopped).await;
            if let Err(error) = service.close().await {
                tracing::error!(%error, "the database was not closed cleanly");
            }
        };
        Ok((Server { url, admin, others, faults, stop: Some(stop), thread: None }, serve))
    }
}

/// Returns the address at which clients on this machine reach a server that listens at this one.
fn on_this_machine(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl User {
    fn new(email: String, key: ApiKeyValue, url: &str) -> io::Result<Self> {
        // The address may be one of this machine's that is not a loopback address.
        let client = Client::builder().api_server(url).api_key(key.clone()).allow_http(true);
        let client = client.build().map_err(io::Error::other)?;
        Ok(Self { email, key, client })
    }
}

/// Compiles and runs README's code with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
