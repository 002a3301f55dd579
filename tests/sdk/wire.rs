//! Requests of each operation, checked against the contract.

use std::sync::{Arc, Mutex};

use httpmock::{HttpMockRequest, MockServer};
use percent_encoding::percent_decode_str;
use rockset_apikeys::reqwest::Url;
use rockset_apikeys::{ApiKey, Client, Error, KeyState, Timestamp};
use serde_json::{Map, Value, json};

use crate::support::contract::entries;
use crate::support::{Contract, OPERATIONS, client_for};

const KEY: &str = "the-clients-key";

/// A server that sends the same response to every request and records the last request.
struct Recorder {
    server: MockServer,
    last: Arc<Mutex<Option<HttpMockRequest>>>,
}

impl Recorder {
    async fn start(list: bool) -> Self {
        let server = MockServer::start_async().await;
        let last = Arc::new(Mutex::new(None));
        let record = Arc::clone(&last);
        let key = json!({ "name": "my-app", "key": "abcdef" });
        let data = if list { json!([key]) } else { key };
        server
            .mock_async(move |when, then| {
                when.is_true(move |request| {
                    *record.lock().unwrap() = Some(request.clone());
                    true
                });
                then.status(200).json_body(json!({ "data": data }));
            })
            .await;
        Self { server, last }
    }

    fn client(&self) -> Client {
        client_for(&self.server.base_url(), KEY)
    }

    /// Checks the last request against the contract's operation: its method, path, parameters,
    /// headers and body.
    fn assert_last(&self, id: &str, target: &str, body: &str) {
        let request = self.last.lock().unwrap().take().expect("a request");
        let contract = Contract::load();
        let operation = contract.operation(id);
        assert_eq!(request.method_str(), operation.method, "{id}");
        // Some versions of the mock server return the path and query, others the whole URL.
        let uri = request.uri_str().trim_start_matches(&self.server.base_url()).to_owned();
        assert_eq!(uri, target, "{id}");
        let (path, query) = uri.split_once('?').unwrap_or((&uri, ""));
        let matches = contract.operations_at(path).iter().any(|it| it.id == id);
        assert!(matches, "{id}: {path} does not match {}", operation.path);
        for parameter in query.split('&').filter(|it| !it.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap();
            let known = contract.parameters(&operation).into_iter();
            let mut known = known.filter(|it| it["in"] == "query" && it["name"] == name);
            let known = known.next().unwrap_or_else(|| panic!("{id} lacks the parameter {name}"));
            let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
            contract.assert_valid(name, &known["schema"], &value);
        }
        assert_eq!(String::from_utf8_lossy(request.body_ref()), body, "{id}");
        contract.assert_request_body(id, request.body_ref());

        let headers = request.headers();
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("authorization"), Some(format!("ApiKey {KEY}").as_str()), "{id}");
        assert_eq!(header("accept"), Some("application/json"), "{id}");
        let media = (!body.is_empty()).then_some("application/json");
        assert_eq!(header("content-type"), media, "{id}");
        assert_eq!(header("api-version"), None, "{id}");
    }
}

#[tokio::test]
async fn create_sends_only_the_fields_that_are_set() {
    let recorder = Recorder::start(false).await;
    let client = recorder.client();
    let path = "/v1/orgs/self/users/self/apikeys";

    client.create_api_key("my-app").await.unwrap();
    recorder.assert_last("create_api_key", path, r#"{"name":"my-app"}"#);

    let expiry: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    let call = client.create_api_key("a/b").role("read-only").expiry_time(expiry);
    call.created_by("admin@me.com").await.unwrap();
    recorder.assert_last(
        "create_api_key",
        path,
        concat!(
            r#"{"created_by":"admin@me.com","expiry_time":"2030-01-01T00:00:00Z","#,
            r#""name":"a/b","role":"read-only"}"#
        ),
    );
}

#[tokio::test]
async fn list_sends_the_user_in_the_path() {
    let recorder = Recorder::start(true).await;
    let client = recorder.client();

    client.list_api_keys().await.unwrap();
    recorder.assert_last("list_api_keys", "/v1/orgs/self/users/self/apikeys", "");
    client.list_api_keys().user("admin@me.com").await.unwrap();
    recorder.assert_last("list_api_keys", "/v1/orgs/self/users/admin%40me.com/apikeys", "");
}

#[tokio::test]
async fn get_sends_reveal_only_when_set() {
    let recorder = Recorder::start(false).await;
    let client = recorder.client();
    let path = "/v1/orgs/self/users/self/apikeys/my-app";

    client.get_api_key("my-app").await.unwrap();
    recorder.assert_last("get_api_key", path, "");
    client.get_api_key("my-app").reveal(true).await.unwrap();
    recorder.assert_last("get_api_key", &format!("{path}?reveal=true"), "");
    client.get_api_key("my-app").reveal(false).user("a@b.c").await.unwrap();
    let path = "/v1/orgs/self/users/a%40b.c/apikeys/my-app?reveal=false";
    recorder.assert_last("get_api_key", path, "");
}

#[tokio::test]
async fn update_sends_only_the_changes() {
    let recorder = Recorder::start(false).await;
    let client = recorder.client();
    let path = "/v1/orgs/self/users/self/apikeys/my-app";

    client.update_api_key("my-app").state(KeyState::Suspended).await.unwrap();
    recorder.assert_last("update_api_key", path, r#"{"state":"SUSPENDED"}"#);
    client.update_api_key("my-app").clear_expiry_time(true).await.unwrap();
    recorder.assert_last("update_api_key", path, r#"{"clear_expiry_time":true}"#);
    let expiry: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    client.update_api_key("my-app").user("a@b.c").expiry_time(expiry).await.unwrap();
    let path = "/v1/orgs/self/users/a%40b.c/apikeys/my-app";
    recorder.assert_last("update_api_key", path, r#"{"expiry_time":"2030-01-01T00:00:00Z"}"#);
    client.update_api_key("my-app").user("a@b.c").await.unwrap();
    recorder.assert_last("update_api_key", path, "{}");
}

#[tokio::test]
async fn delete_sends_no_body() {
    let recorder = Recorder::start(false).await;
    let client = recorder.client();

    client.delete_api_key("my-app").user("admin@me.com").await.unwrap();
    let path = "/v1/orgs/self/users/admin%40me.com/apikeys/my-app";
    recorder.assert_last("delete_api_key", path, "");
}

/// Calls an operation with all inputs set. Returns the inputs.
async fn call_with_all_inputs(client: &Client, id: &str) -> Result<Value, Error> {
    let expiry: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    Ok(match id {
        "create_api_key" => {
            let call = client.create_api_key("my app/ü").role("read-only").expiry_time(expiry);
            call.created_by("dev@me.com").await?;
            json!({
                "name": "my app/ü", "role": "read-only", "expiry_time": "2030-01-01T00:00:00Z",
                "created_by": "dev@me.com",
            })
        }
        "list_api_keys" => {
            client.list_api_keys().user("dev@me.com").await?;
            json!({ "user": "dev@me.com" })
        }
        "get_api_key" => {
            client.get_api_key("my app/ü").user("dev@me.com").reveal(true).await?;
            json!({ "name": "my app/ü", "user": "dev@me.com", "reveal": "true" })
        }
        "update_api_key" => {
            let call = client.update_api_key("my app/ü").user("dev@me.com").expiry_time(expiry);
            call.state(KeyState::Suspended).clear_expiry_time(false).await?;
            json!({
                "name": "my app/ü", "user": "dev@me.com", "state": "SUSPENDED",
                "expiry_time": "2030-01-01T00:00:00Z", "clear_expiry_time": false,
            })
        }
        "delete_api_key" => {
            client.delete_api_key("my app/ü").user("dev@me.com").await?;
            json!({ "name": "my app/ü", "user": "dev@me.com" })
        }
        _ => panic!("unknown operation {id}: add a call with all its inputs"),
    })
}

#[tokio::test]
async fn inputs_are_sent_as_the_contract_defines() {
    let contract = Contract::load();
    for &id in &*OPERATIONS {
        let recorder = Recorder::start(id == "list_api_keys").await;
        let sent = call_with_all_inputs(&recorder.client(), id).await.unwrap();
        let request = recorder.last.lock().unwrap().take().unwrap();
        let url = Url::parse(&recorder.server.url("")).unwrap().join(request.uri_str()).unwrap();
        let body = serde_json::from_slice(request.body_ref()).unwrap_or(Value::Null);

        let operation = contract.operation(id);
        let in_path = |name: &str| {
            let segments = operation.path.split('/').zip(url.path().split('/'));
            let mut values = segments.filter(|(it, _)| *it == format!("{{{name}}}"));
            let (_, value) = values.next()?;
            Some(json!(percent_decode_str(value).decode_utf8().unwrap()))
        };
        let in_query = |name: &str| {
            let (_, value) = url.query_pairs().find(|(it, _)| it == name)?;
            Some(json!(value))
        };
        let mut arrived = Map::new();
        for parameter in contract.parameters(&operation) {
            let name = parameter["name"].as_str().unwrap();
            let value = match parameter["in"].as_str() {
                Some("path") => in_path(name),
                Some("query") => in_query(name),
                location => panic!("cannot find {name} in {location:?}: add that location"),
            };
            arrived.insert(name.to_owned(), value.unwrap_or_default());
        }
        let schema = &operation.node["requestBody"]["content"]["application/json"]["schema"];
        for (name, _) in entries(&contract.resolve(schema)["properties"]) {
            arrived.insert(name.clone(), body[name].clone());
        }
        assert_eq!(Value::Object(arrived), sent, "{id}");
    }
}

#[tokio::test]
async fn names_are_sent_as_one_path_segment() {
    let recorder = Recorder::start(false).await;
    let client = recorder.client();
    for (name, segment) in [
        ("my key/ü", "my%20key%2F%C3%BC"),
        (r"a\b", "a%5Cb"),
        (r"..\..", "..%5C.."),
        ("../self", "..%2Fself"),
        ("%2e%2e", "%252e%252e"),
        ("...", "..."),
        ("a?reveal=true#x", "a%3Freveal%3Dtrue%23x"),
        ("a;b=c:d@e&f+g", "a%3Bb%3Dc%3Ad%40e%26f%2Bg"),
        ("tab\tline\nend ", "tab%09line%0Aend%20"),
        ("-._~", "-._~"),
    ] {
        client.get_api_key(name).await.unwrap();
        let target = format!("/v1/orgs/self/users/self/apikeys/{segment}");
        recorder.assert_last("get_api_key", &target, "");
        client.generated().get_api_key().user(name).name("x").send().await.unwrap();
        let target = format!("/v1/orgs/self/users/{segment}/apikeys/x");
        recorder.assert_last("get_api_key", &target, "");
    }
}

#[tokio::test]
async fn api_server_path_is_a_prefix() {
    let recorder = Recorder::start(true).await;
    for server in ["/prefix", "/prefix/"] {
        let client = client_for(&recorder.server.url(server), KEY);
        client.list_api_keys().await.unwrap();
        let target = "/prefix/v1/orgs/self/users/self/apikeys";
        let last = recorder.last.lock().unwrap().take().unwrap();
        assert!(last.uri_str().ends_with(target), "{}", last.uri_str());
    }
}

#[tokio::test]
async fn generated_client_authenticates() {
    let recorder = Recorder::start(true).await;
    let client = recorder.client();
    let response = client.generated().list_api_keys().user("self").send().await.unwrap();
    assert_eq!(response.data.len(), 1);
    recorder.assert_last("list_api_keys", "/v1/orgs/self/users/self/apikeys", "");
}

#[tokio::test]
async fn calls_outlive_their_client_and_run_in_other_tasks() {
    fn assert_shareable<T: Clone + Send + Sync + 'static>(_: &T) {}
    let recorder = Recorder::start(false).await;
    let client = recorder.client();
    assert_shareable(&client);
    let call = client.get_api_key("my-app").into_future();
    drop(client);
    let key: Result<ApiKey, Error> = tokio::spawn(call).await.unwrap();
    assert_eq!(key.unwrap().name, "my-app");
}
