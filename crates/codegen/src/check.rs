//! Reads the contract and checks it, so that an error names its place in the contract.

use std::collections::HashSet;

use openapiv3::{Operation, Parameter, ReferenceOr, Response, Schema};
use yaml_serde::{Value, from_value};

use crate::prepare::METHODS;

const TYPES: [&str; 6] = ["string", "number", "integer", "boolean", "array", "object"];

/// Reads the contract and finds mistakes that would otherwise surface far from their cause: as a
/// panic of the generator, or as generated code that does not compile.
pub fn read(text: &str) -> Result<Value, String> {
    let document: Value = yaml_serde::from_str(text).map_err(|error| match error.location() {
        Some(place) => format!("line {}, column {}: {error}", place.line(), place.column()),
        None => error.to_string(),
    })?;
    let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
    if !version.starts_with("3.0.") {
        return Err(format!("openapi: the generator reads version 3.0, not {version:?}"));
    }
    check_node(&document, &document, &mut Vec::new())?;
    check_operations(&document)?;
    Ok(document)
}

/// Checks the nodes below this one and then the node: references resolve, required properties
/// exist, and nodes have the shape that OpenAPI defines.
fn check_node(node: &Value, document: &Value, place: &mut Vec<String>) -> Result<(), String> {
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
    let has_names = place.last().is_some_and(|last| last == "properties");
    for (key, child) in children {
        let is_data = matches!(key.as_str(), "default" | "enum" | "example" | "examples");
        if !has_names && (is_data || key.starts_with("x-")) {
            continue;
        }
        place.push(key);
        check_node(child, document, place)?;
        place.pop();
    }
    if let Some(reference) = node.get("$ref").and_then(Value::as_str)
        && resolve(reference, document).is_none()
    {
        return Err(format!("{}: `{reference}` does not exist", place.join(".")));
    }
    if let (Some(properties), Some(Value::Sequence(required))) =
        (node.get("properties"), node.get("required"))
        && let Some(missing) = required.iter().find(|name| properties.get(name).is_none())
    {
        let missing = missing.as_str().unwrap_or_default();
        return Err(format!("{}.required: there is no property `{missing}`", place.join(".")));
    }
    match misfit(node, place) {
        Some(cause) => Err(format!("{}: {cause}", place.join("."))),
        None => Ok(()),
    }
}

/// Returns why the node does not have the shape that OpenAPI defines for its place.
fn misfit(node: &Value, place: &[String]) -> Option<String> {
    let steps: Vec<&str> = place.iter().map(String::as_str).collect();
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
            // openapiv3 reads a schema of an unknown type as one without a type.
            let unknown = node.get("type").and_then(Value::as_str);
            if let Some(unknown) = unknown.filter(|name| !TYPES.contains(name)) {
                return Some(format!("there is no type `{unknown}`"));
            }
            let is_text = node.get("type").and_then(Value::as_str) == Some("string");
            if node.get("enum").is_some() && !is_text {
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

/// Checks that every operation has a unique id and the path parameters of its path.
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
            let place = format!("paths.{path}.{method}");
            let Some(id) = operation.get("operationId").and_then(Value::as_str) else {
                return Err(format!("{place}: there is no operationId"));
            };
            if !ids.insert(id) {
                return Err(format!("{place}.operationId: `{id}` is not unique"));
            }
            let mut found = [declared(item), declared(operation)].concat();
            found.sort_unstable();
            // An operation can override a parameter of its path.
            found.dedup();
            if found != wanted {
                return Err(format!(
                    "{place}.parameters: the path has {wanted:?}, the parameters declare {found:?}"
                ));
            }
        }
    }
    Ok(())
}
