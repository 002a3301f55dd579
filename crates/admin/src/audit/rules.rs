//! What is wrong with the keys of one user. Nothing here makes a call.

use std::collections::HashMap;
use std::time::Duration;

use rockset_apikeys::jiff::{SignedDuration, Timestamp};
use rockset_apikeys::{ApiKey, KeyState};

use super::{Finding, Kind, Policy, Severity};

/// The role that may do everything.
const ADMINISTRATOR: &str = "admin";

/// The precision of the `Date` of a response, and so of each age.
const DATE_PRECISION: Duration = Duration::from_secs(1);

/// Returns what is wrong with each key. One that a newer generation replaces has that finding
/// alone, because its end settles the others.
pub(super) fn findings(
    user: &str,
    keys: &[ApiKey],
    policy: &Policy,
    now: Timestamp,
) -> Vec<Finding> {
    let mut newest = HashMap::new();
    for key in keys.iter().filter(|key| is_active(key)) {
        let (base, generation) = generation(&key.name);
        let newest = newest.entry(base).or_insert((generation, &key.name));
        *newest = (*newest).max((generation, &key.name));
    }
    let mut found = Vec::new();
    for key in keys {
        let subject = Subject { user, key, now };
        if !is_active(key) {
            found.push(subject.suspended());
            continue;
        }
        let (base, generation) = generation(&key.name);
        if let Some((_, name)) = newest.get(base).filter(|(newest, _)| *newest > generation) {
            found.push(subject.newer_generation(name, policy));
        } else {
            found.extend(subject.role());
            found.extend(subject.expiry(policy));
            found.extend(subject.age(policy));
            found.extend(subject.use_(policy));
        }
    }
    found
}

/// Returns a finding for each active key whose creator is not one of its owner's keys, with the
/// creator's name.
pub(super) fn with_other_creator(user: &str, keys: &[ApiKey]) -> Vec<(String, Finding)> {
    let found = keys.iter().filter(|key| is_active(key)).filter_map(|key| {
        let creator = key.created_by_apikey_name.as_ref()?;
        if creator.is_empty() || keys.iter().any(|key| key.name == *creator) {
            return None;
        }
        let subject = Subject { user, key, now: Timestamp::UNIX_EPOCH };
        let evidence = format!("created by the key {creator:?}, which no audited user has");
        let finding = Finding {
            fix: subject.successor(),
            ..subject.finding(Kind::CreatorGone, Severity::Medium, evidence)
        };
        Some((creator.clone(), finding))
    });
    found.collect()
}

fn is_active(key: &ApiKey) -> bool {
    key.state != Some(KeyState::Suspended)
}

/// Splits the name of a successor, such as `my-app.r2`, into the first name and the generation.
fn generation(name: &str) -> (&str, u32) {
    let split = name.rsplit_once(".r");
    let parsed = split.and_then(|(base, number)| Some((base, number.parse().ok()?)));
    parsed.filter(|(_, number)| *number >= 2).unwrap_or((name, 1))
}

/// A key that is looked at.
struct Subject<'a> {
    user: &'a str,
    key: &'a ApiKey,
    now: Timestamp,
}

impl Subject<'_> {
    fn suspended(&self) -> Finding {
        let expired = self.key.expiry_time.as_ref().and_then(|time| time.to_jiff());
        let expired = expired.filter(|time| *time <= self.now);
        let evidence = match expired {
            Some(time) => format!("expired at {time:.0} and is kept"),
            None => "suspended, and can be activated again".to_owned(),
        };
        Finding {
            precision_seconds: expired.map(|_| DATE_PRECISION.as_secs()),
            fix: self.command(&["delete"]),
            ..self.finding(Kind::SuspendedKept, Severity::Low, evidence)
        }
    }

    fn role(&self) -> Option<Finding> {
        let evidence = "no role, and so all permissions of its owner".to_owned();
        self.key.role.is_none().then(|| Finding {
            fix: self.successor(),
            ..self.finding(Kind::NoRole, Severity::High, evidence)
        })
    }

    fn expiry(&self, policy: &Policy) -> Option<Finding> {
        let Some(expiry) = &self.key.expiry_time else {
            let evidence = "no expiry time".to_owned();
            return Some(Finding {
                fix: self.command(&["update", "--expires-in", "90d"]),
                ..self.finding(Kind::NoExpiry, Severity::Medium, evidence)
            });
        };
        let left = expiry.to_jiff()?.duration_since(self.now);
        (left <= signed(policy.expiry_notice)).then(|| Finding {
            precision_seconds: Some(DATE_PRECISION.as_secs()),
            fix: self.successor(),
            ..self.finding(
                Kind::ExpiresSoon,
                Severity::Medium,
                format!("expires at {}, in {}", expiry.as_str(), days(left)),
            )
        })
    }

    fn age(&self, policy: &Policy) -> Option<Finding> {
        let age = self.created()?;
        (age > signed(policy.max_age)).then(|| Finding {
            precision_seconds: Some(DATE_PRECISION.as_secs()),
            fix: self.successor(),
            ..self.finding(Kind::TooOld, Severity::Medium, format!("created {} ago", days(age)))
        })
    }

    fn use_(&self, policy: &Policy) -> Option<Finding> {
        let last = self.key.last_access_time.as_ref();
        let (is_long, evidence) = match last {
            Some(time) => {
                let unused = self.now.duration_since(time.to_jiff()?);
                if unused <= signed(policy.max_unused) {
                    return None;
                }
                (true, format!("last used {} ago, at {}", days(unused), time.as_str()))
            }
            None => {
                let age = self.created();
                let is_long = age.is_none_or(|age| age > signed(policy.max_unused));
                let age =
                    age.map_or_else(String::new, |age| format!("; created {} ago", days(age)));
                (is_long, format!("never used{age}"))
            }
        };
        let is_administrator = self.key.role.as_deref() == Some(ADMINISTRATOR);
        let (kind, severity) = match (is_administrator, is_long) {
            (true, true) => (Kind::UnusedAdministrator, Severity::High),
            (false, true) => (Kind::Unused, Severity::Medium),
            (_, false) => (Kind::Unused, Severity::Low),
        };
        let precision = DATE_PRECISION.max(policy.last_access_precision);
        Some(Finding {
            precision_seconds: Some(precision.as_secs()),
            fix: self.command(&["suspend"]),
            ..self.finding(kind, severity, evidence)
        })
    }

    fn newer_generation(&self, newer: &str, policy: &Policy) -> Finding {
        let expiry = self.key.expiry_time.as_ref().and_then(|time| time.to_jiff());
        let left = expiry.map(|time| time.duration_since(self.now));
        let severity = match left {
            Some(left) if left <= signed(policy.expiry_notice) => Severity::Low,
            _ => Severity::High,
        };
        Finding {
            precision_seconds: left.map(|_| DATE_PRECISION.as_secs()),
            fix: self.command(&["suspend"]),
            ..self.finding(
                Kind::UnfinishedRotation,
                severity,
                format!("{newer:?} replaces it, and both are active"),
            )
        }
    }

    /// Returns how long ago the key was created.
    fn created(&self) -> Option<SignedDuration> {
        Some(self.now.duration_since(self.key.created_at.as_ref()?.to_jiff()?))
    }

    fn finding(&self, kind: Kind, severity: Severity, evidence: String) -> Finding {
        Finding {
            severity,
            kind,
            user: self.key.created_by.clone().unwrap_or_else(|| self.user.to_owned()),
            name: self.key.name.clone(),
            evidence,
            precision_seconds: None,
            fix: Vec::new(),
        }
    }

    /// Returns the command that replaces the key. A rotation keeps the role, so a key without one
    /// gets another key beside it.
    fn successor(&self) -> Vec<String> {
        let (base, generation) = generation(&self.key.name);
        let terms = ["--expires-in", "90d", "--out", "SINK"];
        if self.key.role.is_some() {
            return self.command(&[&["rotate"][..], &terms].concat());
        }
        let words = [&["create", "--role", "ROLE"][..], &terms].concat();
        self.command_for(&words, &format!("{base}.r{}", generation.saturating_add(1)))
    }

    fn command(&self, words: &[&str]) -> Vec<String> {
        self.command_for(words, &self.key.name)
    }

    fn command_for(&self, words: &[&str], name: &str) -> Vec<String> {
        let mut command = words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        if self.user != "self" {
            command.extend(["--user".to_owned(), self.user.to_owned()]);
        }
        if name.starts_with('-') {
            command.push("--".to_owned());
        }
        command.push(name.to_owned());
        command
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Returns a duration in the largest unit of days, hours and minutes that it has.
fn days(duration: SignedDuration) -> String {
    let minutes = duration.as_mins().max(0);
    match minutes {
        0..=119 => format!("{minutes} minutes"),
        120..=2_879 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / (24 * 60)),
    }
}
