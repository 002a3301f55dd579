//! Generated mocks, as tests of a program use them.

use rockset_apikeys::mock::{MockServer, MockServerExt};
use rockset_apikeys::types::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, DeleteApiKeyResponse, ErrorModel,
    GetApiKeyResponse, ListApiKeysResponse, UpdateApiKeyRequest, UpdateApiKeyResponse,
};
use rockset_apikeys::{Client, Error, ErrorType, KeyState};

use crate::support::{Contract, OPERATIONS, call, client_for, status_of};

/// Names with characters that are special in URLs or regular expressions.
const SPECIAL_NAMES: [&str; 12] = [
    "admin@me.com",
    "my key/ü",
    "a+b&c=d",
    "a.b",
    "a\\b",
    ".*",
    "[a-z]+",
    "(",
    "^$",
    "100%",
    "%2F",
    "?#",
];

fn key(name: &str) -> ApiKey {
    ApiKey::builder().name(name).key("aB3dE5").try_into().unwrap()
}

#[tokio::test]
async fn each_operation_has_a_typed_mock() {
    let server = MockServer::start_async().await;
    let client = client_for(&server.base_url(), "k");

    let request: CreateApiKeyRequest = CreateApiKeyRequest::builder()
        .name("my key")
        .role(Some("member".into()))
        .try_into()
        .unwrap();
    let create = server.create_api_key(|when, then| {
        when.body(&request);
        then.ok(&CreateApiKeyResponse { data: key("my key") });
    });
    assert_eq!(client.create_api_key("my key").role("member").await.unwrap().name, "my key");
    create.assert();
    client.create_api_key("my key").await.unwrap_err();
    create.assert_calls(1);

    let list = server.list_api_keys(|when, then| {
        when.user("admin@me.com");
        then.ok(&ListApiKeysResponse { data: vec![key("a"), key("b")] });
    });
    assert_eq!(client.list_api_keys().user("admin@me.com").await.unwrap().len(), 2);
    client.list_api_keys().await.unwrap_err();
    list.assert_calls(1);

    let get = server.get_api_key(|when, then| {
        when.name("my key").reveal(true);
        then.ok(&GetApiKeyResponse { data: key("my key") });
    });
    client.get_api_key("my key").reveal(true).await.unwrap();
    client.get_api_key("my key").reveal(false).await.unwrap_err();
    client.get_api_key("my key").await.unwrap_err();
    get.assert_calls(1);
    let get = server.get_api_key(|when, then| {
        when.name("my key").reveal(None);
        then.ok(&GetApiKeyResponse { data: key("my key") });
    });
    client.get_api_key("my key").await.unwrap();
    get.assert_calls(1);

    let changes: UpdateApiKeyRequest =
        UpdateApiKeyRequest::builder().state(KeyState::Suspended).try_into().unwrap();
    let update = server.update_api_key(|when, then| {
        when.name("my key").body(&changes);
        then.ok(&UpdateApiKeyResponse { data: key("my key") });
    });
    client.update_api_key("my key").state(KeyState::Suspended).await.unwrap();
    client.update_api_key("my key").state(KeyState::Active).await.unwrap_err();
    update.assert_calls(1);

    let delete = server.delete_api_key(|when, then| {
        when.name("my key");
        then.ok(&DeleteApiKeyResponse { data: key("my key") });
    });
    client.delete_api_key("my key").await.unwrap();
    client.delete_api_key("my_key").await.unwrap_err();
    delete.assert_calls(1);
}

#[tokio::test]
async fn mocks_match_names_and_users_exactly() {
    let server = MockServer::start_async().await;
    let client = client_for(&server.base_url(), "k");
    for wanted in SPECIAL_NAMES {
        let mut by_name = server.get_api_key(|when, then| {
            when.user("self").name(wanted);
            then.ok(&GetApiKeyResponse { data: key(wanted) });
        });
        let mut by_user = server.list_api_keys(|when, then| {
            when.user(wanted);
            then.ok(&ListApiKeysResponse { data: Vec::new() });
        });
        for name in SPECIAL_NAMES.into_iter().chain(["aXb", "a", "x", "/", "my key"]) {
            let got = client.get_api_key(name).await;
            assert_eq!(got.is_ok(), name == wanted, "{name:?} for {wanted:?}");
            let listed = client.list_api_keys().user(name).await;
            assert_eq!(listed.is_ok(), name == wanted, "{name:?} for {wanted:?}");
        }
        by_name.delete();
        by_user.delete();
    }

    // This key's path ends like the path of a list.
    let list = server.list_api_keys(|_, then| {
        then.ok(&ListApiKeysResponse { data: Vec::new() });
    });
    client.get_api_key("apikeys").user("self").await.unwrap_err();
    list.assert_calls(0);
}

#[tokio::test]
async fn mocked_error_has_its_type_and_message() {
    let server = MockServer::start_async().await;
    let client = client_for(&server.base_url(), "k");
    let error = ErrorModel {
        message: Some("gone".to_owned()),
        type_: Some(ErrorType::NotFound),
        ..ErrorModel::default()
    };
    server.delete_api_key(|when, then| {
        when.user("admin@me.com");
        then.not_found(&error);
    });
    let error = client.delete_api_key("n").user("admin@me.com").await.unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    let details = error.details().unwrap();
    assert_eq!(details.type_, Some(ErrorType::NotFound));
    assert_eq!(details.message.as_deref(), Some("gone"));
}

/// Fails unless the error names the unmatched request and all predicates return false.
fn assert_unmatched(error: &Error, request: &str) {
    assert!(error.to_string().ends_with(&format!("no mock matches {request}")), "{error}");
    for predicate in [
        Error::is_invalid_input,
        Error::is_not_found,
        Error::is_conflict,
        Error::is_timeout,
        Error::is_connect,
        Error::is_retryable,
        Error::is_ambiguous,
    ] {
        assert!(!predicate(error), "{error}");
    }
    assert_eq!(error.attempts(), 1);
}

/// Builds a client with the default retry policy.
fn retrying_client_for(server: &MockServer) -> Client {
    Client::builder().api_server(server.base_url()).api_key("k").build().unwrap()
}

#[tokio::test]
async fn unmatched_request_is_an_error_that_names_it() {
    let server = MockServer::start_async().await;
    let client = retrying_client_for(&server);
    let contract = Contract::load();
    for id in OPERATIONS.iter() {
        let error = call(&client, id).await.unwrap_err();
        assert!(error.to_string().contains("no mock matches"), "{error}");
        let status = status_of(&error).unwrap();
        assert!(!contract.statuses(id).contains(&status), "{id} documents {status}");
    }

    let path = "/v1/orgs/self/users/self/apikeys/a%20b";
    let mut get = server.get_api_key(|when, then| {
        when.name("a b").reveal(None);
        then.ok(&GetApiKeyResponse { data: key("a b") });
    });
    client.get_api_key("a b").await.unwrap();
    let error = client.get_api_key("a b").reveal(true).await.unwrap_err();
    assert_unmatched(&error, &format!("GET {path}?reveal=true"));
    let error = client.delete_api_key("a b").await.unwrap_err();
    assert_unmatched(&error, &format!("DELETE {path}"));
    let error = client.create_api_key("a b").await.unwrap_err();
    assert_unmatched(&error, "POST /v1/orgs/self/users/self/apikeys");

    get.delete();
    let error = client.get_api_key("a b").await.unwrap_err();
    assert_unmatched(&error, &format!("GET {path}"));
}

#[test]
fn first_matching_mock_responds() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = MockServer::start();
    let client = client_for(&server.base_url(), "k");
    let get = || runtime.block_on(client.get_api_key("n").into_future());
    // An untyped mock, after typed ones.
    server.list_api_keys(|_, then| {
        then.ok(&ListApiKeysResponse { data: Vec::new() });
    });
    let path = "/v1/orgs/self/users/self/apikeys/n";
    let mut first = server.mock(|when, then| {
        when.path(path);
        then.status(418);
    });
    server.get_api_key(|_, then| {
        then.ok(&GetApiKeyResponse { data: key("n") });
    });
    assert_eq!(status_of(&get().unwrap_err()), Some(418));
    first.delete();
    assert_eq!(get().unwrap().name, "n");
}
