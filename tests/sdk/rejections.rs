//! What is rejected before anything is sent.

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
fn a_client_needs_a_key_that_a_header_can_carry() {
    assert_eq!(
        rejection(Client::builder().api_server("http://127.0.0.1:1").build()),
        "there is no API key; call `api_key`, or use `Client::from_env()`, which reads \
         ROCKSET_APIKEY and ROCKSET_APISERVER"
    );
    assert!(rejection(with_key("")).contains("the API key from `api_key` is empty"));
    for key in ["SECRETS\n", "SECRETS ", " SECRETS", "SEC\u{7f}RETS", "SECRETSü", "SEC\0RETS"] {
        let text = rejection(with_key(key));
        assert!(text.contains("is not valid"), "{text}");
        assert!(!text.contains("SEC") && !text.contains("RETS"), "{text}");
    }
    with_key("0aZ-._~+/=").unwrap();
}

#[test]
fn an_invalid_api_server_is_quoted_without_what_may_be_secret() {
    let key_in_path = format!("ftp://127.0.0.1/{}", "PASSWORD1".repeat(8));
    for (server, quoted, reason) in [
        ("", "\"\"", "is neither a URL nor a host with a dot or a port"),
        ("/keys.example.com", "\"/keys.example.com\"", "is neither a URL nor a host"),
        ("http:/127.0.0.1", "\"http:/127.0.0.1\"", "is neither a URL nor a host"),
        ("PASSWORD", "[REDACTED]", "is neither a URL nor a host"),
        ("ftp://127.0.0.1", "\"ftp://127.0.0.1\"", "is neither http nor https"),
        ("https://{{host}}", "\"https://{{host}}\"", "has characters that no request"),
        (&key_in_path, "\"[REDACTED]\"", "is neither http nor https"),
        ("http://", "\"http://\"", "is not a valid URL"),
        ("127.0.0.1:99999", "\"127.0.0.1:99999\"", "is not a valid URL"),
        ("u:PASSWORD@h.example:x", "\"h.example:x\"", "is not a valid URL"),
        ("http://127.0.0.1/?a=PASSWORD", "\"http://127.0.0.1/\"", "has more than a host"),
        ("127.0.0.1#PASSWORD", "\"127.0.0.1\"", "has more than a host"),
        ("http://u:PASSWORD@127.0.0.1", "\"http://127.0.0.1\"", "has a user name or password"),
        ("u:PASSWORD@127.0.0.1:80", "\"127.0.0.1:80\"", "has a user name or password"),
    ] {
        let text = rejection(with_server(server));
        let beginning = format!("the API server {quoted} from `api_server` {reason}");
        assert!(text.starts_with(&beginning), "{server}: {text}");
        let advice = "; use a host or URL such as http://127.0.0.1:8080 or https://api.example.com";
        assert!(text.ends_with(advice), "{text}");
        let builder = Client::builder().api_key("k").api_server(server);
        let text = format!("{text} {builder:?} {builder:#?}");
        assert!(!text.contains("PASSWORD"), "{text}");
    }
}

#[test]
fn a_zero_timeout_is_rejected_and_the_error_names_its_setter() {
    let builder = || Client::builder().api_key("k").api_server("127.0.0.1:1");
    for (name, builder) in [
        ("connect_timeout", builder().connect_timeout(Duration::ZERO)),
        ("attempt_timeout", builder().attempt_timeout(Duration::ZERO)),
        ("timeout", builder().timeout(Duration::ZERO)),
    ] {
        let text = rejection(builder.build());
        assert!(text.starts_with(&format!("`{name}` is zero")), "{text}");
    }
}

#[test]
fn http_is_accepted_only_for_loopback_addresses_unless_allowed() {
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
        let text = rejection(with_server(server));
        assert!(text.contains("unencrypted") && text.contains("allow_http"), "{text}");
        let builder = Client::builder().api_key("k").api_server(server);
        builder.allow_http(true).build().unwrap();
    }
}

#[cfg(feature = "rustls-no-provider")]
#[test]
fn every_region_and_any_https_url_is_accepted() {
    for region in Region::ALL {
        let client = Client::builder().api_key("k").region(region).build().unwrap();
        assert_eq!(client.api_server(), region.url());
    }
    let text = rejection(Client::builder().api_key("k").build());
    assert!(text.contains("no API server") && text.contains("api_server"), "{text}");
    let client = with_server("https://example.com/prefix/").unwrap();
    assert_eq!(client.api_server(), "https://example.com/prefix");
}

#[cfg(not(feature = "rustls-no-provider"))]
#[test]
fn https_without_tls_is_rejected_and_the_error_names_the_feature() {
    let text = rejection(Client::builder().api_key("k").region(Region::USE1A1).build());
    assert!(text.contains("rustls"), "{text}");
}

#[tokio::test]
async fn names_and_users_that_are_invalid_path_segments_are_rejected_before_sending() {
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
        assert!(name.iter().all(|text| text.contains("_api_key: the name is ")));
        assert!(user.iter().all(|text| text.contains(": the user is ")));
        client.generated().get_api_key().user("self").name(bad).send().await.unwrap_err();
        client.generated().list_api_keys().user(bad).send().await.unwrap_err();
    }
    assert_eq!(any.calls_async().await, 0);
}
