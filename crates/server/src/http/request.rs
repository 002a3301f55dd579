//! Extractors: the caller and the JSON body. Every handler of an operation takes a [`Caller`] or a
//! [`Reader`].

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use rockset_apikeys::ErrorType;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::App;
use super::rate_limit::RateLimiter;
use crate::error::ApiError;
use crate::service::{Caller, Reader};

const KEY_WINDOW: Duration = Duration::from_secs(1);
const ADDRESS_WINDOW: Duration = Duration::from_secs(60);
/// The maximum size of a body, in bytes. The API's requests are far smaller.
const BODY_LIMIT: usize = 64 << 10;
/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Limits of requests; `None` disables a limit.
pub(crate) struct RequestLimits {
    /// Requests per key per second.
    pub(crate) rate_limit: Option<NonZeroU32>,
    /// Failed authentications per address per minute.
    pub(crate) auth_failure_limit: Option<NonZeroU32>,
}

pub(super) struct Limiters {
    requests: Option<RateLimiter<i64>>,
    auth_failures: Option<RateLimiter<IpAddr>>,
}

impl Limiters {
    pub(super) fn new(limits: RequestLimits) -> Self {
        let auth_failures = limits.auth_failure_limit;
        Self {
            requests: limits.rate_limit.map(|limit| RateLimiter::new(limit, KEY_WINDOW)),
            auth_failures: auth_failures.map(|limit| RateLimiter::new(limit, ADDRESS_WINDOW)),
        }
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        // This ends the transaction, which must not stay open while the body arrives.
        Reader::from_request_parts(parts, app).await.map(|reader| reader.caller)
    }
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = ApiError;

    /// Authenticates the caller, and checks the limits and the `Accept` header.
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let authenticated = key(&parts.headers).and_then(|key| app.service.authenticate(key));
        let reader = authenticated.map_err(|error| {
            let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
            match (&app.limiters.auth_failures, address) {
                (Some(limiter), Some(ConnectInfo(address))) if error.status == 401 => {
                    limiter.check(network(address.ip())).err().map_or(error, |wait| {
                        let message = "too many failed authentications from this address";
                        ApiError::too_many_requests(message, wait)
                    })
                }
                _ => error,
            }
        })?;
        if let Some(limiter) = &app.limiters.requests {
            limiter.check(reader.caller.key_id).map_err(|wait| {
                let message = "too many requests with this API key; see the Retry-After header";
                ApiError::too_many_requests(message, wait)
            })?;
        }
        if accepts_json(&parts.headers) {
            return Ok(reader);
        }
        let message = "responses are application/json; allow it in the Accept header";
        Err(ApiError::new(406, ErrorType::NotAcceptable, message))
    }
}

/// Returns the key from the `Authorization` header.
fn key(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| {
        ApiError::unauthorized("missing API key; send the header `Authorization: ApiKey <key>`")
    })?;
    if values.next().is_some() {
        return Err(ApiError::unauthorized("more than one Authorization header"));
    }
    match value.to_str().ok().and_then(|text| text.trim().split_once(' ')) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("apikey") => Ok(key.trim()),
        _ => Err(ApiError::unauthorized("invalid Authorization header; expected `ApiKey <key>`")),
    }
}

/// Returns the address to count, or the /64 network of an IPv6 address.
///
/// An IPv6 subscriber has all addresses of such a network.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => {
            Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into()
        }
        _ => address.to_canonical(),
    }
}

/// Returns whether the `Accept` header allows JSON. A request without the header accepts anything.
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().peekable();
    let accepts_all = accepted.peek().is_none();
    let mut ranges =
        accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    accepts_all
        || ranges.any(|range| {
            let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
            let includes = parts.next().is_some_and(|media| {
                matches!(media.as_str(), "*/*" | "application/*" | "application/json")
            });
            let excludes = |part: String| {
                part.strip_prefix("q=")
                    .is_some_and(|q| q.parse::<f32>().is_ok_and(|quality| quality == 0.0))
            };
            includes && !parts.any(excludes)
        })
}

/// A JSON body of one of the contract's types.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned + JsonSchema, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let media = request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str());
        let media = media.and_then(Result::ok).and_then(|text| text.split(';').next());
        if !media.unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            let message = "unsupported media type; set Content-Type to application/json";
            return Err(ApiError::new(415, ErrorType::UnsupportedMediaType, message));
        }
        let body = tokio::time::timeout(BODY_TIMEOUT, to_bytes(request.into_body(), BODY_LIMIT));
        let body = body.await.map_err(|_| {
            let message = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
            ApiError::new(408, ErrorType::ClientConnectionError, message)
        })?;
        let body = body.map_err(|error| {
            if error.source().is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>()) {
                let message = format!("the body is larger than {BODY_LIMIT} bytes");
                return ApiError::new(413, ErrorType::ContentTooLarge, message);
            }
            ApiError::new(400, ErrorType::BadRequest, format!("cannot read the body: {error}"))
        })?;
        parse(&body).map(Self)
    }
}

fn parse<T: DeserializeOwned + JsonSchema>(body: &[u8]) -> Result<T, ApiError> {
    let invalid = |error: serde_json::Error| ApiError {
        position: Some((error.line(), error.column())),
        ..ApiError::invalid(format!("invalid body: {error}"))
    };
    let request = serde_json::from_slice(body).map_err(invalid)?;
    // The type accepts null in its optional fields; the contract does not.
    let fields: BTreeMap<String, Option<IgnoredAny>> =
        serde_json::from_slice(body).map_err(invalid)?;
    let mut nulls = fields.into_iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name);
    match nulls.find(|name| has_field::<T>(name)) {
        None => Ok(request),
        Some(name) => {
            Err(ApiError::invalid(format!("the field {name:?} is null; set a value or omit it")))
        }
    }
}

fn has_field<T: JsonSchema>(name: &str) -> bool {
    let schema = SchemaGenerator::default().into_root_schema_for::<T>();
    schema.get("properties").is_some_and(|properties| properties.get(name).is_some())
}
