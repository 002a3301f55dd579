//! `serve`: runs the server.

use std::io;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::{Span, SpanRelativeTo, Timestamp};
use rockset_apikeys::ApiKeyValue;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tracing_subscriber::filter::LevelFilter;

use super::banner::Banner;
use super::user_commands::not_printed;
use super::{Database, invalid, log};
use crate::faults::Faults;
use crate::http::RequestLimits;
use crate::listen::Limits;
use crate::permission::Role;
use crate::service::Service;
use crate::store::{Rows, Store};
use crate::time::Clock;
use crate::{ADMIN, faults, http, listen, private_file, users};

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    database: Database,

    /// Address to listen on; port 0 selects a free port
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "ROCKSET_SERVER_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    listen: SocketAddr,

    /// User to add if missing, with the role read-only, member or admin
    #[arg(long = "user", value_name = "EMAIL=ROLE", value_parser = user)]
    users: Vec<(String, Role)>,

    /// PEM file with the server's certificate first, then its issuers'; enables https
    #[arg(long, value_name = "FILE", env = "ROCKSET_SERVER_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// PEM file with the certificate's private key
    #[arg(long, value_name = "FILE", env = "ROCKSET_SERVER_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Maximum requests per key per second; 0 disables the limit
    #[arg(long, value_name = "NUMBER", env = "ROCKSET_SERVER_RATE_LIMIT", default_value_t = 100)]
    rate_limit: u32,

    /// Maximum failed authentications per address per minute; 0 disables the limit
    #[arg(
        long,
        value_name = "NUMBER",
        env = "ROCKSET_SERVER_AUTH_FAILURE_LIMIT",
        default_value_t = 1000
    )]
    auth_failure_limit: u32,

    /// Maximum keys per user; 0 disables the limit
    #[arg(
        long,
        value_name = "NUMBER",
        env = "ROCKSET_SERVER_MAX_KEYS_PER_USER",
        default_value_t = 1000
    )]
    max_keys_per_user: u32,

    /// Maximum open connections; further ones wait
    #[arg(
        long,
        value_name = "NUMBER",
        env = "ROCKSET_SERVER_MAX_CONNECTIONS",
        default_value = "512"
    )]
    max_connections: NonZeroUsize,

    /// How long sending a response may make no progress
    #[arg(
        long,
        value_name = "DURATION",
        env = "ROCKSET_SERVER_SEND_TIMEOUT",
        value_parser = duration,
        default_value = "30s"
    )]
    send_timeout: Duration,

    /// How long requests in flight may take on shutdown
    #[arg(
        long,
        value_name = "DURATION",
        env = "ROCKSET_SERVER_SHUTDOWN_TIMEOUT",
        value_parser = duration,
        default_value = "30s"
    )]
    shutdown_timeout: Duration,

    /// Allow anyone to inject faults with POST /faults; for tests
    #[arg(long)]
    enable_fault_injection: bool,

    /// Log level: error, warn, info, debug or off
    #[arg(long, value_name = "LEVEL", env = "ROCKSET_SERVER_LOG_LEVEL", default_value = "info")]
    log_level: LevelFilter,

    /// Log format
    #[arg(long, value_name = "FORMAT", env = "ROCKSET_SERVER_LOG_FORMAT", default_value = "text")]
    log_format: log::Format,
}

fn user(text: &str) -> Result<(String, Role), String> {
    let (email, role) = text.rsplit_once('=').ok_or("expected EMAIL=ROLE")?;
    let role = role.parse::<Role>().map_err(|error| error.to_string())?;
    Ok((email.to_owned(), role))
}

/// Parses a duration; a day has 24 hours.
fn duration(text: &str) -> Result<Duration, String> {
    let span = text.parse::<Span>();
    let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let duration = duration.and_then(Duration::try_from);
    duration.map_err(|_| "expected a duration like 30s, 24h or 7d".to_owned())
}

impl Serve {
    pub(super) async fn run(self) -> io::Result<()> {
        let _log = log::start(self.log_level, self.log_format);
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificates), Some(key)) => Some(tls_acceptor(certificates, key)?),
            _ => None,
        };
        let address = self.listen;
        let listener = TcpListener::bind(address).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        let store = self.database.open(true)?;
        let keys = add_users(&store, &self.users).await?;
        let stop = stop()?;
        let banner = Banner {
            database: &self.database.url,
            address: listener.local_addr()?,
            is_https: tls.is_some(),
            users: &store.read().users()?,
            new_keys: &keys,
        };
        if let Err(error) = banner.print() {
            let mut undone = Ok(());
            for (email, _) in &keys {
                undone = undone.and(users::remove_user(&store, email).await);
            }
            return Err(if keys.is_empty() { error } else { not_printed(error, undone) });
        }

        let max_keys_per_user = NonZeroU32::new(self.max_keys_per_user);
        let service = Service::start(store, Clock::default(), max_keys_per_user);
        let faults = Arc::<Faults>::default();
        let limits = RequestLimits {
            rate_limit: NonZeroU32::new(self.rate_limit),
            auth_failure_limit: NonZeroU32::new(self.auth_failure_limit),
        };
        let mut router = http::router(Arc::clone(&service), Arc::clone(&faults), limits);
        if self.enable_fault_injection {
            router = router.merge(faults::routes(faults));
        }
        let limits = Limits {
            max_connections: self.max_connections,
            send_timeout: self.send_timeout,
            shutdown_timeout: self.shutdown_timeout,
        };
        match tls {
            None => listen::serve(listener, listen::plain, router, limits, stop).await,
            Some(tls) => {
                let handshake = move |connection| tls.accept(connection);
                listen::serve(listener, handshake, router, limits, stop).await;
            }
        }
        service.close().await?;
        tracing::info!("server stopped");
        Ok(())
    }
}

/// Sets up TLS with the certificates and the private key from these PEM files.
fn tls_acceptor(certificates: &Path, key: &Path) -> io::Result<TlsAcceptor> {
    let cannot_read = |file: &Path, error: &dyn std::fmt::Display| {
        invalid(format!("cannot read {}: {error}", file.display()))
    };
    private_file::check(key).map_err(|error| cannot_read(key, &error))?;
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| cannot_read(certificates, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| cannot_read(key, &error))?;
    // A program that is compiled with several providers has no default.
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| invalid(format!("cannot use {}: {error}", certificates.display())))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Adds missing users, and an administrator if there are none.
///
/// Returns the first keys of the added users.
async fn add_users(
    store: &Store,
    given: &[(String, Role)],
) -> io::Result<Vec<(String, ApiKeyValue)>> {
    let now = Timestamp::now().into();
    let is_empty = store.read().users()?.is_empty();
    let admin = is_empty.then(|| (ADMIN.to_owned(), Role::Admin));
    let mut keys = Vec::new();
    for (email, role) in admin.iter().chain(given) {
        // Another process may have added the user in the meantime.
        if let Some(key) = users::add_user(store, email, *role, now).await? {
            keys.push((email.clone(), key));
        }
    }
    Ok(keys)
}

/// Returns a future that completes at the next signal to stop.
///
/// At a second signal, the handler ends the process immediately, even if all threads are blocked.
#[cfg(unix)]
fn stop() -> io::Result<impl Future<Output = ()>> {
    use std::sync::atomic::AtomicBool;

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    use tokio::signal::unix::{SignalKind, signal};
    let stopping = Arc::new(AtomicBool::new(false));
    for number in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&stopping))?;
        // Registered second, so that the first signal's conditional shutdown finds the flag unset.
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
