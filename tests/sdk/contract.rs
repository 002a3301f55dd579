//! The contract says what the vendor's documentation page says: its operations, parameters, models
//! and statuses, nothing missing and nothing extra without a mark.

use rockset_apikeys::Region;
use serde_json::{Value, json};

use crate::support::Contract;

/// What the page says of an operation. A parameter is its place, name, type and whether it is
/// required.
struct Documented {
    id: &'static str,
    method: &'static str,
    path: &'static str,
    parameters: &'static [(&'static str, &'static str, &'static str, bool)],
    answer: &'static str,
}

const USER: (&str, &str, &str, bool) = ("path", "user", "string", true);
const NAME: (&str, &str, &str, bool) = ("path", "name", "string", true);

const PAGE: [Documented; 5] = [
    Documented {
        id: "create_api_key",
        method: "post",
        path: "/v1/orgs/self/users/self/apikeys",
        parameters: &[("body", "name", "string", true), ("body", "role", "string", false)],
        answer: "CreateApiKeyResponse",
    },
    Documented {
        id: "delete_api_key",
        method: "delete",
        path: "/v1/orgs/self/users/{user}/apikeys/{name}",
        parameters: &[NAME, USER],
        answer: "DeleteApiKeyResponse",
    },
    Documented {
        id: "get_api_key",
        method: "get",
        path: "/v1/orgs/self/users/{user}/apikeys/{name}",
        parameters: &[NAME, USER, ("query", "reveal", "boolean", false)],
        answer: "GetApiKeyResponse",
    },
    Documented {
        id: "list_api_keys",
        method: "get",
        path: "/v1/orgs/self/users/{user}/apikeys",
        parameters: &[USER],
        answer: "ListApiKeysResponse",
    },
    Documented {
        id: "update_api_key",
        method: "post",
        path: "/v1/orgs/self/users/{user}/apikeys/{name}",
        parameters: &[("body", "state", "string", false), NAME, USER],
        answer: "UpdateApiKeyResponse",
    },
];

/// The page's fourteen statuses, the same for every operation.
const PAGE_STATUSES: [u16; 14] =
    [200, 400, 401, 403, 404, 405, 406, 408, 415, 429, 500, 501, 502, 503];

fn is_marked(node: &Value) -> bool {
    ["clients", "later", "project"].iter().any(|source| node["x-source"] == *source)
}

#[test]
fn the_operations_are_those_of_the_page() {
    let contract = Contract::load();
    for documented in &PAGE {
        let (method, path, _) = contract.operation(documented.id);
        assert_eq!((method, path), (documented.method, documented.path), "{}", documented.id);
    }
    let paths = contract.0["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|item| item.as_object().unwrap().values());
    let count = operations.filter(|operation| operation["operationId"].is_string()).count();
    assert_eq!(count, PAGE.len(), "operations in the contract");
}

#[test]
fn the_parameters_are_those_of_the_page_and_others_are_marked() {
    let contract = Contract::load();
    for documented in &PAGE {
        let mut found = Vec::new();
        for parameter in contract.parameters(documented.id) {
            assert!(!is_marked(parameter), "a parameter of the page is marked: {parameter}");
            let schema = contract.resolve(&parameter["schema"]);
            let text = |node: &Value| node.as_str().unwrap().to_owned();
            let required = parameter["required"].as_bool().unwrap();
            found.push((
                text(&parameter["in"]),
                text(&parameter["name"]),
                text(&schema["type"]),
                required,
            ));
        }
        let (.., operation) = contract.operation(documented.id);
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        let body = contract.resolve(body);
        for (name, property) in body["properties"].as_object().into_iter().flatten() {
            if is_marked(property) {
                continue;
            }
            let of = property.pointer("/allOf/0").map_or(property, |of| contract.resolve(of));
            let required = body["required"].as_array().is_some_and(|it| it.contains(&json!(name)));
            let of = of["type"].as_str().unwrap().to_owned();
            found.push(("body".to_owned(), name.clone(), of, required));
        }
        found.sort();
        let documented_parameters: Vec<_> = documented
            .parameters
            .iter()
            .map(|&(place, name, of, required)| {
                (place.to_owned(), name.to_owned(), of.to_owned(), required)
            })
            .collect();
        assert_eq!(found, documented_parameters, "{}", documented.id);
    }
}

#[test]
fn every_operation_documents_the_statuses_of_the_page_and_a_marked_conflict() {
    let contract = Contract::load();
    for documented in &PAGE {
        let (.., operation) = contract.operation(documented.id);
        let mut found = contract.statuses(documented.id);
        found.sort_unstable();
        let unmarked = |status: &u16| {
            !is_marked(contract.resolve(&operation["responses"][status.to_string()]))
        };
        let of_the_page: Vec<u16> = found.iter().copied().filter(unmarked).collect();
        assert_eq!(of_the_page, PAGE_STATUSES, "{}", documented.id);
        assert_eq!(found.len(), 15, "{}", documented.id);
        assert!(found.contains(&409), "{}", documented.id);
    }
}

#[test]
fn a_success_carries_the_response_model_and_everything_else_an_error_model() {
    let contract = Contract::load();
    for documented in &PAGE {
        let (.., operation) = contract.operation(documented.id);
        for (status, response) in operation["responses"].as_object().unwrap() {
            let schema = &contract.resolve(response)["content"]["application/json"]["schema"];
            let model = if status == "200" { documented.answer } else { "ErrorModel" };
            assert_eq!(schema["$ref"], format!("#/components/schemas/{model}"), "{status}");
        }
    }
}

#[test]
fn the_security_scheme_applies_to_every_operation() {
    let contract = Contract::load();
    assert_eq!(contract.0["security"], json!([{ "apikeys": [] }]));
    let scheme = &contract.0["components"]["securitySchemes"]["apikeys"];
    assert_eq!(
        (&scheme["type"], &scheme["in"], &scheme["name"]),
        (&json!("apiKey"), &json!("header"), &json!("Authorization"))
    );
    for documented in &PAGE {
        let (.., operation) = contract.operation(documented.id);
        assert!(operation["security"].is_null(), "{} has a rule of its own", documented.id);
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
    for documented in &PAGE {
        assert!(described(contract.operation(documented.id).2), "{}", documented.id);
        for parameter in contract.parameters(documented.id) {
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
