//! One request on the wire: authenticates it, limits the response's body, and turns every response
//! that is not a success into the contract's error model, redacted, so that the generated code can
//! decode it. Retries and deadlines are not known here.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::Limited;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Body, Request, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::error::Category;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::authorization::{self, Authorization};
use crate::pool::Pools;
use crate::redaction;

/// The longest excerpt of a body that is not an error model, in characters.
const LONGEST_EXCERPT: usize = 200;

/// How much of a body is searched for an excerpt, in bytes.
const LONGEST_SOURCE: usize = 1 << 14;

/// How long the body of an error response may take after its head.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// Adds headers to an attempt.
pub(crate) type AttemptHeaders = Arc<dyn Fn(&mut HeaderMap) + Send + Sync>;

/// Sends requests and reads their responses.
#[derive(Clone)]
pub struct Hook {
    /// Have the HTTP clients that send requests. The generated client's own may be one that follows
    /// redirects.
    pub(crate) pools: Arc<Pools>,
    /// The path of the server's URL, without a slash at its end.
    pub(crate) path: String,
    /// A URL of the server with a long path, so that a copy has the room for any other.
    pub(crate) roomy_url: Url,
    pub(crate) header: HeaderName,
    pub(crate) authorization: Arc<Authorization>,
    pub(crate) attempt_headers: Option<AttemptHeaders>,
    /// The headers of one call.
    pub(crate) headers: HeaderMap,
    pub(crate) max_response_bytes: usize,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

impl Hook {
    pub(crate) fn with_authorization(&self, authorization: Arc<Authorization>) -> Self {
        Self { authorization, ..self.clone() }
    }

    pub(crate) fn with_headers(&self, headers: &HeaderMap) -> Self {
        Self { headers: headers.clone(), ..self.clone() }
    }

    /// Returns the URL with this path. Only the path is parsed.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.roomy_url.clone();
        url.set_path(path);
        url
    }

    /// Adds the headers of the client's user, and authenticates the request.
    pub(crate) fn prepare(&self, request: &mut Request) -> Result<(), &'static str> {
        let headers = request.headers_mut();
        if let Some(add) = &self.attempt_headers {
            let mut added = HeaderMap::new();
            add(&mut added);
            headers.extend(added);
        }
        if !self.headers.is_empty() {
            headers.extend(self.headers.clone());
        }
        let value = self.authorization.current();
        let value =
            value.ok_or("the client's key is not known yet; send the request with `run`")?;
        headers.insert(&self.header, value);
        Ok(())
    }

    /// Sends the request once. A response that is not a success gets a body that decodes to the
    /// contract's error model, `M`.
    pub(crate) fn send<M>(
        &self,
        request: Request,
    ) -> impl Future<Output = reqwest::Result<Response>>
    where
        M: DeserializeOwned + Serialize,
    {
        let authorization = request.headers().get(&self.header).cloned();
        // Begun here: the future has no place for the request.
        let sending = self.pools.current().map(|http| http.execute(request));
        async move {
            let mut response = sending?.await?;
            let key = authorization.as_ref().and_then(authorization::key);
            redaction::headers(response.headers_mut(), key);
            if response.status().is_success() {
                return Ok(self.limited(response));
            }
            // In a box: most responses are successes.
            Ok(Box::pin(self.with_error_model::<M>(response, authorization)).await)
        }
    }

    async fn with_error_model<M: DeserializeOwned + Serialize>(
        &self,
        mut response: Response,
        authorization: Option<HeaderValue>,
    ) -> Response {
        let key = authorization.as_ref().and_then(authorization::key);
        let model = match redirect(&response, key) {
            Some(host) => message(format!("redirects to {host}, which is not followed")),
            None => {
                response = self.limited(response);
                // If it breaks off or stalls, its beginning is better than nothing, and the status
                // is better than a timeout.
                let mut body = Bytes::new();
                let whole = timeout(ERROR_BODY_TIMEOUT, read(&mut response, &mut body)).await;
                error_model::<M>(&body, matches!(whole, Ok(Ok(()))), key)
            }
        };
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(value) = authorization
        {
            self.authorization.reject(value);
        }
        response.headers_mut().remove(CONTENT_LENGTH);
        http::Response::from(response).map(|_: Body| model.to_string()).into()
    }

    /// Decodes the body of a success. An error quotes nothing of it; an HTML page, such as that of
    /// a proxy that wants a login, comes with its beginning. Other text may hold a new key.
    pub(crate) fn decode<T>(&self, body: &[u8]) -> Result<T, (serde_json::Error, String)>
    where
        T: DeserializeOwned,
    {
        serde_json::from_slice(body).map_err(|error| {
            let reason = match error.classify() {
                Category::Data => "does not match the schema",
                Category::Eof => "ends too early",
                Category::Syntax | Category::Io => "is not JSON",
            };
            let (line, column) = (error.line(), error.column());
            let reason = format!("the body {reason} at line {line} column {column}");
            let authorization = self.authorization.current();
            let key = authorization.as_ref().and_then(authorization::key);
            let is_page = body.trim_ascii_start().starts_with(b"<");
            let page = is_page.then(|| excerpt(body, true, key)).flatten();
            (serde_json::Error::custom(reason), page.unwrap_or_default())
        })
    }

    /// Limits the body, unless its length is known and within the limit.
    fn limited(&self, response: Response) -> Response {
        let limit = self.max_response_bytes;
        let length = response.content_length().and_then(|length| usize::try_from(length).ok());
        if length.is_some_and(|length| length <= limit) {
            return response;
        }
        let limited = |body: Body| Body::wrap(Limited::new(body, limit));
        http::Response::from(response).map(limited).into()
    }
}

/// Returns the host that the response redirects to. The rest of the target may be a secret.
fn redirect(response: &Response, key: Option<&str>) -> Option<String> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let target = response.url().join(location).ok()?;
    let host = target.host_str().filter(|host| !redaction::is_in_host(host, key))?;
    Some(host.to_owned())
}

/// Returns the error model that a body holds: each field that fits, redacted. Of a body that
/// holds none, an excerpt is the message.
fn error_model<M>(body: &[u8], is_whole: bool, key: Option<&str>) -> Value
where
    M: DeserializeOwned + Serialize,
{
    let excerpt = || excerpt(body, is_whole, key).map_or_else(|| json!({}), message);
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return excerpt() };
    if fields.values().all(Value::is_null) {
        return json!({});
    }
    // Each on its own: a field of another type does not take the others along.
    let fitting = fields.into_iter().filter(|(name, value)| is_field::<M>(name, value));
    let fitting = fitting.map(|(name, value)| (name, redaction::value(value, key)));
    let fitting: Map<_, _> = fitting.collect();
    if fitting.is_empty() { excerpt() } else { fitting.into() }
}

/// Returns the beginning of a body, on one line and redacted, if it is text.
fn excerpt(body: &[u8], is_whole: bool, key: Option<&str>) -> Option<String> {
    // The rest cannot come into the excerpt, except behind a page of blanks.
    let (body, is_whole) = match body.get(..LONGEST_SOURCE) {
        Some(beginning) => (beginning, false),
        None => (body, is_whole),
    };
    let text = String::from_utf8_lossy(body);
    let is_text = !text.chars().any(|char| char.is_control() && !char.is_whitespace());
    // Broken JSON may hold a key that is not known here.
    let has_key = text.to_ascii_lowercase().contains("key\"");
    if !is_text || has_key {
        return None;
    }
    // Redacted first: a key that the end cuts in two would not be found.
    let redact = if is_whole { redaction::text } else { redaction::cut_text };
    let text = redact(&text, key);
    let words: Vec<_> = text.split_whitespace().collect();
    let excerpt: String = words.join(" ").chars().take(LONGEST_EXCERPT).collect();
    (!excerpt.is_empty()).then_some(excerpt)
}

/// Whether the model has this field, and of this type.
fn is_field<M: DeserializeOwned + Serialize>(name: &str, value: &Value) -> bool {
    let model = M::deserialize(json!({ name: value })).and_then(serde_json::to_value);
    model.is_ok_and(|model| model.get(name).is_some())
}

fn message(text: String) -> Value {
    json!({ "message": text })
}

/// Reads the rest of a body, as far as it comes. Most are one chunk, which is not copied.
pub(crate) async fn read(response: &mut Response, body: &mut Bytes) -> reqwest::Result<()> {
    while let Some(chunk) = response.chunk().await? {
        if body.is_empty() {
            *body = chunk;
            continue;
        }
        let mut joined = BytesMut::from(mem::take(body));
        // Once for all chunks that are to come; `limited` has bounded their length.
        let rest = response.content_length().and_then(|rest| usize::try_from(rest).ok());
        joined.reserve(chunk.len().saturating_add(rest.unwrap_or_default()));
        joined.extend_from_slice(&chunk);
        *body = joined.freeze();
    }
    Ok(())
}
