//! The client against Prism, a mock server that knows only the contract: Prism accepts each
//! request, and each documented error of each operation arrives with its status and all details.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rockset_apikeys::{Client, ClientBuilder, Error, RetryPolicy};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::calls;
use crate::contract::Contract;
use crate::outcome::Outcome;
use crate::recorder::{Exchange, Origin, Recorder, header};
use crate::tools::{PRISM, Tools};

/// The header in which Prism lists how a request violates the contract.
const VIOLATIONS: &str = "sl-violations";

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[PRISM]);
    let (_prism, url) = start(tools).await?;
    let recorder = Recorder::start(Origin::Server(url)).await?;
    let client = builder(&recorder.url).build()?;
    let calls = calls::all();
    for call in &calls {
        let result = call.make(&client).await?.map_err(Into::into);
        let allowed = last(&recorder).and_then(|exchange| is_allowed(&exchange));
        outcome.case(format!("{call:?}"), result.and(allowed));
    }
    for (name, request) in invalid_requests(&recorder.url) {
        request.send().await?;
        outcome.check(format!("Prism rejects {name}"), is_allowed(&last(&recorder)?).is_err());
    }
    let contract = Contract::load();
    for operation in contract.operations() {
        let call = calls.iter().find(|call| call.operation == operation.id);
        let call = call.with_context(|| format!("there is no call of {}", operation.id))?;
        for (status, _) in contract.responses(&operation) {
            if status == 200 {
                continue;
            }
            let prefer = format!("code={status}");
            let client = builder(&recorder.url).default_header("prefer", prefer).build()?;
            let result = call.make(&client).await?;
            let arrives =
                last(&recorder).and_then(|exchange| arrives_as(status, result, &exchange));
            outcome.case(format!("{}, status {status}", operation.id), arrives);
        }
    }
    Ok(outcome)
}

/// Returns the only exchange since the last call.
fn last(recorder: &Recorder) -> Result<Exchange> {
    match <[_; 1]>::try_from(recorder.take()) {
        Ok([exchange]) => Ok(exchange),
        Err(exchanges) => bail!("expected one request, but there are {}", exchanges.len()),
    }
}

/// Fails if the request violates the contract according to Prism.
fn is_allowed(exchange: &Exchange) -> Result<()> {
    match header(&exchange.headers, VIOLATIONS) {
        Some(violations) => bail!("the request violates the contract: {violations}"),
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
        .arg(tools.contract())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("cannot run Prism")?;
    let url = format!("http://127.0.0.1:{port}");
    let responds = async {
        while reqwest::get(&url).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), responds).await.context("Prism does not respond")?;
    Ok((prism, url))
}

/// Returns requests that violate the contract: a check that cannot fail proves nothing.
fn invalid_requests(url: &str) -> [(&'static str, reqwest::RequestBuilder); 4] {
    let http = reqwest::Client::new();
    let keys = format!("{url}/v1/orgs/self/users/self/apikeys");
    let get = |url: &str| http.get(url).header("authorization", "ApiKey any");
    let create = |body: &'static str| {
        let request = http.post(&keys).header("authorization", "ApiKey any");
        request.header("content-type", "application/json").body(body)
    };
    [
        ("a request without a key", http.get(&keys)),
        ("a create request without a name", create("{}")),
        ("a create request with a number as the name", create("{\"name\": 5}")),
        ("an invalid value of reveal", get(&format!("{keys}/n?reveal=maybe"))),
    ]
}

/// Fails unless the call failed with this status and with all details that Prism sent.
fn arrives_as(status: u16, result: Result<(), Error>, exchange: &Exchange) -> Result<()> {
    is_allowed(exchange)?;
    let Err(error) = result else { bail!("the call succeeded") };
    let found = error.status().map(|status| status.as_u16());
    ensure!(found == Some(status), "the status is {found:?}: {error}");
    let sent: Value = serde_json::from_slice(&exchange.response)?;
    let arrived = serde_json::to_value(error.details())?;
    ensure!(arrived == sent, "Prism sent {sent}, but {arrived} arrived");
    Ok(())
}
