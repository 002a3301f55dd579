//! Tests of the crate through its public interface.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod architecture;
#[cfg(feature = "blocking")]
mod blocking;
mod calls;
mod contract;
mod credentials;
mod errors;
#[cfg(feature = "httpmock")]
mod mock;
mod network;
mod properties;
mod readme;
mod rejections;
mod responses;
mod run;
mod runtimes;
mod schemas;
mod script;
mod settings;
mod support;
mod values;
mod wire;
