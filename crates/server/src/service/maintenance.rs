//! Work outside of requests: start, health check, maintenance task and shutdown.

use std::num::NonZeroU32;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::Service;
use crate::error::ApiError;
use crate::store::{Change, Rows, Store};
use crate::time::{Clock, ExpiryClock, LastAccess};

/// The pause between two runs of the maintenance task, and the timeout of a run.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(1);
/// The maximum number of keys that the maintenance task changes in one transaction.
const CHUNK: u32 = 1000;
/// How long the result of a health check is reused, and the timeout of a check.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

impl Service {
    /// Creates the service and starts its maintenance task, which ends with it.
    pub(crate) fn start(
        store: Store,
        clock: Clock,
        max_keys_per_user: Option<NonZeroU32>,
    ) -> Arc<Self> {
        let service = Arc::new(Self {
            store,
            clock: ExpiryClock::new(clock),
            last_access: LastAccess::default(),
            max_keys_per_user,
            page_turn: Semaphore::new(1),
            health: Arc::default(),
        });
        tokio::spawn(maintain(Arc::downgrade(&service)));
        service
    }

    /// Returns whether the database accepts writes. Tests a write at most once per second.
    pub(crate) async fn is_healthy(self: &Arc<Self>) -> bool {
        let mut health = Arc::clone(&self.health).lock_owned().await;
        if let Some((checked, is_healthy)) = *health
            && checked.elapsed() < HEALTH_INTERVAL
        {
            return is_healthy;
        }
        let service = Arc::clone(self);
        // The check continues if its client leaves; otherwise the next client would write again.
        let check = tokio::spawn(async move {
            let is_healthy = service.check_health().await;
            *health = Some((Instant::now(), is_healthy));
            is_healthy
        });
        check.await.unwrap_or(false)
    }

    async fn check_health(&self) -> bool {
        let probe = self.store.change(|_| Ok((Change::Probe, ())));
        match tokio::time::timeout(HEALTH_INTERVAL, probe).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(cause = error.cause, "health check failed");
                false
            }
            Err(_) => {
                tracing::error!("health check timed out");
                false
            }
        }
    }

    /// Runs the maintenance a last time and closes the database.
    pub(crate) async fn close(&self) -> std::io::Result<()> {
        let (recorded, suspended) = tokio::join!(self.record_access(), self.suspend_expired());
        self.store.close().await?;
        Ok(recorded.and(suspended)?)
    }

    async fn record_access(&self) -> Result<(), ApiError> {
        // Under load, new times keep coming; they wait for the next run.
        for times in self.last_access.all().chunks(CHUNK as usize) {
            let change = times.to_vec();
            self.store.change(move |_| Ok((Change::RecordAccess(change.clone()), ()))).await?;
            self.last_access.remove(times);
        }
        Ok(())
    }

    /// Suspends expired keys in the database, even if the clock is set back later.
    async fn suspend_expired(&self) -> Result<(), ApiError> {
        let now = self.clock.now();
        while self.store.read().has_expired_keys(now)? {
            self.store.change(move |_| Ok((Change::SuspendExpired(now, CHUNK), ()))).await?;
        }
        self.clock.settle(now);
        Ok(())
    }
}

/// Runs until the service is dropped.
async fn maintain(service: Weak<Service>) {
    loop {
        tokio::time::sleep(MAINTENANCE_INTERVAL).await;
        let Some(service) = service.upgrade() else { return };
        let changes = async { tokio::join!(service.record_access(), service.suspend_expired()) };
        // After a timeout, the next run continues, once it has checked the file.
        let (recorded, suspended) = match service.store.check_available() {
            Ok(()) => {
                let changes = tokio::time::timeout(MAINTENANCE_INTERVAL, changes);
                changes.await.unwrap_or((Ok(()), Ok(())))
            }
            Err(error) => (Err(error.into()), Ok(())),
        };
        for error in [recorded, suspended].into_iter().filter_map(Result::err) {
            tracing::error!(cause = error.cause, "maintenance failed");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::Location;

    /// Over HTTP, this would take as many requests and keys.
    #[tokio::test]
    async fn change_waits_for_at_most_one_chunk_of_last_access_times() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("keys.db").display());
        let store = Store::open(Location { url, master_key: None, may_create: true }).unwrap();
        let service = Service::start(store, Clock::default(), None);
        let now = service.clock.now();
        (0..100 * i64::from(CHUNK)).for_each(|key| service.last_access.record(key, now));

        let recording = tokio::spawn({
            let service = Arc::clone(&service);
            async move { service.record_access().await.is_ok() }
        });
        for _ in 0..3 {
            tokio::task::yield_now().await;
            service.store.change(|_| Ok((Change::Probe, ()))).await.unwrap();
            assert!(!service.last_access.all().is_empty(), "the change waited for all chunks");
        }
        assert!(recording.await.unwrap());
        assert!(service.last_access.all().is_empty());
    }
}
