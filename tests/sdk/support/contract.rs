//! The contract as data, independent of the generated code, for the tests of the client and the
//! server and for `cargo xtask conformance`.

use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value, json};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

pub struct Contract(pub Value);

pub struct Operation<'a> {
    pub id: &'a str,
    /// In upper case.
    pub method: String,
    /// The path template.
    pub path: &'a str,
    pub node: &'a Value,
    /// The path item, which contains the parameters that its operations share.
    item: &'a Value,
}

impl Contract {
    /// Loads the contract, as of compile time.
    // The client's build also parses this file, and reports the location of invalid YAML.
    #[allow(clippy::expect_used)]
    pub fn load() -> Self {
        let contract = include_str!("../../../openapi/apikeys.yaml");
        Self(yaml_serde::from_str(contract).expect("the contract is YAML"))
    }

    /// Resolves a reference; other nodes are returned unchanged.
    pub fn resolve<'a>(&'a self, node: &'a Value) -> &'a Value {
        let pointer = node["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        match pointer.and_then(|pointer| self.0.pointer(pointer)) {
            Some(node) => self.resolve(node),
            None => node,
        }
    }

    pub fn operations(&self) -> Vec<Operation<'_>> {
        let operations = entries(&self.0["paths"]).flat_map(|(path, item)| {
            let nodes = METHODS.into_iter().filter_map(|method| Some((method, item.get(method)?)));
            nodes.map(move |(method, node)| {
                let id = node["operationId"].as_str().unwrap_or_default();
                Operation { id, method: method.to_uppercase(), path, node, item }
            })
        });
        operations.collect()
    }

    /// Returns the operations that match a path, those with the fewest path parameters first.
    pub fn operations_at(&self, path: &str) -> Vec<Operation<'_>> {
        let is_at = |operation: &Operation<'_>| {
            let (template, path) = (operation.path.split('/'), path.split('/'));
            template.clone().count() == path.clone().count()
                && template.zip(path).all(|(wanted, it)| wanted == it || wanted.starts_with('{'))
        };
        let mut operations: Vec<_> = self.operations().into_iter().filter(is_at).collect();
        operations.sort_by_key(|operation| operation.path.matches('{').count());
        operations
    }

    /// Returns the operation's parameters, including shared ones.
    pub fn parameters<'a>(&'a self, operation: &Operation<'a>) -> Vec<&'a Value> {
        let lists = [&operation.item["parameters"], &operation.node["parameters"]];
        let parameters = lists.into_iter().filter_map(Value::as_array).flatten();
        parameters.map(|parameter| self.resolve(parameter)).collect()
    }

    /// Returns the documented statuses and their responses.
    pub fn responses<'a>(&'a self, operation: &Operation<'a>) -> Vec<(u16, &'a Value)> {
        let responses = entries(&operation.node["responses"]);
        let responses =
            responses.map(|(status, it)| Some((status.parse().ok()?, self.resolve(it))));
        responses.flatten().collect()
    }

    pub fn schemas(&self) -> impl Iterator<Item = (&String, &Value)> {
        entries(&self.0["components"]["schemas"])
    }

    /// Returns a schema of the contract and its references, as JSON Schema draft 4.
    pub fn json_schema(&self, schema: &Value) -> Value {
        bounded(&json!({ "allOf": [schema], "components": self.0["components"] }))
    }

    /// Returns a validator for a schema of the contract.
    pub fn validator(&self, schema: &Value) -> Result<Validator, ValidationError<'static>> {
        let options = jsonschema::draft4::options().should_validate_formats(true);
        options.build(&self.json_schema(schema))
    }

    /// Returns how the value differs from a schema of the contract.
    pub fn mismatches(
        &self,
        schema: &Value,
        value: &Value,
    ) -> Result<Vec<String>, ValidationError<'static>> {
        let validator = self.validator(schema)?;
        Ok(validator.iter_errors(value).map(|error| error.to_string()).collect())
    }
}

/// Adds the bounds of the format int32, which validators ignore.
fn bounded(schema: &Value) -> Value {
    match schema {
        Value::Object(keywords) => {
            let keywords = keywords.iter().map(|(keyword, node)| (keyword.clone(), bounded(node)));
            let mut keywords: Map<_, _> = keywords.collect();
            if keywords.get("format").is_some_and(|it| it == "int32") {
                keywords.insert("minimum".to_owned(), json!(i32::MIN));
                keywords.insert("maximum".to_owned(), json!(i32::MAX));
            }
            keywords.into()
        }
        Value::Array(items) => items.iter().map(bounded).collect(),
        other => other.clone(),
    }
}

/// Returns the entries of an object; other values have none.
pub fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}
