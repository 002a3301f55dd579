use std::process::Command;

use serde_json::Value;

use crate::support::{Setup, USER, run};

fn profiles(setup: &Setup) {
    let key = setup.server.key(USER).unwrap().expose_secret();
    let url = setup.server.url();
    let text = format!(
        "current: dev\nkeys:\n  dev: {{apikey: {key}, apiserver: '{url}'}}\n  \
         bare: {{apikey: {key}}}\n"
    );
    setup.write(".config/rockset/config.yaml", text);
}

fn whoami(command: &mut Command) -> Value {
    run(command.args(["whoami", "--format", "json"])).json()
}

#[test]
fn flags_override_environment_which_overrides_profile() {
    let setup = Setup::new();
    profiles(&setup);
    let who = whoami(&mut setup.bare());
    let file = setup.path(".config/rockset/config.yaml").display().to_string();
    assert_eq!(who["key_source"], format!("`keys.dev.apikey` in {file}"));
    assert_eq!(who["server_source"], format!("`keys.dev.apiserver` in {file}"));
    assert_eq!(whoami(&mut setup.program())["user"], "admin@me.com");
    assert_eq!(whoami(setup.program().args(["--profile", "dev"]))["user"], USER);

    let key = setup.write("key", format!("{}\n", setup.server.key(USER).unwrap().expose_secret()));
    let who = whoami(setup.program().arg("--api-key-file").arg(&key));
    assert_eq!((&who["user"], &who["server_source"]), (&USER.into(), &"ROCKSET_APISERVER".into()));
    assert_eq!(who["key_source"], format!("the file {}", key.display()));
    let who = whoami(
        setup.bare().env("ROCKSET_APIKEY_FILE", &key).args(["--api-server", setup.server.url()]),
    );
    assert_eq!((&who["user"], &who["server_source"]), (&USER.into(), &"--api-server".into()));
}

#[test]
fn key_is_never_sent_to_server_of_another_source() {
    let setup = Setup::new();
    profiles(&setup);
    let mut command = setup.program();
    run(command.args(["--profile", "bare", "whoami"])).failed(2, "apiserver");
    let mut command = setup.bare();
    run(command.env("ROCKSET_APISERVER", setup.server.url()).arg("whoami")).failed(2, "unset");
    let mut command = setup.bare();
    run(command.env("ROCKSET_APIKEY", "x").arg("whoami")).failed(2, "ROCKSET_APISERVER is not set");
}

#[test]
fn invalid_configuration_names_its_source_and_fix() {
    let setup = Setup::new();
    run(setup.bare().arg("list")).failed(2, "ROCKSET_APIKEY");
    run(setup.program().env("ROCKSET_APIKEY_FILE", "x").arg("list")).failed(2, "unset one");
    run(setup.program().env("ROCKSET_APIKEY", "").arg("list")).failed(2, "empty");
    run(setup.program().env("ROCKSET_APISERVER", "::").arg("list")).failed(2, "ROCKSET_APISERVER");
    run(setup.program().args(["--profile", "x", "list"])).failed(2, "config.yaml");
    profiles(&setup);
    run(setup.program().args(["--profile", "x", "list"])).failed(2, "use one of: bare, dev");
    setup.write(".config/rockset/config.yaml", "a: b: c");
    run(setup.bare().arg("list")).failed(2, "line 1");
}

#[test]
fn key_is_sent_unencrypted_only_with_allow_http() {
    let setup = Setup::new();
    let elsewhere = || {
        let mut command = setup.program();
        // As a proxy, the server stands for the other one.
        command.env("http_proxy", setup.server.url());
        command.args(["--api-server", "http://keys.invalid"]);
        command
    };
    run(elsewhere().arg("list")).failed(2, "use https, or permit http with `allow_http`");
    assert_eq!(whoami(elsewhere().arg("--allow-http"))["user"], "admin@me.com");
}

#[cfg(unix)]
#[test]
fn profile_file_accessible_to_others_causes_warning() {
    use std::os::unix::fs::PermissionsExt;

    let setup = Setup::new();
    profiles(&setup);
    let path = setup.path(".config/rockset/config.yaml");
    for (mode, is_wide) in [(0o644, true), (0o600, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let listed = run(setup.bare().arg("list"));
        assert_eq!(listed.stderr.contains("chmod 600"), is_wide, "{listed:?}");
        listed.done();
        let listed = run(setup.bare().args(["list", "--format", "json"]));
        assert_eq!(listed.stderr, "");
    }
}
