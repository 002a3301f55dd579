//! Builds the programs in `benches/src/bin`, which get a key, each with its dependencies as a
//! package of its own below the folder of reports. Versions are those of Cargo.lock.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::{Row, Target, folder, output};
use crate::root;

/// How the rows begin that have numbers of crates.
pub const CRATES: &str = "crates compiled";

struct Program {
    name: &'static str,
    /// The program in `benches/src/bin` whose code it has.
    code: &'static str,
    /// Its dependencies beside tokio. Any version is right: Cargo.lock has one.
    dependencies: &'static str,
}

const PROGRAMS: [Program; 4] = [
    Program {
        name: "hand-written",
        code: "by_hand",
        dependencies: r#"
reqwest = { version = "*", default-features = false, features = ["json", "rustls"] }
serde = { version = "*", features = ["derive"] }"#,
    },
    Program {
        name: "sdk",
        code: "sdk",
        dependencies: r#"
rockset-apikeys = { path = "ROOT", default-features = false, features = ["rustls"] }"#,
    },
    Program {
        name: "codegen",
        code: "sdk",
        dependencies: r#"
rockset-apikeys = { path = "ROOT" }"#,
    },
    Program {
        name: "ring",
        code: "sdk_with_ring",
        dependencies: r#"
rockset-apikeys = { path = "ROOT", default-features = false, features = ["rustls-no-provider"] }
rustls = { version = "*", default-features = false, features = ["ring"] }"#,
    },
];

/// Counts the crates that each program compiles, without itself.
pub fn crates() -> Result<Vec<Row>, String> {
    eprintln!("{CRATES}");
    let mut counts = BTreeMap::new();
    for program in PROGRAMS {
        let tree = ["tree", "--edges=normal,build", "--prefix=none", "--no-dedupe"];
        let (tree, _) = output(program.command("cargo")?.args(tree))?;
        let mut lines: Vec<_> = tree.lines().skip(1).collect();
        lines.sort_unstable();
        lines.dedup();
        let crates = u32::try_from(lines.len()).map_err(|error| error.to_string())?;
        counts.insert(program.name, crates.into());
    }
    Ok(beside_by_hand(CRATES, "", &counts, [None; 3]))
}

/// Makes a row for each program with this project's client.
fn beside_by_hand(
    what: &str,
    unit: &str,
    values: &BTreeMap<&str, f64>,
    targets: [Option<Target>; 3],
) -> Vec<Row> {
    let programs = [("", "sdk"), (" with the generator", "codegen"), (" with ring", "ring")];
    let rows = programs.into_iter().zip(targets).map(|((variant, program), target)| {
        let mut row = Row::new(format!("{what}{variant}{unit}"), target);
        for (client, program) in [("sdk", program), ("hand-written", "hand-written")] {
            row.values.extend(values.get(program).map(|value| (client.to_owned(), *value)));
        }
        row
    });
    rows.collect()
}

/// Builds each program from nothing. Adds rows for CPU time and size, and returns the seconds of
/// each crate.
pub fn cold(rows: &mut Vec<Row>) -> Result<Vec<Row>, String> {
    let mut cpu = BTreeMap::new();
    let mut size =
        Row::new("size of the program, release, stripped (MB)", Some(Target::RatioAtMost(1.1)));
    let mut seconds = BTreeMap::<String, Row>::new();
    for program in PROGRAMS {
        let target = program.folder()?.join("target");
        // There is none before the first run.
        let _ = fs::remove_dir_all(&target);
        eprintln!("building {}", program.name);
        // The shell knows the CPU time of all processes that it has waited for, and theirs.
        let build = ["-ec", "cargo build --quiet --timings; times"];
        let (times, _) = output(program.command("sh")?.args(build))?;
        cpu.insert(program.name, cpu_seconds(&times)?);
        for (name, time) in units(&target.join("cargo-timings/cargo-timing.html"))? {
            let row = seconds.entry(name.clone()).or_insert_with(|| Row::new(name, None));
            *row.values.entry(program.name.to_owned()).or_default() += time;
        }
        if ["hand-written", "sdk"].contains(&program.name) {
            eprintln!("building {} for release", program.name);
            output(program.command("cargo")?.args(["build", "--quiet", "--release"]))?;
            let file = target.join("release/program");
            let length = fs::metadata(&file).map(|file| file.len() as f64);
            let length = length.map_err(|error| format!("{}: {error}", file.display()))?;
            size.values.insert(program.name.to_owned(), length / 1e6);
        }
    }
    let targets = [Some(Target::RatioAtMost(1.0)), Some(Target::RatioAtMost(1.25)), None];
    rows.extend(beside_by_hand("cold build", ", debug (CPU seconds)", &cpu, targets));
    rows.push(size);
    Ok(longest(seconds.into_values().collect()))
}

/// Keeps the crates that take longest, and those of the generator that users ask for.
fn longest(mut rows: Vec<Row>) -> Vec<Row> {
    const NAMED: [&str; 4] = ["progenitor", "regex", "schemars", "typify"];
    let most = |row: &Row| row.values.values().copied().fold(0.0, f64::max);
    rows.retain(|row| most(row) >= 3.0 || NAMED.iter().any(|name| row.what.starts_with(name)));
    rows.sort_by(|one, other| most(other).total_cmp(&most(one)));
    rows
}

/// Reads what `times` of a shell says last: user and system time of the processes that it ran.
fn cpu_seconds(times: &str) -> Result<f64, String> {
    let line = times.lines().last().unwrap_or_default();
    let seconds = |time: &str| {
        let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    };
    let times: Option<Vec<f64>> = line.split_whitespace().map(seconds).collect();
    let times = times.filter(|times| times.len() == 2);
    Ok(times.ok_or_else(|| format!("no CPU times: {line:?}"))?.iter().sum())
}

#[derive(Deserialize)]
struct Unit {
    name: String,
    duration: f64,
}

/// Reads from Cargo's report how long each crate took, with its build script.
fn units(file: &Path) -> Result<Vec<(String, f64)>, String> {
    let html = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let (_, json) = html.split_once("UNIT_DATA = ").unwrap_or_default();
    let units: Option<Result<Vec<Unit>, _>> =
        serde_json::Deserializer::from_str(json).into_iter().next();
    let units = units.ok_or_else(|| format!("{}: UNIT_DATA is missing", file.display()))?;
    let units = units.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(units.into_iter().map(|unit| (unit.name, unit.duration)).collect())
}

impl Program {
    /// Writes the package, and returns its folder.
    fn folder(&self) -> Result<PathBuf, String> {
        let root = root().canonicalize().map_err(|error| error.to_string())?;
        let folder = folder()?.join(self.name);
        let manifest = format!(
            r#"[package]
name = "program"
edition = "2024"

[dependencies]
tokio = {{ version = "*", features = ["macros", "rt-multi-thread"] }}{}

[profile.release]
strip = true

[workspace]
"#,
            self.dependencies.replace("ROOT", &root.display().to_string())
        );
        let code = root.join("checks/benches/src/bin").join(self.code).with_extension("rs");
        let write = || {
            fs::create_dir_all(folder.join("src"))?;
            fs::write(folder.join("Cargo.toml"), manifest)?;
            fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
            fs::copy(code, folder.join("src/main.rs"))
        };
        write().map_err(|error: std::io::Error| format!("{}: {error}", folder.display()))?;
        Ok(folder)
    }

    /// Prepares a command in the package's folder, without what could keep it from compiling.
    fn command(&self, name: &str) -> Result<Command, String> {
        let folder = self.folder()?;
        let mut command = Command::new(name);
        command.current_dir(&folder).env("CARGO_TARGET_DIR", folder.join("target"));
        command.env_remove("RUSTC_WRAPPER").env_remove("RUSTC_WORKSPACE_WRAPPER");
        command.env("CARGO_NET_OFFLINE", "true");
        Ok(command)
    }
}
