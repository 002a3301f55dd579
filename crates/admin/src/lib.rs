//! Work on API keys that takes more than one call, on top of the client [`rockset_apikeys`].
//!
//! - [`rotation`] replaces a key by a successor without an outage.
//! - [`audit`] finds keys that should not exist.
//!
//! Both are async; [`block_on`] runs them in a program without async.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Handle};

pub mod audit;
pub mod rotation;

/// Runs a future of this crate to its end, in a program without async.
///
/// # Errors
///
/// Fails, and runs nothing, within a tokio runtime, where the future is awaited instead; and if the
/// system has no resources for a runtime.
///
/// ```
/// use rockset_apikeys_admin::block_on;
/// use rockset_apikeys_admin::rotation::{Rotation, Rotator};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = rockset_apikeys_server::Server::start_blocking()?;
/// # let client = server.client();
/// # block_on(async { client.create_api_key("my-app").role("read-only").await })??;
/// # let directory = tempfile::tempdir()?;
/// # let journal = directory.path();
///
/// let rotator = Rotator::builder(client, journal).build()?;
/// let entry = block_on(rotator.rotate(&Rotation::of("my-app")))??;
/// println!("resume {} at {:?}", entry.id, entry.waits_until());
/// # Ok(())
/// # }
/// ```
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    if Handle::try_current().is_ok() {
        let reason = "`block_on` was called in a tokio runtime; await the future there";
        return Err(io::Error::other(reason));
    }
    Ok(Builder::new_current_thread().enable_all().build()?.block_on(future))
}
