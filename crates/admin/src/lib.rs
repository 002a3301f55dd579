//! Rotation and audit of API keys, built on the client [`rockset_apikeys`].
//!
//! - [`rotation`] replaces a key with a successor without downtime.
//! - [`audit`] finds keys that should not exist or that need attention.
//!
//! Both are async; [`block_on`] runs them in a synchronous program.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Handle};

pub mod audit;
mod generation;
pub mod rotation;
mod time;

/// Runs a future of this crate to completion in a synchronous program.
///
/// # Errors
///
/// Fails without running the future if it is called in a tokio runtime (await the future there), or
/// if the OS cannot provide the resources for a runtime.
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
        let reason = "cannot block in a tokio runtime; await the future instead";
        return Err(io::Error::other(reason));
    }
    Ok(Builder::new_current_thread().enable_all().build()?.block_on(future))
}
