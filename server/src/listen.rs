//! Connections: they are accepted, given to the router, and at the end let go when what is in
//! flight on them is done.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower::ServiceExt;

use crate::master_key::require_private;

/// How long a client may take for a request's head, and for TLS before that.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long what is in flight at the end may still take.
const GRACE: Duration = Duration::from_secs(30);

/// In an answer's extensions: it is not sent, and its connection is closed.
#[derive(Clone)]
pub(crate) struct DropConnection;

/// Serves until `stop` is done, and then what is in flight.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let connection = match accepted {
            Ok((connection, _)) => connection,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                // Where too many files are open, some have to be closed first.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Small answers are not held back for more to come.
        let _ = connection.set_nodelay(true);
        let (router, watcher, tls) = (router.clone(), graceful.watcher(), tls.clone());
        tokio::spawn(async move {
            let Some(tls) = tls else { return talk(connection, router, watcher).await };
            match tokio::time::timeout(HEAD_TIMEOUT, tls.accept(connection)).await {
                Ok(Ok(connection)) => talk(connection, router, watcher).await,
                Ok(Err(error)) => tracing::debug!(%error, "no TLS connection was made"),
                Err(_) => tracing::debug!("no TLS connection was made in time"),
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in flight when the time for them ran out");
    }
}

async fn talk(
    connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    watcher: Watcher,
) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let Ok(answer): Result<Response, Infallible> =
                router.oneshot(request.map(Body::new)).await;
            match answer.extensions().get::<DropConnection>() {
                Some(_) => Err(io::Error::other("the connection is dropped on demand")),
                None => Ok(answer),
            }
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let connection = http.serve_connection(TokioIo::new(connection), service);
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
