//! The rules that one user's keys are checked against. They make no calls.

use std::collections::HashMap;
use std::time::Duration;

use rockset_apikeys::jiff::{SignedDuration, Timestamp};
use rockset_apikeys::{ApiKey, KeyState};

use super::finding::{Finding, Kind, Severity};
use super::policy::Policy;
use crate::generation;

/// The role that has every permission.
const ADMIN: &str = "admin";

/// The precision of a response's `Date` header, and therefore of every age.
const DATE_PRECISION: Duration = Duration::from_secs(1);

/// Returns the findings of each key. A key that a newer generation replaces has only that finding,
/// because retiring it settles the others.
pub(super) fn findings(
    user: &str,
    keys: &[ApiKey],
    policy: &Policy,
    now: Timestamp,
) -> Vec<Finding> {
    let mut newest = HashMap::new();
    for key in keys.iter().filter(|key| is_active(key)) {
        let (base, generation) = generation::split(&key.name);
        let newest = newest.entry(base).or_insert((generation, &key.name));
        *newest = (*newest).max((generation, &key.name));
    }
    let mut findings = Vec::new();
    for key in keys {
        let subject = Subject { user, key, now };
        if !is_active(key) {
            findings.push(subject.stale_suspended());
            continue;
        }
        let (base, generation) = generation::split(&key.name);
        if let Some((_, name)) = newest.get(base).filter(|(newest, _)| *newest > generation) {
            findings.push(subject.unfinished_rotation(name, policy));
        } else {
            findings.extend(subject.role());
            findings.extend(subject.expiry(policy));
            findings.extend(subject.age(policy));
            findings.extend(subject.last_access(policy));
        }
    }
    findings
}

/// Returns a finding for each active key whose creator is not among its owner's keys, with the
/// creator's name.
pub(super) fn possible_orphans(user: &str, keys: &[ApiKey]) -> Vec<(String, Finding)> {
    let orphans = keys.iter().filter(|key| is_active(key)).filter_map(|key| {
        let creator = key.created_by_apikey_name.as_ref()?;
        if creator.is_empty() || keys.iter().any(|key| key.name == *creator) {
            return None;
        }
        let subject = Subject { user, key, now: Timestamp::UNIX_EPOCH };
        let evidence = format!("created by the key {creator:?}, which no audited user has");
        let finding =
            subject.finding(Kind::Orphaned, Severity::Medium, evidence, subject.replace());
        Some((creator.clone(), finding))
    });
    orphans.collect()
}

fn is_active(key: &ApiKey) -> bool {
    key.state != Some(KeyState::Suspended)
}

/// A key that is checked.
struct Subject<'a> {
    user: &'a str,
    key: &'a ApiKey,
    now: Timestamp,
}

impl Subject<'_> {
    fn stale_suspended(&self) -> Finding {
        let delete = self.command(&["delete"]);
        match self.expiry_time().filter(|time| *time <= self.now) {
            Some(time) => {
                let evidence = format!("expired at {time:.0}, but not deleted");
                self.dated(Kind::StaleSuspended, Severity::Low, evidence, delete)
            }
            None => {
                let evidence = "suspended, but not deleted";
                self.finding(Kind::StaleSuspended, Severity::Low, evidence, delete)
            }
        }
    }

    fn role(&self) -> Option<Finding> {
        let evidence = "no role, and therefore all permissions of its owner";
        let is_missing = self.key.role.is_none();
        is_missing.then(|| self.finding(Kind::NoRole, Severity::High, evidence, self.replace()))
    }

    fn expiry(&self, policy: &Policy) -> Option<Finding> {
        let Some(expiry) = &self.key.expiry_time else {
            let fix = self.command(&["update", "--expires-in", "90d"]);
            return Some(self.finding(Kind::NoExpiry, Severity::Medium, "no expiry time", fix));
        };
        let left = self.expiry_time()?.duration_since(self.now);
        let evidence = format!("expires at {expiry}, in {}", rounded(left));
        (left <= signed(policy.expiry_notice))
            .then(|| self.dated(Kind::ExpiresSoon, Severity::Medium, evidence, self.replace()))
    }

    fn age(&self, policy: &Policy) -> Option<Finding> {
        let age = self.created_ago()?;
        let evidence = format!("created {} ago", rounded(age));
        (age > signed(policy.max_age))
            .then(|| self.dated(Kind::TooOld, Severity::Medium, evidence, self.replace()))
    }

    fn last_access(&self, policy: &Policy) -> Option<Finding> {
        let (is_long, evidence) = match &self.key.last_access_time {
            Some(time) => {
                let unused = self.now.duration_since(time.to_jiff()?);
                if unused <= signed(policy.max_unused) {
                    return None;
                }
                (true, format!("last used {} ago, at {time}", rounded(unused)))
            }
            None => match self.created_ago() {
                Some(age) => {
                    let evidence = format!("never used; created {} ago", rounded(age));
                    (age > signed(policy.max_unused), evidence)
                }
                None => (true, "never used".to_owned()),
            },
        };
        let is_admin = self.key.role.as_deref() == Some(ADMIN);
        let (kind, severity) = match (is_admin, is_long) {
            (true, true) => (Kind::UnusedAdmin, Severity::High),
            (false, true) => (Kind::Unused, Severity::Medium),
            (_, false) => (Kind::Unused, Severity::Low),
        };
        let precision = DATE_PRECISION.max(policy.last_access_precision).as_secs();
        let finding = self.finding(kind, severity, evidence, self.command(&["suspend"]));
        Some(Finding { precision_seconds: Some(precision), ..finding })
    }

    fn unfinished_rotation(&self, newer: &str, policy: &Policy) -> Finding {
        let (kind, fix) = (Kind::UnfinishedRotation, self.command(&["suspend"]));
        let evidence = format!("{newer:?} replaces it, and both are active");
        match self.expiry_time().map(|time| time.duration_since(self.now)) {
            Some(left) if left <= signed(policy.expiry_notice) => {
                self.dated(kind, Severity::Low, evidence, fix)
            }
            Some(_) => self.dated(kind, Severity::High, evidence, fix),
            None => self.finding(kind, Severity::High, evidence, fix),
        }
    }

    fn expiry_time(&self) -> Option<Timestamp> {
        self.key.expiry_time.as_ref()?.to_jiff()
    }

    fn created_ago(&self) -> Option<SignedDuration> {
        Some(self.now.duration_since(self.key.created_at.as_ref()?.to_jiff()?))
    }

    fn finding(
        &self,
        kind: Kind,
        severity: Severity,
        evidence: impl Into<String>,
        fix: Vec<String>,
    ) -> Finding {
        Finding {
            severity,
            kind,
            user: self.key.created_by.clone().unwrap_or_else(|| self.user.to_owned()),
            name: self.key.name.clone(),
            evidence: evidence.into(),
            precision_seconds: None,
            fix,
        }
    }

    /// Returns a finding that is based on the server's time.
    fn dated(&self, kind: Kind, severity: Severity, evidence: String, fix: Vec<String>) -> Finding {
        let precision_seconds = Some(DATE_PRECISION.as_secs());
        Finding { precision_seconds, ..self.finding(kind, severity, evidence, fix) }
    }

    /// Returns the command that replaces the key. A rotation keeps the role, so a key without one
    /// is replaced with a new key.
    fn replace(&self) -> Vec<String> {
        let options = ["--expires-in", "90d", "--out", "DEST"];
        if self.key.role.is_some() {
            return self.command(&[&["rotate", "start"][..], &options].concat());
        }
        let words = [&["create", "--role", "ROLE"][..], &options].concat();
        self.command_for(&words, &generation::successor(&self.key.name))
    }

    fn command(&self, words: &[&str]) -> Vec<String> {
        self.command_for(words, &self.key.name)
    }

    fn command_for(&self, words: &[&str], name: &str) -> Vec<String> {
        let mut command = words.to_vec();
        if self.user != "self" {
            command.extend(["--user", self.user]);
        }
        if name.starts_with('-') {
            command.push("--");
        }
        command.push(name);
        command.into_iter().map(str::to_owned).collect()
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Formats a duration in whole minutes, hours or days.
fn rounded(duration: SignedDuration) -> String {
    let minutes = duration.as_mins().max(0);
    match minutes {
        0..=119 => format!("{minutes} minutes"),
        120..=2_879 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / (24 * 60)),
    }
}
