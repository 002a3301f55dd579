//! The commands that call a single operation: `list`, `get`, `create`, `update`, `suspend`,
//! `activate`, `delete` and `reveal`.

use std::future::IntoFuture;
use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rockset_apikeys::jiff::{SignedDuration, Span, SpanRelativeTo};
use rockset_apikeys::{ApiKey, ApiKeyValue, Client, Error, KeyState, Timestamp};

use crate::destination::{Destination, Written};
use crate::failure::{Code, Failure};
use crate::globals::Globals;
use crate::interrupt;
use crate::output::{self, Format, note};
use crate::prompt::confirm;

#[derive(Args)]
pub(crate) struct User {
    /// Owner's email address [default: the client's user]
    #[arg(long, value_name = "EMAIL", default_value = "self", hide_default_value = true)]
    user: String,
}

impl User {
    /// Returns a shell command that runs a subcommand for one of the user's keys.
    fn command(&self, globals: &Globals, command: &str, name: &str) -> String {
        let mut arguments = vec![command];
        if self.user != "self" {
            arguments.extend(["--user", &self.user]);
        }
        if name.starts_with('-') {
            arguments.push("--");
        }
        arguments.push(name);
        globals.command(arguments)
    }

    /// Returns the failure of a change. If the change is ambiguous, `get` shows what happened.
    fn failure(&self, globals: &Globals, name: &str, error: Error) -> Failure {
        let is_ambiguous = error.is_ambiguous();
        let failure = Failure::from(error);
        if is_ambiguous { failure.next(self.command(globals, "get", name)) } else { failure }
    }
}

#[derive(Args)]
pub(crate) struct Key {
    /// Name of the key
    name: String,
    #[command(flatten)]
    owner: User,
}

/// Several keys of one user.
#[derive(Args)]
pub(crate) struct Keys {
    /// Names of the keys
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    owner: User,
}

/// Several keys whose change requires confirmation.
#[derive(Args)]
pub(crate) struct ConfirmedKeys {
    #[command(flatten)]
    keys: Keys,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
}

/// The options that specify where a key's value goes.
#[derive(Args)]
struct Delivery {
    /// Write the value to file:PATH, dotenv:PATH#VAR, profile:NAME, exec:COMMAND (its standard
    /// input) or - (standard output); repeatable
    #[arg(long = "out", value_name = "DEST")]
    destinations: Vec<Destination>,
    /// Include the value in json, ndjson and csv output
    #[arg(long)]
    show_value: bool,
}

/// The options that specify when a key expires.
#[derive(Args)]
struct Expiry {
    /// Expire after this duration, for example 90d or 12h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires_in: Option<Duration>,
    /// Expire at this RFC 3339 timestamp, for example 2030-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = timestamp, conflicts_with = "expires_in")]
    expires_at: Option<Timestamp>,
}

/// Parses a duration; a day has 24 hours.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text
        .parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .and_then(|duration: SignedDuration| Duration::try_from(duration));
    parsed.map_err(|error| format!("{error}; use a duration such as 90d or 12h"))
}

fn timestamp(text: &str) -> Result<Timestamp, String> {
    Timestamp::try_from(text).map_err(|error| error.to_string())
}

pub(crate) async fn list(globals: &Globals, User { user }: User) -> Result<Code, Failure> {
    let keys = globals.client()?.list_api_keys().user(user).await?;
    output::keys(globals.format, &keys)
}

pub(crate) async fn get(globals: &Globals, key: Key) -> Result<Code, Failure> {
    let key = globals.client()?.get_api_key(key.name).user(key.owner.user).await?;
    output::key(globals.format, &key, false)
}

impl Delivery {
    /// Checks that the value can be delivered.
    fn check(&self, format: Format) -> Result<(), Failure> {
        let usage = |message| Err(Failure::usage(message));
        if self.show_value && format == Format::Table {
            return usage("--show-value requires --format json, ndjson or csv");
        }
        if self.destinations.contains(&Destination::Stdout) && format != Format::Table {
            return usage("--out - prints only the value; with --format, use --show-value");
        }
        if self.destinations.is_empty() && !self.show_value {
            if format != Format::Table {
                return usage("the key's value would be lost; pass --out or --show-value");
            }
            if !io::stdout().is_terminal() {
                return usage(
                    "standard output is not a terminal; pass --out with a destination for the \
                     key's value, or --out - for standard output",
                );
            }
        }
        let check = |it: &Destination| it.check().map_err(|error| cannot_write(it, error));
        self.destinations.iter().try_for_each(check)
    }

    /// Writes the value to all destinations, or to standard output if there is nowhere else.
    fn deliver(&self, value: &ApiKeyValue, client: &Client) -> Result<(), Failure> {
        if self.destinations.is_empty() && !self.show_value {
            return write_all(&[Destination::Stdout], value, client);
        }
        write_all(&self.destinations, value, client)?;
        for destination in self.destinations.iter().filter(|&it| *it != Destination::Stdout) {
            note(&format!("wrote the value to {destination}"));
        }
        Ok(())
    }

    /// Returns true if standard output contains only the value.
    fn uses_stdout(&self) -> bool {
        self.destinations.contains(&Destination::Stdout)
            || (self.destinations.is_empty() && !self.show_value)
    }
}

/// Writes the value to all destinations. If one fails, restores the others.
fn write_all(
    destinations: &[Destination],
    value: &ApiKeyValue,
    client: &Client,
) -> Result<(), Failure> {
    let mut done = Vec::new();
    for destination in destinations {
        match destination.write(value, client.api_server()) {
            Ok(written) => done.push(written),
            Err(failure) => {
                let failure = cannot_write(destination, failure);
                let restored = done.into_iter().rev().map(Written::restore);
                let errors = restored.filter_map(Result::err);
                return Err(errors.fold(failure, |failure, error| failure.with(&error)));
            }
        }
    }
    Ok(())
}

fn cannot_write(destination: &Destination, failure: Failure) -> Failure {
    failure.context(&format!("cannot write {destination}"))
}

#[derive(Args)]
pub(crate) struct Create {
    #[command(flatten)]
    key: Key,
    /// Role that limits the key [default: all roles of the owner]
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    expiry: Expiry,
    #[command(flatten)]
    delivery: Delivery,
}

impl Create {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let client = globals.client()?;
        self.delivery.check(globals.format)?;
        let Key { name, owner } = &self.key;
        let mut call = client.create_api_key(name);
        if owner.user != "self" {
            call = call.created_by(&owner.user);
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
        let created = call.await.map_err(|error| owner.failure(globals, name, error))?;
        interrupt::ignore();
        if let Err(failure) = self.delivery.deliver(&created.key, &client) {
            return Err(self.undo(globals, &client, failure).await);
        }
        if self.delivery.uses_stdout() {
            note(&format!("created {name}"));
            return Ok(Code::Success);
        }
        output::key(globals.format, &created, self.delivery.show_value)
    }

    /// Deletes the new key, whose value was not delivered.
    async fn undo(&self, globals: &Globals, client: &Client, failure: Failure) -> Failure {
        let Key { name, owner } = &self.key;
        match client.delete_api_key(name).user(&owner.user).await {
            Ok(_) => failure.with("the new key was deleted").code(Code::Failed),
            Err(error) => failure
                .with(&format!("cannot delete the new key: {error}"))
                .code(Code::Partial)
                .next(owner.command(globals, "delete", name)),
        }
    }
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true)
    .args(["state", "expires_in", "expires_at", "no_expiry"]))]
pub(crate) struct Update {
    #[command(flatten)]
    key: Key,
    /// New state
    #[arg(long, value_parser = state())]
    state: Option<KeyState>,
    #[command(flatten)]
    expiry: Expiry,
    /// Remove the expiry time
    #[arg(long, conflicts_with_all = ["expires_in", "expires_at"])]
    no_expiry: bool,
}

fn state() -> impl TypedValueParser<Value = KeyState> {
    PossibleValuesParser::new(["active", "suspended"]).map(|name| match name.as_str() {
        "active" => KeyState::Active,
        _ => KeyState::Suspended,
    })
}

impl Update {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let client = globals.client()?;
        let Key { name, owner } = &self.key;
        let mut call = client.update_api_key(name).user(&owner.user);
        if let Some(state) = self.state {
            call = call.state(state);
        }
        if let Some(duration) = self.expiry.expires_in {
            call = call.expires_in(duration);
        }
        if let Some(time) = self.expiry.expires_at {
            call = call.expiry_time(time);
        }
        if self.no_expiry {
            call = call.clear_expiry_time(true);
        }
        let key = call.await.map_err(|error| owner.failure(globals, name, error))?;
        output::key(globals.format, &key, false)
    }
}

impl Keys {
    /// Calls an operation for each key, even if it failed for others.
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
            match call(name, &self.owner.user).await {
                Ok(key) => done.push(key),
                Err(error) => failed.push(self.owner.failure(globals, name, error)),
            }
        }
        if !done.is_empty() {
            output::keys(globals.format, &done)?;
        }
        Failure::all(failed, done.len()).map_or(Ok(Code::Success), Err)
    }
}

impl ConfirmedKeys {
    async fn confirm(&self, globals: &Globals, verb: &str) -> Result<(), Failure> {
        let Keys { names, owner } = &self.keys;
        let owner = match owner.user.as_str() {
            "self" => String::new(),
            user => format!(" of {user}"),
        };
        let question = format!("{verb} {}{owner}?", names.join(", "));
        confirm(globals, &question, self.yes).await
    }
}

pub(crate) async fn suspend(globals: &Globals, keys: ConfirmedKeys) -> Result<Code, Failure> {
    let client = globals.client()?;
    keys.confirm(globals, "Suspend").await?;
    let suspend =
        |name: &str, user: &str| client.update_api_key(name).user(user).state(KeyState::Suspended);
    keys.keys.each(globals, suspend).await
}

pub(crate) async fn activate(globals: &Globals, keys: Keys) -> Result<Code, Failure> {
    let client = globals.client()?;
    let activate =
        |name: &str, user: &str| client.update_api_key(name).user(user).state(KeyState::Active);
    keys.each(globals, activate).await
}

pub(crate) async fn delete(globals: &Globals, keys: ConfirmedKeys) -> Result<Code, Failure> {
    let client = globals.client()?;
    keys.confirm(globals, "Delete").await?;
    let delete = |name: &str, user: &str| client.delete_api_key(name).user(user);
    keys.keys.each(globals, delete).await
}

#[derive(Args)]
pub(crate) struct Reveal {
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    delivery: Delivery,
}

impl Reveal {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let client = globals.client()?;
        self.delivery.check(globals.format)?;
        let Key { name, owner } = self.key;
        let key = client.get_api_key(name).user(owner.user).reveal(true).await?;
        if key.key.full_key().is_none() {
            let message = "the server did not return the full value; nothing was written";
            return Err(Failure::new(Code::Failed, message));
        }
        self.delivery.deliver(&key.key, &client)?;
        if self.delivery.uses_stdout() {
            return Ok(Code::Success);
        }
        output::key(globals.format, &key, self.delivery.show_value)
    }
}
