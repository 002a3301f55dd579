//! The contract's types that the crate implements instead of generating them: a key's value, which
//! stays secret, and a timestamp, which keeps the server's string.

use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::SystemTime;

use jiff::fmt::temporal::Pieces;
// Renamed, because rustdoc prints only the last part of a path.
use jiff::{Error as JiffError, Timestamp as JiffTimestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// The value of an API key: the full key or its identifier.
///
/// A full key consists of 64 letters and digits. The API returns it when a key is created or
/// revealed, and otherwise the identifier, its first 6 characters.
///
/// ```
/// use rockset_apikeys::ApiKeyValue;
///
/// let value = ApiKeyValue::from("aB3dE5fG7h");
/// assert_eq!(value.expose_secret(), "aB3dE5fG7h");
/// assert_eq!(value.identifier(), "aB3dE5");
/// assert_eq!(format!("{value:?}"), "ApiKeyValue(..)");
/// ```
///
/// # How keys stay secret
///
/// `Debug` output never contains the value, and there is no `Display`: only
/// [`expose_secret`](Self::expose_secret) and [`full_key`](Self::full_key) return it. It serializes
/// as its identifier; wrap it in [`ExposeSecrets`] to serialize the full key. Values are compared
/// in constant time.
///
/// `Debug`, `Display`, log lines and errors of this crate contain neither the client's key nor a
/// key that was created or revealed. A message in an error response is replaced by `[REDACTED]` if
/// it contains a piece of the client's key that is longer than the identifier, or a word that may
/// be half of a key, even if it is escaped for a URL, HTML or JSON. Hexadecimal IDs (trace IDs, for
/// example) are not redacted.
///
/// A value's memory is wiped when it is dropped, and the `Authorization` header's memory when its
/// last copy is dropped. Buffers of the HTTP and TLS libraries are not wiped, nor are strings that
/// a program copies from `expose_secret`.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct ApiKeyValue(Zeroizing<String>);

impl ApiKeyValue {
    /// Returns the value. Every use may leak the secret.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    /// Returns the full key, or `None` for an identifier, which cannot authenticate.
    ///
    /// ```
    /// use rockset_apikeys::ApiKeyValue;
    ///
    /// assert_eq!(ApiKeyValue::from("aB3dE5fG7h").full_key(), Some("aB3dE5fG7h"));
    /// assert_eq!(ApiKeyValue::from("aB3dE5").full_key(), None);
    /// ```
    pub fn full_key(&self) -> Option<&str> {
        (self.identifier() != self.expose_secret()).then(|| self.expose_secret())
    }

    /// Returns the first 6 characters, which identify the key and are not secret.
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

impl PartialEq for ApiKeyValue {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for ApiKeyValue {}

impl Serialize for ApiKeyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if IS_EXPOSED.get() { &self.0 } else { self.identifier() })
    }
}

thread_local! {
    /// Whether full keys are serialized on this thread. A serializer cannot carry this flag.
    static IS_EXPOSED: Cell<bool> = const { Cell::new(false) };
}

/// Serializes a value with its full keys.
///
/// Without it, an [`ApiKeyValue`], or an [`ApiKey`](crate::ApiKey) that contains one, serializes as
/// its identifier.
///
/// ```
/// use rockset_apikeys::{ApiKey, ExposeSecrets};
///
/// let key = ApiKey::new("my-app", "aB3dE5fG7h");
/// assert_eq!(serde_json::to_string(&key)?, r#"{"key":"aB3dE5","name":"my-app"}"#);
/// let secret = serde_json::to_string(&ExposeSecrets(&key))?;
/// assert_eq!(secret, r#"{"key":"aB3dE5fG7h","name":"my-app"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ExposeSecrets<T>(pub T);

impl<T: Serialize> Serialize for ExposeSecrets<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        exposing(|| self.0.serialize(serializer))
    }
}

/// Runs a function during which full keys are serialized.
pub(crate) fn exposing<T>(function: impl FnOnce() -> T) -> T {
    /// Restores masking, even after a panic.
    struct Restore(bool);

    impl Drop for Restore {
        fn drop(&mut self) {
            IS_EXPOSED.set(self.0);
        }
    }

    let _restore = Restore(IS_EXPOSED.replace(true));
    function()
}

/// A timestamp, as the server sent it.
///
/// The API sends ISO 8601. A malformed timestamp is kept and does not break decoding, but
/// [`to_jiff`](Self::to_jiff) returns `None`, and it cannot be sent as an expiry time. Timestamps
/// that a program creates are valid: they are parsed, or converted from a `SystemTime` or a
/// [`jiff::Timestamp`](crate::jiff::Timestamp).
///
/// ```
/// use rockset_apikeys::{Timestamp, jiff};
///
/// let expiry: Timestamp = "2030-01-01T00:00:00Z".parse()?;
/// let instant: Option<jiff::Timestamp> = expiry.to_jiff();
/// assert_eq!(instant.map(|instant| instant.as_second()), Some(1_893_456_000));
/// assert!("tomorrow".parse::<Timestamp>().is_err());
///
/// let tomorrow = Timestamp::from(jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24));
/// # let _ = tomorrow;
/// # Ok::<(), jiff::Error>(())
/// ```
///
/// Timestamps are compared and ordered by instant, not by their strings. Malformed timestamps come
/// last.
#[derive(Clone, Debug)]
pub struct Timestamp(String);

impl Timestamp {
    /// Returns the instant as a `jiff::Timestamp`.
    ///
    /// `None` if the server sent no date and time with an offset, or a time within the last 26
    /// hours of the year 9999, which jiff cannot represent.
    pub fn to_jiff(&self) -> Option<JiffTimestamp> {
        self.0.parse().ok()
    }

    /// Returns the string as it was received or will be sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<JiffTimestamp> for Timestamp {
    /// Formats the instant as ISO 8601 in UTC.
    fn from(instant: JiffTimestamp) -> Self {
        Self(instant.to_string())
    }
}

impl TryFrom<SystemTime> for Timestamp {
    type Error = JiffError;

    /// Formats the instant as ISO 8601 in UTC. Fails after the year 9999.
    fn try_from(time: SystemTime) -> Result<Self, Self::Error> {
        JiffTimestamp::try_from(time).map(Self::from)
    }
}

impl TryFrom<&str> for Timestamp {
    type Error = JiffError;

    /// Parses an RFC 3339 string, as [`FromStr`] does.
    fn try_from(string: &str) -> Result<Self, Self::Error> {
        string.parse()
    }
}

impl FromStr for Timestamp {
    type Err = JiffError;

    /// Parses an RFC 3339 string (`2030-01-01T00:00:00Z`), which is kept as it is.
    fn from_str(string: &str) -> Result<Self, Self::Err> {
        if !is_rfc_3339(string) {
            return Err(JiffError::from_args(format_args!(
                "{string:?} is not an RFC 3339 date and time; use the form 2030-01-01T00:00:00Z"
            )));
        }
        // Not as an instant: the API accepts times that jiff cannot represent.
        Pieces::parse(string).map(|_| Self(string.to_owned()))
    }
}

/// Returns whether the string matches the contract's format. Jiff also parses others.
fn is_rfc_3339(string: &str) -> bool {
    let digits_as_zeros = |char: char| if char.is_ascii_digit() { '0' } else { char };
    let form: String = string.to_ascii_uppercase().chars().map(digits_as_zeros).collect();
    let Some(rest) = form.strip_prefix("0000-00-00T00:00:00") else { return false };
    let offset = match rest.strip_prefix(".0") {
        Some(fraction) => fraction.trim_start_matches('0'),
        None => rest,
    };
    // Jiff turns a leap second into the second before it, and accepts offsets of more than a day.
    let is_leap_second = string.get(17..19) == Some("60");
    let hours = string.len().checked_sub(5).and_then(|start| string.get(start..start + 2));
    let is_in_a_day = offset == "Z" || hours.is_some_and(|hours| hours < "24");
    matches!(offset, "Z" | "+00:00" | "-00:00") && is_in_a_day && !is_leap_second
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.to_jiff(), other.to_jiff()) {
            (Some(one), Some(other)) => one.cmp(&other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.0.cmp(&other.0),
        }
    }
}

impl Hash for Timestamp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.to_jiff() {
            Some(instant) => instant.hash(state),
            None => self.0.hash(state),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// Keeps any value that the server sends: a malformed timestamp does not break decoding.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(string) => Self(string),
            other => Self(other.to_string()),
        })
    }
}

#[cfg(feature = "schemars")]
mod schemas {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{ApiKeyValue, Timestamp};

    impl JsonSchema for ApiKeyValue {
        fn schema_name() -> Cow<'static, str> {
            "ApiKeyValue".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string", "format": "password" })
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
}
