//! A database that is full, locked, or changed by another process.

use crate::program::{UNAUTHORIZED, status_of};
use std::path::Path;
use std::time::Duration;

use rockset_apikeys::{ApiKey, Client, Error, KeyState};
use rusqlite::Connection;

use crate::program::{Program, run, temporary_directory};

/// Enough for the first users and some hundred keys.
const KIBIBYTES: u32 = 128;
const QUIET: [&str; 4] = ["--rate-limit", "0", "--log-level", "error"];

/// Connects to the database like another process.
fn connect(directory: &Path) -> Connection {
    let connection = Connection::open(directory.join("keys.db")).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    connection
}

/// Empties the write-ahead log of a limited server, so that it can write again.
fn make_room(directory: &Path) {
    let checkpoint = connect(directory);
    checkpoint.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn is_unavailable(error: &Error) -> bool {
    status_of(error) == Some(503) && error.retry_after().is_some()
}

/// Sends a request and returns it while it waits for the locked database.
async fn waiting<F>(call: F) -> std::pin::Pin<Box<F::IntoFuture>>
where
    F: IntoFuture,
{
    let mut call = Box::pin(call.into_future());
    let half_a_second = Duration::from_millis(500);
    assert!(
        tokio::time::timeout(half_a_second, &mut call).await.is_err(),
        "the request did not wait"
    );
    call
}

async fn names(client: &Client) -> Vec<String> {
    client.list_api_keys().await.unwrap().into_iter().map(|key| key.name.clone()).collect()
}

#[tokio::test]
async fn full_disk_rejects_creates_and_keeps_acknowledged_keys() {
    let directory = temporary_directory();
    let server = Program::serve_limited(directory.path(), KIBIBYTES, &QUIET);
    let admin_key = server.admin_key.clone().unwrap();
    let client = server.client(&admin_key);
    let (mut created, mut failed): (Vec<ApiKey>, Vec<Error>) = (Vec::new(), Vec::new());
    for number in 0..1000 {
        match client.create_api_key(format!("key-{number}")).await {
            Ok(key) => created.push(key),
            Err(error) => failed.push(error),
        }
        if failed.len() == 20 {
            break;
        }
    }
    make_room(directory.path());
    created.push(client.create_api_key("later").await.unwrap());
    server.kill();

    let server = Program::serve(directory.path(), &QUIET);
    let mut expected = vec!["initial".to_owned()];
    expected.extend(created.iter().map(|key| key.name.clone()));
    let kept = names(&server.client(&admin_key)).await;
    let lost = expected.iter().filter(|name| !kept.contains(name)).count();
    assert_eq!(lost, 0, "acknowledged keys of {} are lost", created.len());
    assert_eq!(kept, expected, "a key exists although its creation failed");
    for key in created {
        server.client(key.key.expose_secret()).list_api_keys().await.unwrap();
    }
    assert_eq!(failed.len(), 20, "the disk was not full");
    for error in failed {
        assert!(is_unavailable(&error), "{error}");
    }
}

#[tokio::test]
async fn server_keeps_acknowledged_changes_after_failed_writes() {
    let directory = temporary_directory();
    let server = Program::serve_limited(directory.path(), KIBIBYTES, &QUIET);
    let admin_key = server.admin_key.clone().unwrap();
    let client = server.client(&admin_key);
    let suspended = client.create_api_key("suspended").await.unwrap().key;
    client.create_api_key("deleted").await.unwrap();
    let mut fillers = (0..1000).map(|number| format!("filler-{number}"));
    let mut filler = || fillers.next().expect("the disk is not full");
    while client.create_api_key(filler()).await.is_ok() {}
    // Last-access times cannot be stored either.
    server.health_becomes(503).await;
    make_room(directory.path());
    let created = client.create_api_key("created").await.unwrap().key;
    client.update_api_key("suspended").state(KeyState::Suspended).await.unwrap();
    client.delete_api_key("deleted").await.unwrap();
    server.health_becomes(200).await;
    server.kill();

    let server = Program::serve(directory.path(), &QUIET);
    let kept = names(&server.client(&admin_key)).await;
    assert!(kept.iter().any(|name| name == "created"), "{kept:?}");
    assert!(kept.iter().all(|name| name != "deleted"), "{kept:?}");
    server.client(created.expose_secret()).list_api_keys().await.unwrap();
    let suspended = server.client(suspended.expose_secret()).list_api_keys().await;
    assert!(suspended.unwrap_err().kind() == UNAUTHORIZED);
}

#[tokio::test]
async fn removed_users_key_fails_while_the_database_is_locked() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &["--user", "dev@me.com=member"]);
    let admin = server.client(&server.admin_key.clone().unwrap());
    let dev = admin.create_api_key("k").created_by("dev@me.com").await.unwrap().key;
    let dev = server.client(dev.expose_secret());
    dev.list_api_keys().await.unwrap();
    assert_eq!(server.health().await, 200);

    let other = connect(directory.path());
    let remove = "DELETE FROM users WHERE email = 'dev@me.com'; BEGIN IMMEDIATE";
    other.execute_batch(remove).unwrap();
    let error = admin.create_api_key("k").await.unwrap_err();
    let while_locked = dev.list_api_keys().await;
    other.execute_batch("ROLLBACK").unwrap();
    server.health_becomes(200).await;
    let afterwards = dev.list_api_keys().await;
    assert!(afterwards.unwrap_err().kind() == UNAUTHORIZED);
    assert!(while_locked.unwrap_err().kind() == UNAUTHORIZED);
    assert!(is_unavailable(&error), "{error}");
}

#[tokio::test]
async fn waiting_changes_get_404_when_another_process_deletes_the_key() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &[]);
    let client = server.client(&server.admin_key.clone().unwrap());
    let other = connect(directory.path());
    let delete = "BEGIN IMMEDIATE; DELETE FROM api_keys WHERE name = 'k'";

    client.create_api_key("k").await.unwrap();
    other.execute_batch(delete).unwrap();
    let update = waiting(client.update_api_key("k").state(KeyState::Suspended)).await;
    other.execute_batch("COMMIT").unwrap();
    assert!(update.await.unwrap_err().is_not_found());

    client.create_api_key("k").await.unwrap();
    other.execute_batch(delete).unwrap();
    let deletion = waiting(client.delete_api_key("k")).await;
    other.execute_batch("COMMIT").unwrap();
    assert!(deletion.await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn waiting_create_gets_409_when_another_process_takes_the_name() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &[]);
    let client = server.client(&server.admin_key.clone().unwrap());
    let other = connect(directory.path());
    let insert = "BEGIN IMMEDIATE;
        INSERT INTO api_keys (owner, name, lookup_hash, encrypted, identifier, created_at, suspended)
        VALUES ('admin@me.com', 'k', randomblob(32), x'00', 'abcdef', 0, 0)";
    other.execute_batch(insert).unwrap();
    let create = waiting(client.create_api_key("k")).await;
    other.execute_batch("COMMIT").unwrap();
    let error = create.await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    client.create_api_key("l").await.unwrap();
    assert!(client.delete_api_key("k").await.is_ok());
}

#[tokio::test]
async fn locked_database_gets_503_and_stays_unchanged() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &[]);
    let client = server.client(&server.admin_key.clone().unwrap());
    client.create_api_key("k").await.unwrap();
    let other = connect(directory.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = client.delete_api_key("k").await.unwrap_err();
    assert!(is_unavailable(&error) && !error.is_ambiguous(), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(client.delete_api_key("k").await.unwrap().name, "k");
    assert!(run(directory.path(), &["users", "list"]).status.success());
}

#[tokio::test]
async fn change_is_rolled_back_when_a_statement_fails() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &[]);
    let client = server.client(&server.admin_key.clone().unwrap());
    client.create_api_key("k").await.unwrap();
    // FAIL ends a statement with an error, but does not undo its changes so far.
    let other = connect(directory.path());
    for operation in ["INSERT", "UPDATE OF suspended", "DELETE"] {
        let trigger = format!(
            "CREATE TRIGGER \"{operation}\" AFTER {operation} ON api_keys
             BEGIN SELECT RAISE(FAIL, 'it fails'); END"
        );
        other.execute_batch(&trigger).unwrap();
    }
    let failures = [
        client.create_api_key("new").await.unwrap_err(),
        client.update_api_key("k").state(KeyState::Suspended).await.unwrap_err(),
        client.delete_api_key("k").await.unwrap_err(),
    ];
    for error in failures {
        assert_eq!(status_of(&error).unwrap(), 500, "{error}");
    }
    assert_eq!(names(&client).await, ["initial", "k"]);
    assert_eq!(client.get_api_key("k").await.unwrap().state, Some(KeyState::Active));
}
