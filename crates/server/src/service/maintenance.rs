//! What is done beside requests: the health check, the maintenance task, and the end.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Service;
use crate::error::ApiError;
use crate::store::{Change, Rows};

/// How long the maintenance task waits between two runs, and how long a run may take.
const MAINTENANCE: Duration = Duration::from_secs(1);
/// How many keys the maintenance task changes in one transaction.
const CHUNK: usize = 1000;
/// How long an outcome of the health check is used again, and how long the check may take.
const HEALTH: Duration = Duration::from_secs(1);

impl Service {
    /// Whether a change can be made. It is tried at most once a second, however many ask.
    pub(crate) async fn is_healthy(self: &Arc<Self>) -> bool {
        let mut health = Arc::clone(&self.health).lock_owned().await;
        if let Some((checked, is_healthy)) = *health
            && checked.elapsed() < HEALTH
        {
            return is_healthy;
        }
        let service = Arc::clone(self);
        // The check goes on when its client leaves. Otherwise the next one would try again at once.
        let check = tokio::spawn(async move {
            let is_healthy = service.check_health().await;
            *health = Some((Instant::now(), is_healthy));
            is_healthy
        });
        check.await.unwrap_or(false)
    }

    async fn check_health(&self) -> bool {
        let probe = self.store.change(|_| Ok((Change::Probe, ())));
        match tokio::time::timeout(HEALTH, probe).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(cause = error.cause, "the health check failed");
                false
            }
            Err(_) => {
                tracing::error!("the health check took too long");
                false
            }
        }
    }

    /// Writes what the maintenance task would write, and closes the database.
    pub(crate) async fn close(&self) -> std::io::Result<()> {
        let (recorded, suspended) = tokio::join!(self.record_usage(), self.suspend_expired());
        self.store.close().await?;
        Ok(recorded.and(suspended)?)
    }

    async fn record_usage(&self) -> Result<(), ApiError> {
        // Under load there are always new uses, which have to wait for the next time.
        for uses in self.usage.all().chunks(CHUNK) {
            let change = uses.to_vec();
            self.store.change(move |_| Ok((Change::RecordUse(change.clone()), ()))).await?;
            self.usage.forget(uses);
        }
        Ok(())
    }

    /// Suspends keys that have expired, so that they stay so whatever becomes of the clock.
    async fn suspend_expired(&self) -> Result<(), ApiError> {
        let now = self.clock.now();
        while self.store.snapshot().has_expired_keys(now)? {
            self.store.change(move |_| Ok((Change::SuspendExpired(now, CHUNK), ()))).await?;
        }
        self.clock.settle(now);
        Ok(())
    }
}

/// Runs until the service is gone.
pub(super) async fn maintain(service: Weak<Service>) {
    loop {
        tokio::time::sleep(MAINTENANCE).await;
        let Some(service) = service.upgrade() else { return };
        let changes = async { tokio::join!(service.record_usage(), service.suspend_expired()) };
        // What takes longer goes on in the next run, after the check of the file.
        let (recorded, suspended) = match service.store.check_in_place() {
            Ok(()) => tokio::time::timeout(MAINTENANCE, changes).await.unwrap_or((Ok(()), Ok(()))),
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

    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::store::{Location, Store};

    /// Over HTTP this would take as many requests, with as many keys.
    #[tokio::test]
    async fn a_change_waits_for_one_chunk_of_last_uses_and_not_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("keys.db").display());
        let store = Store::open(Location { url, master_key: None, may_create: true }).unwrap();
        let service = Service::new(store, Clock::default(), None);
        let now = service.clock.now();
        (0..100 * CHUNK as i64).for_each(|key| service.usage.record(key, now));

        let recording = tokio::spawn({
            let service = Arc::clone(&service);
            async move { service.record_usage().await.is_ok() }
        });
        for _ in 0..3 {
            tokio::task::yield_now().await;
            service.store.change(|_| Ok((Change::Probe, ()))).await.unwrap();
            assert!(!service.usage.all().is_empty(), "the change waited for all");
        }
        assert!(recording.await.unwrap());
        assert!(service.usage.all().is_empty());
    }
}
