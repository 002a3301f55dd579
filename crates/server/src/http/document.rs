//! The JSON body of a request.

use std::collections::HashMap;
use std::error::Error;
use std::sync::LazyLock;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use rockset_apikeys::ErrorType;
use rockset_apikeys::types::{CreateApiKeyRequest, UpdateApiKeyRequest};
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::error::ApiError;

/// The largest body, in bytes. The API's requests are far smaller.
const LARGEST_BODY: usize = 64 << 10;
/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The body of a request, of one of the contract's types.
pub(super) struct Document<T>(pub(super) T);

/// A type of the contract's request bodies.
pub(super) trait RequestBody: DeserializeOwned {
    /// The fields that the contract gives it.
    fn fields() -> &'static [String];
}

impl RequestBody for CreateApiKeyRequest {
    fn fields() -> &'static [String] {
        static FIELDS: LazyLock<Vec<String>> = LazyLock::new(fields_of::<CreateApiKeyRequest>);
        &FIELDS
    }
}

impl RequestBody for UpdateApiKeyRequest {
    fn fields() -> &'static [String] {
        static FIELDS: LazyLock<Vec<String>> = LazyLock::new(fields_of::<UpdateApiKeyRequest>);
        &FIELDS
    }
}

fn fields_of<T: JsonSchema>() -> Vec<String> {
    let schema = SchemaGenerator::default().into_root_schema_for::<T>();
    let properties = schema.get("properties").and_then(|properties| properties.as_object());
    properties.into_iter().flat_map(|properties| properties.keys().cloned()).collect()
}

impl<T: RequestBody, S: Sync> FromRequest<S> for Document<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let media = request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str());
        let media = media.and_then(Result::ok).and_then(|text| text.split(';').next());
        if !media.unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            let message = "the body's media type is not application/json; set Content-Type";
            return Err(ApiError::new(415, ErrorType::UnsupportedMediaType, message));
        }
        let body = tokio::time::timeout(BODY_TIMEOUT, to_bytes(request.into_body(), LARGEST_BODY));
        let body = body.await.map_err(|_| {
            let message = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
            ApiError::new(408, ErrorType::ClientConnectionError, message)
        })?;
        let body = body.map_err(|error| {
            if error.source().is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>()) {
                let message = format!("the body is larger than {LARGEST_BODY} bytes");
                return ApiError::new(413, ErrorType::ContentTooLarge, message);
            }
            let message = format!("the body cannot be read: {error}");
            ApiError::new(400, ErrorType::BadRequest, message)
        })?;
        parse(&body).map(Self)
    }
}

fn parse<T: RequestBody>(body: &[u8]) -> Result<T, ApiError> {
    let invalid = |error: serde_json::Error| ApiError {
        place: Some((error.line(), error.column())),
        ..ApiError::invalid(format!("the body is invalid: {error}"))
    };
    let request = serde_json::from_slice(body).map_err(invalid)?;
    // An optional field is left out or has a value; the type takes null for either.
    let sent: HashMap<String, Option<IgnoredAny>> =
        serde_json::from_slice(body).map_err(invalid)?;
    match T::fields().iter().find(|field| matches!(sent.get(*field), Some(None))) {
        None => Ok(request),
        Some(field) => {
            let message = format!("the field {field:?} is null; give it a value or leave it out");
            Err(ApiError::invalid(message))
        }
    }
}
