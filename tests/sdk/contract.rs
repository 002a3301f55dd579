//! What the contract says beyond the vendor's documentation page: of errors, of regions, and of the
//! models that the page names and does not define. With the page itself it is compared by `cargo
//! xtask conformance`.

use rockset_apikeys::Region;
use serde_json::Value;

use crate::support::{Contract, OPERATIONS};

fn is_marked(node: &Value) -> bool {
    ["clients", "later", "project"].iter().any(|source| node["x-source"] == *source)
}

#[test]
fn everything_but_a_success_carries_an_error_model() {
    let contract = Contract::load();
    for &id in &*OPERATIONS {
        let (.., operation) = contract.operation(id);
        for (status, response) in operation["responses"].as_object().unwrap() {
            let schema = &contract.resolve(response)["content"]["application/json"]["schema"];
            let is_error = schema["$ref"] == "#/components/schemas/ErrorModel";
            assert_eq!(is_error, status != "200", "{id}, {status}");
        }
    }
}

#[test]
fn the_servers_are_the_regions_with_the_default_of_the_page_first() {
    let contract = Contract::load();
    let servers = contract.0["servers"].as_array().unwrap();
    let urls: Vec<_> = servers.iter().map(|server| server["url"].as_str().unwrap()).collect();
    assert_eq!(urls, Region::ALL.map(Region::url));
    assert_eq!(urls[0], "https://api.rs2.usw2.rockset.com");
    let marked: Vec<_> = servers.iter().map(is_marked).collect();
    assert_eq!(marked, [false, true, true, true], "only the default is on the page");
}

#[test]
fn everything_is_described() {
    fn described(node: &Value) -> bool {
        node["description"].as_str().is_some_and(|text| !text.trim().is_empty())
    }
    let contract = Contract::load();
    for &id in &*OPERATIONS {
        assert!(described(contract.operation(id).2), "{id}");
        for parameter in contract.parameters(id) {
            assert!(described(parameter), "{parameter}");
        }
    }
    for (name, schema) in contract.0["components"]["schemas"].as_object().unwrap() {
        assert!(described(schema), "{name}");
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(described(schema), "{name}.{property}");
        }
    }
}

/// The models, which the page names and the vendor's clients define. `!` stands after what is
/// required, `+` before what was added later.
const MODELS: [(&str, &str); 4] = [
    ("CreateApiKeyRequest", "+created_by +expiry_time name! role"),
    ("UpdateApiKeyRequest", "+clear_expiry_time +expiry_time state"),
    (
        "ApiKey",
        "created_at created_by created_by_apikey_name +expiry_time key! last_access_time name! \
         role state",
    ),
    ("ErrorModel", "column error_id line message query_id trace_id type +virtual_instance_rrn"),
];

#[test]
fn the_models_have_the_fields_of_the_published_clients() {
    let contract = Contract::load();
    for (name, fields) in MODELS {
        let schema = &contract.0["components"]["schemas"][name];
        let mut found: Vec<_> = schema["properties"].as_object().unwrap().iter().collect();
        found.sort_by_key(|(property, _)| property.as_str());
        let found = found.into_iter().map(|(property, of)| {
            let later = if of["x-source"] == "later" { "+" } else { "" };
            let required = schema["required"].as_array().into_iter().flatten();
            let required = if required.into_iter().any(|it| it == property) { "!" } else { "" };
            format!("{later}{property}{required}")
        });
        assert_eq!(found.collect::<Vec<_>>().join(" "), fields, "{name}");
    }
}
