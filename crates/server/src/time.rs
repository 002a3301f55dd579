//! Time: the clock, timestamps in milliseconds, the expiry clock, and last-access times.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::civil::{DateTime, date};
use jiff::fmt::temporal::Pieces;
use jiff::{SignedDuration, Timestamp};

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// A manually advanced clock, for tests of key expiry and of the `Date` header.
///
/// Clones share the time. The default clock is the system clock.
///
/// ```
/// use jiff::SignedDuration;
/// use rockset_apikeys_server::Clock;
///
/// fn main() -> Result<(), jiff::Error> {
///     let clock = Clock::at("2030-01-01T00:00:00Z".parse()?);
///     clock.advance(SignedDuration::from_hours(1));
///     assert_eq!(clock.now().to_string(), "2030-01-01T01:00:00Z");
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// `None` stands for the system clock.
    fixed: Option<Arc<Mutex<Timestamp>>>,
}

impl Clock {
    /// Creates a clock that stands at the given time.
    pub fn at(now: Timestamp) -> Self {
        Self { fixed: Some(Arc::new(Mutex::new(now))) }
    }

    /// Advances the clock, or sets it back if the duration is negative.
    ///
    /// This does not change the default clock.
    pub fn advance(&self, by: SignedDuration) {
        if let Some(fixed) = &self.fixed {
            let mut now = fixed.lock().unwrap_or_else(PoisonError::into_inner);
            // A time that jiff cannot represent leaves the clock unchanged.
            *now = now.checked_add(by).unwrap_or(*now);
        }
    }

    /// Returns the current time of the clock.
    pub fn now(&self) -> Timestamp {
        match &self.fixed {
            Some(fixed) => *fixed.lock().unwrap_or_else(PoisonError::into_inner),
            None => Timestamp::now(),
        }
    }

    pub(crate) fn is_system(&self) -> bool {
        self.fixed.is_none()
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Millis(pub(crate) i64);

impl Millis {
    /// Parses a date and time with an offset.
    ///
    /// Unlike `jiff::Timestamp`, this accepts the last day of the year 9999.
    pub(crate) fn parse(time: &rockset_apikeys::Timestamp) -> Option<Self> {
        let pieces = Pieces::parse(time.as_str()).ok()?;
        let offset = pieces.to_numeric_offset()?;
        let local = pieces.date().to_datetime(pieces.time()?).duration_since(EPOCH);
        let nanoseconds = local.as_nanos() - i128::from(offset.seconds()) * 1_000_000_000;
        let millis = i64::try_from(nanoseconds.div_euclid(1_000_000)).ok()?;
        // Responses must be able to show every accepted time.
        Self(millis).to_datetime().map(|_| Self(millis))
    }

    /// Returns the timestamp for a response.
    pub(crate) fn to_timestamp(self) -> Option<rockset_apikeys::Timestamp> {
        match Timestamp::from_millisecond(self.0) {
            Ok(instant) => Some(instant.into()),
            Err(_) => format!("{}Z", self.to_datetime()?).parse().ok(),
        }
    }

    fn to_datetime(self) -> Option<DateTime> {
        EPOCH.checked_add(SignedDuration::from_millis(self.0)).ok()
    }
}

impl From<Timestamp> for Millis {
    fn from(time: Timestamp) -> Self {
        Self(time.as_millisecond())
    }
}

/// The clock by which keys expire.
///
/// It does not go back until every key that has expired by its latest time is suspended in the
/// database, so an expired key stays expired even if the system clock is set back.
pub(crate) struct ExpiryClock {
    clock: Clock,
    latest: AtomicI64,
}

impl ExpiryClock {
    pub(crate) fn new(clock: Clock) -> Self {
        let latest = AtomicI64::new(clock.now().as_millisecond());
        Self { clock, latest }
    }

    pub(crate) fn now(&self) -> Millis {
        let now = self.clock.now().as_millisecond();
        Millis(self.latest.fetch_max(now, Relaxed).max(now))
    }

    /// Goes back to the underlying clock's time.
    ///
    /// All keys that had expired by `time` must be suspended in the database.
    pub(crate) fn settle(&self, time: Millis) {
        let now = self.clock.now().as_millisecond();
        // Fails if a request has seen a later time, which is not settled yet.
        let _ = self.latest.compare_exchange(time.0, now, Relaxed, Relaxed);
    }
}

/// Last-access times, by key ID, that are not in the database yet.
///
/// Every request changes one, so they are collected here and written together.
#[derive(Default)]
pub(crate) struct LastAccess(Mutex<HashMap<i64, Millis>>);

impl LastAccess {
    pub(crate) fn record(&self, key: i64, time: Millis) {
        self.pending().entry(key).and_modify(|last| *last = time.max(*last)).or_insert(time);
    }

    /// Returns the later of the stored and the pending time.
    pub(crate) fn latest(&self, key: i64, stored: Option<Millis>) -> Option<Millis> {
        stored.max(self.pending().get(&key).copied())
    }

    /// Returns all times to write.
    pub(crate) fn all(&self) -> Vec<(i64, Millis)> {
        self.pending().iter().map(|(key, time)| (*key, *time)).collect()
    }

    /// Removes times that have been written, except those of keys used again since.
    pub(crate) fn remove(&self, written: &[(i64, Millis)]) {
        let mut pending = self.pending();
        for (key, time) in written {
            if pending.get(key) == Some(time) {
                pending.remove(key);
            }
        }
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<i64, Millis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
