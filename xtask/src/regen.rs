//! `cargo xtask regen`: updates the checked-in copy of the generated code and reports what a
//! contract change means for users.

use std::path::Path;

use anyhow::{Context, Error, Result, bail};
use clap::{Args, ValueEnum};
use rockset_apikeys_codegen as codegen;
use semver::Version;
use textwrap::WordSplitter;
use xshell::{Shell, cmd};

use crate::changes::{Change, Class, Contract, compare};
use crate::facade;

const CONTRACT: &str = "openapi/apikeys.yaml";
const CLIENT: &str = "src/generated/apikeys.rs";
const MOCK: &str = "src/generated/mock.rs";
const HEADER: &str = "\
// @generated from openapi/apikeys.yaml by `cargo xtask regen`. Change the contract or the settings
// in crates/codegen, not this file.

";

/// Options of `cargo xtask regen`.
#[derive(Args)]
pub struct Options {
    /// Change nothing; fail if the generated code or the facade is out of date
    #[arg(long)]
    check: bool,
    /// Compare with the contract at this commit, tag or branch [default: HEAD]
    #[arg(long, value_name = "REF")]
    since: Option<String>,
    /// Print the report as text or as a JSON array; other messages go to stderr
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Fail if a change is of this class or a more severe one
    #[arg(long, value_name = "CLASS")]
    fail_on: Option<Class>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Updates or checks the generated code, prints the report, and checks the facade.
pub fn run(options: &Options) -> Result<()> {
    let sh = Shell::new()?;
    let code = codegen::code(Path::new(CONTRACT)).map_err(Error::msg)?;
    let reference = options.since.as_deref().unwrap_or("HEAD");
    let needs_report =
        options.since.is_some() || options.fail_on.is_some() || options.format == Format::Json;
    let baseline = match Baseline::read(&sh, reference) {
        Err(error) if needs_report => return Err(error),
        baseline => baseline,
    };
    let mut failures = Vec::new();
    for (file, code) in [(CLIENT, code.client), (MOCK, code.mock)] {
        let code = cmd!(sh, "rustfmt --edition 2024").stdin(code).read()?;
        let code = format!("{HEADER}{code}\n");
        if code == read(&sh, file) {
            eprintln!("{file} is up to date with {CONTRACT}.");
        } else if options.check {
            failures.push(format!("{file} is out of date; run `cargo xtask regen`"));
        } else {
            sh.write_file(file, code)?;
            eprintln!("Updated {file}.");
        }
    }
    match baseline {
        Ok(baseline) => failures.extend(report(&sh, options, reference, &baseline)?),
        Err(error) => eprintln!("No report: {error}."),
    }
    let (operations, region) = (read(&sh, "src/operations.rs"), read(&sh, "src/region.rs"));
    let gaps = facade::gaps(&read(&sh, CONTRACT), &operations, &region)?;
    let gaps: String = gaps.iter().map(|gap| format!("\n  {gap}")).collect();
    if gaps.is_empty() {
        eprintln!("The facade covers the contract.");
    } else if options.check {
        failures.push(format!("The facade does not cover the contract:{gaps}"));
    } else {
        eprintln!("The facade does not cover the contract; add these or use `Client::run`:{gaps}");
    }
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("\n")) }
}

/// Prints the changes and the version that they need. Returns the failure that `--fail-on` asks for.
fn report(
    sh: &Shell,
    options: &Options,
    reference: &str,
    baseline: &Baseline,
) -> Result<Option<String>> {
    let contract = Contract::parse(&read(sh, CONTRACT)).map_err(Error::msg).context(CONTRACT)?;
    let changes = compare(&baseline.contract, &contract);
    match options.format {
        Format::Text => print!("{}", text(&changes)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&changes)?),
    }
    let version = workspace_version(&read(sh, "Cargo.toml"));
    eprintln!("{}", release(reference, baseline.version.as_ref(), version, &changes));
    let Some(limit) = options.fail_on else { return Ok(None) };
    let count = changes.iter().filter(|change| change.class >= limit).count();
    let limit = limit.as_str();
    Ok((count > 0)
        .then(|| format!("`--fail-on {limit}` found {count} such or more severe changes")))
}

/// Reads a file, which is empty if it does not exist.
fn read(sh: &Shell, file: &str) -> String {
    sh.read_file(file).unwrap_or_default()
}

/// The contract and the workspace version at a commit.
struct Baseline {
    contract: Contract,
    version: Option<Version>,
}

impl Baseline {
    fn read(sh: &Shell, reference: &str) -> Result<Self> {
        let commit = format!("{reference}^{{commit}}");
        let commit = cmd!(sh, "git rev-parse --verify --quiet --end-of-options {commit}");
        let commit = commit.ignore_stderr().read();
        let commit = commit.ok().with_context(|| {
            format!("cannot compare contracts: git has no commit `{reference}`")
        })?;
        let show = |file: &str| cmd!(sh, "git show {commit}:./{file}").ignore_stderr().read().ok();
        let text = show(CONTRACT).with_context(|| {
            format!("cannot compare contracts: `{reference}` has no {CONTRACT}")
        })?;
        let contract = Contract::parse(&text).map_err(Error::msg);
        let contract = contract.with_context(|| format!("{CONTRACT} at `{reference}`"))?;
        let version = show("Cargo.toml").and_then(|manifest| workspace_version(&manifest));
        Ok(Self { contract, version })
    }
}

/// Formats changes: the class first, then place, change and meaning, at most 100 columns wide.
pub fn text(changes: &[Change]) -> String {
    let paragraph = |head: &str, text: &str| {
        let indent = " ".repeat(head.len());
        let options = textwrap::Options::new(100).initial_indent(head).subsequent_indent(&indent);
        let options = options.break_words(false).word_splitter(WordSplitter::NoHyphenation);
        textwrap::fill(text, options) + "\n"
    };
    let entry = |change: &Change| {
        paragraph(&format!("{:<10}", change.class.as_str()), &change.place)
            + &paragraph("          ", &change.change)
            + &paragraph("          = ", &change.meaning)
    };
    changes.iter().map(entry).collect()
}

/// Describes the version that the changes need.
fn release(
    reference: &str,
    old: Option<&Version>,
    new: Option<Version>,
    changes: &[Change],
) -> String {
    let Some(class) = changes.iter().map(|change| change.class).max() else {
        return format!("The contract has not changed since {reference}: no release is needed.");
    };
    let (Some(old), Some(new)) = (old, new) else {
        return format!("Cargo.toml has no version; the change is {}.", class.as_str());
    };
    let next = next_version(old, class);
    let still = if new < next { "still " } else { "" };
    let class = class.as_str();
    format!("Version: {old} -> {next} ({class} since {reference}); Cargo.toml {still}says {new}.")
}

/// Returns the version of the workspace from its `Cargo.toml`.
pub fn workspace_version(manifest: &str) -> Option<Version> {
    let manifest: toml::Table = manifest.parse().ok()?;
    manifest.get("workspace")?.get("package")?.get("version")?.as_str()?.parse().ok()
}

/// Returns the next version that may contain changes of this class.
pub fn next_version(version: &Version, class: Class) -> Version {
    let Version { major, minor, patch, .. } = *version;
    match (class, major) {
        (Class::Breaking, 1..) => Version::new(major + 1, 0, 0),
        (Class::Breaking, 0) | (Class::Additive, 1..) => Version::new(major, minor + 1, 0),
        (Class::Additive, 0) | (Class::Docs, _) => Version::new(major, minor, patch + 1),
    }
}
