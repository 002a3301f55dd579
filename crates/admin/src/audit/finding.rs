//! A finding: a problem of one key.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How urgent a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Clean up at some time.
    Low,
    /// Plan a fix.
    Medium,
    /// Fix now.
    High,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The rule that a key violates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// The key has no role, and therefore all permissions of its owner. High.
    NoRole,
    /// The key has the role `admin` and is unused. High.
    UnusedAdmin,
    /// A newer generation of the key is active as well. High; low if the key expires soon.
    UnfinishedRotation,
    /// The key does not expire. Medium.
    NoExpiry,
    /// The key has been active for too long. Medium.
    TooOld,
    /// The key is unused or was never used. Medium; low if it is new.
    Unused,
    /// The key expires soon. Medium.
    ExpiresSoon,
    /// The key that created this one belongs to no audited user. Medium.
    Orphaned,
    /// The key is suspended or has expired, but can be activated again. Low.
    StaleSuspended,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A problem of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How urgent it is.
    pub severity: Severity,
    /// The rule that the key violates.
    pub kind: Kind,
    /// The owner's email address; `self` if the server did not return it.
    pub user: String,
    /// The name of the key.
    pub name: String,
    /// The facts that violate the rule, without a key's value.
    pub evidence: String,
    /// The precision of the evidence's time in seconds, or `None` if it contains no time.
    pub precision_seconds: Option<u64>,
    /// The arguments of `rockset-apikeys` that fix the problem. Words in capitals are placeholders.
    pub fix: Vec<String>,
}
