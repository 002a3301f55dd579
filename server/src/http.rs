//! How the API is spoken: routes, headers, bodies, and the form of an answer. What is allowed and
//! what happens is in `rules.rs` and `service.rs`.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{MatchedPath, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use rockset_apikeys::ErrorType;
use rockset_apikeys::types::{
    CreateApiKeyResponse, DeleteApiKeyResponse, ErrorModel, GetApiKeyResponse, ListApiKeysResponse,
    UpdateApiKeyResponse,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::fault::{self, Fault, Faults, Kind};
use crate::listen::DropConnection;
use crate::rules::Refusal;
use crate::service::Service;
use crate::vault::LookupHash;

const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// The largest body of a request, in bytes. What the API takes is far smaller.
const LARGEST_BODY: usize = 64 << 10;
/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// What the handlers share.
pub(crate) struct App {
    pub(crate) service: Arc<Service>,
    pub(crate) faults: Arc<Faults>,
    limiter: Option<DefaultKeyedRateLimiter<i64>>,
}

impl App {
    /// With a limit, no key signs more requests than that in a second.
    pub(crate) fn new(
        service: Arc<Service>,
        faults: Arc<Faults>,
        limit: Option<NonZeroU32>,
    ) -> Arc<Self> {
        let limiter = limit.map(|limit| RateLimiter::keyed(Quota::per_second(limit)));
        Arc::new(Self { service, faults, limiter })
    }
}

type Shared = State<Arc<App>>;
type Names = Result<Path<(String, String)>, PathRejection>;

/// The routes of the contract, and errors of its form for all others. What is outside the contract
/// is `/health`, and `/faults` where that is wanted.
pub(crate) fn router(app: Arc<App>, with_faults: bool) -> Router {
    let contract = Router::new()
        .route("/v1/orgs/self/users/self/apikeys", get(list_own).post(create))
        .route("/v1/orgs/self/users/{user}/apikeys", get(list))
        .route(
            "/v1/orgs/self/users/{user}/apikeys/{name}",
            get(retrieve).post(update).delete(delete),
        )
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), go_wrong))
        .layer(middleware::from_fn(observe));
    let mut router = contract.route("/health", get(health));
    if with_faults {
        router = router.route("/faults", post(inject));
    }
    router.with_state(app)
}

/// Gives each answer a trace id, with which the log tells of it, and a refusal its form.
async fn observe(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let (start, method) = (Instant::now(), request.method().clone());
    let trace_id = format!("{:032x}", fastrand::u128(..));
    let mut answer = next.run(request).await;
    let refusal = answer.extensions_mut().remove::<Refusal>();
    let error = refusal.as_ref().map(|refusal| refusal.kind.to_string());
    if let Some(refusal) = refusal {
        if let Some(cause) = &refusal.cause {
            tracing::error!(trace_id, cause, "a request failed");
        }
        let headers = std::mem::take(answer.headers_mut());
        answer = refusal.answer(&trace_id);
        answer.headers_mut().extend(headers);
    }
    // The path itself has names in it, and who mixes up the arguments has a key in it.
    let path = path.as_ref().map_or("unknown", MatchedPath::as_str);
    let (status, ms) = (answer.status().as_u16(), start.elapsed().as_millis());
    tracing::info!(trace_id, %method, path, status, error, ms, "request");
    if let Ok(value) = HeaderValue::from_str(&trace_id) {
        answer.headers_mut().insert(TRACE_ID, value);
    }
    answer
}

/// Lets go wrong what was asked to go wrong.
async fn go_wrong(State(app): Shared, request: Request, next: Next) -> Response {
    match app.faults.next() {
        None => next.run(request).await,
        Some(Fault(Kind::Status(status))) => {
            let kind = fault::error_type(status);
            Refusal::new(status, kind, "this fault was asked for").into_response()
        }
        Some(Fault(Kind::Delay(delay))) => {
            tokio::time::sleep(delay).await;
            next.run(request).await
        }
        Some(Fault(Kind::DropConnection)) => {
            let mut answer = next.run(request).await;
            answer.extensions_mut().insert(DropConnection);
            answer
        }
    }
}

/// A success, as JSON.
struct Success<T>(T);

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => json_answer(StatusCode::OK, body),
            Err(error) => Refusal::from(std::io::Error::from(error)).into_response(),
        }
    }
}

impl Refusal {
    fn answer(self, trace_id: &str) -> Response {
        let (line, column) = self.place.unzip();
        let error = ErrorModel {
            message: Some(self.message),
            type_: Some(self.kind),
            trace_id: Some(trace_id.to_owned()),
            line: line.and_then(|line| line.try_into().ok()),
            column: column.and_then(|column| column.try_into().ok()),
            ..ErrorModel::default()
        };
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // The error model is text and numbers, which always serialize.
        let mut answer = json_answer(status, serde_json::to_vec(&error).unwrap_or_default());
        if let Some(wait) = self.retry_after {
            // A wait that is rounded up is over when it is over.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        answer
    }
}

impl IntoResponse for Refusal {
    /// Leaves the answer to [`observe`], which has the trace id.
    fn into_response(self) -> Response {
        let mut answer = Response::default();
        answer.extensions_mut().insert(self);
        answer
    }
}

fn json_answer(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn health(State(app): Shared) -> Response {
    match app.service.catch_up().await {
        Ok(()) => Json(json!({ "status": "ok" })).into_response(),
        Err(error) => {
            tracing::error!(%error, "the database cannot be used");
            let body = Json(json!({ "status": "the database cannot be used" }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

/// The body of a request for faults, such as `{"status": 503, "answers": 2}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Injection {
    status: Option<u16>,
    delay_ms: Option<u64>,
    #[serde(default)]
    drop_connection: bool,
    answers: usize,
}

async fn inject(State(app): Shared, Json(wanted): Json<Injection>) -> Response {
    let fault = match (wanted.status, wanted.delay_ms, wanted.drop_connection) {
        (Some(status), None, false) => Fault::status(status),
        (None, Some(ms), false) => Fault::delay(Duration::from_millis(ms)),
        (None, None, true) => Fault::drop_connection(),
        _ => {
            let reason = "give one of status, delay_ms and drop_connection";
            return (StatusCode::BAD_REQUEST, reason).into_response();
        }
    };
    app.faults.add(fault, wanted.answers);
    StatusCode::NO_CONTENT.into_response()
}

async fn create(
    State(app): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Success<CreateApiKeyResponse>, Refusal> {
    let caller = caller(&app, &headers)?;
    let optional = ["role", "expiry_time", "created_by"];
    let request = document(&headers, body, &optional).await?;
    let created = async move { app.service.create(&caller, &request).await };
    Ok(Success(CreateApiKeyResponse { data: to_its_end(created).await? }))
}

async fn list_own(
    app: Shared,
    headers: HeaderMap,
) -> Result<Success<ListApiKeysResponse>, Refusal> {
    list(app, Ok(Path("self".to_owned())), headers).await
}

async fn list(
    State(app): Shared,
    user: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Success<ListApiKeysResponse>, Refusal> {
    let Path(user) = user.map_err(|error| Refusal::invalid(error.body_text()))?;
    let caller = caller(&app, &headers)?;
    Ok(Success(ListApiKeysResponse { data: app.service.list(&caller, &user)? }))
}

#[derive(Deserialize)]
struct Reveal {
    reveal: Option<String>,
}

async fn retrieve(
    State(app): Shared,
    names: Names,
    query: Result<Query<Reveal>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Success<GetApiKeyResponse>, Refusal> {
    let (user, name) = self::names(names)?;
    let caller = caller(&app, &headers)?;
    let Query(query) = query.map_err(|error| Refusal::invalid(error.body_text()))?;
    let reveal = match query.reveal.map(|text| text.to_ascii_lowercase()).as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::invalid("reveal is neither true nor false")),
    };
    Ok(Success(GetApiKeyResponse { data: app.service.get(&caller, &user, &name, reveal)? }))
}

async fn update(
    State(app): Shared,
    names: Names,
    headers: HeaderMap,
    body: Body,
) -> Result<Success<UpdateApiKeyResponse>, Refusal> {
    let (user, name) = self::names(names)?;
    let caller = caller(&app, &headers)?;
    let optional = ["state", "expiry_time", "clear_expiry_time"];
    let changes = document(&headers, body, &optional).await?;
    let updated = async move { app.service.update(&caller, &user, &name, &changes).await };
    Ok(Success(UpdateApiKeyResponse { data: to_its_end(updated).await? }))
}

async fn delete(
    State(app): Shared,
    names: Names,
    headers: HeaderMap,
) -> Result<Success<DeleteApiKeyResponse>, Refusal> {
    let (user, name) = self::names(names)?;
    let caller = caller(&app, &headers)?;
    let deleted = async move { app.service.delete(&caller, &user, &name).await };
    Ok(Success(DeleteApiKeyResponse { data: to_its_end(deleted).await? }))
}

async fn unknown_path() -> Refusal {
    Refusal::new(404, ErrorType::NotFound, "the API has no such path; is a prefix wrong?")
}

async fn unknown_method(method: Method) -> Refusal {
    let message = format!("the path does not answer to {method}");
    Refusal::new(405, ErrorType::MethodNotAllowed, message)
}

/// Lets a change come to its end also where the client leaves before.
async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(change).await.map_err(std::io::Error::other)?
}

/// Authenticates the caller, and checks the rate limit and what the caller accepts. What the
/// caller may do is decided with the operation itself.
fn caller(app: &App, headers: &HeaderMap) -> Result<LookupHash, Refusal> {
    let refused = |message: &str| Refusal::new(401, ErrorType::AuthException, message);
    let value = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        refused("the request is not signed; send the header `Authorization: ApiKey <key>`")
    })?;
    let (scheme, key) =
        value.to_str().ok().and_then(|text| text.trim().split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("apikey") {
        return Err(refused("the Authorization header is not of the form `ApiKey <key>`"));
    }
    let signer = app.service.signer(key.trim())?;
    if let Some(limiter) = &app.limiter
        && let Err(wait) = limiter.check_key(&signer.key_id)
    {
        let message = "the key signs too many requests; wait for as long as Retry-After says";
        return Err(Refusal {
            retry_after: Some(wait.wait_time_from(DefaultClock::default().now())),
            ..Refusal::new(429, ErrorType::RateLimitExceeded, message)
        });
    }
    if accepts_json(headers) {
        return Ok(signer.fingerprint);
    }
    let message = "the server answers in application/json alone, which the request does not accept";
    Err(Refusal::new(406, ErrorType::NotAcceptable, message))
}

/// Whether one of the media ranges that the request accepts covers JSON. Without the header it
/// accepts anything.
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().peekable();
    let accepts_all = accepted.peek().is_none();
    let mut ranges =
        accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    accepts_all
        || ranges.any(|range| {
            let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
            let covers = parts.next().is_some_and(|media| {
                matches!(media.as_str(), "*/*" | "application/*" | "application/json")
            });
            let refused = |part: String| {
                part.strip_prefix("q=")
                    .is_some_and(|q| q.parse::<f32>().is_ok_and(|quality| quality == 0.0))
            };
            covers && !parts.any(refused)
        })
}

/// The request's body, which is JSON. Its optional fields are left out or have a value; the types
/// that read it would take null for either.
async fn document<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    optional: &[&str],
) -> Result<T, Refusal> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = media.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let message = "the body's media type is not application/json; set Content-Type";
        return Err(Refusal::new(415, ErrorType::UnsupportedMediaType, message));
    }
    let body = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, LARGEST_BODY)).await;
    let body = body.map_err(|_| {
        let message = format!("the body did not come within {} s", BODY_TIMEOUT.as_secs());
        Refusal::new(408, ErrorType::ClientConnectionError, message)
    })?;
    let body = body.map_err(|error| {
        let is_too_large = std::error::Error::source(&error)
            .is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
        if is_too_large {
            let message = format!("the body is larger than {LARGEST_BODY} bytes");
            Refusal::new(413, ErrorType::ContentTooLarge, message)
        } else {
            Refusal::new(400, ErrorType::BadRequest, format!("the body cannot be read: {error}"))
        }
    })?;
    let unusable = |error: serde_json::Error| Refusal {
        place: Some((error.line(), error.column())),
        ..Refusal::invalid(format!("the body cannot be used: {error}"))
    };
    let request = serde_json::from_slice(&body).map_err(unusable)?;
    let fields: HashMap<String, Option<IgnoredAny>> =
        serde_json::from_slice(&body).map_err(unusable)?;
    match optional.iter().find(|name| matches!(fields.get(**name), Some(None))) {
        None => Ok(request),
        Some(name) => {
            let message = format!("the field {name:?} is null; give it a value or leave it out");
            Err(Refusal::invalid(message))
        }
    }
}

fn names(path: Names) -> Result<(String, String), Refusal> {
    path.map(|Path(names)| names).map_err(|error| Refusal::invalid(error.body_text()))
}
