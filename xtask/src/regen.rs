//! Keeps the checked-in copy of the generated client up to date with the contract.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use similar::TextDiff;

use crate::generate;
use crate::surface::Surface;

const CONTRACT: &str = "openapi/apikeys.yaml";
const COPY: &str = "src/generated/apikeys.rs";
const HEADER: &str = "\
// @generated from openapi/apikeys.yaml by `cargo xtask regen`. Change the contract or the settings
// in openapi/generate.rs, not this file.

";

/// Writes the copy and says what changed for a user.
pub fn write() -> Result<(), String> {
    let fresh = fresh()?;
    let stale = current()?;
    if fresh == stale {
        println!("{COPY} is up to date with {CONTRACT}.");
        return Ok(());
    }
    let path = root().join(COPY);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(|error| format!("{COPY}: {error}"))?;
    }
    fs::write(path, &fresh).map_err(|error| format!("{COPY}: {error}"))?;
    println!("{COPY} is written.");
    let changes = Surface::of(&fresh)?.changes_since(&Surface::of(&stale)?);
    if changes.is_empty() {
        println!("Nothing changed for users: same operations, types and fields.");
    }
    for change in changes {
        println!("  {change}");
    }
    Ok(())
}

/// Fails, with the difference, when the copy is not what the contract gives.
pub fn check() -> Result<(), String> {
    let (stale, fresh) = (current()?, fresh()?);
    if fresh == stale {
        println!("{COPY} is up to date with {CONTRACT}.");
        return Ok(());
    }
    let difference = TextDiff::from_lines(stale.as_str(), fresh.as_str());
    let difference = difference.unified_diff().header(COPY, "what the contract gives").to_string();
    Err(format!("{difference}\n{COPY} is stale; run `cargo xtask regen`"))
}

/// The project's root. Cargo tells where this package is when it runs it.
fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| "xtask".into());
    Path::new(&package).join("..")
}

/// The copy as it is, empty where there is none.
fn current() -> Result<String, String> {
    match fs::read_to_string(root().join(COPY)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        text => text.map_err(|error| format!("{COPY}: {error}")),
    }
}

/// The copy as it should be.
fn fresh() -> Result<String, String> {
    // Paths in error text are then those that a person at the project's root can use.
    env::set_current_dir(root()).map_err(|error| error.to_string())?;
    let client = generate::client(Path::new(CONTRACT))?;
    Ok(format!("{HEADER}{}", rustfmt(&client)?))
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
