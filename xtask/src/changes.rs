//! Compares two contracts and classifies every change.
//!
//! A change is breaking in two cases: code that works with the old crate stops compiling or working
//! with the new one, or a released client stops working against a server of the new contract. Each
//! change is judged by both, and the stronger class counts.
//!
//! The comparison is one walk over both documents. `operations` pairs the operations; `messages`
//! compares parameters, bodies and responses; `schemas`, `enums` and `properties` compare schemas;
//! `access` compares servers and authentication. `rules` holds the classes of schema keywords as
//! tables, and `rust` knows the names and types of the generated code.
//!
//! A shared component is compared where it is used, because its class depends on the direction. It
//! is reported once, at its own place. Shared parameters, responses and headers without a use are
//! not compared: they generate no code.

mod access;
mod contract;
mod documentation;
mod enums;
mod messages;
mod operations;
mod properties;
mod rules;
mod rust;
mod schema;
mod schemas;

use std::collections::{BTreeSet, HashSet};

use clap::ValueEnum;
use serde::Serialize;

pub use contract::Contract;
pub(crate) use contract::Node;
pub(crate) use rust::{field_name, is_struct};
pub(crate) use schema::Schema;

/// How much a change asks of users, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Changes documentation only.
    Docs,
    /// Adds something; existing code and released clients keep working.
    Additive,
    /// Existing code or released clients stop working.
    Breaking,
}

impl Class {
    /// Returns the class as it stands in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docs => "docs",
            Self::Additive => "additive",
            Self::Breaking => "breaking",
        }
    }
}

/// One difference between two contracts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// How much it asks of users.
    pub class: Class,
    /// Where it is in the contract, as keys joined by dots.
    pub place: String,
    /// What differs.
    pub change: String,
    /// What it means for the Rust API.
    pub meaning: String,
}

/// Lists the changes from one contract to another, breaking ones first.
pub fn compare(old: &Contract, new: &Contract) -> Vec<Change> {
    let mut walk =
        Walk { old, new, seen: HashSet::new(), renamed: BTreeSet::new(), found: Vec::new() };
    walk.operations();
    walk.components();
    walk.access();
    walk.document();
    let mut changes: Vec<_> = walk.found.into_iter().map(Found::into_change).collect();
    changes.sort_by_key(|change| std::cmp::Reverse(change.class));
    changes
}

/// Which way a value travels, which decides whether more or fewer valid values are a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Direction {
    Request,
    Response,
    /// The schema is compared as a Rust type only.
    Unused,
}

struct Walk<'a> {
    old: &'a Contract,
    new: &'a Contract,
    /// Pairs of schemas that were compared in a direction, which ends cycles.
    seen: HashSet<(String, String, Direction)>,
    /// Named schemas of the old contract that have another name in the new one.
    renamed: BTreeSet<&'a str>,
    found: Vec<Found>,
}

impl<'a> Walk<'a> {
    /// Adds a change, or merges it with the same change found at another use.
    fn add(
        &mut self,
        class: Class,
        place: impl Into<String>,
        change: impl Into<String>,
        meaning: impl Into<String>,
    ) {
        let (place, change, meaning) = (place.into(), change.into(), meaning.into());
        let same = |found: &&mut Found| found.place == place && found.change == change;
        match self.found.iter_mut().find(same) {
            None => self.found.push(Found { class, place, change, meanings: vec![meaning] }),
            Some(found) if found.class < class => {
                (found.class, found.meanings) = (class, vec![meaning]);
            }
            Some(found) if found.class == class && !found.meanings.contains(&meaning) => {
                found.meanings.push(meaning);
            }
            Some(_) => {}
        }
    }

    /// Follows the references of both nodes. Differences are reported at the target's place if both
    /// refer to the same target, and at the place of the references otherwise.
    fn resolve(&self, old: &Node<'a>, new: &Node<'a>) -> (Node<'a>, Node<'a>) {
        let (mut target, mut new_target) = (self.old.resolve(old), self.new.resolve(new));
        if old.reference() != new.reference() {
            target.place.clone_from(&old.place);
            new_target.place.clone_from(&new.place);
        }
        (target, new_target)
    }
}

/// A change, to which other uses of the same component may add.
struct Found {
    class: Class,
    place: String,
    change: String,
    meanings: Vec<String>,
}

impl Found {
    fn into_change(self) -> Change {
        let others = self.meanings.len().saturating_sub(1);
        let mut meaning = self.meanings.into_iter().next().unwrap_or_default();
        if others > 0 {
            meaning += &format!("; {others} more like this");
        }
        Change { class: self.class, place: self.place, change: self.change, meaning }
    }
}

/// Moves the pairs that belong together out of both lists.
fn take_pairs<T>(
    old: &mut Vec<T>,
    new: &mut Vec<T>,
    belong: impl Fn(&T, &T) -> bool,
) -> Vec<(T, T)> {
    let mut pairs = Vec::new();
    for candidate in std::mem::take(new) {
        match old.iter().position(|it| belong(it, &candidate)) {
            Some(index) => pairs.push((old.remove(index), candidate)),
            None => new.push(candidate),
        }
    }
    pairs
}
