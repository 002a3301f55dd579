//! Puts the generated client where `src/lib.rs` includes it from: generated from the contract with
//! the feature `codegen`, copied from `src/generated` without it.

use std::path::Path;
use std::{env, fs};

#[cfg(feature = "codegen")]
#[path = "openapi/generate.rs"]
mod generate;

fn main() {
    if let Err(message) = write_client() {
        // One line for whoever broke the contract, instead of a panic's many.
        println!("cargo::error={message}");
    }
}

fn write_client() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    let client = client()?;
    let directory = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; cargo sets it")?;
    let file = Path::new(&directory).join("apikeys.rs");
    fs::write(&file, client).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(feature = "codegen")]
fn client() -> Result<String, String> {
    let contract = "openapi/apikeys.yaml";
    println!("cargo::rerun-if-changed={contract}");
    println!("cargo::rerun-if-changed=openapi/generate.rs");
    generate::client(Path::new(contract))
}

#[cfg(not(feature = "codegen"))]
fn client() -> Result<String, String> {
    let copy = "src/generated/apikeys.rs";
    println!("cargo::rerun-if-changed={copy}");
    fs::read_to_string(copy).map_err(|error| format!("{copy}: {error}"))
}
