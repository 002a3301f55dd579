//! Runs the built program against a server, on real sockets, in pipes and in a pseudo-terminal.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod audit;
mod canary;
mod commands;
mod config;
mod destinations;
mod exit_codes;
#[cfg(unix)]
mod kill;
#[cfg(unix)]
mod rotate;
#[cfg(unix)]
mod standalone;
mod support;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod tour;
