//! Settings and reports of single calls, and the kinds of their errors.

use std::time::{Duration, SystemTime};

use rockset_apikeys::{
    Call, Client, Error, ErrorKind, Request, RetryPolicy, StatusCode, Timestamp, jiff,
};
use rockset_apikeys_server::{Fault, Server};
use tokio::net::TcpListener;

use crate::script::{Script, Step};
use crate::support::{client_for, success};

fn keys(headers: &str) -> Step {
    Step::response(200, headers, success("list_api_keys").to_string())
}

#[tokio::test]
async fn call_overrides_the_retry_policy() {
    let server = Script::play([Step::status(503)]).await;
    let client = client_for(&server.url, "k");
    assert_eq!(client.list_api_keys().await.unwrap_err().attempts(), 1);
    let policy = RetryPolicy::default().max_attempts(3).backoff(Duration::ZERO, Duration::ZERO);
    let error = client.list_api_keys().retry_policy(policy).await.unwrap_err();
    assert_eq!(error.attempts(), 3);
}

#[tokio::test]
async fn call_header_is_sent_only_by_its_call() {
    let server = Script::play([keys("")]).await;
    let builder = Client::builder().api_server(&server.url).api_key("k");
    let client = builder.default_header("x-team", "all").build().unwrap();
    let call = client.list_api_keys().header("X-Team", "CANARY").header("x-more", "1");
    assert!(!format!("{call:?}").contains("CANARY"), "{call:?}");
    call.await.unwrap();
    client.list_api_keys().await.unwrap();
    let requests: Vec<_> =
        server.requests().iter().map(|request| request.to_ascii_lowercase()).collect();
    assert!(requests[0].contains("x-team: canary\r\n") && requests[0].contains("x-more: 1\r\n"));
    assert!(!requests[0].contains("x-team: all"), "{}", requests[0]);
    assert!(requests[1].contains("x-team: all\r\n") && !requests[1].contains("x-more"));

    let server = Script::play([Step::status(404)]).await;
    let client = client_for(&server.url, "k");
    client.create_api_key("n").header("x-more", "1").await.unwrap_err();
    client.list_api_keys().header("x-more", "1").await.unwrap_err();
    client.get_api_key("n").header("x-more", "1").await.unwrap_err();
    client.update_api_key("n").header("x-more", "1").await.unwrap_err();
    client.delete_api_key("n").header("x-more", "1").await.unwrap_err();
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    assert!(requests.iter().all(|request| request.contains("x-more: 1\r\n")), "{requests:?}");

    for (name, value, reason) in [
        ("Authorization", "CANARY", "the client sets it itself; remove it"),
        ("x team", "CANARY", "its name is invalid"),
        ("x-team", "CANARY\n", "its value is not printable ASCII"),
    ] {
        let error = client.list_api_keys().header(name, value).await.unwrap_err();
        let beginning =
            format!("list_api_keys: cannot set header {name:?} from `header`: {reason}");
        assert!(error.to_string().starts_with(&beginning), "{error}");
        assert!(error.is_invalid_input() && !error.to_string().contains("CANARY"), "{error}");
    }
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn attempt_headers_are_added_to_each_attempt() {
    let server = Script::play([Step::status(503), keys("")]).await;
    let count = std::sync::atomic::AtomicU32::new(1);
    let policy = RetryPolicy::default().backoff(Duration::ZERO, Duration::ZERO);
    let client = Client::builder()
        .api_server(&server.url)
        .api_key("clients-key")
        .retry_policy(policy)
        .attempt_headers(move |headers| {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert!(headers.is_empty());
            headers.insert("x-attempt", number.into());
            headers.insert("authorization", "ApiKey other".parse().unwrap());
            headers.insert("host", "other".parse().unwrap());
        })
        .build()
        .unwrap();
    client.list_api_keys().await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for (request, number) in requests.iter().zip(1..) {
        let request = request.to_ascii_lowercase();
        assert!(request.contains(&format!("x-attempt: {number}\r\n")), "{request}");
        assert!(request.contains("authorization: apikey clients-key\r\n"), "{request}");
        assert!(!request.contains("other"), "{request}");
    }
}

#[tokio::test]
async fn report_contains_last_response_attempts_and_elapsed_time() {
    let headers = "x-trace-id: 4bf92f35\r\nx-more: 1\r\n";
    let server = Script::play([Step::status(503), keys(headers)]).await;
    let policy = RetryPolicy::default().backoff(Duration::ZERO, Duration::ZERO);
    let client = client_for(&server.url, "clients-key");
    let call = client.list_api_keys().retry_policy(policy).with_report();
    let (keys, report) = call.timeout(Duration::from_secs(30)).await.unwrap();
    assert_eq!((keys.len(), report.attempts()), (1, 2));
    assert_eq!(report.status(), Some(StatusCode::OK));
    assert_eq!(report.trace_id(), Some("4bf92f35"));
    assert_eq!(report.headers()["x-more"], "1");
    assert!(!report.elapsed().is_zero() && report.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn report_of_an_error_contains_the_last_response() {
    let server = Server::start().await.unwrap();
    let client = client_for(server.url(), server.admin_key().expose_secret());
    let error = client.get_api_key("lost").await.unwrap_err();
    let report = error.report().unwrap();
    assert_eq!((report.status(), report.attempts()), (Some(StatusCode::NOT_FOUND), 1));
    assert_eq!(report.trace_id().map(str::len), Some(32));
    assert_eq!(report.trace_id(), error.details().unwrap().trace_id.as_deref());
    assert_eq!(report.headers()["content-type"], "application/json");

    server.inject(Fault::drop_connection(), 1);
    let error = client.get_api_key("lost").await.unwrap_err();
    let report = error.report().unwrap();
    assert_eq!((report.status(), report.trace_id()), (None, None));
    assert!(client.get_api_key("").await.unwrap_err().report().is_none());
}

#[tokio::test]
async fn report_omits_secret_headers() {
    let other = "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5zA7bC9dE1fG3hI5jK7lM9nO1pQ3r";
    let echoes = format!(
        "x-echo: clients-key\r\nx-other: {other}\r\nset-cookie: session=1\r\nx-plain: visible\r\n"
    );
    for status in [200, 404] {
        let body = success("list_api_keys").to_string();
        let server = Script::play([Step::response(status, &echoes, body)]).await;
        let client = client_for(&server.url, "clients-key");
        let report = match client.list_api_keys().with_report().await {
            Ok((_, report)) => report,
            Err(error) => error.report().unwrap().clone(),
        };
        let mut names: Vec<_> = report.headers().keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "x-plain"]);
        assert!(!format!("{report:?}").contains("visible"), "{report:?}");
    }
}

#[tokio::test]
async fn errors_have_a_kind() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = client_for(&format!("http://{closed}"), "k");
    assert_eq!(client.list_api_keys().await.unwrap_err().kind(), ErrorKind::Connect);
    assert_eq!(client.get_api_key("").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(Client::builder().build().unwrap_err().kind(), ErrorKind::InvalidInput);
    let cut = b"HTTP/1.1 200 -\r\ncontent-length: 99\r\n\r\n".to_vec();
    for (step, kind) in [
        (Step::Hang(Vec::new()), ErrorKind::Timeout),
        (Step::Reset, ErrorKind::Connection),
        (Step::Send(cut.clone()), ErrorKind::Connection),
        (Step::Hang(cut), ErrorKind::Timeout),
        (Step::response(200, "", "{}"), ErrorKind::Decode),
        (Step::status(404), ErrorKind::Response(StatusCode::NOT_FOUND)),
        (Step::status(504), ErrorKind::Response(StatusCode::GATEWAY_TIMEOUT)),
        (Step::status(204), ErrorKind::Response(StatusCode::NO_CONTENT)),
    ] {
        let server = Script::play([step.clone()]).await;
        let client = client_for(&server.url, "k");
        let call = client.list_api_keys().timeout(Duration::from_millis(300));
        assert_eq!(call.await.unwrap_err().kind(), kind, "{step:?}");
    }
}

#[tokio::test]
async fn calls_can_be_spawned_joined_and_used_generically() {
    async fn quick<R: Request>(call: Call<R>) -> Result<R::Output, Error> {
        call.timeout(Duration::from_secs(10)).await
    }
    fn spawned<R: Request>(call: Call<R>) -> tokio::task::JoinHandle<Result<R::Output, Error>> {
        tokio::spawn(call.send())
    }
    let body = success("get_api_key").to_string();
    let server = Script::play([Step::response(200, "", body)]).await;
    let client = client_for(&server.url, "k");
    let call = || client.get_api_key("my-app");

    tokio::spawn(call().send()).await.unwrap().unwrap();
    spawned(call()).await.unwrap().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(call().send());
    tasks.join_next().await.unwrap().unwrap().unwrap();
    let joined = futures_util::future::join_all([call().send(), call().send()]).await;
    assert!(joined.into_iter().all(|outcome| outcome.is_ok()));
    assert_eq!(quick(call()).await.unwrap().name, "my-app");
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn expiry_time_accepts_strings_timestamps_and_durations() {
    let body = success("create_api_key").to_string();
    let server = Script::play([Step::response(200, "", body)]).await;
    let client = client_for(&server.url, "k");
    let time = "2030-01-01T00:00:00Z";
    let timestamp: Timestamp = time.parse().unwrap();
    let system = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    client.create_api_key("n").expiry_time(time).await.unwrap();
    client.create_api_key("n").expiry_time(system).await.unwrap();
    client.create_api_key("n").expiry_time(timestamp.to_jiff().unwrap()).await.unwrap();
    client.update_api_key("n").expiry_time(timestamp).await.unwrap();
    for request in server.requests() {
        assert!(request.contains(&format!(r#""expiry_time":"{time}""#)), "{request}");
    }

    let (before, hour) = (jiff::Timestamp::now(), Duration::from_secs(3_600));
    client.update_api_key("n").expires_in(hour).await.unwrap();
    let request = server.requests().pop().unwrap();
    let (_, sent) = request.split_once(r#""expiry_time":""#).unwrap();
    let sent: jiff::Timestamp = sent.split('"').next().unwrap().parse().unwrap();
    assert!(before + hour <= sent && sent <= jiff::Timestamp::now() + hour, "{sent}");

    let count = server.requests().len();
    for (call, reason) in [
        (client.create_api_key("n").expiry_time("tomorrow"), "\"tomorrow\" is not an RFC 3339"),
        (client.create_api_key("n").expires_in(Duration::MAX), ""),
    ] {
        let error = call.await.unwrap_err();
        let beginning = format!("create_api_key: cannot set the expiry time: {reason}");
        assert!(error.is_invalid_input() && error.to_string().starts_with(&beginning), "{error}");
    }
    for received in [serde_json::json!("yesterday"), serde_json::json!({ "seconds": 1 })] {
        let received: Timestamp = serde_json::from_value(received).unwrap();
        let error = client.update_api_key("n").expiry_time(received).await.unwrap_err();
        assert!(error.to_string().contains("is not an RFC 3339"), "{error}");
    }
    let late = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
    assert!(client.update_api_key("n").expiry_time(late).await.unwrap_err().is_invalid_input());
    assert_eq!(server.requests().len(), count);
}
