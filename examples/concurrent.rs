//! Makes many calls at once, with a bound on those in flight.
//!
//! Run it with `cargo run --example concurrent`.

use futures_util::{StreamExt, TryStreamExt, stream};
use rockset_apikeys_server::Server;

/// Each call in flight holds a connection; a bound keeps a large batch from flooding the server.
const IN_FLIGHT: usize = 16;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start().await?;
    let client = server.client();

    let created: Vec<_> = stream::iter(0..200)
        .map(|number| client.create_api_key(format!("app-{number}")).role("read-only").send())
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    println!("created {} keys", created.len());

    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..10 {
        tasks.spawn(client.get_api_key(format!("app-{number}")).send());
    }
    while let Some(outcome) = tasks.join_next().await {
        println!("got {}", outcome??.name);
    }

    // Errors do not stop the rest.
    let failed = stream::iter(created)
        .map(|key| client.delete_api_key(key.name).send())
        .buffer_unordered(IN_FLIGHT)
        .filter_map(|outcome| async { outcome.err() })
        .inspect(|error| eprintln!("{error}"))
        .count()
        .await;
    println!("{failed} deletes failed");
    Ok(())
}
