//! Reduces the contract to the parts that affect the client's code, so that the generated code is
//! small and borrows strings. The table, the checks and the mocks use the complete contract.

use yaml_serde::{Mapping, Value};

use crate::prepare::{METHODS, is_string};

/// The format that marks plain string parameters, which requests borrow.
pub const BORROWED: &str = "borrowed";

/// Reduces operations to one error response each, and borrows string parameters.
///
/// One error response is enough: all have the contract's error model, and the client decodes them
/// before the generated code does.
pub fn reduced(document: &Value) -> Value {
    let mut reduced = document.clone();
    let shared = reduced.get_mut("components").and_then(|it| it.get_mut("parameters"));
    values(shared).for_each(borrow);
    for item in values(reduced.get_mut("paths")) {
        borrow_all(item);
        for method in METHODS {
            let Some(operation) = item.get_mut(method) else { continue };
            borrow_all(operation);
            if let Some(Value::Mapping(responses)) = operation.get_mut("responses") {
                merge_errors(responses);
            }
        }
    }
    reduced
}

fn borrow_all(node: &mut Value) {
    let parameters = node.get_mut("parameters").and_then(Value::as_sequence_mut);
    parameters.into_iter().flatten().for_each(borrow);
}

fn borrow(parameter: &mut Value) {
    if let Some(schema) = parameter.get_mut("schema")
        && is_string(schema)
        && schema.get("enum").is_none()
        && schema.get("format").is_none()
        && let Some(schema) = schema.as_mapping_mut()
    {
        schema.insert("format".into(), BORROWED.into());
    }
}

/// Replaces all error responses by the first one, for any error status.
fn merge_errors(responses: &mut Mapping) {
    let is_success = |status: &Value| status.as_str().is_some_and(|it| it.starts_with('2'));
    let error = responses.iter().find(|(status, _)| !is_success(status));
    let error = error.map(|(_, response)| response.clone());
    responses.retain(|status, _| is_success(status));
    responses.extend(error.map(|response| ("4XX".into(), response)));
}

fn values(node: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    node.and_then(Value::as_mapping_mut).into_iter().flatten().map(|(_, value)| value)
}
