//! The command `audit`: reads users and the policy, and prints findings. The library decides what
//! a finding is.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use rockset_apikeys_admin::audit::{self, Finding, Policy, Progress, Report, Severity};
use serde_json::json;

use crate::failure::{Code, Failure};
use crate::globals::Globals;
use crate::output::{self, Format, note};

#[derive(clap::Args)]
pub(crate) struct Audit {
    /// Email address of a user to audit [default: the client's user]; repeatable
    #[arg(long = "user", value_name = "EMAIL")]
    users: Vec<String>,
    /// File with one user per line, or - for standard input
    #[arg(long, value_name = "FILE")]
    users_from: Option<PathBuf>,
    /// TOML file with thresholds and exceptions
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Exit with code 3 if a finding has at least this severity
    #[arg(long, value_name = "SEVERITY", value_parser = severity(), default_value = "high")]
    fail_on: Severity,
}

fn severity() -> impl TypedValueParser<Value = Severity> {
    let names = PossibleValuesParser::new(["low", "medium", "high"]);
    names.try_map(|name| serde_json::from_value(json!(name)))
}

impl Audit {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let client = globals.client()?;
        let policy = self.read_policy()?;
        let users = self.read_users()?;
        let report = audit::audit(&client, &users, &policy, show).await;
        write(globals, &report.findings)?;
        if globals.format == Format::Table {
            note(&summary(&report));
        }
        if !report.is_complete() {
            let (count, total) = (report.failures.len(), users.len());
            let errors = report.failures.iter().map(|failure| failure.error.to_string());
            let message = format!(
                "the audit is incomplete: cannot list the keys of {count} of {total} users: {}",
                errors.collect::<Vec<_>>().join("; ")
            );
            return Err(Failure::new(Code::Partial, message));
        }
        let is_failed = report.worst().is_some_and(|worst| worst >= self.fail_on);
        Ok(if is_failed { Code::Findings } else { Code::Success })
    }

    fn read_policy(&self) -> Result<Policy, Failure> {
        let Some(path) = &self.policy else { return Ok(Policy::default()) };
        let text = fs::read_to_string(path).map_err(|error| error.to_string());
        let policy = text.and_then(|text| toml::from_str(&text).map_err(|it| it.to_string()));
        policy.map_err(|reason| {
            let file = path.display();
            Failure::usage(format!("cannot read the policy from {file}: {}", reason.trim()))
        })
    }

    /// Returns the users without duplicates.
    fn read_users(&self) -> Result<Vec<String>, Failure> {
        let mut users = self.users.clone();
        if let Some(path) = &self.users_from {
            let file = path.display();
            let text = match path.to_str() {
                Some("-") => io::read_to_string(io::stdin()),
                _ => fs::read_to_string(path),
            };
            let text = text.map_err(|error| {
                Failure::usage(format!("cannot read users from {file}: {error}"))
            })?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            users.extend(lines.map(str::to_owned));
            if users.is_empty() {
                return Err(Failure::usage(format!("{file} contains no users")));
            }
        }
        users.sort();
        users.dedup();
        if users.is_empty() {
            users.push("self".to_owned());
        }
        Ok(users)
    }
}

/// Shows progress on a terminal, on one line that is cleared at the end.
fn show(Progress { done, total }: Progress) {
    let mut stderr = io::stderr().lock();
    if total > 1 && stderr.is_terminal() {
        let end = if done == total { "\r" } else { "" };
        let text = if done == total { String::new() } else { format!("{done} of {total} users") };
        let _ = write!(stderr, "\r{text:40}{end}");
    }
}

const FIELDS: [&str; 7] =
    ["severity", "kind", "user", "name", "evidence", "precision_seconds", "fix"];

fn write(globals: &Globals, findings: &[Finding]) -> Result<Code, Failure> {
    let fix = |finding: &Finding| globals.command(finding.fix.iter().map(String::as_str));
    if globals.format != Format::Table {
        let values = |finding: &Finding| {
            [
                json!(finding.severity),
                json!(finding.kind),
                json!(finding.user),
                json!(finding.name),
                json!(finding.evidence),
                json!(finding.precision_seconds),
                json!(fix(finding)),
            ]
        };
        return output::records(globals.format, &FIELDS, findings.iter().map(values));
    }
    let block = |finding: &Finding| {
        let precision = finding.precision_seconds;
        let precision = precision.map_or_else(String::new, |it| format!(" (±{it} s)"));
        let lines = [
            format!("{:8}{}, {}: {}", finding.severity, finding.user, finding.name, finding.kind),
            format!("        {}{precision}", finding.evidence),
            format!("        {}", fix(finding)),
        ];
        lines.map(|line| output::printable(&line) + "\n").concat()
    };
    output::data(findings.iter().map(block).collect::<String>())
}

fn summary(report: &Report) -> String {
    let count = |severity| report.findings.iter().filter(|it| it.severity == severity).count();
    format!(
        "keys: {}, users: {}; high: {}, medium: {}, low: {}; suppressed: {}",
        report.keys,
        report.users,
        count(Severity::High),
        count(Severity::Medium),
        count(Severity::Low),
        report.suppressed
    )
}
