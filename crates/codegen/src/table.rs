//! Code for the API as a whole: the table of operations, the authentication header, parameter
//! defaults, and the type of error responses.

use std::collections::{BTreeMap, BTreeSet};

use openapiv3::{
    APIKeyLocation, OpenAPI, Operation, Parameter, ReferenceOr, Response, Responses, SchemaKind,
    SecurityScheme, StatusCode, Type,
};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::names::shouting_case;

const KIND: &str = "x-operation-kind";

/// Returns the code.
pub fn code(spec: &OpenAPI) -> Result<TokenStream, String> {
    let mut names = Vec::new();
    let mut rows = Vec::new();
    for (path, method, operation) in spec.operations() {
        let location = format!("paths.{path}.{method}");
        let id = operation.operation_id.as_deref().unwrap_or_default();
        let name = format_ident!("{}", shouting_case(id));
        let kind = format_ident!("{}", kind(method, operation, &location)?);
        check_success(&operation.responses, &location)?;
        let http_method = format_ident!("{}", method.to_uppercase());
        let doc = format!("`{} {path}`", method.to_uppercase());
        rows.push(quote! {
            #[doc = #doc]
            pub static #name: Operation = Operation {
                id: #id,
                method: ::reqwest::Method::#http_method,
                path: #path,
                kind: OperationKind::#kind,
            };
        });
        names.push(name);
    }
    let count = names.len();
    let (header, prefix) = authentication(spec)?;
    let error_model = format_ident!("{}", error_model(spec)?);
    let defaults = defaults(spec)?.into_iter().map(|(parameter, default)| {
        let name = format_ident!("DEFAULT_{}", shouting_case(&parameter));
        let doc = format!("The default of the parameter `{parameter}`.");
        quote! {
            #[doc = #doc]
            pub(crate) const #name: &str = #default;
        }
    });
    Ok(quote! {
        /// The contract's operations.
        pub mod operations {
            use crate::wire::runtime::{Operation, OperationKind};

            #(#rows)*

            /// All operations, in the order of the contract.
            pub static ALL: [&Operation; #count] = [#(&#names),*];
        }

        /// The authentication header.
        pub(crate) const AUTHENTICATION_HEADER: ::reqwest::header::HeaderName =
            ::reqwest::header::HeaderName::from_static(#header);

        /// The prefix of the key in the authentication header.
        pub(crate) const AUTHENTICATION_PREFIX: &str = #prefix;

        #(#defaults)*

        /// The body of an error response.
        pub(crate) type ErrorBody = types::#error_model;
    })
}

/// Returns the operation's kind, which the contract must state for a POST or a PATCH.
fn kind(method: &str, operation: &Operation, location: &str) -> Result<&'static str, String> {
    let stated = operation.extensions.get(KIND);
    match (stated.map(|kind| kind.as_str().unwrap_or_default()), method) {
        (Some("read"), _) => Ok("Read"),
        (Some("create"), _) => Ok("Create"),
        (Some("update"), _) => Ok("Update"),
        (Some("delete"), _) => Ok("Delete"),
        (Some(_), _) => Err(format!(
            "{location}.{KIND}: is not `read`, `create`, `update` or `delete`; retries depend on it"
        )),
        (None, "get" | "head" | "options" | "trace") => Ok("Read"),
        (None, "put") => Ok("Update"),
        (None, "delete") => Ok("Delete"),
        (None, _) => Err(format!(
            "{location}: `{KIND}` is missing; set it to `create`, `update` or `read`, because \
             retries depend on it"
        )),
    }
}

/// Rejects operations without exactly one success status.
fn check_success(responses: &Responses, location: &str) -> Result<(), String> {
    let statuses = responses.responses.keys();
    let successes: Vec<_> = statuses
        .filter_map(|status| match status {
            StatusCode::Code(code @ 200..300) => Some(*code),
            _ => None,
        })
        .collect();
    match successes[..] {
        [_] => Ok(()),
        _ => Err(format!(
            "{location}.responses: document the success statuses {successes:?}; the client needs \
             exactly one"
        )),
    }
}

/// Returns the authentication header and the prefix of the key in it.
fn authentication(spec: &OpenAPI) -> Result<(String, String), String> {
    let location = "components.securitySchemes";
    let schemes = spec.components.iter().flat_map(|it| &it.security_schemes);
    let schemes: Vec<_> = schemes.collect();
    let [(name, scheme)] = schemes[..] else {
        return Err(format!(
            "{location}: define {} schemes; the client needs exactly one, an `apiKey` in a header",
            schemes.len()
        ));
    };
    let ReferenceOr::Item(SecurityScheme::APIKey {
        location: APIKeyLocation::Header,
        name: header,
        extensions,
        ..
    }) = scheme
    else {
        return Err(format!("{location}.{name}: is not of type `apiKey` in `header`"));
    };
    let prefix = match extensions.get("x-scheme").map(|scheme| scheme.as_str()) {
        None => String::new(),
        Some(Some(word)) if !word.is_empty() && word.bytes().all(|it| it.is_ascii_graphic()) => {
            format!("{word} ")
        }
        Some(_) => return Err(format!("{location}.{name}.x-scheme: is not a word")),
    };
    Ok((header.to_lowercase(), prefix))
}

/// Returns the defaults of required parameters. OpenAPI's `default` is for optional ones.
fn defaults(spec: &OpenAPI) -> Result<BTreeMap<String, String>, String> {
    let shared = spec.components.iter().flat_map(|it| &it.parameters);
    let shared = shared.map(|(name, it)| (format!("components.parameters.{name}"), it));
    let of_paths = spec.paths.paths.iter().filter_map(|(path, it)| Some((path, it.as_item()?)));
    let of_paths = of_paths.flat_map(|(path, item)| {
        item.parameters.iter().map(move |it| (format!("paths.{path}.parameters"), it))
    });
    let of_operations = spec.operations().flat_map(|(path, method, operation)| {
        let location = format!("paths.{path}.{method}.parameters");
        operation.parameters.iter().map(move |it| (location.clone(), it))
    });
    let mut defaults = BTreeMap::new();
    for (location, parameter) in shared.chain(of_paths).chain(of_operations) {
        let Some(data) = parameter.as_item().map(Parameter::parameter_data_ref) else { continue };
        let Some(default) = data.extensions.get("x-default") else { continue };
        let location = format!("{location}.x-default");
        let default = default.as_str().ok_or_else(|| format!("{location}: is not a string"))?;
        let before = defaults.insert(data.name.clone(), default.to_owned());
        if before.is_some_and(|before| before != default) {
            return Err(format!("{location}: conflicts with another parameter `{}`", data.name));
        }
    }
    Ok(defaults)
}

/// Returns the schema of all error responses.
fn error_model(spec: &OpenAPI) -> Result<String, String> {
    let mut models = BTreeSet::new();
    for (path, method, operation) in spec.operations() {
        for (status, response) in &operation.responses.responses {
            if matches!(status, StatusCode::Code(200..300)) {
                continue;
            }
            let schema = resolved(spec, response)
                .and_then(|response| response.content.get("application/json")?.schema.as_ref());
            let Some(ReferenceOr::Reference { reference }) = schema else {
                return Err(format!(
                    "paths.{path}.{method}.responses.{status}: lacks a named schema for \
                     `application/json`"
                ));
            };
            models.insert(reference.rsplit('/').next().unwrap_or_default());
        }
    }
    match Vec::from_iter(models)[..] {
        [model] if has_required(spec, model) => Err(format!(
            "components.schemas.{model}.required: any field may be missing from an error response; \
             require none"
        )),
        [model] => Ok(model.to_owned()),
        ref models => Err(format!(
            "paths: error responses use the schemas {models:?}; the client needs exactly one"
        )),
    }
}

fn has_required(spec: &OpenAPI, schema: &str) -> bool {
    let schema = spec.components.as_ref().and_then(|it| it.schemas.get(schema)?.as_item());
    schema.is_some_and(|schema| match &schema.schema_kind {
        SchemaKind::Type(Type::Object(object)) => !object.required.is_empty(),
        _ => false,
    })
}

/// Resolves a response.
pub fn resolved<'a>(
    spec: &'a OpenAPI,
    response: &'a ReferenceOr<Response>,
) -> Option<&'a Response> {
    match response {
        ReferenceOr::Item(response) => Some(response),
        ReferenceOr::Reference { reference } => {
            let name = reference.rsplit('/').next()?;
            resolved(spec, spec.components.as_ref()?.responses.get(name)?)
        }
    }
}
