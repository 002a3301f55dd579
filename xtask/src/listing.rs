//! The listing of a public API: one line per item, and the types of other crates in them. Knows
//! neither rustdoc nor files.

use std::collections::BTreeSet;

/// Modules of generated code. The contract decides their API, and the checked-in copy shows it.
const GENERATED: [&str; 3] = ["generated", "mock", "types"];

/// Traits that the compiler implements for its own use; no program can name them.
const INTERNAL: [&str; 3] = ["Freeze", "StructuralPartialEq", "UnsafeUnpin"];

/// Tells whether an item of a crate is recorded, which generated ones are not.
pub fn is_recorded(item: &str, krate: &str) -> bool {
    // An implementation belongs to the type that it is for.
    let owner = match item.starts_with("impl") {
        true => item.rsplit_once(" for ").map_or(item, |(_, owner)| owner),
        false => item,
    };
    let is_own = |path: &&str| path.split("::").next() == Some(krate);
    let own = paths(owner).chain(paths(item)).find(is_own).unwrap_or_default();
    let mut names = own.split("::").skip(1);
    let is_generated = match (names.next(), names.next()) {
        // The module itself is declared by hand.
        (Some(module), Some(_)) => GENERATED.contains(&module),
        _ => false,
    };
    let is_internal = |path: &str| INTERNAL.iter().any(|it| path == format!("core::marker::{it}"));
    !is_generated && !paths(item).any(is_internal)
}

/// Returns the types and traits of other crates in an item, except the standard library's.
pub fn external_types(item: &str, krate: &str) -> BTreeSet<String> {
    let is_external = |path: &&str| {
        let first = path.split("::").next().unwrap_or_default();
        !["alloc", "core", "std", krate].contains(&first)
    };
    paths(item).filter(is_external).filter_map(type_path).collect()
}

/// Cuts a path such as `http::Method::GET` after its type. A path without a type names a function.
fn type_path(path: &str) -> Option<String> {
    let names: Vec<&str> = path.split("::").collect();
    let index = names.iter().position(|name| name.starts_with(char::is_uppercase))?;
    names.get(..=index).map(|names| names.join("::"))
}

/// Finds the paths in an item: names joined by `::`, the first of which is a crate's.
fn paths(item: &str) -> impl Iterator<Item = &str> {
    let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = item.split(move |c| !is_of_path(c)).map(|word| word.trim_matches(':'));
    words.filter(|word| word.contains("::") && word.starts_with(char::is_lowercase))
}
