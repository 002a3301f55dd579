//! Records requests and responses as they are on the wire: a proxy before a server, or a server
//! with fixed responses.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, TRANSFER_ENCODING,
};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request and its response.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub method: String,
    /// As it was sent, percent-encoded.
    pub path: String,
    pub query: Option<String>,
    pub request_type: Option<String>,
    pub request: Bytes,
    pub status: u16,
    /// The headers of the response.
    pub headers: HeaderMap,
    /// The body of the response.
    pub response: Bytes,
}

pub struct Recorder {
    pub url: String,
    state: Arc<Recording>,
    serving: JoinHandle<()>,
}

struct Recording {
    behind: Behind,
    http: Client<HttpConnector, Full<Bytes>>,
    exchanges: Mutex<Vec<Exchange>>,
}

/// Where the responses come from.
pub enum Behind {
    /// A server at this URL.
    Server(String),
    /// This function, which returns JSON for a method and a path.
    Response(fn(&str, &str) -> serde_json::Value),
}

impl Recorder {
    pub async fn start(behind: Behind) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let http = Client::builder(TokioExecutor::new()).build_http();
        let state = Arc::new(Recording { behind, http, exchanges: Mutex::default() });
        let app = Router::new().fallback(pass).with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move {
            // Serves until it is aborted.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, state, serving })
    }

    /// Takes what was recorded since the last time, oldest first.
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

async fn pass(State(recording): State<Arc<Recording>>, request: Request) -> Response {
    match recording.pass(request).await {
        Ok(response) => response,
        Err(error) => {
            // The server never sends this status with this text.
            let mut response = Response::new(Body::from(format!("the recorder: {error:#}")));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

impl Recording {
    async fn pass(&self, request: Request) -> Result<Response> {
        let (mut head, body) = request.into_parts();
        let request = body.collect().await?.to_bytes();
        let (method, uri) = (head.method.to_string(), head.uri.clone());
        let request_type = header(&head.headers, CONTENT_TYPE.as_str()).map(str::to_owned);
        let response = match &self.behind {
            Behind::Response(body_for) => {
                let body = body_for(&method, uri.path()).to_string();
                Response::builder()
                    .header(CONTENT_TYPE, "application/json")
                    .body(Full::from(body).boxed())?
            }
            Behind::Server(url) => {
                // The target as it was sent: a URL parser would normalize it.
                let target = uri.path_and_query().map_or("/", |target| target.as_str());
                head.uri = format!("{url}{target}").parse::<Uri>()?;
                for name in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
                    head.headers.remove(name);
                }
                let request = Request::from_parts(head, Full::new(request.clone()));
                let (head, body) = self.http.request(request).await?.into_parts();
                Response::from_parts(head, Full::new(body.collect().await?.to_bytes()).boxed())
            }
        };
        let (mut head, body) = response.into_parts();
        let response = body.collect().await?.to_bytes();
        let exchange = Exchange {
            method,
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
            request_type,
            request,
            status: head.status.as_u16(),
            headers: head.headers.clone(),
            response: response.clone(),
        };
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
        for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            head.headers.remove(name);
        }
        Ok(Response::from_parts(head, Body::from(response)))
    }
}

/// Returns the value of the first header with this name, if it is text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
