//! How the API is spoken: routes, headers, bodies, and the form of an answer. What is allowed and
//! what happens is in `rules.rs`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rockset_apikeys::ErrorType;
use rockset_apikeys::types::{
    CreateApiKeyResponse, DeleteApiKeyResponse, ErrorModel, GetApiKeyResponse, ListApiKeysResponse,
    UpdateApiKeyResponse,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::rules::{Refusal, Rules, Signer};

type Shared = State<Arc<Mutex<Rules>>>;
type Names = Result<Path<(String, String)>, PathRejection>;
type Body = Result<Bytes, BytesRejection>;

/// The routes of the contract, and errors of its form for all others.
pub(crate) fn router(rules: Rules) -> Router {
    Router::new()
        .route("/v1/orgs/self/users/self/apikeys", get(list_own).post(create))
        .route("/v1/orgs/self/users/{user}/apikeys", get(list))
        .route(
            "/v1/orgs/self/users/{user}/apikeys/{name}",
            get(retrieve).post(update).delete(delete),
        )
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .with_state(Arc::new(Mutex::new(rules)))
}

/// A success, as JSON.
struct Success<T>(T);

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => json(StatusCode::OK, body),
            Err(error) => {
                Refusal::new(500, ErrorType::InternalError, error.to_string()).into_response()
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (line, column) = self.place.unzip();
        let error = ErrorModel {
            message: Some(self.message),
            type_: Some(self.kind),
            trace_id: Some(format!("{:016x}", rand::random::<u64>())),
            line: line.and_then(|line| line.try_into().ok()),
            column: column.and_then(|column| column.try_into().ok()),
            ..ErrorModel::default()
        };
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // The error model is text and numbers, which always serialize.
        json(status, serde_json::to_vec(&error).unwrap_or_default())
    }
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn create(
    State(rules): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Success<CreateApiKeyResponse>, Refusal> {
    let mut rules = lock(&rules);
    let signer = signer(&mut rules, &headers)?;
    let request = document(&headers, body)?;
    Ok(Success(CreateApiKeyResponse { data: rules.create(&signer, request)? }))
}

async fn list_own(
    rules: Shared,
    headers: HeaderMap,
) -> Result<Success<ListApiKeysResponse>, Refusal> {
    list(rules, Ok(Path("self".to_owned())), headers).await
}

async fn list(
    State(rules): Shared,
    user: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Success<ListApiKeysResponse>, Refusal> {
    let Path(user) = user.map_err(|error| Refusal::invalid(error.body_text()))?;
    let mut rules = lock(&rules);
    let signer = signer(&mut rules, &headers)?;
    Ok(Success(ListApiKeysResponse { data: rules.list(&signer, &user)? }))
}

#[derive(Deserialize)]
struct Reveal {
    reveal: Option<String>,
}

async fn retrieve(
    State(rules): Shared,
    names: Names,
    query: Result<Query<Reveal>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Success<GetApiKeyResponse>, Refusal> {
    let (user, name) = self::names(names)?;
    let mut rules = lock(&rules);
    let signer = signer(&mut rules, &headers)?;
    let Query(query) = query.map_err(|error| Refusal::invalid(error.body_text()))?;
    let reveal = match query.reveal.map(|text| text.to_ascii_lowercase()).as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::invalid("reveal is neither true nor false")),
    };
    Ok(Success(GetApiKeyResponse { data: rules.get(&signer, &user, &name, reveal)? }))
}

async fn update(
    State(rules): Shared,
    names: Names,
    headers: HeaderMap,
    body: Body,
) -> Result<Success<UpdateApiKeyResponse>, Refusal> {
    let (user, name) = self::names(names)?;
    let mut rules = lock(&rules);
    let signer = signer(&mut rules, &headers)?;
    let changes = document(&headers, body)?;
    Ok(Success(UpdateApiKeyResponse { data: rules.update(&signer, &user, &name, changes)? }))
}

async fn delete(
    State(rules): Shared,
    names: Names,
    headers: HeaderMap,
) -> Result<Success<DeleteApiKeyResponse>, Refusal> {
    let (user, name) = self::names(names)?;
    let mut rules = lock(&rules);
    let signer = signer(&mut rules, &headers)?;
    Ok(Success(DeleteApiKeyResponse { data: rules.delete(&signer, &user, &name)? }))
}

async fn unknown_path() -> Refusal {
    Refusal::new(404, ErrorType::NotFound, "the API has no such path; is a prefix wrong?")
}

async fn unknown_method(method: Method) -> Refusal {
    let message = format!("the path does not answer to {method}");
    Refusal::new(405, ErrorType::MethodNotAllowed, message)
}

/// The rules change in one step under the lock, so that a panic elsewhere leaves them whole.
fn lock(rules: &Mutex<Rules>) -> MutexGuard<'_, Rules> {
    rules.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who signs the request, once it is known that the answer can be read.
fn signer(rules: &mut Rules, headers: &HeaderMap) -> Result<Signer, Refusal> {
    let refused = |message: &str| Refusal::new(401, ErrorType::AuthException, message);
    let value = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        refused("the request is not signed; send the header `Authorization: ApiKey <key>`")
    })?;
    let (scheme, key) =
        value.to_str().ok().and_then(|text| text.trim().split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("apikey") {
        return Err(refused("the Authorization header is not of the form `ApiKey <key>`"));
    }
    let signer = rules.signer(key.trim())?;
    if accepts_json(headers) {
        return Ok(signer);
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

/// The request's body, which is JSON.
fn document<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Refusal> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = media.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let message = "the body's media type is not application/json; set Content-Type";
        return Err(Refusal::new(415, ErrorType::UnsupportedMediaType, message));
    }
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Refusal::new(413, ErrorType::ContentTooLarge, "the body is too large")
        }
        _ => Refusal::new(400, ErrorType::BadRequest, error.body_text()),
    })?;
    serde_json::from_slice(&body).map_err(|error| Refusal {
        place: Some((error.line(), error.column())),
        ..Refusal::invalid(format!("the body cannot be used: {error}"))
    })
}

fn names(path: Names) -> Result<(String, String), Refusal> {
    path.map(|Path(names)| names).map_err(|error| Refusal::invalid(error.body_text()))
}
