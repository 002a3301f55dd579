//! How the contract becomes Rust: it is read, checked, given to the generator with the settings
//! that stand here and nowhere else, and what comes out is adjusted in a few places.
//!
//! `build.rs` and `cargo xtask regen` both include this file, so that a build and the checked-in
//! copy cannot differ. What the generator is told to use, it finds in `src/values.rs`.

use std::collections::HashSet;
use std::panic;
use std::path::Path;

use openapiv3::{OpenAPI, Operation, Parameter, ReferenceOr, Response, Schema, SchemaKind, Type};
use proc_macro2::TokenStream;
use progenitor::{GenerationSettings, Generator, HooksMode, InterfaceStyle};
use quote::{ToTokens, format_ident, quote};
use syn::{File, ImplItem, Item, TraitItem, parse_quote};
use yaml_serde::{Value, from_value};

/// Schemas of the contract for which the crate has types of its own.
const OWN_TYPES: [&str; 3] = ["ApiKeyValue", "PathSegment", "Timestamp"];

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
const TYPES: [&str; 6] = ["string", "number", "integer", "boolean", "array", "object"];

/// What becomes of a contract, as Rust source.
pub struct Code {
    pub client: String,
    /// Mocks of a server of the contract, for tests that are written with httpmock.
    pub mock: String,
}

/// The code for the contract in this file.
///
/// An error is one line: the file, the place in it, and the cause.
pub fn code(contract: &Path) -> Result<Code, String> {
    let text = std::fs::read_to_string(contract).map_err(|error| error.to_string());
    text.and_then(|text| generate(&text))
        .map_err(|error| format!("{}: {}", contract.display(), error.replace('\n', " ")))
}

/// Parses the contract and finds what would otherwise surface far from its cause: as a panic of the
/// generator, or as generated code that does not compile.
fn read(text: &str) -> Result<OpenAPI, String> {
    let document: Value = yaml_serde::from_str(text).map_err(|error| match error.location() {
        Some(place) => format!("line {}, column {}: {error}", place.line(), place.column()),
        None => error.to_string(),
    })?;
    let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
    if !version.starts_with("3.0.") {
        return Err(format!("openapi: the generator reads version 3.0, not {version:?}"));
    }
    for name in OWN_TYPES {
        if resolve(&format!("#/components/schemas/{name}"), &document).is_none() {
            return Err(format!(
                "components.schemas: there is no `{name}`, for which the crate has its own type"
            ));
        }
    }
    check_node(&document, &document, &mut Vec::new())?;
    check_operations(&document)?;
    serde_path_to_error::deserialize(document)
        .map_err(|error| format!("{}: {}", error.path(), error.inner()))
}

/// Checks the nodes below this one and then the node: references lead somewhere, required
/// properties exist, and what OpenAPI gives a shape has it.
fn check_node(node: &Value, document: &Value, place: &mut Vec<String>) -> Result<(), String> {
    let children: Vec<(String, &Value)> = match node {
        Value::Mapping(entries) => {
            let name = |key: &Value| key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned);
            entries.iter().map(|(key, value)| (name(key), value)).collect()
        }
        Value::Sequence(items) => {
            items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        _ => Vec::new(),
    };
    for (key, child) in children {
        place.push(key);
        check_node(child, document, place)?;
        place.pop();
    }
    if let Some(reference) = node.get("$ref").and_then(Value::as_str)
        && resolve(reference, document).is_none()
    {
        return Err(format!("{}: `{reference}` leads nowhere", place.join(".")));
    }
    if let (Some(properties), Some(Value::Sequence(required))) =
        (node.get("properties"), node.get("required"))
        && let Some(missing) = required.iter().find(|name| properties.get(name).is_none())
    {
        let missing = missing.as_str().unwrap_or_default();
        return Err(format!("{}.required: there is no property `{missing}`", place.join(".")));
    }
    match misfit(node, place) {
        Some(cause) => Err(format!("{}: {cause}", place.join("."))),
        None => Ok(()),
    }
}

/// Why the node is not what OpenAPI wants in its place.
fn misfit(node: &Value, place: &[String]) -> Option<String> {
    let steps: Vec<&str> = place.iter().map(String::as_str).collect();
    let node = node.clone();
    let error = match steps.as_slice() {
        [.., "responses", _] => from_value::<ReferenceOr<Response>>(node).err(),
        [.., "parameters", _] => from_value::<ReferenceOr<Parameter>>(node).err(),
        ["paths", _, method] if METHODS.contains(method) => from_value::<Operation>(node).err(),
        [.., "schemas" | "properties", _] | [.., "schema" | "items"] => {
            // The reader takes a schema of an unknown type for one without a type.
            let unknown = node.get("type").and_then(Value::as_str);
            if let Some(unknown) = unknown.filter(|name| !TYPES.contains(name)) {
                return Some(format!("there is no type `{unknown}`"));
            }
            from_value::<ReferenceOr<Schema>>(node).err()
        }
        _ => None,
    };
    error.map(|error| error.to_string())
}

fn resolve<'a>(reference: &str, document: &'a Value) -> Option<&'a Value> {
    let mut steps = reference.strip_prefix("#/")?.split('/');
    steps.try_fold(document, |node, step| node.get(step))
}

/// Every operation has an id of its own, and its path parameters are those of its path.
fn check_operations(document: &Value) -> Result<(), String> {
    let declared = |node: &Value| -> Vec<String> {
        let parameters = node.get("parameters").and_then(Value::as_sequence);
        let resolved = parameters.into_iter().flatten().filter_map(|parameter| {
            let reference = parameter.get("$ref").and_then(Value::as_str);
            reference.map_or(Some(parameter), |reference| resolve(reference, document))
        });
        let in_path = resolved.filter(|it| it.get("in").and_then(Value::as_str) == Some("path"));
        in_path.filter_map(|it| it.get("name")?.as_str().map(str::to_owned)).collect()
    };
    let mut ids = HashSet::new();
    let paths = document.get("paths").and_then(Value::as_mapping).into_iter().flatten();
    for (path, item) in paths {
        let path = path.as_str().unwrap_or_default();
        let mut wanted: Vec<_> =
            path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        wanted.sort_unstable();
        for (method, operation) in item.as_mapping().into_iter().flatten() {
            let Some(method) = method.as_str().filter(|method| METHODS.contains(method)) else {
                continue;
            };
            let place = format!("paths.{path}.{method}");
            let Some(id) = operation.get("operationId").and_then(Value::as_str) else {
                return Err(format!("{place}: there is no operationId"));
            };
            if !ids.insert(id) {
                return Err(format!("{place}.operationId: `{id}` is another operation's too"));
            }
            let mut found = [declared(item), declared(operation)].concat();
            found.sort_unstable();
            if found != wanted {
                return Err(format!(
                    "{place}.parameters: the path has {wanted:?}, the parameters declare {found:?}"
                ));
            }
        }
    }
    Ok(())
}

/// The generator panics on what it cannot handle; this makes an error of it.
fn without_panic<T>(generate: impl FnOnce() -> T) -> Result<T, String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(generate));
    panic::set_hook(hook);
    outcome.map_err(|cause| {
        let cause = cause
            .downcast::<String>()
            .map(|text| *text)
            .or_else(|cause| cause.downcast::<&str>().map(|text| text.to_string()));
        format!("the generator cannot handle it: {}", cause.unwrap_or_default())
    })
}

fn generate(text: &str) -> Result<Code, String> {
    let spec = read(text)?;
    let enums = open_enums(&spec)?;
    let settings = settings(&enums);
    let client = without_panic(|| Generator::new(&settings).generate_tokens(&spec))?;
    let mock = without_panic(|| Generator::new(&settings).httpmock(&spec, "crate"))?;
    let client = client.map_err(|error| error.to_string())?;
    let mock = mock.map_err(|error| error.to_string())?;
    Ok(Code { client: client_source(&spec, &enums, client)?, mock: mock_source(mock)? })
}

fn client_source(
    spec: &OpenAPI,
    enums: &[OpenEnum],
    client: TokenStream,
) -> Result<String, String> {
    let enums = enums.iter().map(OpenEnum::definition);
    let (operations, templates): (Vec<_>, Vec<_>) = spec
        .operations()
        .filter_map(|(path, _, operation)| Some((operation.operation_id.as_ref()?, path)))
        .unzip();
    let file: Result<File, _> = syn::parse2(quote! {
        #client

        /// The contract's enums, each open for values that the contract does not know.
        pub mod enums {
            #(#enums)*
        }

        /// The path of the operation with this id as it stands in the contract, empty where the
        /// contract has no such operation.
        pub(crate) fn url_template(operation_id: &str) -> &'static str {
            match operation_id {
                #(#operations => #templates,)*
                _ => "",
            }
        }
    });
    let mut file = file.map_err(no_rust)?;
    remove_constructor(&mut file)?;
    replace(
        &with_line_docs(&prettyplease::unparse(&file)),
        &[
            // Leaves the backslash alone, which URL parsers take for a slash.
            (
                "use progenitor_client::{encode_path, ",
                "use crate::values::encode_path;\n#[allow(unused_imports)]\n\
                 use progenitor_client::{",
            ),
            // Forgets the status of a body that it cannot read, and quotes the body, keys included.
            (
                "ResponseValue::from_response(response).await?",
                "crate::answer::refusal(response).await",
            ),
            ("ResponseValue::from_response(response)", "crate::answer::success(response)"),
            // Leaves the body unread of an answer whose status is not documented.
            (
                "Error::UnexpectedResponse(response)",
                "Error::ErrorResponse(crate::answer::refusal(response).await)",
            ),
        ],
    )
}

fn mock_source(mock: TokenStream) -> Result<String, String> {
    let mut file: File = syn::parse2(mock).map_err(no_rust)?;
    document_mock(&mut file.items);
    replace(
        &with_line_docs(&prettyplease::unparse(&file)),
        &[
            // Takes a name for a regular expression, and does not encode it as the client does.
            ("$\", value.to_string()", "$\", crate::values::path_pattern(value)"),
            // Has no text for a name.
            ("value: &crate::PathSegment", "value: impl ::std::fmt::Display"),
        ],
    )
}

/// Documents what the generator leaves without a word: what a mock of an operation is made of.
fn document_mock(items: &mut [Item]) {
    let when = "What a request has to be for the mock to answer it; whatever the operation takes, \
                unless something is said.";
    let then = "What the mock answers.";
    for item in items {
        match item {
            Item::Mod(module) => {
                module.content.iter_mut().for_each(|(_, items)| document_mock(items));
            }
            Item::Struct(item) => {
                let is_when = item.ident.to_string().ends_with("When");
                let text = if is_when { when } else { then };
                item.attrs.push(parse_quote!(#[doc = #text]));
            }
            Item::Trait(item) => {
                for function in &mut item.items {
                    let TraitItem::Fn(function) = function else { continue };
                    let text = format!("Mocks the operation `{}`.", function.sig.ident);
                    function.attrs.push(parse_quote!(#[doc = #text]));
                }
            }
            Item::Impl(block) if block.trait_.is_none() => {
                let is_when = block.self_ty.to_token_stream().to_string().ends_with("When");
                for function in &mut block.items {
                    let ImplItem::Fn(function) = function else { continue };
                    let text = match (function.sig.ident.to_string().as_str(), is_when) {
                        ("new", _) => "Wraps what httpmock gives to set up a mock.".to_owned(),
                        ("into_inner", _) => {
                            "What httpmock gave, for all else that it can.".to_owned()
                        }
                        (name, true) => format!("The request has this `{name}`."),
                        (name, false) => format!("Answers with this, and the status of `{name}`."),
                    };
                    function.attrs.push(parse_quote!(#[doc = #text]));
                }
            }
            _ => {}
        }
    }
}

fn no_rust(error: syn::Error) -> String {
    format!("the generator wrote no valid Rust: {error}")
}

/// The generator's settings.
fn settings(enums: &[OpenEnum]) -> GenerationSettings {
    let mut settings = GenerationSettings::new();
    settings
        .with_interface(InterfaceStyle::Builder)
        .with_hooks(HooksMode::Expected)
        .with_inner_type(quote!(crate::transport::Transport))
        .with_derive("schemars::JsonSchema");
    let enums = enums.iter().map(|it| it.name.as_str());
    for name in OWN_TYPES.into_iter().chain(enums) {
        settings.with_replacement(name, format!("crate::{name}"), [].into_iter());
    }
    settings
}

/// Takes `Client::new` away. It panics where TLS cannot be set up, and the HTTP client that it
/// makes follows redirects with the key in hand; `new_with_client` stays.
fn remove_constructor(file: &mut File) -> Result<(), String> {
    for item in &mut file.items {
        let Item::Impl(block) = item else { continue };
        let constructor = block
            .items
            .iter()
            .position(|item| matches!(item, ImplItem::Fn(function) if function.sig.ident == "new"));
        if let (None, Some(constructor)) = (&block.trait_, constructor) {
            block.items.remove(constructor);
            return Ok(());
        }
    }
    Err("the generated client has no `new` to take away; has the generator changed?".to_owned())
}

/// Turns `/** … */` into lines of `///`. Rustfmt indents what stands in such a block, and indented
/// text is code to rustdoc, so that the copy's documentation would not be the build's.
fn with_line_docs(client: &str) -> String {
    let mut lines = Vec::new();
    let mut block = None;
    for line in client.lines() {
        let text = match block {
            Some(_) => line,
            None => match line.split_once("/**") {
                Some((indent, text)) if indent.trim().is_empty() => {
                    block = Some(indent);
                    text
                }
                _ => {
                    lines.push(line.to_owned());
                    continue;
                }
            },
        };
        let indent = block.unwrap_or_default();
        let last = text.strip_suffix("*/");
        let text = last.unwrap_or(text);
        let space = if text.is_empty() { "" } else { " " };
        lines.push(format!("{indent}///{space}{text}"));
        if last.is_some() {
            block = None;
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Puts the second text of each pair in place of the first, wherever that is: the crate's own
/// functions where the generator's would do harm.
fn replace(source: &str, pairs: &[(&str, &str)]) -> Result<String, String> {
    let mut source = source.to_owned();
    for (theirs, ours) in pairs {
        if !source.contains(theirs) {
            return Err(format!(
                "the generated code has no `{theirs}` to be replaced; has the generator changed?"
            ));
        }
        source = source.replace(theirs, ours);
    }
    Ok(source)
}

/// An enum of the contract that becomes a Rust enum with one more variant, for the values that the
/// contract does not know. The generator's own enums fail the whole answer on such a value.
struct OpenEnum {
    name: String,
    description: String,
    /// Value in JSON, name in Rust, documentation.
    variants: Vec<(String, String, String)>,
}

fn open_enums(spec: &OpenAPI) -> Result<Vec<OpenEnum>, String> {
    let schemas = spec.components.iter().flat_map(|components| &components.schemas);
    let enums =
        schemas.filter_map(|(name, schema)| OpenEnum::new(name, schema.as_item()?).transpose());
    enums.collect()
}

impl OpenEnum {
    /// `None` for a schema that is no enum.
    fn new(name: &str, schema: &Schema) -> Result<Option<Self>, String> {
        let SchemaKind::Type(Type::String(string)) = &schema.schema_kind else { return Ok(None) };
        if string.enumeration.is_empty() {
            return Ok(None);
        }
        let values: Vec<_> = string.enumeration.iter().flatten().cloned().collect();
        let texts = |key: &str| {
            let list = schema.schema_data.extensions.get(key).and_then(|list| list.as_array());
            let texts = list.into_iter().flatten().filter_map(|text| text.as_str());
            let texts: Vec<_> = texts.map(str::to_owned).collect();
            if texts.len() == values.len() {
                return Ok(texts);
            }
            Err(format!(
                "components.schemas.{name}.{key}: wants a list of {} texts, one for each value of \
                 the enum",
                values.len()
            ))
        };
        let (names, docs) = (texts("x-enum-varnames")?, texts("x-enum-descriptions")?);
        if let Some(bad) = names.iter().find(|name| syn::parse_str::<syn::Ident>(name).is_err()) {
            return Err(format!(
                "components.schemas.{name}.x-enum-varnames: `{bad}` is no Rust name"
            ));
        }
        let variants =
            values.into_iter().zip(names).zip(docs).map(|((v, n), d)| (v, n, d)).collect();
        let description = schema.schema_data.description.clone().unwrap_or_default();
        Ok(Some(Self { name: name.to_owned(), description, variants }))
    }

    fn definition(&self) -> impl ToTokens {
        let (name, description) = (format_ident!("{}", self.name), &self.description);
        let values: Vec<_> = self.variants.iter().map(|(value, ..)| value).collect();
        let variants: Vec<_> =
            self.variants.iter().map(|(_, it, _)| format_ident!("{it}")).collect();
        let docs = self.variants.iter().map(|(.., doc)| doc);
        quote! {
            #[doc = #description]
            #[derive(
                Clone, Debug, PartialEq, Eq, Hash,
                ::serde::Deserialize, ::serde::Serialize, schemars::JsonSchema,
            )]
            #[non_exhaustive]
            pub enum #name {
                #(
                    #[doc = #docs]
                    #[serde(rename = #values)]
                    #variants,
                )*
                /// A value that the contract does not know, as it was received.
                #[serde(untagged)]
                Unknown(::std::string::String),
            }

            impl #name {
                /// The value as it stands in JSON.
                pub fn as_str(&self) -> &str {
                    match self {
                        #(Self::#variants => #values,)*
                        Self::Unknown(value) => value,
                    }
                }
            }

            impl ::std::fmt::Display for #name {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    f.write_str(self.as_str())
                }
            }

            impl ::std::convert::From<&str> for #name {
                fn from(value: &str) -> Self {
                    match value {
                        #(#values => Self::#variants,)*
                        _ => Self::Unknown(value.to_owned()),
                    }
                }
            }
        }
    }
}
