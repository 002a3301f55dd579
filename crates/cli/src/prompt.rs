//! The confirmation before a destructive change.

use std::env;
use std::io::{self, IsTerminal, Write};

use tokio::task::spawn_blocking;

use crate::failure::{Code, Failure};
use crate::globals::Globals;
use crate::output;

/// Asks for confirmation on a terminal, unless `yes` is set. Elsewhere `yes` is required.
pub(crate) async fn confirm(globals: &Globals, question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let is_ci = env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    if !is_terminal || is_ci || globals.no_input {
        return Err(Failure::usage("cannot ask for confirmation here; pass --yes"));
    }
    let question = format!("{} [y/N] ", output::printable(question));
    // On another thread, so that Ctrl-C is noticed.
    let asked = spawn_blocking(move || {
        io::stderr().write_all(question.as_bytes())?;
        io::stdin().lines().next().unwrap_or_else(|| Ok(String::new()))
    });
    let answer = asked.await.unwrap_or_else(|error| Err(error.into()));
    let answer = answer
        .map_err(|error| Failure::new(Code::Failed, format!("cannot read the answer: {error}")))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new(Code::Failed, "not confirmed; nothing was changed")),
    }
}
