//! The client against Prism, a mock server that knows nothing but the contract: each request is one
//! that the contract allows, and each documented status arrives as the right error.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Url;
use rockset_apikeys::{Client, ClientBuilder, Error, KeyState, RetryPolicy, Timestamp};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::report::Outcome;
use crate::spec::{CONTRACT, Spec};
use crate::tools::{PRISM, Tools};

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[PRISM]);
    let (_prism, url) = start(tools).await?;
    let client = builder(&url).build()?;
    for (name, call) in calls(&client)? {
        outcome.case(name, call.await.map_err(Into::into));
    }
    // A check that cannot fail is none.
    for (name, request) in wrong_requests(&url)? {
        let status = request.send().await?.status();
        outcome.check(format!("Prism refuses {name}: {status}"), status.is_client_error());
    }
    let spec = Spec::load(tools)?;
    for operation in spec.operations() {
        for (status, _) in spec.responses(&operation).filter(|(status, _)| *status != 200) {
            let prefer = format!("code={status}");
            let client = builder(&url).default_header("prefer", prefer).build()?;
            let outcome_of_call = call(&client, operation.id).await?;
            let holds = arrives_as(status, outcome_of_call);
            outcome.case(format!("{}, status {status}", operation.id), holds);
        }
    }
    Ok(outcome)
}

fn builder(url: &str) -> ClientBuilder {
    Client::builder().api_server(url).api_key("any").retry_policy(RetryPolicy::none())
}

/// Starts Prism on a free port, and waits until it answers.
async fn start(tools: &Tools) -> Result<(Child, String)> {
    let modules = tools.npm(PRISM).await?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let prism = Command::new(modules.join(".bin/prism"))
        .args(["mock", "--errors", "--host", "127.0.0.1", "--port", &port.to_string()])
        .arg(tools.root().join(CONTRACT))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("Prism")?;
    let url = format!("http://127.0.0.1:{port}");
    let answers = async {
        while reqwest::get(&url).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), answers).await.context("Prism does not answer")?;
    Ok((prism, url))
}

type Pending = std::pin::Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// The five operations, with each parameter there and not there.
fn calls(client: &Client) -> Result<Vec<(String, Pending)>> {
    let mut calls: Vec<(String, Pending)> = Vec::new();
    let mut add = |name: String, call: Pending| calls.push((name, call));
    let expiry: Timestamp = "2099-01-01T00:00:00Z".parse()?;
    let choices = [false, true];
    for user in ["self", "admin@me.com", "a b/ü"] {
        let client = client.clone();
        let list = client.list_api_keys().user(user);
        add(format!("list {user}"), Box::pin(async { list.await.map(drop) }));
        let delete = client.delete_api_key("my key/ü").user(user);
        add(format!("delete {user}"), Box::pin(async { delete.await.map(drop) }));
        for reveal in [None, Some(false), Some(true)] {
            let mut get = client.get_api_key("my key/ü").user(user);
            if let Some(reveal) = reveal {
                get = get.reveal(reveal);
            }
            add(format!("get {user}, reveal {reveal:?}"), Box::pin(async { get.await.map(drop) }));
        }
    }
    for (with_role, with_expiry, with_creator) in triples(choices) {
        let mut create = client.create_api_key("my key/ü");
        if with_role {
            create = create.role("read-only");
        }
        if with_expiry {
            create = create.expiry_time(expiry.clone());
        }
        if with_creator {
            create = create.created_by("admin@me.com");
        }
        let name =
            format!("create, role {with_role}, expiry {with_expiry}, creator {with_creator}");
        add(name, Box::pin(async { create.await.map(drop) }));
    }
    for (with_state, with_expiry, with_clear) in triples(choices) {
        let mut update = client.update_api_key("my key/ü").user("admin@me.com");
        if with_state {
            update = update.state(KeyState::Suspended);
        }
        if with_expiry {
            update = update.expiry_time(expiry.clone());
        }
        if with_clear {
            update = update.clear_expiry_time(true);
        }
        let name = format!("update, state {with_state}, expiry {with_expiry}, clear {with_clear}");
        add(name, Box::pin(async { update.await.map(drop) }));
    }
    Ok(calls)
}

fn triples(choices: [bool; 2]) -> impl Iterator<Item = (bool, bool, bool)> {
    choices.into_iter().flat_map(move |first| {
        choices.into_iter().flat_map(move |second| choices.map(|third| (first, second, third)))
    })
}

/// Requests that the contract does not allow.
fn wrong_requests(url: &str) -> Result<Vec<(&'static str, reqwest::RequestBuilder)>> {
    let http = reqwest::Client::new();
    let keys = Url::parse(url)?.join("/v1/orgs/self/users/self/apikeys")?;
    let signed = |request: reqwest::RequestBuilder| request.header("authorization", "ApiKey any");
    let json = |body: &'static str| {
        signed(http.post(keys.clone())).header("content-type", "application/json").body(body)
    };
    Ok(vec![
        ("a request without a key", http.get(keys.clone())),
        ("a creation without a name", json("{}")),
        ("a creation with a number for a name", json("{\"name\": 5}")),
        ("a retrieval that is to reveal something else", {
            signed(http.get(format!("{keys}/n?reveal=maybe")))
        }),
    ])
}

/// Calls the operation with this id.
async fn call(client: &Client, id: &str) -> Result<Result<(), Error>> {
    Ok(match id {
        "create_api_key" => client.create_api_key("n").await.map(drop),
        "list_api_keys" => client.list_api_keys().await.map(drop),
        "get_api_key" => client.get_api_key("n").await.map(drop),
        "update_api_key" => client.update_api_key("n").await.map(drop),
        "delete_api_key" => client.delete_api_key("n").await.map(drop),
        _ => bail!("there is no operation {id}"),
    })
}

/// Fails unless the error is the one of this status, with all that Prism says in its model.
fn arrives_as(status: u16, outcome: Result<(), Error>) -> Result<()> {
    let Err(error) = outcome else { bail!("it is a success") };
    let found = error.status().map(|status| status.as_u16());
    ensure!(found == Some(status), "it arrives as {found:?}: {error}");
    let predicates = [
        (error.is_bad_request(), status == 400),
        (error.is_unauthorized(), status == 401),
        (error.is_forbidden(), status == 403),
        (error.is_not_found(), status == 404),
        (error.is_timeout(), status == 408),
        (error.is_conflict(), status == 409),
        (error.is_rate_limited(), status == 429),
        (error.is_server_error(), status >= 500),
    ];
    ensure!(predicates.iter().all(|(is, should)| is == should), "it is {predicates:?}: {error}");
    let said = [error.message(), error.trace_id(), error.error_id(), error.query_id()];
    ensure!(said.iter().all(Option::is_some), "it lost what was said: {said:?}");
    ensure!(error.error_type().is_some(), "it lost its type");
    ensure!(error.line().is_some() && error.column().is_some(), "it lost its place");
    Ok(())
}
