//! What the client does when the network or the server fails: how long it waits, what it repeats,
//! and what it says.

use std::time::{Duration, Instant, SystemTime};

use rockset_apikeys::{Client, ClientBuilder, Error, RetryPolicy};
use tokio::net::TcpListener;

use crate::script::{Script, Step};
use crate::support::{OPERATIONS, call, success};

const CREATE: &str = "create_api_key";
const LIST: &str = "list_api_keys";
const UPDATE: &str = "update_api_key";
const DELETE: &str = "delete_api_key";

/// A client that waits for nothing that it is not told to wait for.
fn hasty(url: &str) -> ClientBuilder {
    let policy = RetryPolicy::default().backoff(Duration::ZERO, Duration::ZERO);
    Client::builder().api_server(url).api_key("k").retry_policy(policy)
}

/// What the call makes of the script, and how many requests it made.
async fn outcome(steps: impl Into<Vec<Step>>, id: &str) -> (Result<(), Error>, usize) {
    let server = Script::play(steps).await;
    let client = hasty(&server.url).attempt_timeout(Duration::from_secs(1)).build().unwrap();
    let outcome = call(&client, id).await;
    (outcome, server.requests().len())
}

/// Every way in which an attempt fails for now: its name, what the server does, and whether that
/// shows that the server did not act.
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
        (
            "503 with a Retry-After of another kind",
            Step::response(503, "retry-after: ?\r\n", ""),
            false,
        ),
        (
            "503 cut short",
            Step::Send(b"HTTP/1.1 503 -\r\ncontent-length: 9\r\n\r\n{".into()),
            false,
        ),
        ("504", Step::status(504), false),
        ("reset", Step::Reset, false),
        ("closed without an answer", Step::Send(Vec::new()), false),
        ("closed within the head", Step::Send(b"HTTP/1.1 200 OK\r\ncont".into()), false),
        ("closed within the body", Step::Send(format!("{head}{{\"data\":").into()), false),
        ("no HTTP", Step::Send(b"SSH-2.0-OpenSSH_9.2\r\n".into()), false),
        ("no answer in time", Step::Hang(Vec::new()), false),
        ("no whole answer in time", Step::Drip(head.into()), false),
    ]
}

#[tokio::test]
async fn what_may_succeed_later_is_repeated_where_that_is_safe() {
    for (failure, step, is_clear) in transient_failures() {
        for &id in &*OPERATIONS {
            let name = format!("{id}, {failure}");
            let steps = [step.clone(), Step::response(200, "", success(id).to_string())];
            let (outcome, requests) = outcome(steps, id).await;
            if id == CREATE && !is_clear {
                let error = outcome.expect_err(&name);
                assert_eq!((requests, error.attempts()), (1, 1), "{name}");
                assert!(error.is_ambiguous() && !error.is_retryable(), "{name}: {error:?}");
                assert!(error.to_string().contains("it may have been created"), "{name}: {error}");
            } else {
                outcome.unwrap_or_else(|error| panic!("{name}: {error:?}"));
                assert_eq!(requests, 2, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn what_fails_for_good_is_not_repeated() {
    for status in [201, 204, 302, 400, 401, 403, 404, 405, 406, 409, 413, 415, 418, 501, 505, 520] {
        for &id in &*OPERATIONS {
            let (outcome, requests) = outcome([Step::status(status)], id).await;
            let error = outcome.unwrap_err();
            assert_eq!((requests, error.attempts()), (1, 1), "{id}, {status}");
            assert_eq!(error.status().map(|it| it.as_u16()), Some(status), "{id}, {status}");
            assert!(!error.is_retryable(), "{id}, {status}");
            let may_have_acted = id != LIST && id != "get_api_key";
            let tells = !matches!(status, 201 | 204 | 505 | 520);
            assert_eq!(error.is_ambiguous(), may_have_acted && !tells, "{id}, {status}");
        }
    }
}

#[tokio::test]
async fn a_success_that_cannot_be_read_is_ambiguous_and_not_repeated() {
    for body in ["", "{}", "<html>", r#"{"data": 5}"#] {
        for &id in &*OPERATIONS {
            let (outcome, requests) = outcome([Step::response(200, "", body)], id).await;
            let error = outcome.unwrap_err();
            assert_eq!(requests, 1, "{id}, {body}");
            let changes = id != LIST && id != "get_api_key";
            assert_eq!(error.is_ambiguous(), changes, "{id}, {body}: {error}");
        }
    }
}

#[tokio::test]
async fn the_error_after_the_last_attempt_tells_how_many_there_were() {
    let server = Script::play([Step::response(503, "", r#"{"message": "overloaded"}"#)]).await;
    for (policy, attempts) in [
        (RetryPolicy::default(), 4),
        (RetryPolicy::default().attempts(2), 2),
        (RetryPolicy::default().attempts(0), 1),
        (RetryPolicy::none(), 1),
    ] {
        let policy = policy.backoff(Duration::ZERO, Duration::ZERO);
        let before = server.requests().len();
        let client = hasty(&server.url).retry_policy(policy).build().unwrap();
        let error = client.list_api_keys().await.unwrap_err();
        assert_eq!(error.attempts(), attempts);
        assert_eq!(server.requests().len() - before, attempts as usize);
        let made = match attempts {
            1 => String::new(),
            _ => format!("; {attempts} attempts were made"),
        };
        let text = format!("list_api_keys: 503 Service Unavailable: overloaded{made}");
        assert_eq!(error.to_string(), text);
    }
}

#[tokio::test]
async fn a_refused_connection_is_repeated_and_not_ambiguous_also_for_a_creation() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for &id in &*OPERATIONS {
        let error = call(&hasty(&url).build().unwrap(), id).await.unwrap_err();
        assert_eq!(error.attempts(), 4, "{id}: {error}");
        assert!(error.is_connect() && !error.is_ambiguous() && error.is_retryable(), "{error:?}");
    }
}

#[tokio::test]
async fn a_repeat_is_the_same_request() {
    for &id in &*OPERATIONS {
        let steps = [Step::status(429), Step::response(200, "", success(id).to_string())];
        let server = Script::play(steps).await;
        call(&hasty(&server.url).build().unwrap(), id).await.unwrap();
        let requests = server.requests();
        assert_eq!(requests[0], requests[1], "{id}");
        assert!(requests[1].contains("authorization: ApiKey k\r\n"), "{}", requests[1]);
    }
}

#[tokio::test]
async fn a_deletion_that_finds_nothing_on_a_repeat_says_that_it_may_have_deleted_the_key() {
    let missing = Step::response(404, "", r#"{"message": "no such key", "type": "NOTFOUND"}"#);
    for (first, requests, text) in [
        (None, 1, "delete_api_key \"my-app\": 404 Not Found: no such key (NOTFOUND)"),
        (
            Some(Step::Reset),
            2,
            "delete_api_key \"my-app\": 404 Not Found: no such key (NOTFOUND); 2 attempts were \
             made; an earlier attempt may already have deleted it",
        ),
        (
            Some(Step::status(429)),
            2,
            "delete_api_key \"my-app\": 404 Not Found: no such key (NOTFOUND); 2 attempts were \
             made",
        ),
    ] {
        let steps: Vec<_> = first.into_iter().chain([missing.clone()]).collect();
        let (outcome, made) = outcome(steps.clone(), DELETE).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(made, requests);
        assert!(error.is_not_found());
        assert_eq!(error.is_ambiguous(), text.contains("may already have"));
    }
    let (outcome, _) = outcome([Step::Reset, missing], UPDATE).await;
    assert!(outcome.unwrap_err().to_string().ends_with("it may have been updated"));
}

/// A date as HTTP writes it, which has no fractions of a second.
fn http_date(at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).unwrap();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap()
}

#[tokio::test]
async fn a_wait_that_the_server_asks_for_is_kept() {
    let values: [(fn() -> String, Duration); 5] = [
        (|| "1".to_owned(), Duration::from_secs(1)),
        (|| http_date(SystemTime::now() + Duration::from_secs(2)), Duration::from_secs(1)),
        (|| http_date(SystemTime::now() - Duration::from_secs(86_400)), Duration::ZERO),
        (|| "-1".to_owned(), Duration::ZERO),
        (|| "soon".to_owned(), Duration::ZERO),
    ];
    for id in [LIST, CREATE] {
        for (value, wait) in values {
            let start = Instant::now();
            let value = value();
            let first = Step::response(429, &format!("retry-after: {value}\r\n"), "");
            let steps = [first, Step::response(200, "", success(id).to_string())];
            let (outcome, requests) = outcome(steps, id).await;
            outcome.unwrap();
            assert_eq!(requests, 2);
            assert!(start.elapsed() >= wait, "{value}: {:?}", start.elapsed());
        }
    }
}

#[tokio::test]
async fn a_wait_past_the_deadline_ends_the_call_at_once_and_is_told() {
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
            let client = hasty(&server.url).build().unwrap();
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
async fn every_time_limit_ends_what_it_limits() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    let short = Duration::from_millis(300);
    type Limit = fn(ClientBuilder, Duration) -> ClientBuilder;
    let limits: [(&str, Limit); 3] = [
        ("timeout", |builder, limit| builder.timeout(limit)),
        ("attempt_timeout", |builder, limit| {
            builder.attempt_timeout(limit).retry_policy(RetryPolicy::none())
        }),
        ("timeout of the call", |builder, _| builder),
    ];
    for step in [Step::Hang(Vec::new()), Step::Hang(head.into()), Step::Drip(head.into())] {
        for (name, limit) in limits {
            let server = Script::play([step.clone()]).await;
            let client = limit(hasty(&server.url), short).build().unwrap();
            let mut call = client.list_api_keys();
            if name == "timeout of the call" {
                call = call.timeout(short);
            }
            let start = Instant::now();
            let error = call.await.unwrap_err();
            assert!(start.elapsed() >= short && start.elapsed() < short * 30, "{name}, {step:?}");
            assert!(error.is_timeout() && error.is_retryable(), "{name}, {step:?}: {error:?}");
            // There is no time left for a second attempt.
            assert_eq!(error.attempts(), 1, "{name}, {step:?}");
            server.one_done().await;
        }
    }
}

#[tokio::test]
async fn no_attempt_begins_after_the_deadline() {
    let server = Script::play([Step::status(503)]).await;
    let hour = Duration::from_secs(3600);
    let policy = RetryPolicy::default().backoff(hour, hour).jitter(false);
    let client = hasty(&server.url).retry_policy(policy).build().unwrap();
    let error = client.list_api_keys().await.unwrap_err();
    assert_eq!((error.attempts(), server.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_call_without_any_time_sends_nothing() {
    let server = Script::play([Step::status(503)]).await;
    let client = hasty(&server.url).build().unwrap();
    let error = client.list_api_keys().timeout(Duration::ZERO).await.unwrap_err();
    assert_eq!(error.to_string(), "list_api_keys: the timeout is zero; nothing was sent");
    assert_eq!(error.attempts(), 0);
    // A later call is answered, so that an earlier request would have come in.
    client.list_api_keys().await.unwrap_err();
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_time_limit_of_zero_is_refused_and_the_longest_is_none() {
    let limits: [fn(ClientBuilder, Duration) -> ClientBuilder; 3] =
        [ClientBuilder::connect_timeout, ClientBuilder::attempt_timeout, ClientBuilder::timeout];
    let server = Script::play([Step::response(200, "", success(LIST).to_string())]).await;
    for limit in limits {
        let error = limit(hasty(&server.url), Duration::ZERO).build().unwrap_err();
        assert!(error.to_string().contains("is zero"), "{error}");
        let client = limit(hasty(&server.url), Duration::MAX).build().unwrap();
        client.list_api_keys().await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_call_leaves_the_server_alone() {
    let server = Script::play([Step::Hang(Vec::new())]).await;
    let client = hasty(&server.url).build().unwrap();
    let mut call = client.list_api_keys().into_future();
    while server.requests().is_empty() {
        let poll = tokio::time::timeout(Duration::from_millis(1), &mut call).await;
        assert!(poll.is_err(), "the server does not answer");
    }
    drop(call);
    server.one_done().await;

    // Dropped while it waits, before a later call that waits as long: only that one's repeat comes.
    let wait = Step::response(429, "retry-after: 1\r\n", "");
    let answer = Step::response(200, "", success(LIST).to_string());
    let server = Script::play([wait.clone(), wait, answer]).await;
    let client = hasty(&server.url).build().unwrap();
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
async fn a_client_whose_calls_all_fail_soon_stops_repeating_them() {
    let server = Script::play([Step::status(503)]).await;
    let client = hasty(&server.url).build().unwrap();
    const CALLS: usize = 100;
    for _ in 0..CALLS {
        client.clone().list_api_keys().await.unwrap_err();
    }
    let requests = server.requests().len();
    assert_eq!(requests, CALLS + 10, "the budget is ten repeats, shared by the client's copies");
    let error = client.list_api_keys().await.unwrap_err();
    assert_eq!(error.attempts(), 1);
}

#[tokio::test]
async fn repeats_that_help_do_not_use_up_the_budget() {
    let answer = Step::response(200, "", success(LIST).to_string());
    let steps: Vec<_> = (0..100).flat_map(|_| [Step::status(503), answer.clone()]).collect();
    let server = Script::play(steps).await;
    let client = hasty(&server.url).build().unwrap();
    for _ in 0..100 {
        client.list_api_keys().await.unwrap();
    }
    assert_eq!(server.requests().len(), 200);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_after_an_answer_costs_nothing() {
    let server = Script::play([Step::response(200, "", success(CREATE).to_string())]).await;
    let client = hasty(&server.url).build().unwrap();
    for _ in 0..200 {
        client.create_api_key("n").await.unwrap();
    }
    assert_eq!(server.requests().len(), 200);
}
