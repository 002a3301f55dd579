//! Measures the program in `checks/benches`, which calls a server in another process with one of
//! several clients.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow};
use xshell::{Shell, cmd};

use super::measurement::Measurement;

#[path = "../../../checks/conformance/src/vendor.rs"]
mod vendor;

/// The program's clients.
const CLIENTS: [&str; 3] = ["sdk", "generated", "hand-written"];

/// The vendor's clients: each script installs the package `$1` in `$0` and prints calls per second.
const VENDOR_CLIENTS: [(&str, &str, &str); 2] = [
    (
        "python",
        vendor::PYTHON_CLIENT,
        r#"[ -e "$0/bin/python" ] || python3 -m venv "$0"
        "$0/bin/pip" install --quiet --disable-pip-version-check "$1"
        exec "$0/bin/python" checks/benches/peers/load.py"#,
    ),
    (
        "javascript",
        vendor::JAVASCRIPT_CLIENT,
        r#"mkdir -p "$0"
        npm install --silent --no-fund --no-audit --prefix "$0" "$1" >&2
        MODULES="$0/node_modules/load.mjs" exec node checks/benches/peers/load.mjs"#,
    ),
];

/// A quantity that a valgrind tool counts.
#[derive(Clone, Copy)]
pub struct Counter {
    name: &'static str,
    tool: &'static str,
    /// What precedes the count in the tool's output.
    marker: &'static str,
}

pub const INSTRUCTIONS: Counter =
    Counter { name: "instructions", tool: "callgrind", marker: "Collected :" };
pub const ALLOCATIONS: Counter = Counter { name: "allocations", tool: "dhat", marker: "bytes in " };
const HEAP_PEAK: Counter = Counter { name: "peak heap", tool: "dhat", marker: "At t-gmax:" };
const HEAP_AT_END: Counter = Counter { name: "heap", tool: "dhat", marker: "At t-end:" };

/// The program that makes calls.
pub struct Caller(PathBuf);

impl Caller {
    /// Builds the program.
    pub fn build(sh: &Shell, target: &Path) -> Result<Self> {
        let name = "rockset-apikeys-benches";
        cmd!(sh, "cargo build --release --package {name} --bin {name}").quiet().run()?;
        Ok(Self(target.join("release").join(name)))
    }

    /// Counts what one more call costs.
    pub fn per_get(&self, counter: Counter) -> Result<Measurement> {
        measure(format!("{} per get", counter.name), |client| {
            let count = |calls| self.count(counter, ONE_KEY, [client, "get", "sequence"], calls);
            Ok((count(250)? - count(50)?) / 200.0)
        })
    }

    /// Counts what one more key costs in a listing.
    pub fn per_listed_key(&self, counter: Counter, keys: u32) -> Result<Measurement> {
        measure(format!("{} per key, listing of {keys}", counter.name), |client| {
            // A call's own share is small in long listings.
            let calls = (10_000 / keys).clamp(1, 100);
            let count = |keys| {
                let server = Settings { keys, ..ONE_KEY };
                self.count(counter, server, [client, "list", "sequence"], calls)
            };
            Ok((count(keys)? - count(1)?) / f64::from((keys - 1) * calls))
        })
    }

    /// Measures the peak heap of a listing without the client's own, relative to the size of the
    /// body and its keys.
    pub fn peak_of_list(&self, keys: u32) -> Result<Measurement> {
        let needed = self.valgrind(HEAP_AT_END, &["values", "--keys", &keys.to_string()])?;
        measure(format!("peak heap, listing of {keys} (÷ body and keys)"), |client| {
            let count = |counter, keys| {
                let server = Settings { keys, ..ONE_KEY };
                self.count(counter, server, [client, "list", "sequence"], 1)
            };
            Ok((count(HEAP_PEAK, keys)? - count(HEAP_AT_END, 1)?) / needed)
        })
    }

    /// Measures what a call adds to the peak heap if the server holds all responses until the last
    /// request.
    pub fn heap_per_call(&self, calls: u32) -> Result<Measurement> {
        measure(format!("peak heap per call, {calls} at once (KiB)"), |client| {
            let peak = |calls| {
                let server = Settings { hold: calls, ..ONE_KEY };
                self.count(HEAP_PEAK, server, [client, "get", "at-once"], calls)
            };
            Ok((peak(calls)? - peak(1)?) / f64::from(calls - 1) / 1024.0)
        })
    }

    /// Measures calls per second with 64 in flight: the median of interleaved rounds.
    pub fn calls_per_second(&self, sh: &Shell, target: &Path) -> Result<Measurement> {
        const ROUNDS: usize = 7;
        let Self(program) = self;
        let Server { port, .. } = &Server::start(program, ONE_KEY)?;
        let own = |client| (client, cmd!(sh, "{program} call {client} get --port {port} load"));
        let vendor = |(client, package, script)| {
            let tools = target.join("bench").join(client);
            let command = cmd!(sh, "sh -ec {script} {tools} {package}");
            (client, command.env("ROCKSET_APISERVER", format!("http://127.0.0.1:{port}")))
        };
        let clients = CLIENTS.into_iter().map(own).chain(VENDOR_CLIENTS.into_iter().map(vendor));
        let clients: Vec<_> = clients.collect();
        let mut rates = BTreeMap::<_, Vec<f64>>::new();
        for round in 1..=ROUNDS {
            eprintln!("gets per second, round {round} of {ROUNDS}");
            for (client, command) in &clients {
                rates.entry(*client).or_default().push(command.read()?.parse()?);
            }
        }
        let median = |(client, mut rates): (&'static str, Vec<f64>)| {
            rates.sort_unstable_by(f64::total_cmp);
            Some((client, *rates.get(ROUNDS / 2)?))
        };
        let rates = rates.into_iter().filter_map(median);
        Ok(Measurement::new("gets per second, 64 in flight".to_owned(), rates))
    }

    /// Counts for this many calls of an operation.
    fn count(
        &self,
        counter: Counter,
        server: Settings,
        [client, operation, work]: [&str; 3],
        calls: u32,
    ) -> Result<f64> {
        let Server { port, .. } = &Server::start(&self.0, server)?;
        let calls = calls.to_string();
        let call = ["call", client, operation, "--port", port, work, "--count", &calls];
        self.valgrind(counter, &call)
    }

    fn valgrind(&self, counter: Counter, arguments: &[&str]) -> Result<f64> {
        let (sh, program, Counter { tool, marker, .. }) = (Shell::new()?, &self.0, counter);
        let valgrind = cmd!(sh, "valgrind --tool={tool} --{tool}-out-file=/dev/null --log-fd=1");
        let output = valgrind.arg(program).args(arguments).read()?;
        let count = output.split_once(marker).and_then(|(_, rest)| rest.split_whitespace().next());
        let count = count.with_context(|| format!("{tool} did not print `{marker}`"))?;
        Ok(count.replace(',', "").parse()?)
    }
}

/// Measures the clients at the same time, which does not affect counts.
fn measure(name: String, value: impl Fn(&str) -> Result<f64> + Sync) -> Result<Measurement> {
    eprintln!("{name}");
    let values = thread::scope(|scope| {
        let threads = CLIENTS.map(|client| (client, scope.spawn(|| value(client))));
        threads.map(|(client, thread)| {
            let value = thread.join().map_err(|_| anyhow!("the measurement panicked"))?;
            Ok((client, value?))
        })
    });
    Ok(Measurement::new(name, values.into_iter().collect::<Result<Vec<_>>>()?))
}

#[derive(Clone, Copy)]
struct Settings {
    /// The number of keys in a listing.
    keys: u32,
    /// The number of requests after which the server responds to them.
    hold: u32,
}

const ONE_KEY: Settings = Settings { keys: 1, hold: 1 };

/// A server in another process, which ends with its standard input when this is dropped.
struct Server {
    process: Child,
    port: String,
}

impl Server {
    fn start(program: &Path, Settings { keys, hold }: Settings) -> Result<Self> {
        let mut process = Command::new(program)
            .args(["serve", "--keys", &keys.to_string(), "--hold", &hold.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut port = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut port)?;
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
