//! What the database keeps, who can read its files, and the commands that manage its users.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rockset_apikeys::KeyState;

use crate::program::{Program, run, run_logging_to, temporary_folder};

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn users_and_keys_survive_a_restart() {
    let folder = temporary_folder();
    let server = Program::serve(folder.path(), &["--user", "dev@me.com=member"]);
    let admin_key = server.admin_key.clone().unwrap();
    let client = server.client(&admin_key);
    let expiry: rockset_apikeys::Timestamp = "2099-01-01T00:00:00Z".parse().unwrap();
    let created = client.create_api_key("k/ü").role("member").expiry_time(expiry).await.unwrap();
    server.client(created.key.expose_secret()).list_api_keys().await.unwrap();
    let last_use = client.get_api_key("k/ü").await.unwrap().last_access_time;
    client.create_api_key("gone").await.unwrap();
    client.update_api_key("k/ü").state(KeyState::Suspended).await.unwrap();
    client.delete_api_key("gone").await.unwrap();
    let before = client.list_api_keys().await.unwrap();
    server.stop();

    let server = Program::serve(folder.path(), &[]);
    assert_eq!(server.admin_key, None, "a key is printed once");
    let client = server.client(&admin_key);
    let key = client.get_api_key("k/ü").reveal(true).await.unwrap();
    assert_eq!(key.key.expose_secret(), created.key.expose_secret());
    assert_eq!(key.state, Some(KeyState::Suspended));
    assert!(last_use.is_some() && key.last_access_time == last_use, "{key:?}");
    assert_eq!(key.expiry_time.unwrap().as_str(), "2099-01-01T00:00:00Z");
    let after = client.list_api_keys().await.unwrap();
    let show = |keys: &[rockset_apikeys::ApiKey]| {
        let key = |key: &rockset_apikeys::ApiKey| {
            (key.name.clone(), key.created_at.clone(), key.created_by_apikey_name.clone())
        };
        keys.iter().map(key).collect::<Vec<_>>()
    };
    assert_eq!(show(&after), show(&before));
    assert_eq!(client.list_api_keys().user("dev@me.com").await.unwrap().len(), 1);
}

#[tokio::test]
async fn no_file_has_a_key_in_plain_text_and_other_users_can_read_none() {
    let folder = temporary_folder();
    let server = Program::serve(folder.path(), &["--log", "trace"]);
    let admin_key = server.admin_key.clone().unwrap();
    let client = server.client(&admin_key);
    let created = client.create_api_key("k").await.unwrap();
    client.get_api_key("k").reveal(true).await.unwrap();
    server.client(created.key.expose_secret()).list_api_keys().await.unwrap();
    client.get_api_key(created.key.expose_secret()).await.unwrap_err();
    client.update_api_key("k").state(KeyState::Suspended).await.unwrap();
    server.client(created.key.expose_secret()).list_api_keys().await.unwrap_err();
    let assert_encrypted = || {
        for file in fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap().path();
            let content = fs::read(&file).unwrap();
            for key in [admin_key.as_str(), created.key.expose_secret()] {
                // Half a key is bad enough.
                let parts = [&key[7..39], &key[32..]];
                for part in parts {
                    let found = content.windows(part.len()).any(|it| it == part.as_bytes());
                    assert!(!found, "{} has a key", file.display());
                }
            }
            if file.file_name().unwrap() != "log.txt" {
                assert_eq!(mode(&file), 0o600, "{}", file.display());
            }
        }
    };
    server.log_with("status=401");
    assert_encrypted();
    server.stop();
    assert_encrypted();
}

#[test]
fn a_master_key_that_is_missing_different_or_readable_by_others_is_rejected() {
    let folder = temporary_folder();
    let file = folder.path().join("keys.db.master-key");
    Program::serve(folder.path(), &[]).stop();
    let key = fs::read_to_string(&file).unwrap();
    let failure = || {
        let output = run(folder.path(), &["users", "list"]);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };

    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(failure().contains("readable by other users"), "{}", failure());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, "00".repeat(32)).unwrap();
    assert!(failure().contains("written with another master key"), "{}", failure());
    fs::write(&file, "a secret").unwrap();
    assert!(failure().contains("64 hexadecimal digits"), "{}", failure());
    assert!(!failure().contains("a secret"));
    fs::remove_file(&file).unwrap();
    assert!(failure().contains("keys.db.master-key"), "{}", failure());
    assert!(!file.exists(), "a lost master key is not replaced");

    let variable = [("ROCKSET_SERVER_MASTER_KEY", key.trim())];
    Program::serve_with(folder.path(), &[], &variable).stop();
    assert!(!file.exists(), "the master key of the variable is not written to a file");
}

#[tokio::test]
async fn users_are_managed_beside_a_running_server() {
    let folder = temporary_folder();
    let server = Program::serve(folder.path(), &[]);
    let output = run(folder.path(), &["users", "add", "dev@me.com", "--role", "read-only"]);
    let key = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && key.trim().len() == 64, "{key}");

    let list = |arguments: &[&str]| {
        let output = run(folder.path(), &[&["users", "list"], arguments].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    let table = "USER          ROLE       KEYS\n\
                 admin@me.com  admin         1\n\
                 dev@me.com    read-only     1\n";
    assert_eq!(list(&[]), table);
    let users: serde_json::Value = serde_json::from_str(&list(&["--json"])).unwrap();
    assert_eq!(users[1]["email"], "dev@me.com");

    let dev = server.client(key.trim());
    assert_eq!(dev.list_api_keys().await.unwrap().len(), 1);
    assert!(dev.create_api_key("k").await.unwrap_err().is_forbidden());

    assert!(run(folder.path(), &["users", "remove", "dev@me.com"]).status.success());
    assert!(dev.list_api_keys().await.unwrap_err().is_unauthorized());

    for (arguments, complaint) in [
        (["users", "add", "admin@me.com"], "already exists"),
        (["users", "add", "self"], "cannot be \"self\""),
        (["users", "add", ".."], "relative path"),
        (["users", "remove", "dev@me.com"], "there is no user"),
        (["users", "list", "--database=sqlite:other.db"], "there is none"),
        (["users", "list", "--database=postgres:keys"], "give a URL such as sqlite:keys.db"),
    ] {
        let output = run(folder.path(), &arguments);
        let complaints = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && complaints.contains(complaint), "{complaints}");
    }
}

#[test]
fn a_message_that_cannot_be_printed_does_not_fail_a_change_of_users() {
    let folder = temporary_folder();
    let run = |arguments: &[&str]| {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = run_logging_to(folder.path(), arguments, full);
        assert!(output.status.success(), "{arguments:?}: {}", output.status);
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&["users", "add", "dev@me.com"]).trim().len(), 64);
    assert_eq!(run(&["users", "issue-key", "dev@me.com"]).trim().len(), 64);
    run(&["users", "remove", "dev@me.com"]);
    assert!(!run(&["users", "list"]).contains("dev@me.com"));
}
