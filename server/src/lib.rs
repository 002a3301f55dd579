//! A server of Rockset's API-keys API, from the same contract as the client `rockset-apikeys`.
//!
//! The hosted service was retired; this is what a client of the API talks to today, in a test or on
//! a laptop. It keeps what it is told in memory, until it stops.
//!
//! ```
//! use rockset_apikeys::Client;
//! use rockset_apikeys_server::Server;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start().await?;
//! let client = Client::builder()
//!     .api_server(server.url())
//!     .api_key(server.admin_key().clone())
//!     .build()?;
//!
//! client.create_api_key("my-app").await?;
//! assert_eq!(client.get_api_key("my-app").await?.name, "my-app");
//! # Ok(())
//! # }
//! ```
//!
//! `rules.rs` has what the API does, `http.rs` how it is spoken, and this file starts and stops it.

mod http;
mod rules;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use rockset_apikeys::ApiKeyValue;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use rules::{ParseRoleError, Role};

/// The e-mail address of the administrator that every server has.
pub const ADMIN: &str = "admin@me.com";

/// A running server. It stops when this is dropped.
#[derive(Debug)]
pub struct Server {
    url: String,
    admin_key: ApiKeyValue,
    /// The first keys of the other users.
    keys: Vec<(String, ApiKeyValue)>,
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Starts a server with one user, the administrator [`ADMIN`], on a free loopback port.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts the configuration of a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), users: Vec::new() }
    }

    /// The URL that clients take as their API server, such as `http://127.0.0.1:43121`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key that [`ADMIN`] has from the start, with all an administrator's privileges.
    pub fn admin_key(&self) -> &ApiKeyValue {
        &self.admin_key
    }

    /// The key that this user has from the start, with all the user's privileges.
    pub fn key(&self, user: &str) -> Option<&ApiKeyValue> {
        self.keys().find(|(email, _)| *email == user).map(|(_, key)| key)
    }

    /// Every user's key from the start, the administrator's first.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &ApiKeyValue)> {
        let others = self.keys.iter().map(|(email, key)| (email.as_str(), key));
        std::iter::once((ADMIN, &self.admin_key)).chain(others)
    }
}

/// The configuration of a [`Server`], from [`Server::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ServerBuilder {
    listen: SocketAddr,
    users: Vec<(String, Role)>,
}

impl ServerBuilder {
    /// The address to listen at; a free port of 127.0.0.1 unless given.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// A user besides the administrator, with a role that limits what all keys of the user may do.
    pub fn user(mut self, email: impl Into<String>, role: Role) -> Self {
        self.users.push((email.into(), role));
        self
    }

    /// Starts the server. It runs on the present tokio runtime.
    ///
    /// # Errors
    ///
    /// When the address cannot be had, and when a user is given twice or is no name that a URL can
    /// carry.
    pub async fn start(self) -> io::Result<Server> {
        let mut rules = rules::Rules::default();
        let refused = |reason: String| io::Error::new(io::ErrorKind::InvalidInput, reason);
        let admin_key = rules.add_user(ADMIN, Role::Admin).map_err(refused)?;
        let mut keys = Vec::with_capacity(self.users.len());
        for (email, role) in self.users {
            let key = rules.add_user(&email, role).map_err(refused)?;
            keys.push((email, key));
        }
        let listener = TcpListener::bind(self.listen).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, http::router(rules)).with_graceful_shutdown(async {
            // Ends when the sender is dropped, together with the server.
            let _ = stopped.await;
        });
        tokio::spawn(async { serve.await });
        Ok(Server { url, admin_key, keys, _stop: stop })
    }
}
