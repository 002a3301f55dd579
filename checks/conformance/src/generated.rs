//! The generated code: a build has the same with and without the generator, so the checked-in copy
//! is up to date.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::report::Outcome;
use crate::tools::{self, Tools};

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[tools.locked("progenitor")?]);
    let generated = built(tools, &["--features", "codegen"]).await?;
    let copied = built(tools, &[]).await?;
    let names = rust_files(&generated)?;
    outcome.check(
        format!("the same files with and without codegen: {names:?}"),
        !names.is_empty() && names == rust_files(&copied)?,
    );
    for name in names {
        let same = same_code(&generated.join(&name), &copied.join(&name)).await;
        outcome.case(format!("{name} with and without codegen"), same);
    }
    Ok(outcome)
}

/// Checks the client with these features. Returns the folder of its generated code.
async fn built(tools: &Tools, features: &[&str]) -> Result<PathBuf> {
    let mut build = Command::new("cargo");
    build.current_dir(tools.root()).arg("--quiet").args(["check", "--package", "rockset-apikeys"]);
    build.args(["--no-default-features", "--message-format", "json"]).args(features);
    let messages = tools::run(&mut build).await?;
    let mut folders = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_ours = message["reason"] == "build-script-executed"
            && message["package_id"].as_str()?.contains("rockset-apikeys");
        is_ours.then(|| message["out_dir"].as_str().map(PathBuf::from))?
    });
    folders.next_back().context("the build ran no build script of the client")
}

fn rust_files(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rs") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Fails if the two differ in more than layout and the comment at the top of the copy.
async fn same_code(generated: &Path, copied: &Path) -> Result<()> {
    let formatted = async |file: &Path| -> Result<String> {
        let mut rustfmt = Command::new("rustfmt");
        let text = tools::run(
            rustfmt.args(["--edition", "2024", "--emit", "stdout", "--quiet"]).arg(file),
        );
        let text = text.await?;
        let code = text.lines().skip_while(|line| line.starts_with("// ") || line.is_empty());
        Ok(code.collect::<Vec<_>>().join("\n"))
    };
    let (generated, copied) = (formatted(generated).await?, formatted(copied).await?);
    let differing = generated.lines().zip(copied.lines()).find(|(one, other)| one != other);
    ensure!(differing.is_none(), "the first lines that differ are {differing:?}");
    ensure!(generated.lines().count() == copied.lines().count(), "one is longer than the other");
    Ok(())
}
