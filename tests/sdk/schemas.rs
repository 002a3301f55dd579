//! JSON Schemas that the feature `schemars` derives.

use rockset_apikeys::types::{CreateApiKeyRequest, ErrorModel};
use rockset_apikeys::{ApiKey, KeyState};
use schemars::schema_for;
use serde_json::{Value, json};

use crate::support::Contract;

#[test]
fn derived_schemas_name_own_types_with_contract_formats() {
    let contract = Contract::load();
    let derived = schema_for!(ApiKey).to_value();
    for (field, name) in [("key", "ApiKeyValue"), ("created_at", "Timestamp")] {
        let field = derived["properties"][field].to_string();
        assert!(field.contains(&format!("\"#/$defs/{name}\"")), "{field}");
        let of_contract = &contract.0["components"]["schemas"][name];
        let expected = json!({ "type": of_contract["type"], "format": of_contract["format"] });
        assert_eq!(derived["$defs"][name], expected, "{name}");
    }
}

#[test]
fn derived_schemas_have_the_contracts_fields() {
    let contract = Contract::load();
    let derived: [(&str, Value); 3] = [
        ("ApiKey", schema_for!(ApiKey).to_value()),
        ("CreateApiKeyRequest", schema_for!(CreateApiKeyRequest).to_value()),
        ("ErrorModel", schema_for!(ErrorModel).to_value()),
    ];
    for (name, derived) in derived {
        let schema = &contract.0["components"]["schemas"][name];
        let fields = |schema: &Value| {
            let mut fields: Vec<_> =
                schema["properties"].as_object().unwrap().keys().cloned().collect();
            fields.sort();
            fields
        };
        assert_eq!(fields(&derived), fields(schema), "{name}");
        let required = |schema: &Value| {
            let required = schema["required"].as_array().into_iter().flatten();
            let mut required: Vec<_> = required.map(|it| it.as_str().unwrap()).collect();
            required.sort_unstable();
            required.join(" ")
        };
        assert_eq!(required(&derived), required(schema), "{name}");
    }
    let state = schema_for!(KeyState).to_value();
    assert!(jsonschema::is_valid(&state, &json!("ACTIVE")), "{state}");
    assert!(jsonschema::is_valid(&state, &json!("FROZEN")), "the enum is open: {state}");
    assert!(!jsonschema::is_valid(&state, &json!(5)), "{state}");
}
