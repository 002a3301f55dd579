//! Decoding of successes. All other responses are in `errors`.

use std::error::Error as _;

use rockset_apikeys::{ApiKey, Error, KeyState};

use crate::script::{Script, Step};
use crate::support::{client_for, status_of};

async fn get(headers: &str, body: impl AsRef<[u8]>) -> Result<ApiKey, Error> {
    let server = Script::play([Step::response(200, headers, body)]).await;
    client_for(&server.url, "k").get_api_key("n").await
}

#[tokio::test]
async fn unexpected_values_do_not_break_decoding() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (name, headers, fields) in [
        ("nothing unexpected", "content-type: application/json\r\n", ""),
        ("no content type", "", ""),
        ("another content type", "content-type: text/html\r\n", ""),
        ("unknown fields", "", r#", "new": [1, {"a": null}]"#),
        ("a deep unknown field", "", &format!(r#", "new": {deep}"#)),
        ("an unknown state", "", r#", "state": "FROZEN""#),
        ("nulls", "", r#", "state": null, "role": null, "expiry_time": null, "created_by": null"#),
        ("times in seconds", "", r#", "created_at": 1709208000, "expiry_time": -1.5"#),
        ("invalid times", "", r#", "created_at": "yesterday", "expiry_time": {"s": [1]}"#),
        ("escapes", "", r#", "role": "\u0072ole \ud83d\ude00""#),
    ] {
        let body = format!(r#"{{"data": {{"name": "n", "key": "abcdef"{fields}}}, "more": 1}}"#);
        let key = get(headers, body).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!((key.name.as_str(), key.key.expose_secret()), ("n", "abcdef"), "{name}");
        if name == "an unknown state" {
            assert_eq!(key.state, Some(KeyState::Unknown("FROZEN".to_owned())));
        }
    }
}

#[tokio::test]
async fn success_with_an_invalid_body_is_an_error_with_a_cause() {
    let deep = |open: &str, close: &str| {
        format!(r#"{{"data": {}1{}}}"#, open.repeat(100_000), close.repeat(100_000))
    };
    let in_key = |field: &str| format!(r#"{{"data": {{"name": "n", "key": "k", {field}}}}}"#);
    let schema = "the body does not match the schema at line";
    let syntax = "the body is not JSON at line";
    let rows: [(&str, Vec<u8>, &str); 20] = [
        ("empty", "".into(), "the body ends too early at line"),
        (
            "cut off",
            r#"{"data": {"name": "n", "key": "k"#.into(),
            "the body ends too early at line",
        ),
        ("HTML", "<html>".into(), syntax),
        ("a trailing brace", (in_key(r#""role": "r""#) + "}").into(), syntax),
        ("a byte order mark", ("\u{feff}".to_owned() + &in_key(r#""role": "r""#)).into(), syntax),
        ("another schema", "[]".into(), schema),
        ("no data", "{}".into(), schema),
        ("null for data", r#"{"data": null}"#.into(), schema),
        ("a list for a key", r#"{"data": [{"name": "n", "key": "k"}]}"#.into(), schema),
        ("no key", r#"{"data": {"name": "n"}}"#.into(), schema),
        ("null for a name", r#"{"data": {"name": null, "key": "k"}}"#.into(), schema),
        ("a number for a role", in_key(r#""role": 5"#).into(), schema),
        ("the same field twice", in_key(r#""role": "r", "role": "r""#).into(), schema),
        ("deep lists", deep("[", "]").into(), syntax),
        ("deep objects", deep(r#"{"a":"#, "}").into(), schema),
        (
            "a deep time",
            in_key(&format!(r#""created_at": {}"#, "[".repeat(100_000))).into(),
            syntax,
        ),
        ("a time out of range", in_key(r#""created_at": 1e999"#).into(), syntax),
        ("a string with half a surrogate pair", in_key(r#""role": "\ud800""#).into(), syntax),
        (
            "invalid UTF-8",
            [&b"{\"data\": {\"key\": \"k\", \"name\": \"\xff"[..], b"\"}}"].concat(),
            syntax,
        ),
        ("binary", vec![0; 64], syntax),
    ];
    for (name, body, cause) in rows {
        let error = get("content-type: application/json\r\n", body).await.expect_err(name);
        assert_eq!(status_of(&error), Some(200), "{name}");
        let page = if name == "HTML" { ": <html>" } else { "" };
        let message = format!("get_api_key \"n\": 200 OK, but the response body is invalid{page}");
        assert_eq!(error.to_string(), message, "{name}");
        let source = error.source().unwrap().to_string();
        assert!(source.starts_with(cause), "{name}: {source}");
        assert!(!error.is_retryable() && !error.is_ambiguous(), "{name}");
    }
}
