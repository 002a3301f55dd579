//! Compares what only people read, and words how a value changed.

use serde_json::Value;

use super::{Class, Node, Walk};

/// Keys whose values only people read. So are all extensions that the project does not define.
const DOCUMENTATION: [&str; 12] = [
    "contact",
    "deprecated",
    "description",
    "example",
    "examples",
    "externalDocs",
    "license",
    "links",
    "summary",
    "tags",
    "termsOfService",
    "title",
];

impl<'a> Walk<'a> {
    /// Compares the document's own documentation.
    pub(super) fn document(&mut self) {
        let (old, new) = (self.old.root(), self.new.root());
        self.rest(&old, &new, &["components", "info", "openapi", "paths", "security", "servers"]);
        self.documentation(&old.get("info"), &new.get("info"));
        self.documentation(&old.get("openapi"), &new.get("openapi"));
    }

    /// Compares the entries that no rule knows: documentation, and keywords of OpenAPI that the
    /// project does not use, which count as breaking.
    pub(super) fn rest(&mut self, old: &Node<'a>, new: &Node<'a>, known: &[&str]) {
        for key in old.keys().union(&new.keys()).filter(|key| !known.contains(*key)) {
            let (old, new) = (old.get(key), new.get(key));
            if key.starts_with("x-") || DOCUMENTATION.contains(key) {
                self.documentation(&old, &new);
            } else if old.value != new.value {
                let change = difference(key, &old, &new);
                let meaning = "no rule covers this keyword; compare the generated code";
                self.add(Class::Breaking, new.place, change, meaning);
            }
        }
    }

    /// Reports each text that differs below two nodes.
    pub(super) fn documentation(&mut self, old: &Node<'a>, new: &Node<'a>) {
        if old.value.is_object() && new.value.is_object() {
            for key in old.keys().union(&new.keys()) {
                self.documentation(&old.get(key), &new.get(key));
            }
        } else if old.value != new.value {
            let key = new.place.rsplit('.').next().unwrap_or_default().to_owned();
            let change = difference(&key, old, new);
            self.add(Class::Docs, new.place.clone(), change, "nothing in Rust but documentation");
        }
    }
}

/// Words a change of the value of a key.
pub(super) fn difference(key: &str, old: &Node<'_>, new: &Node<'_>) -> String {
    match (old.is_absent(), new.is_absent()) {
        (true, _) => format!("`{key}` added: {}", plain(new.value)),
        (_, true) => format!("`{key}` removed: {}", plain(old.value)),
        _ => {
            let (old, new) = shorten(&plain(old.value), &plain(new.value));
            format!("`{key}` {old} -> {new}")
        }
    }
}

/// A text as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Leaves out the words that two long texts begin and end with.
fn shorten(old: &str, new: &str) -> (String, String) {
    if old.len() + new.len() <= 120 {
        return (old.to_owned(), new.to_owned());
    }
    let (mut old, mut new): (Vec<_>, Vec<_>) = (old.split(' ').collect(), new.split(' ').collect());
    let start = common(old.iter().zip(&new));
    let (left, right) = (old.split_off(start), new.split_off(start));
    let end = common(left.iter().rev().zip(right.iter().rev()));
    let cut = |mut words: Vec<&str>| {
        words.truncate(words.len() - end);
        let before = if start > 0 { "… " } else { "" };
        let after = if end > 0 { " …" } else { "" };
        format!("{before}{}{after}", words.join(" "))
    };
    (cut(left), cut(right))
}

fn common<'a>(words: impl Iterator<Item = (&'a &'a str, &'a &'a str)>) -> usize {
    words.take_while(|(old, new)| old == new).count()
}
