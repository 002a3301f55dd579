//! The contract as data, as all parts read it: not through the code that is generated from it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use axum::http::HeaderMap;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::recorder::{Exchange, header};
use crate::tools::Tools;

pub const CONTRACT: &str = "openapi/apikeys.yaml";

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Headers that HTTP itself has, which a contract does not document.
const OF_HTTP: [&str; 4] = ["content-length", "content-type", "date", "transfer-encoding"];

pub struct Spec(Value);

pub struct Operation<'a> {
    pub id: &'a str,
    /// In upper case.
    pub method: String,
    /// The path's template.
    pub path: &'a str,
    pub node: &'a Value,
    /// The item of the path, with the parameters that its operations share.
    item: &'a Value,
}

impl Spec {
    pub fn load(tools: &Tools) -> Result<Self> {
        let text = fs::read_to_string(tools.root().join(CONTRACT)).context(CONTRACT)?;
        Ok(Self(yaml_serde::from_str(&text).context(CONTRACT)?))
    }

    pub fn of(document: Value) -> Self {
        Self(document)
    }

    pub fn document(&self) -> &Value {
        &self.0
    }

    /// The node, or the one that it refers to.
    pub fn resolve<'a>(&'a self, node: &'a Value) -> &'a Value {
        let pointer = node["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        match pointer.and_then(|pointer| self.0.pointer(pointer)) {
            Some(node) => self.resolve(node),
            None => node,
        }
    }

    pub fn operations(&self) -> Vec<Operation<'_>> {
        let operations = entries(&self.0["paths"]).flat_map(|(path, item)| {
            let methods = METHODS
                .into_iter()
                .filter_map(move |method| Some((method.to_uppercase(), item.get(method)?)));
            methods.map(move |(method, node)| {
                let id = node["operationId"].as_str().unwrap_or_default();
                Operation { id, method, path, node, item }
            })
        });
        operations.collect()
    }

    /// The operation's parameters, those that it shares included.
    pub fn parameters<'a>(&'a self, operation: &Operation<'a>) -> Vec<&'a Value> {
        let lists = [&operation.item["parameters"], &operation.node["parameters"]];
        let parameters = lists.into_iter().filter_map(Value::as_array).flatten();
        parameters.map(|parameter| self.resolve(parameter)).collect()
    }

    /// The statuses that the operation documents, and their responses.
    pub fn responses<'a>(
        &'a self,
        operation: &Operation<'a>,
    ) -> impl Iterator<Item = (u16, &'a Value)> {
        let responses = entries(&operation.node["responses"]);
        responses.filter_map(|(status, response)| Some((status.parse().ok()?, response)))
    }

    /// The names of all headers that a response documents.
    pub fn response_headers(&self) -> BTreeSet<String> {
        let operations = self.operations();
        let responses = operations.iter().flat_map(|operation| self.responses(operation));
        let headers = responses.flat_map(|(_, response)| {
            entries(&self.resolve(response)["headers"]).map(|(name, _)| name.clone())
        });
        headers.collect()
    }

    pub fn schemas(&self) -> impl Iterator<Item = (&String, &Value)> {
        entries(&self.0["components"]["schemas"])
    }

    /// One of the contract's schemas, which are JSON Schema draft 4 in all that this contract uses,
    /// with what its references refer to.
    pub fn json_schema(&self, schema: &Value) -> Value {
        bounded(&json!({ "allOf": [schema], "components": self.0["components"] }))
    }

    pub fn validator(&self, schema: &Value) -> Result<Validator> {
        let options = jsonschema::draft4::options().should_validate_formats(true);
        Ok(options.build(&self.json_schema(schema))?)
    }

    /// The operations of the path, those of the path with the fewest parameters first.
    fn operations_at(&self, path: &str) -> Vec<Operation<'_>> {
        let is_at = |operation: &Operation<'_>| {
            let (template, path) = (operation.path.split('/'), path.split('/'));
            template.clone().count() == path.clone().count()
                && template
                    .zip(path)
                    .all(|(wanted, found)| wanted == found || wanted.starts_with('{'))
        };
        let mut operations: Vec<_> = self.operations().into_iter().filter(is_at).collect();
        operations.sort_by_key(|operation| operation.path.matches('{').count());
        operations
    }

    /// Fails when the response is not one that the contract has for the request.
    ///
    /// A request that the contract has no operation for gets 404 or 405, and an error model.
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
        let errors: Vec<_> =
            self.validator(schema)?.iter_errors(&body).map(|error| error.to_string()).collect();
        ensure!(errors.is_empty(), "its body does not match the schema: {}", errors.join("; "));
        let trace_id = header(headers, "x-trace-id");
        ensure!(trace_id.is_some(), "it has no x-trace-id");
        ensure!(
            *status == 200 || body["trace_id"].as_str() == trace_id,
            "its trace_id is not the one of its header"
        );
        Ok(())
    }

    /// Fails when a header is not documented, or has a value that is not of its schema.
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

/// The schema with the bounds of int32, which validators do not know.
fn bounded(schema: &Value) -> Value {
    match schema {
        Value::Object(words) => {
            let mut words: serde_json::Map<_, _> =
                words.iter().map(|(word, below)| (word.clone(), bounded(below))).collect();
            if words.get("format").is_some_and(|it| it == "int32") {
                words.insert("minimum".to_owned(), json!(i32::MIN));
                words.insert("maximum".to_owned(), json!(i32::MAX));
            }
            words.into()
        }
        Value::Array(items) => items.iter().map(bounded).collect(),
        other => other.clone(),
    }
}

/// The entries of an object, none of anything else.
pub fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}
