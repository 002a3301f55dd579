//! Compares contracts and reports what a change means for users: the part of `cargo xtask` that
//! knows neither files nor git.

pub mod changes;
pub mod facade;
#[path = "../../openapi/names.rs"]
mod names;
pub mod report;
