//! Helpers that several tests share: a client, calls, and the contract. Requests and responses are
//! checked against the contract, not against the generated code.

use std::sync::LazyLock;

use rockset_apikeys::generated::operations;
use rockset_apikeys::{Client, Error, ErrorKind, KeyState, RetryPolicy, StatusCode};
use serde_json::{Value, json};

#[path = "support/contract.rs"]
pub mod contract;
pub use contract::Contract;
use contract::Operation;

/// The IDs of the contract's operations.
pub static OPERATIONS: LazyLock<Vec<&str>> =
    LazyLock::new(|| operations::ALL.iter().map(|operation| operation.id()).collect());

/// Builds a client that never retries.
pub fn client_for(server: &str, key: &str) -> Client {
    let builder = Client::builder().api_server(server).api_key(key);
    builder.retry_policy(RetryPolicy::never()).build().expect("a client")
}

/// Calls an operation.
pub async fn call(client: &Client, id: &str) -> Result<(), Error> {
    match id {
        "create_api_key" => client.create_api_key("my-app").await.map(drop),
        "list_api_keys" => client.list_api_keys().await.map(drop),
        "get_api_key" => client.get_api_key("my-app").await.map(drop),
        "update_api_key" => client.update_api_key("my-app").state(KeyState::Active).await.map(drop),
        "delete_api_key" => client.delete_api_key("my-app").await.map(drop),
        _ => panic!("unknown operation {id}"),
    }
}

/// Returns the response body of a successful call.
pub fn success(id: &str) -> Value {
    let key = json!({ "name": "my-app", "key": "abcdef" });
    json!({ "data": if id == "list_api_keys" { json!([key]) } else { key } })
}

pub const UNAUTHORIZED: ErrorKind = ErrorKind::Response(StatusCode::UNAUTHORIZED);
pub const FORBIDDEN: ErrorKind = ErrorKind::Response(StatusCode::FORBIDDEN);

/// Returns the status of the last response.
pub fn status_of(error: &Error) -> Option<u16> {
    Some(error.report()?.status()?.as_u16())
}

/// Returns the server's message.
pub fn message(error: &Error) -> Option<&str> {
    error.details()?.message.as_deref()
}

impl Contract {
    /// Returns the operation with this ID.
    pub fn operation(&self, id: &str) -> Operation<'_> {
        let mut found = self.operations().into_iter().filter(|operation| operation.id == id);
        found.next().unwrap_or_else(|| panic!("the contract lacks the operation {id}"))
    }

    /// Returns the documented statuses of the operation with this ID.
    pub fn statuses(&self, id: &str) -> Vec<u16> {
        let operation = self.operation(id);
        self.responses(&operation).into_iter().map(|(status, _)| status).collect()
    }

    /// Fails if the body does not match the operation's documented response.
    pub fn assert_response(&self, id: &str, status: u16, body: &Value) {
        let operation = self.operation(id);
        let mut responses = self.responses(&operation).into_iter();
        let response = responses.find(|(documented, _)| *documented == status);
        let (_, response) =
            response.unwrap_or_else(|| panic!("{id} does not document the status {status}"));
        let schema = &response["content"]["application/json"]["schema"];
        self.assert_valid(&format!("{id}'s response {status}"), schema, body);
    }

    /// Fails if the operation does not accept the body.
    pub fn assert_request_body(&self, id: &str, body: &[u8]) {
        let operation = self.operation(id);
        let schema = &operation.node["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            assert_eq!(body, b"", "{id} accepts no body");
            return;
        }
        let body = serde_json::from_slice(body).expect("a body of JSON");
        self.assert_valid(&format!("{id}'s request"), schema, &body);
    }

    pub fn assert_valid(&self, name: &str, schema: &Value, value: &Value) {
        let mismatches = self.mismatches(schema, value).expect("a valid schema");
        assert!(mismatches.is_empty(), "{name} does not match the contract: {mismatches:?}");
    }
}
