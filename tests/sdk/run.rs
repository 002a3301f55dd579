//! Guarantees of the generated client and of `Client::run`.

use std::error::Error as _;
use std::time::{Duration, Instant};

use rockset_apikeys::generated::{self, operations};
use rockset_apikeys::types::CreateApiKeyRequest;
use rockset_apikeys::{Client, ClientBuilder, RetryPolicy};

use crate::script::{Script, Step};
use crate::support::{message, success};

fn without_backoff(url: &str) -> ClientBuilder {
    let policy = RetryPolicy::default().backoff(Duration::ZERO, Duration::ZERO);
    Client::builder().api_server(url).api_key("k").retry_policy(policy)
}

fn keys() -> Step {
    Step::response(200, "x-trace-id: 4bf9\r\n", success("list_api_keys").to_string())
}

#[tokio::test]
async fn run_retries_safely_and_returns_the_response() {
    let server = Script::play([Step::status(503), Step::Reset, keys()]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let request = client.generated().list_api_keys().user("dev@me.com");
    let send = || request.clone().send();
    let response = client.run(&operations::LIST_API_KEYS, send).await.unwrap();
    assert_eq!((response.status().as_u16(), response.data.len()), (200, 1));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn run_works_in_a_spawned_task() {
    let server = Script::play([keys()]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let task = tokio::spawn(async move {
        let request = client.generated().list_api_keys().user("self");
        client
            .run(&operations::LIST_API_KEYS, || request.clone().send())
            .await
            .map(|it| it.status())
    });
    assert_eq!(task.await.unwrap().unwrap().as_u16(), 200);
}

#[tokio::test]
async fn run_does_not_retry_an_ambiguous_create() {
    let server = Script::play([Step::Reset]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let body = CreateApiKeyRequest::builder().name("n");
    let request = client.generated().create_api_key().body(body);
    let send = || request.clone().send();
    let error = client.run(&operations::CREATE_API_KEY, send).await.unwrap_err();
    assert_eq!((error.attempts(), server.requests().len()), (1, 1));
    assert!(error.is_ambiguous() && !error.is_retryable(), "{error:?}");
    let message = "create_api_key: the connection failed; the create may have succeeded; look up \
                   its result before retrying";
    assert_eq!(error.to_string(), message);
}

#[tokio::test]
async fn run_applies_the_clients_timeout_and_retry_budget() {
    let server = Script::play([Step::Hang(Vec::new())]).await;
    let client = without_backoff(&server.url).timeout(Duration::from_millis(50)).build().unwrap();
    let request = client.generated().list_api_keys().user("self");
    let send = || request.clone().send();
    let error = client.run(&operations::LIST_API_KEYS, send).await.unwrap_err();
    assert!(error.is_timeout() && error.source().is_some(), "{error:?}");

    // The timeout also applies if the closure does more than send the request.
    let send = || async {
        std::future::pending::<()>().await;
        request.clone().send().await
    };
    let error = client.run(&operations::LIST_API_KEYS, send).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");

    let body = r#"{"message": "down", "trace_id": "4bf9"}"#;
    let server = Script::play([Step::response(503, "", body)]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let request = client.generated().list_api_keys().user("self");
    for _ in 0..10 {
        let send = || request.clone().send();
        let error = client.run(&operations::LIST_API_KEYS, send).await.unwrap_err();
        assert_eq!(message(&error), Some("down"));
    }
    assert_eq!(server.requests().len(), 20, "the budget is 10 retries");
}

#[tokio::test]
async fn run_rejects_invalid_requests_before_sending() {
    let server = Script::play([keys()]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let generated = client.generated();
    for (request, message) in [
        (generated.list_api_keys(), "list_api_keys: user was not initialized; nothing was sent"),
        (
            generated.list_api_keys().user(".."),
            "list_api_keys: the user is `..`, which URLs resolve as a relative path; nothing was \
             sent",
        ),
    ] {
        let send = || request.clone().send();
        let error = client.run(&operations::LIST_API_KEYS, send).await.unwrap_err();
        assert!(error.is_invalid_input() && error.attempts() == 0, "{error:?}");
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn generated_client_has_limits_without_retries_or_redirects() {
    let server = Script::play([Step::status(503)]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let request = client.generated().list_api_keys().user("self");
    let error = request.send().await.unwrap_err();
    let generated::Error::ErrorResponse(response) = &error else { panic!("{error:?}") };
    assert_eq!(response.status().as_u16(), 503);
    assert_eq!(server.requests().len(), 1);

    let elsewhere = Script::play([keys()]).await;
    let location = format!("location: {}\r\n", elsewhere.url);
    let server = Script::play([Step::response(307, &location, "")]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let error = client.generated().list_api_keys().user("self").send().await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 307);
    assert_eq!(elsewhere.requests().len(), 0);

    let server = Script::play([Step::Flood(b"HTTP/1.1 200 OK\r\n\r\n".into())]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let error = client.generated().list_api_keys().user("self").send().await.unwrap_err();
    assert!(matches!(error, generated::Error::Decode(..)), "{error:?}");

    let server = Script::play([Step::Hang(Vec::new())]).await;
    let client =
        without_backoff(&server.url).attempt_timeout(Duration::from_millis(50)).build().unwrap();
    let start = Instant::now();
    let error = client.generated().list_api_keys().user("self").send().await.unwrap_err();
    assert!(matches!(error, generated::Error::Timeout(None, _)), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(format!("{:?}", client.generated()).contains("Wire"));
}
