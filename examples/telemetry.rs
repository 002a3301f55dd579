//! Shows what the client reports through `tracing`: a span per call, and an event per retry.
//!
//! Run it with `cargo run --example telemetry`. Attributes have OpenTelemetry's names, so
//! `tracing-opentelemetry` exports the spans as they are.

use rockset_apikeys_server::{Fault, Server};
use tracing_subscriber::fmt::format::FmtSpan;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .init();

    let server = Server::start().await?;
    let client = server.client();

    client.create_api_key("my-app").await?;
    server.inject(Fault::status(503), 1);
    client.get_api_key("my-app").await?;
    let missing = client.get_api_key("lost").await;
    assert!(missing.is_err());
    Ok(())
}
