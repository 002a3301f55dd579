//! The values of keys are printed and written only to destinations.

use std::fs;
use std::path::Path;

use rockset_apikeys_server::Fault;

use crate::support::{Setup, USER, run};

#[test]
fn values_appear_only_in_destinations() {
    let setup = Setup::new();
    let create = setup.run(&["create", "a", "--out", "file:dest", "--out", "dotenv:dest.env#A"]);
    create.done();
    let canaries = [
        setup.value("a"),
        setup.server.admin_key().expose_secret().to_owned(),
        setup.server.key(USER).unwrap().expose_secret().to_owned(),
    ];
    let admin = &canaries[1];
    let key_option = format!("--api-key={admin}");
    let file = format!("file:{admin}/x");
    let commands: &[&[&str]] = &[
        &["list"],
        &["get", "a"],
        &["whoami"],
        &["audit"],
        &["audit", "--user", USER, "--user", "admin@me.com"],
        &["update", "a", "--expires-in", "1d"],
        &["suspend", "a", "--yes"],
        &["activate", "a"],
        &["reveal", "a", "--out", "file:dest"],
        &["reveal", "a", "--out", "exec:exit 1"],
        &["create", "b", "--out", "file:no/where"],
        &["create", "b", "--out", &file],
        &["create", "b", "--out", "exec:exit 1"],
        &["create", "initial", "--out", "-"],
        &["list", &key_option],
        &["list", "--api-server", admin],
        &["list", "--api-server", "127.0.0.1:1"],
        &["rotate", "start", "a", "--out", "file:dest", "--dry-run"],
        &["rotate", "start", "a", "--out", "file:dest", "--test-cmd", "exit 1"],
        &["rotate", "start", "a", "--out", "file:dest", "--out", "exec:exit 1"],
        &["rotate", "start", "a", "--out", "file:dest", "--compromised"],
        &["rotate", "status"],
        &["rotate", "rollback", "--yes"],
        &["delete", "a", "b", "--yes"],
        &["--help"],
    ];
    let mut printed = String::new();
    for format in ["table", "json", "ndjson", "csv"] {
        for command in commands {
            if command.last() == Some(&"127.0.0.1:1") && format != "json" {
                continue; // The retries take too long to run in every format.
            }
            let run = run(setup.program().args(["--format", format]).args(*command));
            if !command.contains(&file.as_str()) {
                printed += &(run.stdout + &run.stderr);
            }
        }
        setup.server.inject(Fault::status_after_handling(502), 1);
        let run = setup.run(&["create", "a", "--out", "file:dest", "--format", format]);
        printed += &(run.stdout + &run.stderr);
    }
    for canary in &canaries {
        assert!(!printed.contains(canary.as_str()), "a value was printed");
    }
    assert!(printed.contains(&canaries[1][..6]), "no identifier was printed");
    let others = files(setup.home()).into_iter().filter(|(name, _)| !name.contains("dest"));
    for (name, content) in others {
        let found = canaries
            .iter()
            .any(|canary| content.windows(canary.len()).any(|bytes| bytes == canary.as_bytes()));
        assert!(!found, "{name} contains a value");
    }
}

fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}
