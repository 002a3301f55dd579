//! Acknowledged changes survive a power loss and a disk that fails, and the server recovers without
//! a restart. The disk is a library between the program and the operating system: see `disk.c`.

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
use crate::program::{DEADLINE, Program, temporary_folder};

const ARGUMENTS: [&str; 4] = ["--rate-limit", "0", "--log", "error"];

/// How many keys are created, suspended and deleted at once.
const CONCURRENT: usize = 4;

static LIBRARY: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standalone/disk.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-pthread", "-o"]);
    compiler.arg(folder.path().join("disk.so")).arg(source).arg("-ldl");
    assert!(compiler.status().expect("a C compiler named cc").success());
    folder
});

/// The disk that holds a server's folder.
struct Disk {
    root: TempDir,
}

impl Disk {
    fn new() -> Self {
        let disk = Self { root: temporary_folder() };
        fs::create_dir(disk.folder()).unwrap();
        fs::create_dir(disk.state()).unwrap();
        disk
    }

    fn folder(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("folder")
    }

    fn state(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("state")
    }

    fn serve(&self) -> Program {
        let program = self.try_serve(&[]);
        assert!(program.is_ready, "the server did not start: {}", program.log());
        program
    }

    /// Serves, and kills the program in place of its next change of the disk after this many.
    fn serve_until(&self, changes: u32) -> Program {
        self.try_serve(&[("DISK_OPERATIONS", &changes.to_string())])
    }

    fn try_serve(&self, variables: &[(&str, &str)]) -> Program {
        let (library, folder, state) =
            (LIBRARY.path().join("disk.so"), self.folder(), self.state());
        let disk = [
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("DISK_FOLDER", folder.to_str().unwrap()),
            ("DISK_STATE", state.to_str().unwrap()),
        ];
        Program::try_serve_with(&folder, &ARGUMENTS, &[&disk, variables].concat())
    }

    fn start(&self, fault: Fault) {
        fs::write(self.state().join(fault.name()), "").unwrap();
    }

    fn end(&self, fault: Fault) {
        fs::remove_file(self.state().join(fault.name())).unwrap();
    }

    /// The number of operations that failed because of a fault.
    fn failures(&self) -> u64 {
        fs::metadata(self.state().join("failures")).map_or(0, |file| file.len())
    }

    /// Leaves what was synced, and the log.
    fn lose_power(&self) {
        for file in fs::read_dir(self.folder()).unwrap() {
            let file = file.unwrap();
            if file.file_name() != "log.txt" {
                fs::remove_file(file.path()).unwrap();
            }
        }
        let entries = self.state().join("entries");
        for entry in fs::read_to_string(&entries).unwrap().lines() {
            let (inode, name) = entry.split_once(' ').unwrap();
            if name != "log.txt" {
                fs::copy(self.state().join(inode), self.folder().join(name)).unwrap();
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
    /// The name of the file that switches it on.
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
    server.admin_key.clone().expect("a new database has an administrator")
}

/// Compares a new server in this folder with the ledger.
async fn check(folder: &Path, admin_key: &str, mut ledger: Ledger) -> Vec<String> {
    let server = Program::serve(folder, &ARGUMENTS);
    ledger.check(&server.client(admin_key)).await
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < DEADLINE, "{what} within {DEADLINE:?}");
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

/// Suspends and deletes all targets and creates as many keys, all at once.
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
async fn every_acknowledged_change_survives_a_power_loss() {
    let disk = Disk::new();
    let server = disk.serve();
    let admin_key = admin_of(&server);
    server.kill();
    disk.lose_power();

    let mut ledger = Ledger::default();
    let (mut rounds, mut acknowledged) = (0, 0);
    // A busy machine needs more rounds.
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
    assert_eq!(check(&disk.folder(), &admin_key, ledger).await, [""; 0]);
}

/// The test above can fail: this is what it finds in a server that does not sync.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_syncs_a_power_loss_loses_acknowledged_changes() {
    let disk = Disk::new();
    let server = Program::serve(&disk.folder(), &ARGUMENTS);
    let admin_key = admin_of(&server);
    server.stop();

    let server = disk.serve();
    let client = server.client(&admin_key);
    disk.start(Fault::SwallowSyncs);
    let ledger = Ledger::default();
    ledger.create(&client, "lost").await.unwrap();
    kill_while_writing(server, &client, &ledger).await;
    disk.lose_power();
    let errors = check(&disk.folder(), &admin_key, ledger).await;
    assert!(errors.iter().any(|error| error.starts_with("lost is None")), "{errors:?}");
}

/// Interrupts a first start before its next change of the disk after this many. Returns whether it
/// was complete before.
async fn interrupt_first_start(changes: u32) -> bool {
    /// A printed key is kept; a start that printed none leaves nothing in the next one's way.
    async fn assert_starts(disk: &Disk, admin_key: Option<String>, crash: &str) {
        let server = Program::try_serve_with(&disk.folder(), &ARGUMENTS, &[]);
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
fn the_first_start_can_be_interrupted_anywhere() {
    // Starts wait for processes and the disk, so several run at once.
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

/// Changes fail with 503 during the fault, reads work, and nothing that was acknowledged is lost.
async fn test_changes_during(fault: Fault, end: End) {
    let disk = Disk::new();
    let server = disk.serve();
    let admin_key = admin_of(&server);
    let client = server.client(&admin_key);
    let ledger = Ledger::default();
    create_targets(&client, &ledger).await;
    server.health_becomes(200).await;

    disk.start(fault);
    // The second attempt meets a server that knows of the fault.
    for attempt in ["first", "second"] {
        for result in change_all(&client, &ledger, attempt).await {
            let error = result.expect_err("the disk fails");
            assert_eq!(error.status().unwrap().as_u16(), 503, "{fault:?}, {attempt}: {error}");
            // Where a sync fails, a change may have been applied.
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
            // A sync that failed may have deleted it.
            let is_gone = |error: &Error| fault == Fault::SyncFails && error.is_not_found();
            assert!(result.as_ref().is_ok() || is_gone(result.as_ref().unwrap_err()), "{result:?}");
        }
    }
    end.happen(server, &disk);
    let errors = check(&disk.folder(), &admin_key, ledger).await;
    assert_eq!(errors, [""; 0], "{fault:?}, {end:?}");
}

#[tokio::test]
async fn on_a_full_disk_changes_are_503_and_the_server_recovers() {
    tokio::join!(
        test_changes_during(Fault::Full, End::KilledDuringTheFault),
        test_changes_during(Fault::Full, End::Killed),
        test_changes_during(Fault::Full, End::PowerLost),
        test_changes_during(Fault::Full, End::Stopped),
    );
}

#[tokio::test]
async fn on_a_read_only_disk_changes_are_503_and_the_server_recovers() {
    tokio::join!(
        test_changes_during(Fault::ReadOnly, End::KilledDuringTheFault),
        test_changes_during(Fault::ReadOnly, End::Killed),
        test_changes_during(Fault::ReadOnly, End::PowerLost),
        test_changes_during(Fault::ReadOnly, End::Stopped),
    );
}

#[tokio::test]
async fn while_syncs_fail_changes_are_503_and_the_server_recovers() {
    tokio::join!(
        test_changes_during(Fault::SyncFails, End::Killed),
        test_changes_during(Fault::SyncFails, End::PowerLost),
        test_changes_during(Fault::SyncFails, End::Stopped),
    );
}

#[tokio::test]
async fn a_change_that_is_reported_as_not_applied_is_not_there_after_kill_9_while_syncs_fail() {
    test_changes_during(Fault::SyncFails, End::KilledDuringTheFault).await;
}

/// Fails to store last-access times twice. Everything afterwards works and is kept.
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
        // Only last-access times are written.
        eventually("a last-access time is stored", async || {
            user.list_api_keys().await.unwrap();
            disk.failures() > failures
        })
        .await;
    }
    disk.end(fault);
    // A change may still share a transaction that began during the fault.
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
    let last_access = last_access.expect("the key was used");
    end.happen(server, &disk);

    let server = Program::serve(&disk.folder(), &ARGUMENTS);
    let client = server.client(&admin_key);
    let kept = client.get_api_key("used").await.unwrap().last_access_time;
    if end == End::Stopped {
        let kept = kept.expect("a clean stop stores it");
        assert!(kept.as_str() >= last_access.as_str(), "{kept:?} is before {last_access:?}");
    }
    client.delete_api_key("used").await.unwrap();
    drop(server);
    let errors = check(&disk.folder(), &admin_key, ledger).await;
    assert_eq!(errors, [""; 0], "{fault:?}, {end:?}");
}

#[tokio::test]
async fn last_access_times_that_cannot_be_stored_lose_no_later_change() {
    tokio::join!(
        test_last_access_during(Fault::Full, End::Killed),
        test_last_access_during(Fault::Full, End::Stopped),
        test_last_access_during(Fault::ReadOnly, End::Killed),
        test_last_access_during(Fault::ReadOnly, End::Stopped),
        test_last_access_during(Fault::SyncFails, End::Killed),
        test_last_access_during(Fault::SyncFails, End::Stopped),
    );
}

fn copy_of(folder: &Path) -> TempDir {
    let copy = temporary_folder();
    for file in ["keys.db", "keys.db.master-key"] {
        fs::copy(folder.join(file), copy.path().join(file)).unwrap();
    }
    copy
}

#[tokio::test]
async fn after_a_clean_stop_the_database_file_alone_is_complete() {
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
    let log = fs::metadata(disk.folder().join("keys.db-wal")).map_or(0, |file| file.len());
    assert_eq!(log, 0, "nothing is left in the write-ahead log");
    disk.lose_power();
    let copy = copy_of(&disk.folder());
    assert_eq!(check(copy.path(), &admin_key, ledger).await, [""; 0]);
}

/// All changes fail with 503, and nothing is changed.
async fn assert_unavailable(client: &Client, ledger: &Ledger) {
    for result in change_all(client, ledger, "created").await {
        let error = result.expect_err("the database is not there");
        assert!(is_unavailable(&error), "{error}");
    }
}

#[tokio::test]
async fn while_the_database_file_is_unlinked_changes_are_503_and_the_server_recovers() {
    let folder = temporary_folder();
    let server = Program::serve(folder.path(), &ARGUMENTS);
    let admin_key = admin_of(&server);
    let client = server.client(&admin_key);
    let ledger = Ledger::default();
    create_targets(&client, &ledger).await;
    server.health_becomes(200).await;

    let (file, moved) = (folder.path().join("keys.db"), folder.path().join("moved.db"));
    fs::rename(&file, &moved).unwrap();
    assert_unavailable(&client, &ledger).await;
    server.health_becomes(503).await;
    assert_unavailable(&client, &ledger).await;
    assert!(!file.exists(), "no new database takes its place");

    fs::rename(&moved, &file).unwrap();
    server.health_becomes(200).await;
    for result in change_all(&client, &ledger, "later").await {
        result.unwrap();
    }
    server.kill();
    assert_eq!(check(folder.path(), &admin_key, ledger).await, [""; 0]);
}

/// Replaces the database by one of another master key, and puts it back. SQLite would apply a
/// write-ahead log that is in use to whichever file has the name.
async fn test_replaced_database(is_log_in_use: bool) {
    let other = tempfile::tempdir().unwrap();
    Program::serve(other.path(), &ARGUMENTS).stop();
    let other = fs::read(other.path().join("keys.db")).unwrap();

    let folder = temporary_folder();
    let mut server = Program::serve(folder.path(), &ARGUMENTS);
    let admin_key = admin_of(&server);
    let ledger = Ledger::default();
    create_targets(&server.client(&admin_key), &ledger).await;
    if !is_log_in_use {
        server.stop();
        server = Program::serve(folder.path(), &ARGUMENTS);
    }
    let client = server.client(&admin_key);
    server.health_becomes(200).await;

    let path = |name: &str| folder.path().join(name);
    fs::write(path("new.db"), &other).unwrap();
    fs::hard_link(path("keys.db"), path("own.db")).unwrap();
    fs::rename(path("new.db"), path("keys.db")).unwrap();
    let replaced = Instant::now();
    assert_unavailable(&client, &ledger).await;
    server.health_becomes(503).await;
    let is_503 = |error: Error| error.status().is_some_and(|status| status == 503);
    eventually("a listing is 503", async || client.list_api_keys().await.is_err_and(is_503)).await;
    assert!(replaced.elapsed() < Duration::from_secs(3), "{:?}", replaced.elapsed());
    assert_unavailable(&client, &ledger).await;
    assert!(client.get_api_key("suspend-0").await.is_err_and(is_503));
    assert!(fs::read(path("keys.db")).unwrap() == other, "the other database is as it was");

    fs::rename(path("own.db"), path("keys.db")).unwrap();
    server.health_becomes(200).await;
    for result in change_all(&client, &ledger, "later").await {
        result.unwrap();
    }
    server.kill();
    assert_eq!(check(folder.path(), &admin_key, ledger).await, [""; 0]);
}

#[tokio::test]
async fn a_database_that_replaces_the_servers_own_is_neither_served_nor_changed() {
    tokio::join!(test_replaced_database(true), test_replaced_database(false));
}

#[tokio::test]
async fn a_clean_stop_does_not_write_to_a_database_that_replaced_the_servers_own() {
    let other = tempfile::tempdir().unwrap();
    Program::serve(other.path(), &ARGUMENTS).stop();
    let other = fs::read(other.path().join("keys.db")).unwrap();

    let folder = temporary_folder();
    let server = Program::serve(folder.path(), &ARGUMENTS);
    let client = server.client(&admin_of(&server));
    create_targets(&client, &Ledger::default()).await;
    fs::write(folder.path().join("new.db"), &other).unwrap();
    fs::rename(folder.path().join("new.db"), folder.path().join("keys.db")).unwrap();
    server.health_becomes(503).await;
    server.terminate();
    server.wait();
    let left = fs::read(folder.path().join("keys.db")).unwrap();
    assert!(left == other, "the other database is as it was");
}

/// While uses of keys are written to the disk there are new ones, without an end.
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
    let database = rusqlite::Connection::open(disk.folder().join("keys.db")).unwrap();
    let suspended = "SELECT suspended FROM api_keys WHERE name = 'expiring'";
    eventually("the key is suspended", async || {
        !load.is_finished() && database.query_row(suspended, [], |row| row.get(0)).unwrap()
    })
    .await;
    load.abort();
}

#[tokio::test]
async fn the_health_check_tries_a_change_once_a_second_also_when_clients_leave() {
    let disk = Disk::new();
    let server = disk.serve();
    disk.start(Fault::SlowSyncs);
    let start = Instant::now();
    for _ in 0..100 {
        let address = server.url.trim_start_matches("http://");
        let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
        connection.write_all(b"GET /health HTTP/1.1\r\nhost: me\r\n\r\n").await.unwrap();
        // A check takes longer than this.
        let _ = tokio::time::timeout(Duration::from_millis(5), connection.readable()).await;
    }
    server.health_becomes(200).await;
    let database = rusqlite::Connection::open(disk.folder().join("keys.db")).unwrap();
    let probes = database.query_row("SELECT probes FROM directory", [], |row| row.get::<_, i64>(0));
    let (probes, seconds) = (probes.unwrap(), start.elapsed().as_secs() as i64);
    assert!((1..=seconds + 1).contains(&probes), "{probes} changes in {seconds} s");
}
