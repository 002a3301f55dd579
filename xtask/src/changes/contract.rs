//! Reads a contract and follows its references.

use std::collections::BTreeSet;

use serde_json::Value;

static ABSENT: Value = Value::Null;

/// An OpenAPI 3.0 document. It need not be complete: what is missing counts as absent.
pub struct Contract {
    document: Value,
}

impl Contract {
    /// Parses YAML.
    pub fn parse(text: &str) -> Result<Self, String> {
        yaml_serde::from_str::<Value>(text).map(Self::from).map_err(|error| error.to_string())
    }

    pub(crate) fn root(&self) -> Node<'_> {
        Node { value: &self.document, place: String::new() }
    }

    /// Returns the named component, absent if there is none.
    pub(crate) fn component(&self, kind: &str, name: &str) -> Node<'_> {
        self.root().get("components").get(kind).get(name)
    }

    /// Follows references until there is none. A reference to itself or to nowhere is absent.
    pub(crate) fn resolve<'a>(&'a self, node: &Node<'a>) -> Node<'a> {
        let mut node = node.clone();
        let mut followed = BTreeSet::new();
        while let Some(reference) = node.reference() {
            let pointer = reference.strip_prefix('#').filter(|_| followed.insert(reference));
            let value = pointer.and_then(|pointer| self.document.pointer(pointer));
            let steps = reference.trim_start_matches("#/").split('/');
            let steps: Vec<_> =
                steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
            node = Node { value: value.unwrap_or(&ABSENT), place: steps.join(".") };
        }
        node
    }

    /// Whether anything refers to the named schema.
    pub(super) fn uses(&self, schema: &str) -> bool {
        fn refers(value: &Value, reference: &str) -> bool {
            match value {
                Value::Object(entries) => entries.iter().any(|(key, value)| {
                    (key == "$ref" && value == reference) || refers(value, reference)
                }),
                Value::Array(items) => items.iter().any(|item| refers(item, reference)),
                _ => false,
            }
        }
        refers(&self.document, &format!("#/components/schemas/{schema}"))
    }
}

impl From<Value> for Contract {
    fn from(document: Value) -> Self {
        Self { document }
    }
}

/// A part of a document and its place in it.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    pub value: &'a Value,
    pub place: String,
}

impl<'a> Node<'a> {
    /// Returns the entry of this key, absent if there is none.
    pub fn get(&self, key: &str) -> Node<'a> {
        Node { value: self.value.get(key).unwrap_or(&ABSENT), place: self.below(key) }
    }

    /// The place of an entry.
    pub fn below(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    pub fn is_absent(&self) -> bool {
        self.value.is_null()
    }

    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.value.get(key)?.as_str()
    }

    /// A switch, which is off if it is absent.
    pub fn flag(&self, key: &str) -> bool {
        self.value.get(key).and_then(Value::as_bool).unwrap_or_default()
    }

    pub fn reference(&self) -> Option<&'a str> {
        self.text("$ref")
    }

    /// The keys of an object, in order.
    pub fn keys(&self) -> BTreeSet<&'a str> {
        self.value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    /// The items of a list, each at its index.
    pub fn items(&self) -> Vec<Node<'a>> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items.map(|(index, value)| Node { value, place: self.below(&index.to_string()) }).collect()
    }
}
