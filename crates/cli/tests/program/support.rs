//! Runs the program with its own server and home directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rockset_apikeys::Client;
use rockset_apikeys_server::{Clock, Role, Server};
use serde_json::Value;

pub const USER: &str = "dev@me.com";

pub struct Setup {
    pub server: Server,
    home: tempfile::TempDir,
}

/// The result of a run of the program.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Setup {
    pub fn new() -> Self {
        Self::at(&Clock::default())
    }

    /// Starts a server with this clock.
    pub fn at(clock: &Clock) -> Self {
        let builder = Server::builder().user(USER, Role::Member).clock(clock);
        Self { server: builder.start_blocking().unwrap(), home: tempfile::tempdir().unwrap() }
    }

    pub fn client(&self) -> Client {
        self.server.client()
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns the path of a file in the home directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    /// Writes a file in the home directory.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns the program without configuration.
    pub fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rockset-apikeys"));
        command.env_clear().env("HOME", self.home()).current_dir(self.home());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null());
        command
    }

    /// Returns the program with the administrator's key.
    pub fn program(&self) -> Command {
        let mut command = self.bare();
        command.env("ROCKSET_APISERVER", self.server.url());
        command.env("ROCKSET_APIKEY", self.server.admin_key().expose_secret());
        command
    }

    /// Runs the program with these arguments.
    pub fn run(&self, arguments: &[&str]) -> Run {
        run(self.program().args(arguments))
    }

    /// Returns the full value of one of the administrator's keys.
    pub fn value(&self, name: &str) -> String {
        let key = self.client().get_api_key(name).reveal(true).send_blocking().unwrap();
        key.key.expose_secret().to_owned()
    }

    pub fn names(&self) -> Vec<String> {
        let keys = self.client().list_api_keys().send_blocking().unwrap();
        keys.into_iter().map(|key| key.name).collect()
    }
}

pub fn run(command: &mut Command) -> Run {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

impl Run {
    /// Returns the output of a successful run.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.done()).unwrap()
    }

    /// Checks that the run failed with this code and message, and printed no data.
    #[track_caller]
    pub fn failed(self, code: i32, text: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.contains(text), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
    }
}
