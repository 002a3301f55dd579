//! Records requests and responses on the wire, as a proxy in front of a server or as a server with
//! fixed responses.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request and its response.
#[derive(Clone)]
pub struct Exchange {
    pub request: Request<Bytes>,
    pub response: Response<Bytes>,
}

pub struct Recorder {
    pub url: String,
    state: Arc<Recording>,
    serving: JoinHandle<()>,
}

struct Recording {
    origin: Origin,
    http: Client<HttpConnector, Full<Bytes>>,
    exchanges: Mutex<Vec<Exchange>>,
}

/// The origin of the responses.
pub enum Origin {
    /// A server at this URL.
    Server(String),
    /// A function that returns a JSON body for a method and a path.
    Response(fn(&str, &str) -> Value),
}

impl Recorder {
    pub async fn start(origin: Origin) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let http = Client::builder(TokioExecutor::new()).build_http();
        let state = Arc::new(Recording { origin, http, exchanges: Mutex::default() });
        let app = Router::new().fallback(respond).with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move {
            // Serves until it is aborted.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, state, serving })
    }

    /// Returns the exchanges since the last call, oldest first.
    pub fn take(&self) -> Vec<Exchange> {
        let exchanges = self.state.exchanges.lock();
        std::mem::take(&mut *exchanges.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn respond(
    State(recording): State<Arc<Recording>>,
    request: Request<Body>,
) -> Response<Body> {
    // The server never sends this status with this body.
    let failure = |error| (StatusCode::BAD_GATEWAY, format!("the recorder failed: {error:#}"));
    recording.respond(request).await.unwrap_or_else(|error| failure(error).into_response())
}

impl Recording {
    async fn respond(&self, request: Request<Body>) -> Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, body.collect().await?.to_bytes());
        let response = match &self.origin {
            Origin::Response(body_for) => {
                let body = body_for(request.method().as_str(), request.uri().path()).to_string();
                let response = Response::builder().header(CONTENT_TYPE, "application/json");
                response.body(Bytes::from(body))?
            }
            Origin::Server(url) => {
                let mut forwarded = request.clone().map(Full::new);
                // The target as it was sent: a URL parser would normalize it.
                let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
                *forwarded.uri_mut() = format!("{url}{target}").parse()?;
                forwarded.headers_mut().remove(HOST);
                remove_framing(forwarded.headers_mut());
                let (head, body) = self.http.request(forwarded).await?.into_parts();
                Response::from_parts(head, body.collect().await?.to_bytes())
            }
        };
        let exchange = Exchange { request, response: response.clone() };
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
        let mut response = response.map(Body::from);
        remove_framing(response.headers_mut());
        Ok(response)
    }
}

/// Removes the headers that belong to one connection.
fn remove_framing(headers: &mut HeaderMap) {
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
}

/// Returns the value of the first header with this name, if it is a string.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
