//! The program: parses the arguments, runs a command and exits. The commands are in `keys`,
//! `rotate`, `whoami` and `audit`.

mod audit;
mod destination;
mod dotenv;
mod failure;
mod globals;
mod interrupt;
mod keys;
mod output;
mod profile;
mod prompt;
mod rotate;
mod whoami;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use failure::{Code, Failure};
use globals::Globals;
use output::Format;

const EXIT_CODES: &str = "\
Exit codes:
  0    success; for a rotation, every due step is done
  1    failed; nothing was changed
  2    invalid arguments or configuration
  3    the audit found a problem at or above --fail-on
  4    not authenticated, or not permitted
  5    no such key or user, or a conflict with an existing one
  6    ambiguous: the change may have been applied
  7    a rotation is unfinished; the error message contains the command that resumes it
  8    partial success
  130  interrupted

The API server and the client's key come from the first of:
  1. --api-key-file with --api-server or ROCKSET_APISERVER, or --profile
  2. ROCKSET_APIKEY or ROCKSET_APIKEY_FILE, with ROCKSET_APISERVER
  3. the current profile in ~/.config/rockset/config.yaml
--api-server overrides the API server of 2 and 3 and of --profile.";

/// Manage, rotate and audit API keys
#[derive(Parser)]
#[command(
    name = "rockset-apikeys",
    bin_name = "rockset-apikeys",
    version,
    max_term_width = 100,
    after_long_help = EXIT_CODES,
    after_help = "Use --help to list the exit codes and the sources of the configuration."
)]
struct Arguments {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List a user's keys, oldest first
    List(keys::User),
    /// Show a key
    Get(keys::Key),
    /// Create a key, and show its value once or write it to --out
    Create(keys::Create),
    /// Change a key's state or expiry time
    Update(keys::Update),
    /// Suspend keys until they are activated again
    Suspend(keys::ConfirmedKeys),
    /// Activate suspended keys
    Activate(keys::Keys),
    /// Delete keys permanently
    Delete(keys::ConfirmedKeys),
    /// Show a key's value, or write it to --out
    Reveal(keys::Reveal),
    /// Replace a key with a successor without downtime, then retire it
    Rotate(rotate::Rotate),
    /// Show the API server and the user, role and expiry time of the client's key
    Whoami,
    /// Find keys that should not exist or that need attention
    Audit(audit::Audit),
    /// Print shell completions
    Completions {
        /// Shell to complete in
        shell: Shell,
    },
    /// Print the manual page of the program or of a command
    Man {
        /// Name of the command
        command: Option<String>,
    },
}

fn main() -> ExitCode {
    let Arguments { globals, command } = match parse() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    match run(&globals, command) {
        Ok(code) => code.into(),
        Err(failure) => output::failure(globals.format, failure),
    }
}

/// Parses the arguments. Clap prints help to standard output and errors to standard error.
fn parse() -> Result<Arguments, ExitCode> {
    let parsed = cli().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    parsed.map_err(|error| {
        if error.use_stderr() && wants_json() {
            let text = error.render().to_string();
            let text = text.trim().trim_start_matches("error: ");
            return output::failure(Format::Json, Failure::new(Code::Usage, text));
        }
        let _ = error.print();
        u8::try_from(error.exit_code()).unwrap_or(1).into()
    })
}

/// Returns true if the arguments, which are invalid, nevertheless ask for JSON.
fn wants_json() -> bool {
    let arguments = std::env::args_os().collect::<Vec<_>>();
    arguments.iter().any(|it| it == "--format=json")
        || arguments.windows(2).any(|pair| pair == ["--format", "json"])
}

/// Returns clap's command, with the exit codes in the help of every subcommand.
fn cli() -> clap::Command {
    Arguments::command().mut_subcommands(|command| command.after_long_help(EXIT_CODES))
}

fn run(globals: &Globals, command: Command) -> Result<Code, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Code::Failed, error.to_string()))?;
    let result = runtime.block_on(async {
        tokio::select! {
            // The signal handler is installed before anything is sent.
            biased;
            failure = interrupt::wait() => Err(failure),
            result = execute(globals, command) => result,
        }
    });
    // A pending confirmation prompt would block a graceful shutdown.
    runtime.shutdown_background();
    result
}

async fn execute(globals: &Globals, command: Command) -> Result<Code, Failure> {
    match command {
        Command::List(user) => keys::list(globals, user).await,
        Command::Get(key) => keys::get(globals, key).await,
        Command::Create(create) => create.run(globals).await,
        Command::Update(update) => update.run(globals).await,
        Command::Suspend(keys) => keys::suspend(globals, keys).await,
        Command::Activate(keys) => keys::activate(globals, keys).await,
        Command::Delete(keys) => keys::delete(globals, keys).await,
        Command::Reveal(reveal) => reveal.run(globals).await,
        Command::Rotate(rotate) => rotate.run(globals).await,
        Command::Whoami => whoami::run(globals).await,
        Command::Audit(audit) => audit.run(globals).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut cli(), "rockset-apikeys", &mut script);
            output::data(&script)
        }
        Command::Man { command } => man(command.as_deref()),
    }
}

fn man(name: Option<&str>) -> Result<Code, Failure> {
    let mut command = cli();
    command.build();
    if let Some(name) = name {
        command = command.find_subcommand(name).cloned().ok_or_else(|| {
            Failure::new(Code::Usage, format!("no such command: {name:?}; see --help"))
        })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(|error| output::failed(&error))?;
    output::data(&page)
}
