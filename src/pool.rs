//! An HTTP client for each tokio runtime. A runtime drives the connections that were made in it:
//! they end with it, and stand still while nothing runs it.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

/// Makes an HTTP client, with connections of its own.
type Make = Box<dyn Fn() -> reqwest::Result<reqwest::Client> + Send + Sync>;

/// The HTTP clients of a client and its clones.
pub(crate) struct Pools {
    make: Make,
    /// The first runtime's, and the one that builds requests.
    first: reqwest::Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_first_used: bool,
    pools: Vec<Pool>,
}

struct Pool {
    runtime: Id,
    http: reqwest::Client,
    /// Closed when the runtime has ended: a task in it holds the other half.
    alive: oneshot::Sender<()>,
}

impl Pools {
    pub(crate) fn new(make: Make) -> reqwest::Result<Self> {
        let first = make()?;
        Ok(Self { make, first, state: Mutex::default() })
    }

    /// Returns an HTTP client for building requests.
    pub(crate) fn any(&self) -> reqwest::Client {
        self.first.clone()
    }

    /// Returns the HTTP client of the runtime that runs this code.
    pub(crate) fn current(&self) -> reqwest::Result<reqwest::Client> {
        let Ok(runtime) = Handle::try_current() else { return Ok(self.any()) };
        // No panic below leaves the list in a bad state.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // An id may be used again when its runtime has ended.
        let is_current = |pool: &&Pool| pool.runtime == runtime.id() && !pool.alive.is_closed();
        if let Some(pool) = state.pools.iter().find(is_current) {
            return Ok(pool.http.clone());
        }
        state.pools.retain(|pool| !pool.alive.is_closed());
        let http = if state.is_first_used { (self.make)()? } else { self.any() };
        state.is_first_used = true;
        let (alive, end) = oneshot::channel::<()>();
        runtime.spawn(async move {
            // Ends with the runtime, or when the client and its clones are dropped.
            let _ = end.await;
        });
        state.pools.push(Pool { runtime: runtime.id(), http: http.clone(), alive });
        Ok(http)
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn there_is_one_http_client_for_each_runtime_that_lives() -> reqwest::Result<()> {
        // Nothing outside the crate sees how many there are.
        let pools = Pools::new(Box::new(|| reqwest::Client::builder().build()))?;
        let count = || pools.state.lock().unwrap_or_else(PoisonError::into_inner).pools.len();
        let kept = Builder::new_current_thread().build().ok();
        for _ in 0..20 {
            for runtime in [kept.as_ref(), Builder::new_current_thread().build().ok().as_ref()] {
                let Some(runtime) = runtime else { continue };
                for _ in 0..3 {
                    runtime.block_on(async { pools.current() })?;
                }
                assert!((1..=3).contains(&count()), "{}", count());
            }
        }
        Ok(())
    }
}
