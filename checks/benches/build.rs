//! Generates the client of the contract with progenitor's defaults.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use progenitor::{GenerationSettings, Generator, InterfaceStyle};

const CONTRACT: &str = "../../openapi/apikeys.yaml";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={CONTRACT}");
    let spec = yaml_serde::from_str(&fs::read_to_string(CONTRACT)?)?;
    let mut settings = GenerationSettings::new();
    settings.with_interface(InterfaceStyle::Builder);
    // The types that the generator derives for these do not compile.
    for name in ["ApiKeyValue", "Timestamp"] {
        settings.with_replacement(name, format!("rockset_apikeys::{name}"), [].into_iter());
    }
    let code = Generator::new(&settings).generate_tokens(&spec)?;
    let directory = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; cargo sets it")?;
    fs::write(Path::new(&directory).join("generated.rs"), code.to_string())?;
    Ok(())
}
