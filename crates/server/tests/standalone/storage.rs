//! The database's content, the permissions of its files, and the commands that manage users.

use crate::program::{FORBIDDEN, UNAUTHORIZED};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rockset_apikeys::KeyState;

use crate::program::{Program, run, run_logging_to, temporary_directory};

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn users_and_keys_survive_a_restart() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &["--user", "dev@me.com=member"]);
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

    let server = Program::serve(directory.path(), &[]);
    assert_eq!(server.admin_key, None, "the key was printed again");
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
async fn files_are_private_and_contain_no_plain_text_keys() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &["--log-level", "trace"]);
    let admin_key = server.admin_key.clone().unwrap();
    let client = server.client(&admin_key);
    let created = client.create_api_key("k").await.unwrap();
    client.get_api_key("k").reveal(true).await.unwrap();
    server.client(created.key.expose_secret()).list_api_keys().await.unwrap();
    client.get_api_key(created.key.expose_secret()).await.unwrap_err();
    client.update_api_key("k").state(KeyState::Suspended).await.unwrap();
    server.client(created.key.expose_secret()).list_api_keys().await.unwrap_err();
    let assert_encrypted = || {
        for file in fs::read_dir(directory.path()).unwrap() {
            let file = file.unwrap().path();
            let content = fs::read(&file).unwrap();
            for key in [admin_key.as_str(), created.key.expose_secret()] {
                // Even half a key must not appear.
                let parts = [&key[7..39], &key[32..]];
                for part in parts {
                    let found = content.windows(part.len()).any(|it| it == part.as_bytes());
                    assert!(!found, "{} contains a key", file.display());
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
fn missing_wrong_and_readable_master_keys_are_rejected() {
    let directory = temporary_directory();
    let file = directory.path().join("keys.db.master-key");
    Program::serve(directory.path(), &[]).stop();
    let key = fs::read_to_string(&file).unwrap();
    let failure = || {
        let output = run(directory.path(), &["users", "list"]);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };

    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(failure().contains("other users can access it"), "{}", failure());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, "00".repeat(32)).unwrap();
    assert!(failure().contains("written with another master key"), "{}", failure());
    fs::write(&file, "a secret").unwrap();
    assert!(failure().contains("64 hexadecimal digits"), "{}", failure());
    assert!(!failure().contains("a secret"));
    fs::remove_file(&file).unwrap();
    assert!(failure().contains("keys.db.master-key"), "{}", failure());
    assert!(!file.exists(), "a lost master key was replaced");

    let variable = [("ROCKSET_SERVER_MASTER_KEY", key.trim())];
    Program::serve_with(directory.path(), &[], &variable).stop();
    assert!(!file.exists(), "the master key of the variable was written to a file");
}

#[tokio::test]
async fn users_can_be_managed_while_the_server_runs() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &[]);
    let output = run(directory.path(), &["users", "add", "dev@me.com", "--role", "read-only"]);
    let key = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && key.trim().len() == 64, "{key}");

    let list = |arguments: &[&str]| {
        let output = run(directory.path(), &[&["users", "list"], arguments].concat());
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
    assert!(dev.create_api_key("k").await.unwrap_err().kind() == FORBIDDEN);

    assert!(run(directory.path(), &["users", "remove", "dev@me.com"]).status.success());
    assert!(dev.list_api_keys().await.unwrap_err().kind() == UNAUTHORIZED);

    for (arguments, complaint) in [
        (["users", "add", "admin@me.com"], "already exists"),
        (["users", "add", "self"], "cannot be named \"self\""),
        (["users", "add", ".."], "relative path"),
        (["users", "remove", "dev@me.com"], "unknown user"),
        (["users", "list", "--database=sqlite:other.db"], "the file does not exist"),
        (["users", "list", "--database=postgres:keys"], "expected a URL like sqlite:keys.db"),
    ] {
        let output = run(directory.path(), &arguments);
        let complaints = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && complaints.contains(complaint), "{complaints}");
    }
}

#[test]
fn user_commands_succeed_when_messages_cannot_be_printed() {
    let directory = temporary_directory();
    let run = |arguments: &[&str]| {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = run_logging_to(directory.path(), arguments, full);
        assert!(output.status.success(), "{arguments:?}: {}", output.status);
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&["users", "add", "dev@me.com"]).trim().len(), 64);
    assert_eq!(run(&["users", "issue-key", "dev@me.com"]).trim().len(), 64);
    run(&["users", "remove", "dev@me.com"]);
    assert!(!run(&["users", "list"]).contains("dev@me.com"));
}
