//! Compares documentation, and words how a value changed.

use serde_json::Value;

use super::{Class, Node, Walk};

/// Keys that hold documentation. Undefined extensions count as documentation as well.
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

/// How many characters of a value a report shows.
const LONGEST: usize = 160;

impl<'a> Walk<'a> {
    /// Compares the document's own documentation.
    pub(super) fn document(&mut self) {
        let (old, new) = (self.old.root(), self.new.root());
        self.rest(&old, &new, &["components", "info", "openapi", "paths", "security", "servers"]);
        self.documentation(&old.get("info"), &new.get("info"));
        self.documentation(&old.get("openapi"), &new.get("openapi"));
    }

    /// Compares the entries without a rule of their own: documentation, and keywords that the
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
        (true, _) => format!("`{key}` added: {}", brief(&plain(new.value))),
        (_, true) => format!("`{key}` removed: {}", brief(&plain(old.value))),
        _ => {
            let (old, new) = shorten(&plain(old.value), &plain(new.value));
            format!("`{key}` {} -> {}", brief(&old), brief(&new))
        }
    }
}

/// Writes a value in one line, as YAML does in its flow style.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| format!("{key}: {}", plain(value));
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

/// Cuts off the end of a very long text.
fn brief(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some(_) => text.chars().take(LONGEST).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// Leaves out the words that two long strings begin and end with.
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
