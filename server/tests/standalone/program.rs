//! Starts the program in a folder and stops it, gently or not.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rockset_apikeys::{Client, RetryPolicy};

/// A client that repeats nothing.
pub fn client_of(url: &str, key: &str) -> Client {
    let builder = Client::builder().api_server(url).api_key(key);
    builder.retry_policy(RetryPolicy::none()).build().unwrap()
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_rockset-apikeys-server");

fn command(folder: &Path) -> Command {
    in_folder(folder, Command::new(PROGRAM))
}

fn in_folder(folder: &Path, mut command: Command) -> Command {
    let settings = std::env::vars().map(|(name, _)| name);
    for name in settings.filter(|name| name.starts_with("ROCKSET_")) {
        command.env_remove(name);
    }
    command.current_dir(folder);
    command
}

/// Runs a command of the program to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder).args(arguments).output().unwrap()
}

/// A running server.
pub struct Program {
    child: Child,
    log: PathBuf,
    pub url: String,
    /// The administrator's key, where the database is new.
    pub admin_key: Option<String>,
}

impl Program {
    /// Serves at a free port, from this folder, with these arguments besides.
    pub fn serve(folder: &Path, arguments: &[&str]) -> Self {
        Self::serve_with(folder, arguments, &[])
    }

    pub fn serve_with(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = command(folder);
        command.envs(variables.iter().copied());
        Self::start(command, folder, arguments)
    }

    /// Serves with no file larger than this, so that further writes fail as on a full disk.
    pub fn serve_limited(folder: &Path, kibibytes: u32, arguments: &[&str]) -> Self {
        let limited = r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#;
        let mut bash = Command::new("bash");
        bash.args(["-c", limited, &kibibytes.to_string(), PROGRAM]);
        Self::start(in_folder(folder, bash), folder, arguments)
    }

    fn start(mut command: Command, folder: &Path, arguments: &[&str]) -> Self {
        let log = folder.join("log.txt");
        let child = command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        let mut program = Self { child, log, url: String::new(), admin_key: None };
        for line in BufReader::new(program.child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(url) = line.trim().strip_prefix("export ROCKSET_APISERVER=") {
                program.url = url.to_owned();
            } else if let Some(key) = line.trim().strip_prefix("export ROCKSET_APIKEY=") {
                program.admin_key = Some(key.to_owned());
            } else if line.contains("Ctrl-C") {
                return program;
            }
        }
        panic!("the server did not start: {}", program.log());
    }

    pub fn client(&self, key: &str) -> Client {
        client_of(&self.url, key)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits until it has stopped.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub fn stop(self) {
        self.terminate();
        assert!(self.wait().success());
    }

    /// Ends it at once, with `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A test that fails leaves no server behind; one that has stopped cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
