//! The contract as the parts read it: as data, not through the code that is generated from it.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::recorder::{Exchange, header};
use crate::tools::Tools;

pub const CONTRACT: &str = "openapi/apikeys.yaml";

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Where what is not on the documentation page may come from.
const SOURCES: [&str; 3] = ["clients", "later", "project"];

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

    /// The statuses that the operation documents, and their answers.
    pub fn responses<'a>(
        &'a self,
        operation: &Operation<'a>,
    ) -> impl Iterator<Item = (u16, &'a Value)> {
        let responses = entries(&operation.node["responses"]);
        responses.filter_map(|(status, response)| Some((status.parse().ok()?, response)))
    }

    pub fn schemas(&self) -> impl Iterator<Item = (&String, &Value)> {
        entries(&self.0["components"]["schemas"])
    }

    /// A validator of one of the contract's schemas, which are JSON Schema draft 4 in all that this
    /// contract uses.
    pub fn validator(&self, schema: &Value) -> Result<Validator> {
        let document = json!({ "allOf": [schema], "components": self.0["components"] });
        let options = jsonschema::draft4::options().should_validate_formats(true);
        Ok(options.build(&document)?)
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

    /// Fails when the answer is not one that the contract has for the request.
    ///
    /// What the contract has no operation for is to be told so, by an error of its model.
    pub fn check_answer(&self, exchange: &Exchange) -> Result<()> {
        let Exchange { method, path, status, .. } = exchange;
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
        let kind = header(&exchange.headers, "content-type").unwrap_or_default();
        ensure!(kind == "application/json", "its media type is {kind:?}");
        let body: Value =
            serde_json::from_slice(&exchange.answer).context("its body is no JSON")?;
        let schema = &response["content"]["application/json"]["schema"];
        let errors: Vec<_> =
            self.validator(schema)?.iter_errors(&body).map(|error| error.to_string()).collect();
        ensure!(errors.is_empty(), "its body is not of the schema: {}", errors.join("; "));
        Ok(())
    }
}

/// Whether the node says that it is not on the documentation page.
pub fn is_marked(node: &Value) -> bool {
    SOURCES.iter().any(|source| node["x-source"] == *source)
}

/// What an object has, nothing where there is none.
pub fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}
