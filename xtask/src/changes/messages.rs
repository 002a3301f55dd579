//! Compares what an operation sends and receives: parameters, bodies, responses and headers.

use super::contract::Node;
use super::documentation::difference;
use super::operations::Operation;
use super::rules::requiredness;
use super::rust::{field_name, type_name};
use super::schemas::Use;
use super::{Class, Contract, Direction, Walk, take_pairs};

/// A parameter: the entry in the operation's list, and what it refers to.
struct Parameter<'a> {
    listed: Node<'a>,
    node: Node<'a>,
}

impl<'a> Parameter<'a> {
    /// Lists the operation's parameters. Its own override those of the path.
    fn all(contract: &'a Contract, operation: &Operation<'a>) -> Vec<Self> {
        let mut parameters = Vec::<Self>::new();
        for list in [&operation.item, &operation.node] {
            let list = list.get("parameters");
            for item in list.items() {
                let mut node = contract.resolve(&item);
                // A name is a place that stays when the list is ordered in another way.
                let place = list.below(node.text("name").unwrap_or_default());
                if item.reference().is_none() {
                    node.place.clone_from(&place);
                }
                let it = Self { listed: Node { place, ..item }, node };
                parameters.retain(|other| other.key() != it.key());
                parameters.push(it);
            }
        }
        parameters
    }

    fn name(&self) -> &'a str {
        self.node.text("name").unwrap_or_default()
    }

    fn key(&self) -> (&'a str, Option<&'a str>) {
        (self.name(), self.node.text("in"))
    }

    /// Which of the path's parameters it is.
    fn index(&self, path: &str) -> Option<usize> {
        let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        let mut names = names.filter(|_| self.node.text("in") == Some("path"));
        names.position(|name| name == self.name())
    }

    /// The style and whether lists are exploded, with the defaults of OpenAPI.
    fn style(&self) -> (&'a str, bool) {
        let default = match self.node.text("in") {
            Some("query" | "cookie") => "form",
            _ => "simple",
        };
        let style = self.node.text("style").unwrap_or(default);
        let explode = self.node.get("explode").value.as_bool();
        (style, explode.unwrap_or(style == "form"))
    }
}

impl<'a> Walk<'a> {
    pub(super) fn parameters(&mut self, old: &Operation<'a>, new: &Operation<'a>) {
        let builder = new.builder();
        let paths = (old.path, new.path);
        let (mut old, mut new) = (Parameter::all(self.old, old), Parameter::all(self.new, new));
        let mut pairs = take_pairs(&mut old, &mut new, |a, b| a.key() == b.key());
        pairs.extend(take_pairs(&mut old, &mut new, |a, b| a.name() == b.name()));
        pairs.extend(take_pairs(&mut old, &mut new, |a, b| {
            a.index(paths.0).is_some() && a.index(paths.0) == b.index(paths.1)
        }));
        for (old, new) in pairs {
            self.parameter(old, new, &builder);
        }
        let method = |it: &Parameter<'a>| format!("`{builder}::{}`", field_name(it.name()));
        let place = |it: &Parameter<'a>| it.node.text("in").unwrap_or_default();
        for it in old {
            let change = format!("{} parameter removed", place(&it));
            let meaning = format!("{} is gone", method(&it));
            self.add(Class::Breaking, it.listed.place.clone(), change, meaning);
        }
        for it in new {
            let (class, word, meaning) = if it.node.flag("required") {
                (Class::Breaking, "required", "must be set")
            } else {
                (Class::Additive, "optional", "is new")
            };
            let change = format!("{word} {} parameter added", place(&it));
            let meaning = format!("{} {meaning}", method(&it));
            self.add(class, it.listed.place.clone(), change, meaning);
        }
    }

    fn parameter(&mut self, old: Parameter<'a>, new: Parameter<'a>, builder: &str) {
        let (mut a, mut b) = (old.node.clone(), new.node.clone());
        if old.listed.reference() != new.listed.reference() {
            (a.place, b.place) = (old.listed.place.clone(), new.listed.place.clone());
        }
        let method = |name: &str| format!("`{builder}::{}`", field_name(name));
        let subject = method(new.name());
        if old.name() != new.name() {
            let change = difference("name", &a.get("name"), &b.get("name"));
            let meaning = format!("{} is now {subject}", method(old.name()));
            self.add(Class::Breaking, b.place.clone(), change, meaning);
        }
        if a.text("in") != b.text("in") {
            let change = difference("in", &a.get("in"), &b.get("in"));
            let meaning =
                format!("{subject} moves; the server does not see it where older clients send it");
            self.add(Class::Breaking, b.place.clone(), change, meaning);
        } else if old.style() != new.style() {
            let text = |(style, explode): (&str, bool)| {
                if explode { format!("{style}, exploded") } else { style.to_owned() }
            };
            let change = format!("style {} -> {}", text(old.style()), text(new.style()));
            let meaning = format!("{subject} is written in another way on the wire");
            self.add(Class::Breaking, b.place.clone(), change, meaning);
        }
        self.required(&a, &b, Direction::Request, &subject);
        self.path_default(&a.get("x-default"), &b.get("x-default"), &subject);
        let owner = format!("{builder}{}", type_name(new.name()));
        let mut usage = Use::new(Direction::Request, subject, owner);
        if let Some(name) = new.listed.reference().and_then(|it| it.rsplit('/').next()) {
            usage.enum_name = format!("{name}Parameter");
        }
        self.carried(&a, &b, &usage);
        let known =
            ["content", "explode", "in", "name", "required", "schema", "style", "x-default"];
        self.rest(&a, &b, &known);
    }

    /// Compares the schema of a parameter, a header or a media type, or the content that stands
    /// for it.
    fn carried(&mut self, old: &Node<'a>, new: &Node<'a>, usage: &Use) {
        let (before, after) = (old.get("schema"), new.get("schema"));
        if !before.is_absent() || !after.is_absent() {
            self.schema(&before, &after, usage);
        }
        self.content(&old.get("content"), &new.get("content"), usage);
    }

    fn path_default(&mut self, old: &Node<'a>, new: &Node<'a>, subject: &str) {
        if old.value != new.value {
            let (class, meaning) = if old.is_absent() {
                (Class::Additive, "has a default")
            } else {
                (Class::Breaking, "has another default")
            };
            let change = difference("x-default", old, new);
            self.add(class, new.place.clone(), change, format!("{subject} {meaning}"));
        }
    }

    /// Compares whether something outside of a schema is required. Its Rust type stays.
    fn required(&mut self, old: &Node<'a>, new: &Node<'a>, direction: Direction, subject: &str) {
        let (before, after) = (old.flag("required"), new.flag("required"));
        if before != after {
            let class = requiredness(direction, after, true);
            let change = if after { "optional -> required" } else { "required -> optional" };
            let meaning = match (direction, after) {
                (Direction::Request, true) => format!("the server requires {subject}"),
                (Direction::Request, false) => format!("the server does not require {subject}"),
                (_, true) => format!("{subject} is always present"),
                (_, false) => format!("{subject} may be absent"),
            };
            self.add(class, new.place.clone(), change, meaning);
        }
    }

    pub(super) fn request_body(&mut self, old: &Operation<'a>, new: &Operation<'a>) {
        let subject = format!("`{}::body`", new.builder());
        let usage = Use::new(Direction::Request, subject.clone(), format!("{}Body", new.builder()));
        let usage = Use { enum_name: new.builder(), ..usage };
        let (old, new) = self.resolve(&old.node.get("requestBody"), &new.node.get("requestBody"));
        let (class, change, meaning) = match (old.is_absent(), new.is_absent()) {
            (true, true) => return,
            (true, false) if new.flag("required") => {
                (Class::Breaking, "required request body added", "must be set")
            }
            (true, false) => (Class::Additive, "optional request body added", "is new"),
            (false, true) => (Class::Breaking, "request body removed", "is gone"),
            (false, false) => {
                self.required(&old, &new, Direction::Request, &subject);
                self.content(&old.get("content"), &new.get("content"), &usage);
                return self.rest(&old, &new, &["content", "required"]);
            }
        };
        self.add(class, new.place, change, format!("{subject} {meaning}"));
    }

    pub(super) fn responses(&mut self, old: &Operation<'a>, new: &Operation<'a>) {
        let (function, builder) = (new.function(), new.builder());
        let (old, new) = (old.node.get("responses"), new.node.get("responses"));
        for status in old.keys().union(&new.keys()).filter(|key| !key.starts_with("x-")) {
            let is_success = status.starts_with('2');
            let (old, new) = (old.get(status), new.get(status));
            let (class, change, meaning) = match (old.is_absent(), new.is_absent()) {
                (true, _) if is_success => (
                    Class::Breaking,
                    format!("success status {status} added"),
                    format!("older clients take {status} of `{function}` for an error"),
                ),
                (true, _) => (
                    Class::Additive,
                    format!("error status {status} added"),
                    format!("{status} of `{function}` is a documented error"),
                ),
                (_, true) if is_success => (
                    Class::Breaking,
                    format!("success status {status} removed"),
                    format!("`{function}` no longer succeeds with {status}"),
                ),
                (_, true) => (
                    Class::Breaking,
                    format!("error status {status} removed"),
                    format!("{status} of `{function}` is undocumented; its mock is gone"),
                ),
                _ => {
                    let mut usage = Use::new(
                        Direction::Response,
                        format!("the response of `{function}`"),
                        format!("{builder}Response"),
                    );
                    let shared = new.reference().and_then(|it| it.rsplit('/').next());
                    usage.enum_name =
                        shared.map_or_else(|| builder.clone(), |name| format!("{name}Body"));
                    self.response(&old, &new, &usage);
                    continue;
                }
            };
            self.add(class, new.place, change, meaning);
        }
        let known: Vec<_> = old.keys().union(&new.keys()).copied().collect();
        let known: Vec<_> = known.into_iter().filter(|key| !key.starts_with("x-")).collect();
        self.rest(&old, &new, &known);
    }

    fn response(&mut self, old: &Node<'a>, new: &Node<'a>, usage: &Use) {
        let (old, new) = self.resolve(old, new);
        let (before, after) = (old.get("content"), new.get("content"));
        if before.keys().is_empty() && !after.keys().is_empty() {
            let meaning = format!("{} has a value instead of ()", usage.subject);
            self.add(Class::Breaking, after.place, "body added", meaning);
        } else {
            self.content(&before, &after, usage);
        }
        self.headers(&old.get("headers"), &new.get("headers"), usage);
        self.rest(&old, &new, &["content", "headers"]);
    }

    /// Compares the media types of a body and their schemas.
    fn content(&mut self, old: &Node<'a>, new: &Node<'a>, usage: &Use) {
        for media_type in old.keys().union(&new.keys()) {
            let (old, new) = (old.get(media_type), new.get(media_type));
            if old.is_absent() || new.is_absent() {
                let (class, verb) = if old.is_absent() {
                    (Class::Additive, "added")
                } else {
                    (Class::Breaking, "removed")
                };
                let meaning = match class {
                    Class::Additive => "nothing in Rust".to_owned(),
                    _ => format!("{} has another body", usage.subject),
                };
                self.add(class, new.place, format!("media type {media_type} {verb}"), meaning);
                continue;
            }
            self.carried(&old, &new, usage);
            self.rest(&old, &new, &["schema"]);
        }
    }

    /// Compares the headers of a response, whose names have no letter case.
    fn headers(&mut self, old: &Node<'a>, new: &Node<'a>, usage: &Use) {
        let list = |node: &Node<'a>| -> Vec<_> {
            node.keys().into_iter().map(|key| (key.to_lowercase(), node.get(key))).collect()
        };
        let (mut old, mut new) = (list(old), list(new));
        for ((_, old), (name, new)) in take_pairs(&mut old, &mut new, |a, b| a.0 == b.0) {
            let (old, new) = self.resolve(&old, &new);
            let subject = format!("header {name} of {}", usage.subject);
            self.required(&old, &new, Direction::Response, &subject);
            let usage = Use::new(Direction::Response, subject, format!("{}Header", usage.owner));
            let usage = Use { in_rust: false, ..usage };
            self.carried(&old, &new, &usage);
            self.rest(&old, &new, &["content", "required", "schema"]);
        }
        for (name, node) in old {
            let meaning = format!("{} has no {name}", usage.subject);
            self.add(Class::Breaking, node.place, "header removed", meaning);
        }
        for (name, node) in new {
            let meaning = format!("{} has {name}", usage.subject);
            self.add(Class::Additive, node.place, "header added", meaning);
        }
    }
}
