//! Parses and checks the contract, so that errors name a location in the contract.

use std::collections::HashSet;

use openapiv3::{Operation, Parameter, ReferenceOr, Response, Schema};
use yaml_serde::{Value, from_value};

use crate::prepare::METHODS;

const TYPES: [&str; 6] = ["string", "number", "integer", "boolean", "array", "object"];

/// Parses and checks the contract.
///
/// Mistakes would otherwise surface far from their cause: as a generator panic, or as generated
/// code that does not compile.
pub fn read(text: &str) -> Result<Value, String> {
    let document: Value = yaml_serde::from_str(text).map_err(|error| match error.location() {
        Some(location) => {
            format!("line {}, column {}: {error}", location.line(), location.column())
        }
        None => error.to_string(),
    })?;
    let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
    if !version.starts_with("3.0.") {
        return Err(format!("openapi: the generator supports version 3.0, not {version:?}"));
    }
    check_node(&document, &document, &mut Vec::new())?;
    check_operations(&document)?;
    Ok(document)
}

/// Checks a node and its children: references resolve, required properties exist, and nodes match
/// OpenAPI's schema.
fn check_node(node: &Value, document: &Value, location: &mut Vec<String>) -> Result<(), String> {
    let children: Vec<(String, &Value)> = match node {
        Value::Mapping(entries) => {
            let name = |key: &Value| key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned);
            entries.iter().map(|(key, value)| (name(key), value)).collect()
        }
        Value::Sequence(items) => {
            items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        _ => Vec::new(),
    };
    let has_names = location.last().is_some_and(|last| last == "properties");
    for (key, child) in children {
        let is_data = matches!(key.as_str(), "default" | "enum" | "example" | "examples");
        if !has_names && (is_data || key.starts_with("x-")) {
            continue;
        }
        location.push(key);
        check_node(child, document, location)?;
        location.pop();
    }
    if let Some(reference) = node.get("$ref").and_then(Value::as_str)
        && resolve(reference, document).is_none()
    {
        return Err(format!("{}: `{reference}` does not exist", location.join(".")));
    }
    if let (Some(properties), Some(Value::Sequence(required))) =
        (node.get("properties"), node.get("required"))
        && let Some(missing) = required.iter().find(|name| properties.get(name).is_none())
    {
        let missing = missing.as_str().unwrap_or_default();
        return Err(format!(
            "{}.required: property `{missing}` does not exist",
            location.join(".")
        ));
    }
    match shape_error(node, location) {
        Some(cause) => Err(format!("{}: {cause}", location.join("."))),
        None => Ok(()),
    }
}

/// Returns how the node differs from the shape that OpenAPI defines for its location.
fn shape_error(node: &Value, location: &[String]) -> Option<String> {
    let steps: Vec<&str> = location.iter().map(String::as_str).collect();
    let node = node.clone();
    let error = match steps.as_slice() {
        ["components", "responses", _] | ["paths", _, _, "responses", _] => {
            from_value::<ReferenceOr<Response>>(node).err()
        }
        ["components", "parameters", _]
        | ["paths", _, "parameters", _]
        | ["paths", _, _, "parameters", _] => from_value::<ReferenceOr<Parameter>>(node).err(),
        ["paths", _, method] if METHODS.contains(method) => from_value::<Operation>(node).err(),
        [.., "schemas" | "properties", _] | [.., "schema" | "items"] => {
            // openapiv3 ignores unknown types.
            let unknown = node.get("type").and_then(Value::as_str);
            if let Some(unknown) = unknown.filter(|name| !TYPES.contains(name)) {
                return Some(format!("type `{unknown}` does not exist"));
            }
            let is_string = node.get("type").and_then(Value::as_str) == Some("string");
            if node.get("enum").is_some() && !is_string {
                return Some("the client supports `enum` only with `type: string`".to_owned());
            }
            from_value::<ReferenceOr<Schema>>(node).err()
        }
        _ => None,
    };
    error.map(|error| error.to_string())
}

fn resolve<'a>(reference: &str, document: &'a Value) -> Option<&'a Value> {
    let mut steps = reference.strip_prefix("#/")?.split('/');
    steps.try_fold(document, |node, step| node.get(step))
}

/// Checks that every operation has a unique ID and declares the parameters of its path.
fn check_operations(document: &Value) -> Result<(), String> {
    let declared = |node: &Value| -> Vec<String> {
        let parameters = node.get("parameters").and_then(Value::as_sequence);
        let resolved = parameters.into_iter().flatten().filter_map(|parameter| {
            let reference = parameter.get("$ref").and_then(Value::as_str);
            reference.map_or(Some(parameter), |reference| resolve(reference, document))
        });
        let in_path = resolved.filter(|it| it.get("in").and_then(Value::as_str) == Some("path"));
        in_path.filter_map(|it| it.get("name")?.as_str().map(str::to_owned)).collect()
    };
    let mut ids = HashSet::new();
    let paths = document.get("paths").and_then(Value::as_mapping).into_iter().flatten();
    for (path, item) in paths {
        let path = path.as_str().unwrap_or_default();
        let mut wanted: Vec<_> =
            path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        wanted.sort_unstable();
        for (method, operation) in item.as_mapping().into_iter().flatten() {
            let Some(method) = method.as_str().filter(|method| METHODS.contains(method)) else {
                continue;
            };
            let location = format!("paths.{path}.{method}");
            let Some(id) = operation.get("operationId").and_then(Value::as_str) else {
                return Err(format!("{location}: `operationId` is missing"));
            };
            if !ids.insert(id) {
                return Err(format!("{location}.operationId: `{id}` is not unique"));
            }
            let mut found = [declared(item), declared(operation)].concat();
            found.sort_unstable();
            // An operation can override a parameter of its path item.
            found.dedup();
            if found != wanted {
                return Err(format!(
                    "{location}.parameters: declare {found:?} instead of the path's {wanted:?}"
                ));
            }
        }
    }
    Ok(())
}
