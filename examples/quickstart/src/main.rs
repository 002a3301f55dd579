//! Walks through the five operations: creates a key, lists, gets, reveals, suspends, reactivates
//! and deletes it.
//!
//! If `ROCKSET_APIKEY` and `ROCKSET_APISERVER` are set, it calls that server; otherwise it starts a
//! server in memory. It deletes what it creates, and fails if a response is not as expected.
//!
//! Run it with `cargo run -p quickstart`.

use std::error::Error;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use rockset_apikeys::{ApiKey, ApiKeyValue, Client, ErrorKind, KeyState, StatusCode};
use rockset_apikeys_server::Server;

const UNAUTHORIZED: ErrorKind = ErrorKind::Response(StatusCode::UNAUTHORIZED);

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nquickstart: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
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
        return walk_and_clean_up(&client).await;
    }
    let server = Server::start().await?;
    let client =
        Client::builder().api_server(server.url()).api_key(server.admin_key().clone()).build()?;
    println!("Server: {}, in memory, for this run only", client.api_server());
    walk_and_clean_up(&client).await
}

/// Walks through the operations. Deletes the key even if one fails.
async fn walk_and_clean_up(client: &Client) -> Outcome<()> {
    // A new name for each run, so that runs do not disturb each other.
    let name = format!("quickstart-{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos());
    let outcome = walk(client, &name).await;
    if outcome.is_err() {
        // The outcome tells more than a failed clean-up: there may be nothing to delete.
        let _ = client.delete_api_key(&name).await;
    }
    outcome
}

async fn walk(client: &Client, name: &str) -> Outcome<()> {
    let created = client.create_api_key(name).role("member").await?;
    let value = created.key.clone();
    step("create", &created);
    check(value.expose_secret().len() > value.identifier().len(), "create returned no full key")?;

    let keys = client.list_api_keys().await?;
    println!("  list        {} keys", keys.len());
    let listed = keys.iter().find(|key| key.name == name).ok_or("the key is not listed")?;
    check(listed.key.expose_secret() == value.identifier(), "the list has a full key")?;

    let key = client.get_api_key(name).await?;
    step("get", &key);
    check(key.key.expose_secret() == value.identifier(), "get shows the full key")?;

    let key = client.get_api_key(name).reveal(true).await?;
    println!("  reveal      {} (deleted below)", key.key.expose_secret());
    check(key.key.expose_secret() == value.expose_secret(), "reveal returned another key")?;

    let own = with_key(client, &value)?;
    let key = client.update_api_key(name).state(KeyState::Suspended).await?;
    step("suspend", &key);
    check(key.state == Some(KeyState::Suspended), "the key is not suspended")?;
    let error = own.list_api_keys().await.err().ok_or("a suspended key authenticates")?;
    check(error.kind() == UNAUTHORIZED, "the suspended key got another error than 401")?;
    let reason = error.details().and_then(|it| it.message.as_deref()).unwrap_or("no reason given");
    println!("              its requests are rejected: {reason}");

    let key = client.update_api_key(name).state(KeyState::Active).await?;
    step("reactivate", &key);
    check(key.state == Some(KeyState::Active), "the key is not active")?;
    own.list_api_keys().await?;
    println!("              its requests succeed again");

    let deleted = client.delete_api_key(name).await?;
    step("delete", &deleted);
    let missing = client.get_api_key(name).await.err().ok_or("a deleted key can be retrieved")?;
    check(missing.is_not_found(), "the deleted key got another error than 404")?;
    println!("\nAll five operations work as the contract says. What to try next:\n");
    println!("  cargo run -p rockset-apikeys-server -- serve    a server that stays");
    println!("  cargo run --example errors                      how calls fail, and what to do");
    println!("\nREADME.md shows how to use the crate in your own program.");
    Ok(())
}

fn step(operation: &str, key: &ApiKey) {
    let state = key.state.as_ref().map_or("no state", KeyState::as_str);
    let role = key.role.as_deref().unwrap_or("all its owner's roles");
    println!("  {operation:<11} {}  {}…  {state}, {role}", key.name, key.key.identifier());
}

fn check(holds: bool, complaint: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(complaint.into()) }
}

/// Builds a client of the same server that authenticates with another key.
fn with_key(client: &Client, key: &ApiKeyValue) -> Outcome<Client> {
    Ok(Client::builder().api_server(client.api_server()).api_key(key.clone()).build()?)
}
