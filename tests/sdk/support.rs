//! What several tests share: a client, and the contract. Requests and responses are checked against
//! the contract, not against the code that is generated from it.

use std::sync::LazyLock;

use jsonschema::Validator;
use rockset_apikeys::generated::operations;
use rockset_apikeys::{Client, Error, KeyState, RetryPolicy};
use serde_json::{Value, json};

/// The ids of the contract's operations.
pub static OPERATIONS: LazyLock<Vec<&str>> =
    LazyLock::new(|| operations::ALL.iter().map(|operation| operation.id()).collect());

/// Builds a client that retries nothing.
pub fn client_of(server: &str, key: &str) -> Client {
    let builder = Client::builder().api_server(server).api_key(key);
    builder.retry_policy(RetryPolicy::none()).build().expect("a client")
}

/// Calls an operation.
pub async fn call(client: &Client, id: &str) -> Result<(), Error> {
    match id {
        "create_api_key" => client.create_api_key("my-app").await.map(drop),
        "list_api_keys" => client.list_api_keys().await.map(drop),
        "get_api_key" => client.get_api_key("my-app").await.map(drop),
        "update_api_key" => client.update_api_key("my-app").state(KeyState::Active).await.map(drop),
        "delete_api_key" => client.delete_api_key("my-app").await.map(drop),
        _ => panic!("there is no operation {id}"),
    }
}

/// Returns the body of a success of an operation.
pub fn success(id: &str) -> Value {
    let key = json!({ "name": "my-app", "key": "abcdef" });
    json!({ "data": if id == "list_api_keys" { json!([key]) } else { key } })
}

/// Returns the server's message.
pub fn message(error: &Error) -> Option<&str> {
    error.details()?.message.as_deref()
}

pub struct Contract(pub Value);

impl Contract {
    pub fn load() -> Self {
        let text = include_str!("../../openapi/apikeys.yaml");
        Self(yaml_serde::from_str(text).expect("the contract is YAML"))
    }

    /// Returns the node, or the one that it refers to.
    pub fn resolve<'a>(&'a self, node: &'a Value) -> &'a Value {
        match node["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').expect("a reference within the contract");
                self.resolve(self.0.pointer(pointer).expect("a reference that leads somewhere"))
            }
            None => node,
        }
    }

    /// Returns the method, the path's template and the node of an operation.
    pub fn operation(&self, id: &str) -> (&str, &str, &Value) {
        let paths = self.0["paths"].as_object().expect("paths");
        let operations = paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().expect("a path item").iter();
            methods.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
        });
        let mut found = operations.filter(|(.., operation)| operation["operationId"] == id);
        found.next().unwrap_or_else(|| panic!("the contract has no operation {id}"))
    }

    /// Returns the parameters of an operation, those of its path included.
    pub fn parameters(&self, id: &str) -> Vec<&Value> {
        let (_, path, operation) = self.operation(id);
        let lists = [&self.0["paths"][path]["parameters"], &operation["parameters"]];
        let parameters = lists.into_iter().filter_map(Value::as_array).flatten();
        parameters.map(|parameter| self.resolve(parameter)).collect()
    }

    /// Returns the statuses that an operation documents.
    pub fn statuses(&self, id: &str) -> Vec<u16> {
        let (.., operation) = self.operation(id);
        let statuses = operation["responses"].as_object().expect("responses").keys();
        statuses.map(|status| status.parse().expect("a status")).collect()
    }

    /// Fails if the operation does not document the body for this status.
    pub fn assert_response(&self, id: &str, status: u16, body: &Value) {
        let (.., operation) = self.operation(id);
        let response = &operation["responses"][status.to_string()];
        assert!(response.is_object(), "{id} does not document the status {status}");
        let schema = &self.resolve(response)["content"]["application/json"]["schema"];
        self.assert_valid(&format!("{id}'s response {status}"), schema, body);
    }

    /// Fails if the operation does not accept the body.
    pub fn assert_request_body(&self, id: &str, body: &[u8]) {
        let (.., operation) = self.operation(id);
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            assert_eq!(body, b"", "{id} takes no body");
            return;
        }
        let body = serde_json::from_slice(body).expect("a body of JSON");
        self.assert_valid(&format!("{id}'s request"), schema, &body);
    }

    pub fn assert_valid(&self, what: &str, schema: &Value, value: &Value) {
        let errors: Vec<_> =
            self.validator(schema).iter_errors(value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{what} does not match the contract: {errors:?}");
    }

    /// Returns a validator of one of the contract's schemas. All that they use is JSON Schema
    /// draft 4.
    pub fn validator(&self, schema: &Value) -> Validator {
        let document = json!({ "allOf": [schema], "components": self.0["components"] });
        let options = jsonschema::draft4::options().should_validate_formats(true);
        options.build(&document).expect("a valid schema")
    }
}
