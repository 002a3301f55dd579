//! The JSON Schemas of the types, which programs derive with `schemars`.

use rockset_apikeys::ApiKey;
use schemars::schema_for;
use serde_json::json;

use crate::support::Contract;

#[test]
fn the_crates_own_types_are_named_in_derived_schemas_and_have_the_contracts_formats() {
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
