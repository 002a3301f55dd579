//! The command `rotate`: starts, continues and shows rotations. The library implements them; the
//! journal is in the user's state directory.

use std::env;
use std::error::Error as _;
use std::future;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, Subcommand};
use rockset_apikeys::{ApiKeyValue, Client, Config};
use rockset_apikeys_admin::rotation::{
    self, BoxFuture, Entry, Plan, Rotation, Rotator, RotatorBuilder, Step,
};
use serde_json::{Value, json};

use crate::destination::{Destination, Written, run};
use crate::failure::{Code, Failure};
use crate::globals::Globals;
use crate::interrupt;
use crate::keys::duration;
use crate::output::{self, Format, note};
use crate::prompt::confirm;
use crate::whoami;

#[derive(Args)]
pub(crate) struct Rotate {
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Start {
    /// Name of the key; my-app stands for the newest of my-app, my-app.r2, my-app.r3 and so on
    name: String,
    /// Owner's email address [default: the client's user]
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// Successor's lifetime, for example 90d [default: the old key's whole lifetime]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires_in: Option<Duration>,
    /// How long both keys work
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "24h")]
    overlap: Duration,
    /// How long the old key is suspended before it is deleted
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "7d")]
    hold: Duration,
    /// Write the value to file:PATH, dotenv:PATH#VAR, profile:NAME, exec:COMMAND (its standard
    /// input) or - (standard output); repeatable
    #[arg(long = "out", value_name = "DEST", required = true)]
    destinations: Vec<Destination>,
    /// Command that tests the written successor; it reads the value from standard input
    #[arg(long, value_name = "COMMAND")]
    test_cmd: Option<String>,
    /// Show the plan and whether it can be carried out; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Suspend the old key as soon as the successor is tested, even if it is in use
    #[arg(long)]
    compromised: bool,
    /// Suspend the old key before the successor is created; programs fail until they have it
    #[arg(long)]
    suspend_first: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Start the rotation of a key
    Start(Start),
    /// Show the rotations in the journal
    Status {
        /// ID of the rotation [default: all]
        id: Option<String>,
    },
    /// Run the steps that are due: suspend the old key after the overlap, delete it after the hold
    Resume {
        /// ID of the rotation [default: all unfinished ones]
        id: Option<String>,
        /// Retire the old key even if it was used after the distribution
        #[arg(long)]
        force: bool,
    },
    /// Retire the old key without waiting for the end of the overlap and the hold
    Finish {
        #[command(flatten)]
        which: Which,
        /// Retire the old key even if it was used after the distribution
        #[arg(long)]
        force: bool,
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
    },
    /// Undo a rotation whose old key still exists
    Rollback {
        #[command(flatten)]
        which: Which,
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
    },
    /// Close a rotation, and leave both keys and the destinations unchanged
    Abort {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Args)]
struct Which {
    /// ID of the rotation [default: the only unfinished one]
    id: Option<String>,
}

impl Rotate {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let (client, config) = globals.connect()?;
        let rotations = Rotations { globals, client, config, directory: journal()? };
        rotations.run(self.command).await
    }
}

/// Returns the journal's directory.
fn journal() -> Result<PathBuf, Failure> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).and_then(absolute);
    let home = || Some(env::home_dir().and_then(absolute)?.join(".local/state"));
    let state = state.or_else(home).ok_or_else(|| {
        Failure::usage("cannot find the home directory, which contains the journal; set HOME")
    })?;
    Ok(state.join("rockset-apikeys/rotations"))
}

/// The fields of a rotation.
const FIELDS: [&str; 9] =
    ["id", "step", "user", "old", "new", "started_at", "waits_until", "failure", "next"];

/// The rotations in the journal.
struct Rotations<'a> {
    globals: &'a Globals,
    client: Client,
    config: Config,
    directory: PathBuf,
}

impl Rotations<'_> {
    async fn start(&self, start: Start) -> Result<Code, Failure> {
        let is_stdout = self.check_stdout(start.destinations.contains(&Destination::Stdout))?;
        let destinations = start.destinations.into_iter().map(Destination::absolute);
        let mut builder = self.builder(destinations.collect::<Result<_, _>>()?, start.test_cmd);
        if let [own] = &whoami::own_keys(&self.client, &self.config).await?[..] {
            builder = builder.own_key_name(&own.name);
        }
        let mut rotation = Rotation::of(start.name)
            .overlap(start.overlap)
            .hold(start.hold)
            .compromised(start.compromised)
            .suspend_first(start.suspend_first);
        if let Some(user) = start.user {
            rotation = rotation.user(user);
        }
        if let Some(lifetime) = start.expires_in {
            rotation = rotation.expires_in(lifetime);
        }
        let rotator = self.build(builder)?;
        if start.dry_run {
            let plan = rotator.plan(&rotation).await.map_err(|error| self.failed(error))?;
            return self.show_plan(&plan);
        }
        let entry = rotator.rotate(&rotation).await.map_err(|error| self.failed(error))?;
        self.show_unless(is_stdout, &entry)
    }

    /// Checks that a value on standard output is not mixed with other output.
    fn check_stdout(&self, is_stdout: bool) -> Result<bool, Failure> {
        if is_stdout && self.globals.format != Format::Table {
            return Err(Failure::usage("--out - prints only the value; remove --format"));
        }
        Ok(is_stdout)
    }

    fn show_unless(&self, is_stdout: bool, entry: &Entry) -> Result<Code, Failure> {
        if is_stdout {
            note(&format!("next: {}", self.next(entry)));
            return Ok(Code::Success);
        }
        self.show(entry)
    }

    async fn run(&self, command: Command) -> Result<Code, Failure> {
        let mut is_stdout = false;
        let entry = match command {
            Command::Start(start) => return self.start(start).await,
            Command::Status { id: Some(id) } => return self.show(&self.entry(&id)?),
            Command::Status { id: None } => return self.show_all(&self.entries()?),
            Command::Resume { id, force } => return self.resume(id, force).await,
            Command::Finish { which, force, yes } => {
                let entry = self.only(which)?;
                let question =
                    format!("Retire {} before the end of its overlap and hold?", entry.old);
                is_stdout = self.check_stdout(will_print(&entry))?;
                confirm(self.globals, &question, yes).await?;
                self.rotator(&entry, force)?.finish(&entry.id).await
            }
            Command::Rollback { which, yes } => {
                let entry = self.only(which)?;
                let question = format!("Restore {} and delete {}?", entry.old, entry.new);
                confirm(self.globals, &question, yes).await?;
                self.rotator(&entry, false)?.rollback(&entry.id).await
            }
            Command::Abort { which } => {
                // An invalid destination in the journal does not matter here.
                let id = self.only(which)?.id;
                self.build(self.builder(Vec::new(), None))?.abort(&id).await
            }
        };
        let entry = entry.map_err(|error| self.failed(error))?;
        self.show_unless(is_stdout, &entry)
    }

    /// Continues a rotation, or all unfinished ones. A failure does not stop the others.
    async fn resume(&self, id: Option<String>, force: bool) -> Result<Code, Failure> {
        let is_one = id.is_some();
        let entries = match id {
            Some(id) => vec![self.entry(&id)?],
            None => self.unfinished()?,
        };
        let is_stdout = self.check_stdout(entries.iter().any(will_print))?;
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for entry in entries {
            let rotator = match self.rotator(&entry, force) {
                Ok(rotator) => rotator,
                Err(failure) => {
                    failed.push(failure);
                    continue;
                }
            };
            match rotator.resume(&entry.id).await {
                Ok(entry) => done.push(entry),
                Err(error) => failed.push(self.failed(error)),
            }
        }
        match &done[..] {
            [entry] if is_one || is_stdout => self.show_unless(is_stdout, entry)?,
            [] if !failed.is_empty() => Code::Success,
            _ if is_stdout => Code::Success,
            _ => self.show_all(&done)?,
        };
        Failure::all(failed, done.len()).map_or(Ok(Code::Success), Err)
    }

    fn entries(&self) -> Result<Vec<Entry>, Failure> {
        let rotator = Rotator::builder(self.client.clone(), &self.directory).build();
        rotator.and_then(|rotator| rotator.status()).map_err(|error| self.failed(error))
    }

    fn entry(&self, id: &str) -> Result<Entry, Failure> {
        let found = self.entries()?.into_iter().find(|entry| entry.id == id);
        found.ok_or_else(|| {
            let directory = self.directory.display();
            let message = format!("the journal {directory} does not contain a rotation {id:?}");
            Failure::new(Code::NotFoundOrConflict, message)
        })
    }

    /// Returns the unfinished rotations on this server.
    fn unfinished(&self) -> Result<Vec<Entry>, Failure> {
        let mut entries = self.entries()?;
        let server = self.client.api_server();
        entries.retain(|entry| !entry.step.is_final() && entry.server == server);
        Ok(entries)
    }

    /// Returns the named or the only unfinished rotation.
    fn only(&self, which: Which) -> Result<Entry, Failure> {
        if let Some(id) = which.id {
            return self.entry(&id);
        }
        let mut entries = self.unfinished()?;
        match (entries.pop(), entries.len()) {
            (Some(entry), 0) => Ok(entry),
            (None, _) => {
                let message = "there is no unfinished rotation on this server";
                Err(Failure::new(Code::NotFoundOrConflict, message))
            }
            (Some(last), _) => {
                let all = entries.iter().chain([&last]);
                let all = all.map(|entry| format!("{} of {}", entry.id, entry.old));
                let all = all.collect::<Vec<_>>().join(", ");
                Err(Failure::usage(format!("several rotations are unfinished; pass one of: {all}")))
            }
        }
    }

    /// Returns the rotator of an entry, with its destinations and its test.
    fn rotator(&self, entry: &Entry, force: bool) -> Result<Rotator, Failure> {
        let destinations = entry.destinations.iter().map(|name| {
            name.parse().map_err(|reason| {
                let message = format!("invalid destination {name} in the journal: {reason}");
                Failure::new(Code::Failed, message)
            })
        });
        let builder = self.builder(destinations.collect::<Result<_, _>>()?, entry.test.clone());
        self.build(builder.force(force))
    }

    fn builder(&self, destinations: Vec<Destination>, test: Option<String>) -> RotatorBuilder {
        let mut builder = Rotator::builder(self.client.clone(), &self.directory);
        for destination in destinations {
            builder = builder.destination(Restorable::new(destination, self.client.api_server()));
        }
        if let Some(command) = test {
            builder = builder.test_with(command.clone(), move |value| {
                // A test may ignore the value.
                let is_ignored = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
                let outcome = run(&command, &value);
                future::ready(outcome.or_else(|it| if is_ignored(&it) { Ok(()) } else { Err(it) }))
            });
        }
        let (globals, is_shown) = (self.globals.clone(), self.globals.format == Format::Table);
        builder.on_step(move |entry| {
            interrupt::set_resume(globals.command(["rotate", "resume", &entry.id]));
            if is_shown {
                note(&progress(entry));
            }
        })
    }

    fn build(&self, builder: RotatorBuilder) -> Result<Rotator, Failure> {
        builder.build().map_err(|error| self.failed(error))
    }

    /// Returns the failure for an error, with the command that continues.
    fn failed(&self, error: rotation::Error) -> Failure {
        let code = match error.api_error().map(Code::from) {
            _ if error.is_not_found() || error.is_locked() => Code::NotFoundOrConflict,
            // The empty update in a plan changes nothing.
            Some(code) if error.is_unchanged() && code != Code::Ambiguous => code,
            _ if error.is_unchanged() || error.is_rolled_back() => Code::Failed,
            _ => Code::Unfinished,
        };
        let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
        let failure = Failure::new(code, format!("{error}{cause}")).of_call(error.api_error());
        match error.id() {
            Some(id) if code == Code::Unfinished => {
                failure.next(self.globals.command(["rotate", "resume", id]))
            }
            _ => failure,
        }
    }

    fn show_plan(&self, plan: &Plan) -> Result<Code, Failure> {
        if self.globals.format == Format::Table {
            let text = plan.to_string();
            let lines = text.lines().map(|line| output::printable(line) + "\n");
            output::data(lines.collect::<String>())?;
        } else {
            let record = [
                ("user", json!(plan.user)),
                ("old", json!(plan.old)),
                ("new", json!(plan.new)),
                ("role", json!(plan.role)),
                ("old_expiry_time", json!(plan.old_expiry_time)),
                ("new_expiry_time", json!(plan.new_expiry_time)),
                ("overlap_seconds", json!(plan.overlap.as_secs())),
                ("hold_seconds", json!(plan.hold.as_secs())),
                ("is_ready", json!(plan.is_ready())),
                ("checks", json!(plan.checks)),
            ];
            output::record(self.globals.format, &record)?;
        }
        if plan.is_ready() {
            return Ok(Code::Success);
        }
        let count = plan.problems().count();
        Err(Failure::new(Code::Failed, format!("cannot start the rotation: {count} checks failed")))
    }

    /// Shows one rotation.
    fn show(&self, entry: &Entry) -> Result<Code, Failure> {
        let fields = FIELDS.into_iter().zip(self.values(entry)).collect::<Vec<_>>();
        output::record(self.globals.format, &fields)
    }

    /// Returns the values of `FIELDS`.
    fn values(&self, entry: &Entry) -> [Value; 9] {
        [
            json!(entry.id),
            json!(entry.step),
            json!(entry.user),
            json!(entry.old),
            json!(entry.new),
            json!(entry.started_at),
            json!(entry.waits_until()),
            json!(entry.failure),
            if entry.step.is_final() { Value::Null } else { json!(self.next(entry)) },
        ]
    }

    fn next(&self, entry: &Entry) -> String {
        self.globals.command(["rotate", "resume", &entry.id])
    }

    /// Shows rotations.
    fn show_all(&self, entries: &[Entry]) -> Result<Code, Failure> {
        if self.globals.format != Format::Table {
            let values = entries.iter().map(|entry| self.values(entry));
            return output::records(self.globals.format, &FIELDS, values);
        }
        let rows = entries.iter().map(|entry| {
            let until = entry.waits_until().map_or_else(String::new, ToString::to_string);
            let Entry { id, step, user, old, new, .. } = entry.clone();
            [id, step.to_string(), user, old, new, until]
        });
        output::table(["ID", "STEP", "USER", "OLD", "NEW", "WAITS UNTIL"], rows)
    }
}

/// Returns true if the rotation still has to print the value.
fn will_print(entry: &Entry) -> bool {
    let is_stdout = |name: &String| name.parse() == Ok(Destination::Stdout);
    entry.step <= Step::Distribute && entry.destinations.iter().any(is_stdout)
}

/// Describes a step.
fn progress(entry: &Entry) -> String {
    let Entry { old, new, .. } = entry;
    let until = entry.waits_until().map_or("now", |time| time.as_str());
    match entry.step {
        Step::Create if entry.is_suspended_first => format!("suspend {old}, create {new}"),
        Step::Create => format!("create {new}"),
        Step::Distribute => format!("write its value to {}", entry.destinations.join(", ")),
        Step::Test => format!("test {new}"),
        Step::Overlap => match &entry.overlap_until {
            Some(time) => format!("let {old} expire at {time}"),
            None if entry.is_own_key => {
                format!("{new} works; this program switches from {old} to it")
            }
            None => format!("{new} works"),
        },
        Step::Suspend if entry.is_compromised => format!("suspend {old}"),
        Step::Suspend => format!("suspend {old} at {until}, if it is unused until then"),
        Step::Hold => format!("{old} is suspended; delete it at {until}"),
        Step::Delete => format!("delete {old}"),
        Step::RollBack => format!("roll back to {old}"),
        Step::Done => format!("done: {new} has replaced {old}"),
        Step::RolledBack => format!("rolled back: {old} is in use again"),
        _ => format!("{}: {old} and {new} are unchanged", entry.step),
    }
}

/// A destination that remembers its content from before this run.
struct Restorable {
    name: String,
    destination: Destination,
    server: String,
    written: Mutex<Option<Written>>,
}

impl Restorable {
    fn new(destination: Destination, server: &str) -> Self {
        let (name, server) = (destination.to_string(), server.to_owned());
        Self { name, destination, server, written: Mutex::default() }
    }

    fn put(&self, value: &ApiKeyValue) -> Result<(), String> {
        let written = self.destination.write(value, &self.server).map_err(|it| it.to_string())?;
        let mut first = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(written);
        Ok(())
    }

    /// Restores a file's content from before this run, or writes the old key's value.
    fn put_back(&self, old: &ApiKeyValue) -> Result<(), String> {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (&self.destination, written) {
            (Destination::Stdout, _) => {
                note("standard output may contain the value of the successor, which is deleted");
                Ok(())
            }
            (Destination::Exec(_), _) | (_, None) => self.put(old),
            (_, Some(written)) => written.restore(),
        }
    }
}

impl rotation::Destination for Restorable {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> BoxFuture<'_> {
        ready(self.destination.check().map_err(|it| it.to_string()))
    }

    fn write<'a>(&'a self, value: &'a ApiKeyValue) -> BoxFuture<'a> {
        ready(self.put(value))
    }

    fn restore<'a>(&'a self, value: &'a ApiKeyValue) -> BoxFuture<'a> {
        ready(self.put_back(value))
    }
}

fn ready(outcome: Result<(), String>) -> BoxFuture<'static> {
    Box::pin(future::ready(outcome.map_err(Into::into)))
}
