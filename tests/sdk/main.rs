//! What the crate promises, checked through its public interface. The modules are named after what
//! they protect.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod architecture;
#[cfg(feature = "blocking")]
mod blocking;
mod contract;
mod errors;
#[cfg(feature = "httpmock")]
mod mock;
mod network;
mod properties;
mod rejections;
mod responses;
mod run;
mod script;
mod settings;
mod support;
mod values;
mod wire;
