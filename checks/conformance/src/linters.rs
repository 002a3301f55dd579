//! Linters: each accepts the contract, and rejects a broken copy.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::outcome::Outcome;
use crate::tools::{
    self, JAVASCRIPT_CLIENT, OPENAPI_SPEC_VALIDATOR, PYTHON_CLIENT, REDOCLY, SPECTRAL, Tools,
};

struct Linter {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    /// The text that is replaced in the broken copy, its replacement, and the reported rule.
    fault: [&'static str; 3],
}

impl Linter {
    async fn run(&self, contract: &Path) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.env("REDOCLY_TELEMETRY", "off").args(&self.arguments).arg(contract);
        tools::run(&mut command).await.map(drop)
    }
}

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[
        OPENAPI_SPEC_VALIDATOR,
        REDOCLY,
        SPECTRAL,
        PYTHON_CLIENT,
        JAVASCRIPT_CLIENT,
    ]);
    let rules = |name: &str| tools.root.join("openapi").join(name).into_os_string();
    let linters = [
        Linter {
            name: "openapi-spec-validator",
            program: tools.python(OPENAPI_SPEC_VALIDATOR).await?.join("openapi-spec-validator"),
            arguments: vec![],
            fault: [": list_api_keys", ": get_api_key", "get_api_key"],
        },
        Linter {
            name: "redocly lint, recommended-strict",
            program: tools.npm(REDOCLY).await?.join(".bin/redocly"),
            arguments: vec!["lint".into(), "--config".into(), rules("redocly.yaml")],
            fault: ["    url: https://spdx.org/licenses/\n", "", "info-license-strict"],
        },
        Linter {
            name: "spectral lint, spectral:oas",
            program: tools.npm(SPECTRAL).await?.join(".bin/spectral"),
            arguments: vec![
                "lint".into(),
                "--fail-severity=warn".into(),
                "--ruleset".into(),
                rules("spectral.yaml"),
            ],
            fault: ["  contact:\n    name: The", "  x-contact:\n    name: The", "info-contact"],
        },
    ];
    let contract = tools.contract();
    let text = fs::read_to_string(&contract).context("the contract")?;
    let directory = tempfile::tempdir()?;
    let broken = directory.path().join("apikeys.yaml");
    for linter in &linters {
        outcome.case(linter.name, linter.run(&contract).await);
        let [from, to, rule] = linter.fault;
        ensure!(text.contains(from), "cannot break the contract: it does not contain {from:?}");
        fs::write(&broken, text.replacen(from, to, 1))?;
        let found = linter.run(&broken).await.err().map_or(String::new(), |it| it.to_string());
        let name = format!("{} reports {rule} in a broken copy: {found:?}", linter.name);
        outcome.check(name, found.contains(rule));
    }
    Ok(outcome)
}
