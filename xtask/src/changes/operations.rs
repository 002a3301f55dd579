//! Pairs the operations of two contracts and compares how they are called.

use super::contract::Node;
use super::documentation::difference;
use super::rust::{field_name, type_name};
use super::{Class, Contract, Walk, take_pairs};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// What an operation does to state, and how safe that is: a creation must not be retried, a read
/// changes nothing. Two different kinds of the same rank do different things.
const KINDS: [(&str, u8); 4] = [("create", 0), ("update", 1), ("delete", 1), ("read", 2)];

pub(super) struct Operation<'a> {
    pub path: &'a str,
    pub method: &'a str,
    /// The path's entry, with what its operations share.
    pub item: Node<'a>,
    pub node: Node<'a>,
}

impl<'a> Operation<'a> {
    fn all(contract: &'a Contract) -> Vec<Self> {
        let paths = contract.root().get("paths");
        let mut operations = Vec::new();
        for path in paths.keys() {
            let item = contract.resolve(&paths.get(path));
            for method in item.keys().into_iter().filter(|key| METHODS.contains(key)) {
                let node = item.get(method);
                operations.push(Self { path, method, item: item.clone(), node });
            }
        }
        operations
    }

    fn id(&self) -> Option<&'a str> {
        self.node.text("operationId")
    }

    /// The method of the generated client.
    pub fn function(&self) -> String {
        field_name(self.id().unwrap_or(self.method))
    }

    /// The type that builds a request.
    pub fn builder(&self) -> String {
        type_name(self.id().unwrap_or(self.method))
    }

    /// The path without the names of its parameters, which are not on the wire.
    fn route(&self) -> String {
        let mut parts = self.path.split('{');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |route, part| {
            route + "{}" + part.split_once('}').map_or("", |(_, rest)| rest)
        })
    }

    fn kind(&self) -> &'a str {
        let implied = match self.method {
            "put" => "update",
            "delete" => "delete",
            "post" | "patch" => "create",
            _ => "read",
        };
        self.node.text("x-operation-kind").unwrap_or(implied)
    }
}

impl<'a> Walk<'a> {
    pub(super) fn operations(&mut self) {
        let (mut old, mut new) = (Operation::all(self.old), Operation::all(self.new));
        let mut pairs = take_pairs(&mut old, &mut new, |a, b| a.id().is_some() && a.id() == b.id());
        pairs.extend(take_pairs(&mut old, &mut new, |a, b| {
            (a.method, a.route()) == (b.method, b.route())
        }));
        for (old, new) in pairs {
            self.operation(&old, &new);
        }
        for it in old {
            let meaning = format!("`Client::{}` is gone", it.function());
            self.add(Class::Breaking, it.node.place.clone(), "operation removed", meaning);
        }
        for it in new {
            let meaning = format!("`Client::{}` is new", it.function());
            self.add(Class::Additive, it.node.place.clone(), "operation added", meaning);
        }
    }

    fn operation(&mut self, old: &Operation<'a>, new: &Operation<'a>) {
        self.route(old, new);
        self.kind_of_operation(old, new);
        self.parameters(old, new);
        self.request_body(old, new);
        self.responses(old, new);
        self.security(&old.node, &new.node);
        for (old, new) in [(&old.item, &new.item), (&old.node, &new.node)] {
            if !old.get("servers").is_absent() || !new.get("servers").is_absent() {
                self.servers(&old.get("servers"), &new.get("servers"));
            }
        }
        let known = ["parameters", "servers"];
        self.rest(&old.item, &new.item, &[&METHODS[..], &known].concat());
        let own = ["operationId", "requestBody", "responses", "security", "x-operation-kind"];
        self.rest(&old.node, &new.node, &[&own[..], &known].concat());
    }

    /// Compares path, method and name.
    fn route(&mut self, old: &Operation<'a>, new: &Operation<'a>) {
        if old.route() != new.route() {
            let change = format!("path {} -> {}", old.path, new.path);
            let meaning = format!("requests go to {}", new.path);
            self.add(Class::Breaking, new.item.place.clone(), change, meaning);
        }
        if old.method != new.method {
            let (before, after) = (old.method.to_uppercase(), new.method.to_uppercase());
            let meaning =
                format!("`{}` sends {after}; older clients send {before}", new.function());
            let change = format!("method {before} -> {after}");
            self.add(Class::Breaking, new.node.place.clone(), change, meaning);
        }
        if old.id() != new.id() {
            let (before, after) = (old.node.get("operationId"), new.node.get("operationId"));
            let change = difference("operationId", &before, &after);
            let meaning =
                format!("`Client::{}` is now `Client::{}`", old.function(), new.function());
            self.add(Class::Breaking, after.place, change, meaning);
        }
    }

    /// Compares what the operation does to state, which decides whether calls are retried.
    fn kind_of_operation(&mut self, old: &Operation<'a>, new: &Operation<'a>) {
        let key = "x-operation-kind";
        let (before, after) = (old.node.get(key), new.node.get(key));
        if before.value == after.value {
            return;
        }
        let safety = |kind: &str| KINDS.iter().find(|(name, _)| *name == kind).map(|(_, it)| *it);
        let (old_kind, new_kind) = (old.kind(), new.kind());
        let name = new.function();
        let (class, meaning) = match (safety(old_kind), safety(new_kind)) {
            _ if old_kind == new_kind => (Class::Docs, "nothing in Rust".to_owned()),
            (Some(0), Some(1..)) => (Class::Additive, format!("`{name}` is retried")),
            (Some(1..), Some(0)) => {
                (Class::Breaking, format!("`{name}` is not retried; older clients still retry it"))
            }
            (Some(before), Some(after)) if before < after => {
                (Class::Additive, format!("`{name}` leaves state as it is"))
            }
            _ => (Class::Breaking, format!("`{name}` does something else to state")),
        };
        self.add(class, after.place.clone(), difference(key, &before, &after), meaning);
    }
}
