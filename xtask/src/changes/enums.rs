//! Compares the wire values of enums and the names of their variants.

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
                let meaning = format!("{} takes {after} instead of {before}", usage.subject);
                return self.add(Class::Breaking, place, change, meaning);
            }
        };
        let is_open = new.kind() == "string";
        let path =
            |schema, value| format!("`{}::{}`", usage.enum_name, rust::variant(schema, value));
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
        let (old_names, new_names) = (old.get("x-enumNames"), new.get("x-enumNames"));
        for value in before.iter().filter(|value| after.contains(value)) {
            let key = value.as_str().unwrap_or_default();
            let (before, after) = (rust::variant(old, value), rust::variant(new, value));
            if before == after {
                self.documentation(&old_names.get(key), &new_names.get(key));
                continue;
            }
            let owner = &usage.enum_name;
            let meaning = format!("`{owner}::{before}` is now `{owner}::{after}`");
            let change = format!("variant {before} -> {after}");
            self.add(Class::Breaking, new_names.below(key), change, meaning);
        }
    }
}
