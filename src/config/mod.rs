//! Reads settings from outside the program. Their check is in `settings`.

pub(crate) mod env;
#[cfg(feature = "profile")]
pub(crate) mod profile;
