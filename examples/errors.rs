//! Classifies and handles errors, and prints their messages.
//!
//! Run it with `cargo run --example errors`.

use rockset_apikeys::{Client, Error, RetryPolicy};
use rockset_apikeys_server::{Fault, Server};

/// Creates a key. Returns a message that describes the outcome.
async fn create(client: &Client, name: &str) -> Result<String, Error> {
    match client.create_api_key(name).role("read-only").await {
        Ok(key) => Ok(format!("created {}", key.name)),
        Err(error) if error.is_conflict() => Ok(format!("{name} exists")),
        Err(error) if error.is_ambiguous() => Ok(format!("look {name} up: {error}")),
        Err(error) if error.is_retryable() => Ok(format!("try again later: {error}")),
        Err(error) => Err(error),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start().await?;
    let client = Client::builder()
        .api_server(server.url())
        .api_key(server.admin_key().clone())
        .retry_policy(RetryPolicy::never())
        .build()?;

    println!("{}", create(&client, "my-app").await?);
    println!("{}", create(&client, "my-app").await?);

    // The connection fails before the response arrives, so the outcome is ambiguous.
    server.inject(Fault::drop_connection(), 1);
    println!("{}", create(&client, "other").await?);

    server.inject(Fault::status(429), 1);
    println!("{}", create(&client, "third").await?);

    // Invalid input is rejected before sending.
    if let Err(error) = create(&client, "").await {
        println!("{error}");
        assert!(error.is_invalid_input() && error.attempts() == 0);
    }

    // The server's error model, and the trace ID to look up in the server log.
    if let Err(error) = client.get_api_key("lost").await
        && let Some(details) = error.details()
    {
        println!("{error}");
        println!("{:?}, type {:?}", error.kind(), details.type_);
        println!("trace ID {:?}", details.trace_id);
    }
    Ok(())
}
