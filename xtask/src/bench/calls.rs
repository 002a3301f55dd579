//! Measures the program in `benches/`, which makes calls with one of several clients to a server
//! that is a process of its own.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use super::report::{Group, grouped};
use super::vendor::Vendor;
use super::{Row, Target, number, output, target};
use crate::root;

const CLIENTS: [&str; 3] = ["sdk", "generated", "hand-written"];

/// What one of valgrind's tools counts, and the words before the number in its output.
#[derive(Clone, Copy)]
struct Count(&'static str, &'static str);

const INSTRUCTIONS: Count = Count("callgrind", "Collected :");
const ALLOCATIONS: Count = Count("dhat", "bytes in ");
const HEAP_PEAK: Count = Count("dhat", "At t-gmax:");
const HEAP_AT_END: Count = Count("dhat", "At t-end:");

/// Builds the program.
pub fn build() -> Result<PathBuf, String> {
    let name = "rockset-apikeys-benches";
    let build = ["build", "--release", "--package", name, "--bin", name];
    let status = Command::new("cargo").args(build).current_dir(root()).status();
    match status.map_err(|error| format!("cargo: {error}"))? {
        status if status.success() => Ok(target().join("release").join(name)),
        status => Err(format!("cargo build: {status}")),
    }
}

/// Counts what one more call takes.
pub fn call(program: &Path) -> Result<Vec<Row>, String> {
    let server = Server::start(program, 1, 1)?;
    let per_get = |what, tool| {
        row(what, Target::RatioAtMost(1.0), |client| {
            let count = |calls| count(&server, tool, [client, "get"], calls);
            Ok((count(250)? - count(50)?) / 200.0)
        })
    };
    Ok(vec![
        per_get("instructions per get", INSTRUCTIONS)?,
        per_get("allocations per get", ALLOCATIONS)?,
    ])
}

/// Counts what a key adds to listings of these lengths, of which one has 1,000.
pub fn list(program: &Path, lengths: &[u32]) -> Result<Vec<Row>, String> {
    let one = Server::start(program, 1, 1)?;
    let per_key = |what, tool, keys: u32| {
        let server = Server::start(program, keys, 1)?;
        let what = format!("{what} per key, listing of {}", grouped(keys.into()));
        row(&what, Target::RatioAtMost(1.0), |client| {
            // Long listings are few calls: a call's own share is small there.
            let calls = (10_000 / keys).clamp(1, 100);
            let count = |server| count(server, tool, [client, "list"], calls);
            Ok((count(&server)? - count(&one)?) / f64::from((keys - 1) * calls))
        })
    };
    let mut rows = Vec::new();
    for keys in lengths {
        rows.push(per_key("instructions", INSTRUCTIONS, *keys)?);
    }
    rows.push(per_key("allocations", ALLOCATIONS, 1_000)?);
    Ok(rows)
}

/// Measures the peak of the heap of a call that lists keys, beyond what the client has by itself.
/// The unit is what nobody can do without: the body of the response, and the keys.
pub fn peak_of_list(program: &Path) -> Result<Vec<Row>, String> {
    let one = Server::start(program, 1, 1)?;
    let peak = |keys: u32| {
        let server = Server::start(program, keys, 1)?;
        let needed = valgrind(HEAP_AT_END, program, &["values", "--keys", &keys.to_string()])?;
        let what = format!("peak heap, listing of {} (÷ body and keys)", grouped(keys.into()));
        row(&what, Target::AtMost(1.5), |client| {
            let own = count(&one, HEAP_AT_END, [client, "list"], 1)?;
            Ok((count(&server, HEAP_PEAK, [client, "list"], 1)? - own) / needed)
        })
    };
    [1_000, 100_000].into_iter().map(peak).collect()
}

/// Measures the peak of the heap of calls at once.
pub fn heap_at_once(program: &Path) -> Result<Row, String> {
    at_once(program, "peak heap per call, 1,000 at once (KiB)", 1_000, |call| {
        Ok(valgrind(HEAP_PEAK, program, call)? / 1024.0)
    })
}

/// Measures the peak of resident memory of 10,000 calls at once, none of which may fail.
pub fn resident_at_once(program: &Path, group: &mut Group) -> Result<(), String> {
    let what = "resident memory per call, 10,000 at once (KiB)";
    let (limit, _) = output(Command::new("sh").args(["-c", "ulimit -Hn"]))?;
    let limit = limit.trim();
    if limit.parse().is_ok_and(|limit: u32| limit < 10_100) {
        let reason = format!("the hard limit is {limit} open files, and 10,100 are needed");
        group.notes.push(format!("Not measured: {what}; {reason}."));
        return Ok(());
    }
    group.rows.push(at_once(program, what, 10_000, |call| {
        number(&output(Command::new(program).args(call))?.0)
    })?);
    group.notes.push("10,000 calls at once: each client made them without an error.".to_owned());
    Ok(())
}

/// Measures what a call adds to this peak, if all get their responses when the last has come.
fn at_once(
    program: &Path,
    what: &str,
    calls: u32,
    peak: impl Fn(&[String]) -> Result<f64, String> + Sync,
) -> Result<Row, String> {
    row(what, Target::AtMost(12.0), |client| {
        let (few, many) = (Server::start(program, 1, 1)?, Server::start(program, 1, calls)?);
        let peak = |server: &Server<'_>, calls: u32| {
            peak(&server.call([client, "get"], &["at-once", "--count", &calls.to_string()]))
        };
        Ok((peak(&many, calls)? - peak(&few, 1)?) / f64::from(calls - 1))
    })
}

/// Measures calls per second with 64 in flight, in turns. The row has the medians.
pub fn load(program: &Path, vendors: &[Vendor]) -> Result<Row, String> {
    const ROUNDS: usize = 7;
    let server = Server::start(program, 1, 1)?;
    let mut commands: Vec<_> = CLIENTS
        .iter()
        .map(|client| {
            let mut command = Command::new(program);
            command.args(server.call([client, "get"], &["load"]));
            (*client, command, Vec::new())
        })
        .collect();
    commands
        .extend(vendors.iter().map(|vendor| (vendor.name, vendor.load(&server.port), Vec::new())));
    for round in 1..=ROUNDS {
        eprintln!("gets per second, round {round} of {ROUNDS}");
        for (_, command, rates) in &mut commands {
            let (rate, _) = output(command)?;
            rates.push(number(&rate)?);
        }
    }
    let mut row = Row::new("gets per second, 64 in flight", Some(Target::RatioAtLeast(1.0)));
    for (client, _, mut rates) in commands {
        rates.sort_unstable_by(f64::total_cmp);
        row.values.extend(rates.get(ROUNDS / 2).map(|median| (client.to_owned(), *median)));
    }
    Ok(row)
}

/// Measures a value for each client, at the same time: what is counted does not depend on it.
fn row(
    what: &str,
    target: Target,
    measure: impl Fn(&str) -> Result<f64, String> + Sync,
) -> Result<Row, String> {
    eprintln!("{what}");
    let values = thread::scope(|scope| {
        let threads = CLIENTS.map(|client| (client, scope.spawn(|| measure(client))));
        threads.map(|(client, thread)| (client, thread.join()))
    });
    let mut row = Row::new(what, Some(target));
    for (client, value) in values {
        let value = value.map_err(|_| format!("{what}: the measurement panicked"))?;
        row.values.insert(client.to_owned(), value?);
    }
    Ok(row)
}

/// Counts for a program that makes so many calls.
fn count(server: &Server<'_>, tool: Count, call: [&str; 2], calls: u32) -> Result<f64, String> {
    let work = ["sequence", "--count", &calls.to_string()];
    valgrind(tool, server.program, &server.call(call, &work))
}

fn valgrind(
    Count(tool, marker): Count,
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
) -> Result<f64, String> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args([&format!("--tool={tool}"), &format!("--{tool}-out-file=/dev/null")]);
    let (_, text) = output(valgrind.arg(program).args(arguments))?;
    number(text.split_once(marker).map_or("", |(_, count)| count))
}

/// A server in a process of its own. It ends when this is dropped, with its standard input.
struct Server<'a> {
    program: &'a Path,
    process: Child,
    port: String,
}

impl<'a> Server<'a> {
    /// Starts a server whose listings have so many keys, and that holds so many requests.
    fn start(program: &'a Path, keys: u32, hold: u32) -> Result<Self, String> {
        let mut process = Command::new(program)
            .args(["serve", "--keys", &keys.to_string(), "--hold", &hold.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let mut port = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut port).map_err(|error| error.to_string())?;
        }
        Ok(Self { program, process, port: port.trim().to_owned() })
    }

    /// Returns the arguments of the program for calls to this server.
    fn call(&self, call: [&str; 2], work: &[&str]) -> Vec<String> {
        let port = ["--port", &self.port];
        ["call"].iter().chain(&call).chain(&port).chain(work).map(|it| (*it).to_owned()).collect()
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
