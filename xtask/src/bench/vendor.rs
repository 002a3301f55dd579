//! The vendor's own clients, in Python and JavaScript, as peers. They are installed where
//! `cargo xtask conformance` has them.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use super::{output, target};
use crate::root;

#[path = "../../../checks/conformance/src/vendor.rs"]
mod versions;

pub struct Vendor {
    pub name: &'static str,
    /// Where it is installed.
    folder: PathBuf,
    /// What runs its script.
    program: PathBuf,
    script: &'static str,
}

impl Vendor {
    /// Returns the command that prints the calls per second to a server on this port.
    pub fn load(&self, port: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(root().join("checks/benches/peers").join(self.script));
        command.env("ROCKSET_APISERVER", format!("http://127.0.0.1:{port}"));
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        // The script resolves modules as if it were a file in this folder.
        command.env("MODULES", self.folder.join("node_modules").join(self.script));
        command
    }
}

/// Installs the clients. Says why one cannot be, and notes it for the report.
pub fn set_up(notes: &mut Vec<String>) -> Vec<Vendor> {
    let python = r#"python3 -m venv "$0"; "$0/bin/pip" install --quiet "$1""#;
    let python = installed(versions::PYTHON_CLIENT, python).map(|folder| Vendor {
        name: "python",
        program: folder.join("bin/python"),
        script: "load.py",
        folder,
    });
    let npm = r#"mkdir -p "$0"; npm install --silent --no-fund --no-audit --prefix "$0" "$1""#;
    let javascript = installed(versions::JAVASCRIPT_CLIENT, npm).map(|folder| Vendor {
        name: "javascript",
        program: "node".into(),
        script: "load.mjs",
        folder,
    });
    let mut ready = Vec::new();
    for client in [(versions::PYTHON_CLIENT, python), (versions::JAVASCRIPT_CLIENT, javascript)] {
        match client {
            (_, Ok(client)) => ready.push(client),
            (package, Err(reason)) => {
                eprintln!("{package} cannot be installed: {reason}");
                notes.push(format!("Skipped: {package}, which could not be installed."));
            }
        }
    }
    ready
}

/// Returns the folder in which this package is installed, now or earlier.
fn installed(package: &str, install: &str) -> Result<PathBuf, String> {
    let name = package.replace(['/', '@', ' '], "-");
    let folder = target().join("conformance/tools").join(name.trim_start_matches('-'));
    // Node resolves modules beside absolute paths only.
    let folder = env::current_dir().map_err(|error| error.to_string())?.join(folder);
    if !folder.join("installed").exists() {
        eprintln!("installing {package}");
        // What an interrupted installation left.
        let _ = fs::remove_dir_all(&folder);
        output(Command::new("sh").args(["-ec", install]).arg(&folder).arg(package))?;
        fs::write(folder.join("installed"), "").map_err(|error| error.to_string())?;
    }
    Ok(folder)
}
