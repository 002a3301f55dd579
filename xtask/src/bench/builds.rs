//! Builds programs that get a key, each as a package with its own dependencies at the versions of
//! Cargo.lock.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::{Shell, cmd};

use super::measurement::Measurement;

/// The start of the names of measurements that count crates.
pub const CRATES: &str = "crates compiled";

#[derive(Clone, Copy)]
struct Program {
    /// The part of a measurement's name that distinguishes programs with this client.
    variant: &'static str,
    /// Its source in `checks/benches/src/bin`.
    source: &'static str,
    /// Its dependencies besides tokio. Cargo.lock selects the versions.
    dependencies: &'static str,
}

const HAND_WRITTEN: Program = Program {
    variant: "",
    source: "by_hand",
    dependencies: r#"
reqwest = { version = "*", default-features = false, features = ["json", "rustls"] }
serde = { version = "*", features = ["derive"] }"#,
};

const SDK: Program = Program {
    variant: "",
    source: "sdk",
    dependencies: r#"
rockset-apikeys = { path = "ROOT", default-features = false, features = ["rustls"] }"#,
};

const WITH_GENERATOR: Program = Program {
    variant: " with the generator",
    source: "sdk",
    dependencies: r#"
rockset-apikeys = { path = "ROOT" }"#,
};

const WITH_RING: Program = Program {
    variant: " with ring",
    source: "sdk_with_ring",
    dependencies: r#"
rockset-apikeys = { path = "ROOT", default-features = false, features = ["rustls-no-provider"] }
rustls = { version = "*", default-features = false, features = ["ring"] }"#,
};

/// Counts the crates that each program compiles, without the program itself.
pub fn crates(sh: &Shell, target: &Path) -> Result<Vec<Measurement>> {
    compare(&[SDK, WITH_GENERATOR, WITH_RING], CRATES, "", |program| {
        let _directory = sh.push_dir(program.write(sh, target)?);
        let tree = cmd!(sh, "cargo tree --offline --edges=normal,build --prefix=none --no-dedupe");
        let tree = tree.read()?;
        let crates: BTreeSet<_> = tree.lines().skip(1).collect();
        Ok(crates.len() as f64)
    })
}

/// Measures the CPU time of cold builds, and the size of the program.
pub fn cold(sh: &Shell, target: &Path) -> Result<Vec<Measurement>> {
    // Variables that could replace or skip compilation.
    sh.set_var("RUSTC_WRAPPER", "");
    sh.set_var("RUSTC_WORKSPACE_WRAPPER", "");
    let programs = [SDK, WITH_GENERATOR, WITH_RING];
    let mut builds = compare(&programs, "cold build", ", debug (CPU seconds)", |program| {
        let _directory = sh.push_dir(program.write(sh, target)?);
        sh.remove_path("target")?;
        let build = "TIMEFORMAT='%U %S'; time cargo build --offline --quiet --target-dir target";
        let times = cmd!(sh, "bash -ec {build}").read_stderr()?;
        let times = times.lines().last().unwrap_or_default().split(' ').map(str::parse::<f64>);
        Ok(times.sum::<Result<_, _>>()?)
    })?;
    let (name, unit) = ("size of the program", ", release, stripped (MB)");
    builds.extend(compare(&[SDK], name, unit, |program| {
        let directory = program.write(sh, target)?;
        let _directory = sh.push_dir(&directory);
        cmd!(sh, "cargo build --offline --quiet --release --target-dir target").quiet().run()?;
        Ok(fs::metadata(directory.join("target/release/program"))?.len() as f64 / 1e6)
    })?);
    Ok(builds)
}

/// Compares programs with the hand-written one.
fn compare(
    programs: &[Program],
    name: &str,
    unit: &str,
    measure: impl Fn(&Program) -> Result<f64>,
) -> Result<Vec<Measurement>> {
    eprintln!("{name}");
    let hand_written = measure(&HAND_WRITTEN)?;
    let compare = |program: &Program| {
        let values = [("sdk", measure(program)?), ("hand-written", hand_written)];
        Ok(Measurement::new(format!("{name}{}{unit}", program.variant), values))
    };
    programs.iter().map(compare).collect()
}

impl Program {
    /// Writes the package, and returns its directory.
    fn write(&self, sh: &Shell, target: &Path) -> Result<PathBuf> {
        let root = sh.current_dir();
        let name = format!("{}{}", self.source, self.variant).replace(' ', "-");
        let directory = target.join("bench").join(name);
        let dependencies = self.dependencies.replace("ROOT", &root.display().to_string());
        let manifest = format!(
            r#"[package]
name = "program"
edition = "2024"

[dependencies]
tokio = {{ version = "*", features = ["macros", "rt-multi-thread"] }}{dependencies}

[profile.release]
strip = true

[workspace]
"#
        );
        let source = root.join("checks/benches/src/bin").join(self.source).with_extension("rs");
        sh.write_file(directory.join("Cargo.toml"), manifest)?;
        sh.write_file(directory.join("src/main.rs"), sh.read_file(source)?)?;
        sh.copy_file("Cargo.lock", directory.join("Cargo.lock"))?;
        Ok(directory)
    }
}
