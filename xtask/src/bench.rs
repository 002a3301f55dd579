//! Measures what a call costs, beside the same call written by hand, in the same run: instructions
//! and allocations, which repeat on a busy machine, and calls per second, as ratios.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, fs};

use serde::{Deserialize, Serialize};

use crate::root;

const CLIENTS: [&str; 3] = ["sdk", "generated", "hand-written"];

/// What the counts of a guarded row may differ by.
const TOLERANCE: f64 = 0.02;

/// The counts of earlier, below the project's root.
const RECORDED: &str = "benches/recorded.json";

#[derive(clap::Args)]
pub struct Options {
    /// Compares instructions and allocations with benches/recorded.json, and measures no speed
    #[arg(long)]
    check: bool,
    /// Records instructions and allocations in benches/recorded.json
    #[arg(long, conflicts_with = "check")]
    record: bool,
}

/// A row of the report: what is measured, and one value per client.
#[derive(Deserialize, Serialize)]
struct Row {
    what: String,
    values: BTreeMap<String, f64>,
}

impl Row {
    /// How much of the hand-written call's this client's value is.
    fn ratio(&self, client: &str) -> f64 {
        let value = |client| self.values.get(client).copied().unwrap_or(f64::NAN);
        value(client) / value("hand-written")
    }
}

pub fn run(options: &Options) -> Result<(), String> {
    let program = build()?;
    let mut rows = counts(&program)?;
    if options.check {
        return check(&rows);
    }
    if options.record {
        let text = serde_json::to_string_pretty(&rows).map_err(|error| error.to_string())?;
        return write(&root().join(RECORDED), &format!("{text}\n"));
    }
    rows.push(load(&program)?);
    let report = markdown(&rows);
    print!("{report}");
    let directory = target().join("bench");
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let json = serde_json::to_string_pretty(&rows).map_err(|error| error.to_string())?;
    write(&directory.join("report.json"), &json)?;
    write(&directory.join("report.md"), &report)
}

/// Counts the instructions and the allocations of a call, and what a listed key adds to them.
fn counts(program: &Path) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    let (one, many) = (Server::start(program, 10)?, Server::start(program, 1_010)?);
    for (tool, what) in [("callgrind", "instructions"), ("dhat", "allocations")] {
        let mut row = |what: String, count: &dyn Fn(&str) -> Result<f64, String>| {
            let values: Result<_, String> =
                CLIENTS.iter().map(|client| Ok(((*client).to_owned(), count(client)?))).collect();
            eprintln!("{what}");
            rows.push(Row { what, values: values? });
            Ok::<_, String>(())
        };
        row(format!("{what} per get"), &|client| per_call(program, tool, client, "get", &one))?;
        row(format!("{what} per listed key"), &|client| {
            let list = |server| per_call(program, tool, client, "list", server);
            Ok((list(&many)? - list(&one)?) / 1_000.0)
        })?;
    }
    Ok(rows)
}

/// Counts what a call takes: what more calls take more than few.
fn per_call(
    program: &Path,
    tool: &str,
    client: &str,
    operation: &str,
    server: &Server,
) -> Result<f64, String> {
    let (few, many) = if operation == "get" { (50, 250) } else { (5, 15) };
    let count = |calls: u32| {
        let output = Command::new("valgrind")
            .args([&format!("--tool={tool}"), &format!("--{tool}-out-file=/dev/null")])
            .arg(program)
            .args(["calls", client, operation, "--port", &server.port])
            .args(["--count", &calls.to_string()])
            .output()
            .map_err(|error| format!("valgrind, which counts: {error}"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let count = match tool {
            "callgrind" => text.split("Collected : ").nth(1),
            _ => text.split("bytes in ").nth(1),
        };
        let count = count.and_then(|count| count.split_whitespace().next());
        let count = count.and_then(|count| count.replace(',', "").parse::<f64>().ok());
        count.filter(|_| output.status.success()).ok_or_else(|| format!("valgrind: {text}"))
    };
    Ok((count(many)? - count(few)?) / f64::from(many - few))
}

/// Measures calls per second with 64 in flight, in turns. The row has the medians.
fn load(program: &Path) -> Result<Row, String> {
    let server = Server::start(program, 1)?;
    let mut rates = BTreeMap::<_, Vec<f64>>::new();
    for round in 1..=7 {
        eprintln!("calls per second, round {round} of 7");
        for client in CLIENTS {
            let output = Command::new(program)
                .args(["load", client, "get", "--port", &server.port])
                .output()
                .map_err(|error| error.to_string())?;
            let rate = String::from_utf8_lossy(&output.stdout).trim().parse::<f64>();
            let rate = rate.map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
            rates.entry(client.to_owned()).or_default().push(rate);
        }
    }
    let median = |mut rates: Vec<f64>| {
        rates.sort_unstable_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let values = rates.into_iter().map(|(client, rates)| (client, median(rates))).collect();
    Ok(Row { what: "gets per second, 64 in flight".to_owned(), values })
}

/// Fails if a count, as a share of the hand-written call's, is larger than the recorded one.
fn check(rows: &[Row]) -> Result<(), String> {
    let file = root().join(RECORDED);
    let text = fs::read_to_string(&file).map_err(|error| format!("{RECORDED}: {error}"))?;
    let recorded: Vec<Row> =
        serde_json::from_str(&text).map_err(|error| format!("{RECORDED}: {error}"))?;
    let mut worse = String::new();
    for row in rows {
        let before = recorded.iter().find(|before| before.what == row.what);
        let before = before.ok_or_else(|| format!("{RECORDED} lacks {:?}", row.what))?;
        let (now, before) = (row.ratio("sdk"), before.ratio("sdk"));
        println!("{:30} {now:.3} of hand-written, recorded {before:.3}", row.what);
        // A value that is no number counts as worse.
        if now.is_nan() || now > before * (1.0 + TOLERANCE) {
            let _ = write!(worse, " {}: {now:.3} instead of {before:.3};", row.what);
        }
    }
    match worse.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "a call costs more than recorded:{worse} if that is worth it, run `cargo xtask bench \
             --record`"
        )),
    }
}

fn markdown(rows: &[Row]) -> String {
    let mut text =
        "| What | rockset-apikeys | generated client alone | reqwest by hand | ratio |\n\
                    | --- | ---: | ---: | ---: | ---: |\n"
            .to_owned();
    for row in rows {
        let _ = write!(text, "| {} ", row.what);
        for client in CLIENTS {
            let value = row.values.get(client).copied().unwrap_or(f64::NAN);
            let _ = write!(text, "| {value:.*} ", usize::from(value < 100.0));
        }
        let _ = writeln!(text, "| {:.3} |", row.ratio("sdk"));
    }
    text
}

/// Builds the program that makes the calls.
fn build() -> Result<PathBuf, String> {
    let build = ["build", "--quiet", "--release", "--package", "rockset-apikeys-benches"];
    let status = Command::new("cargo").args(build).current_dir(root()).status();
    match status {
        Ok(status) if status.success() => Ok(target().join("release/rockset-apikeys-benches")),
        Ok(status) => Err(format!("cargo build: {status}")),
        Err(error) => Err(format!("cargo build: {error}")),
    }
}

fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("{} is written.", file.display());
    Ok(())
}

/// A server in a process of its own. It ends when this is dropped, with its standard input.
struct Server {
    process: Child,
    port: String,
}

impl Server {
    fn start(program: &Path, keys: usize) -> Result<Self, String> {
        let mut process = Command::new(program)
            .args(["serve", "--keys", &keys.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let mut port = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut port).map_err(|error| error.to_string())?;
        }
        Ok(Self { process, port: port.trim().to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
