//! The commands that manage users and print keys.

use crate::program::UNAUTHORIZED;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rockset_apikeys::KeyState;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::program::{Program, run, temporary_directory};

const ADMIN: &str = "admin@me.com";
const PROGRAM: &str = env!("CARGO_BIN_EXE_rockset-apikeys-server");

/// Returns the users of the database, each with the number of keys.
fn users(directory: &Path) -> Vec<(String, u64)> {
    let output = run(directory, &["users", "list", "--json"]);
    let users: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let user =
        |user: &Value| (user["email"].as_str().unwrap().to_owned(), user["keys"].as_u64().unwrap());
    users.iter().map(user).collect()
}

/// Runs the program with standard output on a full disk.
fn run_on_full_disk(directory: &Path, arguments: &[&str]) -> Output {
    let full = File::options().write(true).open("/dev/full").unwrap();
    finish(program(directory, arguments).stdout(full))
}

/// Runs the program with standard output to a pipe without a reader.
fn run_into_closed_pipe(directory: &Path, arguments: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    finish(program(directory, arguments).stdout(writer))
}

/// Runs the program with standard output closed.
fn run_without_output(directory: &Path, arguments: &[&str]) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec "$0" "$@" >&-"#, PROGRAM]);
    finish(shell.current_dir(directory).args(arguments))
}

/// Returns the output of a command, which is killed if it does not end in time.
fn finish(command: &mut Command) -> Output {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    child.wait_with_output().unwrap()
}

fn program(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(directory).args(arguments);
    command
}

#[test]
fn change_is_undone_when_the_key_cannot_be_printed() {
    let directory = temporary_directory();
    let directory = directory.path();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--user", "dev@me.com=member"];
    for run in [run_on_full_disk, run_into_closed_pipe, run_without_output] {
        let output = run(directory, &serve);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.contains("cannot print the new key") && error.contains("nothing was"),
            "{error}"
        );
        assert!(users(directory).is_empty(), "{:?}", users(directory));
    }

    let server = Program::serve(directory, &[]);
    assert!(server.admin_key.is_some(), "the next start printed no key");
    for run in [run_on_full_disk, run_into_closed_pipe, run_without_output] {
        for command in [&["users", "add", "dev@me.com"], &["users", "issue-key", ADMIN]] {
            let output = run(directory, command);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{error}");
            assert!(error.contains("nothing was changed"), "{error}");
            assert_eq!(users(directory), [(ADMIN.to_owned(), 1)]);
        }
    }
}

#[tokio::test]
async fn issue_key_restores_access_of_an_administrator() {
    let directory = temporary_directory();
    let arguments = ["--user", "second@me.com=admin"];
    let server = Program::serve(directory.path(), &arguments);
    let admin = server.client(server.admin_key.as_ref().unwrap());
    admin.update_api_key("initial").state(KeyState::Suspended).await.unwrap();
    assert!(admin.list_api_keys().await.unwrap_err().kind() == UNAUTHORIZED);
    assert!(run(directory.path(), &["users", "remove", "second@me.com"]).status.success());

    let output = run(directory.path(), &["users", "issue-key", ADMIN]);
    assert!(output.status.success());
    let key = String::from_utf8(output.stdout).unwrap();
    let admin = server.client(key.trim());
    let update = admin.update_api_key("initial").state(KeyState::Active);
    assert_eq!(update.await.unwrap().state, Some(KeyState::Active));
    assert_eq!(admin.list_api_keys().await.unwrap().len(), 2);

    let output = run(directory.path(), &["users", "issue-key", "nobody@me.com"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("unknown user"), "{error}");
}

#[tokio::test]
async fn later_start_prints_a_command_that_issues_a_key() {
    let parent = temporary_directory();
    let directory = parent.path().join("it's a directory");
    std::fs::create_dir(&directory).unwrap();
    let users = ["--user=second@me.com=admin", "--user=dev@me.com=member"];
    Program::serve(&directory, &users).stop();
    for admin in [ADMIN, "second@me.com"] {
        let server = Program::serve(&directory, &[]);
        assert_eq!(server.admin_key, None, "the key was printed again");
        let line = server.output.lines().find(|line| line.contains("ROCKSET_APIKEY"));
        let script = format!("{}; echo $ROCKSET_APIKEY", line.expect("no command was printed"));
        let shell = Command::new("sh").args(["-c", &script]).current_dir("/").output().unwrap();
        let key = String::from_utf8(shell.stdout).unwrap();
        let keys = server.client(key.trim()).list_api_keys().await.unwrap();
        assert!(keys.iter().all(|key| key.created_by.as_deref() == Some(admin)), "{keys:?}");
        run(&directory, &["users", "remove", admin]);
    }
    let server = Program::serve(&directory, &[]);
    assert!(server.output.contains("users add admin@me.com --role admin"), "{}", server.output);
}

#[tokio::test]
async fn startup_message_explains_access_from_other_machines() {
    for (address, url) in [("0.0.0.0:0", "http://127.0.0.1:"), ("[::]:0", "http://[::1]:")] {
        if std::net::TcpListener::bind(address).is_err() {
            eprintln!("skipped: IPv6 is not available");
            continue;
        }
        let directory = temporary_directory();
        let server = Program::serve(directory.path(), &["--listen", address]);
        assert!(server.url.starts_with(url), "{}", server.url);
        assert!(server.output.contains("allow_http(true)"), "{}", server.output);
        let client = server.client(server.admin_key.as_ref().unwrap());
        client.list_api_keys().await.unwrap();
    }
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &[]);
    assert!(!server.output.contains("Other machines"), "{}", server.output);
}

#[test]
fn add_rejects_similar_and_unprintable_users() {
    let directory = temporary_directory();
    Program::serve(directory.path(), &[]).stop();
    for (email, complaint) in [
        ("Admin@me.com", "too similar to \"admin@me.com\""),
        ("ADMIN@ME.COM", "too similar"),
        ("a@me.com\nroot@me.com  admin  1", "unprintable"),
        ("a@me.com\u{1b}[2K", "unprintable"),
        ("a@me.com\u{202e}", "unprintable"),
        ("a@me.com  admin", "unprintable"),
    ] {
        let output = run(directory.path(), &["users", "add", email]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(complaint), "{email:?}: {error}");
        assert!(output.stdout.is_empty());
        assert_eq!(users(directory.path()).len(), 1);
    }
}

#[tokio::test]
async fn key_sent_as_method_or_trace_id_is_not_logged() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &["--log-level", "debug"]);
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
