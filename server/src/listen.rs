//! Connections: accepts them within limits, hands their requests to the router, and closes them
//! when the server stops.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower::ServiceExt;

use crate::http::DropConnection;
use crate::master_key::require_private;

/// How long a client may take for a request's head, and for TLS before that.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a response is buffered for a slow client, and how large a request's head may be.
const BUFFER: usize = 64 << 10;

/// What connections may take of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many are open at once; further ones wait to be accepted.
    pub(crate) connections: NonZeroUsize,
    /// How long writing to a client may make no progress until the connection is closed.
    pub(crate) response_timeout: Duration,
    /// How long requests in flight may take when the server stops.
    pub(crate) grace: Duration,
}

/// 512 connections, 30 s without progress, 30 s of grace.
impl Default for Limits {
    fn default() -> Self {
        Self {
            // The compiler evaluates this, so it cannot panic at run time.
            connections: const { NonZeroUsize::new(512).unwrap() },
            response_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(30),
        }
    }
}

/// Serves until `stop` is done, and then finishes what is in flight, within the grace time.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    // One task per connection, from its TLS handshake on.
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let has_room = connections.len() < limits.connections.get();
        let (stream, peer) = tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener), if has_room => accepted,
        };
        // Small responses are not held back for more to come.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(limits.response_timeout));
        let stream = Box::pin(stream);
        let (router, watcher, tls) = (router.clone(), graceful.watcher(), tls.clone());
        connections.spawn(async move {
            let Some(tls) = tls else { return talk(stream, peer, router, watcher).await };
            match tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
                Ok(Ok(stream)) => talk(stream, peer, router, watcher).await,
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake timed out"),
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("closing connections that are still in use after the grace time");
        connections.shutdown().await;
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                // Where too many files are open, some have to be closed first.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    watcher: Watcher,
) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let router = router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        async move {
            let Ok(response): Result<Response, Infallible> = router.oneshot(request).await;
            match response.extensions().get::<DropConnection>() {
                Some(_) => Err(io::Error::other("the connection is dropped on demand")),
                None => Ok(response),
            }
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(BUFFER);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// TLS with the certificates and the private key in these PEM files.
pub(crate) fn tls(certificates: &Path, key: &Path) -> io::Result<TlsAcceptor> {
    let bad = |file: &Path, error: &dyn std::fmt::Display| {
        let reason = format!("{}: {error}", file.display());
        io::Error::new(io::ErrorKind::InvalidInput, reason)
    };
    require_private(key).map_err(|error| bad(key, &error))?;
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(certificates, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, &error))?;
    // Named, because a program in which several are compiled has no default.
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| bad(certificates, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
