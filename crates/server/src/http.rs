//! The HTTP interface: routes, handlers and responses.
//!
//! A handler takes what it needs as arguments: first the caller, then the path, then the body.
//! `http/request.rs` extracts them.

mod rate_limit;
mod request;
mod trace;

use std::future;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use futures_util::{StreamExt, stream};
use jiff::fmt::rfc2822::DateTimePrinter;
use rockset_apikeys::types::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, DeleteApiKeyResponse, ErrorModel,
    GetApiKeyResponse, ListApiKeysResponse, UpdateApiKeyRequest, UpdateApiKeyResponse,
};
use rockset_apikeys::{ErrorType, ExposeSecrets};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::ApiError;
use crate::faults::{self, Faults};
use crate::record::SELF;
use crate::service::{Caller, Listing, Reader, Service};
use crate::time::Clock;
use request::{JsonBody, Limiters};

pub(crate) use request::RequestLimits;

/// The state that the handlers share.
struct App {
    service: Arc<Service>,
    limiters: Limiters,
}

type Shared = State<Arc<App>>;
type UserPath = Result<Path<String>, PathRejection>;
type KeyPath = Result<Path<(String, String)>, PathRejection>;

/// Returns the routes of the contract and `/health`.
///
/// All other paths get an error of the contract's error model.
pub(crate) fn router(service: Arc<Service>, faults: Arc<Faults>, limits: RequestLimits) -> Router {
    let app = Arc::new(App { service, limiters: Limiters::new(limits) });
    Router::new()
        .route("/v1/orgs/self/users/self/apikeys", get(list_own).post(create))
        .route("/v1/orgs/self/users/{user}/apikeys", get(list))
        .route(
            "/v1/orgs/self/users/{user}/apikeys/{name}",
            get(retrieve).post(update).delete(delete),
        )
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(middleware::from_fn_with_state(faults, faults::apply))
        .layer(middleware::from_fn(trace::trace))
        .route("/health", get(health))
        .with_state(app)
}

/// Sets the `Date` header of all responses to the clock's time.
pub(crate) fn dated(router: Router, clock: Clock) -> Router {
    if clock.is_system() {
        // hyper sets the header.
        return router;
    }
    router.layer(middleware::map_response(move |mut response: Response| {
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&clock.now()).ok();
        if let Some(date) = date.and_then(|date| HeaderValue::try_from(date).ok()) {
            response.headers_mut().insert(header::DATE, date);
        }
        future::ready(response)
    }))
}

async fn create(
    State(app): Shared,
    caller: Caller,
    JsonBody(request): JsonBody<CreateApiKeyRequest>,
) -> Result<Success<CreateApiKeyResponse>, ApiError> {
    Ok(Success(CreateApiKeyResponse { data: app.service.create(caller, request).await? }))
}

async fn list_own(State(app): Shared, reader: Reader) -> Result<Response, ApiError> {
    send(app.service.list(reader, SELF)?)
}

async fn list(State(app): Shared, reader: Reader, user: UserPath) -> Result<Response, ApiError> {
    let Path(user) = user.map_err(|error| ApiError::invalid(error.body_text()))?;
    send(app.service.list(reader, &user)?)
}

#[derive(Deserialize)]
struct Reveal {
    reveal: Option<String>,
}

async fn retrieve(
    State(app): Shared,
    reader: Reader,
    path: KeyPath,
    query: Result<Query<Reveal>, QueryRejection>,
) -> Result<Success<GetApiKeyResponse>, ApiError> {
    let (user, name) = segments(path)?;
    let Query(query) = query.map_err(|error| ApiError::invalid(error.body_text()))?;
    let reveal = match query.reveal {
        None => false,
        Some(text) if text.eq_ignore_ascii_case("false") => false,
        Some(text) if text.eq_ignore_ascii_case("true") => true,
        Some(_) => return Err(ApiError::invalid("invalid reveal; expected true or false")),
    };
    Ok(Success(GetApiKeyResponse { data: app.service.get(&reader, &user, &name, reveal)? }))
}

async fn update(
    State(app): Shared,
    caller: Caller,
    path: KeyPath,
    JsonBody(changes): JsonBody<UpdateApiKeyRequest>,
) -> Result<Success<UpdateApiKeyResponse>, ApiError> {
    let (user, name) = segments(path)?;
    let data = app.service.update(caller, user, name, changes).await?;
    Ok(Success(UpdateApiKeyResponse { data }))
}

async fn delete(
    State(app): Shared,
    caller: Caller,
    path: KeyPath,
) -> Result<Success<DeleteApiKeyResponse>, ApiError> {
    let (user, name) = segments(path)?;
    Ok(Success(DeleteApiKeyResponse { data: app.service.delete(caller, user, name).await? }))
}

fn segments(path: KeyPath) -> Result<(String, String), ApiError> {
    path.map(|Path(segments)| segments).map_err(|error| ApiError::invalid(error.body_text()))
}

async fn unknown_path() -> ApiError {
    ApiError::not_found("the API has no such path; check the URL's prefix")
}

async fn unknown_method() -> ApiError {
    // The message does not quote the method, which may be a misplaced key.
    let message = "method not allowed; the Allow header lists the supported methods";
    ApiError::new(405, ErrorType::MethodNotAllowed, message)
}

async fn health(State(app): Shared) -> Response {
    if app.service.is_healthy().await {
        return Json(json!({ "status": "ok" })).into_response();
    }
    let body = Json(json!({ "status": "the database is unavailable" }));
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], body).into_response()
}

struct Success<T>(T);

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&ExposeSecrets(&self.0)) {
            Ok(body) => json(StatusCode::OK, body),
            Err(error) => ApiError::internal(error.to_string()).into_response(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let trace_id = trace::current_id();
        if let Some(cause) = &self.cause {
            tracing::error!(trace_id, cause, "request failed");
        }
        let (line, column) = self.position.unzip();
        let error = ErrorModel {
            message: Some(self.message),
            type_: Some(self.kind.clone()),
            trace_id,
            line: line.and_then(|line| line.try_into().ok()),
            column: column.and_then(|column| column.try_into().ok()),
            ..ErrorModel::default()
        };
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Strings and numbers always serialize.
        let mut response = json(status, serde_json::to_vec(&error).unwrap_or_default());
        if let Some(wait) = self.retry_after {
            // Rounds up, so that a client that waits for this long has waited long enough.
            let seconds = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        // For the request's log line.
        response.extensions_mut().insert(self.kind);
        response
    }
}

fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

/// Streams a listing.
///
/// If reading a page fails, the response is cut off, so that clients cannot mistake it for a
/// complete one.
fn send(mut listing: Listing) -> Result<Response, ApiError> {
    let internal = |error: serde_json::Error| ApiError::internal(error.to_string());
    let first = listing.next_page()?.unwrap_or_default();
    if listing.is_complete() {
        return Ok(Success(ListApiKeysResponse { data: first }).into_response());
    }
    let empty = serde_json::to_string(&ListApiKeysResponse { data: Vec::new() });
    let empty = empty.map_err(internal)?;
    let no_list = || ApiError::internal(format!("an empty listing contains no list: {empty}"));
    let (start, end) = empty.split_once("[]").ok_or_else(no_list)?;
    let start = Bytes::from(format!("{start}[{}", elements(&first).map_err(internal)?));
    let end = format!("]{end}");
    let pages = stream::unfold(Some((listing, end)), async |state| {
        let (mut listing, end) = state?;
        let page = match listing.next_page_in_turn().await {
            Ok(Some(page)) => elements(&page).map_err(std::io::Error::from),
            Ok(None) => return Some((Ok(Bytes::from(end)), None)),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = &page {
            tracing::error!(%error, "listing cut off");
        }
        Some((page.map(|page| Bytes::from(format!(",{page}"))), Some((listing, end))))
    });
    let first = stream::once(async { Ok::<_, std::io::Error>(start) });
    Ok(json(StatusCode::OK, Body::from_stream(first.chain(pages))))
}

/// Returns the elements of a JSON array without its brackets.
fn elements(keys: &[ApiKey]) -> serde_json::Result<String> {
    let array = serde_json::to_string(keys)?;
    Ok(array.trim_start_matches('[').trim_end_matches(']').to_owned())
}
