//! The independent tools: their versions, where they are installed, and how a command runs so that
//! it cannot hang.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Blocking, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;
use tokio::time::timeout;

pub use crate::vendor::{JAVASCRIPT_CLIENT, PYTHON_CLIENT};

pub const OPENAPI_SPEC_VALIDATOR: &str = "openapi-spec-validator==0.9.0";
/// With the last Hypothesis that it works with.
pub const HYPOTHESIS_JSONSCHEMA: &str = "hypothesis-jsonschema==0.23.1 hypothesis==6.140.3";
pub const SCHEMATHESIS: &str = "schemathesis==4.32.5";
pub const PRISM: &str = "@stoplight/prism-cli@5.16.0";
pub const REDOCLY: &str = "@redocly/cli@2.77.0";
pub const SPECTRAL: &str = "@stoplight/spectral-cli@6.16.3";

/// Timeout of a command, for slow machines and networks too.
const LIMIT: Duration = Duration::from_secs(600);

pub struct Tools {
    root: PathBuf,
    folder: PathBuf,
}

impl Tools {
    /// Finds the project, and the folder for tools and reports.
    pub fn find() -> Result<Self> {
        let arguments = ["metadata", "--no-deps", "--format-version", "1"];
        // Cargo starts tests in the folder of their package.
        let mut cargo = Blocking::new("cargo");
        let output = cargo.current_dir("..").args(arguments).output().context("cargo")?;
        let metadata: serde_json::Value =
            serde_json::from_slice(&output.stdout).context("what `cargo metadata` says")?;
        let path = |name: &str| -> Result<PathBuf> {
            let path = metadata[name].as_str().context("`cargo metadata` says no path")?;
            Ok(PathBuf::from(path))
        };
        let folder = path("target_directory")?.join("conformance");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self { root: path("workspace_root")?, folder })
    }

    /// Returns the project's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder for reports.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the name of a crate with its version in Cargo.lock.
    pub fn locked(&self, name: &str) -> Result<String> {
        let lock = fs::read_to_string(self.root.join("Cargo.lock")).context("Cargo.lock")?;
        let start = format!("name = \"{name}\"\nversion = \"");
        // The last of several versions is the newest.
        let version = lock.rsplit_once(&start).and_then(|(_, rest)| rest.split('"').next());
        Ok(format!("{name} {}", version.with_context(|| format!("{name} is not in Cargo.lock"))?))
    }

    /// Returns the path of a script of this program.
    pub fn script(&self, name: &str) -> PathBuf {
        self.root.join("checks/conformance/clients").join(name)
    }

    /// Returns the folder of commands of a Python environment with this package.
    pub async fn python(&self, package: &str) -> Result<PathBuf> {
        let (folder, is_new) = self.tool(package)?;
        if is_new {
            println!("  installing {package}");
            run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await?;
            let mut pip = Command::new(folder.join("bin/pip"));
            pip.args(["install", "--quiet", "--disable-pip-version-check"]);
            run(pip.args(package.split(' '))).await?;
            installed(&folder)?;
        }
        Ok(folder.join("bin"))
    }

    /// Returns the folder of modules with this npm package and its dependencies.
    pub async fn npm(&self, package: &str) -> Result<PathBuf> {
        let (folder, is_new) = self.tool(package)?;
        if is_new {
            println!("  installing {package}");
            fs::create_dir_all(&folder)?;
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]);
            run(npm.arg(&folder).arg(package)).await?;
            installed(&folder)?;
        }
        Ok(folder.join("node_modules"))
    }

    /// Prepares a script of this program that needs this Python package.
    pub async fn python_script(&self, name: &str, package: &str) -> Result<Command> {
        let mut command = Command::new(self.python(package).await?.join("python"));
        command.arg(self.script(name));
        Ok(command)
    }

    /// Prepares a script of this program that needs this npm package.
    pub async fn node_script(&self, name: &str, package: &str) -> Result<Command> {
        let mut command = Command::new("node");
        // The script resolves modules as if it were a file in this folder.
        let beside = self.npm(package).await?.join(name);
        command.arg(self.script(name)).env("MODULES", beside);
        Ok(command)
    }

    /// Returns the folder for a tool, and whether it is still to be installed there.
    fn tool(&self, package: &str) -> Result<(PathBuf, bool)> {
        let name = package.replace(['/', '@', ' '], "-");
        let folder = self.folder.join("tools").join(name.trim_start_matches('-'));
        let is_new = !folder.join("installed").exists();
        if is_new && folder.exists() {
            // An installation was interrupted.
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        Ok((folder, is_new))
    }
}

fn installed(folder: &Path) -> Result<()> {
    Ok(fs::write(folder.join("installed"), "")?)
}

/// Runs a command to its end, and returns what it printed. It is killed if this program ends.
pub async fn run(command: &mut Command) -> Result<String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match timeout(LIMIT, output).await {
        Err(_) => bail!("{name} did not end within {} s", LIMIT.as_secs()),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{name} is missing; install it, and see that it is in PATH")
        }
        Ok(output) => output.with_context(|| name.clone())?,
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if !output.status.success() {
        bail!("{name} failed:\n{}", text.trim_end());
    }
    Ok(text)
}
