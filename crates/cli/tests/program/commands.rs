use crate::support::{Setup, USER, run};

#[test]
fn commands_manage_a_key_from_create_to_delete() {
    let setup = Setup::new();
    let arguments = ["create", "my-app", "--role", "read-only", "--expires-in", "90d"];
    let created = setup.run(&[&arguments[..], &["--out", "-"]].concat()).done();
    assert_eq!(created.trim_end(), setup.value("my-app"));

    let key = setup.run(&["get", "my-app", "--format", "json"]).json();
    assert_eq!((&key["role"], &key["state"]), (&"read-only".into(), &"ACTIVE".into()));
    assert!(key["expiry_time"].is_string() && key.get("key").is_none(), "{key}");

    let key = setup.run(&["update", "my-app", "--no-expiry", "--format", "json"]).json();
    assert!(key["expiry_time"].is_null(), "{key}");
    let time = "2099-01-01T00:00:00Z";
    let key = setup.run(&["update", "my-app", "--expires-at", time, "--format", "json"]).json();
    assert!(key["expiry_time"].as_str().unwrap().starts_with("2099-01-01"), "{key}");

    let keys = setup.run(&["suspend", "my-app", "--yes", "--format", "json"]).json();
    assert_eq!(keys[0]["state"], "SUSPENDED");
    let keys = setup.run(&["activate", "my-app", "--format", "json"]).json();
    assert_eq!(keys[0]["state"], "ACTIVE");
    assert_eq!(setup.run(&["reveal", "my-app", "--out", "-"]).done(), created);
    setup.run(&["delete", "my-app", "--yes"]).done();
    assert_eq!(setup.names(), ["initial"]);
}

#[test]
fn admin_manages_keys_of_other_users() {
    let setup = Setup::new();
    setup.run(&["create", "theirs", "--user", USER, "--out", "-"]).done();
    let keys = setup.run(&["list", "--user", USER, "--format", "json"]).json();
    assert_eq!(keys[1]["name"], "theirs");
    assert_eq!(keys[1]["created_by"], USER);
    setup.run(&["delete", "theirs", "--user", USER, "--yes"]).done();
    let keys = setup.run(&["list", "--user", USER, "--format", "json"]).json();
    assert_eq!(keys.as_array().unwrap().len(), 1);
}

#[test]
fn name_may_begin_with_dash() {
    let setup = Setup::new();
    setup.run(&["create", "--out", "-", "--", "-x"]).done();
    let key = setup.run(&["get", "--format", "json", "--", "-x"]).json();
    assert_eq!(key["name"], "-x");
}

#[test]
fn tables_fit_in_100_columns_without_control_characters() {
    let setup = Setup::new();
    for name in ["长".repeat(80), "a".repeat(300), "red \u{1b}[31m\nline".to_owned()] {
        setup.client().create_api_key(name).send_blocking().unwrap();
    }
    let listed = setup.run(&["list"]);
    assert!(listed.stderr.contains("--format json"), "{listed:?}");
    let table = listed.done();
    assert_eq!(table.lines().count(), 5);
    for line in table.lines() {
        assert!(unicode_width::UnicodeWidthStr::width(line) <= 100, "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
    assert!(table.contains("initial") && table.contains("(all)") && table.contains("never"));
}

#[test]
fn each_format_lists_keys_without_values() {
    let setup = Setup::new();
    setup.client().create_api_key("a,\"b\"").send_blocking().unwrap();
    let json = setup.run(&["list", "--format", "json"]).json();
    assert_eq!(json.as_array().unwrap().len(), 2);
    assert_eq!(json[0]["identifier"], setup.server.admin_key().identifier());

    let ndjson = setup.run(&["list", "--format", "ndjson"]).done();
    let lines = ndjson.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines = lines.collect::<Vec<serde_json::Value>>();
    assert_eq!(lines[1]["name"], "a,\"b\"");

    let csv = setup.run(&["list", "--format", "csv"]).done();
    assert!(csv.starts_with("name,state,role,"), "{csv}");
    assert!(csv.lines().nth(2).unwrap().starts_with("\"a,\"\"b\"\"\",ACTIVE,"), "{csv}");
}

#[test]
fn json_contains_value_only_with_show_value() {
    let setup = Setup::new();
    let key = setup.run(&["create", "a", "--format", "json", "--show-value"]).json();
    assert_eq!(key["key"], setup.value("a"));
    let key = setup.run(&["reveal", "a", "--format", "json", "--show-value"]).json();
    assert_eq!(key["key"], setup.value("a"));
    let key = setup.run(&["create", "b", "--format", "json", "--out", "file:b"]).json();
    assert!(key.get("key").is_none(), "{key}");
}

#[test]
fn create_without_destination_creates_nothing() {
    let setup = Setup::new();
    for more in [&[][..], &["--format", "json"], &["--format", "csv"]] {
        let rejected = setup.run(&[&["create", "lost"], more].concat());
        assert_eq!(rejected.code, Some(2), "{rejected:?}");
        assert!(rejected.stderr.contains("--out"), "{rejected:?}");
    }
    setup.run(&["create", "lost", "--show-value"]).failed(2, "--format");
    setup.run(&["create", "lost", "--out", "-", "--format", "json"]).failed(2, "--show-value");
    assert_eq!(setup.names(), ["initial"]);
}

#[test]
fn confirmation_without_terminal_requires_yes() {
    let setup = Setup::new();
    setup.client().create_api_key("kept").send_blocking().unwrap();
    for command in ["delete", "suspend"] {
        setup.run(&[command, "kept"]).failed(2, "--yes");
    }
    assert_eq!(setup.run(&["get", "kept", "--format", "json"]).json()["state"], "ACTIVE");
}

#[test]
fn whoami_prints_key_and_sources_of_settings() {
    let setup = Setup::new();
    let who = setup.run(&["whoami", "--format", "json"]).json();
    assert_eq!(who["server"], setup.server.url());
    assert_eq!(who["user"], "admin@me.com");
    assert_eq!(who["name"], "initial");
    assert_eq!(who["key_source"], "ROCKSET_APIKEY");
    assert_eq!(who["server_source"], "ROCKSET_APISERVER");
    assert!(who["role"].is_null() && who["expiry_time"].is_null(), "{who}");
    let table = setup.run(&["whoami"]).done();
    for (name, value) in [("user", "admin@me.com"), ("role", "(all)"), ("expiry_time", "never")] {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line.ends_with(value), "{table}");
    }
}

#[test]
fn completions_and_manual_pages_need_no_configuration() {
    let setup = Setup::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let text = run(setup.bare().args(["completions", shell])).done();
        assert!(text.contains("whoami"), "{shell}");
    }
    let page = run(setup.bare().arg("man")).done();
    assert!(page.starts_with(".ie") && page.contains("Exit codes"), "{page}");
    let page = run(setup.bare().args(["man", "create"])).done();
    assert!(page.contains("expires"), "{page}");
    run(setup.bare().args(["man", "dance"])).failed(2, "dance");
}
