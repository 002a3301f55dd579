//! Keeps the checked-in copy of the generated code up to date with the contract.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use similar::TextDiff;

use crate::generate;
use crate::surface::Surface;

const CONTRACT: &str = "openapi/apikeys.yaml";
const CLIENT: &str = "src/generated/apikeys.rs";
const MOCK: &str = "src/generated/mock.rs";
const HEADER: &str = "\
// @generated from openapi/apikeys.yaml by `cargo xtask regen`. Change the contract or the settings
// in openapi/generate.rs, not this file.

";

/// A file of the copy: as it is, empty where there is none, and as the contract wants it.
struct Copy {
    file: &'static str,
    stale: String,
    fresh: String,
}

/// Writes the copy and says what changed for a user.
pub fn write() -> Result<(), String> {
    for Copy { file, stale, fresh } in copies()? {
        if fresh == stale {
            println!("{file} is up to date with {CONTRACT}.");
            continue;
        }
        if let Some(directory) = Path::new(file).parent() {
            fs::create_dir_all(directory).map_err(|error| format!("{file}: {error}"))?;
        }
        fs::write(file, &fresh).map_err(|error| format!("{file}: {error}"))?;
        println!("{file} is written.");
        if file != CLIENT {
            continue;
        }
        let changes = Surface::of(&fresh)?.changes_since(&Surface::of(&stale)?);
        if changes.is_empty() {
            println!("Nothing changed for users: same operations, types and fields.");
        }
        for change in changes {
            println!("  {change}");
        }
    }
    Ok(())
}

/// Fails, with the difference, when the copy is not what the contract gives.
pub fn check() -> Result<(), String> {
    let mut differences = String::new();
    for Copy { file, stale, fresh } in copies()? {
        if fresh == stale {
            println!("{file} is up to date with {CONTRACT}.");
            continue;
        }
        let difference = TextDiff::from_lines(&stale, &fresh);
        let difference =
            difference.unified_diff().header(file, "what the contract gives").to_string();
        differences += &format!("{difference}\n{file} is stale; run `cargo xtask regen`\n");
    }
    if differences.is_empty() { Ok(()) } else { Err(differences.trim_end().to_owned()) }
}

/// The project's root. Cargo tells where this package is when it runs it.
fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| "xtask".into());
    Path::new(&package).join("..")
}

fn copies() -> Result<[Copy; 2], String> {
    // Paths in error text are then those that a person at the project's root can use.
    env::set_current_dir(root()).map_err(|error| error.to_string())?;
    let code = generate::code(Path::new(CONTRACT))?;
    Ok([copy(CLIENT, &code.client)?, copy(MOCK, &code.mock)?])
}

fn copy(file: &'static str, code: &str) -> Result<Copy, String> {
    let stale = match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.map_err(|error| format!("{file}: {error}"))?,
    };
    Ok(Copy { file, stale, fresh: format!("{HEADER}{}", rustfmt(code)?) })
}

fn rustfmt(source: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("rustfmt: {error}");
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = rustfmt.stdin.take() {
        input.write_all(source.as_bytes()).map_err(failed)?;
    }
    let output = rustfmt.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        return Err(format!("rustfmt ended with {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("rustfmt: {error}"))
}
