//! Responses: a success as JSON, a listing as a stream of JSON, and an error in the contract's
//! error model.

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use rockset_apikeys::ExposeSecrets;
use rockset_apikeys::types::{ApiKey, ErrorModel, ListApiKeysResponse};
use serde::Serialize;

use super::observe::trace_id;
use crate::error::ApiError;
use crate::service::Listing;

pub(super) struct Success<T>(pub(super) T);

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
        let trace_id = trace_id();
        if let Some(cause) = &self.cause {
            tracing::error!(trace_id, cause, "a request failed");
        }
        let (line, column) = self.place.unzip();
        let error = ErrorModel {
            message: Some(self.message),
            type_: Some(self.kind.clone()),
            trace_id,
            line: line.and_then(|line| line.try_into().ok()),
            column: column.and_then(|column| column.try_into().ok()),
            ..ErrorModel::default()
        };
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // The error model is text and numbers, which always serialize.
        let mut response = json(status, serde_json::to_vec(&error).unwrap_or_default());
        if let Some(wait) = self.retry_after {
            // Rounded up, so that the wait is over when it has passed.
            let seconds = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        // The log's line of the request names it.
        response.extensions_mut().insert(self.kind);
        response
    }
}

fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

/// Sends a listing as it is read. It fails after its beginning by being cut off, which no client
/// takes for a whole one.
pub(super) fn listing(mut listing: Listing) -> Result<Response, ApiError> {
    let internal = |error: serde_json::Error| ApiError::internal(error.to_string());
    let first = listing.next_page()?.unwrap_or_default();
    if listing.is_complete() {
        return Ok(Success(ListApiKeysResponse { data: first }).into_response());
    }
    let envelope =
        serde_json::to_string(&ListApiKeysResponse { data: Vec::new() }).map_err(internal)?;
    let no_list = || ApiError::internal(format!("a listing has no list: {envelope}"));
    let (start, end) = envelope.split_once("[]").ok_or_else(no_list)?;
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
            tracing::error!(%error, "a listing is cut off");
        }
        Some((page.map(|page| Bytes::from(format!(",{page}"))), Some((listing, end))))
    });
    let first = stream::once(async { Ok::<_, std::io::Error>(start) });
    Ok(json(StatusCode::OK, Body::from_stream(futures_util::StreamExt::chain(first, pages))))
}

/// Returns the elements of a JSON array, without its brackets.
fn elements(keys: &[ApiKey]) -> serde_json::Result<String> {
    let array = serde_json::to_string(keys)?;
    Ok(array.trim_start_matches('[').trim_end_matches(']').to_owned())
}
