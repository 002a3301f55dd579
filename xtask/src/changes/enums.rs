//! Compares the wire values of enums and the names of their variants.

use serde_json::Value;

use super::contract::Node;
use super::documentation::difference;
use super::schema::Schema;
use super::schemas::Use;
use super::{Class, Walk, rules, rust};

impl<'a> Walk<'a> {
    /// Compares the wire values of an enum and the names of their variants.
    pub(super) fn enumeration(&mut self, old: &Schema<'a>, new: &Schema<'a>, usage: &Use) {
        let place = new.get("enum").place;
        let (before, after) = match (old.values(), new.values()) {
            (Some(before), Some(after)) => (before, after),
            (None, None) => return,
            _ => {
                let change = difference("enum", &old.get("enum"), &new.get("enum"));
                let before = rust::value_type(self.old, old, &usage.owner);
                let after = rust::value_type(self.new, new, &usage.owner);
                let meaning = format!("{} takes {after} in place of {before}", usage.subject);
                return self.add(Class::Breaking, place, change, meaning);
            }
        };
        let is_open = new.kind() == "string";
        let path = |schema, value| format!("`{}::{}`", usage.owner, rust::variant(schema, value));
        for value in after.iter().filter(|value| !before.contains(value)) {
            let class = rules::value_added(usage.direction, is_open);
            let older = if is_open { "keep it as `Unknown`" } else { "fail on it" };
            let meaning = format!("{} is new; older clients {older}", path(new, value));
            self.add(class, place.clone(), format!("value {value} added"), meaning);
        }
        for value in before.iter().filter(|value| !after.contains(value)) {
            let variant = path(old, value);
            let other = after.iter().find(|other| path(new, other) == variant);
            let meaning = match other {
                Some(other) => format!("{variant} is {other} on the wire"),
                None => format!("{variant} is gone"),
            };
            self.add(Class::Breaking, place.clone(), format!("value {value} removed"), meaning);
        }
        for value in before.iter().filter(|value| after.contains(value)) {
            self.variant_name(
                value,
                &old.get("x-enumNames"),
                &new.get("x-enumNames"),
                [path(old, value), path(new, value)],
            );
        }
    }

    /// Compares the name that the contract gives to the variant of a wire value.
    fn variant_name(&mut self, value: &Value, old: &Node<'a>, new: &Node<'a>, paths: [String; 2]) {
        let key = value.as_str().unwrap_or_default();
        let [before, after] = paths;
        if before == after {
            return self.documentation(&old.get(key), &new.get(key));
        }
        let change = difference(key, &old.get(key), &new.get(key));
        self.add(Class::Breaking, new.below(key), change, format!("{before} is now {after}"));
    }
}
