//! Errors that callers get for failed calls.

use std::error::Error as _;

use rockset_apikeys::{Client, Error, ErrorKind, ErrorType, RetryPolicy, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::script::{Script, Step};
use crate::support::{Contract, OPERATIONS, call, client_for, message, status_of};

/// Calls this operation on a server that sends this response. Returns the error.
async fn error_of(id: &str, status: u16, media: &str, body: &str) -> Error {
    let headers = format!("content-type: {media}\r\n");
    let server = Script::play([Step::response(status, &headers, body)]).await;
    call(&client_for(&server.url, "k"), id).await.expect_err("an error")
}

async fn error_of_json(id: &str, status: u16, body: &Value) -> Error {
    error_of(id, status, "application/json", &body.to_string()).await
}

#[tokio::test]
async fn documented_error_statuses_keep_all_details() {
    let contract = Contract::load();
    let body = json!({
        "message": "the server's message", "type": "QUERY_ERROR", "line": 3, "column": 7,
        "trace_id": "trace", "error_id": "error", "query_id": "query",
        "virtual_instance_rrn": "instance",
    });
    for &id in &*OPERATIONS {
        for status in contract.statuses(id) {
            if status == 200 {
                continue;
            }
            contract.assert_response(id, status, &body);
            let error = error_of_json(id, status, &body).await;
            assert_eq!(status_of(&error), Some(status), "{id}");
            assert_eq!(serde_json::to_value(error.details()).unwrap(), body, "{id}, {status}");
        }
    }
}

#[tokio::test]
async fn predicates_match_only_their_statuses() {
    type Predicate = (&'static str, fn(&Error) -> bool, &'static [u16]);
    const PREDICATES: [Predicate; 7] = [
        ("not_found", Error::is_not_found, &[404]),
        ("conflict", Error::is_conflict, &[409]),
        ("timeout", Error::is_timeout, &[408, 504]),
        ("connect", Error::is_connect, &[]),
        ("invalid_input", Error::is_invalid_input, &[]),
        ("ambiguous", Error::is_ambiguous, &[]),
        ("retryable", Error::is_retryable, &[408, 429, 500, 502, 503, 504]),
    ];
    let documented = Contract::load().statuses("get_api_key");
    let others = [302, 413, 418, 504];
    for status in documented.into_iter().chain(others).filter(|status| *status != 200) {
        let error = error_of_json("get_api_key", status, &json!({})).await;
        assert_eq!(error.kind(), ErrorKind::Response(StatusCode::from_u16(status).unwrap()));
        for (name, predicate, statuses) in PREDICATES {
            assert_eq!(predicate(&error), statuses.contains(&status), "is_{name} of {status}");
        }
    }
}

#[tokio::test]
async fn unknown_error_type_is_kept() {
    let error = error_of_json("get_api_key", 400, &json!({ "type": "NEW_IN_2030" })).await;
    assert_eq!(error.details().unwrap().type_, Some(ErrorType::Unknown("NEW_IN_2030".to_owned())));
}

#[tokio::test]
async fn error_has_status_and_excerpt_for_unexpected_bodies() {
    for (status, media, body, expected) in [
        (503, "text/html", "<html>\n  down\n</html>", Some("<html> down </html>")),
        (502, "application/json", "", None),
        (500, "application/json", r#"{"message": "cut o"#, Some(r#"{"message": "cut o"#)),
        (400, "application/json", "[1, 2]", Some("[1, 2]")),
        (418, "text/plain", "short and stout", Some("short and stout")),
        (413, "application/json", r#"{"message": "too large"}"#, Some("too large")),
        (404, "image/png", "\u{89}PNG\0\0", None),
        (200, "text/html", "<html>a login page</html>", Some("<html>a login page</html>")),
        (200, "text/plain", "a body that may contain a key", None),
        (500, "text/plain", r#"{"data": {"key": "a secret of another kind"#, None),
        (
            500,
            "application/json",
            r#"{"error": "of another kind"}"#,
            Some(r#"{"error": "of another kind"}"#),
        ),
        (500, "application/json", r#"{"message": null, "line": null}"#, None),
        (
            400,
            "application/json",
            r#"{"message": "kept", "line": 1e99, "column": "3"}"#,
            Some("kept"),
        ),
        (503, "text/html", "<h1>\u{b}maintenance\u{2028}</h1>", Some("<h1> maintenance </h1>")),
        (200, "application/json", "", None),
        (200, "application/json", "{}", None),
        (200, "application/json", r#"{"data": null}"#, None),
    ] {
        for &id in &*OPERATIONS {
            let error = error_of(id, status, media, body).await;
            assert_eq!(status_of(&error), Some(status), "{id}: {body}");
            assert_eq!(message(&error), expected, "{id}: {body}");
            let display = error.to_string();
            assert!(display.contains(&status.to_string()) && display.contains(id), "{display}");
            assert!(!display.contains('\n') && display.chars().count() < 400, "{display}");
        }
    }
    let long = error_of("get_api_key", 503, "text/plain", &"word ".repeat(20_000)).await;
    assert_eq!(message(&long).map(str::len), Some(200));
}

#[tokio::test]
async fn cut_off_response_keeps_its_status() {
    for (head, status, expected) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"data\":",
            Some(200),
            "200 OK, but the response was cut off",
        ),
        (
            "HTTP/1.1 503 Down\r\ncontent-length: 100\r\n\r\nunder repair",
            Some(503),
            "503 Service Unavailable: under repair",
        ),
        ("HTTP/1.1 403 No\r\ncontent-length: 100\r\n\r\n", Some(403), "403 Forbidden"),
        ("HTTP/1.1 200 OK\r\ncont", None, "the connection failed"),
        ("", None, "the connection failed"),
    ] {
        let server = Script::play([Step::Send(head.into())]).await;
        let error = client_for(&server.url, "k").list_api_keys().await.unwrap_err();
        assert_eq!(status_of(&error), status, "{error}");
        assert_eq!(error.to_string(), format!("list_api_keys: {expected}"));
        assert_eq!(error.is_retryable(), status != Some(403), "{error}");
        assert_eq!(error.source().is_some(), message(&error).is_none() && status != Some(403));
        assert!(!error.is_connect(), "{error}");
    }
}

#[tokio::test]
async fn oversized_body_fails_before_its_end() {
    for (status, head) in [(200, "connection: close"), (503, "transfer-encoding: chunked")] {
        let head = format!("HTTP/1.1 {status} -\r\n{head}\r\n\r\n5000000\r\n");
        let server = Script::play([Step::Flood(head.into())]).await;
        let error = client_for(&server.url, "k").list_api_keys().await.unwrap_err();
        assert_eq!(status_of(&error), Some(status));
        if status == 200 {
            assert!(error.source().unwrap().to_string().contains("4194304 bytes"), "{error:?}");
        }
    }

    let body = r#"{"data": []}"#;
    let server = Script::play([Step::response(200, "", body)]).await;
    let limited = |limit| {
        let builder = Client::builder().api_server(&server.url).api_key("k");
        builder.retry_policy(RetryPolicy::never()).max_response_bytes(limit).build().unwrap()
    };
    limited(body.len()).list_api_keys().await.unwrap();
    limited(body.len() - 1).list_api_keys().await.unwrap_err();
}

#[tokio::test]
async fn echoed_key_is_redacted() {
    let key = "ECHOED-0123456789";
    let bodies = [
        json!({ "message": format!("bad key {key}!"), "trace_id": key, "type": key }).to_string(),
        format!("<p>your header was ApiKey {key}</p>"),
        // Extends beyond the excerpt.
        format!("{}{key}", "x".repeat(190)),
    ];
    for body in bodies {
        for status in [401, 418] {
            let server = Script::play([Step::response(status, "", &body)]).await;
            let error = client_for(&server.url, key).list_api_keys().await.unwrap_err();
            let details = error.details().unwrap();
            let message = details.message.as_ref().unwrap();
            // The excerpt may end within the placeholder.
            assert!(message.contains("[REDACT"), "{message}");
            let output = format!("{error} {error:?} {details:?}");
            assert!(!output.contains("ECHOED"), "{output}");
        }
    }
}

#[tokio::test]
async fn redirect_is_an_error() {
    let elsewhere = Script::play([Step::response(200, "", r#"{"data": []}"#)]).await;
    let location = format!("location: {}/elsewhere\r\n", elsewhere.url);
    let server = Script::play([Step::response(307, &location, "")]).await;
    let error = client_for(&server.url, "k").list_api_keys().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "list_api_keys: 307 Temporary Redirect: redirects to 127.0.0.1, which is not followed"
    );
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn display_is_one_line_with_operation_and_message() {
    let body = json!({ "message": "no such\nkey", "type": "NOTFOUND", "trace_id": "4bf9" });
    let error = error_of_json("get_api_key", 404, &body).await;
    assert_eq!(
        error.to_string(),
        "get_api_key \"my-app\": 404 Not Found: no such key (NOTFOUND, trace ID 4bf9)"
    );
    let error = error_of_json("list_api_keys", 500, &json!({})).await;
    assert_eq!(error.to_string(), "list_api_keys: 500 Internal Server Error");

    let server = Script::play([Step::status(204)]).await;
    let error = client_for(&server.url, "k").delete_api_key("my-app").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "delete_api_key \"my-app\": 204 No Content, which the contract does not document; the \
         delete may have succeeded"
    );

    let server = Script::play([Step::status(404)]).await;
    let client = client_for(&server.url, "k");
    let error = client.get_api_key("a\nb").user("admin@me.com").await.unwrap_err();
    let display = error.to_string();
    assert!(display.starts_with(r#"get_api_key "a\nb" of user "admin@me.com": 404"#), "{display}");
}

#[tokio::test]
async fn failed_connection_is_a_connect_error_with_its_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client_for(&server, "k").list_api_keys().await.unwrap_err();
    assert!(error.is_connect() && error.is_retryable() && !error.is_timeout(), "{error}");
    assert_eq!(status_of(&error), None);
    let reason = "connection refused (is the server running?)";
    assert_eq!(error.to_string(), format!("list_api_keys: cannot connect to {server}: {reason}"));
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    assert!(causes.iter().any(|cause| cause.contains("refused")), "{causes:?}");
}

#[tokio::test]
async fn debug_prints_message_and_causes() {
    let error = error_of_json("get_api_key", 404, &json!({ "message": "no such\nkey" })).await;
    let message = "get_api_key \"my-app\": 404 Not Found: no such key";
    assert_eq!(format!("{error:?} {error:#?}"), format!("{message} {message}"));

    let error = Client::builder().api_key("k").api_server("http://127.0.0.1:99999").build();
    let error = error.unwrap_err();
    assert_eq!(format!("{error:?}"), format!("{error}\n\nCaused by:\n    invalid port number"));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client_for(&server, "k").list_api_keys().await.unwrap_err();
    let debug = format!("{error:?}");
    let lines: Vec<_> = debug.lines().collect();
    assert_eq!(lines[..3], [&*error.to_string(), "", "Caused by:"], "{debug}");
    assert!(lines[3..].iter().all(|line| line.starts_with("    ")), "{debug}");
    assert!(lines[4..].last().unwrap().contains("refused"), "{debug}");
}

#[tokio::test]
async fn error_does_not_quote_an_invalid_success() {
    let secret = "SECRET-SECRET";
    for body in [
        json!({ "data": secret }),
        json!({ "data": { "key": secret, "name": 5 } }),
        json!({ "data": { "name": "n", "key": { "value": secret } } }),
        json!(secret),
    ] {
        let error = error_of_json("get_api_key", 200, &body).await;
        assert!(error.source().is_some());
        let output = format!("{error} {error:?} {error:#?} {}", error.source().unwrap());
        assert!(!output.contains(secret), "{output}");
    }
}
