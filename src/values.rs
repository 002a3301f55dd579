//! The crate's own types for values of the contract: a key's value, which stays secret, and a
//! timestamp, which keeps its text.

use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::SystemTime;

use jiff::fmt::temporal::Pieces;
// Renamed, because the reference shows only the last part of a path.
use jiff::{Error as JiffError, Timestamp as JiffTimestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// The value of an API key: the full key or its identifier.
///
/// A full key has 64 letters and digits. The API returns it when a key is created or revealed, and
/// otherwise the identifier, its first 6 characters.
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
/// `{:?}` shows nothing of the value, and there is no `Display`: only
/// [`expose_secret`](Self::expose_secret) and [`full_key`](Self::full_key) return it. It serializes
/// as its identifier; wrap it in [`ExposeSecrets`] to serialize the full key. Comparing two values
/// takes the same time wherever they differ.
///
/// `Debug`, `Display`, log lines and errors of this crate show neither the client's key nor a key
/// that was created or revealed. A message in an error response is withheld as a whole (it becomes
/// `[REDACTED]`) if it contains a piece of the client's key that is longer than the identifier, or a
/// word that may be half of a key, even if it is escaped for a URL, HTML or JSON. Hexadecimal IDs
/// (trace IDs, for example) are shown.
///
/// The memory of a value is wiped when it is dropped, and so is that of the `Authorization` header
/// with its last copy. Buffers of the HTTP and TLS libraries are out of reach and not wiped, nor
/// are strings that a program makes from `expose_secret`.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct ApiKeyValue(Zeroizing<String>);

impl ApiKeyValue {
    /// Returns the value itself. Every use is a place where the secret can leak.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    /// Returns the full key, or `None` if this is an identifier, which authenticates nothing.
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

    /// Returns the first 6 characters, which identify the key and may be shown.
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
    /// Whether full keys are serialized on this thread. A serializer has no place for this.
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

/// Runs a function that serializes full keys.
pub(crate) fn exposing<T>(function: impl FnOnce() -> T) -> T {
    /// Masks keys again, even after a panic.
    struct Restore(bool);

    impl Drop for Restore {
        fn drop(&mut self) {
            IS_EXPOSED.set(self.0);
        }
    }

    let _restore = Restore(IS_EXPOSED.replace(true));
    function()
}

/// A point in time, as the server wrote it.
///
/// The API writes ISO 8601. Other text is kept and does not fail the response; it just has no
/// [`to_jiff`](Self::to_jiff), and is not sent as an expiry time. Timestamps that a program makes
/// are valid: they are parsed, or come from a `SystemTime` or from the type of that name in
/// [jiff](crate::jiff), `jiff::Timestamp`.
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
/// Timestamps of the same instant are equal, however they are written, and are ordered by time.
/// Those without an instant come last.
#[derive(Clone, Debug)]
pub struct Timestamp(String);

impl Timestamp {
    /// Returns the instant as a `jiff::Timestamp`.
    ///
    /// `None` if the server sent something that is not a date and time with an offset, or a time
    /// within the last 26 hours of the year 9999, for which jiff has no instant.
    pub fn to_jiff(&self) -> Option<JiffTimestamp> {
        self.0.parse().ok()
    }

    /// Returns the text as it was received or is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<JiffTimestamp> for Timestamp {
    /// Writes the instant of a `jiff::Timestamp` as ISO 8601 in UTC.
    fn from(instant: JiffTimestamp) -> Self {
        Self(instant.to_string())
    }
}

impl TryFrom<SystemTime> for Timestamp {
    type Error = JiffError;

    /// Writes the instant of a [`SystemTime`] as ISO 8601 in UTC. Fails for one after the year
    /// 9999.
    fn try_from(time: SystemTime) -> Result<Self, Self::Error> {
        JiffTimestamp::try_from(time).map(Self::from)
    }
}

impl TryFrom<&str> for Timestamp {
    type Error = JiffError;

    /// Parses a date and time of RFC 3339, as [`FromStr`] does.
    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for Timestamp {
    type Err = JiffError;

    /// Parses a date and time of RFC 3339, such as `2030-01-01T00:00:00Z`.
    ///
    /// The text is kept.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !is_rfc_3339(text) {
            return Err(JiffError::from_args(format_args!(
                "{text:?} is not a date and time such as 2030-01-01T00:00:00Z"
            )));
        }
        // The API has times for which jiff has no instant; their parts are checked alone.
        Pieces::parse(text).map(|_| Self(text.to_owned()))
    }
}

/// Whether the text has the form that the contract asks for. Jiff reads others, too.
fn is_rfc_3339(text: &str) -> bool {
    let digits_as_zeros = |char: char| if char.is_ascii_digit() { '0' } else { char };
    let form: String = text.to_ascii_uppercase().chars().map(digits_as_zeros).collect();
    let Some(rest) = form.strip_prefix("0000-00-00T00:00:00") else { return false };
    let offset = match rest.strip_prefix(".0") {
        Some(fraction) => fraction.trim_start_matches('0'),
        None => rest,
    };
    // Jiff takes a leap second for the second before it, and offsets of more than a day.
    let is_leap_second = text.get(17..19) == Some("60");
    let hours = text.len().checked_sub(5).and_then(|start| text.get(start..start + 2));
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
    /// Keeps the text of whatever the server sends: an unexpected value does not fail the response.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Self(text),
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
