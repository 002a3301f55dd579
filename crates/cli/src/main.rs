//! The command line: its arguments, and how the process ends. What the commands do is in `keys`,
//! `rotate`, `whoami` and `audit`.

mod audit;
mod config;
mod failure;
mod keys;
mod output;
mod profiles;
mod prompt;
mod rotate;
mod sink;
mod whoami;

use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use failure::{Code, Failure};
use output::Format;

const EXIT_CODES: &str = "\
Exit codes:
  0    done; of a rotation, all that is due
  1    failed, and nothing changed
  2    the arguments or the configuration are not valid
  3    the audit has findings at or above --fail-on
  4    not authenticated, or not permitted
  5    the key or the user does not exist, or the change conflicts with what exists
  6    ambiguous: the change may have been applied
  7    a rotation stopped before its end; the message has the command that resumes it
  8    partial: some of it was done, or some of it could not be read
  130  interrupted

The API server and the key that authenticates come from the first of:
  1. --api-key-file with --api-server or ROCKSET_APISERVER, or --profile
  2. ROCKSET_APIKEY or ROCKSET_APIKEY_FILE, and ROCKSET_APISERVER
  3. the current profile in ~/.config/rockset/config.yaml
--api-server overrides the server of the others.";

/// Whether Ctrl-C is ignored: a key exists whose value has not been delivered yet.
static MUST_FINISH: AtomicBool = AtomicBool::new(false);

/// The command that resumes what Ctrl-C interrupts.
static RESUME: Mutex<Option<String>> = Mutex::new(None);

/// Manages API keys: daily work, rotation, and an audit of them.
#[derive(Parser)]
#[command(
    name = "rockset-apikeys",
    bin_name = "rockset-apikeys",
    version,
    max_term_width = 100,
    after_long_help = EXIT_CODES,
    after_help = "--help also lists the exit codes and where the configuration comes from."
)]
struct Arguments {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Args)]
pub(crate) struct Globals {
    #[command(flatten)]
    flags: config::Flags,
    /// Format of the output, and with json of an error too
    #[arg(long, global = true, help_heading = "Global options", value_enum, default_value_t)]
    format: Format,
    /// Never ask a question
    #[arg(long, global = true, help_heading = "Global options")]
    no_input: bool,
}

impl Globals {
    /// Returns the client. A warning is for a person; a program may parse standard error.
    fn config(&self) -> Result<config::Config, Failure> {
        let config = self.flags.config()?;
        if let Some(warning) = config.warning.as_ref().filter(|_| self.format == Format::Table) {
            note(warning);
        }
        Ok(config)
    }
}

#[derive(Subcommand)]
enum Command {
    /// List a user's keys, oldest first
    List(keys::List),
    /// Show a key
    Get(keys::Get),
    /// Create a key, and show its value once or write it to --out
    Create(keys::Create),
    /// Change the state or the expiry time of a key
    Update(keys::Update),
    /// Suspend keys: they stop working until they are activated
    Suspend(keys::Suspend),
    /// Activate suspended keys
    Activate(keys::Activate),
    /// Delete keys for good
    Delete(keys::Delete),
    /// Show the value of a key, or write it to --out
    Reveal(keys::Reveal),
    /// Replace a key by a successor without an outage, and retire it
    Rotate(rotate::Rotate),
    /// Show the server, and the user, role and expiry of the client's key
    Whoami,
    /// Find keys that should not exist, or that need attention
    Audit(audit::Audit),
    /// Print the completions of a shell
    Completions { shell: Shell },
    /// Print the manual page, or that of a command
    Man { command: Option<String> },
}

fn main() -> ExitCode {
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let format = arguments.globals.format;
    match run(arguments) {
        Ok(code) => code.into(),
        Err(failure) => failure.report(format),
    }
}

/// Parses the arguments. Clap prints help to standard output and errors to standard error.
fn parse() -> Result<Arguments, ExitCode> {
    let parsed =
        command().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    parsed.map_err(|error| {
        if error.use_stderr() && wants_json() {
            let text = error.render().to_string();
            let text = text.trim().trim_start_matches("error: ");
            return Failure::new(Code::Usage, text).report(Format::Json);
        }
        let _ = error.print();
        u8::try_from(error.exit_code()).unwrap_or(1).into()
    })
}

/// Whether the arguments ask for JSON, as far as that is clear from arguments that are not valid.
fn wants_json() -> bool {
    let arguments = std::env::args_os().collect::<Vec<_>>();
    arguments.iter().any(|it| it == "--format=json")
        || arguments.windows(2).any(|pair| pair == ["--format", "json"])
}

/// Returns the command with the exit codes in every command's help.
fn command() -> clap::Command {
    Arguments::command().mut_subcommands(|command| command.after_long_help(EXIT_CODES))
}

fn run(arguments: Arguments) -> Result<Code, Failure> {
    let Arguments { globals, command } = arguments;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Code::Failed, error.to_string()))?;
    let outcome = runtime.block_on(async {
        let mut command = pin!(execute(&globals, command));
        loop {
            tokio::select! {
                // First, so that the handler is in place before anything is sent.
                biased;
                _ = tokio::signal::ctrl_c() => {
                    if !MUST_FINISH.load(Ordering::Relaxed) {
                        let resume = RESUME.lock().unwrap_or_else(PoisonError::into_inner).take();
                        return Err(Failure::interrupted(resume));
                    }
                }
                outcome = &mut command => return outcome,
            }
        }
    });
    // An unanswered question would keep the runtime.
    runtime.shutdown_background();
    outcome
}

async fn execute(globals: &Globals, command: Command) -> Result<Code, Failure> {
    match command {
        Command::List(it) => it.run(globals).await,
        Command::Get(it) => it.run(globals).await,
        Command::Create(it) => it.run(globals).await,
        Command::Update(it) => it.run(globals).await,
        Command::Suspend(it) => it.run(globals).await,
        Command::Activate(it) => it.run(globals).await,
        Command::Delete(it) => it.run(globals).await,
        Command::Reveal(it) => it.run(globals).await,
        Command::Rotate(it) => it.run(globals).await,
        Command::Whoami => whoami::run(globals).await,
        Command::Audit(it) => it.run(globals).await,
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut self::command(), "rockset-apikeys", &mut text);
            output::data(&text)
        }
        Command::Man { command } => man(command.as_deref()),
    }
}

/// Prints a manual page.
fn man(name: Option<&str>) -> Result<Code, Failure> {
    let mut page = command();
    page.build();
    if let Some(name) = name {
        let found = page.find_subcommand(name).cloned();
        page = found.ok_or_else(|| {
            Failure::new(Code::Usage, format!("there is no command {name:?}; see --help"))
        })?;
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(|error| output::failed(&error))?;
    output::data(&text)
}

/// Writes a line for a person to standard error. That it cannot be written is no failure.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", output::printable(text));
}
