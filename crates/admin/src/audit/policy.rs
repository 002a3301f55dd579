//! The thresholds of an audit, and the exceptions that suppress findings.

use std::time::Duration;

use rockset_apikeys::jiff::tz::TimeZone;
use rockset_apikeys::jiff::{Error, SignedDuration, Span, SpanRelativeTo, Timestamp, civil::Date};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::finding::{Finding, Kind};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The thresholds and exceptions of an audit.
///
/// A policy can be deserialized, for example from TOML. A day has 24 hours.
///
/// ```toml
/// max_age = "90d"
/// max_unused = "45d"
/// expiry_notice = "14d"
///
/// [[exceptions]]
/// name = "backup"
/// user = "ops@me.com"
/// kind = "no-expiry"
/// reason = "the appliance cannot be changed before the move"
/// until = "2030-06-30"
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct Policy {
    #[serde(deserialize_with = "duration")]
    pub(super) max_age: Duration,
    #[serde(deserialize_with = "duration")]
    pub(super) max_unused: Duration,
    #[serde(deserialize_with = "duration")]
    pub(super) expiry_notice: Duration,
    #[serde(deserialize_with = "duration")]
    pub(super) last_access_precision: Duration,
    exceptions: Vec<Exception>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_age: 90 * DAY,
            max_unused: 45 * DAY,
            expiry_notice: 14 * DAY,
            last_access_precision: Duration::from_secs(2),
            exceptions: Vec::new(),
        }
    }
}

impl Policy {
    /// Sets the maximum age of an active key; defaults to 90 days.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Sets the maximum time since a key's last use; defaults to 45 days.
    pub fn max_unused(mut self, duration: Duration) -> Self {
        self.max_unused = duration;
        self
    }

    /// Sets how long before its expiry a key is reported; defaults to 14 days.
    pub fn expiry_notice(mut self, duration: Duration) -> Self {
        self.expiry_notice = duration;
        self
    }

    /// Sets the precision of the server's last access times; defaults to 2 seconds.
    pub fn last_access_precision(mut self, precision: Duration) -> Self {
        self.last_access_precision = precision;
        self
    }

    /// Adds an exception.
    pub fn exception(mut self, exception: Exception) -> Self {
        self.exceptions.push(exception);
        self
    }

    pub(super) fn suppresses(&self, finding: &Finding, now: Timestamp) -> bool {
        let today = now.to_zoned(TimeZone::UTC).date();
        self.exceptions.iter().any(|it| {
            let is_user = it.user.as_ref().is_none_or(|user| *user == finding.user);
            let is_kind = it.kind.is_none_or(|kind| kind == finding.kind);
            it.name == finding.name && is_user && is_kind && today <= it.until
        })
    }
}

/// Suppresses a key's findings until a given date.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Exception {
    name: String,
    user: Option<String>,
    kind: Option<Kind>,
    // Only documentation, but required.
    #[serde(deserialize_with = "reason", rename = "reason")]
    _reason: String,
    #[serde(deserialize_with = "date")]
    until: Date,
}

impl Exception {
    /// Suppresses all findings of keys with this name, up to and including a date in UTC.
    pub fn new(name: impl Into<String>, reason: impl Into<String>, until: Date) -> Self {
        Self { name: name.into(), user: None, kind: None, _reason: reason.into(), until }
    }

    /// Limits the exception to a user's keys.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Limits the exception to findings of this kind.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text
        .parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .and_then(|duration: SignedDuration| Duration::try_from(duration));
    parsed.map_err(|error: Error| {
        D::Error::custom(format!("{error}; use a duration such as \"90d\" or \"12h\""))
    })
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|error| D::Error::custom(format!("{error}; use a date such as \"2030-06-30\"")))
}

fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.trim() {
        "" => Err(D::Error::custom("the reason is empty; explain why the finding is acceptable")),
        _ => Ok(text),
    }
}
