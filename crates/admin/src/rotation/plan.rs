//! The settings of a rotation, and its plan. Nothing here changes a key.

use std::fmt;
use std::time::Duration;

use rockset_apikeys::jiff::{self, SignedDuration};
use rockset_apikeys::{ApiKey, KeyState, Timestamp};
use serde::Serialize;

use crate::generation;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The settings of a rotation.
///
/// A name without a generation, for example `my-app`, stands for the newest of `my-app`,
/// `my-app.r2`, `my-app.r3` and so on. The successor has the next one.
#[derive(Clone, Debug)]
#[must_use]
pub struct Rotation {
    pub(super) name: String,
    pub(super) user: Option<String>,
    pub(super) lifetime: Option<Duration>,
    pub(super) overlap: Duration,
    pub(super) hold: Duration,
    pub(super) is_compromised: bool,
    pub(super) is_suspended_first: bool,
}

impl Rotation {
    /// Rotates the newest generation of this key.
    pub fn of(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            user: None,
            lifetime: None,
            overlap: DAY,
            hold: 7 * DAY,
            is_compromised: false,
            is_suspended_first: false,
        }
    }

    /// Sets the owner's email address; defaults to the caller.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets the successor's lifetime; defaults to the old key's whole lifetime.
    ///
    /// By default, the successor of a key that does not expire does not expire.
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Sets how long both keys work; defaults to 24 hours.
    ///
    /// The server enforces it by the old key's expiry time, which is never postponed.
    pub fn overlap(mut self, overlap: Duration) -> Self {
        self.overlap = overlap;
        self
    }

    /// Sets how long the old key is suspended before it is deleted; defaults to 7 days.
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// Suspends the old key as soon as the successor is tested, even if it is in use.
    ///
    /// There is no overlap then.
    pub fn compromised(mut self, is_compromised: bool) -> Self {
        self.is_compromised = is_compromised;
        self
    }

    /// Suspends the old key before the successor is created, and treats it as compromised.
    ///
    /// Programs that use it fail until they have the successor. If distribution or test fails, the
    /// rotation is unfinished instead of rolled back, so that the old key stays suspended. The
    /// client's own key cannot be rotated in this way; [`RotatorBuilder::own_key_name`] is required
    /// to exclude it.
    ///
    /// [`RotatorBuilder::own_key_name`]: super::RotatorBuilder::own_key_name
    pub fn suspend_first(mut self, is_suspended_first: bool) -> Self {
        self.is_suspended_first = is_suspended_first;
        self.is_compromised |= is_suspended_first;
        self
    }

    pub(super) fn effective_overlap(&self) -> Duration {
        if self.is_compromised { Duration::ZERO } else { self.overlap }
    }

    /// Returns when the successor expires, or why that is unknown.
    pub(super) fn new_expiry(
        &self,
        old: &ApiKey,
        now: jiff::Timestamp,
    ) -> Result<Option<Timestamp>, String> {
        let lifetime = match (self.lifetime, &old.expiry_time) {
            (Some(lifetime), _) => SignedDuration::try_from(lifetime).ok(),
            (None, None) => return Ok(None),
            (None, Some(expiry)) => {
                let created_at = old.created_at.as_ref().and_then(Timestamp::to_jiff);
                let lifetime = |created_at| Some(expiry.to_jiff()?.duration_since(created_at));
                created_at.and_then(lifetime).filter(SignedDuration::is_positive)
            }
        };
        let time = lifetime.and_then(|lifetime| now.checked_add(lifetime).ok());
        // Servers truncate timestamps to milliseconds.
        let time =
            time.and_then(|time| jiff::Timestamp::from_millisecond(time.as_millisecond()).ok());
        match time {
            Some(time) => Ok(Some(time.into())),
            None => Err("cannot derive it from the old key's lifetime; set it".to_owned()),
        }
    }
}

/// Finds the key to rotate: the generation in the name, or the newest.
pub(super) fn find(name: &str, keys: Vec<ApiKey>) -> Option<ApiKey> {
    if generation::split(name).1 > 1 {
        return keys.into_iter().find(|key| key.name == name);
    }
    let is_generation = |key: &ApiKey| generation::split(&key.name).0 == name;
    keys.into_iter().filter(is_generation).max_by_key(|key| generation::split(&key.name).1)
}

/// A check of a [`Plan`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What was checked, for example `successor's name`.
    pub what: String,
    /// The result, or the reason why the rotation cannot start.
    pub finding: String,
    /// False if the rotation cannot start.
    pub passed: bool,
}

/// The plan of a rotation: a dry run.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// Email address of the keys' owner.
    pub user: String,
    /// Name of the key to rotate.
    pub old: String,
    /// Name of the successor.
    pub new: String,
    /// Role of both keys.
    pub role: Option<String>,
    /// The old key's expiry time, if any.
    pub old_expiry_time: Option<Timestamp>,
    /// The successor's expiry time if it were created now, if any.
    pub new_expiry_time: Option<Timestamp>,
    /// How long both keys work.
    pub overlap: Duration,
    /// How long the old key is suspended before it is deleted.
    pub hold: Duration,
    /// All checks.
    pub checks: Vec<Check>,
    #[serde(skip)]
    pub(super) old_created_at: Option<Timestamp>,
    #[serde(skip)]
    pub(super) now: jiff::Timestamp,
    #[serde(skip)]
    pub(super) is_own_user: bool,
}

impl Plan {
    /// Returns true if all checks passed.
    pub fn is_ready(&self) -> bool {
        self.problems().next().is_none()
    }

    /// Returns the checks that failed.
    pub fn problems(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }

    pub(super) fn check(&mut self, what: impl Into<String>, found: Result<String, String>) {
        let passed = found.is_ok();
        let (Ok(finding) | Err(finding)) = found;
        self.checks.push(Check { what: what.into(), finding, passed });
    }

    pub(super) fn check_state(&mut self, old: &ApiKey) {
        let is_active = old.state == Some(KeyState::Active);
        let expiry = old.expiry_time.as_ref().and_then(Timestamp::to_jiff);
        let found = match &old.state {
            Some(_) if expiry.is_some_and(|expiry| expiry <= self.now) => {
                Err("expired; create another key".to_owned())
            }
            Some(state) if is_active => Ok(state.as_str().to_owned()),
            Some(state) => Err(format!("{}; activate it or create another key", state.as_str())),
            None => Err("the server did not return it".to_owned()),
        };
        self.check("old key's state", found);
    }
}

impl fmt::Display for Plan {
    /// Prints one line per fact and check.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expiry = |time: &Option<Timestamp>| {
            time.as_ref().map_or("does not expire".to_owned(), |time| format!("expires {time}"))
        };
        writeln!(
            f,
            "old key    {:?} of {}, {}",
            self.old,
            self.user,
            expiry(&self.old_expiry_time)
        )?;
        writeln!(f, "successor  {:?}, {}", self.new, expiry(&self.new_expiry_time))?;
        writeln!(f, "role       {}", self.role.as_deref().unwrap_or("all roles of the owner"))?;
        write!(f, "overlap    {}, then suspended for {}", show(self.overlap), show(self.hold))?;
        for check in &self.checks {
            let mark = if check.passed { "ok  " } else { "FAIL" };
            write!(f, "\n{mark}       {}: {}", check.what, check.finding)?;
        }
        Ok(())
    }
}

/// Formats a duration in days if it is several whole days, and otherwise as jiff does.
fn show(duration: Duration) -> String {
    let days = duration.as_secs() / DAY.as_secs();
    if days > 1 && duration == Duration::from_secs(days.saturating_mul(DAY.as_secs())) {
        return format!("{days}d");
    }
    format!("{:#}", SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX))
}
