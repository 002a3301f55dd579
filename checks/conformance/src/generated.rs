//! The generated code: builds with and without the generator have the same, so the checked-in copy
//! is up to date.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::outcome::Outcome;
use crate::tools::{self, Tools};

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&["progenitor"]);
    let generated = build(tools, &["--features", "codegen"]).await?;
    let copied = build(tools, &[]).await?;
    let (names, copies): (Vec<_>, Vec<_>) = (generated.keys().collect(), copied.keys().collect());
    outcome.check(
        format!("the files are {names:?} with codegen, and {copies:?} without"),
        !names.is_empty() && names == copies,
    );
    for (name, code) in &generated {
        let copy = copied.get(name).map_or("", String::as_str);
        let differing = code.lines().zip(copy.lines()).find(|(line, copy)| line != copy);
        let name = format!("{name} is the same with and without codegen, except {differing:?}");
        outcome.check(name, code == copy);
    }
    Ok(outcome)
}

/// Checks the client with these features. Returns its generated files, formatted.
async fn build(tools: &Tools, features: &[&str]) -> Result<BTreeMap<String, String>> {
    let mut check = Command::new("cargo");
    check.current_dir(&tools.root).args(["check", "--quiet", "--package", "rockset-apikeys"]);
    check.args(["--no-default-features", "--message-format", "json"]).args(features);
    let messages = tools::run(&mut check).await?;
    let mut directories = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_build = message["reason"] == "build-script-executed"
            && message["package_id"].as_str()?.contains("rockset-apikeys");
        is_build.then(|| message["out_dir"].as_str().map(str::to_owned))?
    });
    let directory =
        directories.next_back().context("cannot find the output of the client's build.rs")?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&directory).with_context(|| directory.clone())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rs") {
            let code = format(&Path::new(&directory).join(&name)).await?;
            files.insert(name, code);
        }
    }
    Ok(files)
}

/// Returns the formatted code of a file, without the comment at the top of the copy.
async fn format(file: &Path) -> Result<String> {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024", "--emit", "stdout", "--quiet"]).arg(file);
    let text = tools::run(&mut rustfmt).await?;
    let code = text.lines().skip_while(|line| line.starts_with("// ") || line.is_empty());
    Ok(code.collect::<Vec<_>>().join("\n"))
}
