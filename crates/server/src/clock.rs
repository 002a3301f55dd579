//! What time it is: the system's, or one that a test sets.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// A clock that stands still until it is set, for tests of expiry and of what goes by the `Date` of
/// a response. Copies show the same time.
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
    /// Without one, the time is the system's.
    fixed: Option<Arc<Mutex<Timestamp>>>,
}

impl Clock {
    /// Returns a clock that shows this time.
    pub fn at(now: Timestamp) -> Self {
        Self { fixed: Some(Arc::new(Mutex::new(now))) }
    }

    /// Moves the clock on by this much, or back by a negative duration. The default clock shows the
    /// system's time and does not move.
    pub fn advance(&self, by: SignedDuration) {
        if let Some(fixed) = &self.fixed {
            let mut now = fixed.lock().unwrap_or_else(PoisonError::into_inner);
            // Past the end of time, the clock stays where it is.
            *now = now.checked_add(by).unwrap_or(*now);
        }
    }

    /// Whether the clock shows the system's time.
    pub(crate) fn is_system(&self) -> bool {
        self.fixed.is_none()
    }

    /// Returns the time that the clock shows.
    pub fn now(&self) -> Timestamp {
        match &self.fixed {
            Some(fixed) => *fixed.lock().unwrap_or_else(PoisonError::into_inner),
            None => Timestamp::now(),
        }
    }
}
