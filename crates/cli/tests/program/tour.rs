//! Runs the README's rotation on a server whose clock is advanced at its comments.

use std::path::Path;
use std::process::Command;

use rockset_apikeys::jiff::SignedDuration;

use crate::rotate::{DAY, Stage};
use crate::support::run;

#[test]
fn readme_rotation_matches_program() {
    let readme = include_str!("../../README.md");
    let tour = readme.split("```console\n").nth(1).unwrap().split("```").next().unwrap();
    let stage = Stage::at("2030-01-01T03:00:00Z".parse().unwrap());
    let path = Path::new(env!("CARGO_BIN_EXE_rockset-apikeys")).parent().unwrap();
    let home = stage.setup.home().canonicalize().unwrap();
    let mut waits = [DAY + SignedDuration::from_mins(1), DAY * 7].into_iter();
    let mut seen = String::new();
    for line in tour.lines() {
        if line.starts_with('#') {
            stage.clock.advance(waits.next().unwrap());
            seen += &format!("\n{line}\n");
        }
        if let Some(command) = line.strip_prefix("$ ") {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &format!("{command} 2>&1")]).current_dir(&home).env_clear();
            shell.env("PATH", path).env("HOME", &home);
            shell.env("ROCKSET_APISERVER", stage.setup.server.url());
            shell.env("ROCKSET_APIKEY", stage.setup.server.admin_key().expose_secret());
            seen += &format!("{line}\n{}", run(&mut shell).done());
        }
    }
    // The ID depends on the time.
    let seen = seen.replace(&stage.id(), "1b88d0a4b2c").replace(home.to_str().unwrap(), "/srv/app");
    assert_eq!(tour, seen, "README.md should have:\n{seen}");
    assert!(tour.lines().all(|line| line.chars().count() <= 100));
    assert_eq!(stage.setup.names(), ["initial", "my-app.r2"]);
}
