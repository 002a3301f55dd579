//! The classes of what changes in a schema, as tables.

use serde_json::Value;

use super::{Class, Direction};

/// Keywords that limit the valid values, and when such a limit is tighter.
pub(super) const LIMITS: [(&str, Tighter); 14] = [
    ("exclusiveMaximum", Tighter::On),
    ("exclusiveMinimum", Tighter::On),
    ("maxItems", Tighter::Smaller),
    ("maxLength", Tighter::Smaller),
    ("maxProperties", Tighter::Smaller),
    ("maximum", Tighter::Smaller),
    ("minItems", Tighter::Larger),
    ("minLength", Tighter::Larger),
    ("minProperties", Tighter::Larger),
    ("minimum", Tighter::Larger),
    ("multipleOf", Tighter::Unknown),
    ("not", Tighter::Unknown),
    ("pattern", Tighter::Unknown),
    ("uniqueItems", Tighter::On),
];

/// Formats that do not limit the valid values of a text or of a number of the same Rust type.
const HINTS: [Option<&str>; 6] =
    [None, Some("double"), Some("float"), Some("int32"), Some("int64"), Some("password")];

/// Which value of a limit allows fewer values.
#[derive(Clone, Copy)]
pub(super) enum Tighter {
    Larger,
    Smaller,
    On,
    /// Two values cannot be compared.
    Unknown,
}

/// How the set of valid values changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Movement {
    Fewer,
    More,
    Other,
    Same,
}

/// How the set of valid values changes with a limit.
pub(super) fn movement(tighter: Tighter, old: &Value, new: &Value) -> Movement {
    let is_off = |value: &Value| value.is_null() || value == &Value::Bool(false);
    match (is_off(old), is_off(new), tighter) {
        (true, true, _) => Movement::Same,
        _ if old == new => Movement::Same,
        (true, false, _) => Movement::Fewer,
        (false, true, _) => Movement::More,
        (.., Tighter::On | Tighter::Unknown) => Movement::Other,
        (.., Tighter::Larger) if new.as_f64() > old.as_f64() => Movement::Fewer,
        (.., Tighter::Smaller) if new.as_f64() < old.as_f64() => Movement::Fewer,
        _ => Movement::More,
    }
}

/// The class of a change of the valid values. Clients send requests, so these may allow more; they
/// read responses, so these may allow fewer.
pub(super) fn values(direction: Direction, movement: Movement) -> Class {
    match (direction, movement) {
        (_, Movement::Same) | (Direction::Unused, _) => Class::Docs,
        (Direction::Request, Movement::More) | (Direction::Response, Movement::Fewer) => {
            Class::Additive
        }
        (Direction::Request | Direction::Response, _) => Class::Breaking,
    }
}

/// What a change of the valid values means.
pub(super) fn values_meaning(direction: Direction, movement: Movement) -> &'static str {
    match (direction, movement) {
        (_, Movement::Same) | (Direction::Unused, _) => "nothing in Rust",
        (Direction::Request, Movement::More) => "the server accepts more values",
        (Direction::Request, _) => "the server rejects values that it accepted",
        (Direction::Response, Movement::Fewer) => "the server returns fewer values",
        (Direction::Response, _) => "the server may return values that it never returned",
    }
}

/// How the valid values change with a format that does not change the type.
pub(super) fn format_movement(old: Option<&str>, new: Option<&str>) -> Movement {
    match (HINTS.contains(&old), HINTS.contains(&new)) {
        (true, true) => Movement::Same,
        (true, false) => Movement::Fewer,
        (false, true) => Movement::More,
        (false, false) => Movement::Other,
    }
}

/// The class of an added enum value. String enums are open, others fail on an unknown value.
pub(super) fn value_added(direction: Direction, is_open: bool) -> Class {
    match direction {
        Direction::Response if !is_open => Class::Breaking,
        _ => Class::Additive,
    }
}

/// The class of an added property. Requests of older clients do not have it.
pub(super) fn property_added(direction: Direction, is_required: bool) -> Class {
    match direction {
        Direction::Request if is_required => Class::Breaking,
        _ => Class::Additive,
    }
}

/// The class of a property that becomes required or optional. `same` says that the field has the
/// same Rust type in both cases.
pub(super) fn requiredness(direction: Direction, is_required: bool, same: bool) -> Class {
    match (direction, is_required) {
        _ if !same => Class::Breaking,
        (Direction::Request, true) | (Direction::Response, false) => Class::Breaking,
        _ => Class::Additive,
    }
}

/// The class of a property that becomes `readOnly` or `writeOnly`, or stops being it.
pub(super) fn one_way(direction: Direction, key: &str, is_on: bool) -> Class {
    match (direction, key, is_on) {
        (Direction::Request, "readOnly", true) => Class::Breaking,
        (Direction::Response, "writeOnly", true) => Class::Breaking,
        (Direction::Request, "readOnly", false) => Class::Additive,
        (Direction::Response, "writeOnly", false) => Class::Additive,
        _ => Class::Docs,
    }
}

/// What an object does with properties that it does not name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// The generated struct ignores them.
    Ignored,
    /// The generated struct fails on them.
    Denied,
    /// The generated struct keeps them, in the field `extra`.
    Kept,
}

impl Others {
    pub fn of(additional_properties: &Value) -> Self {
        match additional_properties {
            Value::Bool(false) => Self::Denied,
            Value::Object(_) => Self::Kept,
            _ => Self::Ignored,
        }
    }
}

/// The class of a change of `additionalProperties`, and what it means.
pub(super) fn others(direction: Direction, old: Others, new: Others) -> (Class, &'static str) {
    let responds = direction == Direction::Response;
    match (old, new) {
        (Others::Kept, _) => (Class::Breaking, "the field `extra` is gone"),
        (Others::Denied, _) if responds => {
            (Class::Breaking, "older clients fail on properties that the contract does not name")
        }
        (_, Others::Kept) => (Class::Additive, "the field `extra` is new"),
        (_, Others::Denied) => {
            (Class::Breaking, "properties that the contract does not name are now an error")
        }
        (_, Others::Ignored) => {
            (Class::Additive, "properties that the contract does not name are now ignored")
        }
    }
}
