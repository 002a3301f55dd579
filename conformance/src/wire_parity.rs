//! What the vendor's Python and JavaScript clients and ours put on the wire for the same calls:
//! method, path, query and body, as a recorder gets them.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use rockset_apikeys::{Client, KeyState, RetryPolicy, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::recorder::{Behind, Exchange, Recorder};
use crate::report::Outcome;
use crate::tools::{self, JAVASCRIPT_CLIENT, PYTHON_CLIENT, Tools};

/// What is taken for equal.
const NORMALIZATIONS: [&str; 2] = [
    "The letter case of a boolean in a query does not count: the Python client writes `True`.",
    "In JSON, white space and the order of keys do not count.",
];

/// What the JavaScript client leaves as it is in a path, and the two others encode.
const NOT_ENCODED_BY_JAVASCRIPT: [char; 5] = ['!', '\'', '(', ')', '*'];

/// Names and users that need encoding, or look as if they did.
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

/// A call, as the scripts of the other languages read it.
#[derive(Default, Serialize)]
struct Call {
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reveal: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
}

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[PYTHON_CLIENT, JAVASCRIPT_CLIENT]);
    let python = tools.python(PYTHON_CLIENT).await?.join("python");
    let modules = tools.npm(JAVASCRIPT_CLIENT).await?;
    let calls = calls();
    let file = tools.folder().join("calls.json");
    fs::write(&file, serde_json::to_string(&calls)?)?;

    let recorder = Recorder::start(Behind::Answer(answer)).await?;
    let run = async |command: &mut Command| -> Result<Vec<Exchange>> {
        command.env("ROCKSET_APISERVER", &recorder.url).env("CALLS", &file);
        tools::run(command).await?;
        Ok(recorder.take())
    };
    let mut script = Command::new(python);
    let by_python = run(script.arg(tools.script("parity.py"))).await?;
    let mut script = Command::new("node");
    script.arg(tools.script("parity.mjs")).env("MODULES", modules.join("_"));
    let by_javascript = run(&mut script).await?;
    let client = Client::builder().api_server(&recorder.url).api_key("any");
    let client = client.retry_policy(RetryPolicy::none()).build()?;
    for call in &calls {
        call.by_us(&client).await?;
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
        if call.has_in_path(&NOT_ENCODED_BY_JAVASCRIPT) {
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
        "A difference that is listed: the JavaScript client leaves ! ' ( ) * as they are in a path, \
         where the Python client and ours encode them; servers decode both to the same name.",
    );
    Ok(outcome)
}

/// Every operation with every odd name and user, and every parameter.
fn calls() -> Vec<Call> {
    let mut calls = Vec::new();
    for (index, odd) in ODD.into_iter().enumerate() {
        // Names and users are odd in turns, so that one cannot stand for the other.
        let other = ODD.iter().cycle().nth(index + 7).copied().unwrap_or_default();
        let of = |operation| Call {
            operation,
            user: Some(other.to_owned()),
            name: Some(odd.to_owned()),
            ..Call::default()
        };
        calls.push(Call { name: None, user: Some(odd.to_owned()), ..of("list_api_keys") });
        let reveal = [None, Some(false), Some(true)].into_iter().cycle().nth(index).flatten();
        calls.push(Call { reveal, ..of("get_api_key") });
        calls.push(Call { body: Some(json!({ "state": "SUSPENDED" })), ..of("update_api_key") });
        calls.push(of("delete_api_key"));
        let body = Some(json!({ "name": odd, "created_by": other }));
        calls.push(Call { operation: "create_api_key", body, ..Call::default() });
    }
    let expiry = "2099-01-01T00:00:00Z";
    for body in [
        json!({ "name": "n" }),
        json!({ "name": "n", "role": "read-only" }),
        json!({ "name": "n", "expiry_time": expiry }),
        json!({ "name": "n", "role": "member", "expiry_time": expiry, "created_by": "dev@me.com" }),
    ] {
        calls.push(Call { operation: "create_api_key", body: Some(body), ..Call::default() });
    }
    for body in [
        json!({ "state": "ACTIVE" }),
        json!({ "expiry_time": expiry }),
        json!({ "clear_expiry_time": true }),
        json!({ "state": "ACTIVE", "clear_expiry_time": false }),
    ] {
        let (user, name) = (Some("self".to_owned()), Some("n".to_owned()));
        let operation = "update_api_key";
        calls.push(Call { operation, user, name, body: Some(body), ..Call::default() });
    }
    calls
}

/// A success for whatever is asked.
fn answer(method: &str, path: &str) -> Value {
    let key = json!({ "name": "n", "key": "aB3dE5" });
    let is_listing = method == "GET" && path.ends_with("/apikeys");
    json!({ "data": if is_listing { json!([key]) } else { key } })
}

impl Call {
    /// Makes the call with our client.
    async fn by_us(&self, client: &Client) -> Result<()> {
        let user = self.user.as_deref().unwrap_or_default();
        let name = self.name.as_deref().unwrap_or_default();
        let body = self.body.as_ref();
        let text = |field: &str| body.and_then(|body| body[field].as_str());
        let expiry = text("expiry_time").map(str::parse::<Timestamp>).transpose()?;
        match self.operation {
            "create_api_key" => {
                let mut call = client.create_api_key(text("name").unwrap_or_default());
                if let Some(role) = text("role") {
                    call = call.role(role);
                }
                if let Some(expiry) = expiry {
                    call = call.expiry_time(expiry);
                }
                if let Some(user) = text("created_by") {
                    call = call.created_by(user);
                }
                call.await.map(drop)
            }
            "list_api_keys" => client.list_api_keys().user(user).await.map(drop),
            "get_api_key" => {
                let mut call = client.get_api_key(name).user(user);
                if let Some(reveal) = self.reveal {
                    call = call.reveal(reveal);
                }
                call.await.map(drop)
            }
            "update_api_key" => {
                let mut call = client.update_api_key(name).user(user);
                if let Some(state) = text("state") {
                    call = call.state(KeyState::from(state));
                }
                if let Some(expiry) = expiry {
                    call = call.expiry_time(expiry);
                }
                if let Some(clear) = body.and_then(|body| body["clear_expiry_time"].as_bool()) {
                    call = call.clear_expiry_time(clear);
                }
                call.await.map(drop)
            }
            _ => client.delete_api_key(name).user(user).await.map(drop),
        }
        .with_context(|| format!("our client, {}", self.operation))
    }

    /// Whether the path has one of these characters, not encoded.
    fn has_in_path(&self, characters: &[char]) -> bool {
        [&self.user, &self.name].into_iter().flatten().any(|text| text.contains(characters))
    }
}

/// A request as it is compared.
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
            .then(|| serde_json::from_slice(&exchange.request).context("a body is no JSON"));
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
