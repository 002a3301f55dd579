//! Finds API keys that should not exist or that need attention.
//!
//! [`audit`] lists the keys of many users concurrently and compares each key with a [`Policy`]. It
//! changes nothing. It keeps findings and a hash of each name, not the keys.
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

mod finding;
mod policy;
mod rules;

use std::cmp::Reverse;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use rockset_apikeys::jiff::Timestamp;
use rockset_apikeys::{ApiKey, CallReport, Client, Error, ErrorKind, StatusCode};

use crate::time::server_time;

pub use finding::{Finding, Kind, Severity};
pub use policy::{Exception, Policy};

/// The number of concurrent listings.
const CONCURRENCY: usize = 16;

const RATE_LIMITED: ErrorKind = ErrorKind::Response(StatusCode::TOO_MANY_REQUESTS);

/// How often a listing waits after a 429.
const RATE_LIMIT_WAITS: usize = 60;

/// A user whose keys could not be listed.
#[derive(Debug)]
pub struct Failure {
    /// The user's email address, as it was passed.
    pub user: String,
    /// The error of the listing.
    pub error: Error,
}

/// The result of an audit.
#[derive(Debug, Default)]
#[must_use]
pub struct Report {
    /// The findings, sorted by severity (the most severe first), user and key.
    pub findings: Vec<Finding>,
    /// The number of findings that the policy's exceptions suppress.
    pub suppressed: usize,
    /// The users whose keys could not be listed.
    pub failures: Vec<Failure>,
    /// The number of users whose keys were listed.
    pub users: usize,
    /// The number of keys that were listed.
    pub keys: usize,
}

impl Report {
    /// Returns true if the keys of all users were listed.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    /// Returns the severity of the worst finding, or `None` if there are no findings.
    ///
    /// An audit that is not [complete](Self::is_complete) may have missed a worse one.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    fn add(&mut self, finding: Finding, policy: &Policy, now: Timestamp) {
        if policy.suppresses(&finding, now) {
            self.suppressed += 1;
        } else {
            self.findings.push(finding);
        }
    }
}

/// The progress of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The number of users whose listing has succeeded or failed.
    pub done: usize,
    /// The number of all users.
    pub total: usize,
}

/// Audits the keys of users; `self` is the authenticated one.
///
/// At most 16 users are listed concurrently. After a 429, a listing waits as long as the server
/// asks and is retried. `progress` is called after each listing. Ages are measured by the server's
/// clock, from the `Date` header of its responses.
///
/// A failed listing does not stop the audit; [`Report::failures`] contains it.
pub async fn audit<U: AsRef<str>>(
    client: &Client,
    users: &[U],
    policy: &Policy,
    mut progress: impl FnMut(Progress),
) -> Report {
    let mut report = Report::default();
    // A key's creator may belong to a user who is listed later.
    let hasher = RandomState::new();
    let mut names = HashSet::new();
    let mut possible_orphans = Vec::new();
    let listings = users.iter().map(|user| list(client, user.as_ref()));
    let mut listings = stream::iter(listings).buffer_unordered(CONCURRENCY);
    let mut now = Timestamp::now();
    while let Some((user, listed)) = listings.next().await {
        match listed {
            Ok((keys, call)) => {
                now = server_time(&call);
                names.extend(keys.iter().map(|key| hasher.hash_one(&key.name)));
                for finding in rules::findings(user, &keys, policy, now) {
                    report.add(finding, policy, now);
                }
                possible_orphans.extend(rules::possible_orphans(user, &keys));
                report.users += 1;
                report.keys += keys.len();
            }
            Err(error) => report.failures.push(Failure { user: user.to_owned(), error }),
        }
        progress(Progress { done: report.users + report.failures.len(), total: users.len() });
    }
    for (creator, finding) in possible_orphans {
        if !names.contains(&hasher.hash_one(&creator)) {
            report.add(finding, policy, now);
        }
    }
    report.findings.sort_by(|a, b| {
        let order =
            |it: &Finding| (Reverse(it.severity), it.user.clone(), it.name.clone(), it.kind);
        order(a).cmp(&order(b))
    });
    report.failures.sort_by(|a, b| a.user.cmp(&b.user));
    report
}

/// Lists a user's keys, and waits as often as the server limits the rate.
async fn list<'a>(
    client: &Client,
    user: &'a str,
) -> (&'a str, Result<(Vec<ApiKey>, CallReport), Error>) {
    let mut waits = 0;
    loop {
        let listed = client.list_api_keys().user(user).with_report().await;
        match &listed {
            Err(error) if error.kind() == RATE_LIMITED && waits < RATE_LIMIT_WAITS => {
                waits += 1;
                tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_secs(1))).await;
            }
            _ => return (user, listed),
        }
    }
}
