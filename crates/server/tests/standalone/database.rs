//! What the server does when its database is full or locked, or is changed by another process.

use std::path::Path;
use std::time::Duration;

use rockset_apikeys::{ApiKey, Client, Error, KeyState};
use rusqlite::Connection;

use crate::program::{Program, run, temporary_folder};

/// Room for the first users and some hundred keys.
const KIBIBYTES: u32 = 128;
const QUIET: [&str; 4] = ["--rate-limit", "0", "--log", "error"];

/// Another process's connection to the database in this folder.
fn connect(folder: &Path) -> Connection {
    let connection = Connection::open(folder.join("keys.db")).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    connection
}

/// Gives a server that may not write any further room again: its write-ahead log is emptied.
fn make_room(folder: &Path) {
    let checkpoint = connect(folder);
    checkpoint.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn is_unavailable(error: &Error) -> bool {
    error.status().is_some_and(|status| status == 503) && error.retry_after().is_some()
}

/// Sends a request and gives it while the database, which is locked, keeps it waiting.
async fn waiting<F>(call: F) -> std::pin::Pin<Box<F::IntoFuture>>
where
    F: IntoFuture,
{
    let mut call = Box::pin(call.into_future());
    let half_a_second = Duration::from_millis(500);
    assert!(tokio::time::timeout(half_a_second, &mut call).await.is_err(), "it waits");
    call
}

async fn names(client: &Client) -> Vec<String> {
    client.list_api_keys().await.unwrap().into_iter().map(|key| key.name.clone()).collect()
}

#[tokio::test]
async fn on_a_full_disk_a_create_is_503_and_every_acknowledged_key_is_kept() {
    let folder = temporary_folder();
    let server = Program::serve_limited(folder.path(), KIBIBYTES, &QUIET);
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
    make_room(folder.path());
    created.push(client.create_api_key("later").await.unwrap());
    server.kill();

    let server = Program::serve(folder.path(), &QUIET);
    let mut expected = vec!["initial".to_owned()];
    expected.extend(created.iter().map(|key| key.name.clone()));
    let kept = names(&server.client(&admin_key)).await;
    let lost = expected.iter().filter(|name| !kept.contains(name)).count();
    assert_eq!(lost, 0, "keys of {} that were acknowledged and are gone", created.len());
    assert_eq!(kept, expected, "no key is there whose creation failed");
    for key in created {
        server.client(key.key.expose_secret()).list_api_keys().await.unwrap();
    }
    assert_eq!(failed.len(), 20, "the disk was full");
    for error in failed {
        assert!(is_unavailable(&error), "{error}");
    }
}

#[tokio::test]
async fn after_failed_writes_the_server_recovers_and_loses_nothing_that_it_acknowledges() {
    let folder = temporary_folder();
    let server = Program::serve_limited(folder.path(), KIBIBYTES, &QUIET);
    let admin_key = server.admin_key.clone().unwrap();
    let client = server.client(&admin_key);
    let suspended = client.create_api_key("suspended").await.unwrap().key;
    client.create_api_key("deleted").await.unwrap();
    let mut fillers = (0..1000).map(|number| format!("filler-{number}"));
    let mut filler = || fillers.next().expect("the disk is full by now");
    while client.create_api_key(filler()).await.is_ok() {}
    // When the key was last used cannot be stored either, which health tells.
    server.health_becomes(503).await;
    make_room(folder.path());
    let created = client.create_api_key("created").await.unwrap().key;
    client.update_api_key("suspended").state(KeyState::Suspended).await.unwrap();
    client.delete_api_key("deleted").await.unwrap();
    server.health_becomes(200).await;
    server.kill();

    let server = Program::serve(folder.path(), &QUIET);
    let kept = names(&server.client(&admin_key)).await;
    assert!(kept.iter().any(|name| name == "created"), "{kept:?}");
    assert!(kept.iter().all(|name| name != "deleted"), "{kept:?}");
    server.client(created.expose_secret()).list_api_keys().await.unwrap();
    let suspended = server.client(suspended.expose_secret()).list_api_keys().await;
    assert!(suspended.unwrap_err().is_unauthorized());
}

#[tokio::test]
async fn a_locked_database_keeps_no_removed_users_key_working() {
    let folder = temporary_folder();
    let server = Program::serve(folder.path(), &["--user", "dev@me.com=member"]);
    let admin = server.client(&server.admin_key.clone().unwrap());
    let dev = admin.create_api_key("k").created_by("dev@me.com").await.unwrap().key;
    let dev = server.client(dev.expose_secret());
    dev.list_api_keys().await.unwrap();
    assert_eq!(server.health().await, 200);

    let other = connect(folder.path());
    let remove = "DELETE FROM users WHERE email = 'dev@me.com'; BEGIN IMMEDIATE";
    other.execute_batch(remove).unwrap();
    let error = admin.create_api_key("k").await.unwrap_err();
    let while_locked = dev.list_api_keys().await;
    other.execute_batch("ROLLBACK").unwrap();
    server.health_becomes(200).await;
    let afterwards = dev.list_api_keys().await;
    assert!(afterwards.unwrap_err().is_unauthorized());
    assert!(while_locked.unwrap_err().is_unauthorized());
    assert!(is_unavailable(&error), "the database was locked: {error}");
}

#[tokio::test]
async fn a_key_that_another_process_deletes_is_404_for_the_update_and_the_delete_that_wait() {
    let folder = temporary_folder();
    let server = Program::serve(folder.path(), &[]);
    let client = server.client(&server.admin_key.clone().unwrap());
    let other = connect(folder.path());
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
async fn a_name_that_another_process_takes_is_409_for_the_create_that_waits() {
    let folder = temporary_folder();
    let server = Program::serve(folder.path(), &[]);
    let client = server.client(&server.admin_key.clone().unwrap());
    let other = connect(folder.path());
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
async fn a_database_that_stays_locked_is_503_and_nothing_is_changed() {
    let folder = temporary_folder();
    let server = Program::serve(folder.path(), &[]);
    let client = server.client(&server.admin_key.clone().unwrap());
    client.create_api_key("k").await.unwrap();
    let other = connect(folder.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = client.delete_api_key("k").await.unwrap_err();
    assert!(is_unavailable(&error) && !error.is_ambiguous(), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(client.delete_api_key("k").await.unwrap().name, "k");
    assert!(run(folder.path(), &["users", "list"]).status.success());
}

#[tokio::test]
async fn a_change_whose_statement_fails_is_not_applied() {
    let folder = temporary_folder();
    let server = Program::serve(folder.path(), &[]);
    let client = server.client(&server.admin_key.clone().unwrap());
    client.create_api_key("k").await.unwrap();
    // FAIL ends a statement with an error and leaves what it did until then.
    let other = connect(folder.path());
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
        assert_eq!(error.status().unwrap().as_u16(), 500, "{error}");
    }
    assert_eq!(names(&client).await, ["initial", "k"]);
    assert_eq!(client.get_api_key("k").await.unwrap().state, Some(KeyState::Active));
}
