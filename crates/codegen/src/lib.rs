//! Turns the contract into Rust: reads and checks it, gives it to the generator with the settings
//! below, and adds what the generator does not make.
//!
//! `build.rs` and `cargo xtask regen` call it, so a build and the checked-in copy cannot differ. The
//! modules: `check` reads and checks the contract, `prepare` simplifies it for
//! the generator, `unsupported` rejects what the client cannot do, `open_enum` and `table` make
//! enums and the table of operations, `edit` has the edits of the generated syntax tree.

mod check;
mod edit;
pub mod names;
mod open_enum;
mod prepare;
mod table;
mod unsupported;

use std::panic;
use std::path::Path;

use openapiv3::OpenAPI;
use progenitor::{GenerationSettings, Generator, HooksMode, InterfaceStyle, TypePatch};
use quote::quote;
use syn::File;

use open_enum::OpenEnum;

/// Schemas that become types of the crate where the contract has them.
pub const OWN_TYPES: [&str; 2] = ["ApiKeyValue", "Timestamp"];

/// Rust source made from a contract.
pub struct Code {
    /// The client.
    pub client: String,
    /// Mocks of a server of the contract, for tests with httpmock.
    pub mock: String,
}

/// Generates the code for the contract in this file.
///
/// An error is one line: the file, the place in it, and the cause.
pub fn code(contract: &Path) -> Result<Code, String> {
    let text = std::fs::read_to_string(contract).map_err(|error| error.to_string());
    text.and_then(|text| generate(&text))
        .map_err(|error| format!("{}: {}", contract.display(), error.replace('\n', " ")))
}

fn generate(text: &str) -> Result<Code, String> {
    let mut document = check::read(text)?;
    prepare::prepare(&mut document, &OWN_TYPES)?;
    let spec: OpenAPI = serde_path_to_error::deserialize(document)
        .map_err(|error| format!("{}: {}", error.path(), error.inner()))?;
    unsupported::check(&spec)?;
    let enums = OpenEnum::all(&spec)?;
    let table = table::code(&spec)?;
    let settings = settings(&enums);

    let client = without_panic(|| Generator::new(&settings).generate_tokens(&spec))?;
    let enums = enums.iter().map(OpenEnum::definition);
    let mut client: File = syn::parse2(quote! {
        #client

        #table

        /// The contract's enums. Each keeps values that the contract does not know.
        pub mod enums {
            #(#enums)*
        }
    })
    .map_err(invalid_rust)?;
    edit::derive_schemas_with_feature(&mut client);
    edit::borrow_texts(&mut client);
    let urls = spec.operations().count();
    edit::encode_path_segments(&mut client, table::path_segments(&spec) + urls)?;
    edit::without_api_version(&mut client, urls)?;
    edit::decode_without_quoting(&mut client, table::json_responses(&spec))?;

    let mock = without_panic(|| Generator::new(&settings).httpmock(&spec, "crate"))?;
    let mut mock: File = syn::parse2(mock).map_err(invalid_rust)?;
    edit::encode_mocked_segments(&mut mock, table::path_segments(&spec))?;
    edit::expose_mocked_keys(&mut mock, table::json_bodies(&spec))?;
    edit::use_own_mock_server(&mut mock, 1)?;

    Ok(Code { client: source(client), mock: source(mock) })
}

fn settings(enums: &[OpenEnum]) -> GenerationSettings {
    let mut settings = GenerationSettings::new();
    settings
        .with_interface(InterfaceStyle::Builder)
        .with_hooks(HooksMode::Expected)
        .with_inner_type(quote!(crate::hook::Hook))
        .with_derive("schemars::JsonSchema")
        .with_derive("PartialEq")
        // A response may get another field; its type's constructor is in the crate.
        .with_patch("ApiKey", TypePatch::default().with_attr("#[non_exhaustive]"));
    for name in OWN_TYPES {
        settings.with_replacement(name, format!("crate::{name}"), [].into_iter());
    }
    for name in enums.iter().map(|it| &it.name) {
        let path = format!("crate::generated::enums::{name}");
        settings.with_replacement(name, path, [].into_iter());
    }
    settings
}

/// Makes an error of the generator's panics, which is how it reports what it cannot handle.
fn without_panic<T, E: ToString>(generate: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(generate));
    panic::set_hook(hook);
    let outcome = outcome.map_err(|cause| {
        let cause = cause
            .downcast::<String>()
            .map(|text| *text)
            .or_else(|cause| cause.downcast::<&str>().map(|text| text.to_string()));
        format!("the generator cannot handle it: {}", cause.unwrap_or_default())
    })?;
    outcome.map_err(|error| error.to_string())
}

fn invalid_rust(error: syn::Error) -> String {
    format!("the generator wrote invalid Rust: {error}")
}

fn source(mut file: File) -> String {
    edit::one_doc_line_each(&mut file);
    prettyplease::unparse(&file)
}
