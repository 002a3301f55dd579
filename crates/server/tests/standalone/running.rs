//! The running server: graceful shutdown, TLS, log, rate limit, fault injection.

use crate::program::status_of;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use rockset_apikeys::RetryPolicy;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::program::{Program, run, temporary_directory};

const IN_MEMORY: [&str; 2] = ["--database", "sqlite::memory:"];

async fn inject(server: &Program, fault: Value) -> u16 {
    let http = reqwest::Client::new();
    let response = http.post(format!("{}/faults", server.url)).json(&fault).send().await.unwrap();
    response.status().as_u16()
}

#[tokio::test]
async fn shutdown_finishes_requests_in_flight() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &["--enable-fault-injection"]);
    let client = server.client(&server.admin_key.clone().unwrap());
    assert_eq!(inject(&server, json!({ "delay_ms": 2000, "responses": 1 })).await, 204);
    let mut call = client.create_api_key("late").into_future();
    let half_a_second = Duration::from_millis(500);
    assert!(
        tokio::time::timeout(half_a_second, &mut call).await.is_err(),
        "the request was not delayed"
    );
    server.terminate();
    assert_eq!(call.await.unwrap().name, "late");
    let url = server.url.clone();
    assert!(server.wait().success());
    assert!(TcpStream::connect(url.trim_start_matches("http://")).await.is_err());
    let server = Program::serve(directory.path(), &[]);
    assert!(run(directory.path(), &["users", "list"]).status.success());
    server.stop();
}

#[tokio::test]
async fn server_uses_tls_certificate_and_key() {
    let directory = temporary_directory();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let files = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let key = directory.path().join("key.pem");
    std::fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    let output = run(directory.path(), &[&["serve"], &IN_MEMORY[..], &files].concat());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("chmod 600 key.pem"), "{error}");
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let server = Program::serve(directory.path(), &[&IN_MEMORY[..], &files].concat());
    let address = server.url.strip_prefix("https://").unwrap();

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let connection = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let name = "localhost".try_into().unwrap();
    let mut connection = connector.connect(name, connection).await.unwrap();
    let request = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    connection.write_all(request).await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");

    let certificate = directory.path().join("cert.pem");
    std::fs::set_permissions(certificate, Permissions::from_mode(0o600)).unwrap();
    let swapped = ["serve", "--tls-cert", "key.pem", "--tls-key", "cert.pem"];
    let output = run(directory.path(), &swapped);
    assert!(String::from_utf8(output.stderr).unwrap().contains(".pem: "));
}

#[tokio::test]
async fn log_contains_the_trace_id_of_each_response() {
    let directory = temporary_directory();
    let arguments = [&IN_MEMORY[..], &["--log-format", "json"]].concat();
    let server = Program::serve(directory.path(), &arguments);
    let response = reqwest::get(format!("{}/v1/orgs/self/users/me/apikeys", server.url)).await;
    let response = response.unwrap();
    let trace_id = response.headers()["x-trace-id"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["trace_id"], trace_id.as_str());
    let log = server.log_with(&trace_id);
    let line = log.lines().find(|line| line.contains(&trace_id)).expect("the line is missing");
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["status"], &line["error"]), (&json!(401), &json!("AUTHEXCEPTION")));
    assert_eq!(line["path"], "/v1/orgs/self/users/{user}/apikeys");
}

#[tokio::test]
async fn log_contains_the_trace_id_of_a_valid_traceparent() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const ZERO: &str = "00000000000000000000000000000000";
    const SPAN: &str = "b7ad6b7169203331";
    let directory = temporary_directory();
    let arguments = [&IN_MEMORY[..], &["--log-format", "json"]].concat();
    let server = Program::serve(directory.path(), &arguments);
    let valid = format!("00-{TRACE}-{SPAN}-01");
    let logged = async |values: &[&str]| {
        let mut request = reqwest::Client::new().get(&server.url);
        for value in values {
            request = request.header("traceparent", *value);
        }
        let response = request.send().await.unwrap();
        let trace_id = response.headers()["x-trace-id"].to_str().unwrap().to_owned();
        assert_ne!(trace_id, TRACE);
        let log = server.log_with(&trace_id);
        let line = log.lines().find(|line| line.contains(&trace_id)).expect("the line is missing");
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["trace_id"], trace_id.as_str());
        line.get("parent_trace_id").cloned()
    };

    assert_eq!(logged(&[&valid]).await.unwrap(), TRACE);
    let later = format!("01-{TRACE}-{SPAN}-01-more");
    assert_eq!(logged(&[&later]).await.unwrap(), TRACE);
    assert_eq!(logged(&[]).await, None);
    assert_eq!(logged(&[&valid, &valid]).await, None);
    for invalid in [
        format!("{valid}-more"),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("0-{TRACE}-{SPAN}-01"),
        format!("00-{ZERO}-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}0-{SPAN}-01"),
        format!("00-{}g-{SPAN}-01", &TRACE[1..]),
        format!("00-{TRACE}-0000000000000000-01"),
        format!("00-{TRACE}-{SPAN}0-01"),
        format!("00-{TRACE}-{SPAN}"),
        format!("00-{TRACE}-{SPAN}-1"),
        TRACE.to_owned(),
        String::new(),
    ] {
        assert_eq!(logged(&[&invalid]).await, None, "{invalid}");
    }
}

#[tokio::test]
async fn rate_limited_client_succeeds_after_retry_after() {
    let directory = temporary_directory();
    let server =
        Program::serve(directory.path(), &[&IN_MEMORY[..], &["--rate-limit", "2"]].concat());
    let client = server.client(&server.admin_key.clone().unwrap());
    for _ in 0..2 {
        client.list_api_keys().await.unwrap();
    }
    let error = client.list_api_keys().await.unwrap_err();
    assert!(status_of(&error) == Some(429), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    // A client that waits for the time in Retry-After succeeds.
    let patient = rockset_apikeys::Client::builder()
        .api_server(&server.url)
        .api_key(server.admin_key.clone().unwrap())
        .retry_policy(RetryPolicy::default().backoff(Duration::ZERO, Duration::ZERO));
    patient.build().unwrap().list_api_keys().await.unwrap();
}

#[tokio::test]
async fn fault_injection_requires_its_flag() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &IN_MEMORY);
    assert_eq!(inject(&server, json!({ "status": 503, "responses": 1 })).await, 404);
    server.stop();

    let server =
        Program::serve(directory.path(), &[&IN_MEMORY[..], &["--enable-fault-injection"]].concat());
    let client = server.client(&server.admin_key.clone().unwrap());
    assert_eq!(inject(&server, json!({ "status": 418, "responses": 2 })).await, 204);
    assert_eq!(inject(&server, json!({ "drop_connection": true, "responses": 1 })).await, 204);
    for _ in 0..2 {
        let error = client.create_api_key("k").await.unwrap_err();
        assert_eq!(status_of(&error).unwrap(), 418);
    }
    let error = client.create_api_key("k").await.unwrap_err();
    assert!(status_of(&error).is_none() && error.is_ambiguous(), "{error}");
    client.get_api_key("k").await.unwrap();
    let fault = json!({ "status_after_handling": 502, "responses": 1 });
    assert_eq!(inject(&server, fault).await, 204);
    let error = client.create_api_key("k2").await.unwrap_err();
    assert_eq!(status_of(&error).unwrap(), 502);
    client.get_api_key("k2").await.unwrap();
    assert_eq!(inject(&server, json!({ "status": 503, "responses": 9 })).await, 204);
    let faults = format!("{}/faults", server.url);
    assert_eq!(reqwest::Client::new().delete(faults).send().await.unwrap().status(), 204);
    client.get_api_key("k").await.unwrap();
    assert_eq!(inject(&server, json!({ "responses": 1 })).await, 400);
    let two = json!({ "status": 503, "delay_ms": 1, "responses": 1 });
    assert_eq!(inject(&server, two).await, 400);
    assert_eq!(inject(&server, json!({ "stauts": 503, "responses": 1 })).await, 422);
}

#[tokio::test]
async fn cause_of_a_500_is_logged_but_not_sent() {
    let directory = temporary_directory();
    let server = Program::serve(directory.path(), &[]);
    let client = server.client(&server.admin_key.clone().unwrap());
    let database = rusqlite::Connection::open(directory.path().join("keys.db")).unwrap();
    database.execute_batch("DROP TABLE api_keys").unwrap();

    let error = client.create_api_key("k").await.unwrap_err();
    assert_eq!(status_of(&error).unwrap(), 500, "{error}");
    let details = error.details().unwrap();
    assert!(!details.message.as_ref().unwrap().contains("api_keys"), "{error}");
    let trace_id = details.trace_id.as_ref().unwrap();
    let log = server.log_with(trace_id);
    let cause = log.lines().find(|line| line.contains(trace_id) && line.contains("ERROR"));
    assert!(cause.expect("the cause was not logged").contains("no such table: api_keys"), "{log}");
}
