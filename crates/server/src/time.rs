//! Moments as the server keeps them, in milliseconds, and the clock by which keys expire.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use jiff::Timestamp;
use jiff::civil::{DateTime, date};
use jiff::fmt::temporal::Pieces;

use crate::clock::Clock;

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// Milliseconds since 1970, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Millis(pub(crate) i64);

impl Millis {
    /// Parses a date and time with an offset. Jiff's timestamps end a day before the last date.
    pub(crate) fn parse(time: &rockset_apikeys::Timestamp) -> Option<Self> {
        let pieces = Pieces::parse(time.as_str()).ok()?;
        let offset = pieces.to_numeric_offset()?;
        let local = pieces.date().to_datetime(pieces.time()?).duration_since(EPOCH);
        let nanoseconds = local.as_nanos() - i128::from(offset.seconds()) * 1_000_000_000;
        let millis = i64::try_from(nanoseconds.div_euclid(1_000_000)).ok()?;
        // What cannot be shown again is not accepted.
        Self(millis).to_datetime().map(|_| Self(millis))
    }

    /// Returns the timestamp of a response.
    pub(crate) fn to_timestamp(self) -> Option<rockset_apikeys::Timestamp> {
        match Timestamp::from_millisecond(self.0) {
            Ok(instant) => Some(instant.into()),
            Err(_) => format!("{}Z", self.to_datetime()?).parse().ok(),
        }
    }

    fn to_datetime(self) -> Option<DateTime> {
        EPOCH.checked_add(jiff::SignedDuration::from_millis(self.0)).ok()
    }
}

impl From<Timestamp> for Millis {
    fn from(time: Timestamp) -> Self {
        Self(time.as_millisecond())
    }
}

/// The clock by which keys expire. It does not go backwards until every key that had expired by
/// then is suspended in the database, so that an expired key stays expired when the system's clock
/// is set back.
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

    /// Follows the system's clock back, now that no key's expiry depends on this time.
    pub(crate) fn settle(&self, time: Millis) {
        let now = self.clock.now().as_millisecond();
        // If a request has seen a later time meanwhile, that one is not settled.
        let _ = self.latest.compare_exchange(time.0, now, Relaxed, Relaxed);
    }
}
