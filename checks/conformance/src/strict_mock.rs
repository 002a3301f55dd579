//! The client against Prism, a mock server that knows only the contract: Prism accepts each
//! request, and the client its response.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rockset_apikeys::{Client, RetryPolicy};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::calls;
use crate::outcome::Outcome;
use crate::recorder::{Exchange, Origin, Recorder, header};
use crate::tools::{PRISM, Tools};

/// The header in which Prism lists how a request violates the contract.
const VIOLATIONS: &str = "sl-violations";

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[PRISM]);
    let (_prism, url) = start(tools).await?;
    let recorder = Recorder::start(Origin::Server(url)).await?;
    let client = Client::builder().api_server(&recorder.url).api_key("any");
    let client = client.retry_policy(RetryPolicy::never()).build()?;
    for call in calls::all() {
        let result = call.make(&client).await?.map_err(Into::into);
        let allowed = last(&recorder).and_then(|exchange| is_allowed(&exchange));
        outcome.case(format!("{call:?}"), result.and(allowed));
    }
    for (name, request) in invalid_requests(&recorder.url) {
        request.send().await?;
        outcome.check(format!("Prism rejects {name}"), is_allowed(&last(&recorder)?).is_err());
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
    match header(exchange.response.headers(), VIOLATIONS) {
        Some(violations) => bail!("the request violates the contract: {violations}"),
        None => Ok(()),
    }
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
