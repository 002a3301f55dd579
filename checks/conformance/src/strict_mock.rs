//! The client against Prism, a mock server that knows only the contract: Prism accepts each
//! request, and each documented error of each operation arrives with its status and all details.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Url;
use rockset_apikeys::{Client, ClientBuilder, Error, RetryPolicy};
use serde_json::{Map, Value, json};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::call::Call;
use crate::recorder::{Behind, Exchange, Recorder, header};
use crate::report::Outcome;
use crate::spec::{Contract, FILE};
use crate::tools::{PRISM, Tools};

/// The header in which Prism says how a request violates the contract.
const VIOLATIONS: &str = "sl-violations";

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[PRISM]);
    let (_prism, url) = start(tools).await?;
    let recorder = Recorder::start(Behind::Server(url)).await?;
    let client = builder(&recorder.url).build()?;
    for call in calls() {
        let result = call.make(&client).await?.map_err(Into::into);
        let allowed = last(&recorder).and_then(|exchange| is_allowed(&exchange));
        outcome.case(format!("{call:?}"), result.and(allowed));
    }
    // A check that cannot fail shows nothing.
    for (name, request) in wrong_requests(&recorder.url)? {
        request.send().await?;
        let is_invalid_input = is_allowed(&last(&recorder)?).is_err();
        outcome.check(format!("Prism rejects {name}"), is_invalid_input);
    }
    let contract = Contract::load();
    for operation in contract.operations() {
        for (status, _) in contract.responses(&operation) {
            if status == 200 {
                continue;
            }
            let prefer = format!("code={status}");
            let client = builder(&recorder.url).default_header("prefer", prefer).build()?;
            let call = match operation.id {
                "create_api_key" => Call::creation(json!({ "name": "n" })),
                id => Call::of(id, "self", "n"),
            };
            let result = call.make(&client).await?;
            let arrives =
                last(&recorder).and_then(|exchange| arrives_as(status, result, &exchange));
            outcome.case(format!("{}, status {status}", operation.id), arrives);
        }
    }
    Ok(outcome)
}

/// Returns the only exchange since the last time.
fn last(recorder: &Recorder) -> Result<Exchange> {
    match <[_; 1]>::try_from(recorder.take()) {
        Ok([exchange]) => Ok(exchange),
        Err(exchanges) => bail!("it made {} requests", exchanges.len()),
    }
}

/// Fails with what Prism says if the request violates the contract.
fn is_allowed(exchange: &Exchange) -> Result<()> {
    match header(&exchange.headers, VIOLATIONS) {
        Some(violations) => bail!("the contract does not allow it: {violations}"),
        None => Ok(()),
    }
}

fn builder(url: &str) -> ClientBuilder {
    Client::builder().api_server(url).api_key("any").retry_policy(RetryPolicy::never())
}

/// Starts Prism on a free port, and waits until it responds.
async fn start(tools: &Tools) -> Result<(Child, String)> {
    let modules = tools.npm(PRISM).await?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let prism = Command::new(modules.join(".bin/prism"))
        .args(["mock", "--errors", "--host", "127.0.0.1", "--port", &port.to_string()])
        .arg(tools.root().join(FILE))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("Prism")?;
    let url = format!("http://127.0.0.1:{port}");
    let responds = async {
        while reqwest::get(&url).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), responds).await.context("Prism does not respond")?;
    Ok((prism, url))
}

/// Each operation with and without each parameter.
fn calls() -> Vec<Call> {
    let name = "my key/ü";
    let mut calls = Vec::new();
    for user in ["self", "admin@me.com", "a b/ü"] {
        calls.push(Call::listing(user));
        calls.push(Call::of("delete_api_key", user, name));
        for reveal in [None, Some(false), Some(true)] {
            calls.push(Call { reveal, ..Call::of("get_api_key", user, name) });
        }
    }
    let expiry = json!("2099-01-01T00:00:00Z");
    let creation = [
        ("role", json!("read-only")),
        ("expiry_time", expiry.clone()),
        ("created_by", json!("admin@me.com")),
    ];
    for mut body in subsets(&creation) {
        body.insert("name".to_owned(), json!(name));
        calls.push(Call::creation(body.into()));
    }
    let update = [
        ("state", json!("SUSPENDED")),
        ("expiry_time", expiry),
        ("clear_expiry_time", json!(true)),
    ];
    for body in subsets(&update) {
        calls.push(Call::update("admin@me.com", name, body.into()));
    }
    calls
}

/// Objects with every combination of these fields.
fn subsets(fields: &[(&str, Value)]) -> Vec<Map<String, Value>> {
    let mut subsets = vec![Map::new()];
    for (name, value) in fields {
        let with = subsets.clone().into_iter().map(|mut subset| {
            subset.insert((*name).to_owned(), value.clone());
            subset
        });
        subsets.extend(with.collect::<Vec<_>>());
    }
    subsets
}

/// Requests that violate the contract.
fn wrong_requests(url: &str) -> Result<Vec<(&'static str, reqwest::RequestBuilder)>> {
    let http = reqwest::Client::new();
    let keys = Url::parse(url)?.join("/v1/orgs/self/users/self/apikeys")?;
    let with_key = |request: reqwest::RequestBuilder| request.header("authorization", "ApiKey any");
    let json = |body: &'static str| {
        with_key(http.post(keys.clone())).header("content-type", "application/json").body(body)
    };
    Ok(vec![
        ("a request without a key", http.get(keys.clone())),
        ("a creation without a name", json("{}")),
        ("a creation with a number for a name", json("{\"name\": 5}")),
        ("a retrieval with another value for reveal", {
            with_key(http.get(format!("{keys}/n?reveal=maybe")))
        }),
    ])
}

/// Fails unless the error has this status, and all details that Prism sent.
fn arrives_as(status: u16, outcome: Result<(), Error>, exchange: &Exchange) -> Result<()> {
    is_allowed(exchange)?;
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
    let said: Value = serde_json::from_slice(&exchange.response)?;
    let arrived = serde_json::to_value(error.details())?;
    ensure!(arrived == said, "Prism said {said}, and {arrived} arrived");
    Ok(())
}
