//! The command `rotate`: starts, continues and shows rotations. What a rotation does is in the
//! library; its journal is a directory of the operator.

use std::env;
use std::error::Error as _;
use std::future;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, Subcommand};
use rockset_apikeys::ApiKeyValue;
use rockset_apikeys_admin::rotation::{
    self, Destination, Entry, Outcome, Plan, Rotation, Rotator, RotatorBuilder, Step,
};
use serde_json::{Value, json};

use crate::config::Config;
use crate::failure::{Code, Failure};
use crate::keys::duration;
use crate::output::{self, Format};
use crate::prompt::confirm;
use crate::sink::{Sink, Written, run};
use crate::{Globals, RESUME, note, whoami};

#[derive(Args)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct Rotate {
    #[command(flatten)]
    start: Option<Start>,
    #[command(subcommand)]
    command: Option<Existing>,
}

#[derive(Args)]
struct Start {
    /// Name of the key; my-app is the newest of my-app, my-app.r2, my-app.r3 and so on
    name: String,
    // Flattened, it would hide whether there is anything to start.
    /// Email address of the owner; the client's own user by default
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// How long the successor works, such as 90d; the old key's whole lifetime by default
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires_in: Option<Duration>,
    /// How long the old key works beside the successor
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "24h")]
    overlap: Duration,
    /// How long the old key is suspended before it is deleted
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "7d")]
    hold: Duration,
    /// Write the value to file:PATH, env:PATH#VAR (a line of a dotenv file), profile:NAME,
    /// exec:COMMAND (on its standard input), or - (standard output); may be repeated
    #[arg(long = "out", value_name = "SINK", required = true)]
    sinks: Vec<Sink>,
    /// Command that tests the successor once it is written; it gets the value on standard input
    #[arg(long, value_name = "COMMAND")]
    test_cmd: Option<String>,
    /// Show what would be done and whether it can be, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Suspend the old key as soon as the successor is tested, used or not
    #[arg(long)]
    compromised: bool,
    /// Suspend the old key before the successor is created: programs fail until they have it
    #[arg(long)]
    suspend_first: bool,
}

#[derive(Subcommand)]
enum Existing {
    /// Show the rotations in the journal
    Status {
        /// Id of the rotation; all by default
        id: Option<String>,
    },
    /// Do what is due: suspend the old key after the overlap, delete it after the hold
    Resume {
        /// Id of the rotation; all that are unfinished by default
        id: Option<String>,
        /// Retire the old key although it was used after the distribution
        #[arg(long)]
        force: bool,
    },
    /// Retire the old key without waiting for the end of the overlap and the hold
    Finish {
        #[command(flatten)]
        which: Which,
        /// Retire the old key although it was used after the distribution
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Undo a rotation whose old key still exists
    Rollback {
        #[command(flatten)]
        which: Which,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Close a rotation as it is: both keys and what was written stay
    Abort {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Args)]
struct Which {
    /// Id of the rotation; the only one that is unfinished by default
    id: Option<String>,
}

impl Rotate {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Code, Failure> {
        let rotations = Rotations { globals, config: globals.config()?, directory: journal()? };
        match (self.command, self.start) {
            (Some(command), None) => rotations.continue_with(command).await,
            (None, Some(start)) => rotations.start(start).await,
            _ => Err(usage("give either a key to rotate or one of the commands".to_owned())),
        }
    }
}

/// Returns the directory of the journal, in the place for the state of programs.
fn journal() -> Result<PathBuf, Failure> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).and_then(absolute);
    let home = || Some(env::home_dir().and_then(absolute)?.join(".local/state"));
    let state = state.or_else(home).ok_or_else(|| {
        usage(
            "the home directory, which holds the journal of rotations, is unknown; set HOME".into(),
        )
    })?;
    Ok(state.join("rockset-apikeys/rotations"))
}

fn usage(message: String) -> Failure {
    Failure::new(Code::Usage, message)
}

/// The fields of a rotation.
const FIELDS: [&str; 9] =
    ["id", "step", "user", "old", "new", "started_at", "waits_until", "failure", "next"];

/// The rotations of a journal.
struct Rotations<'a> {
    globals: &'a Globals,
    config: Config,
    directory: PathBuf,
}

impl Rotations<'_> {
    async fn start(&self, start: Start) -> Result<Code, Failure> {
        let is_stdout = self.check_stdout(start.sinks.contains(&Sink::Stdout))?;
        let sinks = start.sinks.into_iter().map(Sink::absolute).collect::<Result<_, _>>()?;
        let mut builder = self.builder(sinks, start.test_cmd);
        if let [own] = &whoami::own_keys(&self.config).await?[..] {
            builder = builder.client_key(&own.name);
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

    /// Checks that nothing but the value is to be on standard output, if the value is.
    fn check_stdout(&self, is_stdout: bool) -> Result<bool, Failure> {
        if is_stdout && self.globals.format != Format::Table {
            return Err(usage("--out - writes the value alone; leave out --format".to_owned()));
        }
        Ok(is_stdout)
    }

    fn show_unless(&self, is_stdout: bool, entry: &Entry) -> Result<Code, Failure> {
        if is_stdout {
            note(&format!("next: {}", self.next(entry)));
            return Ok(Code::Done);
        }
        self.show(entry)
    }

    async fn continue_with(&self, command: Existing) -> Result<Code, Failure> {
        let mut is_stdout = false;
        let entry = match command {
            Existing::Status { id: Some(id) } => return self.show(&self.entry(&id)?),
            Existing::Status { id: None } => return self.show_all(&self.entries()?),
            Existing::Resume { id, force } => return self.resume(id, force).await,
            Existing::Finish { which, force, yes } => {
                let entry = self.only(which)?;
                let question =
                    format!("Retire {} before its overlap and hold have ended?", entry.old);
                is_stdout = self.check_stdout(will_print(&entry))?;
                confirm(self.globals, &question, yes).await?;
                self.rotator(&entry, force)?.finish(&entry.id).await
            }
            Existing::Rollback { which, yes } => {
                let entry = self.only(which)?;
                let question = format!("Restore {} and delete {}?", entry.old, entry.new);
                confirm(self.globals, &question, yes).await?;
                self.rotator(&entry, false)?.rollback(&entry.id).await
            }
            Existing::Abort { which } => {
                // It writes no sink, so one that is not valid any more does not keep it.
                let id = self.only(which)?.id;
                self.build(self.builder(Vec::new(), None))?.abort(&id).await
            }
        };
        let entry = entry.map_err(|error| self.failed(error))?;
        self.show_unless(is_stdout, &entry)
    }

    /// Continues a rotation, or all that are unfinished. One that fails does not keep the others.
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
            [] if !failed.is_empty() => Code::Done,
            _ if is_stdout => Code::Done,
            _ => self.show_all(&done)?,
        };
        Failure::all(failed, done.len()).map_or(Ok(Code::Done), Err)
    }

    fn entries(&self) -> Result<Vec<Entry>, Failure> {
        let rotator = Rotator::builder(self.config.client.clone(), &self.directory).build();
        rotator.and_then(|rotator| rotator.status()).map_err(|error| self.failed(error))
    }

    fn entry(&self, id: &str) -> Result<Entry, Failure> {
        let found = self.entries()?.into_iter().find(|entry| entry.id == id);
        found.ok_or_else(|| {
            let directory = self.directory.display();
            let message = format!("the journal {directory} has no rotation {id:?}");
            Failure::new(Code::NotFoundOrConflict, message)
        })
    }

    /// Returns the unfinished rotations at this server.
    fn unfinished(&self) -> Result<Vec<Entry>, Failure> {
        let mut entries = self.entries()?;
        let server = self.config.client.api_server();
        entries.retain(|entry| !entry.step.is_final() && entry.server == server);
        Ok(entries)
    }

    /// Returns the rotation that is named, or the only one that is unfinished.
    fn only(&self, which: Which) -> Result<Entry, Failure> {
        if let Some(id) = which.id {
            return self.entry(&id);
        }
        let mut entries = self.unfinished()?;
        match (entries.pop(), entries.len()) {
            (Some(entry), 0) => Ok(entry),
            (None, _) => {
                let message = "no rotation at this server is unfinished";
                Err(Failure::new(Code::NotFoundOrConflict, message))
            }
            (Some(last), _) => {
                let all = entries.iter().chain([&last]);
                let all = all.map(|entry| format!("{} of {}", entry.id, entry.old));
                let all = all.collect::<Vec<_>>().join(", ");
                Err(usage(format!("several rotations are unfinished; name one of: {all}")))
            }
        }
    }

    /// Returns the rotator of an entry, with its sinks and its test.
    fn rotator(&self, entry: &Entry, force: bool) -> Result<Rotator, Failure> {
        let sinks = entry.destinations.iter().map(|name| {
            name.parse().map_err(|reason| {
                Failure::new(Code::Failed, format!("the sink {name} in the journal: {reason}"))
            })
        });
        let builder = self.builder(sinks.collect::<Result<_, _>>()?, entry.test.clone());
        self.build(builder.force(force))
    }

    fn builder(&self, sinks: Vec<Sink>, test: Option<String>) -> RotatorBuilder {
        let mut builder = Rotator::builder(self.config.client.clone(), &self.directory);
        for sink in sinks {
            builder = builder.destination(Place::new(sink, self.config.client.api_server()));
        }
        if let Some(command) = test {
            builder = builder.test_with(command.clone(), move |value| {
                // A test need not read the value.
                let is_over = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
                let outcome = run(&command, &value);
                future::ready(outcome.or_else(|it| if is_over(&it) { Ok(()) } else { Err(it) }))
            });
        }
        let (flags, is_shown) = (self.globals.flags.clone(), self.globals.format == Format::Table);
        builder.on_step(move |entry| {
            let command = flags.command(["rotate", "resume", &entry.id]);
            *RESUME.lock().unwrap_or_else(PoisonError::into_inner) = Some(command);
            if is_shown {
                note(&progress(entry));
            }
        })
    }

    fn build(&self, builder: RotatorBuilder) -> Result<Rotator, Failure> {
        builder.build().map_err(|error| self.failed(error))
    }

    /// Returns the exit code and the text of an error, and the command that continues.
    fn failed(&self, error: rotation::Error) -> Failure {
        let code = match error.api_error().map(Code::from) {
            _ if error.is_not_found() || error.is_locked() => Code::NotFoundOrConflict,
            // The update in a plan changes nothing.
            Some(code) if error.is_unchanged() && code != Code::Ambiguous => code,
            _ if error.is_unchanged() || error.is_rolled_back() => Code::Failed,
            _ => Code::Unfinished,
        };
        let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
        let failure = Failure::new(code, format!("{error}{cause}")).of_call(error.api_error());
        match error.id() {
            Some(id) if code == Code::Unfinished => {
                failure.next(self.globals.flags.command(["rotate", "resume", id]))
            }
            _ => failure,
        }
    }

    fn show_plan(&self, plan: &Plan) -> Result<Code, Failure> {
        if self.globals.format == Format::Table {
            let text = plan.to_string();
            let lines = text.lines().map(|line| output::printable(line) + "\n");
            output::data(lines.collect::<String>().as_bytes())?;
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
            return Ok(Code::Done);
        }
        let count = plan.problems().count();
        Err(Failure::new(Code::Failed, format!("the rotation cannot start: {count} checks failed")))
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
        self.globals.flags.command(["rotate", "resume", &entry.id])
    }

    /// Shows rotations.
    fn show_all(&self, entries: &[Entry]) -> Result<Code, Failure> {
        if self.globals.format != Format::Table {
            let values = entries.iter().map(|entry| self.values(entry)).collect::<Vec<_>>();
            return output::records_of(self.globals.format, FIELDS, &values);
        }
        let rows = entries.iter().map(|entry| {
            let until = entry.waits_until().map_or_else(String::new, ToString::to_string);
            let Entry { id, step, user, old, new, .. } = entry.clone();
            [id, step.to_string(), user, old, new, until]
        });
        output::table(["ID", "STEP", "USER", "OLD", "NEW", "WAITS UNTIL"], rows)
    }
}

/// Whether the rotation has yet to write the value to standard output.
fn will_print(entry: &Entry) -> bool {
    let is_stdout = |name: &String| name.parse() == Ok(Sink::Stdout);
    entry.step <= Step::Distribute && entry.destinations.iter().any(is_stdout)
}

/// Returns what a step does, for a person.
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
                format!("{new} works; it takes the place of {old}, with which this program began")
            }
            None => format!("{new} works"),
        },
        Step::Suspend if entry.is_compromised => format!("suspend {old}"),
        Step::Suspend => format!("suspend {old} at {until}, if it is not used any more"),
        Step::Hold => format!("{old} is suspended; delete it at {until}"),
        Step::Delete => format!("delete {old}"),
        Step::RollBack => format!("roll back to {old}"),
        Step::Done => format!("done: {new} has replaced {old}"),
        Step::RolledBack => format!("rolled back: {old} is in use as before"),
        _ => format!("{}: {old} and {new} stay as they are", entry.step),
    }
}

/// A sink in use: its name in the journal, and what it had before this run wrote it.
struct Place {
    name: String,
    sink: Sink,
    server: String,
    written: Mutex<Option<Written>>,
}

impl Place {
    fn new(sink: Sink, server: &str) -> Self {
        Self { name: sink.to_string(), sink, server: server.to_owned(), written: Mutex::default() }
    }

    fn put(&self, value: &ApiKeyValue) -> Result<(), String> {
        let written = self.sink.write(value, &self.server).map_err(|it| it.to_string())?;
        let mut first = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(written);
        Ok(())
    }

    /// Gives a file its old content back, and otherwise the old key's value.
    fn put_back(&self, old: &ApiKeyValue) -> Result<(), String> {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (&self.sink, written) {
            (Sink::Stdout, _) => {
                note("standard output may have the value of the successor, which is deleted");
                Ok(())
            }
            (Sink::Exec(_), _) | (_, None) => self.put(old),
            (_, Some(written)) => written.restore(),
        }
    }
}

impl Destination for Place {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Outcome<'_> {
        ready(self.sink.check().map_err(|it| it.to_string()))
    }

    fn write<'a>(&'a self, value: &'a ApiKeyValue) -> Outcome<'a> {
        ready(self.put(value))
    }

    fn restore<'a>(&'a self, value: &'a ApiKeyValue) -> Outcome<'a> {
        ready(self.put_back(value))
    }
}

fn ready(outcome: Result<(), String>) -> Outcome<'static> {
    Box::pin(future::ready(outcome.map_err(Into::into)))
}
