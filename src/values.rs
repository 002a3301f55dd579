//! The types that the generator is told to use in place of its own, because plain text would not
//! do: a key's value must stay secret, a name must fit into a URL, a timestamp must not be lost.
//!
//! The open enums are not here: the generator's settings make them from the contract.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// The value of an API key: 64 letters and digits, or the identifier that stands for it.
///
/// The contract has the full value where a key was just created or is revealed, and the identifier,
/// the first 6 characters of the value, everywhere else.
///
/// Formatting it with `{:?}` shows nothing of it, there is no `Display`, and its memory is wiped
/// when it is dropped. It serializes in the clear, because a server has to send it.
///
/// ```
/// use rockset_apikeys::ApiKeyValue;
///
/// let value = ApiKeyValue::from("aB3dE5fG7h");
/// assert_eq!(value.expose_secret(), "aB3dE5fG7h");
/// assert_eq!(value.identifier(), "aB3dE5");
/// assert_eq!(format!("{value:?}"), "ApiKeyValue(..)");
/// ```
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct ApiKeyValue(Zeroizing<String>);

impl ApiKeyValue {
    /// The value itself. Every use of this is a place where a secret can get out.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    /// The first 6 characters, which tell the key from others and may be shown.
    pub fn identifier(&self) -> &str {
        let end = self.0.char_indices().nth(6).map_or(self.0.len(), |(index, _)| index);
        self.0.get(..end).unwrap_or_default()
    }
}

impl ZeroizeOnDrop for ApiKeyValue {}

impl From<String> for ApiKeyValue {
    fn from(value: String) -> Self {
        Self(Zeroizing::new(value))
    }
}

impl From<&str> for ApiKeyValue {
    fn from(value: &str) -> Self {
        Self::from(value.to_owned())
    }
}

impl fmt::Debug for ApiKeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyValue(..)")
    }
}

impl Serialize for ApiKeyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for ApiKeyValue {
    fn schema_name() -> Cow<'static, str> {
        "ApiKeyValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "password" })
    }
}

/// A moment in time, as the server wrote it.
///
/// The API writes ISO 8601. Text that is something else is kept and never fails the answer that
/// carries it; it just has no [`instant`](Self::instant).
///
/// One that is sent is always valid: it is made from a [`jiff::Timestamp`] or parsed from text.
///
/// ```
/// use rockset_apikeys::Timestamp;
///
/// let expiry: Timestamp = "2030-01-01T00:00:00Z".parse()?;
/// assert_eq!(expiry.instant().map(|it| it.as_second()), Some(1_893_456_000));
/// assert!("tomorrow".parse::<Timestamp>().is_err());
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Timestamp {
    text: String,
    instant: Option<jiff::Timestamp>,
}

impl Timestamp {
    /// The moment itself, or `None` where the server sent something that is no date and time with
    /// an offset.
    pub fn instant(&self) -> Option<jiff::Timestamp> {
        self.instant
    }

    /// The text as it was received or is sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn received(text: String) -> Self {
        let instant = text.parse().ok();
        Self { text, instant }
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(instant: jiff::Timestamp) -> Self {
        Self { text: instant.to_string(), instant: Some(instant) }
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    /// Takes a date and time with an offset, such as `2030-01-01T00:00:00Z`, and keeps the text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|instant| Self { text: text.to_owned(), instant: Some(instant) })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// Takes any JSON value, so that an odd one costs no more than itself.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Self::received(text),
            other => Self { text: other.to_string(), instant: None },
        })
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A name that a URL can carry as one segment of its path: anything but the empty text, `.` and
/// `..`, which URL parsers take for something else than a name, however they are encoded.
///
/// ```
/// use rockset_apikeys::PathSegment;
///
/// assert!(PathSegment::try_from("my key/ü").is_ok());
/// assert!(PathSegment::try_from("..").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PathSegment(String);

/// Why a text is no [`PathSegment`].
///
/// ```
/// use rockset_apikeys::PathSegment;
///
/// let error = PathSegment::try_from("").unwrap_err();
/// assert_eq!(error.to_string(), "a name cannot be empty");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSegmentError(&'static str);

impl fmt::Display for PathSegmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for PathSegmentError {}

impl PathSegment {
    /// The name, not encoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PathSegment {
    type Error = PathSegmentError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "" => Err(PathSegmentError("a name cannot be empty")),
            "." => Err(PathSegmentError("a name cannot be `.`, which URLs take for a path")),
            ".." => Err(PathSegmentError("a name cannot be `..`, which URLs take for a path")),
            _ => Ok(Self(text)),
        }
    }
}

impl TryFrom<&str> for PathSegment {
    type Error = PathSegmentError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for PathSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for PathSegment {
    fn schema_name() -> Cow<'static, str> {
        "PathSegment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "[^.]|[.]{3}" })
    }
}

/// What stays as it is in a path: the unreserved characters of RFC 3986, as with the vendor's
/// clients.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes a name for a path. The generated code calls this in place of the generator's
/// own function, which leaves the backslash alone; URL parsers take that for a slash.
pub(crate) fn encode_path(name: &str) -> String {
    utf8_percent_encode(name, ENCODED).to_string()
}

/// A regular expression that matches this name in the path of a request that the client sends, and
/// nothing else. The generated mocks call this in place of using the name as it stands.
#[cfg(feature = "httpmock")]
pub(crate) fn path_pattern(name: impl fmt::Display) -> String {
    regex::escape(&encode_path(&name.to_string()))
}
