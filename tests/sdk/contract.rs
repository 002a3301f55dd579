//! Checks of the contract that are not in `cargo xtask regen` (facade and regions) or in `cargo
//! xtask conformance` (the vendor's page and clients).

use rockset_apikeys::OperationKind;
use rockset_apikeys::generated::operations;
use serde_json::Value;

use crate::support::Contract;
use crate::support::contract::entries;

#[test]
fn contract_describes_all_nodes() {
    fn described(node: &Value) -> bool {
        node["description"].as_str().is_some_and(|description| !description.trim().is_empty())
    }
    let contract = Contract::load();
    for operation in contract.operations() {
        let id = operation.id;
        assert!(described(operation.node), "{id}");
        for parameter in contract.parameters(&operation) {
            assert!(described(parameter), "{parameter}");
        }
        for (status, response) in contract.responses(&operation) {
            assert!(described(response), "{id}, {status}");
            for (name, header) in entries(&response["headers"]) {
                assert!(described(contract.resolve(header)), "{id}, {status}, {name}");
            }
        }
    }
    for (name, schema) in contract.schemas() {
        assert!(described(schema), "{name}");
        for (property, schema) in entries(&schema["properties"]) {
            assert!(described(schema), "{name}.{property}");
        }
        let values: Vec<_> = schema["enum"].as_array().into_iter().flatten().collect();
        let descriptions = entries(&schema["x-enumDescriptions"]);
        let described: Vec<_> = descriptions
            .filter(|(_, description)| !description.as_str().unwrap().is_empty())
            .collect();
        assert!(values.iter().all(|value| described.iter().any(|(it, _)| it == value)), "{name}");
        assert_eq!(values.len(), described.len(), "{name} describes unknown values");
    }
}

#[test]
fn table_lists_the_contracts_operations() {
    let contract = Contract::load();
    let of_contract = contract.operations();
    assert_eq!(operations::ALL.len(), of_contract.len());
    for operation in operations::ALL {
        let id = operation.id();
        let expected = of_contract.iter().find(|it| it.id == id).unwrap();
        assert_eq!(operation.method().as_str(), expected.method, "{id}");
        assert_eq!(operation.path(), expected.path, "{id}");
        let kind = match (expected.node["x-operation-kind"].as_str(), expected.method.as_str()) {
            (Some("create"), "POST") => OperationKind::Create,
            (Some("update"), "POST") => OperationKind::Update,
            (None, "GET") => OperationKind::Read,
            (None, "DELETE") => OperationKind::Delete,
            other => panic!("{id}: {other:?}"),
        };
        assert_eq!(operation.kind(), kind, "{id}");
    }
}
