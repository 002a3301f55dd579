//! Work on API keys that takes more than one call, on top of the client [`rockset_apikeys`].
//!
//! - [`rotation`] replaces a key by a successor without an outage.
//! - [`audit`] finds keys that should not exist.

pub mod audit;
pub mod rotation;
