//! The project's development commands, one module each, and the comparisons behind `regen`.

pub mod api;
pub mod bench;
pub mod changes;
pub mod facade;
pub mod regen;
