//! How many requests the server answers, beside a bare axum handler that returns a constant.
//!
//! Both are spoken to in the same way, over loopback sockets: requests are written as bytes, and no
//! more is read of an answer than where it ends, so that the time is the server's as far as it can
//! be. The first lines are a comparison in turns, of which the ratios count: the machine's mood
//! hits both. Run it with `cargo bench -p rockset-apikeys-server`.

#![allow(missing_docs, clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rockset_apikeys_server::{ADMIN, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

const CONNECTIONS: u64 = 32;
const KEYS: &str = "/v1/orgs/self/users/self/apikeys";
const CONSTANT: &str = r#"{"data":{"created_at":"2026-11-23T15:11:05.787Z","created_by":"admin@me.com","key":"2B9m4O","last_access_time":"2026-11-23T15:11:07.442Z","name":"initial","state":"ACTIVE"}}"#;

/// One kind of request to one server.
#[derive(Clone)]
struct Target {
    name: &'static str,
    address: String,
    key: String,
    creates: bool,
}

/// Numbers the names of created keys.
static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Target {
    fn request(&self) -> Vec<u8> {
        let head = format!("host: h\r\nauthorization: ApiKey {}\r\naccept: */*\r\n", self.key);
        if !self.creates {
            return format!("GET {KEYS}/initial HTTP/1.1\r\n{head}\r\n").into();
        }
        let body = format!(r#"{{"name":"key-{}"}}"#, NUMBER.fetch_add(1, Relaxed));
        let length = body.len();
        format!(
            "POST {KEYS} HTTP/1.1\r\n{head}content-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .into()
    }

    /// Makes this many requests over as many connections as there are, and tells how long it took.
    fn load(&self, runtime: &Runtime, requests: u64) -> Duration {
        runtime.block_on(async {
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS.min(requests) {
                let connection = TcpStream::connect(&self.address).await.unwrap();
                connection.set_nodelay(true).unwrap();
                connections.push(connection);
            }
            let start = Instant::now();
            let count = connections.len() as u64;
            let tasks: Vec<_> = (0..count)
                .zip(connections)
                .map(|(index, mut connection)| {
                    let target = self.clone();
                    let share = requests / count + u64::from(index < requests % count);
                    tokio::spawn(async move {
                        let mut buffer = vec![0; 16_384];
                        for _ in 0..share {
                            connection.write_all(&target.request()).await.unwrap();
                            read_answer(&mut connection, &mut buffer).await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            start.elapsed()
        })
    }
}

/// Reads one success, to its end.
async fn read_answer(connection: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    loop {
        filled += connection.read(&mut buffer[filled..]).await.unwrap();
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

/// The bare handler, and get and create in memory and on a file, with what keeps them running.
fn targets(runtime: &Runtime) -> (Vec<Target>, Vec<Server>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("keys.db").display());
    let (memory, file) = runtime.block_on(async {
        let memory = Server::start().await.unwrap();
        (memory, Server::builder().database(file).start().await.unwrap())
    });
    let bare = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = bare.local_addr().unwrap().to_string();
    let constant = || async { ([("content-type", "application/json")], CONSTANT) };
    let router = Router::new().route(&format!("{KEYS}/{{name}}"), get(constant));
    runtime.spawn(async { axum::serve(bare, router).await });
    let target = |name, server: &Server, creates| Target {
        name,
        address: server.url().trim_start_matches("http://").to_owned(),
        key: server.admin_key().expose_secret().to_owned(),
        creates,
    };
    let targets = vec![
        Target { name: "bare axum handler", address, key: String::new(), creates: false },
        target("get, in memory", &memory, false),
        target("get, on a file", &file, false),
        target("create, in memory", &memory, true),
        target("create, on a file", &file, true),
    ];
    (targets, vec![memory, file], folder)
}

/// Loads all targets in turns and prints how they compare with the first.
fn compare(runtime: &Runtime, targets: &[Target]) {
    const TURNS: usize = 11;
    let mut rates = vec![Vec::new(); targets.len()];
    for _ in 0..TURNS {
        for (target, rates) in targets.iter().zip(&mut rates) {
            let requests = if target.creates { 200 } else { 10_000 };
            rates.push(requests as f64 / target.load(runtime, requests).as_secs_f64());
        }
    }
    println!("\n{:20}{:>12}{:>8}", "", "requests/s", "ratio");
    let medians = rates.iter_mut().map(|rates| {
        rates.sort_by(f64::total_cmp);
        rates[TURNS / 2]
    });
    let medians: Vec<_> = medians.collect();
    for (target, median) in targets.iter().zip(&medians) {
        println!("{:20}{median:>12.0}{:>8.2}", target.name, median / medians[0]);
    }
    println!();
    for get in [1, 2] {
        assert!(medians[get] >= 0.5 * medians[0], "get is less than half as fast as the handler");
    }
}

/// A server whose administrator has 10,000 keys.
fn crowded(runtime: &Runtime) -> Server {
    let server = runtime.block_on(Server::start()).unwrap();
    let target = Target {
        name: "",
        address: server.url().trim_start_matches("http://").to_owned(),
        key: server.admin_key().expose_secret().to_owned(),
        creates: true,
    };
    target.load(runtime, 9_999);
    server
}

fn requests(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let (targets, _servers, _folder) = targets(&runtime);
    compare(&runtime, &targets);
    let mut group = criterion.benchmark_group("requests");
    group.throughput(Throughput::Elements(1));
    for target in &targets {
        group.bench_function(target.name, |bencher| {
            bencher.iter_custom(|requests| target.load(&runtime, requests));
        });
    }
    group.finish();

    let server = crowded(&runtime);
    let client = rockset_apikeys::Client::builder()
        .api_server(server.url())
        .api_key(server.admin_key().clone())
        .build()
        .unwrap();
    let client = Arc::new(client);
    criterion.bench_function("list 10,000 keys", |bencher| {
        bencher.iter(|| {
            let keys = runtime.block_on(client.list_api_keys().user(ADMIN).into_future()).unwrap();
            assert_eq!(keys.len(), 10_000);
        });
    });
}

criterion_group!(benches, requests);
criterion_main!(benches);
