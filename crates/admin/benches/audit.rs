//! Audits 1,000 users with 10 keys each on an in-process server, and fails if it exceeds its time
//! or memory limit.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use rockset_apikeys_admin::audit::{Policy, audit};
use rockset_apikeys_server::{Role, Server};

const USERS: usize = 1_000;
const KEYS: usize = 10;
const LIMIT: Duration = Duration::from_secs(5);
/// Of the audit and the server together.
const MEMORY_LIMIT_KB: u64 = 64 * 1024;

#[tokio::main]
async fn main() {
    let users = (0..USERS).map(|number| format!("user-{number}@me.com")).collect::<Vec<_>>();
    let mut builder = Server::builder();
    for user in &users {
        builder = builder.user(user, Role::Member);
    }
    let server = builder.start().await.unwrap();
    let client = server.client();
    // Every user already has one.
    let creates = users.iter().flat_map(|user| (1..KEYS).map(move |number| (user, number)));
    let creates = stream::iter(creates).map(|(user, number)| {
        client.create_api_key(format!("key-{number}")).created_by(user).role("member").send()
    });
    creates.buffer_unordered(32).for_each(async |created| drop(created.unwrap())).await;

    let before = peak_kb();
    let start = Instant::now();
    let report = audit(&client, &users, &Policy::default(), |_| {}).await;
    let time = start.elapsed();
    let memory = peak_kb() - before;
    assert!(report.is_complete());
    let (keys, findings) = (report.keys, report.findings.len());
    println!("{keys} keys, {findings} findings: {} ms, {memory} kB", time.as_millis());
    assert_eq!(keys, USERS * KEYS);
    assert!(time < LIMIT && memory < MEMORY_LIMIT_KB, "a limit is exceeded");
}

/// Returns the process's peak memory, or 0 if the OS does not report it.
fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
