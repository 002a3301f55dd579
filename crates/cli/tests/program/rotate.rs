//! Rotations on a server whose clock the tests advance.

use std::fs;
use std::path::Path;
use std::process::Command;

use rockset_apikeys::jiff::{SignedDuration, Timestamp};
use rockset_apikeys::{ApiKeyValue, KeyState};
use rockset_apikeys_server::Clock;
use serde_json::Value;

use crate::support::{Run, Setup, USER, run};

pub const DAY: SignedDuration = SignedDuration::from_hours(24);
const DEST: &str = "dotenv:.env#KEY";

/// A server with the key `my-app`, whose value is in a dotenv file.
pub struct Stage {
    pub setup: Setup,
    pub clock: Clock,
}

impl Stage {
    pub fn new() -> Self {
        Self::at(Timestamp::now())
    }

    pub fn at(now: Timestamp) -> Self {
        let clock = Clock::at(now);
        let setup = Setup::at(&clock);
        let call = setup.client().create_api_key("my-app").role("read-only");
        let key = call.expiry_time(now + DAY * 90).send_blocking().unwrap();
        setup.write(".env", format!("A=1\nKEY='{}' # old\n", key.key.expose_secret()));
        Self { setup, clock }
    }

    fn rotate(&self, arguments: &[&str]) -> Run {
        self.setup.run(&[&["rotate"], arguments].concat())
    }

    fn start(&self, arguments: &[&str]) -> Run {
        self.rotate(&[&["start", "my-app", "--out", DEST], arguments].concat())
    }

    /// Returns the last rotation in the journal.
    pub fn last(&self) -> Option<Value> {
        let status = self.rotate(&["status", "--format", "json"]).json();
        status.as_array().unwrap().last().cloned()
    }

    pub fn id(&self) -> String {
        self.last().unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn step(&self) -> String {
        self.last().unwrap()["step"].as_str().unwrap().to_owned()
    }

    fn state(&self, name: &str) -> KeyState {
        self.setup.client().get_api_key(name).send_blocking().unwrap().state.unwrap()
    }

    pub fn assert_deployed_works(&self) {
        let text = self.setup.read(".env");
        let value = text.lines().find_map(|line| line.strip_prefix("KEY=")).unwrap();
        let value = value.split('#').next().unwrap().trim().trim_matches('\'');
        let client = self.setup.client().with_api_key(ApiKeyValue::from(value)).unwrap();
        client.list_api_keys().send_blocking().expect("the deployed key works");
    }
}

#[test]
fn rotation_writes_successor_and_deletes_old_key() {
    let stage = Stage::new();
    let started = stage.start(&["--test-cmd", "cat > tested"]);
    assert!(started.stderr.contains("create my-app.r2\nwrite its value to dotenv:"), "{started:?}");
    let out = started.done();
    let id = stage.id();
    assert!(out.contains("step         suspend\n"), "{out}");
    assert!(out.contains(&format!("rockset-apikeys rotate resume {id}\n")), "{out}");
    let value = stage.setup.value("my-app.r2");
    assert_eq!(stage.setup.read(".env"), format!("A=1\nKEY={value}\n"));
    assert_eq!(stage.setup.read("tested"), value);

    // Nothing is due before the end of the overlap.
    assert!(stage.rotate(&["resume"]).done().contains("suspend"));
    stage.clock.advance(DAY + SignedDuration::from_secs(11));
    assert!(stage.rotate(&["resume", &id]).done().contains("step         hold\n"));
    assert_eq!(stage.state("my-app"), KeyState::Suspended);
    stage.clock.advance(DAY * 7);
    let ended = stage.rotate(&["resume"]);
    assert!(ended.stderr.contains("done: my-app.r2 has replaced my-app"), "{ended:?}");
    ended.done();
    assert_eq!(stage.setup.names(), ["initial", "my-app.r2"]);
    // A nightly job succeeds if there is nothing to do.
    assert_eq!(stage.rotate(&["resume", "--format", "json"]).done(), "[]\n");

    stage.start(&[]).done();
    assert_eq!(stage.setup.names(), ["initial", "my-app.r2", "my-app.r3"]);
}

#[test]
fn dry_run_changes_nothing_and_reports_obstacles() {
    let stage = Stage::new();
    let env = stage.setup.read(".env");
    assert!(stage.start(&["--dry-run"]).done().contains("ok         successor's name: free\n"));
    let plan = stage.start(&["--dry-run", "--expires-in", "30d", "--format", "json"]).json();
    assert_eq!((&plan["new"], &plan["is_ready"]), (&"my-app.r2".into(), &true.into()));

    stage
        .start(&["--out", "file:no/key"])
        .failed(1, "cannot start the rotation: destination \"file:");

    stage.setup.client().create_api_key("my-app.r3").send_blocking().unwrap();
    stage.setup.run(&["suspend", "my-app.r3", "--yes"]).done();
    let plan = stage.start(&["--dry-run"]);
    assert_eq!(plan.code, Some(1), "{plan:?}");
    assert!(plan.stdout.contains("FAIL       old key's state: SUSPENDED"), "{plan:?}");
    stage.start(&[]).failed(1, "SUSPENDED");
    stage.rotate(&["start", "nothing", "--out", DEST]).failed(5, "no key \"nothing\"");
    stage.rotate(&["start", "my-app"]).failed(2, "--out");
    stage.rotate(&["my-app"]).failed(2, "my-app");
    stage.rotate(&[]).failed(2, "start");
    stage.start(&["--out", "-", "--format", "json"]).failed(2, "--format");
    assert_eq!(stage.setup.names(), ["initial", "my-app", "my-app.r3"]);
    assert_eq!((stage.setup.read(".env"), stage.last()), (env, None));
}

#[test]
fn failed_destination_or_test_restores_every_file() {
    let stage = Stage::new();
    let env = stage.setup.read(".env");
    stage.setup.write("other", "something else");
    for options in [
        ["--out", "exec:cat >> got; test -e failed || { touch failed; exit 1; }"],
        ["--test-cmd", "exit 3"],
    ] {
        let failed =
            stage.start(&[&options[..], &["--out", "file:new", "--out", "file:other"]].concat());
        failed.failed(1, "rolled back: my-app is in use again");
        assert_eq!(stage.setup.read(".env"), env);
        assert_eq!(stage.setup.read("other"), "something else");
        assert!(!stage.setup.path("new").exists());
        assert_eq!(stage.setup.names(), ["initial", "my-app"]);
    }
    // The command receives the old value, to undo its work.
    assert!(stage.setup.read("got").ends_with(&stage.setup.value("my-app")));
}

#[test]
fn rotation_of_used_key_exits_7_until_forced() {
    let stage = Stage::new();
    let old = stage.setup.value("my-app");
    stage.start(&[]).done();
    stage.clock.advance(SignedDuration::from_hours(1));
    let straggler = stage.setup.client().with_api_key(ApiKeyValue::from(old)).unwrap();
    straggler.list_api_keys().send_blocking().unwrap();
    stage.clock.advance(DAY * 2);
    let stopped = stage.rotate(&["resume"]);
    let next = format!("next: rockset-apikeys rotate resume {}\n", stage.id());
    assert!(stopped.stderr.ends_with(&next), "{stopped:?}");
    stopped.failed(7, "was used at");
    let error = stage.rotate(&["resume", "--format", "json"]);
    let error: Value = serde_json::from_str(&error.stderr).unwrap();
    assert_eq!(error["error"]["exit_code"], 7);
    stage.rotate(&["resume", "--force"]).done();
    assert_eq!(stage.step(), "hold");
}

#[test]
fn rotation_can_be_finished_rolled_back_or_aborted() {
    let stage = Stage::new();
    let old = stage.setup.value("my-app");
    stage.rotate(&["rollback", "--yes"]).failed(5, "unfinished");
    stage.start(&[]).done();
    stage.rotate(&["finish"]).failed(2, "--yes");
    let soon = whole_second(stage.clock.now()) + SignedDuration::from_secs(10);
    let finished = stage.rotate(&["finish", "--yes"]);
    assert!(finished.stderr.contains(&format!("delete it at {soon}")), "{finished:?}");
    finished.done();
    assert_eq!(stage.state("my-app"), KeyState::Suspended);
    stage.rotate(&["rollback", "--yes"]).done();
    assert_eq!((stage.step(), stage.state("my-app")), ("rolled-back".into(), KeyState::Active));
    assert_eq!(stage.setup.read(".env"), format!("A=1\nKEY={old}\n"));
    stage.rotate(&["rollback", &stage.id(), "--yes"]).done();

    stage.start(&[]).done();
    stage.rotate(&["abort"]).done();
    assert_eq!(stage.setup.names(), ["initial", "my-app", "my-app.r2"]);
    stage.rotate(&["finish", "0", "--yes"]).failed(5, "does not contain a rotation \"0\"");
}

#[test]
fn several_rotations_are_resumed_together() {
    let stage = Stage::new();
    stage.setup.client().create_api_key("other").role("member").send_blocking().unwrap();
    stage.start(&[]).done();
    stage.rotate(&["start", "other", "--out", "file:other"]).done();
    let names = stage.rotate(&["finish", "--yes"]);
    assert!(names.stderr.contains(" of my-app, ") && names.stderr.contains(" of other"));
    names.failed(2, "pass one of");

    stage.clock.advance(DAY * 2);
    stage.setup.run(&["suspend", "my-app.r2", "--yes"]).done();
    let partial = stage.rotate(&["resume"]);
    assert_eq!(partial.code, Some(8), "{partial:?}");
    assert!(partial.stdout.contains("other.r2"), "{partial:?}");
    assert!(partial.stderr.contains("the successor \"my-app.r2\" does not work"), "{partial:?}");
    assert_eq!(
        (stage.state("my-app"), stage.state("other")),
        (KeyState::Suspended, KeyState::Suspended)
    );
}

#[test]
fn invalid_destination_stops_neither_others_nor_abort() {
    let stage = Stage::new();
    stage.setup.client().create_api_key("other").role("member").send_blocking().unwrap();
    stage.start(&[]).done();
    let id = stage.id();
    stage.rotate(&["start", "other", "--out", "file:other"]).done();
    let entry = format!(".local/state/rockset-apikeys/rotations/{id}.json");
    let text = stage.setup.read(&entry).replace("dotenv:", "gone:");
    stage.setup.write(&entry, text);

    stage.clock.advance(DAY * 2);
    assert_eq!(stage.rotate(&["resume"]).code, Some(8));
    assert_eq!(stage.state("other"), KeyState::Suspended);
    stage.rotate(&["resume", &id]).failed(1, "gone:");
    stage.rotate(&["abort", &id]).done();
}

#[test]
fn rotation_resumes_in_any_directory() {
    let stage = Stage::new();
    let dies = "exec:test -e killed || { touch killed; kill -9 $PPID; }; cat > /dev/null";
    let arguments = ["start", "my-app", "--out", dies, "--out", DEST, "--test-cmd", "cat > tested"];
    assert_eq!(stage.rotate(&arguments).code, None);
    assert_eq!(stage.step(), "distribute");
    let elsewhere = stage.setup.path("elsewhere");
    stage.setup.write("elsewhere/killed", "");
    let mut command = stage.setup.program();
    run(command.args(["rotate", "resume"]).current_dir(elsewhere)).done();
    let value = stage.setup.value("my-app.r2");
    assert_eq!(stage.setup.read(".env"), format!("A=1\nKEY={value}\n"));
    assert_eq!(stage.setup.read("elsewhere/tested"), value);
}

#[test]
fn resumed_rotation_prints_only_value_to_stdout() {
    let stage = Stage::new();
    let dies = "exec:test -e killed || { touch killed; kill -9 $PPID; }; cat > /dev/null";
    assert_eq!(stage.rotate(&["start", "my-app", "--out", dies, "--out", "-"]).code, None);
    stage.rotate(&["resume", "--format", "json"]).failed(2, "--format");
    let out = stage.rotate(&["resume"]).done();
    assert_eq!(out, stage.setup.value("my-app.r2") + "\n");
    assert!(stage.rotate(&["resume"]).done().starts_with("ID"));
}

#[test]
fn interrupted_rotation_suggests_resume() {
    let stage = Stage::new();
    let interrupted = stage.start(&["--test-cmd", "kill -INT $PPID"]);
    let next = format!("next: rockset-apikeys rotate resume {}\n", stage.id());
    assert!(interrupted.stderr.ends_with(&next), "{interrupted:?}");
    interrupted.failed(130, "interrupted");
    stage.assert_deployed_works();
    stage.rotate(&["resume"]).done();
    assert_eq!(stage.step(), "suspend");
}

#[test]
fn compromised_key_is_suspended_after_test_or_first() {
    let stage = Stage::new();
    stage.start(&["--compromised", "--hold", "1d"]).done();
    assert_eq!((stage.step(), stage.state("my-app")), ("hold".into(), KeyState::Suspended));
    stage.clock.advance(DAY);
    stage.rotate(&["resume"]).done();

    let first = stage.start(&["--suspend-first", "--test-cmd", "exit 1"]);
    let next = format!("next: rockset-apikeys rotate resume {}\n", stage.id());
    assert!(first.stderr.ends_with(&next), "{first:?}");
    first.failed(7, "suspend my-app.r2, create my-app.r3");
    assert_eq!(stage.state("my-app.r2"), KeyState::Suspended);
    stage.rotate(&["start", "initial", "--suspend-first", "--out", "file:x"]).failed(1, "own key");
}

#[test]
fn rotation_of_own_key_continues_with_successor() {
    let stage = Stage::new();
    stage.setup.run(&["create", "own", "--role", "admin", "--out", "profile:own"]).done();
    let with_profile = |arguments: &[&str]| {
        run(stage.setup.bare().args(["--profile", "own", "rotate"]).args(arguments))
    };
    let out = with_profile(&["start", "own", "--out", "profile:own"]);
    assert!(out.stderr.contains("switches from own to it"), "{out:?}");
    assert!(out.done().contains("rockset-apikeys --profile own rotate resume"));
    stage.clock.advance(DAY * 2);
    with_profile(&["resume"]).done();
    stage.clock.advance(DAY * 7);
    with_profile(&["resume"]).done();
    assert_eq!(stage.setup.names(), ["initial", "my-app", "own.r2"]);
}

#[test]
fn rotation_of_other_users_key_prints_value_to_stdout() {
    let stage = Stage::new();
    let call = stage.setup.client().create_api_key("a").created_by(USER).role("member");
    call.send_blocking().unwrap();
    let started = stage.rotate(&["start", "a", "--user", USER, "--out", "-", "--expires-in", "1d"]);
    let key = stage.setup.client().get_api_key("a.r2").user(USER).reveal(true);
    let key = key.send_blocking().unwrap();
    assert_eq!(key.expiry_time.unwrap().to_jiff(), Some(whole_second(stage.clock.now()) + DAY));
    assert_eq!(started.done(), format!("{}\n", key.key.expose_secret()));
}

/// Removes fractions, which the `Date` header does not have.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap()
}

#[cfg(unix)]
#[test]
fn journal_is_private_and_follows_xdg_state_home() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new();
    stage.start(&[]).done();
    let journal = stage.setup.path(".local/state/rockset-apikeys/rotations");
    assert_eq!(fs::metadata(&journal).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(has_entries(&journal));

    let mut command = stage.setup.program();
    command.env("XDG_STATE_HOME", stage.setup.path("state"));
    let status = run(command.args(["rotate", "status", "--format", "csv"])).done();
    assert_eq!(status, "id,step,user,old,new,started_at,waits_until,failure,next\n");
    assert!(!has_entries(&stage.setup.path("state/rockset-apikeys/rotations")));
}

fn has_entries(journal: &Path) -> bool {
    fs::read_dir(journal).unwrap().count() > 0
}

#[test]
fn suggested_commands_work_in_a_shell() {
    let stage = Stage::new();
    let started = stage.start(&["--format", "json"]).json();
    let next = started["next"].as_str().unwrap();
    let path = Path::new(env!("CARGO_BIN_EXE_rockset-apikeys")).parent().unwrap();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", next]).env("PATH", path).env("HOME", stage.setup.home());
    shell.env("ROCKSET_APISERVER", stage.setup.server.url());
    shell.env("ROCKSET_APIKEY", stage.setup.server.admin_key().expose_secret());
    assert!(run(&mut shell).done().contains("step         suspend\n"));
}
