//! The server, to clients that nobody here wrote: the vendor's, a fuzzer that knows nothing but the
//! contract, and ours. Each answer that it gives is checked against the contract.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use rockset_apikeys::{Client, KeyState};
use rockset_apikeys_server::{Fault, Role, Server};
use tokio::process::Command;

use crate::recorder::{Behind, Exchange, Recorder};
use crate::report::Outcome;
use crate::spec::{CONTRACT, Spec};
use crate::tools::{self, JAVASCRIPT_CLIENT, PYTHON_CLIENT, SCHEMATHESIS, Tools};

const MEMBER: &str = "dev@me.com";

/// What the fuzzer has to reach of each operation for its silence to mean something.
const LEAST_SUCCESSES: usize = 50;
const LEAST_CASES: u32 = 1_000;

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[PYTHON_CLIENT, JAVASCRIPT_CLIENT, SCHEMATHESIS]);
    let spec = Spec::load(tools)?;

    let folder = tempfile::tempdir()?;
    let database = format!("sqlite:{}", folder.path().join("keys.db").display());
    let watched = Watched::start(&database).await?;
    let python = tools.python_script("official.py", PYTHON_CLIENT).await?;
    outcome.case("the vendor's Python client", watched.serve(python).await);
    let javascript = tools.node_script("official.mjs", JAVASCRIPT_CLIENT).await?;
    outcome.case("the vendor's JavaScript client", watched.serve(javascript).await);
    outcome.case("our client", our_client(&watched).await);
    outcome.case("every documented error", every_error(&watched, &spec).await);
    check_answers(&watched.recorder.take(), &spec, &mut outcome);

    let watched = Watched::start("sqlite::memory:").await?;
    let cases = schemathesis(tools, &watched).await;
    let exchanges = watched.recorder.take();
    if let Ok(cases) = cases {
        outcome.note(format!("Schemathesis generated {cases} cases, with seed 1."));
    }
    let successes = successes(&exchanges);
    outcome.note(format!("It succeeded with these, by method and path's length: {successes:?}."));
    let reached = cases.and_then(|cases| reached_enough(cases, &successes));
    outcome.case("Schemathesis", reached);
    let statuses: BTreeSet<_> = exchanges.iter().map(|exchange| exchange.status).collect();
    outcome.note(format!("It saw these statuses: {statuses:?}."));
    check_answers(&exchanges, &spec, &mut outcome);
    Ok(outcome)
}

/// A server with a recorder before it.
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

/// Gets each documented error once, since the clients get few. But for one, they are faults that the
/// server is told to have; it answers them as it does the others.
async fn every_error(watched: &Watched, spec: &Spec) -> Result<()> {
    let http = reqwest::Client::new();
    let keys = format!("{}/v1/orgs/self/users/self/apikeys", watched.recorder.url);
    let key = watched.server.admin_key().expose_secret();
    let listing = || http.get(&keys).header("authorization", format!("ApiKey {key}"));
    let unacceptable = listing().header("accept", "text/html").send().await?.status();
    ensure!(unacceptable == 406, "what no JSON can answer is {unacceptable}");
    let operations = spec.operations();
    let operation = operations.iter().find(|operation| operation.id == "list_api_keys");
    let operation = operation.context("the contract has no listing")?;
    for (status, _) in spec.responses(operation).filter(|(status, _)| *status != 200) {
        watched.server.inject(Fault::status(status), 1);
        let found = listing().send().await?.status();
        ensure!(found == status, "{status} arrives as {found}");
    }
    Ok(())
}

/// Lets the fuzzer loose, and gives the number of cases that it made.
async fn schemathesis(tools: &Tools, watched: &Watched) -> Result<u32> {
    let commands = tools.python(SCHEMATHESIS).await?;
    let folder = tempfile::tempdir()?;
    let key = watched.server.admin_key().expose_secret();
    let mut command = Command::new(commands.join("schemathesis"));
    command
        .current_dir(folder.path())
        .env("PYTHONPATH", tools.script(""))
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        // The seed alone does not fix in which order Python goes through its sets.
        .env("PYTHONHASHSEED", "0")
        .arg("--config-file")
        .arg(tools.script("schemathesis.toml"))
        .args(["run", "--no-color", "--continue-on-failure", "--seed", "1", "-n", "200"])
        .args(["--url", &watched.recorder.url, "-H", &format!("Authorization: ApiKey {key}")])
        .arg(tools.root().join(CONTRACT));
    let report = tools::run(&mut command).await?;
    ensure!(report.contains("5 selected / 5 total"), "it did not test five operations:\n{report}");
    let cases = report.lines().find_map(|line| line.trim().split_once(" generated"));
    let (cases, _) = cases.with_context(|| format!("it counts no cases:\n{report}"))?;
    Ok(cases.parse()?)
}

/// What succeeded of each operation, which its method and the number of its path's segments tell.
fn successes(exchanges: &[Exchange]) -> BTreeMap<(&str, usize), usize> {
    let mut successes = BTreeMap::new();
    for exchange in exchanges.iter().filter(|exchange| exchange.status == 200) {
        let segments = exchange.path.split('/').skip(1).count();
        *successes.entry((exchange.method.as_str(), segments)).or_default() += 1;
    }
    successes
}

fn reached_enough(cases: u32, successes: &BTreeMap<(&str, usize), usize>) -> Result<()> {
    ensure!(cases >= LEAST_CASES, "it made {cases} cases, and not {LEAST_CASES}");
    for operation in [("POST", 6), ("GET", 6), ("GET", 7), ("POST", 7), ("DELETE", 7)] {
        let count = successes.get(&operation).copied().unwrap_or_default();
        ensure!(count >= LEAST_SUCCESSES, "{operation:?} succeeded {count} times");
    }
    Ok(())
}

fn check_answers(exchanges: &[Exchange], spec: &Spec, outcome: &mut Outcome) {
    for exchange in exchanges {
        let Exchange { method, path, status, .. } = exchange;
        outcome.case(format!("{method} {path}, {status}"), spec.check_answer(exchange));
    }
}
