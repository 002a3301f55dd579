//! What an answer says: a value, or an error model, or at least the beginning of a text. It takes
//! the place of the generator's own decoding, whose errors lose the status and quote the body, and
//! with it keys. No key gets out of here in a text.

use std::time::Duration;

use jiff::Timestamp;
use progenitor_client::ResponseValue;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Response, Url};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::error::Category;
use serde_json::{Map, Value};
use tracing::Span;

use crate::generated::Error;
use crate::generated::types::ErrorModel;
use crate::span;

/// How much of a body that is no error model stands in for its message, in characters.
const LONGEST_EXCERPT: usize = 200;

/// The length of a full key, according to the published examples.
const KEY_LENGTH: usize = 64;

/// What decoding an answer takes besides the answer; it travels in the answer's extensions.
#[derive(Clone)]
pub(crate) struct Context {
    /// What signed the request, for a server that echoes it.
    pub(crate) authorization: HeaderValue,
    /// Where the request went.
    pub(crate) url: Url,
    /// The limit that the body was larger than.
    pub(crate) over_limit: Option<usize>,
    /// The span of the call.
    pub(crate) span: Span,
}

/// The value that a success carries. The generated code calls this.
pub(crate) async fn success<T: DeserializeOwned>(
    response: Response,
) -> Result<ResponseValue<T>, Error<ErrorModel>> {
    let (status, headers) = (response.status(), response.headers().clone());
    let context = response.extensions().get::<Context>().cloned();
    let limit = context.as_ref().and_then(|context| context.over_limit);
    let body = response.bytes().await.map_err(Error::ResponseBodyError)?;
    let value = match limit {
        Some(limit) => {
            let reason = format!("it is larger than the limit of {limit} bytes");
            Err(serde_json::Error::custom(reason))
        }
        None => serde_json::from_slice(&body).map_err(|error| without_quotes(&error)),
    };
    match value {
        Ok(value) => Ok(ResponseValue::new(value, status, headers)),
        Err(error) => {
            if let Some(context) = &context {
                span::failed(&context.span, "body");
            }
            // A page of HTML comes from whoever stands between, such as a proxy that wants a login.
            // Everything else may hold a key that was created or revealed.
            let page = body.trim_ascii_start().starts_with(b"<");
            let key = context.as_ref().and_then(Context::key);
            let text = page.then(|| excerpt(&body, key)).flatten().unwrap_or_default();
            Err(Error::InvalidResponsePayload(text.into(), error))
        }
    }
}

/// What an answer says that is no success. The generated code calls this.
pub(crate) async fn refusal(response: Response) -> ResponseValue<ErrorModel> {
    let (status, headers) = (response.status(), response.headers().clone());
    let context = response.extensions().get::<Context>().cloned();
    let key = context.as_ref().and_then(Context::key);
    let model = match context.as_ref().and_then(|context| context.redirect(&response)) {
        Some(host) => message(format!("a redirect to {host}, which is not followed")),
        None => error_model(&response.bytes().await.unwrap_or_default(), key),
    };
    ResponseValue::new(model, status, headers)
}

impl Context {
    /// The key that signed the request. The first 6 characters of a key are its identifier and no
    /// secret, so that a shorter one is none either.
    fn key(&self) -> Option<&str> {
        let (_, key) = self.authorization.to_str().ok()?.split_once(' ')?;
        (key.len() > 6).then_some(key)
    }

    /// Keeps the headers from showing the key, which a server may echo in them, when they are
    /// printed as a part of the generated types.
    pub(crate) fn hide_key_in(&self, headers: &mut HeaderMap) {
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        let is_echo = |name: &&HeaderName| self.is_key_in(name.as_str());
        let echoes: Vec<_> = headers.keys().filter(is_echo).cloned().collect();
        for name in echoes {
            headers.remove(name);
        }
    }

    /// The key is a part of this name, which is in lower case, as names of headers and hosts are.
    fn is_key_in(&self, name: &str) -> bool {
        let Some(key) = self.key().map(str::as_bytes) else { return false };
        name.as_bytes().windows(key.len()).any(|part| part.eq_ignore_ascii_case(key))
    }

    /// The host that the answer redirects to. The rest of the target may be anything, a secret
    /// included.
    fn redirect(&self, response: &Response) -> Option<String> {
        if !response.status().is_redirection() {
            return None;
        }
        let location = response.headers().get(LOCATION)?.to_str().ok()?;
        let target = self.url.join(location).ok()?;
        let host = target.host_str().filter(|host| !self.is_key_in(host))?;
        Some(host.to_owned())
    }
}

/// How long the answer asks to wait: a number of seconds, or until a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // What is too large for a number is too long to wait for.
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    // A date that has passed asks for no wait.
    Some(date.duration_since(Timestamp::now()).try_into().unwrap_or_default())
}

/// What the parser says, without the values that it quotes.
fn without_quotes(error: &serde_json::Error) -> serde_json::Error {
    let reason = match error.classify() {
        Category::Data => "the JSON is not of the shape that it should be",
        Category::Eof => "the JSON breaks off",
        Category::Syntax | Category::Io => "it cannot be read as JSON",
    };
    let (line, column) = (error.line(), error.column());
    serde_json::Error::custom(format!("{reason} at line {line} column {column}"))
}

/// The error model that a body is. What does not fit is left out; where nothing is left, the
/// beginning of the text is the message.
fn error_model(body: &[u8], key: Option<&str>) -> ErrorModel {
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return excerpt(body, key).map(message).unwrap_or_default();
    };
    if fields.values().all(Value::is_null) {
        return ErrorModel::default();
    }
    // Each field by itself, so that one of another type takes no others along.
    let fitting = fields.into_iter().filter_map(|(name, value)| {
        let value = match value {
            Value::String(text) => Value::String(without_keys(&text, key)),
            value => value,
        };
        let field = Value::Object(Map::from_iter([(name, value)]));
        match serde_json::to_value(ErrorModel::deserialize(field).ok()?).ok()? {
            Value::Object(field) => Some(field),
            _ => None,
        }
    });
    let fitting: Map<_, _> = fitting.flatten().collect();
    if fitting.is_empty() {
        return excerpt(body, key).map(message).unwrap_or_default();
    }
    ErrorModel::deserialize(Value::Object(fitting)).unwrap_or_default()
}

fn message(text: String) -> ErrorModel {
    ErrorModel { message: Some(text), ..ErrorModel::default() }
}

/// The beginning of a body, on one line, if it is text.
fn excerpt(body: &[u8], key: Option<&str>) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let is_text = !text.chars().any(|char| char.is_control() && !char.is_whitespace());
    // Broken JSON that may hold another key than the one that is known here.
    let has_key = text.to_ascii_lowercase().contains("key\"");
    if !is_text || has_key {
        return None;
    }
    // Keys go first: cut in two, they would not be found any more.
    let words = without_keys(&text, key);
    let words: Vec<_> = words.split_whitespace().collect();
    let excerpt: String = words.join(" ").chars().take(LONGEST_EXCERPT).collect();
    (!excerpt.is_empty()).then_some(excerpt)
}

/// The text without the key that signed the request, and without what has the length of a key: a
/// server may echo either.
fn without_keys(text: &str, key: Option<&str>) -> String {
    let text = match key {
        Some(key) => text.replace(key, "(the API key)"),
        None => text.to_owned(),
    };
    let is_separator = |char: char| !char.is_ascii_alphanumeric();
    let words = text.split_inclusive(is_separator).map(|piece| {
        let word = piece.trim_end_matches(is_separator);
        match piece.strip_prefix(word) {
            Some(separator) if word.len() == KEY_LENGTH => ["(what may be a key)", separator],
            _ => [piece, ""],
        }
    });
    words.flatten().collect()
}
