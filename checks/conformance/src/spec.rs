//! The contract for all parts, and the check of a recorded response.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use axum::http::HeaderMap;
use serde_json::{Value, json};

use crate::recorder::{Exchange, header};

// The tests of the client and of the server read it in the same way.
#[allow(dead_code)]
#[path = "../../../tests/sdk/support/contract.rs"]
mod contract;
pub use contract::{Contract, entries};

/// The contract's file, for tools that read it themselves.
pub const FILE: &str = "openapi/apikeys.yaml";

/// Headers of HTTP itself, which a contract does not document.
const OF_HTTP: [&str; 4] = ["content-length", "content-type", "date", "transfer-encoding"];

impl Contract {
    /// Returns the names of all headers that a response documents.
    pub fn response_headers(&self) -> BTreeSet<String> {
        let operations = self.operations();
        let responses = operations.iter().flat_map(|operation| self.responses(operation));
        let headers = responses
            .flat_map(|(_, response)| entries(&response["headers"]).map(|(name, _)| name.clone()));
        headers.collect()
    }

    /// Fails if the contract does not document the response to the request.
    ///
    /// If it has no operation for the request, the response has to be 404 or 405 with an error
    /// model.
    pub fn check_response(&self, exchange: &Exchange) -> Result<()> {
        let Exchange { method, path, status, headers, .. } = exchange;
        let operations = self.operations_at(path);
        let response = match operations.iter().find(|operation| operation.method == *method) {
            Some(operation) => {
                let response = self.resolve(&operation.node["responses"][status.to_string()]);
                ensure!(response.is_object(), "{} does not document {status}", operation.id);
                response
            }
            None => {
                let (due, response) =
                    if operations.is_empty() { (404, "NotFound") } else { (405, "NotAllowed") };
                ensure!(*status == due, "the contract has no operation for it; {due} is due");
                &self.0["components"]["responses"][response]
            }
        };
        let kind = header(headers, "content-type").unwrap_or_default();
        ensure!(kind == "application/json", "its media type is {kind:?}");
        self.check_headers(headers, response)?;
        let body: Value =
            serde_json::from_slice(&exchange.response).context("its body is not JSON")?;
        let schema = &response["content"]["application/json"]["schema"];
        let errors = self.mismatches(schema, &body)?;
        ensure!(errors.is_empty(), "its body does not match the schema: {}", errors.join("; "));
        let trace_id = header(headers, "x-trace-id");
        ensure!(trace_id.is_some(), "it has no x-trace-id");
        ensure!(
            *status == 200 || body["trace_id"].as_str() == trace_id,
            "its trace_id is not the one of its header"
        );
        Ok(())
    }

    /// Fails if a header is not documented, or its value does not match its schema.
    fn check_headers(&self, headers: &HeaderMap, response: &Value) -> Result<()> {
        for name in headers.keys().filter(|name| !OF_HTTP.contains(&name.as_str())) {
            let mut documented = entries(&response["headers"]);
            let documented =
                documented.find(|(other, _)| other.eq_ignore_ascii_case(name.as_str()));
            let (_, documented) =
                documented.with_context(|| format!("its header {name} is not documented"))?;
            let schema = &self.resolve(documented)["schema"];
            let text = header(headers, name.as_str()).unwrap_or_default();
            let value = match schema["type"].as_str() {
                Some("integer") => {
                    json!(text.parse::<i64>().context("its header is not an integer")?)
                }
                _ => json!(text),
            };
            ensure!(self.validator(schema)?.is_valid(&value), "its header {name} is {text:?}");
        }
        Ok(())
    }
}
