//! Compares schemas: types, limits, enums, properties.

use serde_json::Value;

use super::contract::Node;
use super::documentation::difference;
use super::rules::{self, Movement};
use rockset_apikeys_codegen::OWN_TYPES;

use super::rust::{self, field_type, named_type, shape, type_name, value_type};
use super::schema::Schema;
use super::{Class, Direction, Walk};

/// Keywords with a rule of their own.
const KNOWN: [&str; 17] = [
    "additionalProperties",
    "allOf",
    "anyOf",
    "default",
    "enum",
    "format",
    "items",
    "nullable",
    "oneOf",
    "properties",
    "readOnly",
    "required",
    "title",
    "type",
    "writeOnly",
    "x-enumDescriptions",
    "x-enumNames",
];

/// Where a schema is used.
#[derive(Clone)]
pub(super) struct Use {
    pub direction: Direction,
    /// What has a value of the schema in Rust, such as `` `ApiKey::role` ``.
    pub subject: String,
    /// The name of the type that a schema without a name becomes.
    pub owner: String,
    /// Whether the value may be absent.
    pub is_optional: bool,
    /// Whether the value has a type in Rust; headers of responses do not.
    pub in_rust: bool,
    /// The name of the type of an unnamed string enum.
    pub enum_name: String,
}

impl Use {
    pub fn new(direction: Direction, subject: String, owner: String) -> Self {
        let enum_name = owner.clone();
        Self { direction, subject, owner, is_optional: false, in_rust: true, enum_name }
    }

    /// Says that the value has another type.
    pub fn takes(&self, after: &str, before: &str) -> String {
        let is_own = OWN_TYPES.iter().any(|name| self.subject == format!("`{name}`"));
        match is_own || after == before {
            true => format!("{} has another form under the same name", self.subject),
            false => format!("{} takes {after} instead of {before}", self.subject),
        }
    }

    /// The use of what is inside, such as the items of a list.
    pub fn inner(&self, name: &str, enum_name: &str) -> Self {
        let owner = format!("{}{name}", self.owner);
        let enum_name = format!("{}{enum_name}", self.enum_name);
        Self { owner, enum_name, is_optional: false, ..self.clone() }
    }
}

impl<'a> Walk<'a> {
    /// Compares the named schemas as types, whether an operation uses them or not.
    pub(super) fn components(&mut self) {
        let schemas = |node: Node<'a>| node.get("components").get("schemas");
        let (old, new) = (schemas(self.old.root()), schemas(self.new.root()));
        for name in old.keys().intersection(&new.keys()) {
            let name_in_rust = type_name(name);
            let usage = Use::new(Direction::Unused, format!("`{name_in_rust}`"), name_in_rust);
            self.schema(&old.get(name), &new.get(name), &usage);
        }
        for name in old.keys().difference(&new.keys()) {
            // Names that changed are reported at the first use.
            if !self.renamed.contains(name) {
                let node = old.get(name);
                let is_type = rust::is_type(name, &Schema::new(self.old, &node));
                let class = if is_type { Class::Breaking } else { Class::Docs };
                self.named_type(node, name, class, ["removed", "is gone"]);
            }
        }
        for name in new.keys().difference(&old.keys()) {
            // Whatever uses it is reported as well, and says enough.
            if !self.new.uses(name) {
                let node = new.get(name);
                let is_type = rust::is_type(name, &Schema::new(self.new, &node));
                let class = if is_type { Class::Additive } else { Class::Docs };
                self.named_type(node, name, class, ["added", "is new"]);
            }
        }
    }

    fn named_type(&mut self, node: Node<'a>, name: &str, class: Class, words: [&str; 2]) {
        let [verb, state] = words;
        let meaning = match class {
            Class::Docs => "nothing in Rust, where it is a String".to_owned(),
            _ => format!("`{}` {state}", type_name(name)),
        };
        self.add(class, node.place, format!("schema {verb}"), meaning);
    }

    /// Compares two schemas and what is inside.
    pub(super) fn schema(&mut self, old_node: &Node<'a>, new_node: &Node<'a>, usage: &Use) {
        let mut old = Schema::new(self.old, old_node);
        let mut new = Schema::new(self.new, new_node);
        if old.name != new.name && !self.is_renamed(&old, &new) {
            if named_type(&old) != named_type(&new) {
                return self.retyped(&old, &new, &new_node.place, usage);
            }
            old.move_to(&old_node.place);
            new.move_to(&new_node.place);
        }
        self.schema_documentation(old_node, &old, new_node, &new, usage);
        let pair = (old.place().to_owned(), new.place().to_owned(), usage.direction);
        if !self.seen.insert(pair) {
            return;
        }
        let mut usage = usage.clone();
        if let Some(name) = named_type(&new).filter(|_| named_type(&old).is_some()) {
            usage.subject = format!("`{name}`");
            (usage.owner, usage.enum_name) = (name.clone(), name);
        }
        self.kind(&old, &new, &usage);
        if old.kind() == new.kind() {
            self.keywords(&old, &new, &usage);
            self.limits(&old, &new, &usage);
            self.enumeration(&old, &new, &usage);
            self.properties(&old, &new, &usage);
            self.additional_properties(&old, &new, &usage);
            self.inner(&old, &new, &usage);
        }
    }

    /// Whether the old name is gone and the new one was not there, which is reported.
    fn is_renamed(&mut self, old: &Schema<'a>, new: &Schema<'a>) -> bool {
        let (Some(before), Some(after)) = (old.name, new.name) else { return false };
        let is_gone = self.new.component("schemas", before).is_absent();
        let is_new = self.old.component("schemas", after).is_absent();
        if !is_gone || !is_new || named_type(old).is_none() || named_type(new).is_none() {
            return false;
        }
        self.renamed.insert(before);
        let place = format!("components.schemas.{after}");
        let meaning = format!("`{}` is now `{}`", type_name(before), type_name(after));
        self.add(Class::Breaking, place, format!("schema name {before} -> {after}"), meaning);
        true
    }

    fn retyped(&mut self, old: &Schema<'a>, new: &Schema<'a>, place: &str, usage: &Use) {
        let before = value_type(self.old, old, &usage.owner);
        let after = value_type(self.new, new, &usage.owner);
        let name = |schema: &Schema<'a>| schema.name.unwrap_or(schema.kind()).to_owned();
        let change = format!("type {} -> {}", name(old), name(new));
        let meaning = usage.takes(&after, &before);
        self.add(Class::Breaking, place, change, meaning);
    }

    /// Compares what is written at the use of a schema. What a reference leads to is compared as a
    /// component.
    fn schema_documentation(
        &mut self,
        old_node: &Node<'a>,
        old: &Schema<'a>,
        new_node: &Node<'a>,
        new: &Schema<'a>,
        usage: &Use,
    ) {
        let absent = |node: &Node<'a>| Node { value: &Value::Null, place: node.place.clone() };
        let written = |node: &Node<'a>, schema: &Schema<'a>| match schema.own() {
            Some(own) if node.reference().is_none() => own.clone(),
            _ => absent(node),
        };
        let (old_own, new_own) = (written(old_node, old), written(new_node, new));
        let mut known = KNOWN.to_vec();
        known.extend(rules::LIMITS.map(|(key, _)| key));
        self.rest(&old_own, &new_own, &known);
        let (before, after) = (old_own.get("title"), new_own.get("title"));
        let is_component = usage.direction == Direction::Unused;
        let is_type = matches!(shape(new), "a struct" | "an enum") && !is_component;
        if before.value != after.value && is_type && new.name.is_none() {
            let change = difference("title", &before, &after);
            let meaning = format!("the type of {} has another name", usage.subject);
            self.add(Class::Breaking, after.place, change, meaning);
        } else {
            self.documentation(&before, &after);
        }
        let key = "x-enumDescriptions";
        self.documentation(&old_own.get(key), &new_own.get(key));
    }

    /// Compares type and format.
    fn kind(&mut self, old: &Schema<'a>, new: &Schema<'a>, usage: &Use) {
        let name = |schema: &Schema<'a>| match schema.format() {
            Some(format) => format!("{} ({format})", schema.kind()),
            None => schema.kind().to_owned(),
        };
        let (before, after) = (name(old), name(new));
        if before == after {
            return;
        }
        let change = format!("type {before} -> {after}");
        let place = new.get("type").place;
        let place = place.strip_suffix(".type").unwrap_or(&place);
        let (before, after) =
            (value_type(self.old, old, &usage.owner), value_type(self.new, new, &usage.owner));
        if shape(old) != shape(new) || old.kind() != new.kind() {
            let meaning = usage.takes(&after, &before);
            return self.add(Class::Breaking, place, change, meaning);
        }
        let movement = rules::format_movement(old.format(), new.format());
        let class = rules::values(usage.direction, movement);
        self.add(class, place, change, rules::values_meaning(usage.direction, movement));
    }

    /// Compares `nullable`, `default`, `readOnly` and `writeOnly`.
    fn keywords(&mut self, old: &Schema<'a>, new: &Schema<'a>, usage: &Use) {
        let (before, after) = (old.flag("nullable"), new.flag("nullable"));
        if before != after {
            let is_option = usage.is_optional && !rust::has_intrinsic_default(new);
            let type_of = |contract, schema| {
                let value = value_type(contract, schema, &usage.owner);
                field_type(&value, usage.is_optional, schema)
            };
            let (class, meaning) = if is_option {
                (Class::Additive, "nothing in Rust, where null and absent are both `None`".into())
            } else {
                let (before, after) = (type_of(self.old, old), type_of(self.new, new));
                (Class::Breaking, format!("{} is {after} instead of {before}", usage.subject))
            };
            let change = format!("nullable {before} -> {after}");
            self.add(class, new.get("nullable").place, change, meaning);
        }
        let (before, after) = (old.get("default"), new.get("default"));
        if before.value != after.value {
            let meaning = format!("{} has another default", usage.subject);
            let change = difference("default", &before, &after);
            self.add(Class::Breaking, after.place, change, meaning);
        }
        for key in ["readOnly", "writeOnly"] {
            let (before, after) = (old.flag(key), new.flag(key));
            if before != after {
                let class = rules::one_way(usage.direction, key, after);
                let way = if after { "in one direction only" } else { "in both directions" };
                let meaning = format!("{} travels {way}", usage.subject);
                self.add(class, new.get(key).place, format!("{key} {before} -> {after}"), meaning);
            }
        }
    }

    /// Compares what limits the valid values.
    fn limits(&mut self, old: &Schema<'a>, new: &Schema<'a>, usage: &Use) {
        for (key, tighter) in rules::LIMITS {
            let (before, after) = (old.get(key), new.get(key));
            let movement = rules::movement(tighter, before.value, after.value);
            if movement == Movement::Same {
                continue;
            }
            let mut class = rules::values(usage.direction, movement);
            let mut meaning = rules::values_meaning(usage.direction, movement).to_owned();
            // The bounds of an integer choose its type.
            let is_bound = matches!(key, "minimum" | "maximum");
            if usage.in_rust && is_bound && shape(old) != shape(new) && old.format() == new.format()
            {
                let (before, after) = (shape(old), shape(new));
                class = Class::Breaking;
                meaning = usage.takes(after, before);
            }
            self.add(class, after.place.clone(), difference(key, &before, &after), meaning);
        }
    }
}
