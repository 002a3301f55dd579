//! How the generated Rust names and types what the contract describes, as far as users see it.

use heck::{ToSnakeCase, ToUpperCamelCase};
use serde_json::Value;

use super::Contract;
use super::schema::Schema;
use rockset_apikeys_codegen::OWN_TYPES;
use rockset_apikeys_codegen::names::pascal_case;

/// Format, type, type without zero, smallest and largest value, as the generator knows them.
const INTEGERS: [(&str, &str, &str, f64, f64); 8] = [
    ("uint64", "u64", "NonZeroU64", 0.0, u64::MAX as f64),
    ("int64", "i64", "NonZeroU64", i64::MIN as f64, i64::MAX as f64),
    ("uint32", "u32", "NonZeroU32", 0.0, u32::MAX as f64),
    ("int32", "i32", "NonZeroU32", i32::MIN as f64, i32::MAX as f64),
    ("uint16", "u16", "NonZeroU16", 0.0, u16::MAX as f64),
    ("int16", "i16", "NonZeroU16", i16::MIN as f64, i16::MAX as f64),
    ("uint8", "u8", "NonZeroU8", 0.0, u8::MAX as f64),
    ("int8", "i8", "NonZeroU8", i8::MIN as f64, i8::MAX as f64),
];

/// `get_api_key` as `GetApiKey`.
pub(super) fn type_name(name: &str) -> String {
    name.to_upper_camel_case()
}

/// `createdAt` as `created_at`; a keyword gets an underscore.
pub(crate) fn field_name(name: &str) -> String {
    let name = name.to_snake_case();
    match syn::parse_str::<syn::Ident>(&name) {
        Ok(_) => name,
        Err(_) => format!("{name}_"),
    }
}

/// The type that a schema with a name becomes.
pub(super) fn named_type(schema: &Schema<'_>) -> Option<String> {
    schema.name.filter(|name| is_type(name, schema)).map(type_name)
}

/// Whether a named schema becomes a type. Texts do not, except for those that the crate knows.
pub(super) fn is_type(name: &str, schema: &Schema<'_>) -> bool {
    let is_text = schema.kind() == "string" && schema.values().is_none();
    OWN_TYPES.contains(&name) || !is_text
}

/// The kind of type that a schema becomes. What is inside is compared on its own.
pub(super) fn shape(schema: &Schema<'_>) -> &'static str {
    match schema.kind() {
        _ if schema.values().is_some() => "an enum",
        "string" => match schema.format() {
            Some("date") => "NaiveDate",
            Some("date-time") => "DateTime<Utc>",
            Some("uuid") => "Uuid",
            Some("ip") => "IpAddr",
            Some("ipv4") => "Ipv4Addr",
            Some("ipv6") => "Ipv6Addr",
            _ => "String",
        },
        "integer" => integer(schema),
        "number" if schema.format() == Some("float") => "f32",
        "number" => "f64",
        "boolean" => "bool",
        "array" => "Vec",
        "object" if !schema.properties().is_empty() => "a struct",
        "object" if schema.get("additionalProperties").value.is_object() => "HashMap",
        "object" => "Map",
        "oneOf" | "anyOf" => "an enum",
        _ => "Value",
    }
}

/// Whether a schema becomes a struct with fields that are all named.
pub(crate) fn is_struct(schema: &Schema<'_>) -> bool {
    let has_variants = ["oneOf", "anyOf"].iter().any(|key| !schema.get(key).is_absent());
    shape(schema) == "a struct" && !has_variants
}

/// The smallest type of a known format or with exactly these bounds, as the generator chooses it.
fn integer(schema: &Schema<'_>) -> &'static str {
    let bound = |key: &str| schema.get(key).value.as_f64();
    let (low, high) = (bound("minimum"), bound("maximum"));
    let fits = |least: f64, most: f64| {
        low.is_none_or(|low| low >= least) && high.is_none_or(|high| high <= most)
    };
    let format = schema.format();
    let by_format = INTEGERS
        .iter()
        .find(|(name, _, _, least, most)| format == Some(name) && fits(*least, *most));
    let by_bounds = || {
        let same = |bound: Option<f64>, limit: f64| bound.is_none_or(|bound| bound == limit);
        let is_bounded = low.is_some() || high.is_some();
        INTEGERS.iter().find(|(.., least, most)| {
            is_bounded && (low == Some(1.0) || same(low, *least) && same(high, *most))
        })
    };
    match by_format.or_else(by_bounds) {
        Some((_, _, without_zero, ..)) if low == Some(1.0) => without_zero,
        Some((_, name, ..)) => name,
        None => "i64",
    }
}

/// The type of a value, as people write it.
pub(super) fn value_type(contract: &Contract, schema: &Schema<'_>, owner: &str) -> String {
    let of = |key: &str| {
        let inner = Schema::new(contract, &schema.get(key));
        value_type(contract, &inner, &format!("{owner}Item"))
    };
    if let Some(name) = named_type(schema) {
        return name;
    }
    match shape(schema) {
        "Vec" => format!("Vec<{}>", of("items")),
        "HashMap" => format!("HashMap<String, {}>", of("additionalProperties")),
        "an enum" | "a struct" => owner.to_owned(),
        name => name.to_owned(),
    }
}

/// Whether a field has the same type with and without a value: an absent list is empty.
pub(super) fn has_intrinsic_default(schema: &Schema<'_>) -> bool {
    let is_list = matches!(shape(schema), "Vec" | "HashMap" | "Map");
    (is_list && named_type(schema).is_none()) || !schema.get("default").is_absent()
}

/// The type of a field.
pub(super) fn field_type(value: &str, is_optional: bool, schema: &Schema<'_>) -> String {
    let is_option = is_optional && !has_intrinsic_default(schema) || schema.flag("nullable");
    if is_option { format!("Option<{value}>") } else { value.to_owned() }
}

/// The variant that an enum has for a wire value.
pub(super) fn variant(schema: &Schema<'_>, value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let given = schema.get("x-enumNames").text(&text);
    given.map_or_else(|| pascal_case(&text), str::to_owned)
}
