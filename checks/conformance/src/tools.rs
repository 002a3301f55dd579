//! Installs the independent tools, and runs commands so that they cannot hang.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;
use tokio::time::timeout;

pub use crate::vendor::{JAVASCRIPT_CLIENT, PYTHON_CLIENT};

pub const OPENAPI_SPEC_VALIDATOR: &str = "openapi-spec-validator==0.9.0";
/// With the last compatible release of Hypothesis.
pub const HYPOTHESIS_JSONSCHEMA: &str = "hypothesis-jsonschema==0.23.1 hypothesis==6.140.3";
pub const SCHEMATHESIS: &str = "schemathesis==4.32.5";
pub const PRISM: &str = "@stoplight/prism-cli@5.16.0";
pub const REDOCLY: &str = "@redocly/cli@2.77.0";
pub const SPECTRAL: &str = "@stoplight/spectral-cli@6.16.3";

/// Timeout of a command, sufficient for slow machines and networks.
const TIMEOUT: Duration = Duration::from_secs(600);

pub struct Tools {
    /// The project's directory.
    pub root: PathBuf,
    /// The directory for tools and reports.
    pub directory: PathBuf,
}

impl Tools {
    pub fn new() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../conformance");
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        Ok(Self { root, directory: directory.canonicalize()? })
    }

    /// Returns the path of the contract.
    pub fn contract(&self) -> PathBuf {
        self.root.join("openapi/apikeys.yaml")
    }

    /// Returns the path of a script in `clients`.
    pub fn script(&self, name: &str) -> PathBuf {
        self.root.join("checks/conformance/clients").join(name)
    }

    /// Installs a Python package. Returns the directory of its environment's commands.
    pub async fn python(&self, package: &str) -> Result<PathBuf> {
        let directory = self.directory_of(package);
        let commands = directory.join("bin");
        let mut create = Command::new("python3");
        create.args(["-m", "venv"]).arg(&directory);
        let mut install = Command::new(commands.join("pip"));
        install.args(["install", "--quiet", "--disable-pip-version-check"]);
        install.args(package.split(' '));
        install_once(package, &directory, [&mut create, &mut install]).await?;
        Ok(commands)
    }

    /// Installs an npm package. Returns the directory of its modules.
    pub async fn npm(&self, package: &str) -> Result<PathBuf> {
        let directory = self.directory_of(package);
        let mut install = Command::new("npm");
        install.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]);
        install.arg(&directory).arg(package);
        install_once(package, &directory, [&mut install]).await?;
        Ok(directory.join("node_modules"))
    }

    /// Prepares a script in `clients` that imports this Python package.
    pub async fn python_script(&self, name: &str, package: &str) -> Result<Command> {
        let mut command = Command::new(self.python(package).await?.join("python"));
        command.arg(self.script(name));
        Ok(command)
    }

    /// Prepares a script in `clients` that imports this npm package.
    pub async fn node_script(&self, name: &str, package: &str) -> Result<Command> {
        let mut command = Command::new("node");
        // The script resolves modules as if it were a file in this directory.
        let modules = self.npm(package).await?.join(name);
        command.arg(self.script(name)).env("MODULES", modules);
        Ok(command)
    }

    fn directory_of(&self, package: &str) -> PathBuf {
        let name = package.replace(['/', '@', ' '], "-");
        self.directory.join("tools").join(name.trim_start_matches('-'))
    }
}

/// Runs the commands that install a package, unless an earlier run has finished them.
async fn install_once<const N: usize>(
    package: &str,
    directory: &Path,
    commands: [&mut Command; N],
) -> Result<()> {
    let marker = directory.join("installed");
    if marker.exists() {
        return Ok(());
    }
    println!("  installing {package}");
    if directory.exists() {
        // An earlier installation was interrupted.
        fs::remove_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    fs::create_dir_all(directory)?;
    for command in commands {
        run(command).await?;
    }
    Ok(fs::write(marker, "")?)
}

/// Runs a command to its end, and returns its output. It is killed if this program ends.
pub async fn run(command: &mut Command) -> Result<String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match timeout(TIMEOUT, output).await {
        Err(_) => bail!("{name} timed out after {} s", TIMEOUT.as_secs()),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("cannot run {name}: it is not in PATH; install it")
        }
        Ok(output) => output.with_context(|| format!("cannot run {name}"))?,
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if !output.status.success() {
        bail!("{name} failed:\n{}", text.trim_end());
    }
    Ok(text)
}
