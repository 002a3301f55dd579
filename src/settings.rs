//! Validates each setting of a client. Errors name the setting's source and a fix. They contain no
//! keys, passwords or header values.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING, USER_AGENT,
};

use crate::error::Error;
use crate::generated::AUTHENTICATION_HEADER;
use crate::wire::redaction;

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

/// The fix in errors about an API server.
const SERVER_FIX: &str =
    "use a host or URL such as http://127.0.0.1:8080 or https://api.example.com";

/// A setting together with its source, which errors name: a setter, a variable or a file.
#[derive(Clone)]
pub(crate) struct Sourced<T> {
    pub(crate) source: Cow<'static, str>,
    pub(crate) value: T,
}

impl fmt::Debug for Sourced<Result<Url, Error>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Ok(url) => write!(f, "{url} from {}", self.source),
            Err(error) => write!(f, "{error}"),
        }
    }
}

impl<T> Sourced<T> {
    pub(crate) fn new(source: impl Into<Cow<'static, str>>, value: T) -> Self {
        Self { source: source.into(), value }
    }
}

/// Parses the URL or the bare host of an API server. A bare host gets `http://` if it is a loopback
/// host, and `https://` otherwise.
pub(crate) fn api_server(server: &Sourced<String>) -> Result<Url, Error> {
    let Sourced { source, value } = server;
    let message = |cause| {
        format!("cannot use API server {} from {source}: {cause}; {SERVER_FIX}", redacted(value))
    };
    let url = if value.contains("://") {
        Url::parse(value)
    } else if is_bare_host(value) {
        match Url::parse(&format!("http://{value}")) {
            Ok(url) if !is_loopback(&url) => Url::parse(&format!("https://{value}")),
            parsed => parsed,
        }
    } else {
        let cause = "it is neither a URL nor a host with a dot or a port";
        return Err(Error::invalid_input(message(cause)));
    };
    let url =
        url.map_err(|error| Error::invalid_input_because(message("it is not a valid URL"), error))?;
    let cause = if !matches!(url.scheme(), "http" | "https") {
        "its scheme is neither http nor https"
    } else if !url.username().is_empty() || url.password().is_some() {
        "it contains a user name or password, which this API does not use"
    } else if url.query().is_some() || url.fragment().is_some() {
        "it contains a query or a fragment"
    } else if http::Uri::try_from(url.as_str()).is_err() {
        // For example, a template whose host was not filled in.
        "it contains characters that are invalid in a request"
    } else {
        return Ok(url);
    };
    Err(Error::invalid_input(message(cause)))
}

/// Returns whether the value starts with a host. A single word may be a key that was passed by
/// mistake; a DNS query would reveal it.
fn is_bare_host(value: &str) -> bool {
    let host = value.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let has_dot_or_port = host.contains(['.', ':']) && !host.ends_with(':');
    has_dot_or_port || host.eq_ignore_ascii_case("localhost")
}

/// Quotes a URL or a host, without user name, password, query, and words that may be keys.
fn redacted(url: &str) -> String {
    if !url.is_empty() && !url.contains(['.', ':', '/']) {
        return "[REDACTED]".to_owned();
    }
    let (scheme, rest) = url.find("://").map_or(("", url), |at| url.split_at(at + 3));
    let rest = rest.rsplit('@').next().unwrap_or_default();
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    format!("{:?}", redaction::redact(&[scheme, rest].concat(), None))
}

/// Rejects servers that cannot be reached safely or by this build.
pub(crate) fn check_transport(
    server: &Url,
    source: &str,
    is_local: bool,
    allow_http: bool,
    has_own_tls: bool,
) -> Result<(), Error> {
    let url = redacted(server.as_str());
    if server.scheme() == "http" && !is_local && !allow_http {
        return Err(Error::invalid_input(format!(
            "cannot use API server {url} from {source}: it would receive the key unencrypted; use \
             https, or permit http with `allow_http`"
        )));
    }
    let tls = cfg!(any(feature = "rustls-no-provider", feature = "native-tls")) || has_own_tls;
    if server.scheme() == "https" && !tls {
        return Err(Error::invalid_input(format!(
            "cannot use API server {url} from {source}: this build does not support TLS; enable \
             the feature `rustls` or `native-tls` of rockset-apikeys"
        )));
    }
    Ok(())
}

/// Rejects a program that has not installed a crypto provider of rustls: reqwest would panic.
#[cfg(all(feature = "rustls-no-provider", not(any(feature = "rustls", feature = "native-tls"))))]
pub(crate) fn check_crypto_provider() -> Result<(), Error> {
    match rustls::crypto::CryptoProvider::get_default() {
        Some(_) => Ok(()),
        None => Err(Error::invalid_input(
            "cannot set up TLS: no crypto provider of rustls is installed; call \
             `CryptoProvider::install_default` at program start, or enable the feature `rustls` of \
             rockset-apikeys",
        )),
    }
}

/// Returns whether the URL's host is `localhost`, a subdomain of it, or a loopback address.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match address {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// The addresses of `localhost` and its subdomains. A resolver may return others.
pub(crate) const LOOPBACK: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
];

/// Returns the `User-Agent`.
pub(crate) fn user_agent(app_name: Option<&str>) -> Result<HeaderValue, Error> {
    let Some(name) = app_name else { return Ok(HeaderValue::from_static(PRODUCT)) };
    let is_printable = |char: char| char == ' ' || char.is_ascii_graphic();
    if name.trim().is_empty() || !name.chars().all(is_printable) {
        return Err(Error::invalid_input(format!(
            "cannot use application name {:?}: it is empty or not printable ASCII; call \
             `app_name` with another name (for example, \"my-app/1.0\")",
            redaction::redact(name, None)
        )));
    }
    HeaderValue::from_str(&format!("{name} {PRODUCT}"))
        .map_err(|error| Error::invalid_input_because("cannot use the application name", error))
}

/// Parses a header.
pub(crate) fn header(
    source: &str,
    name: &str,
    value: &str,
) -> Result<(HeaderName, HeaderValue), String> {
    let message = |cause| {
        format!("cannot set header {:?} from {source}: {cause}", redaction::redact(name, None))
    };
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err(message("its name is invalid; use another name (for example, \"x-team\")"));
    };
    if OWN_HEADERS.contains(&header) {
        return Err(message("the client sets it itself; remove it"));
    }
    let Ok(mut value) = HeaderValue::from_str(value) else {
        return Err(message("its value is not printable ASCII; remove line breaks"));
    };
    value.set_sensitive(true);
    Ok((header, value))
}

/// Removes the headers that the client sets itself, and marks the others sensitive.
pub(crate) fn restrict(headers: &mut HeaderMap) {
    for name in OWN_HEADERS {
        headers.remove(name);
    }
    headers.values_mut().for_each(|value| value.set_sensitive(true));
}
