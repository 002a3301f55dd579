//! When keys were last used. It changes with every request, so it is collected here and written
//! together, by the maintenance task.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::time::Millis;

/// The uses that are not in the database yet.
#[derive(Default)]
pub(crate) struct Usage(Mutex<HashMap<i64, Millis>>);

impl Usage {
    pub(crate) fn record(&self, key: i64, time: Millis) {
        self.pending().entry(key).and_modify(|last| *last = time.max(*last)).or_insert(time);
    }

    /// Returns the later of a key's last use in the database and here.
    pub(crate) fn latest(&self, key: i64, stored: Option<Millis>) -> Option<Millis> {
        stored.max(self.pending().get(&key).copied())
    }

    /// Returns the uses that are to be written.
    pub(crate) fn all(&self) -> Vec<(i64, Millis)> {
        self.pending().iter().map(|(key, time)| (*key, *time)).collect()
    }

    /// Forgets uses that are written, unless the key was used again.
    pub(crate) fn forget(&self, written: &[(i64, Millis)]) {
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
