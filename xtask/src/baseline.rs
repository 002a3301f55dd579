//! Reads from git what the contract is compared with.

use std::process::{Command, Stdio};

use xtask::changes::Contract;
use xtask::report::Version;

/// The contract and the version of the workspace at a commit.
pub struct Baseline {
    pub contract: Contract,
    pub version: Option<Version>,
}

impl Baseline {
    /// Reads the files at a commit, tag or branch, relative to the current directory.
    pub fn at(reference: &str, contract: &str) -> Result<Self, String> {
        let commit = format!("{reference}^{{commit}}");
        let commit = ["rev-parse", "--verify", "--quiet", "--end-of-options", &commit];
        let commit = git(&commit).map_err(|error| match error.is_empty() {
            true => format!("git has no commit `{reference}`"),
            false => error,
        })?;
        let show = |file: &str| git(&["show", &format!("{}:./{file}", commit.trim())]);
        let text = show(contract).map_err(|_| format!("`{reference}` has no {contract}"))?;
        let contract = Contract::parse(&text)
            .map_err(|error| format!("{contract} at `{reference}`: {error}"))?;
        let version = show("Cargo.toml").ok().and_then(|it| Version::of_workspace(&it));
        Ok(Self { contract, version })
    }
}

/// Runs git. Returns what it prints, or the first line of its error.
fn git(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git").args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("git does not run: {error}"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(error.lines().next().unwrap_or_default().to_owned());
    }
    String::from_utf8(output.stdout).map_err(|error| format!("git: {error}"))
}
