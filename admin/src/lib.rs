//! Rotation of API keys, on top of the client [`rockset_apikeys`].
//!
//! [`rotation`] replaces a key by a successor without an outage.

pub mod rotation;
