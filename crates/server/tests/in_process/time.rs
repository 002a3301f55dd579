//! Last-access times, and expired keys when the clock is set back.

use crate::support::UNAUTHORIZED;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rockset_apikeys::{Client, KeyState};
use rockset_apikeys_server::{ADMIN, Clock, Server, ServerBuilder};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::client_for;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// How soon last-access times and suspensions of expired keys must be in the database.
const SOON: Duration = Duration::from_secs(5);

/// A server with a database file and a clock.
struct Stage {
    directory: TempDir,
    clock: Clock,
    server: Option<Server>,
    admin: Client,
}

fn builder(file: PathBuf, clock: &Clock) -> ServerBuilder {
    Server::builder().database(format!("sqlite:{}", file.display())).clock(clock)
}

impl Stage {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::at("2030-01-01T00:00:00Z".parse().unwrap());
        let server = builder(directory.path().join("keys.db"), &clock).start().await.unwrap();
        let admin = client_for(server.url(), server.admin_key().expose_secret());
        Self { directory, clock, server: Some(server), admin }
    }

    /// Creates a key and returns a client with it.
    async fn create(&self, name: &str, expiry: Option<Timestamp>) -> Client {
        let create = self.admin.create_api_key(name);
        let create = match expiry {
            Some(expiry) => create.expiry_time(expiry),
            None => create,
        };
        self.client(create.await.unwrap().key.expose_secret())
    }

    fn client(&self, key: &str) -> Client {
        client_for(self.server.as_ref().unwrap().url(), key)
    }

    /// Waits until a column of a key is neither null nor 0 in the database.
    async fn stored(&self, column: &str, name: &str) -> i64 {
        let database = Connection::open(self.directory.path().join("keys.db")).unwrap();
        let select = format!("SELECT coalesce({column}, 0) FROM api_keys WHERE name = ?");
        let read = || database.query_row(&select, [name], |row| row.get(0)).unwrap();
        let stored = async {
            loop {
                match read() {
                    0 => tokio::time::sleep(Duration::from_millis(20)).await,
                    number => return number,
                }
            }
        };
        let stored = tokio::time::timeout(SOON, stored).await;
        stored.unwrap_or_else(|_| panic!("{column} of {name} was not stored"))
    }

    async fn last_access(&self, name: &str) -> Option<Timestamp> {
        self.admin.get_api_key(name).await.unwrap().last_access_time?.to_jiff()
    }

    async fn assert_expired(&self, name: &str, key: &Client) {
        assert!(key.list_api_keys().await.unwrap_err().kind() == UNAUTHORIZED);
        assert!(key.create_api_key("new").await.unwrap_err().kind() == UNAUTHORIZED);
        let key = self.admin.get_api_key(name).await.unwrap();
        assert_eq!(key.state, Some(KeyState::Suspended));
        let listed = self.admin.list_api_keys().await.unwrap();
        let listed = listed.iter().find(|key| key.name == name).unwrap();
        assert_eq!(listed.state, Some(KeyState::Suspended));
    }
}

#[tokio::test]
async fn last_access_time_is_stored_without_another_request() {
    let stage = Stage::start().await;
    let key = stage.create("k", None).await;
    key.list_api_keys().await.unwrap();
    let now = stage.clock.now().as_millisecond();
    assert_eq!(stage.stored("last_access", "k").await, now);
}

#[tokio::test]
async fn last_access_time_never_goes_back_with_the_clock() {
    let stage = Stage::start().await;
    let key = stage.create("k", None).await;
    let latest = Some(stage.clock.now());
    key.list_api_keys().await.unwrap();

    // Before the time is stored.
    stage.clock.advance(-HOUR);
    key.list_api_keys().await.unwrap();
    assert_eq!(stage.last_access("k").await, latest);
    // After the time is stored, when the server uses the earlier time.
    let stored = stage.stored("last_access", "k").await;
    for number in 0..2 {
        let marker = format!("marker-{number}");
        let used_later = stage.create(&marker, None).await;
        key.list_api_keys().await.unwrap();
        assert_eq!(stage.last_access("k").await, latest);
        used_later.list_api_keys().await.unwrap();
        stage.stored("last_access", &marker).await;
    }
    assert!(
        stage.last_access("marker-1").await < latest,
        "the server does not use the earlier time"
    );
    assert_eq!(stage.stored("last_access", "k").await, stored);
    assert_eq!(stage.last_access("k").await, latest);

    stage.clock.advance(HOUR * 2);
    key.list_api_keys().await.unwrap();
    assert_eq!(stage.last_access("k").await, Some(stage.clock.now()));
}

#[tokio::test]
async fn used_expired_key_stays_expired_when_clock_goes_back() {
    let stage = Stage::start().await;
    let key = stage.create("k", Some(stage.clock.now() + HOUR)).await;
    key.list_api_keys().await.unwrap();
    stage.clock.advance(HOUR);
    assert!(key.list_api_keys().await.unwrap_err().kind() == UNAUTHORIZED);
    stage.clock.advance(-HOUR);
    stage.assert_expired("k", &key).await;
    stage.stored("suspended", "k").await;
    stage.assert_expired("k", &key).await;
}

#[tokio::test]
async fn unused_expired_key_stays_expired_when_clock_goes_back() {
    let stage = Stage::start().await;
    let key = stage.create("k", Some(stage.clock.now() + HOUR)).await;
    stage.clock.advance(HOUR);
    stage.stored("suspended", "k").await;
    stage.clock.advance(-HOUR * 2);
    stage.assert_expired("k", &key).await;
    // Once the server uses the earlier time, an update can activate the key.
    let activated =
        async { while stage.admin.update_api_key("k").state(KeyState::Active).await.is_err() {} };
    tokio::time::timeout(SOON, activated).await.unwrap();
    key.list_api_keys().await.unwrap();
}

#[tokio::test]
async fn expired_key_stays_expired_after_restart_with_earlier_clock() {
    let mut stage = Stage::start().await;
    let created = stage.admin.create_api_key("k").expiry_time(stage.clock.now() + HOUR);
    let key = created.await.unwrap().key;
    stage.clock.advance(HOUR);
    let expired = stage.client(key.expose_secret()).list_api_keys().await;
    assert!(expired.unwrap_err().kind() == UNAUTHORIZED);
    // The server stops before the maintenance task runs.
    drop(stage.server.take());
    stage.stored("suspended", "k").await;

    stage.clock.advance(-HOUR);
    let file = stage.directory.path().join("keys.db");
    let server = builder(file, &stage.clock).start().await.unwrap();
    stage.admin = client_for(server.url(), server.key(ADMIN).unwrap().expose_secret());
    stage.server = Some(server);
    let key = stage.client(key.expose_secret());
    stage.assert_expired("k", &key).await;
}

#[tokio::test]
async fn responses_contain_the_date_of_the_clock() {
    let clock = Clock::at("2030-01-01T00:00:00Z".parse().unwrap());
    let server = Server::builder().clock(&clock).start().await.unwrap();
    clock.advance(HOUR);
    let (_, report) = server.client().list_api_keys().with_report().await.unwrap();
    assert_eq!(report.headers()["date"], "Tue, 01 Jan 2030 01:00:00 GMT");
}
