//! Configuration by environment variables. These tests change the variables of their process, so
//! they have one of their own.

#![allow(clippy::expect_used, clippy::unwrap_used)]

use rockset_apikeys::Client;
use rockset_apikeys_server::Server;

fn from_env(key: Option<&str>, server: Option<&str>) -> Result<Client, String> {
    temp_env::with_vars([("ROCKSET_APIKEY", key), ("ROCKSET_APISERVER", server)], || {
        Client::from_env().map_err(|error| error.to_string())
    })
}

#[tokio::test]
async fn a_client_takes_its_key_and_its_server_from_the_environment() {
    let server = Server::start().await.unwrap();
    let key = server.admin_key().expose_secret();
    let client = from_env(Some(key), Some(server.url())).unwrap();
    assert_eq!(client.list_api_keys().await.unwrap().len(), 1);
}

#[cfg(feature = "rustls")]
#[test]
fn a_bare_host_is_reached_with_https_and_without_one_the_default_region() {
    let client = from_env(Some("k"), Some("api.use1a1.rockset.com")).unwrap();
    assert_eq!(client.api_server(), "https://api.use1a1.rockset.com");
    let client = from_env(Some("k"), Some("localhost:8080")).unwrap();
    assert_eq!(client.api_server(), "https://localhost:8080");
    let client = from_env(Some("k"), None).unwrap();
    assert_eq!(client.api_server(), "https://api.rs2.usw2.rockset.com");
}

#[test]
fn errors_name_the_variable() {
    let server = Some("http://127.0.0.1:1");
    assert!(from_env(None, server).unwrap_err().contains("ROCKSET_APIKEY is not set"));
    assert!(from_env(Some(""), server).unwrap_err().contains("ROCKSET_APIKEY is set, but empty"));
    let error = from_env(Some("k"), Some("")).unwrap_err();
    assert!(error.contains("ROCKSET_APISERVER is set, but empty"), "{error}");
}
