//! How the API is spoken: the routes, and a handler for each. What a handler needs of a request is
//! its arguments: who calls, then the path, then the body.

mod caller;
mod document;
mod faults;
mod observe;
mod response;

use std::future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use jiff::fmt::rfc2822::DateTimePrinter;
use rockset_apikeys::ErrorType;
use rockset_apikeys::types::{
    CreateApiKeyRequest, CreateApiKeyResponse, DeleteApiKeyResponse, GetApiKeyResponse,
    UpdateApiKeyRequest, UpdateApiKeyResponse,
};
use serde::Deserialize;
use serde_json::json;

use crate::clock::Clock;
use crate::error::ApiError;
use crate::fault::Faults;
use crate::record::SELF;
use crate::service::{Caller, Reader, Service};
use caller::Limiters;
use document::Document;
use response::{Success, listing};

pub(crate) use faults::DropConnection;

/// What the handlers share.
pub(crate) struct App {
    service: Arc<Service>,
    faults: Arc<Faults>,
    limiters: Limiters,
}

/// How many requests are served.
#[derive(Clone, Copy, Default)]
pub(crate) struct RequestLimits {
    /// Of one key, in any second.
    pub(crate) per_key: Option<NonZeroU32>,
    /// With keys that do not exist or do not work, from one address, in any minute.
    pub(crate) bad_keys: Option<NonZeroU32>,
}

impl App {
    pub(crate) fn new(
        service: Arc<Service>,
        faults: Arc<Faults>,
        limits: RequestLimits,
    ) -> Arc<Self> {
        Arc::new(Self { service, faults, limiters: Limiters::new(limits) })
    }
}

type Shared = State<Arc<App>>;
type UserPath = Result<Path<String>, PathRejection>;
type KeyPath = Result<Path<(String, String)>, PathRejection>;

/// The routes of the contract, and its error model for all others. `/health` is outside the
/// contract, and so is `/faults`.
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
        .layer(middleware::from_fn_with_state(Arc::clone(&app), faults::apply))
        .layer(middleware::from_fn(observe::observe));
    let mut router = contract.route("/health", get(health));
    if with_faults {
        router = router.merge(faults::routes());
    }
    router.with_state(app)
}

/// Gives responses the date that the clock shows. Without it they have the system's.
pub(crate) fn dated(router: Router, clock: Clock) -> Router {
    if clock.is_system() {
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
    Document(request): Document<CreateApiKeyRequest>,
) -> Result<Success<CreateApiKeyResponse>, ApiError> {
    Ok(Success(CreateApiKeyResponse { data: app.service.create(caller, request).await? }))
}

async fn list_own(State(app): Shared, reader: Reader) -> Result<Response, ApiError> {
    listing(app.service.list(reader, SELF)?)
}

async fn list(State(app): Shared, reader: Reader, user: UserPath) -> Result<Response, ApiError> {
    let Path(user) = user.map_err(|error| ApiError::invalid(error.body_text()))?;
    listing(app.service.list(reader, &user)?)
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
        Some(_) => return Err(ApiError::invalid("reveal is neither true nor false")),
    };
    Ok(Success(GetApiKeyResponse { data: app.service.get(&reader, &user, &name, reveal)? }))
}

async fn update(
    State(app): Shared,
    caller: Caller,
    path: KeyPath,
    Document(changes): Document<UpdateApiKeyRequest>,
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
    ApiError::not_found("the API has no such path; is a prefix wrong?")
}

async fn unknown_method() -> ApiError {
    // The method itself may be a key that was sent in its place.
    let message = "the path does not support this method; Allow has the methods that it supports";
    ApiError::new(405, ErrorType::MethodNotAllowed, message)
}

async fn health(State(app): Shared) -> Response {
    if app.service.is_healthy().await {
        return Json(json!({ "status": "ok" })).into_response();
    }
    let body = Json(json!({ "status": "the database is unavailable" }));
    let wait = [("retry-after", Duration::from_secs(1).as_secs().to_string())];
    (StatusCode::SERVICE_UNAVAILABLE, wait, body).into_response()
}
