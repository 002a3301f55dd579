//! Spans and events of calls. `tracing` decides once for all threads whether a span is enabled, so
//! these tests run in a separate process, one at a time.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "sdk/script.rs"]
mod script;
#[allow(dead_code)]
#[path = "sdk/support.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rockset_apikeys::generated::operations;
use rockset_apikeys::{Client, RetryPolicy};
use script::{Script, Step};
use support::{Contract, OPERATIONS, call, success};
use tokio::sync::Mutex as AsyncMutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

static SERIAL: AsyncMutex<()> = AsyncMutex::const_new(());

type Fields = BTreeMap<String, String>;

/// A span or an event: its fields, and the name of its parent span.
#[derive(Clone, Debug, Default)]
struct Recorded {
    fields: Fields,
    parent: Option<&'static str>,
    is_closed: bool,
}

/// Records the crate's spans and events.
#[derive(Clone, Default)]
struct Telemetry {
    spans: Arc<Mutex<Vec<(Id, Recorded)>>>,
    events: Arc<Mutex<Vec<Recorded>>>,
}

struct Write<'a>(&'a mut Fields);

impl Visit for Write<'_> {
    fn record_u128(&mut self, field: &Field, _: u128) {
        panic!("{field} has 128 bits, which JSON loggers write as a string");
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Telemetry {
    fn update_span(&self, id: &Id, update: impl FnOnce(&mut Recorded)) {
        let mut spans = self.spans.lock().unwrap();
        if let Some((_, span)) = spans.iter_mut().find(|(other, _)| other == id) {
            update(span);
        }
    }

    /// Returns the only span.
    fn span(&self) -> Recorded {
        let spans = self.spans.lock().unwrap();
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans[0].1.clone()
    }

    fn events(&self) -> Vec<Recorded> {
        self.events.lock().unwrap().clone()
    }

    fn assert_excludes(&self, strings: &[&str]) {
        let recorded = format!("{:?} {:?}", self.span(), self.events());
        assert!(strings.iter().all(|string| !recorded.contains(string)), "{recorded}");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Telemetry {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target().starts_with("rockset_apikeys") {
            let parent = context.span(id).and_then(|span| span.parent()).map(|span| span.name());
            let mut span = Recorded { parent, ..Recorded::default() };
            attributes.record(&mut Write(&mut span.fields));
            self.spans.lock().unwrap().push((id.clone(), span));
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, _: Context<'_, S>) {
        self.update_span(id, |span| record.record(&mut Write(&mut span.fields)));
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.update_span(&id, |span| span.is_closed = true);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target().starts_with("rockset_apikeys") {
            let parent = context.event_span(event).map(|span| span.name());
            let mut recorded = Recorded { parent, ..Recorded::default() };
            event.record(&mut Write(&mut recorded.fields));
            self.events.lock().unwrap().push(recorded);
        }
    }
}

fn client_for(url: &str) -> Client {
    let policy = RetryPolicy::default().backoff(Duration::from_millis(2), Duration::MAX);
    let builder = Client::builder().api_server(url).api_key("CLIENTcanary");
    let builder = builder.attempt_timeout(Duration::from_millis(500));
    builder.retry_policy(policy.max_attempts(3)).build().unwrap()
}

/// Calls this operation on a server that plays these steps. Returns the telemetry and the server's
/// port.
async fn telemetry_of(operation: &str, steps: impl Into<Vec<Step>>) -> (Telemetry, u16) {
    let server = Script::play(steps).await;
    let port = server.url.rsplit_once(':').unwrap().1.parse().unwrap();
    let telemetry = Telemetry::default();
    let _recording = tracing_subscriber::registry().with(telemetry.clone()).set_default();
    let _ = call(&client_for(&server.url), operation).await;
    (telemetry, port)
}

#[tokio::test]
async fn span_has_http_client_attributes() {
    let _serial = SERIAL.lock().await;
    let contract = Contract::load();
    for &id in &*OPERATIONS {
        let response = Step::response(200, "x-trace-id: t-1\r\n", success(id).to_string());
        let (telemetry, port) = telemetry_of(id, [response]).await;
        let operation = contract.operation(id);
        let (method, template) = (&operation.method, operation.path);
        let expected = [
            ("http.request.method", method.clone()),
            ("http.response.status_code", "200".to_owned()),
            ("otel.kind", "client".to_owned()),
            ("otel.name", format!("{method} {template}")),
            ("rockset.operation", id.to_owned()),
            ("rockset.trace_id", "t-1".to_owned()),
            ("server.address", "127.0.0.1".to_owned()),
            ("server.port", port.to_string()),
            ("url.template", template.to_owned()),
        ];
        let expected: Fields = expected.map(|(name, value)| (name.to_owned(), value)).into();
        let span = telemetry.span();
        assert_eq!(span.fields, expected, "{id}");
        assert!(span.is_closed, "{id}");
        assert!(telemetry.events().is_empty(), "{id}");
    }
}

#[tokio::test]
async fn span_of_a_failed_call_has_error_type_and_resend_count() {
    let _serial = SERIAL.lock().await;
    let invalid = Step::response(200, "", "{\"data\": 5}");
    let cut = Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".into());
    for (step, status, error, resends) in [
        (Step::status(404), Some("404"), "404", None),
        (Step::response(302, "location: http://h/\r\n", ""), Some("302"), "302", None),
        (Step::status(503), Some("503"), "503", Some("2")),
        (invalid, Some("200"), "decode", None),
        (cut, Some("200"), "connection", Some("2")),
        (Step::Reset, None, "connection", Some("2")),
        (Step::Hang(Vec::new()), None, "timeout", Some("2")),
    ] {
        let (telemetry, _) = telemetry_of("get_api_key", [step.clone()]).await;
        let span = telemetry.span();
        let field = |name: &str| span.fields.get(name).map(String::as_str);
        assert_eq!(field("http.response.status_code"), status, "{step:?}");
        assert_eq!(field("error.type"), Some(error), "{step:?}");
        assert_eq!(field("otel.status_code"), Some("ERROR"), "{step:?}");
        assert_eq!(field("http.request.resend_count"), resends, "{step:?}");
        assert!(span.is_closed, "{step:?}");
        telemetry.assert_excludes(&["canary", "my-app"]);
    }

    let telemetry = Telemetry::default();
    let recording = tracing_subscriber::registry().with(telemetry.clone()).set_default();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let call = client_for(&format!("http://{free}")).get_api_key("my-app").user("owner@me.com");
    call.await.unwrap_err();
    assert_eq!(telemetry.span().fields["error.type"], "connect");
    telemetry.assert_excludes(&["canary", "my-app", "owner@me.com"]);
    drop(recording);

    let telemetry = Telemetry::default();
    let _recording = tracing_subscriber::registry().with(telemetry.clone()).set_default();
    client_for("http://127.0.0.1:1").get_api_key("..").await.unwrap_err();
    assert_eq!(telemetry.span().fields["error.type"], "invalid_input");
}

#[tokio::test]
async fn span_of_an_error_has_the_trace_id() {
    let _serial = SERIAL.lock().await;
    let response = Step::response(404, "", r#"{"message": "no such key", "trace_id": "t-2"}"#);
    let (telemetry, _) = telemetry_of("get_api_key", [response]).await;
    assert_eq!(telemetry.span().fields["rockset.trace_id"], "t-2");
}

#[tokio::test]
async fn span_of_a_dropped_call_is_cancelled() {
    let _serial = SERIAL.lock().await;
    let server = Script::play([Step::Hang(Vec::new())]).await;
    let telemetry = Telemetry::default();
    let _recording = tracing_subscriber::registry().with(telemetry.clone()).set_default();
    let mut call = client_for(&server.url).get_api_key("my-app").send();
    let poll = std::future::poll_fn(|context| {
        assert!(call.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    });
    poll.await;
    drop(call);
    let span = telemetry.span();
    assert!(span.is_closed);
    assert_eq!(span.fields["error.type"], "cancelled");
    assert_eq!(span.fields["otel.status_code"], "ERROR");
}

#[tokio::test]
async fn retry_is_logged_with_operation_outcome_and_wait() {
    let _serial = SERIAL.lock().await;
    let response = Step::response(200, "", success("get_api_key").to_string());
    let steps = [Step::Reset, Step::status(503), response];
    let (telemetry, _) = telemetry_of("get_api_key", steps).await;
    let span = telemetry.span();
    assert_eq!(span.fields["http.request.resend_count"], "2");
    assert!(!span.fields.contains_key("error.type"), "the call succeeded: {span:?}");
    let events = telemetry.events();
    assert_eq!(events.len(), 2);
    for (event, (attempt, outcome, wait)) in
        events.iter().zip([("1", "the connection failed", 2), ("2", "503 Service Unavailable", 4)])
    {
        let mut fields = event.fields.clone();
        let waited: u64 = fields.remove("wait_ms").unwrap().parse().unwrap();
        assert!(waited <= wait, "{waited} ms");
        let expected = [
            ("attempt", attempt),
            ("message", "retrying"),
            ("operation", "get_api_key"),
            ("outcome", outcome),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields, expected.into());
        assert_eq!(event.parent, Some("rockset_apikeys"));
    }
}

#[tokio::test]
async fn span_is_a_child_of_the_callers_span() {
    let _serial = SERIAL.lock().await;
    let server = Script::play([Step::status(404)]).await;
    let telemetry = Telemetry::default();
    let client = client_for(&server.url);
    {
        let _recording = tracing_subscriber::registry().with(telemetry.clone()).set_default();
        let work = async { client.get_api_key("my-app").await.unwrap_err() };
        tracing::Instrument::instrument(work, tracing::info_span!("work")).await;
        assert_eq!(telemetry.spans.lock().unwrap().pop().unwrap().1.parent, Some("work"));
        let request = client.generated().list_api_keys().user("self");
        let send = || request.clone().send();
        let work = async { client.run(&operations::LIST_API_KEYS, send).await.unwrap_err() };
        tracing::Instrument::instrument(work, tracing::info_span!("work")).await;
        assert_eq!(telemetry.spans.lock().unwrap().pop().unwrap().1.parent, Some("work"));
    }

    // The caller's span declares the same fields, and the crate's spans are filtered out.
    let telemetry = Telemetry::default();
    let filter = tracing_subscriber::filter::filter_fn(|it| it.target() != "rockset_apikeys");
    let subscriber = tracing_subscriber::registry().with(telemetry.clone()).with(filter);
    let _recording = subscriber.set_default();
    let span = tracing::info_span!(
        target: "rockset_apikeys_caller",
        "work",
        http.response.status_code = tracing::field::Empty,
        error.type = tracing::field::Empty,
    );
    let work = async { client.get_api_key("my-app").await.unwrap_err() };
    tracing::Instrument::instrument(work, span).await;
    assert_eq!(telemetry.span().fields, Fields::new());
}

#[cfg(feature = "blocking")]
#[tokio::test]
async fn span_of_a_blocking_call_is_a_child_of_the_callers_span() {
    let _serial = SERIAL.lock().await;
    let server = Script::play([Step::status(404)]).await;
    let client = client_for(&server.url);
    let telemetry = Telemetry::default();
    let layer = telemetry.clone();
    let call = move || {
        let _recording = tracing_subscriber::registry().with(layer).set_default();
        let _work = tracing::info_span!("work").entered();
        client.get_api_key("my-app").send_blocking().unwrap_err()
    };
    tokio::task::spawn_blocking(call).await.unwrap();
    let span = telemetry.span();
    assert_eq!((span.parent, span.is_closed), (Some("work"), true));
}
