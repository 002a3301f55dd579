//! How the contract becomes Rust: it is read, checked, given to the generator with the settings
//! that stand here and nowhere else, and what comes out is adjusted in a few places.
//!
//! `build.rs` and `cargo xtask regen` both include this file, so that a build and the checked-in
//! copy cannot differ. What the generator is told to use, it finds in `src/values.rs`. Reading and
//! checking the contract is in `check.rs`, the enums that are made here in `open_enum.rs`.

mod check;
mod open_enum;

use std::panic;
use std::path::Path;

use openapiv3::OpenAPI;
use proc_macro2::TokenStream;
use progenitor::{GenerationSettings, Generator, HooksMode, InterfaceStyle};
use quote::{ToTokens, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, File, ImplItem, Item, TraitItem, parse_quote};

use open_enum::OpenEnum;

/// Schemas of the contract for which the crate has types of its own.
const OWN_TYPES: [&str; 3] = ["ApiKeyValue", "PathSegment", "Timestamp"];

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
    let spec = check::read(text, &OWN_TYPES)?;
    let enums = OpenEnum::all(&spec)?;
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
    PlainPatterns.visit_file_mut(&mut file);
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

/// Gives httpmock the text of a regular expression, of which the generator makes one by itself, with
/// an `unwrap`. All of these are valid: the contract's paths, and names that are escaped.
struct PlainPatterns;

impl VisitMut for PlainPatterns {
    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        visit_mut::visit_expr_mut(self, expression);
        if let Expr::MethodCall(unwrap) = &*expression
            && unwrap.method == "unwrap"
            && let Expr::Call(call) = &*unwrap.receiver
            && call.func.to_token_stream().to_string() == "regex :: Regex :: new"
            && let Some(pattern) = call.args.first()
        {
            *expression = match pattern {
                Expr::Reference(reference) => (*reference.expr).clone(),
                text => text.clone(),
            };
        }
    }
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
