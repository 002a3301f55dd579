//! Failures of the network and the server: retries, waits, timeouts and the resulting errors.

use std::time::{Duration, Instant, SystemTime};

use rockset_apikeys::generated::operations;
use rockset_apikeys::{Client, ClientBuilder, Error, OperationKind, RetryPolicy};
use tokio::net::TcpListener;
#[cfg(target_os = "linux")]
use tokio::net::{TcpSocket, TcpStream};

use crate::script::{Script, Step};
use crate::support::{OPERATIONS, call, status_of, success};

const SECOND: Duration = Duration::from_secs(1);

const CREATE: &str = "create_api_key";
const LIST: &str = "list_api_keys";
const UPDATE: &str = "update_api_key";
const DELETE: &str = "delete_api_key";

/// Configures a client that waits between attempts only for `Retry-After`.
fn without_backoff(url: &str) -> ClientBuilder {
    let policy = RetryPolicy::default().backoff(Duration::ZERO, Duration::ZERO);
    Client::builder().api_server(url).api_key("k").retry_policy(policy)
}

/// Calls an operation on a server that plays these steps. Returns the outcome and the number of
/// requests.
async fn outcome(steps: impl Into<Vec<Step>>, id: &'static str) -> (Result<(), Error>, usize) {
    let steps = steps.into();
    let is_slow = steps.iter().any(|step| matches!(step, Step::Hang(_) | Step::Drip(_)));
    let server = Script::play(steps).await;
    let mut builder = without_backoff(&server.url);
    if is_slow {
        builder = builder.attempt_timeout(3 * SECOND);
    }
    let outcome = call(&builder.build().unwrap(), id).await;
    (outcome, server.requests().len())
}

fn changes_state(id: &str) -> bool {
    let mut operations = operations::ALL.into_iter();
    operations.find(|it| it.id() == id).unwrap().kind() != OperationKind::Read
}

/// Transient failures of an attempt: the name, the server's step, and whether the request was
/// certainly not applied.
fn transient_failures() -> Vec<(&'static str, Step, bool)> {
    let html = "<html><body>down</body></html>";
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    let soon = "retry-after: 0\r\n";
    vec![
        ("408", Step::status(408), false),
        ("429", Step::status(429), true),
        ("429 with Retry-After", Step::response(429, soon, ""), true),
        ("500", Step::status(500), false),
        ("502", Step::status(502), false),
        ("503", Step::status(503), false),
        ("503 with HTML", Step::response(503, "content-type: text/html\r\n", html), false),
        ("503 with Retry-After", Step::response(503, soon, html), true),
        ("503 with an invalid Retry-After", Step::response(503, "retry-after: ?\r\n", ""), false),
        (
            "503 cut short",
            Step::Send(b"HTTP/1.1 503 -\r\ncontent-length: 9\r\n\r\n{".into()),
            false,
        ),
        ("504", Step::status(504), false),
        ("reset", Step::Reset, false),
        ("closed without a response", Step::Send(Vec::new()), false),
        ("closed within the head", Step::Send(b"HTTP/1.1 200 OK\r\ncont".into()), false),
        ("closed within the body", Step::Send(format!("{head}{{\"data\":").into()), false),
        ("no HTTP", Step::Send(b"SSH-2.0-OpenSSH_9.2\r\n".into()), false),
        ("no response in time", Step::Hang(Vec::new()), false),
        ("no complete response in time", Step::Drip(head.into()), false),
    ]
}

#[tokio::test]
async fn transient_failures_are_retried_if_safe() {
    for (failure, step, is_not_applied) in transient_failures() {
        // Concurrently, because some wait for a timeout.
        let calls = OPERATIONS.iter().map(|&id| {
            let response = Step::response(200, "", success(id).to_string());
            (id, tokio::spawn(outcome([step.clone(), response], id)))
        });
        for (id, call) in calls.collect::<Vec<_>>() {
            let name = format!("{id}, {failure}");
            let (outcome, requests) = call.await.unwrap();
            if id == CREATE && !is_not_applied {
                let error = outcome.expect_err(&name);
                assert_eq!((requests, error.attempts()), (1, 1), "{name}");
                assert!(error.is_ambiguous() && !error.is_retryable(), "{name}: {error:?}");
                assert!(error.to_string().contains("create may have succeeded"), "{name}: {error}");
            } else {
                outcome.unwrap_or_else(|error| panic!("{name}: {error:?}"));
                assert_eq!(requests, 2, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn permanent_failures_are_not_retried() {
    for status in [201, 204, 302, 400, 401, 403, 404, 405, 406, 409, 413, 415, 418, 501, 505, 520] {
        for &id in &*OPERATIONS {
            let (outcome, requests) = outcome([Step::status(status)], id).await;
            let error = outcome.unwrap_err();
            assert_eq!((requests, error.attempts()), (1, 1), "{id}, {status}");
            assert_eq!(status_of(&error), Some(status), "{id}, {status}");
            assert!(!error.is_retryable(), "{id}, {status}");
            let is_inconclusive = matches!(status, 201 | 204 | 505 | 520);
            let is_ambiguous = changes_state(id) && is_inconclusive;
            assert_eq!(error.is_ambiguous(), is_ambiguous, "{id}, {status}");
        }
    }
}

#[tokio::test]
async fn success_with_an_invalid_body_is_ambiguous() {
    for body in ["", "{}", "<html>", r#"{"data": 5}"#] {
        for &id in &*OPERATIONS {
            let (outcome, requests) = outcome([Step::response(200, "", body)], id).await;
            let error = outcome.unwrap_err();
            assert_eq!(requests, 1, "{id}, {body}");
            assert_eq!(error.is_ambiguous(), changes_state(id), "{id}, {body}: {error}");
        }
    }
}

#[tokio::test]
async fn error_counts_attempts() {
    let server = Script::play([Step::response(503, "", r#"{"message": "overloaded"}"#)]).await;
    for (policy, attempts) in [
        (RetryPolicy::default(), 4),
        (RetryPolicy::default().max_attempts(2), 2),
        (RetryPolicy::default().max_attempts(0), 1),
        (RetryPolicy::never(), 1),
    ] {
        let policy = policy.backoff(Duration::ZERO, Duration::ZERO);
        let before = server.requests().len();
        let client = without_backoff(&server.url).retry_policy(policy).build().unwrap();
        let error = client.list_api_keys().await.unwrap_err();
        assert_eq!(error.attempts(), attempts);
        assert_eq!(server.requests().len() - before, attempts as usize);
        let suffix = match attempts {
            1 => String::new(),
            _ => format!(", after {attempts} attempts"),
        };
        let message = format!("list_api_keys: 503 Service Unavailable: overloaded{suffix}");
        assert_eq!(error.to_string(), message);
    }
}

#[tokio::test]
async fn failed_connection_is_retried_and_not_ambiguous() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for &id in &*OPERATIONS {
        let error = call(&without_backoff(&url).build().unwrap(), id).await.unwrap_err();
        assert_eq!(error.attempts(), 4, "{id}: {error}");
        assert!(error.is_connect() && !error.is_ambiguous() && error.is_retryable(), "{error:?}");
    }
}

#[cfg(feature = "rustls-no-provider")]
#[tokio::test]
async fn proxy_without_credentials_is_not_retried() {
    let proxy = Script::play([Step::response(407, "", "")]).await;
    let builder = Client::builder().api_server("https://keys.example.com").api_key("k");
    let url = reqwest::Proxy::all(&proxy.url).unwrap();
    let http = move || reqwest::Client::builder().proxy(url.clone());
    let client = builder.reqwest_builder(http).build().unwrap();
    let error = client.create_api_key("my-app").await.unwrap_err();
    assert_eq!((error.attempts(), proxy.requests().len()), (1, 1), "{error:?}");
    assert!(error.is_connect() && !error.is_retryable() && !error.is_ambiguous());
    assert!(error.to_string().contains("https://keys.example.com: the proxy"), "{error}");
}

#[cfg(feature = "rustls-no-provider")]
#[tokio::test]
async fn server_without_tls_is_not_retried() {
    let server = httpmock::MockServer::start_async().await;
    let builder = Client::builder().api_server(server.base_url().replace("http", "https"));
    let error = builder.api_key("k").build().unwrap().list_api_keys().await.unwrap_err();
    assert_eq!(error.attempts(), 1, "{error:?}");
    assert!(error.is_connect() && !error.is_retryable());
    assert!(error.to_string().contains("(did you mean http://?)"), "{error}");
}

#[tokio::test]
async fn error_names_an_unknown_host() {
    let builder = Client::builder().api_server("http://keys.invalid").allow_http(true);
    let client = builder.api_key("k").retry_policy(RetryPolicy::never()).build().unwrap();
    let error = client.list_api_keys().await.unwrap_err();
    assert!(error.is_connect() && error.is_retryable(), "{error:?}");
    let beginning = "list_api_keys: cannot connect to http://keys.invalid: unknown host";
    assert!(error.to_string().starts_with(beginning), "{error}");
}

#[tokio::test]
async fn name_too_long_for_a_url_is_rejected_before_sending() {
    let server = Script::play([Step::status(500)]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let error = client.delete_api_key("n".repeat(70_000)).await.unwrap_err();
    assert!(
        error.is_invalid_input() && !error.is_ambiguous() && error.attempts() == 0,
        "{error:?}"
    );
    assert!(error.to_string().contains("too long") && error.to_string().len() < 200, "{error}");
    assert!(server.requests().is_empty());

    // A long but valid name is truncated in the message.
    let error = client.get_api_key("n".repeat(10_000)).await.unwrap_err();
    assert!(error.to_string().len() < 300, "{error}");
}

#[tokio::test]
async fn retry_is_skipped_if_it_cannot_finish_in_time() {
    let busy = Step::response(429, "retry-after: 1\r\n", "");
    let server = Script::play([busy, Step::Hang(Vec::new())]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let create = client.create_api_key("my-app").timeout(Duration::from_secs(1));
    let error = create.await.unwrap_err();
    assert_eq!((status_of(&error), error.is_ambiguous()), (Some(429), false), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn timeout_after_a_retry_has_the_earlier_error_as_source() {
    let unavailable = Step::response(503, "", r#"{"message": "overloaded"}"#);
    let server = Script::play([unavailable, Step::Hang(Vec::new())]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let error = client.list_api_keys().timeout(Duration::from_millis(600)).await.unwrap_err();
    assert!(error.is_timeout() && error.attempts() == 2, "{error:?}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "503 Service Unavailable: overloaded");
}

#[tokio::test]
async fn create_conflict_after_503_is_ambiguous() {
    let unavailable = Step::response(503, "retry-after: 0\r\n", "");
    let conflict = Step::response(409, "", r#"{"message": "exists"}"#);
    let (outcome, requests) = outcome([unavailable, conflict.clone()], CREATE).await;
    let error = outcome.unwrap_err();
    assert_eq!(requests, 2);
    assert!(error.is_conflict() && error.is_ambiguous(), "{error:?}");
    let end = ", after 2 attempts; an earlier attempt may have succeeded; look up its result";
    assert!(error.to_string().ends_with(end), "{error}");

    for first in [None, Some(Step::status(429))] {
        let steps: Vec<_> = first.into_iter().chain([conflict.clone()]).collect();
        let error = self::outcome(steps, CREATE).await.0.unwrap_err();
        assert!(error.is_conflict() && !error.is_ambiguous(), "{error:?}");
    }
}

#[tokio::test]
async fn retry_sends_the_same_request() {
    for &id in &*OPERATIONS {
        let steps = [Step::status(429), Step::response(200, "", success(id).to_string())];
        let server = Script::play(steps).await;
        call(&without_backoff(&server.url).build().unwrap(), id).await.unwrap();
        let requests = server.requests();
        assert_eq!(requests[0], requests[1], "{id}");
        assert!(requests[1].contains("authorization: ApiKey k\r\n"), "{}", requests[1]);
    }
}

#[tokio::test]
async fn retried_delete_with_404_is_ambiguous() {
    let missing = Step::response(404, "", r#"{"message": "no such key", "type": "NOTFOUND"}"#);
    for (first, attempts, message) in [
        (None, 1, "delete_api_key \"my-app\": 404 Not Found: no such key (NOTFOUND)"),
        (
            Some(Step::Reset),
            2,
            "delete_api_key \"my-app\": 404 Not Found: no such key (NOTFOUND), after 2 attempts; \
             an earlier attempt may have succeeded",
        ),
        (
            Some(Step::status(429)),
            2,
            "delete_api_key \"my-app\": 404 Not Found: no such key (NOTFOUND), after 2 attempts",
        ),
    ] {
        let steps: Vec<_> = first.into_iter().chain([missing.clone()]).collect();
        let (outcome, requests) = outcome(steps.clone(), DELETE).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(requests, attempts);
        assert!(error.is_not_found());
        assert_eq!(error.is_ambiguous(), message.contains("may have succeeded"));
    }
    let (outcome, _) = outcome([Step::Reset, missing], UPDATE).await;
    assert!(outcome.unwrap_err().to_string().ends_with("the update may have succeeded"));
}

/// Formats an HTTP date, which has no fractions of a second.
fn http_date(at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).unwrap();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap()
}

#[tokio::test]
async fn client_waits_for_retry_after() {
    let values: [(fn() -> String, Duration); 5] = [
        (|| "1".to_owned(), Duration::from_secs(1)),
        (|| http_date(SystemTime::now() + Duration::from_secs(2)), Duration::from_secs(1)),
        (|| http_date(SystemTime::now() - Duration::from_secs(86_400)), Duration::ZERO),
        (|| "-1".to_owned(), Duration::ZERO),
        (|| "soon".to_owned(), Duration::ZERO),
    ];
    let mut calls = Vec::new();
    for id in [LIST, CREATE] {
        for (value, wait) in values {
            calls.push(tokio::spawn(async move {
                let start = Instant::now();
                let value = value();
                let first = Step::response(429, &format!("retry-after: {value}\r\n"), "");
                let steps = [first, Step::response(200, "", success(id).to_string())];
                let (outcome, requests) = outcome(steps, id).await;
                outcome.unwrap();
                assert_eq!(requests, 2);
                assert!(start.elapsed() >= wait, "{value}: {:?}", start.elapsed());
            }));
        }
    }
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn retry_after_past_the_deadline_fails_at_once() {
    let in_a_year = http_date(SystemTime::now() + Duration::from_secs(365 * 86_400));
    for (value, at_least) in [
        ("3600", Duration::from_secs(3600)),
        (in_a_year.as_str(), Duration::from_secs(364 * 86_400)),
        ("99999999999999999999999999", Duration::MAX),
    ] {
        for status in [429, 503] {
            let server =
                Script::play([Step::response(status, &format!("retry-after: {value}\r\n"), "")])
                    .await;
            let client = without_backoff(&server.url).build().unwrap();
            let call = client.list_api_keys().into_future();
            let error = tokio::time::timeout(Duration::from_secs(30), call)
                .await
                .expect("the client does not wait")
                .unwrap_err();
            assert!(error.retry_after().unwrap() >= at_least, "{error:?}");
            assert_eq!((error.attempts(), server.requests().len()), (1, 1));
            assert!(error.to_string().contains("the server asks to wait"), "{error}");
        }
    }
}

#[tokio::test]
async fn each_timeout_ends_an_incomplete_call() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    let short = Duration::from_millis(300);
    type Set = fn(ClientBuilder, Duration) -> ClientBuilder;
    let timeouts: [(&str, Set); 3] = [
        ("timeout", |builder, timeout| builder.timeout(timeout)),
        ("attempt_timeout", |builder, timeout| {
            builder.attempt_timeout(timeout).retry_policy(RetryPolicy::never())
        }),
        ("timeout of the call", |builder, _| builder),
    ];
    for step in [Step::Hang(Vec::new()), Step::Hang(head.into()), Step::Drip(head.into())] {
        for (name, set) in timeouts {
            let server = Script::play([step.clone()]).await;
            let client = set(without_backoff(&server.url), short).build().unwrap();
            let mut call = client.list_api_keys();
            if name == "timeout of the call" {
                call = call.timeout(short);
            }
            let start = Instant::now();
            let error = call.await.unwrap_err();
            assert!(start.elapsed() >= short && start.elapsed() < short * 30, "{name}, {step:?}");
            assert!(error.is_timeout() && error.is_retryable(), "{name}, {step:?}: {error:?}");
            // No time is left for a second attempt.
            assert_eq!(error.attempts(), 1, "{name}, {step:?}");
            server.one_done().await;
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn connect_timeout_defaults_to_5_seconds() {
    // Connections are not accepted, and one fills the queue, so another cannot be established.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let _queued = TcpStream::connect(address).await.unwrap();
    let builder = || without_backoff(&format!("http://{address}"));
    for (builder, seconds) in [(builder(), 5), (builder().connect_timeout(7 * SECOND), 7)] {
        let client = builder.retry_policy(RetryPolicy::never()).build().unwrap();
        // A paused clock jumps to the next timeout.
        tokio::time::pause();
        let start = tokio::time::Instant::now();
        let error = client.list_api_keys().await.unwrap_err();
        assert!(error.is_connect() && error.is_timeout(), "{error:?}");
        assert_eq!(start.elapsed().as_secs(), seconds);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn attempt_and_call_timeouts_default_to_20_and_60_seconds() {
    type Set = fn(ClientBuilder) -> ClientBuilder;
    let settings: [(Set, Duration); 2] = [
        (|builder| builder.retry_policy(RetryPolicy::never()), 20 * SECOND),
        (|builder| builder.attempt_timeout(Duration::from_secs(3600)), 60 * SECOND),
    ];
    for (set, timeout) in settings {
        let server = Script::play([Step::Hang(Vec::new())]).await;
        let client = set(without_backoff(&server.url)).build().unwrap();
        let before = tokio::time::Instant::now();
        let call = tokio::spawn(client.list_api_keys().into_future());
        while server.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        // A paused clock jumps to the next timeout.
        tokio::time::pause();
        let sent = tokio::time::Instant::now();
        let error = call.await.unwrap().unwrap_err();
        assert!(error.is_timeout() && error.attempts() == 1, "{error:?}");
        // The call began between `before` and `sent`, and timers are rounded to milliseconds.
        let rounded = Duration::from_millis(2);
        assert!(sent.elapsed() < timeout + rounded, "{:?}", sent.elapsed());
        assert!(before.elapsed() >= timeout, "{:?}", before.elapsed());
        tokio::time::resume();
    }
}

#[tokio::test]
async fn attempts_do_not_start_after_the_deadline() {
    let server = Script::play([Step::response(503, "retry-after: 3600\r\n", "")]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let error = client.list_api_keys().await.unwrap_err();
    assert_eq!((error.attempts(), server.requests().len()), (1, 1));
}

#[tokio::test]
async fn call_with_zero_timeout_is_rejected_before_sending() {
    let server = Script::play([Step::status(503)]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let error = client.list_api_keys().timeout(Duration::ZERO).await.unwrap_err();
    assert_eq!(error.to_string(), "list_api_keys: the timeout is zero; nothing was sent");
    assert_eq!(error.attempts(), 0);
    // A later call reaches the server, so an earlier request would also have arrived.
    client.list_api_keys().await.unwrap_err();
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn client_rejects_zero_timeouts_and_accepts_the_maximum() {
    let timeouts: [fn(ClientBuilder, Duration) -> ClientBuilder; 3] =
        [ClientBuilder::connect_timeout, ClientBuilder::attempt_timeout, ClientBuilder::timeout];
    let server = Script::play([Step::response(200, "", success(LIST).to_string())]).await;
    for set in timeouts {
        let error = set(without_backoff(&server.url), Duration::ZERO).build().unwrap_err();
        assert!(error.to_string().contains("is zero"), "{error}");
        let client = set(without_backoff(&server.url), Duration::MAX).build().unwrap();
        client.list_api_keys().await.unwrap();
    }
}

#[tokio::test]
async fn dropped_call_closes_its_connection() {
    let server = Script::play([Step::Hang(Vec::new())]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let mut call = client.list_api_keys().into_future();
    while server.requests().is_empty() {
        let poll = tokio::time::timeout(Duration::from_millis(1), &mut call).await;
        assert!(poll.is_err(), "the server does not respond");
    }
    drop(call);
    server.one_done().await;

    // A call is dropped while it waits. Only a later call, which waits as long, is retried.
    let wait = Step::response(429, "retry-after: 1\r\n", "");
    let response = Step::response(200, "", success(LIST).to_string());
    let server = Script::play([wait.clone(), wait, response]).await;
    let client = without_backoff(&server.url).build().unwrap();
    let mut call = client.list_api_keys().into_future();
    while server.requests().is_empty() {
        let poll = tokio::time::timeout(Duration::from_millis(1), &mut call).await;
        assert!(poll.is_err(), "the client waits");
    }
    drop(call);
    client.list_api_keys().await.unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn failing_calls_use_up_the_retry_budget() {
    let server = Script::play([Step::status(503)]).await;
    let client = without_backoff(&server.url).build().unwrap();
    const CALLS: usize = 100;
    for _ in 0..CALLS {
        client.clone().list_api_keys().await.unwrap_err();
    }
    let requests = server.requests().len();
    assert_eq!(requests, CALLS + 10, "the budget is 10 retries, shared by the client's clones");
    let error = client.list_api_keys().await.unwrap_err();
    assert_eq!(error.attempts(), 1);
}

#[tokio::test]
async fn other_failures_do_not_refill_the_retry_budget() {
    let invalid = Step::response(200, "", "{}");
    for last in [Step::status(505), Step::status(204), invalid] {
        let steps: Vec<_> = (0..100).flat_map(|_| [Step::status(503), last.clone()]).collect();
        let server = Script::play(steps).await;
        let client = without_backoff(&server.url).build().unwrap();
        let mut retries = 0;
        for _ in 0..100 {
            retries += client.list_api_keys().await.unwrap_err().attempts() - 1;
        }
        assert_eq!(retries, 10, "{last:?}");
    }
}

#[tokio::test]
async fn error_keeps_its_status_if_the_body_stalls() {
    for (step, message) in [
        (Step::Hang(b"HTTP/1.1 404 -\r\ncontent-length: 99\r\n\r\n".into()), "404 Not Found"),
        (
            Step::Drip(b"HTTP/1.1 404 -\r\ncontent-length: 9999\r\n\r\ngone for good".into()),
            "404 Not Found: gone for good",
        ),
    ] {
        let server = Script::play([step]).await;
        let client = without_backoff(&server.url).build().unwrap();
        let call = client.create_api_key("n").timeout(Duration::from_secs(30));
        let error = call.await.unwrap_err();
        assert_eq!(error.to_string(), format!("create_api_key \"n\": {message}"));
        assert!(!error.is_ambiguous() && !error.is_timeout(), "{error:?}");
    }
}

#[tokio::test]
async fn successful_retries_refill_the_retry_budget() {
    let response = Step::response(200, "", success(LIST).to_string());
    let steps: Vec<_> = (0..100).flat_map(|_| [Step::status(503), response.clone()]).collect();
    let server = Script::play(steps).await;
    let client = without_backoff(&server.url).build().unwrap();
    for _ in 0..100 {
        client.list_api_keys().await.unwrap();
    }
    assert_eq!(server.requests().len(), 200);
}

#[tokio::test]
async fn success_refills_a_tenth_of_a_retry() {
    let success = Step::response(200, "", success(LIST).to_string());
    for (other, last) in [(success, [2, 1]), (Step::status(404), [1, 1])] {
        let fail = |count| std::iter::repeat_n(Step::status(503), count);
        let others = |count| std::iter::repeat_n(other.clone(), count);
        let steps = fail(21).chain(others(9)).chain(fail(1)).chain(others(1)).chain(fail(3));
        let server = Script::play(steps.collect::<Vec<_>>()).await;
        let policy = RetryPolicy::default().max_attempts(2).backoff(Duration::ZERO, Duration::ZERO);
        let client = without_backoff(&server.url).retry_policy(policy).build().unwrap();
        let mut requests = Vec::new();
        // Ten calls use up the budget. Nine tenths do not permit a retry, ten tenths do.
        for _ in 0..11 + 9 + 1 + 1 + 2 {
            let before = server.requests().len();
            if let Err(error) = client.list_api_keys().await {
                let is_used_up = error.to_string().ends_with("; the retry budget is used up");
                let is_retried = error.attempts() > 1 || error.is_not_found();
                assert_eq!(is_used_up, !is_retried, "{error}");
            }
            requests.push(server.requests().len() - before);
        }
        let expected = [&[2; 10][..], &[1], &[1; 9], &[1], &[1], &last].concat();
        assert_eq!(requests, expected, "{other:?}");
    }
}

#[tokio::test]
async fn connection_closed_after_a_response_is_not_reused() {
    let server = Script::play([Step::response(200, "", success(CREATE).to_string())]).await;
    let client = without_backoff(&server.url).build().unwrap();
    for _ in 0..200 {
        client.create_api_key("n").await.unwrap();
    }
    assert_eq!(server.requests().len(), 200);
}
