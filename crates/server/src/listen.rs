//! Connections: accepts them within limits, passes their requests to the router, and closes them on
//! shutdown.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
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
use tower::ServiceExt;

use crate::faults::DropConnection;

/// How long a client may take for the TLS handshake, and for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum size of a request's head, and of the send buffer.
const BUFFER: usize = 64 << 10;

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Further connections wait to be accepted.
    pub(crate) max_connections: NonZeroUsize,
    /// How long sending a response may make no progress.
    pub(crate) send_timeout: Duration,
    /// How long requests in flight may take on shutdown.
    pub(crate) shutdown_timeout: Duration,
}

impl Default for Limits {
    /// Returns the limits for tests, whose shutdown should be fast.
    fn default() -> Self {
        Self {
            // Evaluated at compile time, so it cannot panic at run time.
            max_connections: const { NonZeroUsize::new(512).unwrap() },
            send_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(1),
        }
    }
}

/// A client's connection. A write fails after the send timeout.
pub(crate) type Connection = Pin<Box<TimeoutStream<TcpStream>>>;

/// The handshake of plain HTTP, which does nothing.
pub(crate) async fn plain(connection: Connection) -> io::Result<Connection> {
    Ok(connection)
}

/// Serves until `stop` completes.
///
/// Then waits for requests in flight, up to the shutdown timeout. Every connection begins with the
/// handshake.
pub(crate) async fn serve<Handshake, Stream>(
    listener: TcpListener,
    handshake: impl Fn(Connection) -> Handshake + Clone + Send + 'static,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) where
    Handshake: Future<Output = io::Result<Stream>> + Send,
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    // One task per connection, from its handshake on.
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let has_room = connections.len() < limits.max_connections.get();
        let (stream, peer) = tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener), if has_room => accepted,
        };
        // Sends small responses immediately.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(limits.send_timeout));
        let (router, watcher, handshake) = (router.clone(), graceful.watcher(), handshake.clone());
        connections.spawn(async move {
            match tokio::time::timeout(HEAD_TIMEOUT, handshake(Box::pin(stream))).await {
                Ok(Ok(stream)) => serve_connection(stream, peer, router, watcher).await,
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake timed out"),
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("shutdown timed out; closing the remaining connections");
        connections.shutdown().await;
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // If too many files are open, others must be closed first.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_connection(
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
                Some(_) => Err(io::Error::other("an injected fault closes the connection")),
                None => Ok(response),
            }
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(BUFFER);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection closed with an error");
    }
}
