use std::process::Stdio;

use crate::support::{Setup, USER, run};

#[test]
fn audit_exits_3_for_findings_at_or_above_fail_on() {
    let setup = Setup::new();
    let found = setup.run(&["audit"]);
    assert_eq!(found.code, Some(3), "{found:?}");
    assert!(found.stdout.contains("no-role") && found.stderr.contains("keys: 1, users: 1;"));
    assert!(found.stdout.contains("rockset-apikeys create --role ROLE"), "{found:?}");

    let policy = "[[exceptions]]\nname = \"initial\"\nkind = \"no-role\"\nreason = \"bootstrap\"\n\
                  until = \"9998-12-31\"\n";
    setup.write("policy.toml", policy);
    let audit = ["audit", "--policy", "policy.toml"];
    let found = setup.run(&audit);
    assert!(found.stderr.contains("suppressed: 1"), "{found:?}");
    assert!(found.done().contains("no-expiry"));
    assert_eq!(setup.run(&[&audit[..], &["--fail-on", "medium"]].concat()).code, Some(3));
}

#[test]
fn audit_reads_users_from_arguments_file_and_stdin() {
    let setup = Setup::new();
    let users = setup.write("users", format!("{USER}\n\nadmin@me.com\n{USER}\n"));
    let found = setup.run(&["audit", "--user", USER, "--users-from", "users"]);
    assert!(found.stderr.contains("keys: 2, users: 2;"), "{found:?}");
    let mut command = setup.program();
    command.args(["audit", "--users-from", "-", "--format", "json"]);
    let found = run(command.stdin(Stdio::from(std::fs::File::open(users).unwrap())));
    let findings = serde_json::from_str::<serde_json::Value>(&found.stdout).unwrap();
    assert_eq!(findings[0]["severity"], "high");
    assert_eq!(findings[0]["user"], "admin@me.com");
    assert!(findings[0]["fix"].as_str().unwrap().starts_with("rockset-apikeys "), "{findings}");
}

#[test]
fn audit_exits_8_when_listing_fails() {
    let setup = Setup::new();
    let audit = ["audit", "--user", "nobody@me.com", "--user", USER];
    let found = setup.run(&audit);
    assert_eq!(found.code, Some(8), "{found:?}");
    assert!(found.stderr.contains("1 of 2 users"), "{found:?}");
    assert!(found.stdout.contains("no-role"), "{found:?}");
}

#[test]
fn audit_reports_invalid_arguments() {
    let setup = Setup::new();
    setup.write("policy.toml", "max_age = \"soon\"\n");
    setup.write("users", "\n");
    setup.run(&["audit", "--policy", "policy.toml"]).failed(2, "90d");
    setup.run(&["audit", "--policy", "missing"]).failed(2, "missing");
    setup.run(&["audit", "--users-from", "users"]).failed(2, "contains no users");
    setup.run(&["audit", "--fail-on", "some"]).failed(2, "--fail-on");
}
