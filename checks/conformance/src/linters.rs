//! Linters: each finds no fault with the contract, and finds one in a broken copy.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::report::Outcome;
use crate::spec::FILE;
use crate::tools::{self, OPENAPI_SPEC_VALIDATOR, REDOCLY, SPECTRAL, Tools};

struct Linter {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    /// What is replaced in the broken copy, its replacement, and the rule that finds it.
    fault: [&'static str; 3],
}

impl Linter {
    async fn all(tools: &Tools) -> Result<[Self; 3]> {
        let file = |name: &str| tools.root().join("openapi").join(name).display().to_string();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Ok([
            Self {
                name: "openapi-spec-validator",
                program: tools.python(OPENAPI_SPEC_VALIDATOR).await?.join("openapi-spec-validator"),
                arguments: vec![],
                fault: [": list_api_keys", ": get_api_key", "get_api_key"],
            },
            Self {
                name: "redocly lint, recommended-strict",
                program: tools.npm(REDOCLY).await?.join(".bin/redocly"),
                arguments: words(&["lint", "--config", &file("redocly.yaml")]),
                fault: ["    url: https://spdx.org/licenses/\n", "", "info-license-strict"],
            },
            Self {
                name: "spectral lint, spectral:oas",
                program: tools.npm(SPECTRAL).await?.join(".bin/spectral"),
                arguments: words(&[
                    "lint",
                    "--fail-severity",
                    "warn",
                    "--ruleset",
                    &file("spectral.yaml"),
                ]),
                fault: ["  contact:\n    name: The", "  x-contact:\n    name: The", "info-contact"],
            },
        ])
    }

    async fn run(&self, contract: &Path) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.env("REDOCLY_TELEMETRY", "off").args(&self.arguments).arg(contract);
        tools::run(&mut command).await.map(drop)
    }
}

pub async fn run(tools: &Tools, outcome: &mut Outcome) -> Result<()> {
    let contract = tools.root().join(FILE);
    let text = fs::read_to_string(&contract).context(FILE)?;
    let folder = tempfile::tempdir()?;
    let broken = folder.path().join("apikeys.yaml");
    for linter in Linter::all(tools).await? {
        let [from, to, says] = linter.fault;
        outcome.case(linter.name, linter.run(&contract).await);
        ensure!(text.contains(from), "the contract has no {from:?}");
        fs::write(&broken, text.replacen(from, to, 1))?;
        let found = linter.run(&broken).await.err().map(|error| error.to_string());
        let is_found = found.as_ref().is_some_and(|found| found.contains(says));
        let name = format!("{} finds {says} in a broken contract: {found:?}", linter.name);
        outcome.check(name, is_found);
    }
    Ok(())
}
