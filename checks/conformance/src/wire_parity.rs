//! The vendor's Python and JavaScript clients and this project's send the same requests for the
//! same calls: method, path, query and body, as recorded.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use rockset_apikeys::{Client, RetryPolicy};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::call::Call;
use crate::recorder::{Behind, Exchange, Recorder};
use crate::report::Outcome;
use crate::tools::{self, JAVASCRIPT_CLIENT, PYTHON_CLIENT, Tools};

/// Differences that do not count.
const NORMALIZATIONS: [&str; 2] = [
    "The letter case of a boolean in a query does not count: the Python client writes `True`.",
    "In JSON, white space and the order of keys do not count.",
];

/// Characters in a path that the other two clients encode.
const NOT_ENCODED_BY_JAVASCRIPT: [char; 5] = ['!', '\'', '(', ')', '*'];

/// Names and users that need percent-encoding, or look as if they did.
const ODD: [&str; 24] = [
    "my-app",
    "my key",
    "a/b",
    "a+b",
    "a&b=c",
    "100%",
    "%2F",
    "#1",
    "what?",
    "ü",
    "日本",
    "🔑",
    "admin@me.com",
    "\"quoted\"",
    "back\\slash",
    "a;b",
    "a:b",
    "a,b",
    "[a]{b}|c",
    "<a>^`",
    "a~b_c.d",
    "$HOME",
    "...",
    "wow! (it's *)",
];

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[PYTHON_CLIENT, JAVASCRIPT_CLIENT]);
    let calls = calls();
    let file = tools.folder().join("calls.json");
    fs::write(&file, serde_json::to_string(&calls)?)?;

    let recorder = Recorder::start(Behind::Response(success)).await?;
    let run = async |mut command: Command| -> Result<Vec<Exchange>> {
        command.env("ROCKSET_APISERVER", &recorder.url).env("CALLS", &file);
        tools::run(&mut command).await?;
        Ok(recorder.take())
    };
    let by_python = run(tools.python_script("parity.py", PYTHON_CLIENT).await?).await?;
    let by_javascript = run(tools.node_script("parity.mjs", JAVASCRIPT_CLIENT).await?).await?;
    let client = Client::builder().api_server(&recorder.url).api_key("any");
    let client = client.retry_policy(RetryPolicy::never()).build()?;
    for call in &calls {
        call.make(&client).await?.with_context(|| format!("our client, {call:?}"))?;
    }
    let by_us = recorder.take();

    for (whose, recorded) in
        [("Python", &by_python), ("JavaScript", &by_javascript), ("we", &by_us)]
    {
        let count = recorded.len();
        outcome.check(format!("{whose}: {count} requests for {} calls", calls.len()), {
            count == calls.len()
        });
    }
    let recorded = by_us.iter().zip(&by_python).zip(&by_javascript);
    for (call, ((ours, python), javascript)) in calls.iter().zip(recorded) {
        let name = serde_json::to_string(call)?;
        outcome.case(format!("{name}, Python"), Request::of(ours)?.equals(Request::of(python)?));
        let mut javascript = Request::of(javascript)?;
        if has_in_path(call, &NOT_ENCODED_BY_JAVASCRIPT) {
            let path = javascript.path.replace(NOT_ENCODED_BY_JAVASCRIPT, "");
            outcome.check(format!("{name}, JavaScript encodes less"), path != javascript.path);
            javascript.encode(&NOT_ENCODED_BY_JAVASCRIPT);
        }
        outcome.case(format!("{name}, JavaScript"), Request::of(ours)?.equals(javascript));
    }
    outcome.note(format!("{} calls were made by each of the three clients.", calls.len()));
    for text in NORMALIZATIONS {
        outcome.note(text);
    }
    outcome.note(
        "An update that changes nothing is not among them: the Python client cannot make it.",
    );
    outcome.note(
        "An intended difference: the JavaScript client does not encode ! ' ( ) * in a path; the \
         other two do. Servers decode both to the same name.",
    );
    Ok(outcome)
}

/// Every operation with each of these names and users, and every parameter.
fn calls() -> Vec<Call> {
    let mut calls = Vec::new();
    let others = ODD.into_iter().cycle().skip(7);
    let reveals = [None, Some(false), Some(true)].into_iter().cycle();
    // The user differs from the name, so that a swap of the two is noticed.
    for ((name, user), reveal) in ODD.into_iter().zip(others).zip(reveals) {
        calls.push(Call::creation(json!({ "name": name, "created_by": user })));
        calls.push(Call::listing(user));
        calls.push(Call { reveal, ..Call::of("get_api_key", user, name) });
        calls.push(Call::update(user, name, json!({ "state": "SUSPENDED" })));
        calls.push(Call::of("delete_api_key", user, name));
    }
    let expiry = "2099-01-01T00:00:00Z";
    for body in [
        json!({ "name": "n" }),
        json!({ "name": "n", "role": "read-only" }),
        json!({ "name": "n", "expiry_time": expiry }),
        json!({ "name": "n", "role": "member", "expiry_time": expiry, "created_by": "dev@me.com" }),
    ] {
        calls.push(Call::creation(body));
    }
    for body in [
        json!({ "state": "ACTIVE" }),
        json!({ "expiry_time": expiry }),
        json!({ "clear_expiry_time": true }),
        json!({ "state": "ACTIVE", "clear_expiry_time": false }),
    ] {
        calls.push(Call::update("self", "n", body));
    }
    calls
}

/// Returns the body of a success of any operation.
fn success(method: &str, path: &str) -> Value {
    let key = json!({ "name": "n", "key": "aB3dE5" });
    let is_listing = method == "GET" && path.ends_with("/apikeys");
    json!({ "data": if is_listing { json!([key]) } else { key } })
}

/// Whether the user or the name, which are in the path, has one of these characters.
fn has_in_path(call: &Call, characters: &[char]) -> bool {
    [&call.user, &call.name].into_iter().flatten().any(|text| text.contains(characters))
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
    fn of(exchange: &Exchange) -> Result<Self> {
        let body = (!exchange.request.is_empty())
            .then(|| serde_json::from_slice(&exchange.request).context("a body is not JSON"));
        let query = exchange
            .query
            .as_ref()
            .map(|query| query.replace("=True", "=true").replace("=False", "=false"));
        Ok(Self {
            method: exchange.method.clone(),
            path: exchange.path.clone(),
            query,
            media_type: exchange.request_type.clone(),
            body: body.transpose()?,
        })
    }

    /// Encodes these characters in the path.
    fn encode(&mut self, characters: &[char]) {
        for &character in characters {
            let encoded = format!("%{:02X}", u32::from(character));
            self.path = self.path.replace(character, &encoded);
        }
    }

    fn equals(self, other: Self) -> Result<()> {
        ensure!(self == other, "ours is {self:?}, theirs is {other:?}");
        Ok(())
    }
}
