//! Overrides the settings of one call, and prints its report.
//!
//! Run it with `cargo run --example one_call`.

use std::time::Duration;

use rockset_apikeys::{Client, ErrorKind, RetryPolicy, StatusCode};
use rockset_apikeys_server::Server;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start().await?;
    let client = Client::builder()
        .api_server(server.url())
        .api_key(server.admin_key().clone())
        .attempt_headers(|headers| {
            headers.insert("x-request-time", jiff::Timestamp::now().as_second().into());
        })
        .build()?;

    let call = client.create_api_key("my-app").expires_in(90 * DAY);
    let (created, report) = call
        .timeout(Duration::from_secs(5))
        .retry_policy(RetryPolicy::never())
        .header("x-change-request", "4711")
        .with_report()
        .await?;
    println!("{} expires {:?}", created.name, created.expiry_time.map(|time| time.to_string()));
    println!(
        "{:?} after {} attempts in {:?}, trace ID {:?}",
        report.status(),
        report.attempts(),
        report.elapsed(),
        report.trace_id()
    );

    if let Err(error) = client.get_api_key("lost").await {
        match error.kind() {
            ErrorKind::Response(StatusCode::NOT_FOUND) => println!("not found"),
            ErrorKind::InvalidInput => println!("nothing was sent: {error}"),
            kind => println!("{kind:?}: {error}"),
        }
        println!("trace ID {:?}", error.report().and_then(|report| report.trace_id()));
    }
    Ok(())
}
