//! Operations on API keys that take more than one call.

pub mod audit;
