//! `cargo xtask bench`: compares this client with hand-written reqwest.
//!
//! `calls` measures a program that makes calls, `builds` builds programs, and `document` formats the
//! measurements. Counts of instructions, allocations and crates repeat on a busy machine, so
//! `--check` compares them with recorded ones.

mod builds;
mod calls;
mod document;
mod measurement;

use std::cmp::Ordering;

use anyhow::{Context, Result, bail};
use xshell::Shell;

use calls::{ALLOCATIONS, Caller, INSTRUCTIONS};
use measurement::Measurement;

/// How much a recorded ratio may grow.
const TOLERANCE: f64 = 0.02;

const RECORDED: &str = "checks/benches/recorded.json";

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
#[group(multiple = false)]
pub struct Options {
    /// Fail if a count has grown since checks/benches/recorded.json
    #[arg(long)]
    check: bool,
    /// Record the counts in checks/benches/recorded.json
    #[arg(long)]
    record: bool,
    /// Also measure speed, memory and builds; update docs/performance.md and its chart
    #[arg(long)]
    publish: bool,
}

/// Runs the benchmarks.
pub fn run(options: &Options) -> Result<()> {
    let sh = Shell::new()?;
    let target = sh.var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let target = sh.current_dir().join(target);
    let caller = Caller::build(&sh, &target)?;
    let mut call = vec![caller.per_get(INSTRUCTIONS)?, caller.per_get(ALLOCATIONS)?];
    let per_listed_key = |counter, keys| caller.per_listed_key(counter, keys);
    let mut listing =
        vec![per_listed_key(INSTRUCTIONS, 1_000)?, per_listed_key(ALLOCATIONS, 1_000)?];
    let mut build = builds::crates(&sh, &target)?;
    if options.publish {
        call.extend([caller.calls_per_second(&sh, &target)?, caller.heap_per_call(1_000)?]);
        listing.extend([per_listed_key(INSTRUCTIONS, 10)?, per_listed_key(INSTRUCTIONS, 100_000)?]);
        listing.extend([caller.peak_of_list(1_000)?, caller.peak_of_list(100_000)?]);
        build.extend(builds::cold(&sh, &target)?);
        let groups = [("A call", call), ("A listing", listing), ("A build", build)];
        return document::publish(&sh, &groups);
    }
    let counts = [call, listing, build].concat();
    if options.check {
        return check(&sh, &counts);
    }
    if options.record {
        sh.write_file(RECORDED, serde_json::to_string_pretty(&counts)? + "\n")?;
    }
    print!("{}", document::markdown(&[("Counts", counts)]));
    Ok(())
}

/// Fails if this client compiles more crates than recorded, or if another count has grown relative
/// to the hand-written client's.
fn check(sh: &Shell, measurements: &[Measurement]) -> Result<()> {
    let recorded: Vec<Measurement> = serde_json::from_str(&sh.read_file(RECORDED)?)?;
    let mut grown = String::new();
    for now in measurements {
        let before = recorded.iter().find(|before| before.name == now.name);
        let before = before.with_context(|| format!("{RECORDED} has no {:?}", now.name))?;
        let name = &now.name;
        let (now, before, limit) = match name.starts_with(builds::CRATES) {
            true => (now.value("sdk"), before.value("sdk"), before.value("sdk")),
            false => (now.ratio(), before.ratio(), before.ratio() * (1.0 + TOLERANCE)),
        };
        println!("{name:45} {now:8.3}, recorded {before:8.3}");
        // A value that is not a number counts as grown.
        if !matches!(now.partial_cmp(&limit), Some(Ordering::Less | Ordering::Equal)) {
            grown += &format!("\n  {name}: {now:.3}, recorded {before:.3}");
        }
    }
    if !grown.is_empty() {
        bail!("costs have grown; run `cargo xtask bench --record` to accept them:{grown}");
    }
    Ok(())
}
