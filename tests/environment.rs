//! Settings from environment variables, and from profiles in the home directory. These tests change
//! the environment of their process, so they run in one of their own.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[cfg(all(feature = "profile", unix))]
#[path = "sdk/log.rs"]
mod log;

use rockset_apikeys::{Client, ClientBuilder, ErrorKind, StatusCode, reqwest};
use rockset_apikeys_server::Server;

fn from_env(key: Option<&str>, server: Option<&str>) -> Result<Client, String> {
    temp_env::with_vars([("ROCKSET_APIKEY", key), ("ROCKSET_APISERVER", server)], || {
        Client::from_env().map_err(|error| error.to_string())
    })
}

#[tokio::test]
async fn from_env_reads_the_key_and_the_server() {
    let server = Server::start().await.unwrap();
    let key = server.admin_key().expose_secret();
    let client = from_env(Some(key), Some(server.url())).unwrap();
    assert_eq!(client.list_api_keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn from_env_reads_the_key_from_a_file() {
    let server = Server::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, server.admin_key().expose_secret()).unwrap();
    let file = file.to_str();
    let from_env = |key, file| {
        let server = ("ROCKSET_APISERVER", Some(server.url()));
        let vars = [("ROCKSET_APIKEY", key), ("ROCKSET_APIKEY_FILE", file), server];
        temp_env::with_vars(vars, || Client::from_env().map_err(|error| error.to_string()))
    };
    let client = from_env(None, file).unwrap();
    assert_eq!(client.list_api_keys().await.unwrap().len(), 1);

    let error = from_env(Some("k"), file).unwrap_err();
    assert_eq!(error, "ROCKSET_APIKEY and ROCKSET_APIKEY_FILE are both set; unset one of them");
    let error = from_env(None, Some("/no/such/key")).unwrap_err();
    assert!(error.starts_with("the file /no/such/key with the API key cannot be read"), "{error}");
    let error = from_env(None, Some("")).unwrap_err();
    assert!(error.starts_with("ROCKSET_APIKEY_FILE is set but empty"), "{error}");
}

#[test]
fn a_bare_host_is_reached_with_http_on_this_machine_and_with_https_elsewhere() {
    for (host, url) in [
        ("localhost", "http://localhost"),
        ("LOCALHOST:8080", "http://localhost:8080"),
        ("keys.localhost/prefix/", "http://keys.localhost/prefix"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("[::ffff:127.0.0.1]:8080", "http://[::ffff:7f00:1]:8080"),
        ("api.example.com", "https://api.example.com"),
        ("api.example.com/prefix", "https://api.example.com/prefix"),
        ("keys:8080", "https://keys:8080"),
        ("10.0.0.1:8080", "https://10.0.0.1:8080"),
        ("0.0.0.0:8080", "https://0.0.0.0:8080"),
        ("[::ffff:10.0.0.1]", "https://[::ffff:a00:1]"),
        ("localhost.example.com", "https://localhost.example.com"),
        ("notlocalhost:80", "https://notlocalhost:80"),
        ("127.0.0.1.example.com", "https://127.0.0.1.example.com"),
    ] {
        if url.starts_with("https")
            && !cfg!(any(feature = "rustls-no-provider", feature = "native-tls"))
        {
            continue;
        }
        let client = Client::builder().api_key("k").api_server(host).build().unwrap();
        assert_eq!(client.api_server(), url);
        assert_eq!(from_env(Some("k"), Some(host)).unwrap().api_server(), url);
        #[cfg(feature = "profile")]
        {
            let file = format!("current: a\nkeys: {{a: {{apikey: k, apiserver: '{host}'}}}}");
            assert_eq!(profile::from_profile(Some(&file), None).unwrap().api_server(), url);
        }
    }
}

#[test]
fn without_an_api_server_nothing_is_called() {
    let error = from_env(Some("k"), None).unwrap_err();
    assert!(error.contains("no API server") && error.contains("ROCKSET_APISERVER"), "{error}");
    let unset = [("ROCKSET_APIKEY", Some("k")), ("ROCKSET_APISERVER", None)];
    let client = temp_env::with_vars(unset, || {
        ClientBuilder::from_env().unwrap().api_server("127.0.0.1:1").build().unwrap()
    });
    assert_eq!(client.api_server(), "http://127.0.0.1:1");
}

#[test]
fn errors_name_the_variable_and_quote_no_secret() {
    let server = Some("http://127.0.0.1:1");
    for (key, server, text) in [
        (
            None,
            server,
            "ROCKSET_APIKEY is not set; set it to the client's key, or call `api_key` on \
             `Client::builder()`",
        ),
        (Some(""), server, "ROCKSET_APIKEY is set but empty; set it to the client's key"),
        (
            Some("k"),
            Some(""),
            "ROCKSET_APISERVER is set but empty; set it to a host or URL such as \
             http://127.0.0.1:8080, or unset it",
        ),
        (
            Some("SECRET\n"),
            server,
            "the API key from ROCKSET_APIKEY is not valid: character 7 of 7 is not printable \
             ASCII; check for a pasted space or newline",
        ),
        (
            Some("k"),
            Some("ftp://127.0.0.1"),
            "the API server \"ftp://127.0.0.1\" from ROCKSET_APISERVER is neither http nor \
             https; use a host or URL such as http://127.0.0.1:8080 or https://api.example.com",
        ),
        (
            Some("k"),
            Some("http://10.0.0.1"),
            "the API server \"http://10.0.0.1/\" from ROCKSET_APISERVER would receive the key \
             unencrypted; use https, or permit it with `allow_http`",
        ),
    ] {
        assert_eq!(from_env(key, server).unwrap_err(), text);
    }
    for server in ["http://u:SECRET@h", "u:SECRET@h:80", "http://h?q=SECRET", "SECRET"] {
        let error = from_env(Some("k"), Some(server)).unwrap_err();
        assert!(error.contains("from ROCKSET_APISERVER"), "{error}");
        assert!(!error.contains("SECRET"), "{error}");
    }
}

#[tokio::test]
async fn loopback_servers_are_reached_without_the_environments_proxies() {
    let server = Server::start().await.unwrap();
    let clients = temp_env::with_var("http_proxy", Some("http://127.0.0.1:1"), || {
        let builder =
            || Client::builder().api_server(server.url()).api_key(server.admin_key().clone());
        let settings = || reqwest::Client::builder().pool_max_idle_per_host(2);
        [builder().build().unwrap(), builder().reqwest_builder(settings).build().unwrap()]
    });
    for client in clients {
        assert_eq!(client.list_api_keys().await.unwrap().len(), 1);
    }
}

#[test]
fn settings_can_be_added_to_those_of_the_environment() {
    let variables = [("ROCKSET_APIKEY", Some("k")), ("ROCKSET_APISERVER", Some("http://10.0.0.1"))];
    temp_env::with_vars(variables, || {
        let client = ClientBuilder::from_env().unwrap().allow_http(true).build().unwrap();
        assert_eq!(client.api_server(), "http://10.0.0.1");
    });
}

#[cfg(feature = "profile")]
mod profile {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// Builds a client from a profile, with this file in a new home directory.
    pub fn from_profile(file: Option<&str>, name: Option<&str>) -> Result<Client, String> {
        let home = tempfile::tempdir().unwrap();
        if let Some(text) = file {
            write(&home, text);
        }
        temp_env::with_var("HOME", Some(home.path()), || {
            let client = name.map_or_else(Client::from_current_profile, Client::from_profile);
            client.map_err(|error| error.to_string())
        })
    }

    fn write(home: &tempfile::TempDir, text: &str) -> PathBuf {
        let folder = home.path().join(".config/rockset");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.yaml"), text).unwrap();
        folder.join("config.yaml")
    }

    #[tokio::test]
    async fn from_profile_reads_the_current_or_the_named_profile() {
        let server = Server::start().await.unwrap();
        let (url, key) = (server.url(), server.admin_key().expose_secret());
        let file = format!(
            "current: dev\nkeys:\n  dev: {{apikey: {key}, apiserver: '{url}'}}\n  \
             other: {{apikey: wrong, apiserver: '{url}'}}\nunknown: 1\n"
        );
        let client = from_profile(Some(&file), None).unwrap();
        assert_eq!(client.list_api_keys().await.unwrap().len(), 1);
        let client = from_profile(Some(&file), Some("other")).unwrap();
        let error = client.list_api_keys().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Response(StatusCode::UNAUTHORIZED));
    }

    #[test]
    fn without_an_api_server_nothing_is_called() {
        let error = from_profile(Some("current: a\nkeys: {a: {apikey: k}}"), None).unwrap_err();
        assert!(error.contains("no API server") && error.contains("`apiserver`"), "{error}");
    }

    #[test]
    fn errors_name_the_file_and_the_place_in_it_and_quote_no_secret() {
        let profile = "keys: {dev: {apikey: SECRET}, prod: {apiserver: h}}";
        let current = |name: &str| format!("current: {name}\n{profile}");
        for (file, name, parts) in [
            (None, None, &["cannot be read", "check that the file exists"][..]),
            (
                Some(profile.to_owned()),
                None,
                &["no `current` profile", "from_profile", "dev, prod"],
            ),
            (Some(current("gone")), None, &["no profile \"gone\"", "dev, prod"]),
            (Some(profile.to_owned()), Some("none"), &["no profile \"none\"", "dev, prod"]),
            (Some("current: a".to_owned()), None, &["no profile \"a\"; add one below `keys`"]),
            (Some(current("prod")), None, &["`keys.prod.apikey` in", "is missing"]),
            (Some("current: [".to_owned()), None, &["config.yaml: line 1: the form is not"]),
            (Some("keys:\n  a: SECRET".to_owned()), None, &["line 2: the form is not"]),
            (Some("SECRET".to_owned()), None, &["the form is not valid; write `current: NAME`"]),
            (Some(String::new()), None, &["no `current` profile"]),
            (
                Some("current: a\nkeys: {a: {apikey: 'SECRET key'}}".to_owned()),
                None,
                &["the API key from `keys.a.apikey` in", "is not valid"],
            ),
            (
                Some(
                    "current: a\nkeys: {a: {apikey: k, apiserver: 'ftp://u:SECRET@h'}}".to_owned(),
                ),
                None,
                &["\"ftp://h\" from `keys.a.apiserver` in", "is neither http nor https"],
            ),
        ] {
            let error = from_profile(file.as_deref(), name).unwrap_err();
            assert!(error.contains(".config/rockset/config.yaml"), "{error}");
            assert!(parts.iter().all(|part| error.contains(part)), "{file:?}: {error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
        let error = temp_env::with_var("HOME", Some("relative"), Client::from_current_profile);
        assert!(error.unwrap_err().to_string().contains("set HOME"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_other_users_can_access_is_reported_as_a_warning() {
        use std::os::unix::fs::PermissionsExt;

        use crate::log::Log;

        let home = tempfile::tempdir().unwrap();
        let server = "apiserver: 'http://127.0.0.1:1'";
        let file = write(&home, &format!("current: a\nkeys: {{a: {{apikey: k, {server}}}}}"));
        temp_env::with_var("HOME", Some(home.path()), || {
            for (mode, is_wide) in
                [(0o600, false), (0o400, false), (0o640, true), (0o602, true), (0o777, true)]
            {
                fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
                let log = Log::default();
                let recording = log.record();
                Client::from_current_profile().unwrap();
                drop(recording);
                let text = log.text();
                assert_eq!(text.contains(&format!("mode={mode:o}")), is_wide, "{mode:o}: {text}");
                assert_eq!(text.contains("WARN"), is_wide, "{mode:o}: {text}");
            }
        });
    }
}

#[cfg(all(feature = "blocking", unix))]
#[test]
fn a_blocking_call_in_a_forked_process_is_an_error() {
    use fork::Fork;
    use std::time::Duration;

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start()).unwrap();
    let key = server.admin_key().clone();
    let client = Client::builder().api_server(server.url()).api_key(key).build().unwrap();
    client.list_api_keys().send_blocking().unwrap();

    let call = || client.list_api_keys().timeout(Duration::from_secs(3)).send_blocking();
    match fork::fork().unwrap() {
        Fork::Child => {
            let is_error = call().is_err_and(|error| {
                error.is_invalid_input() && error.to_string().contains("this process was forked")
            });
            // Without the test harness, which the child has none of.
            std::process::exit(if is_error { 0 } else { 1 });
        }
        Fork::Parent(child) => {
            let status = fork::waitpid(child).unwrap();
            assert!(fork::WIFEXITED(status) && fork::WEXITSTATUS(status) == 0, "{status}");
        }
    }
    call().unwrap();
}
