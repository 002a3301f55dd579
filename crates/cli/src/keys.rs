//! The commands that call one operation: `list`, `get`, `create`, `update`, `suspend`, `activate`,
//! `delete` and `reveal`.

use std::future::IntoFuture;
use std::io::{self, IsTerminal};
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use rockset_apikeys::jiff::{SignedDuration, Span, SpanRelativeTo};
use rockset_apikeys::{ApiKey, ApiKeyValue, Error, KeyState, Timestamp};

use crate::config::Config;
use crate::failure::{Code, Failure};
use crate::output::{self, Format};
use crate::prompt::confirm;
use crate::sink::{Sink, Written};
use crate::{Globals, MUST_FINISH, note};

#[derive(Args)]
struct User {
    /// Email address of the owner; the client's own user by default
    #[arg(long, value_name = "EMAIL", default_value = "self", hide_default_value = true)]
    user: String,
}

impl User {
    /// Returns the arguments that name a key of this user.
    fn arguments<'a>(&'a self, command: &'a str, name: &'a str) -> Vec<&'a str> {
        let mut arguments = vec![command];
        if self.user != "self" {
            arguments.extend(["--user", &self.user]);
        }
        if name.starts_with('-') {
            arguments.push("--");
        }
        arguments.push(name);
        arguments
    }
}

/// Where the value of a key goes.
#[derive(Args)]
struct Destination {
    /// Write the value to file:PATH, env:PATH#VAR (a line of a dotenv file), profile:NAME,
    /// exec:COMMAND (on its standard input), or - (standard output); may be repeated
    #[arg(long = "out", value_name = "SINK")]
    sinks: Vec<Sink>,
    /// Have the value in json, ndjson and csv
    #[arg(long)]
    include_key: bool,
}

impl Destination {
    /// Checks that the value has a place to go to, before anything is created.
    fn check(&self, format: Format) -> Result<(), Failure> {
        let usage = |message: &str| Err(Failure::new(Code::Usage, message));
        if self.include_key && format == Format::Table {
            return usage("--include-key is for --format json, ndjson and csv");
        }
        if self.sinks.contains(&Sink::Stdout) && format != Format::Table {
            return usage("--out - writes the value alone; with --format use --include-key");
        }
        if self.sinks.is_empty() && !self.include_key {
            if format != Format::Table {
                return usage("the value would be shown nowhere; pass --include-key or --out");
            }
            if !io::stdout().is_terminal() {
                return usage(
                    "standard output is not a terminal; pass --out to say where the value goes, \
                     or --out - to write it to standard output",
                );
            }
        }
        self.sinks.iter().try_for_each(|sink| sink.check().map_err(|it| it.of_sink(sink)))
    }

    /// Writes the value to all sinks. If one fails, the others get their old content back.
    fn deliver(&self, value: &ApiKeyValue, config: &Config) -> Result<(), Failure> {
        let stdout = [Sink::Stdout];
        let sinks = match &self.sinks[..] {
            [] if !self.include_key => &stdout,
            sinks => sinks,
        };
        let mut done = Vec::new();
        for sink in sinks {
            match sink.write(value, config.client.api_server()) {
                Ok(written) => done.push(written),
                Err(failure) => {
                    let failure = failure.of_sink(sink);
                    let restored = done.into_iter().rev().map(Written::restore);
                    let kept = restored.filter_map(Result::err);
                    return Err(kept.fold(failure, |failure, text| failure.with(&text)));
                }
            }
        }
        for sink in self.sinks.iter().filter(|&sink| *sink != Sink::Stdout) {
            note(&format!("the value is in {sink}"));
        }
        Ok(())
    }

    /// Whether standard output has the value alone.
    fn is_stdout(&self) -> bool {
        self.sinks.contains(&Sink::Stdout) || (self.sinks.is_empty() && !self.include_key)
    }
}

/// When a key expires.
#[derive(Args)]
struct Expiry {
    /// Expire this long from now, such as 90d or 12h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires_in: Option<Duration>,
    /// Expire at this time, such as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "expires_in")]
    expires_at: Option<Timestamp>,
}

/// Parses a duration; a day has 24 hours.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text
        .parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .and_then(|duration: SignedDuration| Duration::try_from(duration));
    parsed.map_err(|error| format!("{error}; write a duration such as 90d or 12h"))
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::try_from(text).map_err(|error| error.to_string())
}

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    user: User,
}

impl List {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let client = globals.config()?.client;
        let keys = client.list_api_keys().user(self.user.user).await?;
        output::keys(globals.format, &keys)
    }
}

#[derive(Args)]
pub(crate) struct Get {
    /// Name of the key
    name: String,
    #[command(flatten)]
    user: User,
}

impl Get {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let client = globals.config()?.client;
        let key = client.get_api_key(self.name).user(self.user.user).await?;
        output::key(globals.format, &key, false)
    }
}

#[derive(Args)]
pub(crate) struct Create {
    /// Name of the key
    name: String,
    #[command(flatten)]
    user: User,
    /// Role that limits the key; without it, the key has all roles of its owner
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    expiry: Expiry,
    #[command(flatten)]
    destination: Destination,
}

impl Create {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let config = globals.config()?;
        self.destination.check(globals.format)?;
        let mut call = config.client.create_api_key(&self.name);
        if self.user.user != "self" {
            call = call.created_by(&self.user.user);
        }
        if let Some(role) = &self.role {
            call = call.role(role);
        }
        if let Some(duration) = self.expiry.expires_in {
            call = call.expires_in(duration);
        }
        if let Some(time) = self.expiry.expires_at.clone() {
            call = call.expiry_time(time);
        }
        let created = call.await.map_err(|error| {
            let command = globals.flags.command(self.user.arguments("get", &self.name));
            ambiguous(error, command)
        })?;
        MUST_FINISH.store(true, Ordering::Relaxed);
        if let Err(failure) = self.destination.deliver(&created.key, &config) {
            return Err(self.take_back(globals, &config, failure).await);
        }
        if self.destination.is_stdout() {
            note(&format!("created {}", created.name));
            return Ok(Code::Done);
        }
        output::key(globals.format, &created, self.destination.include_key)
    }

    /// Deletes the new key, whose value was not delivered.
    async fn take_back(&self, globals: &Globals, config: &Config, failure: Failure) -> Failure {
        let call = config.client.delete_api_key(&self.name).user(&self.user.user);
        match call.await {
            Ok(_) => failure.with("the new key was deleted again").code(Code::Failed),
            Err(error) => {
                let text = format!("the new key exists and could not be deleted: {error}");
                let command = globals.flags.command(self.user.arguments("delete", &self.name));
                failure.with(&text).code(Code::Partial).next(command)
            }
        }
    }
}

/// Adds the command that tells what an ambiguous call did.
fn ambiguous(error: Error, command: String) -> Failure {
    let is_ambiguous = error.is_ambiguous();
    let failure = Failure::from(error);
    if is_ambiguous { failure.next(command) } else { failure }
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true)
    .args(["state", "expires_in", "expires_at", "no_expiry"]))]
pub(crate) struct Update {
    /// Name of the key
    name: String,
    #[command(flatten)]
    user: User,
    /// State of the key
    #[arg(long, value_enum)]
    state: Option<State>,
    #[command(flatten)]
    expiry: Expiry,
    /// Remove the expiry time, so that the key does not expire
    #[arg(long, conflicts_with_all = ["expires_in", "expires_at"])]
    no_expiry: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum State {
    Active,
    Suspended,
}

impl Update {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let client = globals.config()?.client;
        let mut call = client.update_api_key(&self.name).user(&self.user.user);
        call = match self.state {
            Some(State::Active) => call.state(KeyState::Active),
            Some(State::Suspended) => call.state(KeyState::Suspended),
            None => call,
        };
        if let Some(duration) = self.expiry.expires_in {
            call = call.expires_in(duration);
        }
        if let Some(time) = self.expiry.expires_at {
            call = call.expiry_time(time);
        }
        if self.no_expiry {
            call = call.clear_expiry_time(true);
        }
        let key = call.await.map_err(|error| {
            let command = globals.flags.command(self.user.arguments("get", &self.name));
            ambiguous(error, command)
        })?;
        output::key(globals.format, &key, false)
    }
}

/// Keys of one user.
#[derive(Args)]
struct Targets {
    /// Names of the keys
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    user: User,
}

impl Targets {
    fn question(&self, verb: &str) -> String {
        let owner = match self.user.user.as_str() {
            "self" => String::new(),
            user => format!(" of {user}"),
        };
        format!("{verb} {}{owner}?", self.names.join(", "))
    }

    /// Calls an operation for each key. Keys after one that failed are still changed.
    async fn each<C>(
        &self,
        globals: &Globals,
        call: impl Fn(&str, &str) -> C,
    ) -> Result<Code, Failure>
    where
        C: IntoFuture<Output = Result<ApiKey, Error>>,
    {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for name in &self.names {
            match call(name, &self.user.user).await {
                Ok(key) => done.push(key),
                Err(error) => {
                    let command = globals.flags.command(self.user.arguments("get", name));
                    failed.push(ambiguous(error, command));
                }
            }
        }
        if !done.is_empty() {
            output::keys(globals.format, &done)?;
        }
        Failure::all(failed, done.len()).map_or(Ok(Code::Done), Err)
    }
}

#[derive(Args)]
pub(crate) struct Suspend {
    #[command(flatten)]
    targets: Targets,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Suspend {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let client = globals.config()?.client;
        confirm(globals, &self.targets.question("Suspend"), self.yes).await?;
        let call = |name: &str, user: &str| {
            client.update_api_key(name).user(user).state(KeyState::Suspended)
        };
        self.targets.each(globals, call).await
    }
}

#[derive(Args)]
pub(crate) struct Activate {
    #[command(flatten)]
    targets: Targets,
}

impl Activate {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let client = globals.config()?.client;
        let call =
            |name: &str, user: &str| client.update_api_key(name).user(user).state(KeyState::Active);
        self.targets.each(globals, call).await
    }
}

#[derive(Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    targets: Targets,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Delete {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let client = globals.config()?.client;
        confirm(globals, &self.targets.question("Delete"), self.yes).await?;
        let call = |name: &str, user: &str| client.delete_api_key(name).user(user);
        self.targets.each(globals, call).await
    }
}

#[derive(Args)]
pub(crate) struct Reveal {
    /// Name of the key
    name: String,
    #[command(flatten)]
    user: User,
    #[command(flatten)]
    destination: Destination,
}

impl Reveal {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let config = globals.config()?;
        self.destination.check(globals.format)?;
        let call = config.client.get_api_key(&self.name).user(&self.user.user).reveal(true);
        let key = call.await?;
        if key.key.full_key().is_none() {
            let message = "the server did not return the full value; nothing was written";
            return Err(Failure::new(Code::Failed, message));
        }
        self.destination.deliver(&key.key, &config)?;
        if self.destination.is_stdout() {
            return Ok(Code::Done);
        }
        output::key(globals.format, &key, self.destination.include_key)
    }
}
