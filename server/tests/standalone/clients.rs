//! The server and clients that nobody here wrote: the vendor's own, as they were published, and a
//! fuzzer that knows nothing but the contract.
//!
//! They are installed below the target folder. Where that cannot be done, a developer's machine
//! goes without these tests and says so; with the variable `CI` set, it is a failure.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::Program;

/// Runs a command to its end, and gives what it printed.
fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{name} failed:\n{text}")) }
}

/// A folder of this name below the target folder, filled once.
fn installed(
    name: &str,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let done = folder.join("installed");
    if !done.exists() {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        install(&folder)?;
        std::fs::write(done, "").map_err(|error| error.to_string())?;
    }
    Ok(folder)
}

/// A Python environment with this package.
fn python(package: &str) -> Result<PathBuf, String> {
    installed(package, |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let install = ["install", "--quiet", "--disable-pip-version-check", package];
        run(Command::new(folder.join("bin/pip")).args(install)).map(drop)
    })
}

/// A folder with this npm package and what it needs.
fn node(name: &str, package: &str) -> Result<PathBuf, String> {
    installed(name, |folder| {
        let install = ["install", "--silent", "--no-fund", "--no-audit", "--prefix"];
        run(Command::new("npm").args(install).arg(folder).arg(package)).map(drop)
    })
}

/// What was installed, unless it could not be and need not be.
fn available(installed: Result<PathBuf, String>) -> Option<PathBuf> {
    match installed {
        Ok(folder) => Some(folder),
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("NOT RUN, because what it needs cannot be installed: {error}");
            None
        }
        Err(error) => panic!("what the test needs cannot be installed: {error}"),
    }
}

/// A script beside these tests.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Runs a client's script against a server with a database in a file.
async fn talk_to_a_server(client: &mut Command) {
    let folder = tempfile::tempdir().unwrap();
    let server = Program::serve(folder.path(), &[]);
    let member = crate::program::run(folder.path(), &["users", "add", "dev@me.com"]);
    let member = String::from_utf8(member.stdout).unwrap();
    // The server has taken the new user over when it has answered this.
    reqwest::get(format!("{}/health", server.url)).await.unwrap();
    client
        .env("ROCKSET_APISERVER", &server.url)
        .env("ROCKSET_APIKEY", server.admin_key.clone().unwrap())
        .env("MEMBER_KEY", member.trim());
    if let Err(error) = run(client) {
        panic!("{error}\nThe server's log:\n{}", server.log());
    }
    assert!(server.log().lines().count() > 30, "the client spoke to this server");
    server.stop();
}

#[tokio::test]
async fn the_vendors_python_client_is_served() {
    let Some(python) = available(python("rockset==2.1.2")) else { return };
    let mut client = Command::new(python.join("bin/python"));
    talk_to_a_server(client.arg(script("official.py"))).await;
}

#[tokio::test]
async fn the_vendors_javascript_client_is_served() {
    let Some(modules) = available(node("rockset-client", "@rockset/client@0.9.2")) else { return };
    let mut client = Command::new("node");
    client.arg(script("official.mjs")).env("MODULES", format!("{}/", modules.display()));
    talk_to_a_server(&mut client).await;
}

#[test]
fn schemathesis_finds_nothing() {
    let Some(python) = available(python("schemathesis==4.32.5")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--database", "sqlite::memory:", "--user", "dev@me.com=member"];
    let server = Program::serve(folder.path(), &[&arguments[..], &["--rate-limit", "0"]].concat());
    let key = server.admin_key.clone().unwrap();
    let report = run(Command::new(python.join("bin/schemathesis"))
        .current_dir(folder.path())
        .env("PYTHONPATH", script(""))
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .arg("--config-file")
        .arg(script("schemathesis.toml"))
        .args(["run", "--no-color", "--continue-on-failure", "--seed", "1", "-n", "200"])
        .args(["--url", &server.url, "-H", &format!("Authorization: ApiKey {key}")])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/apikeys.yaml")));
    let report = report.unwrap_or_else(|report| panic!("{report}"));
    let cases = report.lines().find_map(|line| line.trim().split_once(" generated"));
    let cases: u32 = cases.expect("a count of test cases").0.parse().unwrap();
    println!("{cases} cases");
    assert!(cases >= 1_000 && report.contains("5 selected / 5 total"), "{report}");
    // It was let in, and reached more than what is not there.
    for (operation, least) in
        [("/apikeys/{name}", 50), ("/{user}/apikeys", 50), ("self/apikeys", 50)]
    {
        let ending = format!("{operation}\" status=200");
        let successes = server.log().lines().filter(|line| line.contains(&ending)).count();
        assert!(successes >= least, "{operation}: {successes} successes");
    }
}
