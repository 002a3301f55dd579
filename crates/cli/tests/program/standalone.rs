//! Every command, exit code and destination, with the server as a separate program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::{Run, USER, run};

struct Standalone {
    process: Child,
    url: String,
    key: String,
    home: TempDir,
}

/// Returns the server's program, which is built next to this one.
fn program() -> PathBuf {
    let directory = Path::new(env!("CARGO_BIN_EXE_rockset-apikeys")).parent().unwrap();
    let program = directory.join("rockset-apikeys-server");
    if !program.exists() {
        let build = ["build", "--package", "rockset-apikeys-server"];
        assert!(Command::new(env!("CARGO")).args(build).status().unwrap().success());
    }
    program
}

impl Standalone {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", home.path().join("keys.db").display());
        let mut server = Command::new(program());
        server.args([
            "serve",
            "--enable-fault-injection",
            "--listen",
            "127.0.0.1:0",
            "--database",
            &database,
        ]);
        let mut process = server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut export = |name: &str| loop {
            let line = lines.next().expect("the server starts").unwrap();
            if let Some((_, value)) = line.split_once(&format!("export {name}=")) {
                break value.to_owned();
            }
        };
        let (url, key) = (export("ROCKSET_APISERVER"), export("ROCKSET_APIKEY"));
        let mut users = Command::new(program());
        users.args(["users", "add", USER, "--role", "member", "--database", &database]);
        assert!(users.output().unwrap().status.success());
        Self { process, url, key, home }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rockset-apikeys"));
        command.env_clear().env("HOME", self.home.path()).current_dir(self.home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("ROCKSET_APISERVER", &self.url).env("ROCKSET_APIKEY", &self.key);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &str) -> Run {
        run(&mut self.command(&arguments.split(' ').collect::<Vec<_>>()))
    }

    fn inject(&self, fault: &str) {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let length = fault.len();
        let head = "POST /faults HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
        let head = format!("{head}content-type: application/json\r\ncontent-length: {length}");
        stream.write_all(format!("{head}\r\n\r\n{fault}").as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 2"), "{response}");
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn every_command_works_with_standalone_server() {
    let it = Standalone::start();
    it.run("create a --role member --expires-in 90d --out file:file --out dotenv:.env#A").done();
    it.run("create b --role member --out profile:b --out exec:cat>got").done();
    let value = it.run("reveal a --out -").done();
    let read = |name: &str| std::fs::read_to_string(it.home.path().join(name)).unwrap();
    assert_eq!((read("file") + "\n", read(".env")), (value.clone(), format!("A={value}")));
    assert!(read(".config/rockset/config.yaml").contains(&read("got")));
    assert!(it.run("list").done().contains("a        ACTIVE"));
    assert_eq!(it.run("get a --format json").json()["role"], "member");
    it.run("update a --no-expiry").done();
    it.run("suspend a b --yes").done();
    it.run("activate a b").done();
    it.run("create c --user dev@me.com --role member --out file:c").done();
    assert!(it.run("whoami").done().contains("name           initial"));
    assert_eq!(it.run("audit --user self --user dev@me.com").code, Some(3));

    it.run("rotate start a --out file:file --dry-run").done();
    it.run("rotate start a --out file:file --out dotenv:.env#A --test-cmd true").done();
    assert_eq!(read("file") + "\n", it.run("reveal a.r2 --out -").done());
    assert!(it.run("rotate status").done().contains("suspend"));
    it.run("rotate resume").done();
    it.run("rotate finish --yes").done();
    it.run("rotate rollback --yes").done();
    assert_eq!((read("file") + "\n", read(".env")), (value.clone(), format!("A={value}")));
    it.run("rotate start b --out profile:b --compromised").done();
    it.run("rotate abort").done();
    it.run("delete a b b.r2 --yes").done();
    assert_eq!(it.run("list --format ndjson").done().lines().count(), 1);
    assert!(it.run("completions bash").done().contains("rockset-apikeys"));
    assert!(it.run("man rotate").done().contains(".TH"));
}

#[test]
fn every_exit_code_occurs_with_standalone_server() {
    let it = Standalone::start();
    it.run("create a --role member --out file:a").done();
    it.inject(r#"{"status": 400, "responses": 1}"#);
    it.run("list").failed(1, "400 Bad Request");
    it.run("get . --user dev@me.com").failed(2, "nothing was sent");
    assert_eq!(it.run("audit").code, Some(3));
    run(it.command(&["list"]).env("ROCKSET_APIKEY", "x")).failed(4, "401");
    it.run("get nothing").failed(5, "404");
    it.inject(r#"{"status_after_handling": 502, "responses": 1}"#);
    it.run("create b --out file:b").failed(6, "may have succeeded");
    it.run("rotate start a --out file:a --suspend-first --test-cmd false")
        .failed(7, "rotate resume");
    assert_eq!(it.run("delete b nothing --yes").code, Some(8));
    it.run("rotate abort").done();
    let start = ["rotate", "start", "a.r2", "--out", "file:a", "--test-cmd", "kill -INT $PPID"];
    run(&mut it.command(&start)).failed(130, "rotate resume");
    it.run("rotate resume").done();
}
