//! Measures what a call, a listing and a build cost, beside the same by hand, in the same run.
//!
//! Counts of instructions, allocations and crates repeat on a busy machine, and `--check` compares
//! them with those of earlier. `calls` measures a program that makes calls, `build` builds
//! programs, `vendor` has the vendor's clients as peers, and `report` and `chart` show the figures.

mod build;
mod calls;
mod chart;
mod report;
mod vendor;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde::{Deserialize, Serialize};

use crate::root;
use report::{Group, Report};

/// What a guarded ratio may grow by.
const TOLERANCE: f64 = 0.02;

/// The counts of earlier, below the project's root.
const RECORDED: &str = "checks/benches/recorded.json";

#[derive(clap::Args)]
pub struct Options {
    /// Compares instructions, allocations and crates with benches/recorded.json, and
    /// measures nothing else
    #[arg(long)]
    check: bool,
    /// Records these counts in benches/recorded.json
    #[arg(long, conflicts_with = "check")]
    record: bool,
    /// Measures cold builds, too, which takes some minutes
    #[arg(long, conflicts_with_all = ["check", "record"])]
    build: bool,
    /// Writes what it measured to docs/performance.md and docs/performance.svg, too
    #[arg(long, conflicts_with_all = ["check", "record"])]
    publish: bool,
}

/// A row of the report: what is measured, and a value for each client or program that has one.
#[derive(Deserialize, Serialize)]
struct Row {
    what: String,
    values: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
}

/// What this project's value shall be, as a ratio to that by hand or by itself.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    RatioAtMost(f64),
    RatioAtLeast(f64),
    AtMost(f64),
}

impl Row {
    fn new(what: impl Into<String>, target: Option<Target>) -> Self {
        Self { what: what.into(), values: BTreeMap::new(), target }
    }

    fn value(&self, client: &str) -> f64 {
        self.values.get(client).copied().unwrap_or(f64::NAN)
    }

    /// Returns this project's value as a multiple of the one by hand.
    fn ratio(&self) -> f64 {
        self.value("sdk") / self.value("hand-written")
    }
}

pub fn run(options: &Options) -> Result<(), String> {
    let program = calls::build()?;
    let guarded = || -> Result<Vec<Row>, String> {
        let mut rows = calls::call(&program)?;
        rows.extend(calls::list(&program, &[1_000])?);
        rows.extend(build::crates()?);
        Ok(rows)
    };
    if options.check {
        return check(&guarded()?);
    }
    if options.record {
        return write(&root().join(RECORDED), &json(&guarded()?)?);
    }
    let report = measure(&program, options.build)?;
    let text = report.markdown();
    print!("{text}");
    let folder = folder()?;
    write(&folder.join("report.json"), &json(&report)?)?;
    write(&folder.join("report.md"), &text)?;
    write(&folder.join("report.svg"), &chart::svg(&report))?;
    if options.publish {
        report.publish(&root().join("docs/performance.md"))?;
        write(&root().join("docs/performance.svg"), &chart::svg(&report))?;
    }
    Ok(())
}

fn measure(program: &Path, builds: bool) -> Result<Report, String> {
    let mut call = Group::new("One call", calls::call(program)?);
    let vendors = vendor::set_up(&mut call.notes);
    call.rows.push(calls::load(program, &vendors)?);
    let mut list = Group::new("A listing", calls::list(program, &[10, 1_000, 100_000])?);
    list.rows.extend(calls::peak_of_list(program)?);
    let mut at_once = Group::new("Calls at once", vec![calls::heap_at_once(program)?]);
    calls::resident_at_once(program, &mut at_once)?;
    let mut build = Group::new("A build", build::crates()?);
    let mut groups = vec![call, list, at_once];
    if builds {
        let seconds = build::cold(&mut build.rows)?;
        groups.extend([build, Group::new("A cold build, crate by crate", seconds)]);
    } else {
        build.notes.push("Cold builds were not measured: `--build` was not given.".to_owned());
        groups.push(build);
    }
    Report::new(groups)
}

/// Fails if a count is larger than the recorded one, or that of a call as a share of the one by
/// hand.
fn check(rows: &[Row]) -> Result<(), String> {
    let file = root().join(RECORDED);
    let text = fs::read_to_string(&file).map_err(|error| format!("{RECORDED}: {error}"))?;
    let recorded: Vec<Row> =
        serde_json::from_str(&text).map_err(|error| format!("{RECORDED}: {error}"))?;
    let mut worse = String::new();
    for row in rows {
        let before = recorded.iter().find(|before| before.what == row.what);
        let before = before.ok_or_else(|| format!("{RECORDED} lacks {:?}", row.what))?;
        let mut compare = |client: &str, now: f64, before: f64, limit: f64| {
            println!("{:45} {client:14} {now:8.3}, recorded {before:8.3}", row.what);
            // A value that is no number counts as worse.
            if now.is_nan() || now > limit {
                let _ = write!(worse, " {}, {client}: {now:.3} after {before:.3};", row.what);
            }
        };
        if row.what.starts_with(build::CRATES) {
            for (program, now) in &row.values {
                compare(program, *now, before.value(program), before.value(program));
            }
        } else {
            let before = before.ratio();
            compare("sdk, ratio", row.ratio(), before, before * (1.0 + TOLERANCE));
        }
    }
    match worse.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "more than recorded:{worse} if that is worth it, run `cargo xtask bench --record`"
        )),
    }
}

/// The folder of reports, and of programs that are built to measure it. Those are built elsewhere,
/// so its path is absolute.
fn folder() -> Result<PathBuf, String> {
    let folder = target().join("bench");
    let made = fs::create_dir_all(&folder).and_then(|()| folder.canonicalize());
    made.map_err(|error| format!("{}: {error}", folder.display()))
}

fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn json(value: &impl Serialize) -> Result<String, String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("{} is written.", file.display());
    Ok(())
}

/// Runs a command to its end, and returns what it printed to standard output and to standard error.
fn output(command: &mut Command) -> Result<(String, String), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok((text(&output.stdout), text(&output.stderr))),
        false => Err(format!("{name}: {}\n{}", output.status, text(&output.stderr).trim_end())),
    }
}

/// Reads the number with which a text begins.
fn number(text: &str) -> Result<f64, String> {
    let word = text.split_whitespace().next().unwrap_or_default();
    word.replace(',', "").parse().map_err(|_| format!("no number: {text:?}"))
}
