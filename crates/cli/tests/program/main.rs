//! What the command line guarantees: the built program runs against a server, on real sockets,
//! piped and in a pseudo-terminal.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod audit;
mod canary;
mod commands;
mod config;
mod exit_codes;
#[cfg(unix)]
mod kill;
#[cfg(unix)]
mod rotate;
mod sinks;
#[cfg(unix)]
mod standalone;
mod support;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod tour;
