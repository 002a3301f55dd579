//! Connections: accepts them within limits, hands their requests to the router, and closes them
//! when the server stops.

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

use crate::http::DropConnection;

/// How long a client may take for a request's head, and for the handshake before that.
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

/// 512 connections, 30 s without progress, 1 s of grace, so that no test waits long for the end.
impl Default for Limits {
    fn default() -> Self {
        Self {
            // The compiler evaluates this, so it cannot panic at run time.
            connections: const { NonZeroUsize::new(512).unwrap() },
            response_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(1),
        }
    }
}

/// A client's connection. Writing to it fails when it makes no progress for too long.
pub(crate) type Connection = Pin<Box<TimeoutStream<TcpStream>>>;

/// The handshake of plain HTTP: none.
pub(crate) async fn plain(connection: Connection) -> io::Result<Connection> {
    Ok(connection)
}

/// Serves until `stop` is done, and then finishes what is in flight, within the grace time. Each
/// connection begins with the handshake.
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
        let (router, watcher, handshake) = (router.clone(), graceful.watcher(), handshake.clone());
        connections.spawn(async move {
            match tokio::time::timeout(HEAD_TIMEOUT, handshake(Box::pin(stream))).await {
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
