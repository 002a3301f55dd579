//! Simplifies the contract before the generator reads it, so that its types are those that a client
//! needs: plain text where the contract only limits a text, and named enums everywhere.

use yaml_serde::{Mapping, Value};

use super::names::pascal_case;

/// The words that limit a text. The server checks these; a Rust type for each would only make
/// values harder to pass.
const TEXT_LIMITS: [&str; 3] = ["pattern", "minLength", "maxLength"];

/// Where a schema stands in the contract, for errors about one that was moved.
pub const PLACE: &str = "x-place";

/// Changes the document in place. Schemas of these names become types of the crate.
pub fn prepare(document: &mut Value, own_types: &[&str]) {
    name_inline_enums(document);
    inline_texts(document, own_types);
}

/// Moves the enums of properties to named schemas. The generator's own enums are closed: one unknown
/// value would fail the whole response; named ones are made by `open_enum`.
fn name_inline_enums(document: &mut Value) {
    let Some(schemas) = schemas(document) else { return };
    let mut named = Mapping::new();
    for (schema, node) in schemas.iter_mut() {
        let Some(schema) = schema.as_str() else { continue };
        let properties = node.get_mut("properties").and_then(Value::as_mapping_mut);
        for (property, node) in properties.into_iter().flatten() {
            let Some(property) = property.as_str() else { continue };
            let name = format!("{schema}{}", pascal_case(property));
            let mut place = format!("components.schemas.{schema}.properties.{property}");
            let node = match node.get_mut("items") {
                Some(items) => {
                    place += ".items";
                    items
                }
                None => node,
            };
            if is_text(node) && node.get("enum").is_some() {
                let reference = format!("#/components/schemas/{name}");
                let reference = Mapping::from_iter([("$ref".into(), reference.into())]);
                let mut property =
                    Mapping::from_iter([("allOf".into(), vec![Value::from(reference)].into())]);
                if let Some(description) = node.get("description") {
                    property.insert("description".into(), description.clone());
                }
                let mut schema = std::mem::replace(node, property.into());
                if let Some(schema) = schema.as_mapping_mut() {
                    schema.insert(PLACE.into(), place.into());
                }
                named.insert(name.into(), schema);
            }
        }
    }
    for (name, node) in named {
        schemas.entry(name).or_insert(node);
    }
}

/// Replaces references to schemas that are texts, with or without limits, by plain texts.
fn inline_texts(document: &mut Value, own_types: &[&str]) {
    let Some(schemas) = schemas(document) else { return };
    let is_plain = |name: &str, node: &Value| {
        is_text(node) && node.get("enum").is_none() && !own_types.contains(&name)
    };
    let texts: Vec<String> = schemas
        .iter()
        .filter_map(|(name, node)| Some((name.as_str()?, node)))
        .filter(|(name, node)| is_plain(name, node))
        .map(|(name, _)| name.to_owned())
        .collect();
    schemas.retain(|name, _| !texts.iter().any(|text| *name == text.as_str()));
    let references: Vec<_> =
        texts.iter().map(|name| format!("#/components/schemas/{name}")).collect();
    simplify(document, &references);
}

fn simplify(node: &mut Value, texts: &[String]) {
    match node {
        Value::Sequence(items) => items.iter_mut().for_each(|item| simplify(item, texts)),
        Value::Mapping(entries) => {
            let is_reference = |node: &Value| {
                let reference = node.get("$ref").and_then(Value::as_str);
                reference.is_some_and(|it| texts.iter().any(|text| text == it))
            };
            let of_all = entries.get("allOf").and_then(Value::as_sequence);
            let is_described =
                of_all.is_some_and(|of| matches!(&of[..], [one] if is_reference(one)));
            if is_described || is_reference(&Value::Mapping(entries.clone())) {
                entries.remove("allOf");
                entries.remove("$ref");
                entries.insert("type".into(), "string".into());
            }
            if entries.get("type").and_then(Value::as_str) == Some("string") {
                TEXT_LIMITS.iter().for_each(|limit| drop(entries.remove(*limit)));
            }
            entries.values_mut().for_each(|value| simplify(value, texts));
        }
        _ => {}
    }
}

fn schemas(document: &mut Value) -> Option<&mut Mapping> {
    document.get_mut("components")?.get_mut("schemas")?.as_mapping_mut()
}

fn is_text(node: &Value) -> bool {
    node.get("type").and_then(Value::as_str) == Some("string")
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn prepared(schemas: &str) -> Value {
        let text = format!("components:\n  schemas:\n{schemas}");
        let mut document = yaml_serde::from_str(&text).expect("YAML");
        prepare(&mut document, &["Secret"]);
        document["components"]["schemas"].clone()
    }

    #[test]
    fn inline_enums_become_named_ones_that_remember_their_place() {
        let schemas = prepared(
            "    Key:
      properties:
        mode: { type: string, description: The mode., enum: [A] }
        column_types: { type: array, items: { type: string, enum: [B] } }
        plain: { type: string }
",
        );
        let mode = &schemas["Key"]["properties"]["mode"];
        assert_eq!(mode["allOf"][0]["$ref"], "#/components/schemas/KeyMode");
        assert_eq!(mode["description"], "The mode.");
        assert_eq!(schemas["KeyMode"]["enum"][0], "A");
        assert_eq!(schemas["KeyMode"][PLACE], "components.schemas.Key.properties.mode");
        let items = "components.schemas.Key.properties.column_types.items";
        assert_eq!(schemas["KeyColumnTypes"][PLACE], items);
        assert_eq!(schemas["Key"]["properties"]["plain"]["type"], "string");
    }

    #[test]
    fn texts_with_limits_become_plain_texts_and_own_types_stay() {
        let schemas = prepared(
            "    Segment: { type: string, pattern: '[^.]' }
    Secret: { type: string, format: password }
    State: { type: string, enum: [ON] }
    Key:
      properties:
        name: { description: The name., allOf: [{ $ref: '#/components/schemas/Segment' }] }
        names: { type: array, items: { $ref: '#/components/schemas/Segment' } }
        note: { type: string, minLength: 1, maxLength: 9 }
        key: { allOf: [{ $ref: '#/components/schemas/Secret' }] }
        state: { $ref: '#/components/schemas/State' }
",
        );
        let yaml = |text: &str| yaml_serde::from_str::<Value>(text).expect("YAML");
        let fields = &schemas["Key"]["properties"];
        assert_eq!(fields["name"], yaml("{ description: The name., type: string }"));
        assert_eq!(fields["names"]["items"], yaml("{ type: string }"));
        assert_eq!(fields["note"], yaml("{ type: string }"));
        assert_eq!(fields["key"]["allOf"][0]["$ref"], "#/components/schemas/Secret");
        assert_eq!(fields["state"]["$ref"], "#/components/schemas/State");
        assert!(schemas.get("Segment").is_none() && schemas.get("Secret").is_some());
    }
}
