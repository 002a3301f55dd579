//! Sources of the client's key, and its rotation.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rockset_apikeys::{ApiKeyValue, Client, Credentials, KeyState, RetryPolicy};
use rockset_apikeys_server::Server;

use crate::script::{Script, Step};
use crate::support::{FORBIDDEN, UNAUTHORIZED, success};

/// Builds a client that never retries.
fn client(server: &str, credentials: Credentials) -> Client {
    let builder = Client::builder().api_server(server).credentials(credentials);
    builder.retry_policy(RetryPolicy::never()).build().unwrap()
}

/// Replaces a file atomically.
fn replace(file: &Path, key: &str) {
    let new = file.with_extension("new");
    fs::write(&new, format!("{key}\n")).unwrap();
    fs::rename(new, file).unwrap();
}

/// Creates an administrator's key.
async fn create_key(server: &Server, name: &str) -> ApiKeyValue {
    let admin = server.admin_key().clone();
    let admin = Client::builder().api_server(server.url()).api_key(admin).build().unwrap();
    admin.create_api_key(name).await.unwrap().key
}

#[tokio::test]
async fn changed_key_file_is_reloaded() {
    let server = Server::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    replace(&file, server.admin_key().expose_secret());
    let client = client(server.url(), Credentials::from_file(&file).unwrap());
    client.list_api_keys().await.unwrap();

    let second = create_key(&server, "second").await;
    replace(&file, second.expose_secret());
    let by = client.create_api_key("by-the-second").await.unwrap().created_by_apikey_name;
    assert_eq!(by.as_deref(), Some("second"));
}

#[tokio::test]
async fn last_key_is_kept_if_the_file_is_unreadable_or_invalid() {
    let server = Server::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    replace(&file, server.admin_key().expose_secret());
    let client = client(server.url(), Credentials::from_file(&file).unwrap());

    fs::remove_file(&file).unwrap();
    client.list_api_keys().await.unwrap();
    for invalid in [&b""[..], b"two\nlines", b"\xff"] {
        fs::write(&file, invalid).unwrap();
        client.list_api_keys().await.unwrap();
    }
}

#[test]
fn error_names_the_file_without_its_content() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    let name = format!("the file {}", file.display());
    let error = Credentials::from_file(&file).unwrap_err();
    let message = format!("cannot read the API key from {name}; check its path and permissions");
    assert_eq!(error.to_string(), message);
    let cause = std::error::Error::source(&error).unwrap().downcast_ref::<io::Error>();
    assert_eq!(cause.map(io::Error::kind), Some(io::ErrorKind::NotFound));

    fs::write(&file, "SECRET\nSECRET").unwrap();
    let error = Credentials::from_file(&file).unwrap_err();
    let beginning = format!("cannot use the API key from {name}: character 7 of 13 is not");
    assert!(error.to_string().starts_with(&beginning), "{error}");
    assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
}

#[tokio::test]
async fn call_is_retried_with_the_new_key_after_401() {
    let server = Server::start().await.unwrap();
    let key = Arc::new(Mutex::new(create_key(&server, "first").await));
    let reads = Arc::new(AtomicU32::new(0));
    // Worst case: the source returns the old key once more for the attempt, and the new key only
    // after the 401.
    let next = Arc::new(Mutex::new(None));
    let credentials = {
        let (key, next, reads) = (Arc::clone(&key), Arc::clone(&next), Arc::clone(&reads));
        Credentials::from_fn(move || {
            reads.fetch_add(1, Relaxed);
            let current = key.lock().unwrap().clone();
            if let Some(next) = next.lock().unwrap().take() {
                *key.lock().unwrap() = next;
            }
            async move { Ok::<_, io::Error>(current) }
        })
    };
    let client = client(server.url(), credentials);
    client.list_api_keys().await.unwrap();

    let second = create_key(&server, "second").await;
    let admin = server.admin_key().clone();
    let admin = Client::builder().api_server(server.url()).api_key(admin).build().unwrap();
    admin.update_api_key("first").state(KeyState::Suspended).await.unwrap();
    *next.lock().unwrap() = Some(second);

    // A create, which is not retried after an ambiguous failure.
    let (created, report) = client.create_api_key("my-app").with_report().await.unwrap();
    assert_eq!(created.created_by_apikey_name.as_deref(), Some("second"));
    assert_eq!((report.attempts(), reads.load(Relaxed)), (2, 3));
    client.list_api_keys().await.unwrap();
}

#[tokio::test]
async fn rejected_key_is_not_retried_unless_it_changes() {
    let requests = |credentials: Option<Credentials>| async move {
        let server = Script::play([Step::status(401)]).await;
        let builder = Client::builder().api_server(&server.url);
        let client = match credentials {
            Some(credentials) => builder.credentials(credentials).build().unwrap(),
            None => builder.api_key("fixed").build().unwrap(),
        };
        let error = client.list_api_keys().await.unwrap_err();
        assert!(error.kind() == UNAUTHORIZED && error.attempts() == 1, "{error}");
        server.requests().len()
    };
    let same = || async { Ok::<_, io::Error>("the-same") };
    assert_eq!(requests(Some(Credentials::from_fn(same))).await, 1);
    assert_eq!(requests(None).await, 1);

    // A new key each time: the request is retried once, not forever.
    let count = AtomicU32::new(0);
    let other = move || {
        let key = format!("key-{}", count.fetch_add(1, Relaxed));
        async move { Ok::<_, io::Error>(key) }
    };
    let server = Script::play([Step::status(401)]).await;
    let error = client(&server.url, Credentials::from_fn(other)).list_api_keys().await.unwrap_err();
    assert!(error.kind() == UNAUTHORIZED && error.attempts() == 2, "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn missing_first_key_is_rejected_before_sending() {
    let server = Script::play([Step::status(500)]).await;
    let fail = || async { Err::<String, _>(io::Error::other("the store is sealed")) };
    let hang = || async { std::future::pending::<Result<String, io::Error>>().await };
    let empty = || async { Ok::<_, io::Error>("") };
    for (credentials, message, cause) in [
        (Credentials::from_fn(fail), "cannot get an API key from", "the store is sealed"),
        (Credentials::from_fn(hang), "cannot get an API key from", "deadline has elapsed"),
        (Credentials::from_fn(empty), "is empty", ""),
    ] {
        let client = client(&server.url, credentials);
        let call = client.create_api_key("my-app").timeout(Duration::from_millis(100));
        let error = call.await.unwrap_err();
        assert!(error.is_invalid_input() && !error.is_ambiguous(), "{error}");
        assert!(error.to_string().contains(message), "{error}");
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(source.unwrap_or_default(), cause);
        // The generated client does not read the key from its source.
        let error = client.generated().list_api_keys().user("self").send().await.unwrap_err();
        assert!(error.to_string().contains("send the request with `run`"), "{error}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn last_key_is_kept_if_its_source_fails() {
    let count = AtomicU32::new(0);
    let once = move || {
        let is_first = count.fetch_add(1, Relaxed) == 0;
        async move { if is_first { Ok("first") } else { Err(io::Error::other("sealed")) } }
    };
    let keys = Step::response(200, "", success("list_api_keys").to_string());
    let server = Script::play([keys]).await;
    let client = client(&server.url, Credentials::from_fn(once));
    for _ in 0..3 {
        client.list_api_keys().await.unwrap();
    }
    for request in server.requests() {
        assert!(request.to_ascii_lowercase().contains("authorization: apikey first\r\n"));
    }
}

#[tokio::test]
async fn client_with_another_key_shares_settings_and_budget() {
    let server = Server::start().await.unwrap();
    let key = server.admin_key().clone();
    let admin = Client::builder().api_server(server.url()).api_key(key).build().unwrap();
    let created = admin.create_api_key("my-app").role("read-only").await.unwrap();
    let reader = admin.with_api_key(created.key).unwrap();
    assert_eq!(reader.list_api_keys().await.unwrap().len(), 2);
    assert!(reader.create_api_key("more").await.unwrap_err().kind() == FORBIDDEN);
    admin.create_api_key("more").await.unwrap();
    assert_eq!(reader.api_server(), admin.api_server());

    let error = admin.with_api_key("").unwrap_err();
    assert!(error.to_string().contains("from `with_api_key`: it is empty"), "{error}");

    let policy = RetryPolicy::default().max_attempts(20).backoff(Duration::ZERO, Duration::ZERO);
    let server = Script::play([Step::status(500)]).await;
    let builder = Client::builder().api_server(&server.url).api_key("one").retry_policy(policy);
    let one = builder.build().unwrap();
    let error = one.list_api_keys().await.unwrap_err();
    assert_eq!(error.attempts(), 11);
    let error = one.with_api_key("two").unwrap().list_api_keys().await.unwrap_err();
    assert_eq!(error.attempts(), 1, "the budget is shared: {error}");
}
