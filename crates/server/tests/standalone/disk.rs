//! Acknowledged changes survive power losses and disk failures, and the server recovers without a
//! restart. `disk.c`, a library preloaded into the program, simulates the disk.

use crate::program::status_of;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use rockset_apikeys::{Client, Error};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::crash::{Ledger, is_unavailable, kill_while_writing};
use crate::program::{DEADLINE, Program, temporary_directory};

const ARGUMENTS: [&str; 4] = ["--rate-limit", "0", "--log-level", "error"];

/// The number of keys that are created, suspended and deleted concurrently.
const CONCURRENT: usize = 4;

static LIBRARY: LazyLock<TempDir> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standalone/disk.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-pthread", "-o"]);
    compiler.arg(directory.path().join("disk.so")).arg(source).arg("-ldl");
    assert!(compiler.status().expect("cannot run the C compiler cc").success());
    directory
});

/// The simulated disk with a server's directory.
struct Disk {
    root: TempDir,
}

impl Disk {
    fn new() -> Self {
        let disk = Self { root: temporary_directory() };
        fs::create_dir(disk.directory()).unwrap();
        fs::create_dir(disk.state()).unwrap();
        disk
    }

    fn directory(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("directory")
    }

    fn state(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("state")
    }

    fn serve(&self) -> Program {
        let program = self.try_serve(&[]);
        assert!(program.is_ready, "the server did not start: {}", program.log());
        program
    }

    /// Starts the server, which is killed instead of making more than this many disk changes.
    fn serve_until(&self, changes: u32) -> Program {
        self.try_serve(&[("DISK_OPERATIONS", &changes.to_string())])
    }

    fn try_serve(&self, variables: &[(&str, &str)]) -> Program {
        let (library, directory, state) =
            (LIBRARY.path().join("disk.so"), self.directory(), self.state());
        let disk = [
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("DISK_DIRECTORY", directory.to_str().unwrap()),
            ("DISK_STATE", state.to_str().unwrap()),
        ];
        Program::try_serve_with(&directory, &ARGUMENTS, &[&disk, variables].concat())
    }

    fn start(&self, fault: Fault) {
        fs::write(self.state().join(fault.name()), "").unwrap();
    }

    fn end(&self, fault: Fault) {
        fs::remove_file(self.state().join(fault.name())).unwrap();
    }

    /// Counts the operations that have failed because of a fault.
    fn failures(&self) -> u64 {
        fs::metadata(self.state().join("failures")).map_or(0, |file| file.len())
    }

    /// Restores the synced state of all files except the log.
    fn lose_power(&self) {
        for file in fs::read_dir(self.directory()).unwrap() {
            let file = file.unwrap();
            if file.file_name() != "log.txt" {
                fs::remove_file(file.path()).unwrap();
            }
        }
        let entries = self.state().join("entries");
        for entry in fs::read_to_string(&entries).unwrap().lines() {
            let (inode, name) = entry.split_once(' ').unwrap();
            if name != "log.txt" {
                fs::copy(self.state().join(inode), self.directory().join(name)).unwrap();
            }
        }
        fs::remove_file(entries).unwrap();
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Full,
    ReadOnly,
    SyncFails,
    SwallowSyncs,
    SlowSyncs,
}

impl Fault {
    /// Returns the name of the file that enables the fault.
    fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read-only",
            Self::SyncFails => "sync-fails",
            Self::SwallowSyncs => "swallow-syncs",
            Self::SlowSyncs => "slow-syncs",
        }
    }
}

/// How the server ends after a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    KilledDuringTheFault,
    Killed,
    PowerLost,
    Stopped,
}

impl End {
    fn happen(self, server: Program, disk: &Disk) {
        match self {
            Self::KilledDuringTheFault | Self::Killed => server.kill(),
            Self::PowerLost => {
                server.kill();
                disk.lose_power();
            }
            Self::Stopped => server.stop(),
        }
    }
}

fn admin_of(server: &Program) -> String {
    server.admin_key.clone().expect("the server printed no key")
}

/// Compares a new server in this directory with the ledger.
async fn check(directory: &Path, admin_key: &str, mut ledger: Ledger) -> Vec<String> {
    let server = Program::serve(directory, &ARGUMENTS);
    ledger.check(&server.client(admin_key)).await
}

async fn eventually(event: &str, mut has_happened: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !has_happened().await {
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {event}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Creates the keys that `change_all` suspends and deletes.
async fn create_targets(client: &Client, ledger: &Ledger) {
    for number in 0..CONCURRENT {
        for operation in ["suspend", "delete"] {
            ledger.create(client, &format!("{operation}-{number}")).await.unwrap();
        }
    }
}

/// Concurrently suspends and deletes all targets and creates as many keys.
async fn change_all(client: &Client, ledger: &Ledger, created: &str) -> Vec<Result<(), Error>> {
    let mut changes = JoinSet::new();
    for number in 0..CONCURRENT {
        for operation in ["suspend", "delete", created] {
            let (client, ledger) = (client.clone(), ledger.clone());
            let name = format!("{operation}-{number}");
            changes.spawn(async move {
                match name.split('-').next() {
                    Some("suspend") => ledger.suspend(&client, &name).await,
                    Some("delete") => ledger.delete(&client, &name).await,
                    _ => ledger.create(&client, &name).await,
                }
            });
        }
    }
    changes.join_all().await
}

async fn assert_readable(client: &Client) {
    let keys = client.list_api_keys().await.unwrap();
    assert!(keys.iter().any(|key| key.name == "suspend-0"), "{keys:?}");
    let key = client.get_api_key("suspend-0").reveal(true).await.unwrap().key;
    assert_eq!(key.expose_secret().len(), 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_changes_survive_a_power_loss() {
    let disk = Disk::new();
    let server = disk.serve();
    let admin_key = admin_of(&server);
    server.kill();
    disk.lose_power();

    let mut ledger = Ledger::default();
    let (mut rounds, mut acknowledged) = (0, 0);
    // A slow machine needs more rounds.
    while rounds < 10 || acknowledged < 100 {
        rounds += 1;
        assert!(rounds < 100, "only {acknowledged} changes were acknowledged");
        let server = disk.serve();
        let client = server.client(&admin_key);
        assert_eq!(ledger.check(&client).await, [""; 0]);
        kill_while_writing(server, &client, &ledger).await;
        disk.lose_power();
        acknowledged += ledger.acknowledged();
    }
    assert_eq!(check(&disk.directory(), &admin_key, ledger).await, [""; 0]);
}

/// Shows that the test above detects a server that does not sync.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_loss_loses_changes_without_syncs() {
    let disk = Disk::new();
    let server = Program::serve(&disk.directory(), &ARGUMENTS);
    let admin_key = admin_of(&server);
    server.stop();

    let server = disk.serve();
    let client = server.client(&admin_key);
    disk.start(Fault::SwallowSyncs);
    let ledger = Ledger::default();
    ledger.create(&client, "lost").await.unwrap();
    kill_while_writing(server, &client, &ledger).await;
    disk.lose_power();
    let errors = check(&disk.directory(), &admin_key, ledger).await;
    assert!(errors.iter().any(|error| error.starts_with("lost is None")), "{errors:?}");
}

/// Interrupts a first start after this many disk changes. Returns whether it had completed before.
async fn interrupt_first_start(changes: u32) -> bool {
    /// A printed key works, and an interrupted start does not prevent the next one.
    async fn assert_starts(disk: &Disk, admin_key: Option<String>, crash: &str) {
        let server = Program::try_serve_with(&disk.directory(), &ARGUMENTS, &[]);
        assert!(server.is_ready, "{crash}: {}", server.log());
        if let Some(key) = admin_key.or_else(|| server.admin_key.clone()) {
            let keys = server.client(&key).list_api_keys().await;
            assert_eq!(keys.unwrap_or_else(|error| panic!("{crash}: {error}")).len(), 1);
        }
    }

    let crash = format!("power loss after {changes} changes");
    let disk = Disk::new();
    let mut server = disk.serve_until(changes);
    let (is_ready, admin_key) = (server.is_ready, server.admin_key.take());
    server.kill();
    disk.lose_power();
    assert_starts(&disk, admin_key, &crash).await;

    let crash = format!("kill -9 after {changes} changes, and a power loss later");
    let disk = Disk::new();
    let mut server = disk.serve_until(changes);
    let admin_key = server.admin_key.take();
    server.kill();
    let mut server = disk.try_serve(&[]);
    assert!(server.is_ready, "{crash}: {}", server.log());
    let admin_key = admin_key.or_else(|| server.admin_key.take());
    server.kill();
    disk.lose_power();
    assert_starts(&disk, admin_key, &crash).await;
    is_ready
}

#[test]
fn first_start_can_be_interrupted_anywhere() {
    // Starts mostly wait for processes and the disk, so several run concurrently.
    const THREADS: u32 = 4;
    let interrupt_every_fourth = |first: u32| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut changes = (first..).step_by(THREADS as usize);
        while !runtime.block_on(interrupt_first_start(changes.next().unwrap())) {}
    };
    std::thread::scope(|scope| {
        for first in 0..THREADS {
            scope.spawn(move || interrupt_every_fourth(first));
        }
    });
}

/// During the fault, changes get 503 and reads work. No acknowledged change is lost.
async fn test_changes_during(fault: Fault, end: End) {
    let disk = Disk::new();
    let server = disk.serve();
    let admin_key = admin_of(&server);
    let client = server.client(&admin_key);
    let ledger = Ledger::default();
    create_targets(&client, &ledger).await;
    server.health_becomes(200).await;

    disk.start(fault);
    // At the second attempt, the server has noticed the fault.
    for attempt in ["first", "second"] {
        for result in change_all(&client, &ledger, attempt).await {
            let error = result.expect_err("a change succeeded during the fault");
            assert_eq!(status_of(&error).unwrap(), 503, "{fault:?}, {attempt}: {error}");
            // After a failed sync, a change may have been applied.
            let is_known = is_unavailable(&error) || fault == Fault::SyncFails;
            assert!(is_known, "{fault:?}, {attempt}: {error}");
        }
        assert_readable(&client).await;
        server.health_becomes(503).await;
    }
    if end != End::KilledDuringTheFault {
        disk.end(fault);
        server.health_becomes(200).await;
        for result in change_all(&client, &ledger, "third").await {
            // The key may have been deleted despite the failed sync.
            let is_gone = |error: &Error| fault == Fault::SyncFails && error.is_not_found();
            assert!(result.as_ref().is_ok() || is_gone(result.as_ref().unwrap_err()), "{result:?}");
        }
    }
    end.happen(server, &disk);
    let errors = check(&disk.directory(), &admin_key, ledger).await;
    assert_eq!(errors, [""; 0], "{fault:?}, {end:?}");
}

#[tokio::test]
async fn server_recovers_from_a_full_disk() {
    tokio::join!(
        test_changes_during(Fault::Full, End::KilledDuringTheFault),
        test_changes_during(Fault::Full, End::Killed),
        test_changes_during(Fault::Full, End::PowerLost),
        test_changes_during(Fault::Full, End::Stopped),
    );
}

#[tokio::test]
async fn server_recovers_from_a_read_only_disk() {
    tokio::join!(
        test_changes_during(Fault::ReadOnly, End::KilledDuringTheFault),
        test_changes_during(Fault::ReadOnly, End::Killed),
        test_changes_during(Fault::ReadOnly, End::PowerLost),
        test_changes_during(Fault::ReadOnly, End::Stopped),
    );
}

#[tokio::test]
async fn server_recovers_from_failing_syncs() {
    tokio::join!(
        test_changes_during(Fault::SyncFails, End::Killed),
        test_changes_during(Fault::SyncFails, End::PowerLost),
        test_changes_during(Fault::SyncFails, End::Stopped),
    );
}

#[tokio::test]
async fn unapplied_changes_stay_unapplied_after_kill_9_without_syncs() {
    test_changes_during(Fault::SyncFails, End::KilledDuringTheFault).await;
}

/// After last-access times failed to store twice, everything works and no change is lost.
async fn test_last_access_during(fault: Fault, end: End) {
    let disk = Disk::new();
    let server = disk.serve();
    let admin_key = admin_of(&server);
    let client = server.client(&admin_key);
    let ledger = Ledger::default();
    create_targets(&client, &ledger).await;
    let used = client.create_api_key("used").created_by("admin@me.com").await.unwrap();
    let user = server.client(used.key.expose_secret());
    server.health_becomes(200).await;

    disk.start(fault);
    for _ in 0..2 {
        let failures = disk.failures();
        // The server writes only last-access times.
        eventually("a last-access time is stored", async || {
            user.list_api_keys().await.unwrap();
            disk.failures() > failures
        })
        .await;
    }
    disk.end(fault);
    // A change may share a transaction that began during the fault.
    let mut probes = 0..;
    eventually("a change succeeds", async || {
        let probe = format!("probe-{}", probes.next().unwrap());
        ledger.create(&client, &probe).await.is_ok()
    })
    .await;
    for result in change_all(&client, &ledger, "later").await {
        result.unwrap_or_else(|error| panic!("{fault:?}, {end:?}: {error}"));
    }
    let last_access = client.get_api_key("used").await.unwrap().last_access_time;
    let last_access = last_access.expect("the key has no last-access time");
    end.happen(server, &disk);

    let server = Program::serve(&disk.directory(), &ARGUMENTS);
    let client = server.client(&admin_key);
    let kept = client.get_api_key("used").await.unwrap().last_access_time;
    if end == End::Stopped {
        let kept = kept.expect("the clean stop did not store the time");
        assert!(kept.as_str() >= last_access.as_str(), "{kept:?} is before {last_access:?}");
    }
    client.delete_api_key("used").await.unwrap();
    drop(server);
    let errors = check(&disk.directory(), &admin_key, ledger).await;
    assert_eq!(errors, [""; 0], "{fault:?}, {end:?}");
}

#[tokio::test]
async fn changes_survive_after_last_access_times_failed_to_store() {
    tokio::join!(
        test_last_access_during(Fault::Full, End::Killed),
        test_last_access_during(Fault::Full, End::Stopped),
        test_last_access_during(Fault::ReadOnly, End::Killed),
        test_last_access_during(Fault::ReadOnly, End::Stopped),
        test_last_access_during(Fault::SyncFails, End::Killed),
        test_last_access_during(Fault::SyncFails, End::Stopped),
    );
}

fn copy_of(directory: &Path) -> TempDir {
    let copy = temporary_directory();
    for file in ["keys.db", "keys.db.master-key"] {
        fs::copy(directory.join(file), copy.path().join(file)).unwrap();
    }
    copy
}

#[tokio::test]
async fn database_file_is_complete_after_a_clean_stop() {
    let disk = Disk::new();
    let server = disk.serve();
    let admin_key = admin_of(&server);
    let client = server.client(&admin_key);
    let ledger = Ledger::default();
    create_targets(&client, &ledger).await;
    for result in change_all(&client, &ledger, "created").await {
        result.unwrap();
    }
    server.stop();
    let log = fs::metadata(disk.directory().join("keys.db-wal")).map_or(0, |file| file.len());
    assert_eq!(log, 0, "the write-ahead log is not empty");
    disk.lose_power();
    let copy = copy_of(&disk.directory());
    assert_eq!(check(copy.path(), &admin_key, ledger).await, [""; 0]);
}

/// All changes get 503, and nothing is changed.
async fn assert_unavailable(client: &Client, ledger: &Ledger) {
    for result in change_all(client, ledger, "created").await {
        let error = result.expect_err("a change succeeded without the database");
        assert!(is_unavailable(&error), "{error}");
    }
}

#[tokio::test]
async fn server_recovers_from_an_unlinked_database_file() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &ARGUMENTS);
    let admin_key = admin_of(&server);
    let client = server.client(&admin_key);
    let ledger = Ledger::default();
    create_targets(&client, &ledger).await;
    server.health_becomes(200).await;

    let (file, moved) = (directory.path().join("keys.db"), directory.path().join("moved.db"));
    fs::rename(&file, &moved).unwrap();
    assert_unavailable(&client, &ledger).await;
    server.health_becomes(503).await;
    assert_unavailable(&client, &ledger).await;
    assert!(!file.exists(), "the server created a new database");

    fs::rename(&moved, &file).unwrap();
    server.health_becomes(200).await;
    for result in change_all(&client, &ledger, "later").await {
        result.unwrap();
    }
    server.kill();
    assert_eq!(check(directory.path(), &admin_key, ledger).await, [""; 0]);
}

/// Replaces the database by one with another master key, then restores it. SQLite would apply a
/// write-ahead log in use to any file with the database's name.
async fn test_replaced_database(is_log_in_use: bool) {
    let other = tempfile::tempdir().unwrap();
    Program::serve(other.path(), &ARGUMENTS).stop();
    let other = fs::read(other.path().join("keys.db")).unwrap();

    let directory = temporary_directory();
    let mut server = Program::serve(directory.path(), &ARGUMENTS);
    let admin_key = admin_of(&server);
    let ledger = Ledger::default();
    create_targets(&server.client(&admin_key), &ledger).await;
    if !is_log_in_use {
        server.stop();
        server = Program::serve(directory.path(), &ARGUMENTS);
    }
    let client = server.client(&admin_key);
    server.health_becomes(200).await;

    let path = |name: &str| directory.path().join(name);
    fs::write(path("new.db"), &other).unwrap();
    fs::hard_link(path("keys.db"), path("own.db")).unwrap();
    fs::rename(path("new.db"), path("keys.db")).unwrap();
    let replaced = Instant::now();
    assert_unavailable(&client, &ledger).await;
    server.health_becomes(503).await;
    let is_503 = |error: Error| status_of(&error) == Some(503);
    eventually("a listing is 503", async || client.list_api_keys().await.is_err_and(is_503)).await;
    assert!(replaced.elapsed() < Duration::from_secs(3), "{:?}", replaced.elapsed());
    assert_unavailable(&client, &ledger).await;
    assert!(client.get_api_key("suspend-0").await.is_err_and(is_503));
    assert!(fs::read(path("keys.db")).unwrap() == other, "the other database was changed");

    fs::rename(path("own.db"), path("keys.db")).unwrap();
    server.health_becomes(200).await;
    for result in change_all(&client, &ledger, "later").await {
        result.unwrap();
    }
    server.kill();
    assert_eq!(check(directory.path(), &admin_key, ledger).await, [""; 0]);
}

#[tokio::test]
async fn replaced_database_is_neither_read_nor_changed() {
    tokio::join!(test_replaced_database(true), test_replaced_database(false));
}

#[tokio::test]
async fn clean_stop_does_not_write_to_a_replaced_database() {
    let other = tempfile::tempdir().unwrap();
    Program::serve(other.path(), &ARGUMENTS).stop();
    let other = fs::read(other.path().join("keys.db")).unwrap();

    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &ARGUMENTS);
    let client = server.client(&admin_of(&server));
    create_targets(&client, &Ledger::default()).await;
    fs::write(directory.path().join("new.db"), &other).unwrap();
    fs::rename(directory.path().join("new.db"), directory.path().join("keys.db")).unwrap();
    server.health_becomes(503).await;
    server.terminate();
    server.wait();
    let left = fs::read(directory.path().join("keys.db")).unwrap();
    assert!(left == other, "the other database was changed");
}

/// Under this load, there are always new last-access times to write.
#[tokio::test]
async fn expired_keys_are_suspended_in_the_database_under_load() {
    let disk = Disk::new();
    let server = disk.serve();
    disk.start(Fault::SlowSyncs);
    let client = server.client(&admin_of(&server));
    let load = tokio::spawn({
        let client = client.clone();
        async move {
            loop {
                client.get_api_key("initial").await.unwrap();
            }
        }
    });
    let expiry = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
    client.create_api_key("expiring").expiry_time(expiry).await.unwrap();
    let database = rusqlite::Connection::open(disk.directory().join("keys.db")).unwrap();
    let suspended = "SELECT suspended FROM api_keys WHERE name = 'expiring'";
    eventually("the key is suspended", async || {
        !load.is_finished() && database.query_row(suspended, [], |row| row.get(0)).unwrap()
    })
    .await;
    load.abort();
}

#[tokio::test]
async fn health_check_is_limited_even_when_clients_disconnect() {
    let disk = Disk::new();
    let server = disk.serve();
    disk.start(Fault::SlowSyncs);
    let start = Instant::now();
    for _ in 0..100 {
        let address = server.url.trim_start_matches("http://");
        let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
        connection.write_all(b"GET /health HTTP/1.1\r\nhost: me\r\n\r\n").await.unwrap();
        // A health check takes longer.
        let _ = tokio::time::timeout(Duration::from_millis(5), connection.readable()).await;
    }
    server.health_becomes(200).await;
    let database = rusqlite::Connection::open(disk.directory().join("keys.db")).unwrap();
    let probes = database.query_row("SELECT probes FROM directory", [], |row| row.get::<_, i64>(0));
    let (probes, seconds) = (probes.unwrap(), start.elapsed().as_secs() as i64);
    assert!((1..=seconds + 1).contains(&probes), "{probes} writes in {seconds} s");
}
