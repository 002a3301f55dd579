//! Keeps the checked-in copy of the generated code up to date with the contract, and reports what
//! a change of the contract means.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use clap::{Args, ValueEnum};
use xtask::changes::{Change, Class, Contract, compare};
use xtask::facade;
use xtask::report::{self, Version};

use crate::baseline::Baseline;
use rockset_apikeys_codegen as codegen;

const CONTRACT: &str = "openapi/apikeys.yaml";
const CLIENT: &str = "src/generated/apikeys.rs";
const MOCK: &str = "src/generated/mock.rs";
const OPERATIONS: &str = "src/operations.rs";
const REGION: &str = "src/region.rs";
const HEADER: &str = "\
// @generated from openapi/apikeys.yaml by `cargo xtask regen`. Change the contract or the settings
// in crates/codegen, not this file.

";

#[derive(Args)]
pub struct Options {
    /// Change nothing; fail if the copy is stale
    #[arg(long)]
    check: bool,
    /// Compare with the contract at this commit, tag or branch [default: HEAD]
    #[arg(long, value_name = "REF")]
    since: Option<String>,
    /// Print the changes for people, or as a list of JSON objects with nothing else on stdout
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Fail if a change has this class or a worse one
    #[arg(long, value_name = "CLASS")]
    fail_on: Option<Class>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Options {
    /// The commit to compare with.
    fn reference(&self) -> &str {
        self.since.as_deref().unwrap_or("HEAD")
    }

    /// Reads the baseline. A checkout without git has none, which is an error only if the report
    /// was asked for.
    fn baseline(&self) -> Result<Option<Baseline>, String> {
        let json = self.format == Format::Json;
        let is_asked = self.since.is_some() || self.fail_on.is_some() || json;
        match Baseline::at(self.reference(), CONTRACT) {
            Ok(baseline) => Ok(Some(baseline)),
            Err(reason) if is_asked => Err(format!("nothing to compare with: {reason}")),
            Err(reason) => {
                self.say(&format!("No report, there is nothing to compare with: {reason}."));
                Ok(None)
            }
        }
    }

    /// Prints a message where it is not taken for the report.
    fn say(&self, message: &str) {
        match self.format {
            Format::Text => println!("{message}"),
            Format::Json => eprintln!("{message}"),
        }
    }
}

/// Writes or checks the copy, and prints the report.
pub fn run(options: &Options) -> Result<(), String> {
    // Paths in error text are then those that a person at the project's root can use.
    env::set_current_dir(crate::root()).map_err(|error| error.to_string())?;
    let code = codegen::code(Path::new(CONTRACT))?;
    let baseline = options.baseline()?;
    let mut failures = Vec::new();
    for (file, code) in [(CLIENT, code.client), (MOCK, code.mock)] {
        let fresh = format!("{HEADER}{}", rustfmt(&code)?);
        if fresh == read(file)? {
            options.say(&format!("{file} is up to date with {CONTRACT}."));
        } else if options.check {
            failures.push(format!("{file} is stale; run `cargo xtask regen`"));
        } else {
            write(file, &fresh)?;
            options.say(&format!("{file} is written."));
        }
    }
    if let Some(baseline) = baseline {
        failures.extend(report(options, &baseline)?);
    }
    failures.extend(facade(options)?);
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Prints what the facade lacks. Returns the failure, if the copy is only checked.
fn facade(options: &Options) -> Result<Option<String>, String> {
    let (operations, region) = (read(OPERATIONS)?, read(REGION)?);
    let gaps = facade::gaps(&read(CONTRACT)?, &operations, &region)?;
    if gaps.is_empty() {
        options.say("The facade has all that the contract has.");
        return Ok(None);
    }
    let gaps: String = gaps.iter().map(|gap| format!("  {gap}\n")).collect();
    let gaps = format!("The facade lacks what the contract has:\n{gaps}");
    if options.check {
        return Ok(Some(gaps.trim_end().to_owned()));
    }
    options.say(&format!("{gaps}Until then, `Client::run` makes calls that the facade cannot."));
    Ok(None)
}

/// Prints the changes and the version that they ask for. Returns the failure, if these are such.
fn report(options: &Options, baseline: &Baseline) -> Result<Option<String>, String> {
    let contract = Contract::parse(&read(CONTRACT)?);
    let contract = contract.map_err(|error| format!("{CONTRACT}: {error}"))?;
    let changes = compare(&baseline.contract, &contract);
    match options.format {
        Format::Text => print!("\n{}", report::text(&changes)),
        Format::Json => {
            let json = serde_json::to_string_pretty(&changes);
            println!("{}", json.map_err(|error| error.to_string())?);
        }
    }
    options.say(&summary(options.reference(), baseline.version, &changes)?);
    let Some(limit) = options.fail_on else { return Ok(None) };
    let count = changes.iter().filter(|change| change.class >= limit).count();
    let class = limit.as_str();
    let changes = if count == 1 { "change fails" } else { "changes fail" };
    Ok((count > 0).then(|| format!("{count} {changes} `--fail-on {class}`")))
}

/// Says which version the changes ask for.
fn summary(reference: &str, old: Option<Version>, changes: &[Change]) -> Result<String, String> {
    let Some(class) = changes.iter().map(|change| change.class).max() else {
        return Ok(format!("The contract is the one at {reference}: no release is needed."));
    };
    let class_name = class.as_str();
    let Some(old) = old else {
        return Ok(format!(
            "Cargo.toml at {reference} has no version; the change is {class_name}."
        ));
    };
    let next = old.after(class);
    let state = match Version::of_workspace(&read("Cargo.toml")?) {
        Some(version) if version >= next => format!("Cargo.toml says {version}"),
        Some(version) => format!("Cargo.toml still says {version}"),
        None => "Cargo.toml has no version".to_owned(),
    };
    Ok(format!("Version: {old} -> {next} ({class_name} since {reference}); {state}."))
}

/// Reads a file. One that does not exist is empty.
fn read(file: &str) -> Result<String, String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        text => text.map_err(|error| format!("{file}: {error}")),
    }
}

fn write(file: &str, text: &str) -> Result<(), String> {
    let directory = Path::new(file).parent().map_or(Ok(()), fs::create_dir_all);
    directory.and_then(|()| fs::write(file, text)).map_err(|error| format!("{file}: {error}"))
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
