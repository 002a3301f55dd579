//! The generated mocks, used as a program's tests use them.

use rockset_apikeys::mock::{MockServer, MockServerExt};
use rockset_apikeys::types::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, DeleteApiKeyResponse, ErrorModel,
    GetApiKeyResponse, ListApiKeysResponse, UpdateApiKeyRequest, UpdateApiKeyResponse,
};
use rockset_apikeys::{ErrorType, KeyState};

use crate::support::client_of;

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
async fn each_operation_has_a_mock_that_takes_the_contracts_types() {
    let server = MockServer::start_async().await;
    let client = client_of(&server.base_url(), "k");

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
async fn names_and_users_match_exactly_what_the_client_sends() {
    let server = MockServer::start_async().await;
    let client = client_of(&server.base_url(), "k");
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

    // The path of this key ends like that of a list.
    let list = server.list_api_keys(|_, then| {
        then.ok(&ListApiKeysResponse { data: Vec::new() });
    });
    client.get_api_key("apikeys").user("self").await.unwrap_err();
    list.assert_calls(0);
}

#[tokio::test]
async fn a_mocked_error_arrives_with_its_type_and_message() {
    let server = MockServer::start_async().await;
    let client = client_of(&server.base_url(), "k");
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
