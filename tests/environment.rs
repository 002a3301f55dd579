//! Settings from environment variables and from profiles in the home directory. These tests change
//! the environment of their process, so they have their own.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[cfg(all(feature = "profile", unix))]
#[path = "sdk/log.rs"]
mod log;

#[cfg(feature = "profile")]
use rockset_apikeys::Error;
use rockset_apikeys::{Client, Config, ErrorKind, StatusCode, reqwest};
use rockset_apikeys_server::Server;

const API_SERVER: &str = "ROCKSET_APISERVER";

fn from_env(key: Option<&str>, server: Option<&str>) -> Result<Client, String> {
    temp_env::with_vars([("ROCKSET_APIKEY", key), ("ROCKSET_APISERVER", server)], || {
        Client::from_env().map_err(|error| error.to_string())
    })
}

#[tokio::test]
async fn from_env_reads_key_and_server() {
    let server = Server::start().await.unwrap();
    let key = server.admin_key().expose_secret();
    let client = from_env(Some(key), Some(server.url())).unwrap();
    assert_eq!(client.list_api_keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn from_env_reads_key_from_file() {
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
    assert!(error.starts_with("cannot read the API key from the file /no/such/key"), "{error}");
    let error = from_env(None, Some("")).unwrap_err();
    assert!(error.starts_with("ROCKSET_APIKEY_FILE is set but empty"), "{error}");
}

#[test]
fn bare_host_gets_http_on_loopback_and_https_elsewhere() {
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
fn build_fails_without_api_server() {
    let error = from_env(Some("k"), None).unwrap_err();
    assert!(error.contains("ROCKSET_APISERVER is not set; set it to a host or URL"), "{error}");
    let unset = [("ROCKSET_APIKEY", Some("k")), ("ROCKSET_APISERVER", None)];
    let client = temp_env::with_vars(unset, || {
        let config = Config::from_env().unwrap();
        Client::builder().config(&config).api_server("127.0.0.1:1").build().unwrap()
    });
    assert_eq!(client.api_server(), "http://127.0.0.1:1");
}

#[test]
fn env_errors_name_variable_and_quote_no_secret() {
    let server = Some("http://127.0.0.1:1");
    for (key, server, text) in [
        (None, server, "ROCKSET_APIKEY is not set; set it to the client's key"),
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
            "cannot use the API key from ROCKSET_APIKEY: character 7 of 7 is not printable ASCII; \
             remove spaces and line breaks",
        ),
        (
            Some("k"),
            Some("ftp://127.0.0.1"),
            "cannot use API server \"ftp://127.0.0.1\" from ROCKSET_APISERVER: its scheme is \
             neither http nor https; use a host or URL such as http://127.0.0.1:8080 or \
             https://api.example.com",
        ),
        (
            Some("k"),
            Some("http://10.0.0.1"),
            "cannot use API server \"http://10.0.0.1/\" from ROCKSET_APISERVER: it would receive \
             the key unencrypted; use https, or permit http with `allow_http`",
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
async fn config_contains_sources_and_identifier() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, "SECRET-key").unwrap();
    let path = file.to_str().unwrap();
    let vars = |key, file| {
        [("ROCKSET_APIKEY", key), ("ROCKSET_APIKEY_FILE", file), ("ROCKSET_APISERVER", None)]
    };
    let read = |key, file| temp_env::with_vars(vars(key, file), || Config::from_env().unwrap());
    let from_key_file = || Config::from_key_file(path).unwrap();
    for (config, source) in [
        (read(Some("SECRET-key"), None), "ROCKSET_APIKEY".to_owned()),
        (read(None, Some(path)), format!("ROCKSET_APIKEY_FILE {path}")),
        (temp_env::with_vars(vars(Some(""), None), from_key_file), format!("the file {path}")),
    ] {
        assert_eq!((config.api_key_source(), config.api_server_source()), (&*source, API_SERVER));
        assert_eq!(config.api_key_identifier(), "SECRET");
        let config = config.with_api_server("--api-server", "ftp://h");
        assert_eq!(config.api_server_source(), "--api-server");
        assert!(!format!("{config:?}").contains("-key"));
        let error = Client::builder().config(&config).build().unwrap_err().to_string();
        assert!(error.contains("\"ftp://h\" from --api-server: its scheme is neither"), "{error}");
    }
}

#[tokio::test]
async fn loopback_server_is_called_without_environment_proxies() {
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
fn builder_adds_settings_to_config() {
    let variables = [("ROCKSET_APIKEY", Some("k")), ("ROCKSET_APISERVER", Some("http://10.0.0.1"))];
    temp_env::with_vars(variables, || {
        let config = Config::from_env().unwrap();
        let client = Client::builder().config(&config).allow_http(true).build().unwrap();
        assert_eq!(client.api_server(), "http://10.0.0.1");
    });
}

#[cfg(feature = "profile")]
mod profile {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// Builds a client from the named or the current profile of a file in a new home directory.
    pub fn from_profile(file: Option<&str>, name: Option<&str>) -> Result<Client, String> {
        let home = tempfile::tempdir().unwrap();
        if let Some(text) = file {
            write(&home, text);
        }
        temp_env::with_var("HOME", Some(home.path()), || {
            let client = name.map_or_else(from_current_profile, Client::from_profile);
            client.map_err(|error| error.to_string())
        })
    }

    fn from_current_profile() -> Result<Client, Error> {
        let unset = ["ROCKSET_APIKEY", "ROCKSET_APIKEY_FILE", "ROCKSET_APISERVER"];
        temp_env::with_vars_unset(unset, || {
            Client::builder().config(&Config::from_env_or_profile()?).build()
        })
    }

    fn write(home: &tempfile::TempDir, text: &str) -> PathBuf {
        let folder = home.path().join(".config/rockset");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.yaml"), text).unwrap();
        folder.join("config.yaml")
    }

    #[tokio::test]
    async fn from_profile_reads_current_or_named_profile() {
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
    fn build_fails_without_api_server() {
        let error = from_profile(Some("current: a\nkeys: {a: {apikey: k}}"), None).unwrap_err();
        assert!(error.contains("cannot build a client: `keys.a.apiserver` in"), "{error}");
    }

    #[test]
    fn profile_errors_name_file_and_path_and_quote_no_secret() {
        let profile = "keys: {dev: {apikey: SECRET}, prod: {apiserver: h}}";
        let current = |name: &str| format!("current: {name}\n{profile}");
        for (file, name, parts) in [
            (None, None, &["does not exist", "set ROCKSET_APIKEY and ROCKSET_APISERVER"][..]),
            (None, Some("dev"), &["cannot read profiles from", "check its path"]),
            (Some(profile.to_owned()), None, &["no `current` profile", "use one of: dev, prod"]),
            (Some(current("gone")), None, &["no profile \"gone\"", "dev, prod"]),
            (Some(profile.to_owned()), Some("none"), &["no profile \"none\"", "dev, prod"]),
            (Some("current: a".to_owned()), None, &["no profile \"a\"; add one below `keys`"]),
            (Some(current("prod")), None, &["`keys.prod.apikey` in", "is missing"]),
            (Some("current: [".to_owned()), None, &["config.yaml: line 1: invalid profiles"]),
            (Some("keys:\n  a: SECRET".to_owned()), None, &["line 2: invalid profiles"]),
            (Some("SECRET".to_owned()), None, &["invalid profiles; write `current: NAME`"]),
            (Some(String::new()), None, &["no `current` profile"]),
            (
                Some("current: a\nkeys: {a: {apikey: 'SECRET key'}}".to_owned()),
                None,
                &["cannot use the API key from `keys.a.apikey` in", "printable ASCII"],
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
        let error = temp_env::with_var("HOME", Some("relative"), from_current_profile);
        assert!(error.unwrap_err().to_string().contains("set HOME"));
    }

    #[test]
    fn environment_overrides_profile_as_a_whole() {
        let home = tempfile::tempdir().unwrap();
        write(&home, "current: a\nkeys: {a: {apikey: k, apiserver: 'http://127.0.0.1:1'}}");
        let read = |key, server| {
            let vars =
                [("ROCKSET_APIKEY", key), (API_SERVER, server), ("ROCKSET_APIKEY_FILE", None)];
            let home = [("HOME", home.path().to_str())];
            temp_env::with_vars([&vars[..], &home].concat(), Config::from_env_or_profile)
        };
        assert!(read(None, None).unwrap().api_key_source().starts_with("`keys.a.apikey` in "));
        let config = read(Some("k"), None).unwrap();
        assert_eq!(config.api_server_source(), API_SERVER);
        assert!(Client::builder().config(&config).build().is_err(), "the profile's server is used");
        let error = read(None, Some("http://127.0.0.1:2")).unwrap_err().to_string();
        assert!(error.contains("unset ROCKSET_APISERVER to use the current profile"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn profile_file_accessible_to_others_causes_warning() {
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
                let config = Config::from_profile("a").unwrap();
                drop(recording);
                assert_eq!(config.warning().is_some(), is_wide, "{mode:o}");
                let text = log.contents();
                assert_eq!(text.contains(&format!("mode={mode:o}")), is_wide, "{mode:o}: {text}");
                assert_eq!(text.contains("WARN"), is_wide, "{mode:o}: {text}");
            }
        });
    }
}

#[cfg(all(feature = "blocking", unix))]
#[test]
fn blocking_call_fails_in_forked_process() {
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
            // Skips the test harness, which the child process does not have.
            std::process::exit(if is_error { 0 } else { 1 });
        }
        Fork::Parent(child) => {
            let status = fork::waitpid(child).unwrap();
            assert!(fork::WIFEXITED(status) && fork::WEXITSTATUS(status) == 0, "{status}");
        }
    }
    call().unwrap();
}
