//! A schema as one thing, however references and `allOf` spread it over the document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Contract, Node};

pub(crate) struct Schema<'a> {
    /// The schema itself, followed by what it joins with `allOf`; references are followed.
    parts: Vec<Node<'a>>,
    /// The name of the component that it refers to.
    pub name: Option<&'a str>,
}

impl<'a> Schema<'a> {
    pub fn new(contract: &'a Contract, node: &Node<'a>) -> Self {
        let mut schema = Self { parts: Vec::new(), name: name(node) };
        schema.join(contract, node, &mut BTreeSet::new());
        schema
    }

    fn join(&mut self, contract: &'a Contract, node: &Node<'a>, joined: &mut BTreeSet<String>) {
        let part = contract.resolve(node);
        if joined.insert(part.place.clone()) {
            let joins = part.get("allOf").items();
            self.parts.push(part);
            joins.iter().for_each(|node| self.join(contract, node, joined));
        }
    }

    /// Gives everything in the schema this place, that of a reference to it.
    pub fn move_to(&mut self, place: &str) {
        self.parts.iter_mut().for_each(|part| place.clone_into(&mut part.place));
    }

    /// The place of the schema itself.
    pub fn place(&self) -> &str {
        self.parts.first().map_or("", |part| &part.place)
    }

    /// The schema itself, without what it joins.
    pub fn own(&self) -> Option<&Node<'a>> {
        self.parts.first()
    }

    /// Returns the entry of this key in the first part that has it, and an absent entry of the
    /// schema itself if none has it.
    pub fn get(&self, key: &str) -> Node<'a> {
        let entry = |part: &Node<'a>| part.get(key);
        let mut entries = self.parts.iter().map(entry);
        let first = entries.clone().next();
        let entry = entries.find(|entry| !entry.is_absent()).or(first);
        entry.unwrap_or(Node { value: &Value::Null, place: key.to_owned() })
    }

    /// A switch, which is on if it is on in any part.
    pub fn flag(&self, key: &str) -> bool {
        self.parts.iter().any(|part| part.flag(key))
    }

    /// The type, or what stands for it.
    pub fn kind(&self) -> &'a str {
        let variants = ["oneOf", "anyOf"].into_iter().find(|key| !self.get(key).is_absent());
        match self.get("type").value.as_str() {
            Some(kind) => kind,
            None if !self.properties().is_empty() => "object",
            None => variants.unwrap_or("any"),
        }
    }

    pub fn format(&self) -> Option<&'a str> {
        self.get("format").value.as_str()
    }

    /// The values of an enum.
    pub fn values(&self) -> Option<&'a Vec<Value>> {
        self.get("enum").value.as_array()
    }

    pub fn properties(&self) -> BTreeMap<&'a str, Node<'a>> {
        let mut properties = BTreeMap::new();
        for node in self.parts.iter().map(|part| part.get("properties")) {
            for key in node.keys() {
                properties.entry(key).or_insert_with(|| node.get(key));
            }
        }
        properties
    }

    pub fn requires(&self, property: &str) -> bool {
        let lists = self.parts.iter().filter_map(|part| part.value.get("required")?.as_array());
        lists.flatten().any(|name| name == property)
    }
}

/// The component that a node refers to, directly or as the only thing that it joins.
fn name<'a>(node: &Node<'a>) -> Option<&'a str> {
    if let Some(reference) = node.reference() {
        return reference.strip_prefix("#/components/schemas/");
    }
    let has_more = ["type", "properties", "enum", "oneOf", "anyOf"];
    match &node.get("allOf").items()[..] {
        [one] if has_more.iter().all(|key| node.get(key).is_absent()) => name(one),
        _ => None,
    }
}
