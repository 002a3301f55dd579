//! Tests of the in-process server over HTTP. `standalone` contains the tests of the program.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod api;
mod authorization;
mod blocking;
mod histories;
mod limits;
mod listing;
mod order;
// Shared with the client's tests: builds clients and validates against the contract.
#[allow(dead_code)]
#[path = "../../../../tests/sdk/support.rs"]
mod support;
mod time;
