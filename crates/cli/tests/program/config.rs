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
fn flags_come_before_the_environment_and_that_before_the_current_profile() {
    let setup = Setup::new();
    profiles(&setup);
    assert_eq!(whoami(&mut setup.bare())["key_source"], "profile dev");
    assert_eq!(whoami(&mut setup.program())["user"], "admin@me.com");
    assert_eq!(whoami(setup.program().args(["--profile", "dev"]))["user"], USER);

    let key = setup.write("key", format!("{}\n", setup.server.key(USER).unwrap().expose_secret()));
    let who = whoami(setup.program().arg("--api-key-file").arg(&key));
    assert_eq!(who["user"], USER);
    let who = whoami(
        setup.bare().env("ROCKSET_APIKEY_FILE", &key).args(["--api-server", setup.server.url()]),
    );
    assert_eq!((&who["user"], &who["server_source"]), (&USER.into(), &"--api-server".into()));
}

#[test]
fn a_key_never_goes_to_the_server_of_another_source() {
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
fn a_configuration_that_is_not_valid_says_what_to_change() {
    let setup = Setup::new();
    run(setup.bare().arg("list")).failed(2, "ROCKSET_APIKEY");
    run(setup.program().env("ROCKSET_APIKEY_FILE", "x").arg("list")).failed(2, "unset one");
    run(setup.program().env("ROCKSET_APIKEY", "").arg("list")).failed(2, "empty");
    run(setup.program().env("ROCKSET_APISERVER", "::").arg("list")).failed(2, "ROCKSET_APISERVER");
    run(setup.program().args(["--profile", "x", "list"])).failed(2, "config.yaml");
    profiles(&setup);
    run(setup.program().args(["--profile", "x", "list"])).failed(2, "dev, bare");
    setup.write(".config/rockset/config.yaml", "a: b: c");
    run(setup.bare().arg("list")).failed(2, "line 1");
}

#[test]
fn a_key_is_sent_unencrypted_to_another_machine_only_with_the_flag_for_it() {
    let setup = Setup::new();
    let elsewhere = || {
        let mut command = setup.program();
        // As a proxy, the server stands for the other one.
        command.env("http_proxy", setup.server.url());
        command.args(["--api-server", "http://keys.invalid"]);
        command
    };
    run(elsewhere().arg("list")).failed(2, "use https, or permit it with `allow_http`");
    assert_eq!(whoami(elsewhere().arg("--allow-http"))["user"], "admin@me.com");
}

#[cfg(unix)]
#[test]
fn a_profile_that_others_can_read_is_warned_about() {
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
