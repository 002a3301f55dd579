//! Who calls. [`Caller`] and [`Reader`] are extractors, and no operation runs without one of them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use rockset_apikeys::ErrorType;

use super::{App, RequestLimits};
use crate::error::ApiError;
use crate::rate_limit::RateLimiter;
use crate::service::{Caller, Reader};

/// The windows of time in which requests are counted.
const KEY_WINDOW: Duration = Duration::from_secs(1);
const ADDRESS_WINDOW: Duration = Duration::from_secs(60);

pub(super) struct Limiters {
    per_key: Option<RateLimiter<i64>>,
    bad_keys: Option<RateLimiter<IpAddr>>,
}

impl Limiters {
    pub(super) fn new(limits: RequestLimits) -> Self {
        Self {
            per_key: limits.per_key.map(|limit| RateLimiter::new(limit, KEY_WINDOW)),
            bad_keys: limits.bad_keys.map(|limit| RateLimiter::new(limit, ADDRESS_WINDOW)),
        }
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        // The transaction ends here, before the request's body is waited for.
        authenticate(parts, app).map(|(caller, _)| caller)
    }
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        authenticate(parts, app).map(|(_, reader)| reader)
    }
}

/// Authenticates the caller, and checks the rate limits and what the caller accepts.
fn authenticate(parts: &Parts, app: &App) -> Result<(Caller, Reader), ApiError> {
    let authenticated = key(&parts.headers).and_then(|key| app.service.authenticate(key));
    let (caller, reader) = authenticated.map_err(|error| {
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        match (&app.limiters.bad_keys, address) {
            (Some(limiter), Some(ConnectInfo(address))) if error.status == 401 => {
                limiter.check(network(address.ip())).err().map_or(error, |wait| {
                    let message = "too many requests of this address have no valid key";
                    ApiError::too_many_requests(message, wait)
                })
            }
            _ => error,
        }
    })?;
    if let Some(limiter) = &app.limiters.per_key {
        limiter.check(caller.key_id).map_err(|wait| {
            let message = "the key makes too many requests; wait for as long as Retry-After says";
            ApiError::too_many_requests(message, wait)
        })?;
    }
    if accepts_json(&parts.headers) {
        return Ok((caller, reader));
    }
    let message = "responses are application/json, which the request does not accept";
    Err(ApiError::new(406, ErrorType::NotAcceptable, message))
}

/// Returns the key of the one Authorization header.
fn key(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| {
        ApiError::unauthorized("send the API key in the header `Authorization: ApiKey <key>`")
    })?;
    if values.next().is_some() {
        return Err(ApiError::unauthorized("the request has more than one Authorization header"));
    }
    match value.to_str().ok().and_then(|text| text.trim().split_once(' ')) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("apikey") => Ok(key.trim()),
        _ => Err(ApiError::unauthorized("the Authorization header is not `ApiKey <key>`")),
    }
}

/// Returns an address, or the network that one subscriber of IPv6 has all addresses of.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => {
            Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into()
        }
        _ => address.to_canonical(),
    }
}

/// Whether one of the media ranges that the request accepts includes JSON. Without the header it
/// accepts anything.
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
