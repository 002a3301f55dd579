//! Propagates an OpenTelemetry trace from the program to the server.
//!
//! Run it with `cargo run --example opentelemetry`. A real program would also add an exporter to
//! the tracer provider, and propagate the context with `opentelemetry-http`.

use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rockset_apikeys::reqwest::header::{HeaderMap, HeaderName};
use rockset_apikeys::{Client, Error};
use rockset_apikeys_server::Server;
use tracing::{Instrument, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, name: &str, value: String) {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            self.0.insert(name, value);
        }
    }
}

/// Adds `traceparent`, which identifies the call's span, to each attempt.
fn propagate(headers: &mut HeaderMap) {
    let context = Span::current().context();
    TraceContextPropagator::new().inject_context(&context, &mut Headers(headers));
}

/// Sends a request in a span of the program. Returns the trace ID.
async fn work(client: &Client) -> Result<String, Error> {
    client.create_api_key("my-app").await?;
    let context = Span::current().context();
    Ok(context.span().span_context().trace_id().to_string())
}

/// Exports spans to OpenTelemetry, and writes events to the log.
fn subscriber(
    log: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> impl tracing::Subscriber + Send + Sync {
    let tracer = SdkTracerProvider::builder().build().tracer("my-program");
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(log).with_ansi(false).without_time())
        .with(tracing_opentelemetry::layer().with_tracer(tracer))
        .with(LevelFilter::INFO)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing::subscriber::set_global_default(subscriber(std::io::stdout))?;
    let server = Server::start().await?;
    let client = Client::builder()
        .api_server(server.url())
        .api_key(server.admin_key().clone())
        .attempt_headers(propagate)
        .build()?;

    let trace_id = work(&client).instrument(info_span!("my_program")).await?;
    println!("trace ID {trace_id}");
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn trace_continues_to_the_server_log() {
        let log = Log::default();
        let writer = log.clone();
        let _subscriber = tracing::subscriber::set_default(subscriber(move || writer.clone()));
        let server = Server::start().await.unwrap();
        let builder = Client::builder().api_server(server.url());
        let builder = builder.api_key(server.admin_key().clone()).attempt_headers(propagate);
        let client = builder.build().unwrap();

        let trace_id = work(&client).instrument(info_span!("my_program")).await.unwrap();
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let line = log.lines().find(|line| line.contains("method=\"POST\"")).unwrap();
        assert!(line.contains(&format!("parent_trace_id=\"{trace_id}\"")), "{trace_id}: {line}");
    }
}
