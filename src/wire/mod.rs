//! One request on the wire: its URL, its authentication header, and its complete response. Failures
//! are created here; retries and deadlines are in `call`.

pub(crate) mod connect;
mod error_model;
pub(crate) mod redaction;
pub(crate) mod runtime;

use std::fmt::{self, Display, Write};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Request, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Handle, Id};
use tokio::time::timeout;

use connect::Reason;
use runtime::{Error, Response, ResponseValue};

/// The timeout for the body of an error response, from its head on.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// Adds headers to an attempt.
pub(crate) type AttemptHeaders = Arc<dyn Fn(&mut HeaderMap) + Send + Sync>;

/// Sends the generated client's requests, as its inner value.
#[derive(Clone)]
pub struct Wire {
    /// Used instead of the generated client's own HTTP client, which may follow redirects.
    pub(crate) http: Arc<HttpClients>,
    /// The path of the server's URL, without a trailing slash.
    pub(crate) path: String,
    /// The server's URL with a long path, so that a clone reserves capacity for any other path.
    pub(crate) roomy_url: Url,
    /// The name of the authentication header.
    pub(crate) header: HeaderName,
    pub(crate) authorization: Arc<Authorization>,
    pub(crate) attempt_headers: Option<AttemptHeaders>,
    /// The headers of a single call.
    pub(crate) headers: HeaderMap,
    pub(crate) max_response_bytes: usize,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    /// Returns the URL of an operation. In the template, the first `{}` is the server's URL, and
    /// the others are path segments.
    pub(crate) fn url(
        &self,
        template: &str,
        segments: &[(&str, &dyn Display)],
    ) -> Result<Url, String> {
        let mut path = String::with_capacity(self.path.len() + 2 * template.len());
        path.push_str(&self.path);
        let mut literals = template.split('{').skip(1).filter_map(|rest| rest.strip_prefix('}'));
        path.push_str(literals.next().unwrap_or_default());
        for ((parameter, value), literal) in segments.iter().zip(literals) {
            let start = path.len();
            write!(Encoder(&mut path), "{value}").map_err(|error| error.to_string())?;
            check_segment(parameter, path.get(start..).unwrap_or_default())?;
            path.push_str(literal);
        }
        let mut url = self.roomy_url.clone();
        // Only the path is parsed.
        url.set_path(&path);
        Ok(url)
    }

    /// Adds the caller's headers and the one that authenticates, and returns its value. `None` if no
    /// key has been read yet.
    fn authenticate(&self, request: &mut Request) -> Option<HeaderValue> {
        let headers = request.headers_mut();
        if let Some(add) = &self.attempt_headers {
            let mut added = HeaderMap::new();
            add(&mut added);
            headers.extend(added);
        }
        if !self.headers.is_empty() {
            headers.extend(self.headers.clone());
        }
        let value = self.authorization.current()?;
        headers.insert(&self.header, value.clone());
        Some(value)
    }

    /// Sends the request once. Only a complete success is `Ok`.
    pub(crate) fn send<M>(
        &self,
        mut request: Request,
    ) -> impl Future<Output = Result<Response, Error<M>>>
    where
        M: DeserializeOwned + Default + Serialize,
    {
        // Not in the future, so that it need not store the request.
        let sending = match (self.authenticate(&mut request), self.http.current()) {
            (Some(authorization), Ok(http)) => Ok((http.execute(request), authorization)),
            (None, _) => {
                let reason = "no API key has been read yet; send the request with `run`";
                Err(Error::InvalidRequest(reason.to_owned()))
            }
            (_, Err(error)) => Err(Error::NotSent("cannot set up the HTTP client", error)),
        };
        async move {
            let (sending, authorization) = sending?;
            let mut response = sending.await.map_err(|error| self.no_response(error))?;
            let status = response.status();
            if !status.is_success() {
                // Boxed to keep the future small: most responses are successes.
                return Err(Box::pin(self.error_response(response, authorization)).await);
            }
            let mut body = Bytes::new();
            match read(&mut response, &mut body, self.max_response_bytes).await {
                Ok(()) => {
                    let headers = mem::take(response.headers_mut());
                    Ok(Response { status, headers, body, authorization })
                }
                Err(ReadError::TooLarge(source)) => {
                    let headers = mem::take(response.headers_mut());
                    let response = ResponseValue::new(M::default(), status, headers);
                    Err(Error::Decode(response, source.into()))
                }
                Err(ReadError::Failed(error)) if error.is_timeout() => {
                    Err(Error::Timeout(Some(status), error.without_url().into()))
                }
                Err(ReadError::Failed(error)) => {
                    Err(Error::Connection(Some(status), error.without_url()))
                }
            }
        }
    }

    fn no_response<M>(&self, error: reqwest::Error) -> Error<M> {
        let error = error.without_url();
        if error.is_builder() {
            Error::NotSent("the URL is too long; use a shorter name or user", error)
        } else if error.is_connect() {
            let server = self.roomy_url.origin().ascii_serialization();
            Error::Connect(server, Reason::of(&error), error)
        } else if error.is_timeout() {
            Error::Timeout(None, error.into())
        } else {
            Error::Connection(None, error)
        }
    }

    async fn error_response<M>(
        &self,
        mut response: reqwest::Response,
        authorization: HeaderValue,
    ) -> Error<M>
    where
        M: DeserializeOwned + Default + Serialize,
    {
        let status = response.status();
        let key = redaction::key(&authorization);
        let model = match redirect(&response, key) {
            Some(host) => {
                error_model::with_message(format!("redirects to {host}, which is not followed"))
            }
            None => {
                // If the body is cut off or stalls, its beginning is better than nothing, and the
                // status is better than a timeout.
                let mut body = Bytes::new();
                let reading = read(&mut response, &mut body, self.max_response_bytes);
                let is_whole = matches!(timeout(ERROR_BODY_TIMEOUT, reading).await, Ok(Ok(())));
                error_model::parse(&body, is_whole, key)
            }
        };
        let headers = mem::take(response.headers_mut());
        if status == StatusCode::UNAUTHORIZED {
            self.authorization.reject(authorization);
        }
        Error::ErrorResponse(ResponseValue::new(model, status, headers))
    }
}

/// The reason why a body is incomplete.
enum ReadError {
    TooLarge(String),
    Failed(reqwest::Error),
}

/// Reads a body as far as it arrives. A body of one chunk, the usual case, is not copied.
async fn read(
    response: &mut reqwest::Response,
    body: &mut Bytes,
    limit: usize,
) -> Result<(), ReadError> {
    let too_large = || ReadError::TooLarge(format!("the body exceeds the limit of {limit} bytes"));
    let rest = |response: &reqwest::Response| {
        response.content_length().map(|rest| usize::try_from(rest).unwrap_or(usize::MAX))
    };
    if rest(response).is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    while let Some(chunk) = response.chunk().await.map_err(ReadError::Failed)? {
        if chunk.len() > limit - body.len() {
            return Err(too_large());
        }
        if body.is_empty() {
            *body = chunk;
            continue;
        }
        let mut joined = BytesMut::from(mem::take(body));
        // Reserves the rest at once if its length, which is within the limit, is known.
        joined.reserve(chunk.len().max(rest(response).unwrap_or_default()));
        joined.extend_from_slice(&chunk);
        *body = joined.freeze();
    }
    Ok(())
}

/// Returns the host that the response redirects to. The rest of the URL may be secret.
fn redirect(response: &reqwest::Response, key: Option<&str>) -> Option<String> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let target = response.url().join(location).ok()?;
    target.host_str().map(|host| redaction::redact(host, key).to_owned())
}

/// The characters to encode: all except the unreserved ones of RFC 3986, as in the vendor's
/// clients. The generator does not encode the backslash, which URL parsers treat as a slash.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes a path segment.
struct Encoder<'a>(&'a mut String);

impl Write for Encoder<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.0.extend(utf8_percent_encode(part, ENCODED));
        Ok(())
    }
}

/// Rejects an invalid path segment. URL parsers drop an empty segment and resolve `.` and `..`,
/// even encoded.
pub(crate) fn check_segment(parameter: &str, value: &str) -> Result<(), String> {
    match value {
        "" => Err(format!("the {parameter} is empty")),
        "." | ".." => {
            Err(format!("the {parameter} is `{value}`, which URLs resolve as a relative path"))
        }
        _ => Ok(()),
    }
}

/// Returns a regular expression for paths with this segment at the template's `{}`.
#[cfg(feature = "httpmock")]
pub(crate) fn pattern(template: &str, segment: &dyn Display) -> String {
    let mut encoded = String::new();
    // Writing to a string cannot fail.
    let _ = write!(Encoder(&mut encoded), "{segment}");
    template.replacen("{}", &regex::escape(&encoded), 1)
}

/// The value of the authentication header, which changes with the client's key.
#[derive(Default)]
pub(crate) struct Authorization(Mutex<Values>);

#[derive(Default)]
struct Values {
    current: Option<HeaderValue>,
    rejected: Option<HeaderValue>,
}

impl Authorization {
    pub(crate) fn current(&self) -> Option<HeaderValue> {
        self.values().current.clone()
    }

    pub(crate) fn replace(&self, value: HeaderValue) {
        self.values().current = Some(value);
    }

    /// Records a value that the server rejected.
    fn reject(&self, value: HeaderValue) {
        self.values().rejected = Some(value);
    }

    /// Returns whether the server has rejected the current value.
    pub(crate) fn is_rejected(&self) -> bool {
        let values = self.values();
        values.current == values.rejected
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        // A panic cannot leave the values inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates an HTTP client with its own connections.
type Create = Box<dyn Fn() -> reqwest::Result<reqwest::Client> + Send + Sync>;

/// HTTP clients of the tokio runtimes that recently sent a request.
///
/// A runtime drives the connections that were opened in it: they close when it stops, and stall
/// while it is not polled.
pub(crate) struct HttpClients {
    create: Create,
    /// The first client is created before any runtime is known.
    recent: Mutex<Vec<(Option<Id>, reqwest::Client)>>,
}

impl HttpClients {
    /// The maximum number of clients. More runtimes in one program are rare.
    const MAX: usize = 8;

    pub(crate) fn new(create: Create) -> reqwest::Result<(Self, reqwest::Client)> {
        let first = create()?;
        Ok((Self { create, recent: vec![(None, first.clone())].into() }, first))
    }

    /// Returns the HTTP client of the current runtime.
    fn current(&self) -> reqwest::Result<reqwest::Client> {
        let runtime = Handle::try_current().ok().map(|runtime| runtime.id());
        // A panic cannot leave the list inconsistent.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let [(unused @ None, _)] = &mut recent[..] {
            *unused = runtime;
        }
        if let Some(index) = recent.iter().position(|(id, _)| *id == runtime)
            && let Some(entries) = recent.get_mut(..=index)
        {
            // Moves it to the front, so that the least recent one is removed.
            entries.rotate_right(1);
        }
        if let Some((_, http)) = recent.first().filter(|(id, _)| *id == runtime) {
            return Ok(http.clone());
        }
        let http = (self.create)()?;
        recent.truncate(Self::MAX - 1);
        recent.insert(0, (runtime, http.clone()));
        Ok(http)
    }
}
