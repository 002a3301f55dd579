//! The server's README: its snippets for other clients run unchanged.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use rockset_apikeys::Client;
use rockset_apikeys_server::Server;
use tokio::process::Command;

use crate::outcome::Outcome;
use crate::tools::{self, JAVASCRIPT_CLIENT, PYTHON_CLIENT, Tools};

const README: &str = "crates/server/README.md";
const SECTION: &str = "\n## Other clients\n";

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[PYTHON_CLIENT, JAVASCRIPT_CLIENT]);
    let readme = fs::read_to_string(tools.root.join(README)).context(README)?;
    let mut snippets = snippets(&readme)?;
    let server = Server::start().await?;
    let shell = Command::new("sh");
    let python = Command::new(tools.python(PYTHON_CLIENT).await?.join("python"));
    let mut node = Command::new("node");
    node.env("NODE_PATH", tools.npm(JAVASCRIPT_CLIENT).await?);
    for (language, command, name) in [
        ("sh", shell, "from-curl"),
        ("python", python, "from-python"),
        ("js", node, "from-javascript"),
    ] {
        let code = snippets.remove(language).unwrap_or_default();
        outcome
            .case(format!("{README}, {language}"), run_snippet(&server, code, command, name).await);
    }
    let rest: Vec<_> = snippets.keys().collect();
    outcome.check(format!("{README} has snippets that are not run: {rest:?}"), rest.is_empty());
    Ok(outcome)
}

/// Runs a snippet, which creates a key with the given name and prints the name.
async fn run_snippet(server: &Server, code: &str, mut command: Command, name: &str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("snippet");
    fs::write(&file, code)?;
    let key = server.admin_key();
    command
        .arg(file)
        .current_dir(directory.path())
        .env("ROCKSET_APISERVER", server.url())
        .env("ROCKSET_APIKEY", key.expose_secret());
    let output = tools::run(&mut command).await?;
    ensure!(output.contains(name), "{output:?} does not contain {name}");
    let client = Client::builder().api_server(server.url()).api_key(key.clone()).build()?;
    client.get_api_key(name).await?;
    Ok(())
}

/// Returns the fenced blocks of the section, by language.
fn snippets(readme: &str) -> Result<BTreeMap<&str, &str>> {
    let (_, section) = readme.split_once(SECTION).with_context(|| format!("no {SECTION:?}"))?;
    let section = section.split("\n## ").next().unwrap_or_default();
    // Every other piece is outside a fence.
    let blocks = section.split("```").skip(1).step_by(2).filter_map(|it| it.split_once('\n'));
    let count = blocks.clone().count();
    let snippets: BTreeMap<_, _> = blocks.collect();
    ensure!(snippets.len() == count, "two snippets have the same language");
    Ok(snippets)
}
