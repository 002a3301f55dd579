//! Invalid input and settings, which are rejected before sending.

use std::time::Duration;

use httpmock::MockServer;
use rockset_apikeys::{Client, Error, Region};

use crate::support::{client_for, status_of};

fn rejection(result: Result<impl std::fmt::Debug, Error>) -> String {
    let error = result.expect_err("a rejection");
    assert_eq!(status_of(&error), None);
    assert!(!error.is_retryable() && !error.is_connect() && !error.is_timeout());
    error.to_string()
}

fn with_key(key: &str) -> Result<Client, Error> {
    Client::builder().api_key(key).api_server("http://127.0.0.1:1").build()
}

fn with_server(server: &str) -> Result<Client, Error> {
    Client::builder().api_key("k").api_server(server).build()
}

#[test]
fn client_rejects_missing_and_invalid_keys() {
    assert_eq!(
        rejection(Client::builder().api_server("http://127.0.0.1:1").build()),
        "cannot build a client: no API key is set; call `api_key`, or use `Client::from_env()`, which \
         reads ROCKSET_APIKEY and ROCKSET_APISERVER"
    );
    assert!(rejection(with_key("")).contains("the API key from `api_key`: it is empty"));
    for key in ["SECRETS\n", "SECRETS ", " SECRETS", "SEC\u{7f}RETS", "SECRETSü", "SEC\0RETS"] {
        let message = rejection(with_key(key));
        assert!(message.contains("is not printable ASCII"), "{message}");
        assert!(!message.contains("SEC") && !message.contains("RETS"), "{message}");
    }
    with_key("0aZ-._~+/=").unwrap();
}

#[test]
fn invalid_api_server_is_quoted_without_secrets() {
    let key_in_path = format!("ftp://127.0.0.1/{}", "PASSWORD1".repeat(8));
    for (server, quoted, reason) in [
        ("", "\"\"", "it is neither a URL nor a host with a dot or a port"),
        ("/keys.example.com", "\"/keys.example.com\"", "it is neither a URL nor a host"),
        ("http:/127.0.0.1", "\"http:/127.0.0.1\"", "it is neither a URL nor a host"),
        ("PASSWORD", "[REDACTED]", "it is neither a URL nor a host"),
        ("ftp://127.0.0.1", "\"ftp://127.0.0.1\"", "its scheme is neither http nor https"),
        ("https://{{host}}", "\"https://{{host}}\"", "it contains characters that are invalid"),
        (&key_in_path, "\"[REDACTED]\"", "its scheme is neither http nor https"),
        ("http://", "\"http://\"", "it is not a valid URL"),
        ("127.0.0.1:99999", "\"127.0.0.1:99999\"", "it is not a valid URL"),
        ("u:PASSWORD@h.example:x", "\"h.example:x\"", "it is not a valid URL"),
        ("http://127.0.0.1/?a=PASSWORD", "\"http://127.0.0.1/\"", "it contains a query or a"),
        ("127.0.0.1#PASSWORD", "\"127.0.0.1\"", "it contains a query or a fragment"),
        ("http://u:PASSWORD@127.0.0.1", "\"http://127.0.0.1\"", "it contains a user name or"),
        ("u:PASSWORD@127.0.0.1:80", "\"127.0.0.1:80\"", "it contains a user name or password"),
    ] {
        let message = rejection(with_server(server));
        let beginning = format!("cannot use API server {quoted} from `api_server`: {reason}");
        assert!(message.starts_with(&beginning), "{server}: {message}");
        let fix = "; use a host or URL such as http://127.0.0.1:8080 or https://api.example.com";
        assert!(message.ends_with(fix), "{message}");
        let builder = Client::builder().api_key("k").api_server(server);
        let output = format!("{message} {builder:?} {builder:#?}");
        assert!(!output.contains("PASSWORD"), "{output}");
    }
}

#[test]
fn error_of_a_zero_timeout_names_its_setter() {
    let builder = || Client::builder().api_key("k").api_server("127.0.0.1:1");
    for (name, builder) in [
        ("connect_timeout", builder().connect_timeout(Duration::ZERO)),
        ("attempt_timeout", builder().attempt_timeout(Duration::ZERO)),
        ("timeout", builder().timeout(Duration::ZERO)),
    ] {
        let message = rejection(builder.build());
        assert!(message.contains(&format!("`{name}` is zero")), "{message}");
    }
}

#[test]
fn http_requires_loopback_or_allow_http() {
    for server in [
        "http://127.0.0.1:1",
        "http://127.8.8.8",
        "http://[::1]:1",
        "http://[::ffff:127.0.0.1]:1",
        "http://localhost:1",
        "http://keys.localhost:1",
    ] {
        with_server(server).unwrap();
    }
    for server in [
        "http://10.0.0.1",
        "http://[::ffff:10.0.0.1]",
        "http://example.com",
        "http://localhost.example.com",
        "http://notlocalhost",
    ] {
        let message = rejection(with_server(server));
        assert!(message.contains("unencrypted") && message.contains("allow_http"), "{message}");
        let builder = Client::builder().api_key("k").api_server(server);
        builder.allow_http(true).build().unwrap();
    }
}

#[cfg(feature = "rustls-no-provider")]
#[test]
fn client_accepts_regions_and_https_urls() {
    for region in Region::ALL {
        let client = Client::builder().api_key("k").region(region).build().unwrap();
        assert_eq!(client.api_server(), region.url());
    }
    let message = rejection(Client::builder().api_key("k").build());
    assert!(message.contains("no API server") && message.contains("api_server"), "{message}");
    let client = with_server("https://example.com/prefix/").unwrap();
    assert_eq!(client.api_server(), "https://example.com/prefix");
}

#[cfg(not(feature = "rustls-no-provider"))]
#[test]
fn https_is_rejected_without_a_tls_feature() {
    let message = rejection(Client::builder().api_key("k").region(Region::USE1A1).build());
    assert!(message.contains("rustls"), "{message}");
}

#[tokio::test]
async fn invalid_path_segments_are_rejected_before_sending() {
    let server = MockServer::start_async().await;
    let any = server
        .mock_async(|when, then| {
            when.any_request();
            then.status(200);
        })
        .await;
    let client = client_for(&server.base_url(), "k");
    for bad in ["", ".", ".."] {
        let name = [
            rejection(client.create_api_key(bad).await),
            rejection(client.get_api_key(bad).await),
            rejection(client.update_api_key(bad).await),
            rejection(client.delete_api_key(bad).await),
        ];
        let user = [
            rejection(client.list_api_keys().user(bad).await),
            rejection(client.get_api_key("n").user(bad).await),
            rejection(client.update_api_key("n").user(bad).await),
            rejection(client.delete_api_key("n").user(bad).await),
        ];
        assert!(name.iter().all(|message| message.contains("_api_key: the name is ")));
        assert!(user.iter().all(|message| message.contains(": the user is ")));
        client.generated().get_api_key().user("self").name(bad).send().await.unwrap_err();
        client.generated().list_api_keys().user(bad).send().await.unwrap_err();
    }
    assert_eq!(any.calls_async().await, 0);
}
