//! The commands that print keys and manage users.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rockset_apikeys::KeyState;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::program::{Program, run, temporary_folder};

const ADMIN: &str = "admin@me.com";
const PROGRAM: &str = env!("CARGO_BIN_EXE_rockset-apikeys-server");

/// The users of the database in this folder, each with the number of keys.
fn users(folder: &Path) -> Vec<(String, u64)> {
    let output = run(folder, &["users", "list", "--json"]);
    let users: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let user =
        |user: &Value| (user["email"].as_str().unwrap().to_owned(), user["keys"].as_u64().unwrap());
    users.iter().map(user).collect()
}

/// Runs a command whose standard output is on a full disk.
fn run_on_full_disk(folder: &Path, arguments: &[&str]) -> Output {
    let full = File::options().write(true).open("/dev/full").unwrap();
    finish(program(folder, arguments).stdout(full))
}

/// Runs a command whose standard output is a pipe that nobody reads.
fn run_into_closed_pipe(folder: &Path, arguments: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    finish(program(folder, arguments).stdout(writer))
}

/// Runs a command whose standard output is closed.
fn run_without_output(folder: &Path, arguments: &[&str]) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec "$0" "$@" >&-"#, PROGRAM]);
    finish(shell.current_dir(folder).args(arguments))
}

/// Returns the output of a command, which is killed if it does not end by itself.
fn finish(command: &mut Command) -> Output {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    child.wait_with_output().unwrap()
}

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder).args(arguments);
    command
}

#[test]
fn a_key_that_cannot_be_printed_is_taken_back() {
    let folder = temporary_folder();
    let folder = folder.path();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--user", "dev@me.com=member"];
    for run in [run_on_full_disk, run_into_closed_pipe, run_without_output] {
        let output = run(folder, &serve);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("cannot be printed") && error.contains("nothing was"), "{error}");
        assert!(users(folder).is_empty(), "{:?}", users(folder));
    }

    let server = Program::serve(folder, &[]);
    assert!(server.admin_key.is_some(), "the next start prints a key");
    for run in [run_on_full_disk, run_into_closed_pipe, run_without_output] {
        for command in [&["users", "add", "dev@me.com"], &["users", "issue-key", ADMIN]] {
            let output = run(folder, command);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{error}");
            assert!(error.contains("nothing was changed"), "{error}");
            assert_eq!(users(folder), [(ADMIN.to_owned(), 1)]);
        }
    }
}

#[tokio::test]
async fn an_administrator_without_a_working_key_gets_one_from_the_command_line() {
    let folder = temporary_folder();
    let arguments = ["--user", "second@me.com=admin"];
    let server = Program::serve(folder.path(), &arguments);
    let admin = server.client(server.admin_key.as_ref().unwrap());
    admin.update_api_key("initial").state(KeyState::Suspended).await.unwrap();
    assert!(admin.list_api_keys().await.unwrap_err().is_unauthorized());
    assert!(run(folder.path(), &["users", "remove", "second@me.com"]).status.success());

    let output = run(folder.path(), &["users", "issue-key", ADMIN]);
    assert!(output.status.success());
    let key = String::from_utf8(output.stdout).unwrap();
    let admin = server.client(key.trim());
    let update = admin.update_api_key("initial").state(KeyState::Active);
    assert_eq!(update.await.unwrap().state, Some(KeyState::Active));
    assert_eq!(admin.list_api_keys().await.unwrap().len(), 2);

    let output = run(folder.path(), &["users", "issue-key", "nobody@me.com"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("there is no user"), "{error}");
}

#[tokio::test]
async fn a_later_start_prints_a_command_that_issues_a_key_in_any_folder() {
    let parent = temporary_folder();
    let folder = parent.path().join("it's a folder");
    std::fs::create_dir(&folder).unwrap();
    let users = ["--user=second@me.com=admin", "--user=dev@me.com=member"];
    Program::serve(&folder, &users).stop();
    for admin in [ADMIN, "second@me.com"] {
        let server = Program::serve(&folder, &[]);
        assert_eq!(server.admin_key, None, "a key is printed once");
        let line = server.output.lines().find(|line| line.contains("ROCKSET_APIKEY"));
        let script = format!("{}; echo $ROCKSET_APIKEY", line.expect("the command"));
        let shell = Command::new("sh").args(["-c", &script]).current_dir("/").output().unwrap();
        let key = String::from_utf8(shell.stdout).unwrap();
        let keys = server.client(key.trim()).list_api_keys().await.unwrap();
        assert!(keys.iter().all(|key| key.created_by.as_deref() == Some(admin)), "{keys:?}");
        run(&folder, &["users", "remove", admin]);
    }
    let server = Program::serve(&folder, &[]);
    assert!(server.output.contains("users add admin@me.com --role admin"), "{}", server.output);
}

#[tokio::test]
async fn a_server_for_other_machines_prints_a_url_for_this_one_and_says_what_others_need() {
    for (address, url) in [("0.0.0.0:0", "http://127.0.0.1:"), ("[::]:0", "http://[::1]:")] {
        if std::net::TcpListener::bind(address).is_err() {
            eprintln!("there is no IPv6 here");
            continue;
        }
        let folder = temporary_folder();
        let server = Program::serve(folder.path(), &["--listen", address]);
        assert!(server.url.starts_with(url), "{}", server.url);
        assert!(server.output.contains("allow_http(true)"), "{}", server.output);
        let client = server.client(server.admin_key.as_ref().unwrap());
        client.list_api_keys().await.unwrap();
    }
    let folder = temporary_folder();
    let server = Program::serve(folder.path(), &[]);
    assert!(!server.output.contains("Other machines"), "{}", server.output);
}

#[test]
fn a_user_who_looks_like_another_or_forges_a_line_is_rejected() {
    let folder = temporary_folder();
    Program::serve(folder.path(), &[]).stop();
    for (email, complaint) in [
        ("Admin@me.com", "too similar to \"admin@me.com\""),
        ("ADMIN@ME.COM", "too similar"),
        ("a@me.com\nroot@me.com  admin  1", "not printable"),
        ("a@me.com\u{1b}[2K", "not printable"),
        ("a@me.com\u{202e}", "not printable"),
        ("a@me.com  admin", "not printable"),
    ] {
        let output = run(folder.path(), &["users", "add", email]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(complaint), "{email:?}: {error}");
        assert!(output.stdout.is_empty());
        assert_eq!(users(folder.path()).len(), 1);
    }
}

#[tokio::test]
async fn a_key_in_place_of_a_method_or_trace_id_is_neither_logged_nor_returned() {
    let folder = temporary_folder();
    let server = Program::serve(folder.path(), &["--log", "debug"]);
    let key = server.admin_key.clone().unwrap();
    let mut connection =
        TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    let requests = format!(
        "{key} /v1/orgs/self/users/self/apikeys HTTP/1.1\r\nhost: h\r\n\r\n\
         GET / HTTP/1.1\r\nhost: h\r\nx-trace-id: {key}\r\nconnection: close\r\n\r\n"
    );
    connection.write_all(requests.as_bytes()).await.unwrap();
    let mut responses = String::new();
    connection.read_to_string(&mut responses).await.unwrap();
    assert!(responses.contains("405 Method Not Allowed"), "{responses}");
    assert!(responses.contains("404 Not Found"), "{responses}");
    let log = server.log_with("status=404");
    assert!(log.contains("status=405"), "{log}");
    for text in [responses, log] {
        assert!(!text.contains(&key), "{text}");
    }
}
