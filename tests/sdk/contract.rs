//! What the contract says beyond the vendor's documentation page: of errors, of regions, of its own
//! extensions. `cargo xtask conformance` compares it with the page and with the vendor's clients.

use rockset_apikeys::Region;
use serde_json::Value;

use crate::support::{Contract, OPERATIONS};

#[test]
fn every_error_response_carries_an_error_model() {
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
fn the_servers_are_the_regions_and_the_default_is_first() {
    let contract = Contract::load();
    let servers = contract.0["servers"].as_array().unwrap();
    let urls: Vec<_> = servers.iter().map(|server| server["url"].as_str().unwrap()).collect();
    assert_eq!(urls, Region::ALL.map(Region::url));
    assert_eq!(urls[0], "https://api.rs2.usw2.rockset.com");
}

#[test]
fn everything_is_described() {
    fn described(node: &Value) -> bool {
        node["description"].as_str().is_some_and(|text| !text.trim().is_empty())
    }
    let contract = Contract::load();
    for &id in &*OPERATIONS {
        let (.., operation) = contract.operation(id);
        assert!(described(operation), "{id}");
        for parameter in contract.parameters(id) {
            assert!(described(parameter), "{parameter}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let response = contract.resolve(response);
            assert!(described(response), "{id}, {status}");
            for (name, header) in response["headers"].as_object().into_iter().flatten() {
                assert!(described(contract.resolve(header)), "{id}, {status}, {name}");
            }
        }
    }
    for (name, schema) in contract.0["components"]["schemas"].as_object().unwrap() {
        assert!(described(schema), "{name}");
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(described(schema), "{name}.{property}");
        }
        let values: Vec<_> = schema["enum"].as_array().into_iter().flatten().collect();
        let texts = schema["x-enumDescriptions"].as_object().into_iter().flatten();
        let described: Vec<_> =
            texts.filter(|(_, text)| !text.as_str().unwrap().is_empty()).collect();
        assert!(values.iter().all(|value| described.iter().any(|(it, _)| it == value)), "{name}");
        assert_eq!(values.len(), described.len(), "{name} describes values that it does not have");
    }
}

#[test]
fn every_post_says_what_it_does_to_state() {
    let contract = Contract::load();
    let posts = OPERATIONS.iter().filter(|id| contract.operation(id).0 == "post");
    let kinds = posts.map(|id| (*id, contract.operation(id).2["x-operation-kind"].as_str()));
    let expected = [("create_api_key", Some("create")), ("update_api_key", Some("update"))];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
}
