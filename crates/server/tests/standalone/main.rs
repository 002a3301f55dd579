//! Tests of the program, started as users start it, over sockets.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod connections;
mod crash;
mod database;
#[cfg(target_os = "linux")]
mod disk;
mod log;
mod program;
mod running;
mod shared;
mod storage;
mod users;
