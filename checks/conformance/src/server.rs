//! The server, called by the vendor's clients, by a fuzzer that knows only the contract, and by
//! this project's client. Each response is compared with the contract: status, headers, body.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use anyhow::{Context as _, Result, ensure};
use rockset_apikeys::generated::operations;
use rockset_apikeys::{Client, KeyState, RetryPolicy};
use rockset_apikeys_server::{ADMIN, Fault, Role, Server};
use tokio::process::Command;

use crate::recorder::{Behind, Exchange, Recorder};
use crate::report::Outcome;
use crate::spec::{Contract, FILE};
use crate::tools::{self, JAVASCRIPT_CLIENT, PYTHON_CLIENT, SCHEMATHESIS, Tools};

const MEMBER: &str = "dev@me.com";

/// How many successes of each operation, and how many cases in all, the fuzzer needs to show
/// something. It reaches at least about twice as many, depending on what succeeds early.
const LEAST_SUCCESSES: usize = 30;
const LEAST_CASES: u32 = 800;

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[PYTHON_CLIENT, JAVASCRIPT_CLIENT, SCHEMATHESIS]);
    let contract = Contract::load();

    let folder = tempfile::tempdir()?;
    let database = format!("sqlite:{}", folder.path().join("keys.db").display());
    let watched = Watched::start(&database).await?;
    let python = tools.python_script("official.py", PYTHON_CLIENT).await?;
    outcome.case("the vendor's Python client", watched.serve(python).await);
    let javascript = tools.node_script("official.mjs", JAVASCRIPT_CLIENT).await?;
    outcome.case("the vendor's JavaScript client", watched.serve(javascript).await);
    outcome.case("our client", our_client(&watched).await);
    outcome.case("each documented error, injected", every_error(&watched, &contract).await);
    outcome.case("errors with headers and limits", special_errors(&watched).await);
    let mut exchanges = watched.recorder.take();
    outcome.case("too many requests", too_many_requests(&mut exchanges).await);
    let sent = |name: &str| {
        let name = name.to_ascii_lowercase();
        exchanges.iter().any(|exchange| exchange.headers.contains_key(&name))
    };
    for name in contract.response_headers() {
        outcome.check(format!("the server sends the documented header {name}"), sent(&name));
    }
    check_responses(&exchanges, &contract, &mut outcome);

    let watched = Watched::start("sqlite::memory:").await?;
    let cases = schemathesis(tools, &watched).await;
    let exchanges = watched.recorder.take();
    if let Ok(cases) = cases {
        outcome.note(format!("Schemathesis generated {cases} cases, with seed 1."));
    }
    let successes = successes(&exchanges, &contract);
    outcome.note(format!("It succeeded this often: {successes:?}."));
    let reached = cases.and_then(|cases| reached_enough(cases, &successes));
    outcome.case("Schemathesis", reached);
    let statuses: BTreeSet<_> = exchanges.iter().map(|exchange| exchange.status).collect();
    outcome.note(format!("It got these statuses: {statuses:?}."));
    check_responses(&exchanges, &contract, &mut outcome);
    Ok(outcome)
}

/// A server with a recorder in front of it.
struct Watched {
    server: Server,
    recorder: Recorder,
}

impl Watched {
    async fn start(database: &str) -> Result<Self> {
        let server =
            Server::builder().database(database).user(MEMBER, Role::Member).start().await?;
        let recorder = Recorder::start(Behind::Server(server.url().to_owned())).await?;
        Ok(Self { server, recorder })
    }

    /// Runs a client's script against the server.
    async fn serve(&self, mut client: Command) -> Result<()> {
        let member = self.server.key(MEMBER).context("the member has no key")?;
        client
            .env("ROCKSET_APISERVER", &self.recorder.url)
            .env("ROCKSET_APIKEY", self.server.admin_key().expose_secret())
            .env("MEMBER_KEY", member.expose_secret());
        tools::run(&mut client).await.map(drop)
    }
}

async fn our_client(watched: &Watched) -> Result<()> {
    let key = watched.server.admin_key().clone();
    let client = Client::builder().api_server(&watched.recorder.url).api_key(key).build()?;
    for name in ["rust", "my key/ü", "a+b&c=d?e#f%20"] {
        let created = client.create_api_key(name).role("member").await?;
        let revealed = client.get_api_key(name).reveal(true).await?;
        ensure!(revealed.key.expose_secret() == created.key.expose_secret(), "another key");
        let keys = client.list_api_keys().user("self").await?;
        ensure!(keys.iter().any(|key| key.name == name), "{name} is not listed");
        let key = client.update_api_key(name).state(KeyState::Suspended).await?;
        ensure!(key.state == Some(KeyState::Suspended), "{name} is not suspended");
        let conflict = client.create_api_key(name).await.err();
        ensure!(conflict.is_some_and(|error| error.is_conflict()), "{name} can be there twice");
        ensure!(client.delete_api_key(name).await?.name == name, "another key was deleted");
        let gone = client.get_api_key(name).await.err();
        ensure!(gone.is_some_and(|error| error.is_not_found()), "{name} is still there");
    }
    Ok(())
}

/// Gets each documented error of each operation once, since the clients get few. They are injected
/// faults, which the server sends as it does all errors.
async fn every_error(watched: &Watched, contract: &Contract) -> Result<()> {
    let http = reqwest::Client::new();
    for operation in contract.operations() {
        let path = operation.path.replace("{user}", "self").replace("{name}", "n");
        let url = format!("{}{path}", watched.recorder.url);
        let method = operation.method.parse::<reqwest::Method>()?;
        for (status, _) in contract.responses(&operation) {
            if status == 200 {
                continue;
            }
            watched.server.inject(Fault::status(status), 1);
            let found = http.request(method.clone(), &url).send().await?.status();
            ensure!(found == status, "{}: {status} arrives as {found}", operation.id);
        }
    }
    Ok(())
}

/// Gets errors that none of the clients causes.
async fn special_errors(watched: &Watched) -> Result<()> {
    let http = reqwest::Client::new();
    let keys = format!("{}/v1/orgs/self/users/self/apikeys", watched.recorder.url);
    let key = watched.server.admin_key().expose_secret();
    let request = |method: reqwest::Method| {
        http.request(method, &keys).header("authorization", format!("ApiKey {key}"))
    };
    let list = request(reqwest::Method::GET).header("accept", "text/html");
    let create = request(reqwest::Method::POST).header("content-type", "application/json");
    let create = create.body(" ".repeat((64 << 10) + 1));
    // The last one closes the connection: the server does not read its body.
    for (due, request) in [(406, list), (405, request(reqwest::Method::PUT)), (413, create)] {
        let found = request.send().await?.status();
        ensure!(found == due, "{due} arrives as {found}");
    }
    Ok(())
}

/// Exceeds the rate limit of another server, and adds what was recorded.
async fn too_many_requests(exchanges: &mut Vec<Exchange>) -> Result<()> {
    let server = Server::builder().rate_limit(NonZeroU32::MIN).start().await?;
    let recorder = Recorder::start(Behind::Server(server.url().to_owned())).await?;
    let client = Client::builder().api_server(&recorder.url).api_key(server.admin_key().clone());
    let client = client.retry_policy(RetryPolicy::never()).build()?;
    client.list_api_keys().await?;
    let error = client.list_api_keys().await.err();
    ensure!(error.is_some_and(|error| error.is_rate_limited()), "the second request succeeds");
    exchanges.extend(recorder.take());
    Ok(())
}

/// Runs the fuzzer on a server with the keys that its hooks know. Returns the number of cases.
async fn schemathesis(tools: &Tools, watched: &Watched) -> Result<u32> {
    let client = Client::builder().api_server(watched.server.url());
    let client = client.api_key(watched.server.admin_key().clone()).build()?;
    for user in [ADMIN, MEMBER] {
        for index in 0..4 {
            client.create_api_key(format!("key-{index}")).created_by(user).await?;
        }
    }
    let commands = tools.python(SCHEMATHESIS).await?;
    let folder = tempfile::tempdir()?;
    let key = watched.server.admin_key().expose_secret();
    let mut command = Command::new(commands.join("schemathesis"));
    command
        .current_dir(folder.path())
        .env("PYTHONPATH", tools.script(""))
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        // The seed alone does not fix the order of Python's sets.
        .env("PYTHONHASHSEED", "0")
        .arg("--config-file")
        .arg(tools.script("schemathesis.toml"))
        .args(["run", "--no-color", "--continue-on-failure", "--seed", "1", "-n", "200"])
        .args(["--url", &watched.recorder.url, "-H", &format!("Authorization: ApiKey {key}")])
        .arg(tools.root().join(FILE));
    let report = tools::run(&mut command).await?;
    let count = operations::ALL.len();
    let all = format!("{count} selected / {count} total");
    ensure!(report.contains(&all), "it did not test {count} operations:\n{report}");
    let cases = report.lines().find_map(|line| line.trim().split_once(" generated"));
    let (cases, _) = cases.with_context(|| format!("it counts no cases:\n{report}"))?;
    Ok(cases.parse()?)
}

/// Counts the successes of each operation, by its id.
fn successes<'a>(exchanges: &[Exchange], contract: &'a Contract) -> BTreeMap<&'a str, usize> {
    let operations = contract.operations();
    let mut successes: BTreeMap<_, _> = operations.iter().map(|it| (it.id, 0)).collect();
    for exchange in exchanges.iter().filter(|exchange| exchange.status == 200) {
        let operations = contract.operations_at(&exchange.path);
        if let Some(operation) = operations.iter().find(|it| it.method == exchange.method) {
            *successes.entry(operation.id).or_default() += 1;
        }
    }
    successes
}

fn reached_enough(cases: u32, successes: &BTreeMap<&str, usize>) -> Result<()> {
    ensure!(cases >= LEAST_CASES, "it made {cases} cases, and not {LEAST_CASES}");
    for (id, count) in successes {
        ensure!(*count >= LEAST_SUCCESSES, "{id} succeeded {count} times");
    }
    Ok(())
}

fn check_responses(exchanges: &[Exchange], contract: &Contract, outcome: &mut Outcome) {
    for exchange in exchanges {
        let Exchange { method, path, status, .. } = exchange;
        outcome.case(format!("{method} {path}, {status}"), contract.check_response(exchange));
    }
}
