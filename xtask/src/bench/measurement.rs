//! A measurement of several clients.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Measurements that share a table, and its title.
pub type Group = (&'static str, Vec<Measurement>);

/// One quantity, with the value of each client that has one.
#[derive(Clone, Deserialize, Serialize)]
pub struct Measurement {
    pub name: String,
    pub values: BTreeMap<String, f64>,
}

impl Measurement {
    pub fn new(name: String, values: impl IntoIterator<Item = (&'static str, f64)>) -> Self {
        let values = values.into_iter().map(|(client, value)| (client.to_owned(), value));
        Self { name, values: values.collect() }
    }

    /// Returns the client's value, or NaN.
    pub fn value(&self, client: &str) -> f64 {
        self.values.get(client).copied().unwrap_or(f64::NAN)
    }

    /// Returns this project's value as a multiple of the hand-written client's.
    pub fn ratio(&self) -> f64 {
        self.value("sdk") / self.value("hand-written")
    }
}
