//! Simplifies the contract for the generator, so that it creates the types that a client needs:
//! plain strings where the contract only limits a string, and named enums everywhere.

use yaml_serde::{Mapping, Value};

use crate::names::pascal_case;

/// The keywords that limit a string. The server checks them; a Rust type for each limit would only
/// make values harder to pass.
const STRING_LIMITS: [&str; 3] = ["pattern", "minLength", "maxLength"];

/// The keys of operations in a path item.
pub const METHODS: [&str; 8] =
    ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The original location of a schema that was moved, for error messages.
pub const LOCATION: &str = "x-location";

/// Simplifies the document, except for the schemas in `own_types`.
pub fn prepare(document: &mut Value, own_types: &[&str]) -> Result<(), String> {
    name_inline_enums(document)?;
    inline_strings(document, own_types);
    Ok(())
}

/// Moves inline enums to named schemas, for which `open_enum` generates the code.
fn name_inline_enums(document: &mut Value) -> Result<(), String> {
    let mut enums = Enums::default();
    for (section, suffix) in [("schemas", ""), ("parameters", "Parameter"), ("responses", "Body")] {
        let components = document.get_mut("components").and_then(|it| it.get_mut(section));
        for (name, node) in entries(components) {
            enums.in_node(
                node,
                &format!("{name}{suffix}"),
                &format!("components.{section}.{name}"),
            );
        }
    }
    for (path, item) in entries(document.get_mut("paths")) {
        let location = format!("paths.{path}");
        if let Some(parameters) = item.get_mut("parameters") {
            enums.in_node(parameters, "Path", &format!("{location}.parameters"));
        }
        for (method, operation) in entries(Some(item)) {
            let id = operation.get("operationId").and_then(Value::as_str);
            if let Some(id) = id.map(pascal_case) {
                enums.in_node(operation, &id, &format!("{location}.{method}"));
            }
        }
    }
    let Some(schemas) = schemas(document) else { return Ok(()) };
    for (name, location, node) in enums.0 {
        if schemas.contains_key(name.as_str()) {
            return Err(format!(
                "{location}: the enum and another schema both become the type `{name}`; move the \
                 enum to a named schema"
            ));
        }
        schemas.insert(name.into(), node);
    }
    Ok(())
}

/// Inline enums: the name, location and schema of each.
#[derive(Default)]
struct Enums(Vec<(String, String, Value)>);

impl Enums {
    /// Moves the enums out of a node. Names of properties and parameters become part of the enum's
    /// name.
    fn in_node(&mut self, node: &mut Value, name: &str, location: &str) {
        if let Value::Sequence(items) = node {
            for (index, item) in items.iter_mut().enumerate() {
                let own = item.get("name").and_then(Value::as_str).map(pascal_case);
                let name = format!("{name}{}", own.unwrap_or_default());
                self.below(item, &name, &format!("{location}.{index}"));
            }
            return;
        }
        for (key, child) in entries(Some(node)) {
            let location = format!("{location}.{key}");
            match key.as_str() {
                "properties" => {
                    for (property, child) in entries(Some(child)) {
                        let name = format!("{name}{}", pascal_case(&property));
                        self.below(child, &name, &format!("{location}.{property}"));
                    }
                }
                "additionalProperties" => self.below(child, &format!("{name}Value"), &location),
                "default" | "enum" | "example" | "examples" => {}
                key if key.starts_with("x-") => {}
                _ => self.below(child, name, &location),
            }
        }
    }

    fn below(&mut self, node: &mut Value, name: &str, location: &str) {
        if !is_string(node) || node.get("enum").is_none() {
            return self.in_node(node, name, location);
        }
        let reference = format!("#/components/schemas/{name}");
        let reference = Mapping::from_iter([("$ref".into(), reference.into())]);
        let mut described =
            Mapping::from_iter([("allOf".into(), vec![Value::from(reference)].into())]);
        if let Some(description) = node.get("description") {
            described.insert("description".into(), description.clone());
        }
        let mut schema = std::mem::replace(node, described.into());
        if let Some(schema) = schema.as_mapping_mut() {
            schema.insert(LOCATION.into(), location.into());
        }
        self.0.push((name.to_owned(), location.to_owned(), schema));
    }
}

fn entries(node: Option<&mut Value>) -> impl Iterator<Item = (String, &mut Value)> {
    let entries = node.and_then(Value::as_mapping_mut).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value)))
}

/// Replaces references to string schemas, with or without limits, by plain strings.
fn inline_strings(document: &mut Value, own_types: &[&str]) {
    let Some(schemas) = schemas(document) else { return };
    let is_plain = |name: &str, node: &Value| {
        is_string(node) && node.get("enum").is_none() && !own_types.contains(&name)
    };
    let strings: Vec<String> = schemas
        .iter()
        .filter_map(|(name, node)| Some((name.as_str()?, node)))
        .filter(|(name, node)| is_plain(name, node))
        .map(|(name, _)| name.to_owned())
        .collect();
    schemas.retain(|name, _| !strings.iter().any(|string| *name == string.as_str()));
    let references: Vec<_> =
        strings.iter().map(|name| format!("#/components/schemas/{name}")).collect();
    simplify(document, &references);
}

fn simplify(node: &mut Value, references: &[String]) {
    match node {
        Value::Sequence(items) => items.iter_mut().for_each(|item| simplify(item, references)),
        Value::Mapping(entries) => {
            let is_reference = |node: &Value| {
                let reference = node.get("$ref").and_then(Value::as_str);
                reference.is_some_and(|it| references.iter().any(|reference| reference == it))
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
                STRING_LIMITS.iter().for_each(|limit| drop(entries.remove(*limit)));
            }
            entries.values_mut().for_each(|value| simplify(value, references));
        }
        _ => {}
    }
}

fn schemas(document: &mut Value) -> Option<&mut Mapping> {
    document.get_mut("components")?.get_mut("schemas")?.as_mapping_mut()
}

pub fn is_string(node: &Value) -> bool {
    node.get("type").and_then(Value::as_str) == Some("string")
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn prepared(schemas: &str) -> Value {
        let contract = format!("components:\n  schemas:\n{schemas}");
        let mut document = yaml_serde::from_str(&contract).expect("YAML");
        prepare(&mut document, &["Secret"]).expect("unique enum names");
        document["components"]["schemas"].clone()
    }

    #[test]
    fn inline_enums_become_named_schemas_with_their_location() {
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
        assert_eq!(schemas["KeyMode"][LOCATION], "components.schemas.Key.properties.mode");
        let items = "components.schemas.Key.properties.column_types.items";
        assert_eq!(schemas["KeyColumnTypes"][LOCATION], items);
        assert_eq!(schemas["Key"]["properties"]["plain"]["type"], "string");
    }

    #[test]
    fn nested_enums_and_parameter_enums_become_named_schemas() {
        let contract = "
paths:
  /keys:
    get:
      operationId: list_keys
      parameters: [{ name: sort, in: query, schema: { type: string, enum: [ASC] } }]
      responses:
        '200':
          content:
            application/json:
              schema: { type: object, properties: { mode: { type: string, enum: [A] } } }
components:
  parameters:
    Order: { name: order, in: query, schema: { type: string, enum: [UP] } }
  schemas:
    Key:
      properties:
        quota: { type: object, properties: { kind: { type: string, enum: [B] } } }
        labels: { type: object, additionalProperties: { type: string, enum: [C] } }
";
        let mut document: Value = yaml_serde::from_str(contract).expect("YAML");
        prepare(&mut document, &[]).expect("unique enum names");
        let schemas = &document["components"]["schemas"];
        let names = schemas.as_mapping().expect("schemas").keys().filter_map(Value::as_str);
        let names: Vec<_> = names.collect();
        for name in
            ["KeyQuotaKind", "KeyLabelsValue", "OrderParameter", "ListKeysSort", "ListKeysMode"]
        {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
    }

    #[test]
    fn enums_of_the_same_name_are_an_error_with_a_location() {
        let contract = "
components:
  schemas:
    Key: { properties: { mode_kind: { type: string, enum: [A] } } }
    KeyMode: { properties: { kind: { type: string, enum: [B] } } }
";
        let mut document: Value = yaml_serde::from_str(contract).expect("YAML");
        let error = prepare(&mut document, &[]).expect_err("two enums of the same name");
        assert!(error.contains("KeyMode.properties.kind: the enum and another"), "{error}");
    }

    #[test]
    fn limited_strings_become_plain_strings() {
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
        let yaml = |source: &str| yaml_serde::from_str::<Value>(source).expect("YAML");
        let fields = &schemas["Key"]["properties"];
        assert_eq!(fields["name"], yaml("{ description: The name., type: string }"));
        assert_eq!(fields["names"]["items"], yaml("{ type: string }"));
        assert_eq!(fields["note"], yaml("{ type: string }"));
        assert_eq!(fields["key"]["allOf"][0]["$ref"], "#/components/schemas/Secret");
        assert_eq!(fields["state"]["$ref"], "#/components/schemas/State");
        assert!(schemas.get("Segment").is_none() && schemas.get("Secret").is_some());
    }
}
