//! What the server guarantees, checked over HTTP with a server in the process of the tests. Each
//! module is named after what it checks; `standalone` has the tests of the command line.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod api;
mod authorization;
mod blocking;
mod histories;
mod limits;
mod listing;
mod order;
// The client's tests and these build clients and check against the contract in the same way.
#[allow(dead_code)]
#[path = "../../../../tests/sdk/support.rs"]
mod support;
mod time;
