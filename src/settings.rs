//! Checks each setting of a client, and names its source in errors. No error quotes a key, a password
//! or a header's value.

use std::borrow::Cow;
use std::net::IpAddr;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    TRANSFER_ENCODING, USER_AGENT,
};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::generated::{AUTHENTICATION_HEADER, AUTHENTICATION_PREFIX};
use crate::values::ApiKeyValue;

const PRODUCT: &str = concat!("rockset-apikeys/", env!("CARGO_PKG_VERSION"));

/// The headers that the client sets itself.
const OWN_HEADERS: [HeaderName; 8] = [
    ACCEPT,
    AUTHENTICATION_HEADER,
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HOST,
    TRANSFER_ENCODING,
    USER_AGENT,
];

/// A setting and where it came from, as errors name it.
pub(crate) struct Sourced<T> {
    pub(crate) source: Cow<'static, str>,
    pub(crate) value: T,
}

impl<T> Sourced<T> {
    pub(crate) fn new(source: impl Into<Cow<'static, str>>, value: T) -> Self {
        Self { source: source.into(), value }
    }
}

/// The settings that can be read from outside.
pub(crate) struct SourcedSettings {
    pub(crate) api_key: Sourced<ApiKeyValue>,
    /// A URL or a bare host.
    pub(crate) api_server: Option<Sourced<String>>,
}

/// Returns the header's value for a key. Nothing prints it, and its memory is wiped when the last
/// copy is dropped; what the HTTP library writes to its own buffers is out of reach.
pub(crate) fn authorization(key: &Sourced<ApiKeyValue>) -> Result<HeaderValue, Error> {
    let (source, key) = (&key.source, key.value.expose_secret());
    if key.is_empty() {
        return Err(Error::rejected(format!("{source} is empty")));
    }
    if let Some(position) = key.chars().position(|char| !char.is_ascii_graphic()) {
        return Err(Error::rejected(format!(
            "{source} is not valid: character {} of {} is not printable ASCII; check for a pasted \
             space or newline",
            position + 1,
            key.chars().count()
        )));
    }
    let text = Zeroizing::new([AUTHENTICATION_PREFIX, key].concat().into_bytes());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
        .map_err(|error| Error::rejected_because(format!("{source} is not valid"), error))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Parses the URL of an API server.
pub(crate) fn api_server(server: &Sourced<String>) -> Result<Url, Error> {
    let Sourced { source, value } = server;
    let example = "use a URL such as https://api.use1a1.rockset.com";
    if !value.contains("://") {
        // Otherwise `localhost:8080` would be a URL with the scheme `localhost`. The text is not
        // quoted: mixed-up arguments put the key here.
        return Err(Error::rejected(format!("{source} is not a URL; {example}")));
    }
    let url = Url::parse(value).map_err(|error| {
        Error::rejected_because(format!("{source} is not a valid URL; {example}"), error)
    })?;
    let reason = if !matches!(url.scheme(), "http" | "https") {
        "is neither http nor https"
    } else if !url.username().is_empty() || url.password().is_some() {
        "has a user name or password, which this API does not use"
    } else if url.query().is_some() || url.fragment().is_some() {
        "has more than a host, a port and a path"
    } else {
        return Ok(url);
    };
    Err(Error::rejected(format!("{source} {reason}; {example}")))
}

/// Rejects servers that cannot be reached safely, or not at all by this build.
pub(crate) fn check_transport(
    server: &Url,
    source: &str,
    is_local: bool,
    allow_http: bool,
    has_own_tls: bool,
) -> Result<(), Error> {
    if server.scheme() == "http" && !is_local && !allow_http {
        return Err(Error::rejected(format!(
            "{source}, {server}, would send the key unencrypted to another host; use https, or \
             permit it with `allow_http`"
        )));
    }
    let tls = cfg!(any(feature = "rustls", feature = "native-tls")) || has_own_tls;
    if server.scheme() == "https" && !tls {
        return Err(Error::rejected(format!(
            "{source}, {server}, is https, and this build has no TLS; enable the feature `rustls` \
             or `native-tls` of rockset-apikeys"
        )));
    }
    Ok(())
}

/// Whether the URL's host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns the `User-Agent`.
pub(crate) fn user_agent(application: Option<&str>) -> Result<HeaderValue, Error> {
    let Some(name) = application else { return Ok(HeaderValue::from_static(PRODUCT)) };
    let is_printable = |char: char| char == ' ' || char.is_ascii_graphic();
    if name.trim().is_empty() || !name.chars().all(is_printable) {
        return Err(Error::rejected(format!(
            "the application {name:?} is empty or has characters that are not printable ASCII"
        )));
    }
    HeaderValue::from_str(&format!("{name} {PRODUCT}"))
        .map_err(|error| Error::rejected_because("the application is not valid", error))
}

/// Parses a header for every request.
pub(crate) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let rejected = |reason| Error::rejected(format!("the default header {name:?} {reason}"));
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err(rejected("has a name that no header can have"));
    };
    if OWN_HEADERS.contains(&header) {
        return Err(rejected("is set by the client itself"));
    }
    let Ok(mut value) = HeaderValue::from_str(value) else {
        return Err(rejected("has a value that is not printable ASCII"));
    };
    value.set_sensitive(true);
    Ok((header, value))
}

/// Parses the URL of a proxy.
pub(crate) fn proxy(url: &str) -> Result<reqwest::Proxy, Error> {
    let is_http = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    match reqwest::Proxy::all(url) {
        Ok(proxy) if is_http => Ok(proxy),
        _ => Err(Error::rejected(
            "the proxy is not an http or https URL; use a URL such as http://host:3128",
        )),
    }
}

/// Parses certificates in PEM.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
pub(crate) fn root_certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, Error> {
    let reason = "the root certificate is not PEM, which begins with -----BEGIN CERTIFICATE-----";
    match reqwest::Certificate::from_pem_bundle(pem) {
        Ok(certificates) if certificates.is_empty() => Err(Error::rejected(reason)),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(Error::rejected_because(reason, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorization_header_is_marked_sensitive() -> Result<(), Error> {
        // No test from outside can see what the HTTP library does with the mark.
        let key = ApiKeyValue::from("a-key-without-spaces");
        let value = authorization(&Sourced::new("the key", key))?;
        assert!(value.is_sensitive());
        assert_eq!(value.as_bytes(), b"ApiKey a-key-without-spaces");
        Ok(())
    }
}
