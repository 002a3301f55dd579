//! Turns bodies that are not the expected value into the contract's error model, redacted.

use std::error::Error as StdError;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::{Map, Value, json};

use crate::wire::redaction;

/// The maximum length of an excerpt, in characters.
const MAX_EXCERPT: usize = 200;

/// The maximum number of bytes from which an excerpt is taken.
const MAX_SOURCE: usize = 1 << 14;

/// Returns the error model and the reason for a success that cannot be decoded. Neither quotes the
/// body, which may contain a new key, except for an HTML page (a proxy's login page, for example).
pub(crate) fn undecoded<M: DeserializeOwned + Default>(
    body: &[u8],
    error: &serde_json::Error,
    key: Option<&str>,
) -> (M, Box<dyn StdError + Send + Sync>) {
    let reason = match error.classify() {
        Category::Data => "does not match the schema",
        Category::Eof => "ends too early",
        Category::Syntax | Category::Io => "is not JSON",
    };
    let (line, column) = (error.line(), error.column());
    let reason = format!("the body {reason} at line {line} column {column}");
    let is_page = body.trim_ascii_start().starts_with(b"<");
    let page = is_page.then(|| excerpt(body, true, key));
    (page.flatten().map(with_message).unwrap_or_default(), reason.into())
}

/// Returns the error model in a body: each valid field, redacted. Without a valid field, its
/// message is an excerpt of the body.
pub(crate) fn parse<M>(body: &[u8], is_whole: bool, key: Option<&str>) -> M
where
    M: DeserializeOwned + Default + Serialize,
{
    let excerpt = || excerpt(body, is_whole, key).map(with_message).unwrap_or_default();
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return excerpt() };
    if fields.values().all(Value::is_null) {
        return M::default();
    }
    // One by one: an invalid field must not invalidate the others.
    let matching = fields.into_iter().filter(|(name, value)| is_field::<M>(name, value));
    let matching: Map<_, _> =
        matching.map(|(name, value)| (name, redaction::redact_value(value, key))).collect();
    if matching.is_empty() {
        return excerpt();
    }
    M::deserialize(Value::from(matching)).unwrap_or_default()
}

/// Returns whether the field is valid in the model.
fn is_field<M: DeserializeOwned + Serialize>(name: &str, value: &Value) -> bool {
    let model = M::deserialize(json!({ name: value })).and_then(serde_json::to_value);
    model.is_ok_and(|model| model.get(name).is_some())
}

/// Returns an error model with this message.
pub(crate) fn with_message<M: DeserializeOwned + Default>(message: String) -> M {
    M::deserialize(json!({ "message": message })).unwrap_or_default()
}

/// Returns the beginning of a body on one line, unless the body is binary.
fn excerpt(body: &[u8], is_whole: bool, key: Option<&str>) -> Option<String> {
    let (body, is_whole) = match body.get(..MAX_SOURCE) {
        Some(beginning) => (beginning, false),
        None => (body, is_whole),
    };
    let text = String::from_utf8_lossy(body);
    let is_text = !text.chars().any(|char| char.is_control() && !char.is_whitespace());
    // Truncated JSON may contain a key other than the client's.
    let has_key = text.to_ascii_lowercase().contains("key\"");
    if !is_text || has_key {
        return None;
    }
    // Redacted before it is truncated: a part of a key might not be recognized.
    let mut text = redaction::redact(&text, key);
    if !is_whole && text != redaction::PLACEHOLDER {
        text = redaction::remove_cut_word(text);
    }
    let words: Vec<_> = text.split_whitespace().collect();
    let excerpt: String = words.join(" ").chars().take(MAX_EXCERPT).collect();
    (!excerpt.is_empty()).then_some(excerpt)
}
