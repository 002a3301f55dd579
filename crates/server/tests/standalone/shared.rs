//! Several servers and commands that use one database concurrently.

use crate::program::{UNAUTHORIZED, status_of};
use std::path::Path;
use std::time::{Duration, Instant};

use rockset_apikeys::{ApiKey, Client, Error, KeyState};
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::program::{Program, client_for, run, temporary_directory};

const UNLIMITED: [&str; 4] = ["--rate-limit", "0", "--log-level", "error"];

/// Starts two servers on one database, each with a client of the administrator.
fn two_servers(directory: &Path) -> [(Program, Client); 2] {
    let first = Program::serve(directory, &UNLIMITED);
    let second = Program::serve(directory, &UNLIMITED);
    let key = first.admin_key.clone().unwrap();
    [first, second].map(|server| {
        let client = server.client(&key);
        (server, client)
    })
}

/// Concurrently creates keys with these names, with alternating clients.
async fn create(clients: &[&Client], names: Vec<String>) -> Vec<Result<ApiKey, Error>> {
    let mut creates = JoinSet::new();
    for (name, client) in names.into_iter().zip(clients.iter().cycle()) {
        creates.spawn(client.create_api_key(name).into_future());
    }
    creates.join_all().await
}

async fn works(server: &Program, key: &ApiKey) -> bool {
    match server.client(key.key.expose_secret()).list_api_keys().await {
        Ok(_) => true,
        Err(error) => {
            assert!(error.kind() == UNAUTHORIZED, "{error}");
            false
        }
    }
}

async fn names(client: &Client) -> Vec<String> {
    client.list_api_keys().await.unwrap().into_iter().map(|key| key.name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_creates_of_different_names_all_succeed() {
    let directory = temporary_directory();
    let [(_a, first), (_b, second)] = two_servers(directory.path());
    let expected: Vec<_> = (0..300).map(|number| format!("key-{number:03}")).collect();
    let results = create(&[&first, &second], expected.clone()).await;
    let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{} creates failed; the first: {}", failed.len(), failed[0]);
    for client in [first, second] {
        let names = names(&client).await;
        let missing: Vec<_> = expected.iter().filter(|name| !names.contains(name)).collect();
        assert!(missing.is_empty(), "acknowledged but not listed: {missing:?}");
        assert_eq!(names.len(), 1 + expected.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_concurrent_creates_of_a_name_succeeds() {
    let directory = temporary_directory();
    let [(_a, first), (_b, second)] = two_servers(directory.path());
    for number in 0..50 {
        let results = create(&[&first, &second], vec![format!("key-{number}"); 6]).await;
        let (created, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        for error in failed.into_iter().filter_map(Result::err) {
            assert!(error.is_conflict(), "{error}");
        }
        assert_eq!(created.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_first_starts_share_master_key_and_administrator() {
    for _ in 0..5 {
        let directory = temporary_directory();
        let start = || Program::serve(directory.path(), &UNLIMITED);
        let mut servers: Vec<Program> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..6).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let keys: Vec<_> = servers.iter().filter_map(|server| server.admin_key.clone()).collect();
        assert_eq!(keys.len(), 1, "not exactly one server printed the administrator's key");
        servers.push(start());
        for (number, server) in servers.iter().enumerate() {
            let client = server.client(&keys[0]);
            let created = client.create_api_key(format!("key-{number}")).await.unwrap();
            // Every server can reveal the key, so all use one master key.
            for server in &servers {
                let client = server.client(&keys[0]);
                let revealed = client.get_api_key(&created.name).reveal(true).await.unwrap();
                assert_eq!(revealed.key.expose_secret(), created.key.expose_secret());
            }
        }
        let database = Connection::open(directory.path().join("keys.db")).unwrap();
        for rows in ["directory", "users", "api_keys WHERE name = 'initial'"] {
            let count = format!("SELECT count(*) FROM {rows}");
            let count: i64 = database.query_row(&count, [], |row| row.get(0)).unwrap();
            assert_eq!(count, 1, "{rows}");
        }
    }
}

#[test]
fn start_waits_while_another_process_prepares_the_database() {
    let directory = temporary_directory();
    let other = Connection::open(directory.path().join("keys.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    std::thread::scope(|scope| {
        let start = scope.spawn(|| Program::serve(directory.path(), &UNLIMITED));
        std::thread::sleep(Duration::from_millis(500));
        assert!(!start.is_finished(), "the start did not wait");
        drop(other);
        assert!(start.join().unwrap().admin_key.is_some());
    });
}

#[tokio::test]
async fn change_is_visible_to_the_next_request_to_another_server() {
    let directory = temporary_directory();
    let [(a, first), (b, second)] = two_servers(directory.path());
    for number in 0..100 {
        let name = format!("key-{number}");
        let key = first.create_api_key(&name).await.unwrap();
        assert!(works(&b, &key).await, "created");
        first.update_api_key(&name).state(KeyState::Suspended).await.unwrap();
        assert!(!works(&b, &key).await, "suspended");
        second.update_api_key(&name).state(KeyState::Active).await.unwrap();
        assert!(works(&a, &key).await, "activated");
        second.delete_api_key(&name).await.unwrap();
        assert!(!works(&a, &key).await, "deleted");
    }
}

#[tokio::test]
async fn added_and_removed_users_are_visible_to_the_next_request() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &UNLIMITED);
    let admin = server.client(&server.admin_key.clone().unwrap());
    for _ in 0..10 {
        let added = run(directory.path(), &["users", "add", "dev@me.com"]);
        assert!(added.status.success());
        let first_key = String::from_utf8(added.stdout).unwrap();
        let dev = server.client(first_key.trim());
        dev.list_api_keys().await.expect("the added user cannot list keys");
        let created = admin.create_api_key("k").created_by("dev@me.com").await.unwrap();
        assert!(works(&server, &created).await);

        assert!(run(directory.path(), &["users", "remove", "dev@me.com"]).status.success());
        assert!(!works(&server, &created).await, "the removed user's key still works");
        assert!(dev.list_api_keys().await.unwrap_err().kind() == UNAUTHORIZED);
        let error = admin.list_api_keys().user("dev@me.com").await.unwrap_err();
        assert!(error.is_not_found(), "{error}");
    }
}

/// Locks the database like another process, until the connection is dropped.
fn lock(directory: &Path) -> Connection {
    let database = Connection::open(directory.join("keys.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_succeed_while_another_process_holds_the_write_lock() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &UNLIMITED);
    let admin_key = server.admin_key.clone().unwrap();
    let client = server.client(&admin_key);
    let lock = lock(directory.path());
    let start = Instant::now();
    let queued: Vec<_> = (0..8).map(|number| format!("key-{number}")).collect();
    let queued = tokio::spawn({
        let client = client.clone();
        async move { (create(&[&client], queued).await, start.elapsed()) }
    });

    let two_seconds = Duration::from_secs(2);
    while !queued.is_finished() {
        let health = tokio::time::timeout(two_seconds, server.health()).await;
        assert_eq!(health.expect("no response"), 503, "the database is locked");
        let read = async { (client.get_api_key("initial").await, names(&client).await) };
        let (key, names) = tokio::time::timeout(two_seconds, read).await.expect("no response");
        assert_eq!(key.unwrap().name, "initial");
        assert_eq!(names, ["initial"]);
    }
    let (results, elapsed) = queued.await.unwrap();
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(status_of(&error), Some(503), "{error}");
        assert!(error.retry_after().is_some_and(|wait| wait > Duration::ZERO), "{error}");
    }
    assert!(elapsed < Duration::from_secs(8), "the changes did not fail together: {elapsed:?}");

    drop(lock);
    client.create_api_key("later").await.unwrap();
    assert_eq!(names(&client).await, ["initial", "later"], "a failed create was applied");
    server.health_becomes(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_creates_are_dropped_when_clients_disconnect() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &UNLIMITED);
    let admin_key = server.admin_key.clone().unwrap();
    let client = server.client(&admin_key);
    let lock = lock(directory.path());
    let mut leaving = JoinSet::new();
    for number in 0..8 {
        // Each client has its own connection, which is closed with it.
        let client = client_for(&server.url, &admin_key);
        leaving.spawn(async move {
            let create = client.create_api_key(format!("key-{number}")).into_future();
            tokio::time::timeout(Duration::from_millis(500), create).await.is_err()
        });
    }
    assert!(leaving.join_all().await.into_iter().all(|has_left| has_left), "a create did not wait");
    // The server notices the closed connections before it responds to these requests.
    for _ in 0..50 {
        client.get_api_key("initial").await.unwrap();
    }
    drop(lock);
    client.create_api_key("later").await.unwrap();
    assert_eq!(names(&client).await, ["initial", "later"]);
}
