//! Finds API keys that should not exist, or that need attention.
//!
//! [`audit`] lists the keys of users, many at once, and compares each with a [`Policy`]. It changes
//! nothing. It keeps findings and a hash per name, not the keys.
//!
//! ```
//! use rockset_apikeys_admin::audit::{self, Policy, Severity};
//! # use rockset_apikeys_server::Server;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = Server::start().await?;
//! # let client = server.client();
//! let report = audit::audit(&client, &["self"], &Policy::default(), |_| {}).await;
//! assert!(report.is_complete());
//! for finding in &report.findings {
//!     println!("{}: {}: {}", finding.severity, finding.name, finding.evidence);
//! }
//! assert_eq!(report.worst(), Some(Severity::High));
//! # Ok(())
//! # }
//! ```

mod policy;
mod rules;

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use rockset_apikeys::jiff::Timestamp;
use rockset_apikeys::jiff::fmt::rfc2822;
use rockset_apikeys::{ApiKey, CallReport, Client, Error};
use serde::{Deserialize, Serialize};

pub use policy::{Exception, Policy};

/// The listings that are made at the same time.
const CONCURRENCY: usize = 16;

/// How often a listing waits because the server limits the rate of requests.
const RATE_LIMIT_WAITS: usize = 60;

/// How urgent a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Untidy.
    Low,
    /// Should be planned.
    Medium,
    /// Should be done now.
    High,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// The key has no role, and so all permissions of its owner. High.
    NoRole,
    /// The key has an administrator's role and is unused. High.
    UnusedAdministrator,
    /// A newer generation of the key works too. High; low if the key expires soon.
    UnfinishedRotation,
    /// The key does not expire. Medium.
    NoExpiry,
    /// The key has been active for too long. Medium.
    TooOld,
    /// The key is unused, or was never used. Medium; low if it is new.
    Unused,
    /// The key expires soon. Medium.
    ExpiresSoon,
    /// None of the audited users has the key that created this one. Medium.
    CreatorGone,
    /// The key is suspended or has expired, and can be activated again. Low.
    SuspendedKept,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Something that is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How urgent it is.
    pub severity: Severity,
    /// What is wrong.
    pub kind: Kind,
    /// The owner's email address; `self` if the server did not tell it.
    pub user: String,
    /// The name of the key.
    pub name: String,
    /// What the finding rests on, as a sentence without a key's value.
    pub evidence: String,
    /// The precision of the time that it rests on, in seconds; `None` if it rests on no time.
    pub precision_seconds: Option<u64>,
    /// The arguments of `rockset-apikeys` that fix it; those in capitals are to be filled in.
    pub fix: Vec<String>,
}

/// A user whose keys could not be listed.
#[derive(Debug)]
pub struct Unlisted {
    /// The user's email address, as it was passed.
    pub user: String,
    /// Why the listing failed.
    pub error: Error,
}

/// What an audit found.
#[derive(Debug, Default)]
#[must_use]
pub struct Report {
    /// The findings, the most severe first, then by user and key.
    pub findings: Vec<Finding>,
    /// The number of findings that the policy's exceptions cover.
    pub excepted: usize,
    /// The users whose keys could not be listed.
    pub unlisted: Vec<Unlisted>,
    /// The number of users whose keys were listed.
    pub users: usize,
    /// The number of keys that were listed.
    pub keys: usize,
}

impl Report {
    /// Returns true if the keys of all users were listed.
    pub fn is_complete(&self) -> bool {
        self.unlisted.is_empty()
    }

    /// Returns the severity of the worst finding, or `None` if there is none.
    ///
    /// An audit that is not [complete](Self::is_complete) may have missed worse.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    fn add(&mut self, finding: Finding, policy: &Policy, now: Timestamp) {
        if policy.excepts(&finding, now) {
            self.excepted += 1;
        } else {
            self.findings.push(finding);
        }
    }
}

/// How far an audit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The number of users who are done, listed or not.
    pub done: usize,
    /// The number of all users.
    pub total: usize,
}

/// Audits the keys of users; `self` is the authenticated one.
///
/// At most 16 listings are made at the same time. Where the server limits the rate, they wait as
/// long as it asks. `progress` is called after each listing. Ages are measured by the server's
/// clock, from the `Date` of its responses.
///
/// A listing that fails does not stop the audit; it is in [`Report::unlisted`].
pub async fn audit<U: AsRef<str>>(
    client: &Client,
    users: &[U],
    policy: &Policy,
    mut progress: impl FnMut(Progress),
) -> Report {
    let mut report = Report::default();
    // The creators of keys may belong to users who are listed later.
    let hasher = RandomState::new();
    let mut names = HashSet::new();
    let mut with_other_creator = Vec::new();
    let listings = users.iter().map(|user| list(client, user.as_ref()));
    let mut listings = stream::iter(listings).buffer_unordered(CONCURRENCY);
    let mut now = Timestamp::now();
    while let Some((user, listed)) = listings.next().await {
        match listed {
            Ok((keys, call)) => {
                now = server_time(&call).unwrap_or_else(Timestamp::now);
                names.extend(keys.iter().map(|key| hasher.hash_one(&key.name)));
                for finding in rules::findings(user, &keys, policy, now) {
                    report.add(finding, policy, now);
                }
                with_other_creator.extend(rules::with_other_creator(user, &keys));
                report.users += 1;
                report.keys += keys.len();
            }
            Err(error) => report.unlisted.push(Unlisted { user: user.to_owned(), error }),
        }
        progress(Progress { done: report.users + report.unlisted.len(), total: users.len() });
    }
    for (creator, finding) in with_other_creator {
        if !names.contains(&hasher.hash_one(&creator)) {
            report.add(finding, policy, now);
        }
    }
    report.findings.sort_by(|a, b| {
        let order =
            |it: &Finding| (Reverse(it.severity), it.user.clone(), it.name.clone(), it.kind);
        order(a).cmp(&order(b))
    });
    report.unlisted.sort_by(|a, b| a.user.cmp(&b.user));
    report
}

/// Lists a user's keys, however long the server limits the rate of requests.
async fn list<'a>(
    client: &Client,
    user: &'a str,
) -> (&'a str, Result<(Vec<ApiKey>, CallReport), Error>) {
    let mut waits = 0;
    loop {
        let listed = client.list_api_keys().user(user).with_report().await;
        match &listed {
            Err(error) if error.is_rate_limited() && waits < RATE_LIMIT_WAITS => {
                waits += 1;
                tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_secs(1))).await;
            }
            _ => return (user, listed),
        }
    }
}

/// Returns the time at which the server responded, to the second.
fn server_time(call: &CallReport) -> Option<Timestamp> {
    let date = call.headers().get("date")?.to_str().ok()?;
    rfc2822::parse(date).ok().map(|time| time.timestamp())
}
