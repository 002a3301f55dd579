//! Rotation of a key: a successor takes its place without an outage.
//!
//! The steps are create, distribute, test, overlap, suspend, hold, delete. The journal has each
//! step before it begins, and never a key's value: the server reveals the value again. So a
//! rotation that was interrupted anywhere is resumed, and until the deletion it can be rolled back.
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
//! // When the wait is over, in this process or another one:
//! println!("resume {} at {:?}", entry.id, entry.waits_until());
//! rotator.resume(&entry.id).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # The old key during a rotation
//!
//! | Step | Old key | Roll-back |
//! | --- | --- | --- |
//! | create, distribute, test | as before | by itself, if distribution or test fails |
//! | overlap | expires at the end of the overlap, which the server enforces | yes |
//! | hold | suspended | yes |
//! | delete | deleted | no |
//!
//! The old key is retired only if it was not used after the distribution, and the successor still
//! works. With [`Rotation::suspend_first`] it is suspended from the beginning, and only a roll-back
//! that is asked for activates it.
//!
//! # The client's own key
//!
//! If the old key is the client's own, the rotator switches to the successor after the test and
//! does not authenticate with the old key again. To resume in another process, build the client
//! with the key that is deployed.
//!
//! # Without async
//!
//! Run the methods by [`block_on`](crate::block_on).

mod adopt;
mod destination;
mod error;
mod journal;
mod plan;
mod rotator;
mod steps;
mod time;

pub use adopt::{Created, NewKey, create_or_adopt};
pub use destination::{Destination, Outcome};
pub use error::Error;
pub use journal::{Entry, Step};
pub use plan::{Check, Plan, Rotation};
pub use rotator::{Rotator, RotatorBuilder};
