//! Runs all five operations: creates, lists, reveals, suspends and deletes a key.
//!
//! If `ROCKSET_APIKEY` and `ROCKSET_APISERVER` are set, it calls that server; otherwise it starts
//! an in-memory server. It deletes the key, and fails if a response is not as expected.
//!
//! Run it with `cargo run -p quickstart`.

use std::error::Error;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use rockset_apikeys::{ApiKey, ApiKeyValue, Client, ErrorKind, KeyState, StatusCode};
use rockset_apikeys_server::Server;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nquickstart: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  caused by: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Outcome<()> {
    let is_set = |variable: &str| std::env::var_os(variable).is_some();
    if is_set("ROCKSET_APIKEY") || is_set("ROCKSET_APISERVER") {
        let client = Client::from_env()?;
        println!("Server: {}, from the environment", client.api_server());
        return run_and_clean_up(&client).await;
    }
    let server = Server::start().await?;
    let client =
        Client::builder().api_server(server.url()).api_key(server.admin_key().clone()).build()?;
    println!("Server: {}, in memory, for this run only", client.api_server());
    run_and_clean_up(&client).await
}

/// Runs the operations. Deletes the key even if one fails.
async fn run_and_clean_up(client: &Client) -> Outcome<()> {
    // A unique name, so that concurrent runs do not conflict.
    let name = format!("quickstart-{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos());
    let outcome = run_operations(client, &name).await;
    if outcome.is_err() {
        // Ignored, because the key may not exist and the outcome is more helpful.
        let _ = client.delete_api_key(&name).await;
    }
    outcome
}

async fn run_operations(client: &Client, name: &str) -> Outcome<()> {
    let created = client.create_api_key(name).role("member").await?;
    let value = created.key.clone();
    print("create", &created);
    check(value.expose_secret().len() > value.identifier().len(), "create returned no full key")?;

    let keys = client.list_api_keys().await?;
    println!("  list        {} keys", keys.len());
    let listed = keys.iter().find(|key| key.name == name).ok_or("the key is not listed")?;
    check(listed.key.expose_secret() == value.identifier(), "the list contains a full key")?;

    let key = client.get_api_key(name).await?;
    print("get", &key);
    check(key.key.expose_secret() == value.identifier(), "get returned the full key")?;

    let key = client.get_api_key(name).reveal(true).await?;
    println!("  reveal      {} (deleted below)", key.key.expose_secret());
    check(key.key.expose_secret() == value.expose_secret(), "reveal returned another key")?;

    let new_client = with_key(client, &value)?;
    let key = client.update_api_key(name).state(KeyState::Suspended).await?;
    print("suspend", &key);
    check(key.state == Some(KeyState::Suspended), "the key is not suspended")?;
    let error = new_client.list_api_keys().await.err().ok_or("a suspended key authenticates")?;
    let is_unauthorized = error.kind() == ErrorKind::Response(StatusCode::UNAUTHORIZED);
    check(is_unauthorized, "the suspended key did not get 401")?;
    let reason = error.details().and_then(|it| it.message.as_deref()).unwrap_or("no message");
    println!("              its requests are rejected: {reason}");

    let key = client.update_api_key(name).state(KeyState::Active).await?;
    print("reactivate", &key);
    check(key.state == Some(KeyState::Active), "the key is not active")?;
    new_client.list_api_keys().await?;
    println!("              its requests succeed again");

    let deleted = client.delete_api_key(name).await?;
    print("delete", &deleted);
    let error = client.get_api_key(name).await.err().ok_or("get returned the deleted key")?;
    check(error.is_not_found(), "the deleted key did not get 404")?;
    println!("\nAll five operations work. What to try next:\n");
    println!("  cargo run -p rockset-apikeys-server -- serve    starts a server");
    println!("  cargo run --example errors                      classifies and handles errors");
    println!("\nSee README.md for how to use the crate in your program.");
    Ok(())
}

fn print(operation: &str, key: &ApiKey) {
    let state = key.state.as_ref().map_or("no state", KeyState::as_str);
    let role = key.role.as_deref().unwrap_or("all its owner's roles");
    println!("  {operation:<11} {}  {}…  {state}, {role}", key.name, key.key.identifier());
}

fn check(is_expected: bool, message: &str) -> Outcome<()> {
    if is_expected { Ok(()) } else { Err(message.into()) }
}

/// Builds a client of the same server that authenticates with another key.
fn with_key(client: &Client, key: &ApiKeyValue) -> Outcome<Client> {
    Ok(Client::builder().api_server(client.api_server()).api_key(key.clone()).build()?)
}
