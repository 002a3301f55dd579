//! Responses over HTTP: to the client of the same contract, and to raw requests that the client
//! would not send. Responses to raw requests are validated against the contract.

use crate::support::{FORBIDDEN, UNAUTHORIZED};
use rockset_apikeys::ErrorKind;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use rockset_apikeys::{ApiKey, ApiKeyValue, Client, ErrorType, KeyState, Timestamp};
use rockset_apikeys_server::{ADMIN, Clock, Fault, Role, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Contract, client_for};

const MEMBER: &str = "dev@me.com";
const READER: &str = "audit@me.com";
const KEYS: &str = "/v1/orgs/self/users/self/apikeys";
const JSON: (&str, &str) = ("content-type", "application/json");

async fn server() -> Server {
    let builder = Server::builder().user(MEMBER, Role::Member).user(READER, Role::ReadOnly);
    builder.start().await.unwrap()
}

fn client_with(server: &Server, key: &ApiKeyValue) -> Client {
    client_for(server.url(), key.expose_secret())
}

fn client_of_user(server: &Server, user: &str) -> Client {
    client_with(server, server.key(user).unwrap())
}

fn in_hours(hours: i64) -> Timestamp {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours)).into()
}

/// Sends raw requests.
struct Raw<'a> {
    server: &'a Server,
    http: reqwest::Client,
    contract: Contract,
}

impl<'a> Raw<'a> {
    fn new(server: &'a Server) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { server, http, contract: Contract::load() }
    }

    /// Sends a request and validates the response as one of the operation's.
    ///
    /// The request has the administrator's key unless the headers override it. An empty header is
    /// omitted.
    async fn send(
        &self,
        operation: &str,
        method: &Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> (u16, HeaderMap, Value) {
        let authorization = format!("apikey {}", self.server.admin_key().expose_secret());
        let mut sent = HeaderMap::new();
        sent.insert("authorization", authorization.parse().unwrap());
        for (name, value) in headers {
            sent.remove(*name);
            if !value.is_empty() {
                sent.insert(*name, HeaderValue::from_str(value).unwrap());
            }
        }
        let url = format!("{}{path}", self.server.url());
        let request = self.http.request(method.clone(), url).headers(sent).body(body.to_owned());
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        assert_eq!(headers["content-type"], "application/json");
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        self.contract.assert_response(operation, status, &body);
        if status != 200 {
            assert!(body["trace_id"].is_string() && body["message"].is_string(), "{body}");
        }
        (status, headers, body)
    }
}

#[tokio::test]
async fn key_can_be_created_read_updated_and_deleted() {
    let server = server().await;
    let client = client_of_user(&server, ADMIN);

    let created = client.create_api_key("my key/ü").role("read-only").await.unwrap();
    assert_eq!(created.key.expose_secret().len(), 64);
    assert!(created.key.expose_secret().chars().all(|char| char.is_ascii_alphanumeric()));
    assert_eq!(created.state, Some(KeyState::Active));
    assert_eq!(created.role.as_deref(), Some("read-only"));
    assert_eq!(created.created_by.as_deref(), Some(ADMIN));
    assert_eq!(created.created_by_apikey_name.as_deref(), Some("initial"));
    assert!(created.created_at.unwrap().to_jiff().is_some());

    let keys = client.list_api_keys().await.unwrap();
    let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["initial", "my key/ü"], "oldest first");

    let key = client.get_api_key("my key/ü").await.unwrap();
    assert_eq!(key.key.expose_secret(), created.key.identifier());
    assert_eq!(key.last_access_time, None);
    let key = client.get_api_key("my key/ü").reveal(true).await.unwrap();
    assert_eq!(key.key.expose_secret(), created.key.expose_secret());

    client_with(&server, &created.key).list_api_keys().await.unwrap();
    let key = client.get_api_key("my key/ü").user(ADMIN).await.unwrap();
    assert!(key.last_access_time.unwrap().to_jiff().is_some());

    let key = client.update_api_key("my key/ü").state(KeyState::Suspended).await.unwrap();
    assert_eq!(key.state, Some(KeyState::Suspended));
    let gone = client.delete_api_key("my key/ü").await.unwrap();
    assert_eq!(gone.name, "my key/ü");
    assert!(client.get_api_key("my key/ü").await.unwrap_err().is_not_found());
    assert!(client.delete_api_key("my key/ü").await.unwrap_err().is_not_found());
    assert!(
        client_with(&server, &created.key).list_api_keys().await.unwrap_err().kind()
            == UNAUTHORIZED
    );
}

#[tokio::test]
async fn two_users_can_use_the_same_key_name() {
    let server = server().await;
    let (admin, member) = (client_of_user(&server, ADMIN), client_of_user(&server, MEMBER));
    admin.create_api_key("same").await.unwrap();
    member.create_api_key("same").await.unwrap();
    let error = admin.create_api_key("same").await.unwrap_err();
    assert!(error.is_conflict());
    assert_eq!(error.details().unwrap().type_, Some(ErrorType::AlreadyExists));
}

#[tokio::test]
async fn administrator_creates_keys_for_other_users() {
    let server = server().await;
    let (admin, member) = (client_of_user(&server, ADMIN), client_of_user(&server, MEMBER));
    let created = admin.create_api_key("theirs").created_by(MEMBER).await.unwrap();
    assert_eq!(created.created_by.as_deref(), Some(MEMBER));
    assert_eq!(member.get_api_key("theirs").await.unwrap().name, "theirs");
    // The key has the role of its owner, not of its creator.
    let key = client_with(&server, &created.key);
    assert!(key.list_api_keys().user(ADMIN).await.unwrap_err().kind() == FORBIDDEN);
    let nobody = admin.create_api_key("k").created_by("nobody@me.com").await.unwrap_err();
    assert!(nobody.is_not_found());
}

#[tokio::test]
async fn suspended_key_authenticates_again_once_activated() {
    let server = server().await;
    let admin = client_of_user(&server, ADMIN);
    let key = admin.create_api_key("k").await.unwrap().key;
    admin.update_api_key("k").state(KeyState::Suspended).await.unwrap();
    let error = client_with(&server, &key).list_api_keys().await.unwrap_err();
    assert!(error.kind() == UNAUTHORIZED);
    assert_eq!(error.details().unwrap().type_, Some(ErrorType::AuthException));
    admin.update_api_key("k").state(KeyState::Active).await.unwrap();
    client_with(&server, &key).list_api_keys().await.unwrap();
}

#[tokio::test]
async fn key_is_suspended_after_its_expiry_time() {
    let server = server().await;
    let admin = client_of_user(&server, ADMIN);
    let created = admin.create_api_key("k").expiry_time(in_hours(1)).await.unwrap();
    assert_eq!(created.state, Some(KeyState::Active));
    let owner = client_with(&server, &created.key);
    owner.list_api_keys().await.unwrap();

    let key = admin.update_api_key("k").expiry_time(in_hours(-1)).await.unwrap();
    assert_eq!(key.state, Some(KeyState::Suspended));
    assert!(owner.list_api_keys().await.unwrap_err().kind() == UNAUTHORIZED);
    let error = admin.update_api_key("k").state(KeyState::Active).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("expired"), "{error}");

    let key = admin.update_api_key("k").clear_expiry_time(true).await.unwrap();
    assert_eq!((key.expiry_time, key.state), (None, Some(KeyState::Suspended)));
    let update = admin.update_api_key("k").state(KeyState::Active).expiry_time(in_hours(2));
    assert_eq!(update.await.unwrap().state, Some(KeyState::Active));
    owner.list_api_keys().await.unwrap();

    let late = admin.create_api_key("late").expiry_time(in_hours(-1)).await.unwrap();
    assert_eq!(late.state, Some(KeyState::Suspended));
}

#[tokio::test]
async fn only_administrators_access_keys_of_other_users() {
    let server = server().await;
    let (admin, member) = (client_of_user(&server, ADMIN), client_of_user(&server, MEMBER));
    member.create_api_key("theirs").await.unwrap();
    assert_eq!(admin.list_api_keys().user(MEMBER).await.unwrap().len(), 2);
    admin.get_api_key("theirs").user(MEMBER).reveal(true).await.unwrap();
    admin.update_api_key("theirs").user(MEMBER).state(KeyState::Suspended).await.unwrap();
    admin.delete_api_key("theirs").user(MEMBER).await.unwrap();
    assert!(admin.list_api_keys().user("nobody@me.com").await.unwrap_err().is_not_found());

    // Unknown users get the same error as known ones, so callers cannot find out who exists.
    for user in [ADMIN, "nobody@me.com"] {
        assert!(member.list_api_keys().user(user).await.unwrap_err().kind() == FORBIDDEN);
        assert!(member.get_api_key("initial").user(user).await.unwrap_err().kind() == FORBIDDEN);
        let update = member.update_api_key("initial").user(user).state(KeyState::Suspended);
        assert!(update.await.unwrap_err().kind() == FORBIDDEN);
        assert!(member.delete_api_key("initial").user(user).await.unwrap_err().kind() == FORBIDDEN);
        assert!(member.create_api_key("k").created_by(user).await.unwrap_err().kind() == FORBIDDEN);
    }
    // The caller's own address is equivalent to `self`.
    assert_eq!(member.list_api_keys().user(MEMBER).await.unwrap().len(), 1);
}

#[tokio::test]
async fn read_only_key_cannot_change_anything() {
    let server = server().await;
    let admin = client_of_user(&server, ADMIN);
    let limited = admin.create_api_key("limited").role("read-only").await.unwrap().key;
    for reader in [client_of_user(&server, READER), client_with(&server, &limited)] {
        reader.list_api_keys().await.unwrap();
        reader.get_api_key("initial").await.unwrap();
        assert!(reader.create_api_key("k").await.unwrap_err().kind() == FORBIDDEN);
        let update = reader.update_api_key("initial").state(KeyState::Suspended);
        assert!(update.await.unwrap_err().kind() == FORBIDDEN);
        assert!(reader.delete_api_key("initial").await.unwrap_err().kind() == FORBIDDEN);
    }
}

#[tokio::test]
async fn key_cannot_create_or_reveal_keys_with_a_higher_role() {
    let server = server().await;
    let admin = client_of_user(&server, ADMIN);
    let limited = admin.create_api_key("limited").role("member").await.unwrap().key;
    let limited = client_with(&server, &limited);
    assert!(limited.get_api_key("initial").reveal(true).await.unwrap_err().kind() == FORBIDDEN);
    assert!(limited.create_api_key("k").await.unwrap_err().kind() == FORBIDDEN);
    assert!(limited.create_api_key("k").role("admin").await.unwrap_err().kind() == FORBIDDEN);
    limited.create_api_key("k").role("member").await.unwrap();
    assert!(limited.list_api_keys().user(MEMBER).await.unwrap_err().kind() == FORBIDDEN);
    // A role above the owner's grants only the owner's.
    let member = client_of_user(&server, MEMBER);
    let key = member.create_api_key("k").role("admin").await.unwrap().key;
    let beyond = client_with(&server, &key);
    assert!(beyond.list_api_keys().user(ADMIN).await.unwrap_err().kind() == FORBIDDEN);
}

#[tokio::test]
async fn successes_match_the_contract() {
    let server = server().await;
    let raw = Raw::new(&server);
    let one = format!("{KEYS}/a%20b");
    let body = r#"{"name":"a b","expiry_time":"2099-01-01T00:00:00Z","unknown":1}"#;
    let (status, _, response) =
        raw.send("create_api_key", &Method::POST, KEYS, &[JSON], body).await;
    assert_eq!((status, &response["data"]["name"]), (200, &json!("a b")));
    let media = ("content-type", "Application/JSON; charset=utf-8");
    let body = r#"{"clear_expiry_time":true}"#;
    assert_eq!(raw.send("update_api_key", &Method::POST, &one, &[media], body).await.0, 200);
    assert_eq!(raw.send("list_api_keys", &Method::GET, KEYS, &[], "").await.0, 200);
    for (reveal, length) in [
        ("", 6),
        ("?reveal=false", 6),
        ("?reveal=True", 64),
        ("?reveal=true", 64),
        ("?reveal=TRUE", 64),
    ] {
        let path = format!("{one}{reveal}");
        let (status, _, response) = raw.send("get_api_key", &Method::GET, &path, &[], "").await;
        assert_eq!((status, response["data"]["key"].as_str().unwrap().len()), (200, length));
    }
    assert_eq!(raw.send("delete_api_key", &Method::DELETE, &one, &[], "").await.0, 200);
}

#[tokio::test]
async fn unauthenticated_request_gets_401() {
    let server = server().await;
    let raw = Raw::new(&server);
    let garbage = format!("ApiKey {}", "x".repeat(64));
    let bearer = format!("Bearer {}", server.admin_key().expose_secret());
    for authorization in ["", "ApiKey", "ApiKey ", "no scheme", &garbage, &bearer] {
        let headers = [("authorization", authorization)];
        for (operation, method, path) in [
            ("create_api_key", Method::POST, KEYS),
            ("list_api_keys", Method::GET, KEYS),
            ("get_api_key", Method::GET, "/v1/orgs/self/users/self/apikeys/initial"),
            ("update_api_key", Method::POST, "/v1/orgs/self/users/self/apikeys/initial"),
            ("delete_api_key", Method::DELETE, "/v1/orgs/self/users/self/apikeys/initial"),
        ] {
            let (status, _, body) = raw.send(operation, &method, path, &headers, "no JSON").await;
            assert_eq!(
                (status, &body["type"]),
                (401, &json!("AUTHEXCEPTION")),
                "{authorization:?}"
            );
        }
    }
}

#[tokio::test]
async fn invalid_body_or_parameter_gets_400() {
    let server = server().await;
    let raw = Raw::new(&server);
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"name":5}"#,
        r#"{"name":""}"#,
        r#"{"name":".."}"#,
        r#"{"name":"a","role":"king"}"#,
        r#"{"name":"a","expiry_time":"soon"}"#,
        r#"{"name":"a","expiry_time":5}"#,
        r#"{"name":"a","role":null}"#,
    ] {
        let (status, ..) = raw.send("create_api_key", &Method::POST, KEYS, &[JSON], body).await;
        assert_eq!(status, 400, "{body}");
    }
    let one = format!("{KEYS}/initial");
    for body in [
        r#"{"state":"FROZEN"}"#,
        r#"{"state":1}"#,
        r#"{"state":null}"#,
        r#"{"expiry_time":"2099-01-01T00:00:00Z","clear_expiry_time":true}"#,
    ] {
        let (status, ..) = raw.send("update_api_key", &Method::POST, &one, &[JSON], body).await;
        assert_eq!(status, 400, "{body}");
    }
    for rest in ["initial?reveal=yes", "initial?reveal=", "%FF"] {
        let path = format!("{KEYS}/{rest}");
        let (status, ..) = raw.send("get_api_key", &Method::GET, &path, &[], "").await;
        assert_eq!(status, 400, "{rest}");
    }
}

/// Takes the fields from the contract, so it covers fields that are added later.
#[tokio::test]
async fn null_in_any_body_field_gets_400() {
    let server = server().await;
    let raw = Raw::new(&server);
    let one = format!("{KEYS}/initial");
    for (operation, schema, path) in [
        ("create_api_key", "CreateApiKeyRequest", KEYS),
        ("update_api_key", "UpdateApiKeyRequest", &one),
    ] {
        let fields = &raw.contract.0["components"]["schemas"][schema]["properties"];
        let fields = fields.as_object().unwrap();
        assert!(fields.len() >= 3, "{fields:?}");
        for field in fields.keys() {
            let mut body = json!({ "name": "a" });
            body[field] = Value::Null;
            let body = body.to_string();
            let (status, _, response) =
                raw.send(operation, &Method::POST, path, &[JSON], &body).await;
            assert_eq!((status, &response["type"]), (400, &json!("INVALIDINPUT")), "{body}");
        }
    }
}

#[tokio::test]
async fn malformed_body_error_contains_line_and_column() {
    let server = server().await;
    let raw = Raw::new(&server);
    let body = "{\n  \"name\": oops\n}";
    let (_, _, response) = raw.send("create_api_key", &Method::POST, KEYS, &[JSON], body).await;
    assert_eq!((&response["line"], &response["column"]), (&json!(2), &json!(11)));
}

#[tokio::test]
async fn missing_resource_gets_404_and_taken_name_gets_409() {
    let server = server().await;
    let raw = Raw::new(&server);
    for (operation, path) in [
        ("get_api_key", "/v1/orgs/self/users/self/apikeys/none"),
        ("list_api_keys", "/v1/orgs/self/users/nobody@me.com/apikeys"),
        ("list_api_keys", "/v1/orgs/other/users/self/apikeys"),
        ("list_api_keys", "/v1/orgs/self/users/self/apikeys/"),
        ("list_api_keys", "/"),
    ] {
        let (status, _, body) = raw.send(operation, &Method::GET, path, &[], "").await;
        assert_eq!((status, &body["type"]), (404, &json!("NOTFOUND")), "{path}");
    }
    let body = r#"{"name":"initial"}"#;
    let (status, ..) = raw.send("create_api_key", &Method::POST, KEYS, &[JSON], body).await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn unsupported_method_gets_405_with_allow_header() {
    let server = server().await;
    let raw = Raw::new(&server);
    for (method, path, allowed) in [
        (Method::PUT, KEYS, "GET,HEAD,POST"),
        (Method::POST, "/v1/orgs/self/users/admin@me.com/apikeys", "GET,HEAD"),
        (Method::PATCH, "/v1/orgs/self/users/self/apikeys/initial", "GET,HEAD,POST,DELETE"),
    ] {
        let (status, headers, body) = raw.send("list_api_keys", &method, path, &[], "").await;
        assert_eq!((status, headers["allow"].to_str().unwrap()), (405, allowed));
        assert_eq!(body["type"], "METHODNOTALLOWED");
    }
}

#[tokio::test]
async fn other_media_types_than_json_get_415_or_406() {
    let server = server().await;
    let raw = Raw::new(&server);
    for media in ["", "text/plain", "text/json", "application/json-patch+json"] {
        let headers = [("content-type", media)];
        let body = r#"{"name":"a"}"#;
        let (status, ..) = raw.send("create_api_key", &Method::POST, KEYS, &headers, body).await;
        assert_eq!(status, 415, "{media:?}");
    }
    for (accept, wanted) in [
        ("text/html", 406),
        ("application/json;q=0", 406),
        ("text/html, application/xml;q=0.9", 406),
        ("", 200),
        ("*/*", 200),
        ("application/*", 200),
        ("text/html, application/json;q=0.5", 200),
    ] {
        let headers = [("accept", accept)];
        let (status, ..) = raw.send("list_api_keys", &Method::GET, KEYS, &headers, "").await;
        assert_eq!(status, wanted, "{accept:?}");
    }
}

#[tokio::test]
async fn too_large_body_gets_413() {
    let server = server().await;
    let raw = Raw::new(&server);
    let request = raw.http.post(format!("{}{KEYS}", server.url())).header(JSON.0, JSON.1);
    let key = server.admin_key().expose_secret();
    let request = request.header("authorization", format!("ApiKey {key}"));
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(3 << 20));
    let response = request.body(body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(body["type"], "CONTENTTOOLARGE");
}

#[tokio::test]
async fn body_that_does_not_arrive_gets_408() {
    let server = server().await;
    let address = server.url().strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let key = server.admin_key().expose_secret();
    let head = format!(
        "POST {KEYS} HTTP/1.1\r\nhost: h\r\nauthorization: ApiKey {key}\r\n\
         content-type: application/json\r\ncontent-length: 16\r\n\r\n{{\"name\":"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut response = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(30), connection.read(&mut response)).await;
    let length = read.expect("no response in time").unwrap();
    let response = String::from_utf8_lossy(&response[..length]).into_owned();
    assert!(response.starts_with("HTTP/1.1 408 Request Timeout"), "{response}");
    let body: Value = serde_json::from_str(response.split_once("\r\n\r\n").unwrap().1).unwrap();
    Contract::load().assert_response("create_api_key", 408, &body);
    assert_eq!(client_of_user(&server, ADMIN).list_api_keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn error_body_contains_the_trace_id_of_its_header() {
    let server = server().await;
    let raw = Raw::new(&server);
    let (_, headers, _) = raw.send("list_api_keys", &Method::GET, KEYS, &[], "").await;
    let first = headers["x-trace-id"].clone();
    let (_, headers, body) = raw.send("list_api_keys", &Method::GET, "/", &[], "").await;
    assert_eq!(headers["x-trace-id"], body["trace_id"].as_str().unwrap());
    assert_ne!(headers["x-trace-id"], first);
}

#[tokio::test]
async fn key_expires_by_the_configured_clock() {
    let clock = Clock::at("2030-01-01T00:00:00Z".parse().unwrap());
    let server = Server::builder().clock(&clock).start().await.unwrap();
    let admin = client_of_user(&server, ADMIN);
    let expiry = clock.now() + jiff::SignedDuration::from_hours(1);
    let created = admin.create_api_key("k").expiry_time(expiry).await.unwrap();
    assert_eq!(created.created_at.unwrap().as_str(), "2030-01-01T00:00:00Z");
    let owner = client_with(&server, &created.key);
    clock.advance(jiff::SignedDuration::from_mins(59));
    owner.list_api_keys().await.unwrap();
    clock.advance(jiff::SignedDuration::from_mins(1));
    assert!(owner.list_api_keys().await.unwrap_err().kind() == UNAUTHORIZED);
    let key = admin.get_api_key("k").await.unwrap();
    assert_eq!(key.state, Some(KeyState::Suspended));
    assert_eq!(key.last_access_time.unwrap().as_str(), "2030-01-01T00:59:00Z");
    // The key stays suspended even if its expiry time moves into the future.
    let later = clock.now() + jiff::SignedDuration::from_hours(1);
    let key = admin.update_api_key("k").expiry_time(later).await.unwrap();
    assert_eq!(key.state, Some(KeyState::Suspended));
}

#[tokio::test]
async fn expiry_time_accepts_the_last_moment_of_9999() {
    let server = server().await;
    let client = client_of_user(&server, ADMIN);
    // The client cannot parse the last day, because jiff's timestamps end before it.
    let timestamp = |text: &str| serde_json::from_value::<Timestamp>(json!(text)).unwrap();
    let last = timestamp("9999-12-31T23:59:59.999999999Z");
    let expected = Some("9999-12-31T23:59:59.999Z");
    let expiry = |key: &ApiKey| key.expiry_time.as_ref().map(|time| time.as_str().to_owned());
    let created = client.create_api_key("k").expiry_time(last.clone()).await.unwrap();
    assert_eq!(expiry(&created).as_deref(), expected);
    let updated = client.update_api_key("k").expiry_time(last).await.unwrap();
    assert_eq!(expiry(&updated).as_deref(), expected);
    assert_eq!(expiry(&client.get_api_key("k").await.unwrap()).as_deref(), expected);
    let listed = client.list_api_keys().await.unwrap();
    assert_eq!(expiry(listed.last().unwrap()).as_deref(), expected);
    let other_offset = timestamp("9999-12-31T22:59:59.999-01:00");
    let updated = client.update_api_key("k").expiry_time(other_offset).await.unwrap();
    assert_eq!(expiry(&updated).as_deref(), expected);
    assert_eq!(updated.state, Some(KeyState::Active));
}

/// Sends a raw request and returns the status and the body of the response.
async fn exchange(server: &Server, head: &str) -> (u16, Value) {
    let address = server.url().strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn request_requires_one_host_and_one_authorization_header() {
    let server = server().await;
    let contract = Contract::load();
    let key = format!("\r\nauthorization: ApiKey {}", server.admin_key().expose_secret());
    let garbage = format!("\r\nauthorization: ApiKey {}", "x".repeat(64));
    let host = "\r\nhost: h";
    for (version, headers, expected) in [
        ("1.1", [host, &key].concat(), 200),
        ("1.0", key.clone(), 200),
        ("1.1", key.clone(), 400),
        ("1.1", [host, host, &key].concat(), 400),
        ("1.0", [host, host, &key].concat(), 400),
        ("1.1", [host, &key, &key].concat(), 401),
        ("1.1", [host, &key, &garbage].concat(), 401),
        ("1.1", [host, &garbage, &key].concat(), 401),
    ] {
        let head = format!("GET {KEYS} HTTP/{version}{headers}");
        let (status, body) = exchange(&server, &head).await;
        assert_eq!(status, expected, "{version}{headers}");
        contract.assert_response("list_api_keys", status, &body);
    }
}

#[tokio::test]
async fn key_sent_as_method_is_not_echoed() {
    let server = server().await;
    let key = server.admin_key().expose_secret();
    let head = format!(
        "{key} {KEYS} HTTP/1.1\r\nhost: h\r\nauthorization: ApiKey {key}\r\nx-trace-id: {key}"
    );
    let (status, body) = exchange(&server, &head).await;
    assert_eq!(status, 405);
    assert!(!body.to_string().contains(key), "{body}");
}

#[tokio::test]
async fn trace_id_sent_by_client_is_ignored() {
    let server = server().await;
    let raw = Raw::new(&server);
    let headers = [("x-trace-id", server.admin_key().expose_secret())];
    for path in [KEYS, "/"] {
        let (_, received, body) = raw.send("list_api_keys", &Method::GET, path, &headers, "").await;
        assert_ne!(received["x-trace-id"], headers[0].1);
        assert_ne!(body["trace_id"], headers[0].1);
    }
}

#[tokio::test]
async fn pending_faults_can_be_removed() {
    let server = server().await;
    let client = client_of_user(&server, ADMIN);
    server.inject(Fault::status(503), 1000);
    server.inject(Fault::drop_connection(), 1000);
    client.list_api_keys().await.unwrap_err();
    server.clear_faults();
    client.list_api_keys().await.unwrap();
    server.inject(Fault::status(503), 1);
    client.list_api_keys().await.unwrap_err();
}

#[tokio::test]
async fn faults_apply_in_order_to_the_given_number_of_responses() {
    let server = server().await;
    let client = client_of_user(&server, ADMIN);
    server.inject(Fault::status(503), 2);
    server.inject(Fault::drop_connection(), 1);
    server.inject(Fault::delay(Duration::from_millis(300)), 1);
    for _ in 0..2 {
        let error = client.list_api_keys().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Response(StatusCode::SERVICE_UNAVAILABLE));
        assert!(error.details().unwrap().trace_id.is_some());
    }
    assert_eq!(
        client.create_api_key("k").await.unwrap_err().report().and_then(|it| it.status()),
        None
    );
    let start = Instant::now();
    assert_eq!(client.get_api_key("k").await.unwrap().name, "k", "the create was not applied");
    assert!(start.elapsed() >= Duration::from_millis(300));
    client.list_api_keys().await.unwrap();
}

#[tokio::test]
async fn status_after_handling_applies_the_change() {
    let server = server().await;
    let client = server.client();
    let fault = Fault::status_after_handling(502);
    server.inject(fault, 1);
    let error = client.create_api_key("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Response(StatusCode::BAD_GATEWAY));
    assert!(error.is_ambiguous() && error.attempts() == 1, "{error}");
    let details = error.details().unwrap();
    assert_eq!(details.type_, Some(ErrorType::ConnectionError));
    assert!(details.trace_id.is_some());
    assert_eq!(client.get_api_key("k").await.unwrap().name, "k");

    // The first attempt deletes the key, so the retry gets 404.
    server.inject(fault, 1);
    let error = client.delete_api_key("k").await.unwrap_err();
    assert!(error.is_not_found() && error.is_ambiguous() && error.attempts() == 2, "{error}");

    server.inject(fault, 1);
    assert_eq!(client.list_api_keys().await.unwrap().len(), 1, "the list was not retried");
}

#[tokio::test]
async fn injected_status_is_always_an_error_status() {
    let server = server().await;
    for (status, sent) in [(418, 418), (599, 599), (399, 500), (600, 500), (0, 500)] {
        server.inject(Fault::status_after_handling(status), 1);
        let response = reqwest::get(format!("{}{KEYS}", server.url())).await.unwrap();
        assert_eq!(response.status().as_u16(), sent);
    }
}

#[tokio::test]
async fn clients_authenticate_as_their_users() {
    let server = server().await;
    server.client().create_api_key("k").await.unwrap();
    assert_eq!(server.client().list_api_keys().user(MEMBER).await.unwrap().len(), 1);
    for (user, created) in [(ADMIN, true), (MEMBER, true), (READER, false)] {
        let client = server.client_for(user).unwrap();
        let own = client.list_api_keys().await.unwrap();
        assert_eq!(own[0].created_by.as_deref(), Some(user));
        assert_eq!(client.create_api_key("k2").await.is_ok(), created, "{user}");
    }
    assert!(server.client_for("nobody@me.com").is_none());
}

#[tokio::test]
async fn url_is_loopback_when_listening_on_all_addresses() {
    for (listen, url) in [("0.0.0.0:0", "http://127.0.0.1:"), ("[::]:0", "http://[::1]:")] {
        let server = Server::builder().listen(listen.parse().unwrap()).start().await.unwrap();
        assert!(server.url().starts_with(url), "{}", server.url());
        server.client().list_api_keys().await.unwrap();
        client_of_user(&server, ADMIN).list_api_keys().await.unwrap();
    }
}

#[tokio::test]
async fn injected_error_has_the_type_of_its_status() {
    let server = server().await;
    for (status, kind) in [
        (400, "BADREQUEST"),
        (401, "AUTHEXCEPTION"),
        (403, "FORBIDDEN"),
        (404, "NOTFOUND"),
        (405, "METHODNOTALLOWED"),
        (406, "NOTACCEPTABLE"),
        (408, "CLIENT_CONNECTION_ERROR"),
        (409, "CONFLICT"),
        (413, "CONTENTTOOLARGE"),
        (415, "UNSUPPORTEDMEDIATYPE"),
        (418, "BADREQUEST"),
        (429, "RATELIMITEXCEEDED"),
        (500, "INTERNALERROR"),
        (501, "NOTIMPLEMENTEDYET"),
        (502, "CONNECTION_ERROR"),
        (503, "SERVICEUNAVAILABLE"),
        (504, "CONNECTION_ERROR"),
        (599, "INTERNALERROR"),
    ] {
        server.inject(Fault::status(status), 1);
        let response = reqwest::get(format!("{}{KEYS}", server.url())).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["type"], kind, "{status}");
    }
}

#[tokio::test]
async fn rate_limit_counts_requests_per_key() {
    let limit = std::num::NonZeroU32::new(3).unwrap();
    let builder = Server::builder().user(MEMBER, Role::Member).rate_limit(limit);
    let server = builder.start().await.unwrap();
    let raw = Raw::new(&server);
    for _ in 0..3 {
        assert_eq!(raw.send("list_api_keys", &Method::GET, KEYS, &[], "").await.0, 200);
    }
    let (status, headers, body) = raw.send("list_api_keys", &Method::GET, KEYS, &[], "").await;
    assert_eq!((status, &body["type"]), (429, &json!("RATELIMITEXCEEDED")));
    assert_eq!(headers["retry-after"], "1");
    client_of_user(&server, MEMBER).list_api_keys().await.unwrap();
}

#[tokio::test]
async fn in_process_server_stores_users_and_keys_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", directory.path().join("keys.db").display());
    let builder = Server::builder().database(database).user(MEMBER, Role::Member);
    let server = builder.clone().start().await.unwrap();
    let key = server.admin_key().expose_secret().to_owned();
    client_of_user(&server, MEMBER).create_api_key("k").await.unwrap();
    drop(server);
    let server = builder.start().await.unwrap();
    assert_eq!(server.admin_key().expose_secret(), key);
    client_of_user(&server, MEMBER).get_api_key("k").await.unwrap();
}

#[tokio::test]
async fn dropped_server_stops() {
    let server = server().await;
    let client = client_of_user(&server, ADMIN);
    client.list_api_keys().await.unwrap();
    drop(server);
    // An open connection may get another response while the server stops.
    let stopped = async { while client.list_api_keys().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), stopped).await.unwrap();
}

#[tokio::test]
async fn builder_rejects_invalid_and_duplicate_users() {
    for bad in ["", ".", "..", "self", ADMIN] {
        assert!(Server::builder().user(bad, Role::Member).start().await.is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn builder_rejects_unprintable_and_similar_users() {
    for bad in [
        "a\n@me.com",
        "a\t@me.com",
        "a\u{1b}[2K@me.com",
        "a\u{7f}@me.com",
        "a\u{202e}@me.com",
        "a @me.com",
        "Admin@me.com",
        "ADMIN@ME.COM",
    ] {
        let error = Server::builder().user(bad, Role::Member).start().await.unwrap_err();
        assert!(error.to_string().chars().all(|char| !char.is_control()), "{error}");
    }
    let twins = Server::builder().user(MEMBER, Role::Member).user("Dev@me.com", Role::Member);
    assert!(twins.start().await.unwrap_err().to_string().contains("too similar"));
    Server::builder().user("Zoë.O'Neil+x@me.com", Role::Member).start().await.unwrap();
}

#[tokio::test]
async fn longest_name_can_be_read_updated_and_deleted() {
    let server = server().await;
    let raw = Raw::new(&server);
    // Percent-encoding triples the length of spaces, more than of other characters.
    let create = |name: &str| json!({ "name": name }).to_string();
    let longest = " ".repeat(1000);
    for too_long in [format!("{longest} "), "ü".repeat(501), " ".repeat(22_000)] {
        let body = create(&too_long);
        let (status, _, body) =
            raw.send("create_api_key", &Method::POST, KEYS, &[JSON], &body).await;
        assert_eq!((status, &body["type"]), (400, &json!("INVALIDINPUT")));
    }
    let body = create(&longest);
    assert_eq!(raw.send("create_api_key", &Method::POST, KEYS, &[JSON], &body).await.0, 200);
    let client = client_of_user(&server, ADMIN);
    assert_eq!(client.get_api_key(&longest).await.unwrap().name, longest);
    client.update_api_key(&longest).state(KeyState::Suspended).await.unwrap();
    client.delete_api_key(&longest).await.unwrap();
}
