//! The server's README: what it shows for other clients, run as it stands there.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use rockset_apikeys::Client;
use rockset_apikeys_server::Server;
use tokio::process::Command;

use crate::report::Outcome;
use crate::tools::{self, JAVASCRIPT_CLIENT, PYTHON_CLIENT, Tools};

const README: &str = "crates/server/README.md";
const SECTION: &str = "\n## Other clients\n";

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[PYTHON_CLIENT, JAVASCRIPT_CLIENT]);
    let readme = fs::read_to_string(tools.root().join(README)).context(README)?;
    let server = Server::start().await?;
    for (language, name) in
        [("sh", "from-curl"), ("python", "from-python"), ("js", "from-javascript")]
    {
        let run = run_snippet(tools, &server, &readme, language, name).await;
        outcome.case(format!("{README}, {language}"), run);
    }
    let count = blocks(&readme)?.count();
    let claim = format!("{README} has {count} blocks for other clients, and 3 are run");
    outcome.check(claim, count == 3);
    Ok(outcome)
}

/// Runs the block of this language, which creates a key of this name and prints the name.
async fn run_snippet(
    tools: &Tools,
    server: &Server,
    readme: &str,
    language: &str,
    name: &str,
) -> Result<()> {
    let mut found = blocks(readme)?.filter(|(it, _)| *it == language);
    let (_, code) = found.next().context("there is no such block")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("snippet");
    fs::write(&file, code)?;
    let mut command = command(tools, language, &file).await?;
    command
        .current_dir(folder.path())
        .env("ROCKSET_APISERVER", server.url())
        .env("ROCKSET_APIKEY", server.admin_key().expose_secret());
    let output = tools::run(&mut command).await?;
    ensure!(output.contains(name), "it prints {output:?} without {name}");
    let key = server.admin_key().clone();
    let client = Client::builder().api_server(server.url()).api_key(key).build()?;
    client.get_api_key(name).await?;
    Ok(())
}

async fn command(tools: &Tools, language: &str, file: &Path) -> Result<Command> {
    let mut command = match language {
        "sh" => Command::new("sh"),
        "python" => Command::new(tools.python(PYTHON_CLIENT).await?.join("python")),
        "js" => {
            let mut node = Command::new("node");
            node.env("NODE_PATH", tools.npm(JAVASCRIPT_CLIENT).await?);
            node
        }
        _ => bail!("nothing here runs {language}"),
    };
    command.arg(file);
    Ok(command)
}

/// The fenced blocks of the section, each with its language.
fn blocks(readme: &str) -> Result<impl Iterator<Item = (&str, &str)>> {
    let (_, section) = readme.split_once(SECTION).with_context(|| format!("no {SECTION:?}"))?;
    let section = section.split("\n## ").next().unwrap_or_default();
    // Every other piece is outside a fence.
    let inside = section.split("```").skip(1).step_by(2);
    Ok(inside.filter_map(|block| block.split_once('\n')))
}
