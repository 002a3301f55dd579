//! Compares contracts and reports what a change means for users, and lists the public API: the part
//! of `cargo xtask` that knows neither files nor git.

pub mod changes;
pub mod facade;
pub mod listing;
pub mod report;
