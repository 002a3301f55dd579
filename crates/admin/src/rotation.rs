//! Replaces a key with a successor without downtime.
//!
//! The steps are create, distribute, test, overlap, suspend, hold and delete. Each step is written
//! to a journal before it begins, without any key's value, because the server can reveal the value
//! again. A rotation can therefore be resumed after an interruption at any point, and rolled back
//! until the old key is deleted.
//!
//! ```
//! use rockset_apikeys_admin::rotation::{Rotation, Rotator, Step};
//! use rockset_apikeys_server::Server;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start().await?;
//! server.client().create_api_key("my-app").role("read-only").await?;
//!
//! # let directory = tempfile::tempdir()?;
//! # let journal = directory.path();
//! let rotator = Rotator::builder(server.client(), journal)
//!     .write_with("the secret store", |value| async move {
//!         let _: &str = value.expose_secret();
//!         Ok::<(), std::io::Error>(())
//!     })
//!     .build()?;
//!
//! let rotation = Rotation::of("my-app");
//! println!("{}", rotator.plan(&rotation).await?);
//! let entry = rotator.rotate(&rotation).await?;
//! assert_eq!((entry.new.as_str(), entry.step), ("my-app.r2", Step::Suspend));
//!
//! // After the wait, in this process or another one:
//! println!("resume {} at {:?}", entry.id, entry.waits_until());
//! rotator.resume(&entry.id).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # The old key during a rotation
//!
//! | Step | Old key | Rollback |
//! | --- | --- | --- |
//! | create, distribute, test | unchanged | automatic, if distribution or test fails |
//! | overlap | expires at the end of the overlap, enforced by the server | on request |
//! | hold | suspended | on request |
//! | delete | deleted | impossible |
//!
//! The old key is retired only if it was not used after the distribution and the successor still
//! works. With [`Rotation::suspend_first`] it is suspended from the beginning, and only a requested
//! rollback activates it.
//!
//! # The client's own key
//!
//! A client that rotates its own key switches to the successor after the test and does not use the
//! old key again. To resume in another process, build the client with the deployed key.
//!
//! # Synchronous programs
//!
//! Run the methods with [`block_on`](crate::block_on).

mod adopt;
mod destination;
mod error;
mod journal;
mod plan;
mod rotator;
mod steps;

pub use adopt::{Created, NewKey, create_or_adopt};
pub use destination::{BoxFuture, Destination};
pub use error::Error;
pub use journal::{Entry, Step};
pub use plan::{Check, Plan, Rotation};
pub use rotator::{Rotator, RotatorBuilder};
