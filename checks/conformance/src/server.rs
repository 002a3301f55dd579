//! The server, called by the vendor's clients and by a fuzzer that knows only the contract: each
//! response has a status, headers and a body that the contract documents.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use anyhow::{Context as _, Result, ensure};
use axum::body::Bytes;
use axum::http::{HeaderMap, Request};
use reqwest::Method;
use rockset_apikeys::Client;
use rockset_apikeys_server::{ADMIN, Fault, Role, Server, ServerBuilder};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::contract::{Contract, Operation, entries};
use crate::outcome::Outcome;
use crate::recorder::{Exchange, Origin, Recorder, header};
use crate::tools::{self, JAVASCRIPT_CLIENT, PYTHON_CLIENT, SCHEMATHESIS, Tools};

const MEMBER: &str = "dev@me.com";

/// The minimum of the fuzzer's cases, and of its successes with each operation. The numbers depend on
/// which requests succeed early; usually they are 1,100 to 2,600 and at least 50.
const MIN_CASES: u32 = 800;
const MIN_SUCCESSES: usize = 30;

/// Headers of HTTP itself, which a contract does not document.
const OF_HTTP: [&str; 4] = ["content-length", "content-type", "date", "transfer-encoding"];

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[PYTHON_CLIENT, JAVASCRIPT_CLIENT, SCHEMATHESIS]);
    let contract = Contract::load();

    let directory = tempfile::tempdir()?;
    let database = format!("sqlite:{}", directory.path().join("keys.db").display());
    let builder = || Server::builder().user(MEMBER, Role::Member);
    let watched = Watched::start(builder().database(&database)).await?;
    let python = tools.python_script("official.py", PYTHON_CLIENT).await?;
    outcome.case("the vendor's Python client", watched.call(python).await);
    let javascript = tools.node_script("official.mjs", JAVASCRIPT_CLIENT).await?;
    outcome.case("the vendor's JavaScript client", watched.call(javascript).await);
    outcome.case("each documented error", injected_errors(&watched, &contract).await);
    let limited = Watched::start(builder().rate_limit(NonZeroU32::MIN)).await?;
    outcome.case("errors with headers", other_errors(&watched, &limited).await);
    let exchanges = [watched.recorder.take(), limited.recorder.take()].concat();
    for name in documented_headers(&contract) {
        let is_sent = exchanges.iter().any(|it| it.response.headers().contains_key(&name));
        outcome.check(format!("the server sends the documented header {name}"), is_sent);
    }
    check_responses(&exchanges, &contract, &mut outcome);

    let watched = Watched::start(builder()).await?;
    let cases = schemathesis(tools, &watched, contract.operations().len()).await;
    let exchanges = watched.recorder.take();
    let successes = successes(&exchanges, &contract);
    let statuses: BTreeSet<_> = exchanges.iter().map(|it| it.response.status().as_u16()).collect();
    outcome.note(format!(
        "Schemathesis got the statuses {statuses:?}, and these numbers of successes: {successes:?}."
    ));
    outcome.case("Schemathesis", cases.and_then(|cases| check_effort(cases, &successes)));
    check_responses(&exchanges, &contract, &mut outcome);
    Ok(outcome)
}

/// A server behind a recorder.
struct Watched {
    server: Server,
    recorder: Recorder,
}

impl Watched {
    async fn start(builder: ServerBuilder) -> Result<Self> {
        let server = builder.start().await?;
        let recorder = Recorder::start(Origin::Server(server.url().to_owned())).await?;
        Ok(Self { server, recorder })
    }

    /// Runs the script of a client against the server.
    async fn call(&self, mut script: Command) -> Result<()> {
        let member = self.server.key(MEMBER).context("the member has no key")?;
        script
            .env("ROCKSET_APISERVER", &self.recorder.url)
            .env("ROCKSET_APIKEY", self.server.admin_key().expose_secret())
            .env("MEMBER_KEY", member.expose_secret());
        tools::run(&mut script).await.map(drop)
    }
}

/// Requests each documented error of each operation once. The clients cause few of them.
async fn injected_errors(watched: &Watched, contract: &Contract) -> Result<()> {
    let http = reqwest::Client::new();
    for operation in contract.operations() {
        let path = operation.path.replace("{user}", "self").replace("{name}", "n");
        let url = format!("{}{path}", watched.recorder.url);
        let method = operation.method.parse::<Method>()?;
        for (status, _) in contract.responses(&operation).into_iter().filter(|it| it.0 != 200) {
            watched.server.inject(Fault::status(status), 1);
            let found = http.request(method.clone(), &url).send().await?.status();
            ensure!(found == status, "{}: {status} arrives as {found}", operation.id);
        }
    }
    Ok(())
}

/// Causes errors that neither the clients nor the fuzzer cause. One of the servers has a rate limit.
async fn other_errors(watched: &Watched, limited: &Watched) -> Result<()> {
    let json = ("content-type", "application/json");
    let large = " ".repeat((64 << 10) + 1);
    for (watched, method, (header, value), body, expected) in [
        (watched, Method::GET, ("accept", "text/html"), "", 406),
        (watched, Method::PUT, json, "", 405),
        // Closes the connection: the server does not read the body.
        (watched, Method::POST, json, &large, 413),
        (limited, Method::GET, json, "", 200),
        (limited, Method::GET, json, "", 429),
    ] {
        let keys = format!("{}/v1/orgs/self/users/self/apikeys", watched.recorder.url);
        let key = format!("ApiKey {}", watched.server.admin_key().expose_secret());
        let request = reqwest::Client::new().request(method, keys).header("authorization", key);
        let response = request.header(header, value).body(body.to_owned()).send().await?;
        let found = response.status();
        ensure!(found == expected, "expected {expected}, but got {found}");
    }
    Ok(())
}

/// Runs the fuzzer on a server with the keys that its hooks use. Returns the number of cases.
async fn schemathesis(tools: &Tools, watched: &Watched, operations: usize) -> Result<u32> {
    let key = watched.server.admin_key();
    let client = Client::builder().api_server(watched.server.url()).api_key(key.clone()).build()?;
    for user in [ADMIN, MEMBER] {
        for index in 0..4 {
            client.create_api_key(format!("key-{index}")).created_by(user).await?;
        }
    }
    let directory = tempfile::tempdir()?;
    let authorization = format!("Authorization: ApiKey {}", key.expose_secret());
    let mut command = Command::new(tools.python(SCHEMATHESIS).await?.join("schemathesis"));
    command
        .current_dir(directory.path())
        .env("PYTHONPATH", tools.script(""))
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        // The seed does not determine the order of Python's sets.
        .env("PYTHONHASHSEED", "0")
        .arg("--config-file")
        .arg(tools.script("schemathesis.toml"))
        .args(["run", "--no-color", "--continue-on-failure", "--seed", "1", "-n", "200"])
        .args(["--url", &watched.recorder.url, "-H", &authorization])
        .arg(tools.contract());
    let report = tools::run(&mut command).await?;
    let all = format!("{operations} selected / {operations} total");
    ensure!(report.contains(&all), "it did not test {operations} operations:\n{report}");
    let cases = report.lines().find_map(|line| line.trim().split_once(" generated"));
    let (cases, _) = cases.with_context(|| format!("it reports no number of cases:\n{report}"))?;
    Ok(cases.parse()?)
}

/// Counts the successes of each operation.
fn successes<'a>(exchanges: &[Exchange], contract: &'a Contract) -> BTreeMap<&'a str, usize> {
    let count = |id: &str| {
        let is_success = |Exchange { request, response }: &&Exchange| {
            let operation = operation_of(contract, request);
            response.status() == 200 && operation.is_some_and(|operation| operation.id == id)
        };
        exchanges.iter().filter(is_success).count()
    };
    contract.operations().iter().map(|operation| (operation.id, count(operation.id))).collect()
}

fn check_effort(cases: u32, successes: &BTreeMap<&str, usize>) -> Result<()> {
    ensure!(cases >= MIN_CASES, "there are {cases} cases, expected {MIN_CASES}");
    for (id, count) in successes {
        ensure!(*count >= MIN_SUCCESSES, "{id} succeeded {count} times, expected {MIN_SUCCESSES}");
    }
    Ok(())
}

/// Returns the names of all headers that responses document.
fn documented_headers(contract: &Contract) -> BTreeSet<String> {
    let operations = contract.operations();
    let responses = operations.iter().flat_map(|operation| contract.responses(operation));
    responses.flat_map(|(_, it)| entries(&it["headers"]).map(|(name, _)| name.clone())).collect()
}

fn check_responses(exchanges: &[Exchange], contract: &Contract, outcome: &mut Outcome) {
    for exchange in exchanges {
        let Exchange { request, response } = exchange;
        let name = format!("{} {}, {}", request.method(), request.uri(), response.status());
        outcome.case(name, check_response(exchange, contract));
    }
}

/// Returns the operation that a request calls.
fn operation_of<'a>(contract: &'a Contract, request: &Request<Bytes>) -> Option<Operation<'a>> {
    let mut operations = contract.operations_at(request.uri().path()).into_iter();
    operations.find(|operation| operation.method == request.method().as_str())
}

/// Fails if the contract does not document the response to the request.
///
/// Without an operation for the request, the response must be a 404 or 405 with an error model.
fn check_response(Exchange { request, response }: &Exchange, contract: &Contract) -> Result<()> {
    let (status, headers) = (response.status().as_u16(), response.headers());
    let documented = match operation_of(contract, request) {
        Some(operation) => {
            let documented = contract.resolve(&operation.node["responses"][status.to_string()]);
            ensure!(documented.is_object(), "{} does not document {status}", operation.id);
            documented
        }
        None => {
            let has_path = !contract.operations_at(request.uri().path()).is_empty();
            let (expected, name) = if has_path { (405, "NotAllowed") } else { (404, "NotFound") };
            ensure!(status == expected, "the contract has no operation; expected {expected}");
            &contract.0["components"]["responses"][name]
        }
    };
    let media = header(headers, "content-type").unwrap_or_default();
    ensure!(media == "application/json", "the media type is {media:?}");
    check_headers(headers, documented, contract)?;
    let body: Value = serde_json::from_slice(response.body()).context("the body is not JSON")?;
    let schema = &documented["content"]["application/json"]["schema"];
    let errors = contract.mismatches(schema, &body)?;
    ensure!(errors.is_empty(), "the body does not match the schema: {}", errors.join("; "));
    let trace_id = header(headers, "x-trace-id");
    ensure!(trace_id.is_some(), "there is no x-trace-id");
    let is_same = status == 200 || body["trace_id"].as_str() == trace_id;
    ensure!(is_same, "the trace_id of the body is not x-trace-id");
    Ok(())
}

/// Fails if a header is not documented, or its value does not match its schema.
fn check_headers(headers: &HeaderMap, response: &Value, contract: &Contract) -> Result<()> {
    for name in headers.keys().filter(|name| !OF_HTTP.contains(&name.as_str())) {
        let documented = entries(&response["headers"]).find(|(it, _)| *name == it.as_str());
        let (_, documented) = documented.with_context(|| format!("{name} is not documented"))?;
        let schema = &contract.resolve(documented)["schema"];
        let text = header(headers, name.as_str()).unwrap_or_default();
        let value = match schema["type"].as_str() {
            Some("integer") => json!(text.parse::<i64>().with_context(|| name.to_string())?),
            _ => json!(text),
        };
        ensure!(contract.validator(schema)?.is_valid(&value), "{name} is {text:?}");
    }
    Ok(())
}
