//! Generates Rust from the contract: checks it, passes it to progenitor with the settings below,
//! and adds open enums and the table of operations.
//!
//! `build.rs` and `cargo xtask regen` call this crate, so a build and the checked-in copy cannot
//! differ. Generated code is not edited. The client replaces `progenitor_client` and `format!` in
//! it: see `src/generated.rs`.

mod check;
pub mod names;
mod open_enum;
mod prepare;
mod reduce;
mod table;
mod unsupported;

use std::panic;
use std::path::Path;

use openapiv3::OpenAPI;
use proc_macro2::TokenStream;
use progenitor::{GenerationSettings, Generator, InterfaceStyle, TypePatch};
use quote::quote;
use yaml_serde::Value;

use open_enum::OpenEnum;

/// Schemas that the client implements as its own types.
pub const OWN_TYPES: [&str; 2] = ["ApiKeyValue", "Timestamp"];

/// Rust source generated from a contract.
pub struct Code {
    /// The client.
    pub client: String,
    /// Typed mocks of the API, for tests with httpmock.
    pub mock: String,
}

/// Generates the code of the contract in this file.
///
/// Errors are one line: the file, the location in it, and the cause.
pub fn code(contract: &Path) -> Result<Code, String> {
    let text = std::fs::read_to_string(contract).map_err(|error| error.to_string());
    text.and_then(|text| generate(&text))
        .map_err(|error| format!("{}: {}", contract.display(), error.replace('\n', " ")))
}

fn generate(text: &str) -> Result<Code, String> {
    let mut document = check::read(text)?;
    prepare::prepare(&mut document, &OWN_TYPES)?;
    let spec = spec(document.clone())?;
    unsupported::check(&spec)?;
    let enums = OpenEnum::all(&spec)?;
    let table = table::code(&spec)?;
    let settings = settings(&enums)?;

    let reduced = self::spec(reduce::reduced(&document))?;
    let client = client(settings.clone(), &reduced)?;
    let client = without_api_version(&client, reduced.operations().count())?;
    let enums = enums.iter().map(OpenEnum::definition);
    let client = source(quote! {
        #client

        #table

        /// The contract's enums. Each keeps unknown values.
        pub mod enums {
            #(#enums)*
        }
    })?;
    let mock = without_panic(|| Generator::new(&settings).httpmock(&spec, "crate"))?;
    // The client's mock server names an unmatched request in its response; httpmock's sends 404.
    let mock = source(mock)?.replace("::httpmock::MockServer", "MockServer");
    Ok(Code { client, mock })
}

fn spec(document: Value) -> Result<OpenAPI, String> {
    serde_path_to_error::deserialize(document)
        .map_err(|error| format!("{}: {}", error.path(), error.inner()))
}

fn settings(enums: &[OpenEnum]) -> Result<GenerationSettings, String> {
    let mut settings = GenerationSettings::new();
    settings
        .with_interface(InterfaceStyle::Builder)
        .with_inner_type(quote!(crate::wire::Wire))
        .with_derive("PartialEq");
    let borrowed = format!("{{ type: string, format: {} }}", reduce::BORROWED);
    let borrowed = yaml_serde::from_str(&borrowed).map_err(|error| error.to_string())?;
    settings.with_conversion(borrowed, "::std::borrow::Cow<'a, str>", [].into_iter());
    for name in OWN_TYPES {
        settings.with_replacement(name, format!("crate::{name}"), [].into_iter());
    }
    for name in enums.iter().map(|it| &it.name) {
        let path = format!("crate::generated::enums::{name}");
        settings.with_replacement(name, path, [].into_iter());
    }
    Ok(settings)
}

/// Generates the client twice: first to learn the names of all types, including nested and inline
/// ones, then with attributes on them.
fn client(mut settings: GenerationSettings, spec: &OpenAPI) -> Result<TokenStream, String> {
    let mut generator = Generator::new(&settings);
    without_panic(|| generator.generate_tokens(spec))?;
    for generated in generator.get_type_space().iter_types() {
        let name = generated.name();
        let mut patch = TypePatch::default();
        patch.with_attr(r#"#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]"#);
        if name == "ApiKey" {
            // Responses may gain fields.
            patch.with_attr("#[non_exhaustive]");
        }
        settings.with_patch(name, &patch);
    }
    without_panic(|| Generator::new(&settings).generate_tokens(spec))
}

/// Removes the header `api-version`, which the vendor's clients do not send, and its map where it is
/// the only header. This is the only edit of generated code.
fn without_api_version(code: &TokenStream, operations: usize) -> Result<TokenStream, String> {
    let map = quote! {
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
    };
    let append = quote! {
        header_map.append(
            ::reqwest::header::HeaderName::from_static("api-version"),
            ::reqwest::header::HeaderValue::from_static(super::Client::api_version()),
        );
    };
    let (code, append) = (code.to_string(), append.to_string());
    let found = code.matches(&append).count();
    if found != operations {
        return Err(format!(
            "the generated code sends `api-version` in {found} places instead of {operations}; has \
             the generator changed?"
        ));
    }
    let send = quote!(.headers(header_map)).to_string();
    let map_and_append = format!("{map} {append}");
    let mut functions = code.split(&map_and_append);
    let first = functions.next().unwrap_or_default().to_owned();
    let code = functions.fold(first, |code, function| code + &function.replacen(&send, "", 1));
    let code = code.replace(&append, "").parse::<TokenStream>();
    code.map_err(|error| format!("the generated code is invalid: {error}"))
}

/// Turns panics of the generator into errors: some unsupported contracts make it panic.
fn without_panic<T, E: ToString>(generate: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(generate));
    panic::set_hook(hook);
    let outcome = outcome.map_err(|cause| {
        let cause = cause
            .downcast::<String>()
            .map(|message| *message)
            .or_else(|cause| cause.downcast::<&str>().map(|message| message.to_string()));
        format!("the generator does not support this contract: {}", cause.unwrap_or_default())
    })?;
    outcome.map_err(|error| error.to_string())
}

/// Formats code, with a line comment per line of documentation: rustfmt would indent the
/// formatter's block comments, and rustdoc would then render them as code.
fn source(code: TokenStream) -> Result<String, String> {
    let file =
        syn::parse2(code).map_err(|error| format!("the generated code is invalid: {error}"))?;
    let mut source = String::new();
    let mut block = None;
    for line in prettyplease::unparse(&file).lines() {
        let text = line.trim_start();
        let starts = [("/**", "///"), ("/*!", "//!"), ("///", "///"), ("//!", "//!")];
        let start = starts.into_iter().find(|(start, _)| text.starts_with(start));
        let (comment, text) = match (block, start) {
            (Some(comment), _) => (comment, line),
            (None, Some((start, comment))) => (comment, &text[start.len()..]),
            (None, None) => {
                source.extend([line, "\n"]);
                continue;
            }
        };
        let is_block = block.is_some() || start.is_some_and(|(start, _)| start.starts_with("/*"));
        let end = text.strip_suffix("*/").filter(|_| is_block);
        block = (is_block && end.is_none()).then_some(comment);
        let text = end.unwrap_or(text);
        let space = if text.is_empty() || text.starts_with(' ') { "" } else { " " };
        source.extend([comment, space, text, "\n"]);
    }
    Ok(source)
}
