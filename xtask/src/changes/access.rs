//! Compares where requests go and how they authenticate.

use std::collections::BTreeSet;

use serde_json::Value;

use super::contract::Node;
use super::documentation::difference;
use super::{Class, Contract, Walk};

/// What a security scheme puts on the wire.
const ON_THE_WIRE: [&str; 7] =
    ["bearerFormat", "flows", "in", "name", "openIdConnectUrl", "scheme", "type"];

/// The extension that says the word before the key.
const WORD: &str = "x-scheme";

/// What stands for a requirement that asks for nothing.
const ANONYMOUS: &str = "no authentication";

impl<'a> Walk<'a> {
    /// Compares servers and security schemes.
    pub(super) fn access(&mut self) {
        self.servers(&self.old.root().get("servers"), &self.new.root().get("servers"));
        let schemes =
            |contract: &'a Contract| contract.root().get("components").get("securitySchemes");
        let (old, new) = (schemes(self.old), schemes(self.new));
        for name in old.keys().union(&new.keys()) {
            let (before, after) = self.resolve(&old.get(name), &new.get(name));
            if before.is_absent() || after.is_absent() {
                let verb = if before.is_absent() { "added" } else { "removed" };
                let meaning = "nothing in Rust, unless an operation uses it";
                self.add(Class::Docs, after.place, format!("security scheme {verb}"), meaning);
                continue;
            }
            for key in ON_THE_WIRE.into_iter().chain([WORD]) {
                self.scheme(key, &before.get(key), &after.get(key));
            }
            let known = [&ON_THE_WIRE[..], &[WORD]].concat();
            self.rest(&before, &after, &known);
        }
    }

    fn scheme(&mut self, key: &str, old: &Node<'a>, new: &Node<'a>) {
        if old.value == new.value {
            return;
        }
        let meaning = match (key, new.value.as_str()) {
            ("name", Some(name)) => format!("requests carry the key in `{name}`"),
            ("in", Some(place)) => format!("requests carry the key in the {place}"),
            (WORD, Some(word)) => format!("`{word}` stands before the key"),
            (WORD, None) => "nothing stands before the key".to_owned(),
            _ => "requests authenticate in another way".to_owned(),
        };
        let meaning = format!("{meaning}; older clients no longer authenticate");
        self.add(Class::Breaking, new.place.clone(), difference(key, old, new), meaning);
    }

    /// Compares the requirements of an operation, or those of the document that stand for them.
    pub(super) fn security(&mut self, old: &Node<'a>, new: &Node<'a>) {
        let effective = |contract: &'a Contract, node: &Node<'a>| {
            let own = node.get("security");
            if own.is_absent() { contract.root().get("security") } else { own }
        };
        let (old, new) = (effective(self.old, old), effective(self.new, new));
        let (before, after) = (requirements(&old), requirements(&new));
        for requirement in before.difference(&after) {
            let class = if after.contains(ANONYMOUS) { Class::Additive } else { Class::Breaking };
            let meaning = match requirement.as_str() {
                ANONYMOUS => "the server rejects requests without a key".to_owned(),
                _ => format!("the server need not accept {requirement}"),
            };
            let change = format!("security removed: {requirement}");
            self.add(class, new.place.clone(), change, meaning);
        }
        for requirement in after.difference(&before) {
            let change = format!("security added: {requirement}");
            let meaning = match requirement.as_str() {
                ANONYMOUS => "the server does not require a key".to_owned(),
                _ => format!("the server accepts {requirement}"),
            };
            self.add(Class::Additive, new.place.clone(), change, meaning);
        }
    }

    pub(super) fn servers(&mut self, old: &Node<'a>, new: &Node<'a>) {
        let url = |node: &Node<'a>| node.text("url").unwrap_or_default();
        let (before, after) = (old.items(), new.items());
        let (first, new_first) = (before.first().map(url), after.first().map(url));
        let is_known =
            |nodes: &[Node<'a>], node: &Node<'a>| nodes.iter().any(|other| url(other) == url(node));
        if first != new_first {
            let (first, new_first) = (first.unwrap_or("none"), new_first.unwrap_or("none"));
            let change = format!("first server {first} -> {new_first}");
            let meaning = format!("clients without a server of their own call {new_first}");
            self.add(Class::Breaking, new.below("0"), change, meaning);
        }
        // A first one that is gone or new is reported above.
        for node in before.iter().filter(|it| !is_known(&after, it) && Some(url(it)) != first) {
            let change = format!("server removed: {}", url(node));
            let meaning = format!("the constant for {} is gone", url(node));
            self.add(Class::Breaking, node.place.clone(), change, meaning);
        }
        for node in after.iter().filter(|it| !is_known(&before, it) && Some(url(it)) != new_first) {
            let change = format!("server added: {}", url(node));
            let meaning = "a constant for it can be added";
            self.add(Class::Additive, node.place.clone(), change, meaning);
        }
        for node in &after {
            if let Some(other) = before.iter().find(|other| url(other) == url(node)) {
                self.rest(other, node, &["url"]);
            }
        }
        self.order_of_servers(&before, &after, new);
    }

    /// Compares the order of the servers after the first one, which only people read.
    fn order_of_servers(&mut self, old: &[Node<'a>], new: &[Node<'a>], servers: &Node<'a>) {
        let urls = |nodes: &[Node<'a>], others: &[Node<'a>]| -> Vec<_> {
            let urls = nodes.iter().map(|node| node.get("url").value);
            let is_shared = |url: &&Value| others.iter().any(|it| it.get("url").value == *url);
            urls.filter(is_shared).collect()
        };
        let (before, after) = (urls(old, new), urls(new, old));
        if before != after && before.first() == after.first() {
            let meaning = "nothing in Rust";
            self.add(Class::Docs, servers.place.clone(), "servers in another order", meaning);
        }
    }
}

/// The alternatives of a list of requirements, each as the names that it asks for at once.
fn requirements(list: &Node<'_>) -> BTreeSet<String> {
    let alternative = |node: Node<'_>| {
        let name = |scheme: &str| match &node.get(scheme).value.as_array() {
            Some(scopes) if !scopes.is_empty() => format!("{scheme} {}", node.get(scheme).value),
            _ => scheme.to_owned(),
        };
        let names: Vec<_> = node.keys().into_iter().map(name).collect();
        if names.is_empty() { ANONYMOUS.to_owned() } else { names.join(" and ") }
    };
    let alternatives: BTreeSet<_> = list.items().into_iter().map(alternative).collect();
    if alternatives.is_empty() { BTreeSet::from([ANONYMOUS.to_owned()]) } else { alternatives }
}
