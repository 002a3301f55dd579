//! A rate limiter with sliding windows, by source. Unlike a token bucket, it never allows more than
//! the limit in any window.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

pub(super) struct RateLimiter<S> {
    limit: NonZeroU32,
    window: Duration,
    recent: Mutex<Recent<S>>,
}

struct Recent<S> {
    /// The times of each source's events in the last window, oldest first.
    events: HashMap<S, VecDeque<Instant>>,
    /// When sources without recent events were last removed.
    cleaned: Instant,
}

impl<S: Eq + Hash> RateLimiter<S> {
    pub(super) fn new(limit: NonZeroU32, window: Duration) -> Self {
        let recent = Recent { events: HashMap::new(), cleaned: Instant::now() };
        Self { limit, window, recent: Mutex::new(recent) }
    }

    /// Counts an event, or returns how long to wait until one is allowed.
    pub(super) fn check(&self, source: S) -> Result<(), Duration> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.duration_since(recent.cleaned) >= self.window {
            recent.cleaned = now;
            let is_recent = |last: &Instant| now.duration_since(*last) < self.window;
            recent.events.retain(|_, events| events.back().is_some_and(is_recent));
        }
        let events = recent.events.entry(source).or_default();
        let age = |event: &Instant| now.duration_since(*event);
        while events.front().is_some_and(|oldest| age(oldest) >= self.window) {
            events.pop_front();
        }
        if let Some(oldest) = events.front()
            && events.len() >= self.limit.get() as usize
        {
            return Err(self.window - age(oldest));
        }
        events.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::unwrap_used)]

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn limiter_allows_exactly_the_limit_in_any_window() {
        const LIMIT: usize = 10;
        let window = Duration::from_secs(1);
        let limiter = RateLimiter::new(NonZeroU32::new(LIMIT as u32).unwrap(), window);
        let mut passed = Vec::new();
        for _ in 0..10_000 {
            // Some windows have more attempts than the limit, others fewer.
            let most = if fastrand::bool() { 40 } else { 400 };
            advance(Duration::from_millis(fastrand::u64(0..most))).await;
            let in_window =
                passed.iter().rev().take_while(|time: &&Instant| time.elapsed() < window);
            let is_full = in_window.count() == LIMIT;
            match limiter.check(()) {
                Ok(()) => {
                    assert!(!is_full);
                    passed.push(Instant::now());
                }
                Err(wait) => {
                    assert!(is_full);
                    assert_eq!(wait, window - passed[passed.len() - LIMIT].elapsed());
                }
            }
        }
        assert!(passed.windows(LIMIT + 1).all(|times| times[LIMIT] - times[0] >= window));
    }

    #[test]
    fn limiter_removes_sources_without_recent_events() {
        let limiter = RateLimiter::new(NonZeroU32::MIN, Duration::from_millis(1));
        for source in 0..1000 {
            limiter.check(source).unwrap();
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while limiter.recent.lock().unwrap().events.len() > 1 {
            assert!(Instant::now() < deadline, "the sources are still there");
            let _ = limiter.check(0);
        }
    }
}
