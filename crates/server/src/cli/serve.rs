//! `serve`: the server as a process.

use std::io;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use rockset_apikeys::ApiKeyValue;
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;

use super::ready::Ready;
use super::users::not_printed;
use super::{Database, log, tls};
use crate::clock::Clock;
use crate::fault::Faults;
use crate::http::{self, App, RequestLimits};
use crate::listen::Limits;
use crate::permission::Role;
use crate::service::Service;
use crate::store::{Rows, Store};
use crate::{ADMIN, directory, listen};

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    database: Database,

    /// Address to listen at; port 0 stands for a free one
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "ROCKSET_SERVER_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    listen: SocketAddr,

    /// A user to add if missing, with a role: read-only, member or admin
    #[arg(long = "user", value_name = "EMAIL=ROLE", value_parser = user)]
    users: Vec<(String, Role)>,

    /// PEM file of the certificates, the server's own first, to serve https
    #[arg(long, value_name = "FILE", env = "ROCKSET_SERVER_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// PEM file of the certificate's private key
    #[arg(long, value_name = "FILE", env = "ROCKSET_SERVER_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Requests of each key in any second; 0 for any number
    #[arg(long, value_name = "NUMBER", env = "ROCKSET_SERVER_RATE_LIMIT", default_value_t = 100)]
    rate_limit: u32,

    /// Requests without a valid key from each address in any minute; 0 for any number
    #[arg(long, value_name = "NUMBER", env = "ROCKSET_SERVER_BAD_KEYS", default_value_t = 1000)]
    bad_keys: u32,

    /// Keys of each user; 0 for any number
    #[arg(
        long,
        value_name = "NUMBER",
        env = "ROCKSET_SERVER_KEYS_PER_USER",
        default_value_t = 1000
    )]
    keys_per_user: u32,

    /// Connections that may be open at once; further ones wait
    #[arg(long, value_name = "NUMBER", env = "ROCKSET_SERVER_CONNECTIONS", default_value = "512")]
    connections: NonZeroUsize,

    /// Seconds until a client that does not read its response is disconnected
    #[arg(
        long,
        value_name = "SECONDS",
        env = "ROCKSET_SERVER_RESPONSE_TIMEOUT",
        default_value_t = 30
    )]
    response_timeout: u32,

    /// Seconds that requests in flight may take when the server stops
    #[arg(long, value_name = "SECONDS", env = "ROCKSET_SERVER_GRACE", default_value_t = 30)]
    grace: u32,

    /// Let anyone inject faults with POST /faults; for tests
    #[arg(long)]
    faults: bool,

    /// Least severe messages to log to standard error: error, warn, info, debug or off
    #[arg(long, value_name = "LEVEL", env = "ROCKSET_SERVER_LOG", default_value = "info")]
    log: LevelFilter,

    /// Format of log messages
    #[arg(long, value_name = "FORMAT", env = "ROCKSET_SERVER_LOG_FORMAT", default_value = "text")]
    log_format: log::Format,
}

fn user(text: &str) -> Result<(String, Role), String> {
    let (email, role) = text.rsplit_once('=').ok_or("give a user as EMAIL=ROLE")?;
    let role = role.parse::<Role>().map_err(|error| error.to_string())?;
    Ok((email.to_owned(), role))
}

impl Serve {
    pub(super) async fn run(self) -> io::Result<()> {
        let _log = log::start(self.log, self.log_format);
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificates), Some(key)) => Some(tls::acceptor(certificates, key)?),
            _ => None,
        };
        let address = self.listen;
        let listener = TcpListener::bind(address).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot serve at {address}: {error}"))
        })?;
        let store = self.database.open(true)?;
        let keys = add_users(&store, &self.users).await?;
        let stop = stop()?;
        let ready = Ready {
            database: &self.database.url,
            address: listener.local_addr()?,
            is_https: tls.is_some(),
            users: &store.snapshot().users()?,
            new_keys: &keys,
        };
        if let Err(error) = ready.print() {
            let mut taken_back = Ok(());
            for (email, _) in &keys {
                taken_back = taken_back.and(directory::remove_user(&store, email).await);
            }
            return Err(if keys.is_empty() { error } else { not_printed(error, taken_back) });
        }

        let service = Service::new(store, Clock::default(), NonZeroU32::new(self.keys_per_user));
        let limits = RequestLimits {
            per_key: NonZeroU32::new(self.rate_limit),
            bad_keys: NonZeroU32::new(self.bad_keys),
        };
        let app = App::new(service.clone(), Faults::default().into(), limits);
        let router = http::router(app, self.faults);
        let limits = Limits {
            connections: self.connections,
            response_timeout: Duration::from_secs(self.response_timeout.into()),
            grace: Duration::from_secs(self.grace.into()),
        };
        match tls {
            None => listen::serve(listener, listen::plain, router, limits, stop).await,
            Some(tls) => {
                let handshake = move |connection| tls.accept(connection);
                listen::serve(listener, handshake, router, limits, stop).await;
            }
        }
        service.close().await?;
        tracing::info!("the server has stopped");
        Ok(())
    }
}

/// Adds an administrator to a database without users, and these users where they are missing.
/// Returns the first keys of those that it added.
async fn add_users(
    store: &Store,
    users: &[(String, Role)],
) -> io::Result<Vec<(String, ApiKeyValue)>> {
    let now = Timestamp::now().into();
    let is_empty = store.snapshot().users()?.is_empty();
    let admin = is_empty.then(|| (ADMIN.to_owned(), Role::Admin));
    let mut keys = Vec::new();
    for (email, role) in admin.iter().chain(users) {
        // Another process may have added it meanwhile.
        if let Some(key) = directory::add_user(store, email, *role, now).await? {
            keys.push((email.clone(), key));
        }
    }
    Ok(keys)
}

/// Ends when the process is asked to stop, from now on. When it is asked again, it ends at once, in
/// the signal handler, whatever its threads wait for.
#[cfg(unix)]
fn stop() -> io::Result<impl Future<Output = ()>> {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    use tokio::signal::unix::{SignalKind, signal};
    let stopping = Arc::new(AtomicBool::new(false));
    for number in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&stopping))?;
        // After the one above, so that the first signal finds the flag unset.
        flag::register(number, Arc::clone(&stopping))?;
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
