//! The vendor's Python and JavaScript clients and this one send the same requests for the same
//! calls: method, path, query and body.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use rockset_apikeys::{Client, RetryPolicy};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::calls;
use crate::outcome::Outcome;
use crate::recorder::{Exchange, Origin, Recorder, header};
use crate::tools::{self, JAVASCRIPT_CLIENT, PYTHON_CLIENT, Tools};

const NOTES: [&str; 4] = [
    "The letter case of a boolean in a query is ignored: the Python client writes `True`.",
    "White space and the order of keys in JSON are ignored.",
    "An update that changes nothing is left out: the Python client cannot send it.",
    "An intended difference: the JavaScript client does not encode ! ' ( ) * in a path, and the \
     other two do. Servers decode both to the same name.",
];

/// Characters in a path that the other two clients encode.
const NOT_ENCODED_BY_JAVASCRIPT: [char; 5] = ['!', '\'', '(', ')', '*'];

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[PYTHON_CLIENT, JAVASCRIPT_CLIENT]);
    let mut calls = calls::all();
    calls.retain(|call| call.body != Some(json!({})));
    let file = tools.directory.join("calls.json");
    fs::write(&file, serde_json::to_string(&calls)?)?;

    let recorder = Recorder::start(Origin::Response(success)).await?;
    let run = async |mut command: Command| -> Result<Vec<Exchange>> {
        command.env("ROCKSET_APISERVER", &recorder.url).env("CALLS", &file);
        tools::run(&mut command).await?;
        Ok(recorder.take())
    };
    let python = run(tools.python_script("parity.py", PYTHON_CLIENT).await?).await?;
    let javascript = run(tools.node_script("parity.mjs", JAVASCRIPT_CLIENT).await?).await?;
    let client = Client::builder().api_server(&recorder.url).api_key("any");
    let client = client.retry_policy(RetryPolicy::never()).build()?;
    for call in &calls {
        call.make(&client).await?.with_context(|| format!("{call:?}"))?;
    }
    let ours = recorder.take();

    for (client, recorded) in [("Python", &python), ("JavaScript", &javascript), ("Rust", &ours)] {
        let (count, expected) = (recorded.len(), calls.len());
        outcome
            .check(format!("{client}: {count} requests for {expected} calls"), count == expected);
    }
    for (call, ((ours, python), javascript)) in
        calls.iter().zip(ours.iter().zip(&python).zip(&javascript))
    {
        let name = serde_json::to_string(call)?;
        outcome.case(format!("{name}, Python"), Request::of(ours)?.equals(&Request::of(python)?));
        let mut javascript = Request::of(javascript)?;
        for character in NOT_ENCODED_BY_JAVASCRIPT {
            let encoded = format!("%{:02X}", u32::from(character));
            javascript.path = javascript.path.replace(character, &encoded);
        }
        outcome.case(format!("{name}, JavaScript"), Request::of(ours)?.equals(&javascript));
    }
    outcome.note(format!("Each of the three clients made {} calls.", calls.len()));
    NOTES.into_iter().for_each(|note| outcome.note(note));
    Ok(outcome)
}

/// Returns the body of a success of any operation.
fn success(method: &str, path: &str) -> Value {
    let key = json!({ "name": "n", "key": "aB3dE5" });
    let is_listing = method == "GET" && path.ends_with("/apikeys");
    json!({ "data": if is_listing { json!([key]) } else { key } })
}

/// The parts of a request that are compared.
#[derive(Debug, PartialEq)]
struct Request {
    method: String,
    path: String,
    query: Option<String>,
    media_type: Option<String>,
    body: Option<Value>,
}

impl Request {
    fn of(Exchange { request, .. }: &Exchange) -> Result<Self> {
        let query = request.uri().query();
        let body = (!request.body().is_empty()).then(|| serde_json::from_slice(request.body()));
        Ok(Self {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: query.map(|query| query.replace("=True", "=true").replace("=False", "=false")),
            media_type: header(request.headers(), "content-type").map(str::to_owned),
            body: body.transpose().context("a body is not JSON")?,
        })
    }

    fn equals(&self, other: &Self) -> Result<()> {
        ensure!(self == other, "ours is {self:?}, theirs is {other:?}");
        Ok(())
    }
}
