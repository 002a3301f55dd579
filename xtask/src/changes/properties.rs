//! Compares properties, items and variants of schemas.

use super::contract::Node;
use super::documentation::difference;
use super::rules::{self, Others};
use super::rust::{field_name, field_type, shape, type_name, value_type};
use super::schema::Schema;
use super::schemas::Use;
use super::{Class, Walk, take_pairs};
use rockset_apikeys_codegen::names::pascal_case;

impl<'a> Walk<'a> {
    pub(super) fn properties(&mut self, old: &Schema<'a>, new: &Schema<'a>, usage: &Use) {
        let (before, after) = (old.properties(), new.properties());
        for (name, node) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
            let meaning = format!("`{}::{}` is gone", usage.owner, field_name(name));
            self.add(Class::Breaking, node.place.clone(), "property removed", meaning);
        }
        for (name, node) in &after {
            let required = new.requires(name);
            let field = format!("`{}::{}`", usage.owner, field_name(name));
            let mut inner = usage.inner(&type_name(name), &pascal_case(name));
            inner.subject.clone_from(&field);
            let Some(old_node) = before.get(name) else {
                let (word, meaning) = match required {
                    true => ("required", "is new; builders and struct literals must set it"),
                    false => ("optional", "is new; struct literals must set it, builders need not"),
                };
                let class = rules::property_added(usage.direction, required);
                let change = format!("{word} property added");
                self.add(class, node.place.clone(), change, format!("{field} {meaning}"));
                continue;
            };
            let was_required = old.requires(name);
            inner.is_optional = !required && !was_required;
            if was_required != required {
                self.requiredness(old_node, node, required, &inner);
            }
            self.schema(old_node, node, &inner);
        }
    }

    fn requiredness(&mut self, old: &Node<'a>, new: &Node<'a>, required: bool, usage: &Use) {
        let type_of = |contract, node, is_optional| {
            let schema = Schema::new(contract, node);
            field_type(&value_type(contract, &schema, &usage.owner), is_optional, &schema)
        };
        let before = type_of(self.old, old, required);
        let after = type_of(self.new, new, !required);
        // A type that changes as well is reported on its own.
        let same = type_of(self.new, new, required) == after;
        let class = rules::requiredness(usage.direction, required, same);
        let meaning = match (same, required) {
            (false, _) => format!("{} is {after} instead of {before}", usage.subject),
            (true, true) => format!("{} must be set", usage.subject),
            (true, false) => format!("{} may be absent", usage.subject),
        };
        let change = if required { "optional -> required" } else { "required -> optional" };
        self.add(class, new.place.clone(), change, meaning);
    }

    pub(super) fn additional_properties(
        &mut self,
        old: &Schema<'a>,
        new: &Schema<'a>,
        usage: &Use,
    ) {
        let key = "additionalProperties";
        let (before, after) = (old.get(key), new.get(key));
        let kinds = (Others::of(before.value), Others::of(after.value));
        if kinds == (Others::Kept, Others::Kept) {
            return self.schema(&before, &after, &usage.inner("Extra", "Value"));
        }
        if kinds.0 != kinds.1 {
            let (mut class, mut meaning) = rules::others(usage.direction, kinds.0, kinds.1);
            if shape(old) != shape(new) {
                (class, meaning) = (Class::Breaking, "the map has another type");
            }
            let meaning = format!("{}: {meaning}", usage.subject);
            self.add(class, after.place.clone(), difference(key, &before, &after), meaning);
        }
    }

    /// Compares the items of a list and the variants of `oneOf` and `anyOf`.
    pub(super) fn inner(&mut self, old: &Schema<'a>, new: &Schema<'a>, usage: &Use) {
        let (before, after) = (old.get("items"), new.get("items"));
        if !before.is_absent() || !after.is_absent() {
            self.schema(&before, &after, &usage.inner("Item", ""));
        }
        for key in ["oneOf", "anyOf"] {
            let (mut before, mut after) = (old.get(key).items(), new.get(key).items());
            let same = |a: &Node<'a>, b: &Node<'a>| a.reference() == b.reference();
            for (before, after) in take_pairs(&mut before, &mut after, same) {
                self.schema(&before, &after, &usage.inner("Variant", ""));
            }
            let lists = [(before, "removed", "gone"), (after, "added", "new")];
            for (nodes, verb, state) in lists {
                for node in nodes {
                    let name = node.reference().unwrap_or("a variant").to_owned();
                    let meaning = format!("a variant of `{}` is {state}", usage.owner);
                    self.add(Class::Breaking, node.place, format!("{name} {verb}"), meaning);
                }
            }
        }
    }
}
