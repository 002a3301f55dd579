//! The server's throughput, latency and memory, compared with a peer in the same run.
//!
//! The runs of server and peer are interleaved and the median of their ratios is compared with the
//! limit, so that other load on the machine affects both. Requests are raw bytes over loopback
//! sockets, and responses are only scanned for their end, so that most of the time is the server's.
//!
//! Run it on Linux with `cargo bench -p rockset-apikeys-server`. It fails if a limit is exceeded.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::{get, post};
use rockset_apikeys_server::{ADMIN, Server};
use rusqlite::{Connection, params};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const IN_FLIGHT: usize = 32;
const KEYS: &str = "/v1/orgs/self/users/self/apikeys";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const CONSTANT: &str = r#"{"data":{"created_at":"2026-11-23T15:11:05.787Z","created_by":"admin@me.com","key":"2B9m4O","last_access_time":"2026-11-23T15:11:07.442Z","name":"initial","state":"ACTIVE"}}"#;
/// The user whose listing has 24 MB.
const CROWD: &str = "crowd@me.com";
const LISTINGS: usize = 60;

/// Prints a table and collects the exceeded limits.
#[derive(Default)]
struct Table {
    failed: Vec<String>,
}

impl Table {
    fn row(&mut self, name: &str, cells: [&str; 3], limit: &str, is_within: bool) {
        let [measured, peer, ratio] = cells;
        let verdict = if is_within { "" } else { "  FAILED" };
        println!("{name:48}{measured:>12}{peer:>12}{ratio:>8}  {limit:8}{verdict}");
        if !is_within {
            self.failed.push(name.to_owned());
        }
    }

    /// Prints a comparison with a peer; the limit is a minimum or maximum ratio.
    fn compared<T: Display>(&mut self, name: &str, compared: &Compared<T>, limit: Limit) {
        let Compared { measured, peer, ratio } = compared;
        let cells = [measured.to_string(), peer.to_string(), format!("{ratio:.2}")];
        let (limit, is_within) = match limit {
            Limit::AtLeast(limit) => (format!(">= {limit}"), *ratio >= limit),
            Limit::AtMost(limit) => (format!("<= {limit}"), *ratio <= limit),
            Limit::None => (String::new(), true),
        };
        self.row(name, cells.each_ref().map(String::as_str), &limit, is_within);
    }

    fn memory(&mut self, name: &str, megabytes: u64) {
        self.row(name, [&format!("{megabytes} MB"), "", ""], "< 100 MB", megabytes < 100);
    }
}

enum Limit {
    AtLeast(f64),
    AtMost(f64),
    None,
}

/// The medians of interleaved runs of the server and its peer, and of their ratios.
struct Compared<T> {
    measured: T,
    peer: T,
    ratio: f64,
}

impl Compared<f64> {
    fn in_turns(turns: usize, mut measure: impl FnMut() -> (f64, f64)) -> Self {
        let (mut measured, mut peers, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..turns {
            let (value, peer) = measure();
            measured.push(value);
            peers.push(peer);
            ratios.push(value / peer);
        }
        Self { measured: median(measured), peer: median(peers), ratio: median(ratios) }
    }

    fn map<T>(&self, show: impl Fn(f64) -> T) -> Compared<T> {
        Compared { measured: show(self.measured), peer: show(self.peer), ratio: self.ratio }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn per_second(value: f64) -> String {
    format!("{value:.0} /s")
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1000.0)
}

/// The number of the next created key.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A server, and the key for requests to it.
#[derive(Clone)]
struct Target {
    address: String,
    key: String,
}

impl Target {
    fn new(url: &str, key: &str) -> Self {
        let address = url.strip_prefix("http://").unwrap().to_owned();
        Self { address, key: key.to_owned() }
    }

    fn get(&self, path: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nhost: h\r\nauthorization: ApiKey {}\r\n\r\n", self.key)
            .into()
    }

    fn create(&self) -> Vec<u8> {
        let body = format!(r#"{{"name":"key-{}"}}"#, NUMBER.fetch_add(1, Relaxed));
        let length = body.len();
        format!(
            "POST {KEYS} HTTP/1.1\r\nhost: h\r\nauthorization: ApiKey {}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}",
            self.key
        )
        .into()
    }

    async fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(&self.address).await.unwrap();
        connection.set_nodelay(true).unwrap();
        connection
    }

    /// Makes this many requests, [`IN_FLIGHT`] concurrently, and returns their number per second.
    fn rate(&self, runtime: &Runtime, requests: usize, request: fn(&Self) -> Vec<u8>) -> f64 {
        runtime.block_on(async {
            let mut connections = Vec::new();
            for _ in 0..IN_FLIGHT {
                connections.push(self.connect().await);
            }
            let start = Instant::now();
            let mut tasks = JoinSet::new();
            for mut connection in connections {
                let target = self.clone();
                tasks.spawn(async move {
                    let mut buffer = vec![0; 16_384];
                    for _ in 0..requests / IN_FLIGHT {
                        exchange(&mut connection, &request(&target), &mut buffer).await;
                    }
                });
            }
            tasks.join_all().await;
            requests as f64 / start.elapsed().as_secs_f64()
        })
    }

    /// Returns the 99th percentile, in seconds, of gets at a moderate load: four connections on one
    /// thread, each with pauses between requests.
    fn p99(&self, path: impl Fn() -> String) -> f64 {
        const REQUESTS: usize = 400;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let probe = || async {
            let mut connection = self.connect().await;
            let mut buffer = vec![0; 16_384];
            let mut times = Vec::with_capacity(REQUESTS);
            for _ in 0..REQUESTS {
                let request = self.get(&path());
                let start = Instant::now();
                exchange(&mut connection, &request, &mut buffer).await;
                times.push(start.elapsed().as_secs_f64());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            times
        };
        let times = runtime.block_on(async {
            let (a, b, c, d) = tokio::join!(probe(), probe(), probe(), probe());
            [a, b, c, d]
        });
        let mut times = times.concat();
        times.sort_by(f64::total_cmp);
        times[times.len() * 99 / 100]
    }
}

/// Makes a request and reads its response, which must be a success.
async fn exchange(connection: &mut TcpStream, request: &[u8], buffer: &mut [u8]) {
    connection.write_all(request).await.unwrap();
    let mut filled = 0;
    loop {
        let read = connection.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "the server closed the connection");
        filled += read;
        let Some(end) = buffer[..filled].windows(4).position(|it| it == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..end]).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if filled >= end + 4 + length.unwrap().parse::<usize>().unwrap() {
            return;
        }
    }
}

/// Serves with plain axum.
fn serve(runtime: &Runtime, router: Router) -> Target {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    runtime.spawn(async { axum::serve(listener, router).await });
    Target { address, key: "none".to_owned() }
}

/// Serves a constant.
fn constant(runtime: &Runtime) -> Target {
    let handler = get(|| async { (JSON, CONSTANT) });
    serve(runtime, Router::new().route(&format!("{KEYS}/{{name}}"), handler))
}

/// Serves a handler that inserts a row of a key's size in a synced transaction, and returns a
/// constant.
fn insert(runtime: &Runtime, directory: &Path) -> Target {
    let database = Connection::open(directory.join("peer.db")).unwrap();
    let set_up = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        CREATE TABLE api_keys (id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT, name TEXT,
            lookup_hash BLOB UNIQUE, encrypted BLOB, identifier TEXT, created_at INTEGER,
            created_by_key TEXT, suspended INTEGER, UNIQUE (owner, name)) STRICT;";
    database.execute_batch(set_up).unwrap();
    let database = Arc::new(Mutex::new(database));
    let insert = move |body: String| {
        let mut database = database.lock().unwrap();
        let transaction = database.transaction().unwrap();
        let statement = "INSERT INTO api_keys (owner, name, lookup_hash, encrypted, identifier,
            created_at, created_by_key, suspended) VALUES (?, ?, ?, ?, 'abcdef', ?, 'initial', 0)";
        let (mut hash, mut encrypted) = ([0; 32], [0; 104]);
        fastrand::fill(&mut hash);
        fastrand::fill(&mut encrypted);
        let values = params![ADMIN, body, hash, encrypted, 1_767_225_600_000_i64];
        transaction.prepare_cached(statement).unwrap().execute(values).unwrap();
        transaction.commit().unwrap();
    };
    let handler = post(move |body: String| {
        let inserted = tokio::task::spawn_blocking({
            let insert = insert.clone();
            move || insert(body)
        });
        async {
            inserted.await.unwrap();
            (JSON, CONSTANT)
        }
    });
    serve(runtime, Router::new().route(KEYS, handler))
}

/// Inserts this many keys into the database. `owner` and `name` are SQL expressions of `i`, the
/// number of the key.
fn fill(directory: &Path, keys: u32, owner: &str, name: &str) {
    let database = Connection::open(directory.join("keys.db")).unwrap();
    let insert = format!(
        "PRAGMA synchronous = OFF;
         PRAGMA cache_size = -500000;
         BEGIN IMMEDIATE;
         CREATE TEMP TABLE keys AS
             WITH RECURSIVE numbers (i) AS
                 (SELECT 0 UNION ALL SELECT i + 1 FROM numbers LIMIT {keys})
             SELECT i, {owner} AS owner, {name} AS name FROM numbers;
         INSERT OR IGNORE INTO users (email, role) SELECT DISTINCT owner, 'member' FROM keys;
         INSERT INTO api_keys (owner, name, lookup_hash, encrypted, identifier, created_at,
                 last_access, suspended)
             SELECT owner, name, randomblob(32), randomblob(104), 'abcdef', 1767225600000 + i,
                 1767225600000 + i, 0 FROM keys;
         COMMIT;"
    );
    database.execute_batch(&insert).unwrap();
}

/// The running program.
struct Program {
    child: Child,
    target: Target,
}

impl Program {
    /// Starts a server in this directory. Returns it when it is ready, with the time that took.
    fn start(directory: &Path, key: Option<&str>) -> (Self, Duration) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rockset-apikeys-server"));
        let settings = std::env::vars().map(|(name, _)| name);
        for name in settings.filter(|name| name.starts_with("ROCKSET_")) {
            command.env_remove(name);
        }
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--rate-limit",
            "0",
            "--log-level",
            "error",
        ]);
        let start = Instant::now();
        let mut child = command.current_dir(directory).stdout(Stdio::piped()).spawn().unwrap();
        let (mut url, mut key) = (None, key.map(str::to_owned));
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let line = line.trim();
            url = line.strip_prefix("export ROCKSET_APISERVER=").map(str::to_owned).or(url);
            // A later start prints a command that issues a key.
            key = key.or(line.strip_prefix("export ROCKSET_APIKEY=").map(str::to_owned));
            if line.contains("Ctrl-C") {
                break;
            }
        }
        let target = Target::new(&url.expect("the server did not start"), &key.unwrap());
        (Self { child, target }, start.elapsed())
    }

    /// Starts a server in a new directory and stops it. Returns the administrator's key.
    fn set_up(directory: &Path) -> String {
        let (mut program, _) = Self::start(directory, None);
        let id = program.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(program.child.wait().unwrap().success());
        program.target.key.clone()
    }

    fn resident_megabytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the path of a random key of a random user.
fn random_key(users: u32, keys: u32) -> String {
    let (user, key) = (fastrand::u32(..users), fastrand::u32(..keys));
    format!("/v1/orgs/self/users/user-{user}@me.com/apikeys/key-{key}")
}

/// How a client reads listings.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    Never,
    Slowly,
    AtFullSpeed,
}

/// Requests listings on [`LISTINGS`] connections until the result is dropped. Returns when all
/// responses have begun.
fn list(runtime: &Runtime, target: &Target, reading: Reading) -> JoinSet<()> {
    let begun = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..LISTINGS {
        let (target, begun) = (target.clone(), Arc::clone(&begun));
        let readers = async move {
            // The server closes the connection after the listing.
            let request = format!(
                "GET /v1/orgs/self/users/{CROWD}/apikeys HTTP/1.1\r\nhost: h\r\n\
                 authorization: ApiKey {}\r\nconnection: close\r\n\r\n",
                target.key
            );
            let mut buffer = vec![0; 16_384];
            let mut is_first = true;
            loop {
                let mut connection = target.connect().await;
                connection.write_all(request.as_bytes()).await.unwrap();
                connection.peek(&mut buffer[..1]).await.unwrap();
                if std::mem::take(&mut is_first) {
                    begun.fetch_add(1, Relaxed);
                }
                if reading == Reading::Never {
                    std::future::pending::<()>().await;
                }
                let mut length = 0;
                loop {
                    let read = connection.read(&mut buffer).await.unwrap();
                    if read == 0 {
                        break;
                    }
                    length += read;
                    if reading == Reading::Slowly {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
                assert!(length > 24_000_000, "a listing of {length} bytes");
            }
        };
        tasks.spawn_on(readers, runtime.handle());
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while begun.load(Relaxed) < LISTINGS as u64 {
        assert!(Instant::now() < deadline, "{begun:?} of {LISTINGS} listings have begun");
        std::thread::sleep(Duration::from_millis(1));
    }
    tasks
}

/// Compares gets, creates and a listing of an in-process server with plain axum handlers.
fn compare_handlers(table: &mut Table, runtime: &Runtime) {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", directory.path().join("keys.db").display());
    let server = runtime.block_on(Server::builder().database(file).start()).unwrap();
    let target = Target::new(server.url(), server.admin_key().expose_secret());

    let peer = constant(runtime);
    let get: fn(&Target) -> Vec<u8> = |target| target.get(&format!("{KEYS}/initial"));
    let gets = || (target.rate(runtime, 12_800, get), peer.rate(runtime, 12_800, get));
    let gets = Compared::in_turns(9, gets).map(per_second);
    table.compared("get; peer: a constant", &gets, Limit::AtLeast(0.6));

    let peer = insert(runtime, directory.path());
    let create = Target::create;
    let creates = || (target.rate(runtime, 640, create), peer.rate(runtime, 640, create));
    let creates = Compared::in_turns(9, creates).map(per_second);
    table.compared("create; peer: one INSERT", &creates, Limit::AtLeast(0.5));

    fill(directory.path(), 10_000, "'list@me.com'", "format('key-%d', i)");
    let path = "/v1/orgs/self/users/list@me.com/apikeys";
    let client = reqwest::Client::new();
    let list = |target: &Target| {
        let url = format!("http://{}{path}", target.address);
        let request = client.get(url).header("authorization", format!("ApiKey {}", target.key));
        let start = Instant::now();
        let body = runtime.block_on(async {
            request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap()
        });
        (start.elapsed().as_secs_f64(), body)
    };
    let (_, listing) = list(&target);
    let length = listing.len();
    let handler = axum::routing::get(move || async move { (JSON, listing) });
    let peer = serve(runtime, Router::new().route(path, handler));
    let lists = || {
        let ((time, body), (peer_time, _)) = (list(&target), list(&peer));
        assert_eq!(body.len(), length);
        (time, peer_time)
    };
    let lists = Compared::in_turns(9, lists).map(milliseconds);
    table.compared("list 10,000 keys; peer: a constant", &lists, Limit::None);
}

/// Compares the program with 1,000,000 keys to itself with 100 keys, and under load to itself idle.
fn compare_sizes(table: &mut Table, runtime: &Runtime) {
    let (few, many) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = [few.path(), many.path()].map(Program::set_up);
    let (owner, name) = ("format('user-%d@me.com', i / {})", "format('key-%d', i % {})");
    let of = |text: &str, keys: u32| text.replace("{}", &keys.to_string());
    fill(few.path(), 100, &of(owner, 10), &of(name, 10));
    fill(many.path(), 900_000, &of(owner, 900), &of(name, 900));
    fill(many.path(), 100_000, &format!("'{CROWD}'"), "format('key-%076d', i)");
    let (few, _) = Program::start(few.path(), Some(&keys[0]));
    let (many, ready) = Program::start(many.path(), Some(&keys[1]));
    let time = format!("{:.0} ms", ready.as_secs_f64() * 1000.0);
    let is_fast = ready < Duration::from_secs(1);
    table.row("start with 1,000,000 keys", [&time, "", ""], "< 1 s", is_fast);

    many.target.rate(runtime, 10_016, |target| target.get(&random_key(1000, 900)));
    table.memory("memory after 10,000 gets of them", many.resident_megabytes());
    let p99 = || {
        let many = many.target.p99(|| random_key(1000, 900));
        (many, few.target.p99(|| random_key(10, 10)))
    };
    let p99 = Compared::in_turns(7, p99).map(milliseconds);
    table.compared("get, p99, 1,000,000 keys; peer: 100 keys", &p99, Limit::AtMost(2.0));

    for (reading, how) in [
        (Reading::Never, "unread"),
        (Reading::Slowly, "read slowly"),
        (Reading::AtFullSpeed, "at full speed"),
    ] {
        let mut memory = 0;
        let p99 = || {
            let idle = many.target.p99(|| random_key(1000, 900));
            let listings = list(runtime, &many.target, reading);
            let busy = many.target.p99(|| random_key(1000, 900));
            memory = memory.max(many.resident_megabytes());
            drop(listings);
            (busy, idle)
        };
        let p99 = Compared::in_turns(7, p99).map(milliseconds);
        let name = format!("get, p99, {LISTINGS} listings {how}; peer: idle");
        table.compared(&name, &p99, Limit::AtMost(2.0));
        table.memory(&format!("memory, {LISTINGS} listings of 24 MB {how}"), memory);
    }
}

fn main() {
    // `cargo test --benches` does not pass `--bench`, and should not take minutes.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = Runtime::new().unwrap();
    let mut table = Table::default();
    println!("\n{:48}{:>12}{:>12}{:>8}  limit\n", "", "server", "peer", "ratio");
    compare_handlers(&mut table, &runtime);
    compare_sizes(&mut table, &runtime);
    println!();
    assert!(table.failed.is_empty(), "exceeded limits: {:#?}", table.failed);
}
