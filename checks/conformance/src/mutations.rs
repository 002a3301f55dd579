//! Breaks the contract in every place, one at a time. The checks of `contract.rs` have to notice: a
//! check that cannot fail shows nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::contract::Evidence;
use crate::facts::{Fact, Facts, Source};
use crate::report::Outcome;
use crate::spec::Contract;

/// A change of the document: its name, and the node at a path of words.
struct Mutation {
    name: String,
    document: Value,
}

pub fn run(contract: &Contract, evidence: &Evidence, outcome: &mut Outcome) {
    let whole = Facts::of(contract).by_place;
    let (mut noticed, mut own, mut dates) = (0, 0, 0);
    for Mutation { name, document } in all(&contract.0) {
        let mutant = Contract(document);
        let changed = Facts::of(&mutant).by_place;
        let places: BTreeSet<_> = whole.keys().chain(changed.keys()).collect();
        let both = |place: &String| [whole.get(place), changed.get(place)];
        let differing: Vec<_> =
            places.into_iter().filter(|place| both(place)[0] != both(place)[1]).collect();
        let is_own = |place: &String| {
            both(place).into_iter().flatten().all(|fact| evidence.is_own(place, fact))
        };
        if evidence.judge(&mutant).iter().any(|(_, holds)| holds.is_err()) {
            noticed += 1;
        } else if differing.is_empty() {
            outcome.check(format!("{name} makes a difference"), false);
        } else if differing.iter().all(|place| is_own(place)) {
            own += 1;
        } else {
            let is_date = differing.iter().all(|place| is_date(both(place)));
            outcome.check(format!("{name} is noticed"), is_date);
            dates += 1;
        }
    }
    outcome.check("most mutations are noticed", noticed > 10 * dates && noticed > own);
    outcome.note(format!(
        "Of {} mutations of the contract, {noticed} were noticed; {own} change what the project \
         decides; {dates} swap the marks `clients` and `later`, which the packages do not tell \
         apart.",
        noticed + own + dates
    ));
}

/// Whether only the mark differs, between `clients` and `later`.
fn is_date([before, after]: [Option<&Fact>; 2]) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    let is_of_clients = |fact: &Fact| matches!(fact.source, Source::Clients | Source::Later);
    before.value == after.value && is_of_clients(before) && is_of_clients(after)
}

/// Removes each entry, item and mark, changes each value, and adds a property to each object.
fn all(document: &Value) -> Vec<Mutation> {
    let mut pointers = Vec::new();
    collect(document, "", &mut pointers);
    let mut mutations = Vec::new();
    for pointer in pointers {
        let (parent, word) = pointer.rsplit_once('/').unwrap_or_default();
        let mut removed = document.clone();
        match removed.pointer_mut(parent) {
            Some(Value::Object(words)) => {
                words.remove(&word.replace("~1", "/").replace("~0", "~"));
            }
            Some(Value::Array(items)) => {
                if let Ok(index) = word.parse::<usize>() {
                    items.remove(index);
                }
            }
            _ => {}
        }
        mutations.push(Mutation { name: format!("{pointer} removed"), document: removed });
        let mut changed = document.clone();
        let Some(node) = changed.pointer_mut(&pointer) else { continue };
        *node = match &*node {
            Value::String(mark) if pointer.contains("/x-source") => {
                json!(if mark == "project" { "clients" } else { "project" })
            }
            Value::String(_) => json!("another"),
            Value::Bool(value) => json!(!value),
            Value::Number(_) => json!(5),
            Value::Object(words) if words.get("properties").is_some_and(Value::is_object) => {
                let mut node = node.clone();
                node["properties"]["another"] = json!({ "type": "string" });
                node
            }
            _ => continue,
        };
        mutations.push(Mutation { name: format!("{pointer} changed"), document: changed });
    }
    mutations
}

/// Collects the pointers of all entries and items, those of marks but not of other extensions.
fn collect(node: &Value, pointer: &str, pointers: &mut Vec<String>) {
    let words = node.as_object().into_iter().flatten();
    let is_extension =
        |word: &str| word.starts_with("x-") && word != "x-source" && !pointer.ends_with("/headers");
    for (word, below) in words.filter(|(word, _)| !is_extension(word)) {
        let pointer = format!("{pointer}/{}", word.replace('~', "~0").replace('/', "~1"));
        collect(below, &pointer, pointers);
        pointers.push(pointer);
    }
    for (index, item) in node.as_array().into_iter().flatten().enumerate() {
        let pointer = format!("{pointer}/{index}");
        collect(item, &pointer, pointers);
        pointers.push(pointer);
    }
}
