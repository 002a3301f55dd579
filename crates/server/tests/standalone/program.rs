//! Starts the program in a directory, reads its health and log, and stops or kills it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rockset_apikeys::{Client, Error, ErrorKind, RetryPolicy, StatusCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for an expected event.
pub const DEADLINE: Duration = Duration::from_secs(10);

pub const UNAUTHORIZED: ErrorKind = ErrorKind::Response(StatusCode::UNAUTHORIZED);
pub const FORBIDDEN: ErrorKind = ErrorKind::Response(StatusCode::FORBIDDEN);

/// Returns the status of the last response.
pub fn status_of(error: &Error) -> Option<u16> {
    Some(error.report()?.status()?.as_u16())
}

/// Returns a client that does not retry.
pub fn client_for(url: &str, key: &str) -> Client {
    let builder = Client::builder().api_server(url).api_key(key);
    builder.retry_policy(RetryPolicy::never()).build().unwrap()
}

/// Creates a directory for a server, in memory if possible, because servers sync often. `disk.rs`
/// simulates power losses.
pub fn temporary_directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_rockset-apikeys-server");

fn command(directory: &Path) -> Command {
    in_directory(directory, Command::new(PROGRAM))
}

fn in_directory(directory: &Path, mut command: Command) -> Command {
    let settings = std::env::vars().map(|(name, _)| name);
    for name in settings.filter(|name| name.starts_with("ROCKSET_")) {
        command.env_remove(name);
    }
    command.current_dir(directory);
    command
}

/// Runs the program until it ends.
pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    command(directory).args(arguments).output().unwrap()
}

/// Like `run`, with the given standard error.
pub fn run_logging_to(directory: &Path, arguments: &[&str], log: impl Into<Stdio>) -> Output {
    command(directory).args(arguments).stderr(log).output().unwrap()
}

/// A running server.
pub struct Program {
    child: Child,
    log: PathBuf,
    pub url: String,
    /// The administrator's key, if the database is new.
    pub admin_key: Option<String>,
    /// The standard output at startup.
    pub output: String,
    /// Whether it is ready; otherwise it has ended.
    pub is_ready: bool,
}

impl Program {
    /// Starts a server in this directory, on a free port of 127.0.0.1 unless the arguments contain
    /// an address.
    pub fn serve(directory: &Path, arguments: &[&str]) -> Self {
        Self::serve_with(directory, arguments, &[])
    }

    pub fn serve_with(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let program = Self::try_serve_with(directory, arguments, variables);
        assert!(program.is_ready, "the server did not start: {}", program.log());
        program
    }

    /// Like `serve_with`, for a server that may end before it is ready.
    pub fn try_serve_with(
        directory: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = command(directory);
        command.envs(variables.iter().copied());
        Self::start(command, directory, arguments)
    }

    /// Limits the size of files, so that further writes fail as on a full disk.
    pub fn serve_limited(directory: &Path, kibibytes: u32, arguments: &[&str]) -> Self {
        let limited = r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#;
        let mut bash = Command::new("bash");
        bash.args(["-c", limited, &kibibytes.to_string(), PROGRAM]);
        let program = Self::start(in_directory(directory, bash), directory, arguments);
        assert!(program.is_ready, "the server did not start: {}", program.log());
        program
    }

    /// Like `serve`, with the given standard error.
    pub fn serve_logging_to(directory: &Path, arguments: &[&str], log: impl Into<Stdio>) -> Self {
        Self::start_logging_to(command(directory), directory, arguments, log.into())
    }

    fn start(command: Command, directory: &Path, arguments: &[&str]) -> Self {
        let log =
            File::options().create(true).append(true).open(directory.join("log.txt")).unwrap();
        Self::start_logging_to(command, directory, arguments, log.into())
    }

    fn start_logging_to(
        mut command: Command,
        directory: &Path,
        arguments: &[&str],
        stderr: Stdio,
    ) -> Self {
        let log = directory.join("log.txt");
        let child = command
            .env("ROCKSET_SERVER_LISTEN", "127.0.0.1:0")
            .arg("serve")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let (url, output) = (String::new(), String::new());
        let mut program = Self { child, log, url, admin_key: None, output, is_ready: false };
        for line in BufReader::new(program.child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            program.output.extend([&line, "\n"]);
            if let Some(url) = line.trim().strip_prefix("export ROCKSET_APISERVER=") {
                program.url = url.to_owned();
            } else if let Some(key) = line.trim().strip_prefix("export ROCKSET_APIKEY=") {
                // A later start prints a command instead of the key.
                program.admin_key = Some(key.to_owned()).filter(|key| !key.starts_with('$'));
            } else if line.contains("Ctrl-C") {
                program.is_ready = true;
                break;
            }
        }
        program
    }

    pub fn client(&self, key: &str) -> Client {
        client_for(&self.url, key)
    }

    pub fn address(&self) -> SocketAddr {
        self.url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// Returns the status of a health check. Uses no HTTP client, because creating one reads the
    /// platform's certificates.
    pub async fn health(&self) -> u16 {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let request = "GET /health HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Waits until the health check, whose result is reused for a second, has this status.
    pub async fn health_becomes(&self, status: u16) {
        let start = Instant::now();
        while self.health().await != status {
            assert!(start.elapsed() < DEADLINE, "/health was not {status} within {DEADLINE:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log contains this text, and returns the log. The server writes it after the
    /// response.
    pub fn log_with(&self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let log = self.log();
            if log.contains(text) {
                return log;
            }
            assert!(Instant::now() < deadline, "{text:?} was not logged: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    pub fn signal(&self, name: &str) {
        let arguments = [format!("-{name}"), self.child.id().to_string()];
        assert!(Command::new("kill").args(arguments).status().unwrap().success());
    }

    /// Waits until the server has stopped, up to a timeout.
    pub fn wait_at_most(mut self, time: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + time;
        loop {
            let status = self.child.try_wait().unwrap();
            if status.is_some() || Instant::now() > deadline {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the server has stopped.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub fn stop(self) {
        self.terminate();
        assert!(self.wait().success());
    }

    /// Kills the server with `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Stops the server if the test has failed. This fails if it has already stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
