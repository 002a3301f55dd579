//! Writes the code that `src/generated.rs` and `src/mock.rs` include: generated from the contract
//! with the feature `codegen`, copied from `src/generated` without it.

use std::path::Path;
use std::{env, fs};

fn main() {
    if let Err(message) = write_code() {
        // One line with the location in the contract. A panic would print many.
        println!("cargo::error={message}");
    }
}

fn write_code() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|families| families.contains("wasm")) {
        return Err("cannot build for WebAssembly: rockset-apikeys needs sockets".to_owned());
    }
    let directory = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; cargo sets it")?;
    for (name, code) in code()? {
        let file = Path::new(&directory).join(name);
        fs::write(&file, code).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

#[cfg(feature = "codegen")]
fn code() -> Result<[(&'static str, String); 2], String> {
    let contract = "openapi/apikeys.yaml";
    println!("cargo::rerun-if-changed={contract}");
    let code = rockset_apikeys_codegen::code(Path::new(contract))?;
    Ok([("apikeys.rs", code.client), ("mock.rs", code.mock)])
}

#[cfg(not(feature = "codegen"))]
fn code() -> Result<[(&'static str, String); 2], String> {
    Ok([("apikeys.rs", copy("apikeys.rs")?), ("mock.rs", copy("mock.rs")?)])
}

#[cfg(not(feature = "codegen"))]
fn copy(name: &str) -> Result<String, String> {
    let file = format!("src/generated/{name}");
    println!("cargo::rerun-if-changed={file}");
    fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))
}
