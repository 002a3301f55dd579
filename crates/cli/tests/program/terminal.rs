//! Runs the program in a pseudo-terminal.

use std::process::Command;

use rexpect::session::{PtySession, spawn_command};

use crate::support::{Setup, USER};

const TIMEOUT_MS: u64 = 30_000;

fn start(mut command: Command, arguments: &[&str]) -> PtySession {
    command.args(arguments).env("TERM", "xterm");
    // The terminal replaces all three streams.
    let mut fresh = Command::new(command.get_program());
    fresh.args(command.get_args()).env_clear().current_dir(command.get_current_dir().unwrap());
    fresh.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    spawn_command(fresh, Some(TIMEOUT_MS)).unwrap()
}

#[track_caller]
fn ends_with(session: &mut PtySession, code: i32) -> String {
    let rest = session.exp_eof().unwrap();
    let status = format!("{:?}", session.process().wait().unwrap());
    let is_exit = status.starts_with("Exited") && status.ends_with(&format!(", {code})"));
    assert!(is_exit, "{status}: {rest}");
    rest
}

#[test]
fn create_shows_value_once() {
    let setup = Setup::new();
    let mut session = start(setup.program(), &["create", "a"]);
    let text = ends_with(&mut session, 0);
    assert_eq!(text.matches(&setup.value("a")).count(), 1, "{text}");
    assert!(text.contains("created a"), "{text}");
}

#[test]
fn delete_requires_confirmation() {
    let setup = Setup::new();
    setup.client().create_api_key("a").send_blocking().unwrap();
    for answer in ["n", "", "x"] {
        let mut session = start(setup.program(), &["delete", "a"]);
        session.exp_string("Delete a? [y/N] ").unwrap();
        session.send_line(answer).unwrap();
        assert!(ends_with(&mut session, 1).contains("nothing was changed"));
    }
    assert_eq!(setup.names(), ["initial", "a"]);
    let mut session = start(setup.program(), &["delete", "a"]);
    session.exp_string("[y/N] ").unwrap();
    session.send_line("y").unwrap();
    ends_with(&mut session, 0);
    assert_eq!(setup.names(), ["initial"]);
}

#[test]
fn yes_no_input_and_ci_prevent_prompts() {
    let setup = Setup::new();
    setup.client().create_api_key("a").send_blocking().unwrap();
    let text = ends_with(&mut start(setup.program(), &["delete", "a", "--no-input"]), 2);
    assert!(text.contains("--yes"), "{text}");
    let mut ci = setup.program();
    ci.env("CI", "true");
    ends_with(&mut start(ci, &["delete", "a"]), 2);
    assert_eq!(setup.names(), ["initial", "a"]);
    ends_with(&mut start(setup.program(), &["delete", "a", "--yes"]), 0);
}

#[test]
fn finish_and_rollback_require_confirmation() {
    let setup = Setup::new();
    setup.client().create_api_key("a").role("member").send_blocking().unwrap();
    ends_with(&mut start(setup.program(), &["rotate", "start", "a", "--out", "file:a"]), 0);
    for (command, question) in [("finish", "Retire a before"), ("rollback", "Restore a and")] {
        let mut session = start(setup.program(), &["rotate", command]);
        session.exp_string(question).unwrap();
        session.send_line("n").unwrap();
        ends_with(&mut session, 1);
    }
    assert_eq!(setup.names(), ["initial", "a", "a.r2"]);
}

#[test]
fn output_has_no_color_and_help_follows_no_color() {
    let setup = Setup::new();
    assert!(!ends_with(&mut start(setup.program(), &["list"]), 0).contains('\u{1b}'));
    assert!(ends_with(&mut start(setup.program(), &["--help"]), 0).contains('\u{1b}'));
    let mut plain = setup.program();
    plain.env("NO_COLOR", "1");
    assert!(!ends_with(&mut start(plain, &["--help"]), 0).contains('\u{1b}'));
}

#[test]
fn audit_of_several_users_shows_progress() {
    let setup = Setup::new();
    let arguments = ["audit", "--user", USER, "--user", "admin@me.com", "--format", "json"];
    let text = ends_with(&mut start(setup.program(), &arguments), 3);
    assert!(text.contains("\r1 of 2 users"), "{text}");
}

#[test]
fn ctrl_c_at_prompt_changes_nothing() {
    let setup = Setup::new();
    setup.client().create_api_key("a").send_blocking().unwrap();
    let mut session = start(setup.program(), &["delete", "a"]);
    session.exp_string("[y/N] ").unwrap();
    session.send_control('c').unwrap();
    ends_with(&mut session, 130);
    assert_eq!(setup.names(), ["initial", "a"]);
}
