//! Features of OpenAPI that the client does not support. Each is an error with its location.
//! Otherwise, the generator would panic, ignore the feature, or generate invalid code.

use openapiv3::{
    Content, OpenAPI, Operation, Parameter, ParameterSchemaOrContent, ReferenceOr, Schema,
    SchemaKind, Server, Type,
};

use crate::names::shouting_case;

const JSON: &str = "application/json";

/// The generated client's own methods.
const METHODS: [&str; 5] = ["new", "new_with_client", "baseurl", "client", "inner"];

/// Rejects the first unsupported feature of the contract.
pub fn check(spec: &OpenAPI) -> Result<(), String> {
    check_security(spec)?;
    for (path, item) in &spec.paths.paths {
        if let Some(item) = item.as_item() {
            no_servers(&item.servers, &format!("paths.{path}"))?;
        }
    }
    for (path, method, operation) in spec.operations() {
        let location = format!("paths.{path}.{method}");
        check_operation(spec, operation, &location)?;
        let of_path = spec.paths.paths.get(path).and_then(|item| item.as_item());
        let of_path = of_path.into_iter().flat_map(|item| &item.parameters);
        for parameter in of_path.chain(&operation.parameters) {
            check_parameter(spec, parameter, &location)?;
        }
    }
    Ok(())
}

/// Rejects operations with their own security: the client authenticates all requests alike.
fn check_security(spec: &OpenAPI) -> Result<(), String> {
    let schemes = spec.components.iter().flat_map(|it| it.security_schemes.keys());
    let schemes: Vec<_> = schemes.collect();
    for requirement in spec.security.iter().flatten() {
        if let Some(name) = requirement.keys().find(|name| !schemes.contains(name)) {
            return Err(format!("security: scheme `{name}` does not exist"));
        }
    }
    for (path, method, operation) in spec.operations() {
        if operation.security.is_some() && operation.security != spec.security {
            return Err(format!(
                "paths.{path}.{method}.security: differs from the contract's `security`; the \
                 client authenticates all requests alike"
            ));
        }
    }
    Ok(())
}

fn no_servers(servers: &[Server], location: &str) -> Result<(), String> {
    match servers {
        [] => Ok(()),
        _ => {
            Err(format!("{location}.servers: the client calls one server; move them to `servers`"))
        }
    }
}

fn check_operation(spec: &OpenAPI, operation: &Operation, location: &str) -> Result<(), String> {
    no_servers(&operation.servers, location)?;
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let is_name = syn::parse_str::<syn::Ident>(&shouting_case(id)).is_ok();
    if !is_name || METHODS.contains(&id) {
        return Err(format!("{location}.operationId: `{id}` cannot be the name of a method"));
    }
    if operation.responses.default.is_some() {
        return Err(format!(
            "{location}.responses.default: list the statuses instead of `default`"
        ));
    }
    for (status, response) in &operation.responses.responses {
        if let Some(response) = crate::table::resolved(spec, response) {
            only_json(&response.content, &format!("{location}.responses.{status}"))?;
        }
    }
    let body = operation.request_body.as_ref();
    let body = body.and_then(|body| match body {
        ReferenceOr::Item(body) => Some(body),
        ReferenceOr::Reference { reference } => {
            let bodies = &spec.components.as_ref()?.request_bodies;
            bodies.get(reference.rsplit('/').next()?)?.as_item()
        }
    });
    body.map_or(Ok(()), |body| only_json(&body.content, &format!("{location}.requestBody")))
}

fn only_json(content: &Content, location: &str) -> Result<(), String> {
    match content.keys().find(|media_type| *media_type != JSON) {
        None => Ok(()),
        Some(other) => Err(format!("{location}.content.{other}: the client supports only {JSON}")),
    }
}

fn check_parameter(
    spec: &OpenAPI,
    parameter: &ReferenceOr<Parameter>,
    operation: &str,
) -> Result<(), String> {
    let (parameter, location) = match parameter {
        ReferenceOr::Item(parameter) => (Some(parameter), format!("{operation}.parameters")),
        ReferenceOr::Reference { reference } => {
            let name = reference.rsplit('/').next().unwrap_or_default();
            let parameters = spec.components.as_ref().map(|it| &it.parameters);
            let parameter = parameters.and_then(|it| it.get(name)?.as_item());
            (parameter, format!("components.parameters.{name}"))
        }
    };
    let Some(parameter) = parameter else { return Ok(()) };
    let data = parameter.parameter_data_ref();
    let name = &data.name;
    let is_header = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    let schema = match &data.format {
        ParameterSchemaOrContent::Schema(schema) => schema.as_item(),
        ParameterSchemaOrContent::Content(_) => None,
    };
    let reason = match parameter {
        Parameter::Cookie { .. } => "is in a cookie",
        Parameter::Header { .. } if !name.chars().all(is_header) => "is not the name of a header",
        Parameter::Query { .. } if schema.is_some_and(is_compound) => "is an array or an object",
        _ if name == "client" => "is the name of a variable in the generated code",
        _ => return Ok(()),
    };
    Err(format!("{location}: `{name}` {reason}, which the generator does not support"))
}

fn is_compound(schema: &Schema) -> bool {
    matches!(schema.schema_kind, SchemaKind::Type(Type::Array(_) | Type::Object(_)))
}
