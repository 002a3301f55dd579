use std::io::pipe;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use rockset_apikeys_server::Fault;
use serde_json::Value;

use crate::support::{Setup, USER, run};

/// Other tests cover 0 (`Run::done`) and 3 (`audit`).
#[test]
fn exit_code_depends_on_kind_of_failure() {
    let setup = Setup::new();
    setup.server.inject(Fault::status(400), 1);
    setup.run(&["list"]).failed(1, "400 Bad Request");
    setup.run(&["dance"]).failed(2, "dance");
    setup.run(&["update", "initial"]).failed(2, "--state");
    setup.run(&["create", "x", "--out", "-", "--expires-in", "soon"]).failed(2, "90d");
    setup.run(&["get", "."]).failed(2, "nothing was sent");
    let mut member = setup.program();
    member.env("ROCKSET_APIKEY", setup.server.key(USER).unwrap().expose_secret());
    run(member.args(["list", "--user", "admin@me.com"])).failed(4, "403 Forbidden");
    run(setup.program().env("ROCKSET_APIKEY", "x").arg("list")).failed(4, "401 Unauthorized");
    setup.run(&["get", "nothing"]).failed(5, "404 Not Found");
    setup.run(&["create", "initial", "--out", "-"]).failed(5, "409 Conflict");
}

#[test]
fn ambiguous_create_exits_6_and_suggests_get() {
    let setup = Setup::new();
    setup.server.inject(Fault::status_after_handling(502), 1);
    let name = "it's my-app";
    let created = setup.run(&["create", name, "--user", USER, "--out", "-"]);
    let command = "rockset-apikeys get --user dev@me.com \"it's my-app\"";
    assert!(created.stderr.contains(command), "{created:?}");
    created.failed(6, "may have succeeded");

    let shell = Command::new("sh").args(["-c", &format!("echo {command}")]).output().unwrap();
    assert!(String::from_utf8(shell.stdout).unwrap().contains(name));
    setup.run(&["get", "--user", USER, name]).done();
}

#[test]
fn partial_failure_exits_8() {
    let setup = Setup::new();
    setup.client().create_api_key("a").send_blocking().unwrap();
    let deleted = setup.run(&["delete", "nothing", "a", "--yes"]);
    assert_eq!(deleted.code, Some(8), "{deleted:?}");
    assert!(deleted.stdout.contains("a ") && deleted.stderr.contains("1 of 2"), "{deleted:?}");
    assert_eq!(setup.names(), ["initial"]);
    setup.run(&["delete", "nothing", "neither", "--yes"]).failed(5, "neither");
}

#[test]
fn json_error_is_one_object_on_stderr() {
    let setup = Setup::new();
    let error = |arguments: &[&str]| -> Value {
        let failed = setup.run(&[arguments, &["--format", "json"]].concat());
        assert_eq!(failed.stdout, "");
        serde_json::from_str(&failed.stderr).unwrap()
    };
    let lost = error(&["get", "nothing"]);
    assert_eq!(lost["error"]["exit_code"], 5);
    assert_eq!(lost["error"]["status"], 404);
    assert!(lost["error"]["trace_id"].is_string(), "{lost}");
    assert_eq!(error(&["dance"])["error"]["exit_code"], 2);
    for arguments in [&["get", "nothing"][..], &["dance"]] {
        let text = setup.run(arguments).stderr;
        assert!(text.starts_with("error: "), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn interrupted_command_exits_130() {
    let setup = Setup::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = setup.program();
    command.env("ROCKSET_APISERVER", listener.local_addr().unwrap().to_string());
    command.args(["delete", "x", "--yes"]).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let _request = listener.accept().unwrap();
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8(output.stderr).unwrap().contains("may have been applied"));
}

#[test]
fn broken_pipe_on_stdout_exits_zero() {
    let setup = Setup::new();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let output = setup.program().arg("list").stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}
