//! Starts and continues rotations. `steps` implements the steps.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rockset_apikeys::{ApiKey, ApiKeyValue, Client, ErrorKind, StatusCode, Timestamp, jiff};

use super::destination::{Destination, Function};
use super::error::{Error, Kind};
use super::journal::{Entry, Journal, Lock, Step};
use super::plan::{self, Plan, Rotation};
use crate::generation;
use crate::time::server_time;

const FORBIDDEN: ErrorKind = ErrorKind::Response(StatusCode::FORBIDDEN);

type Source = Box<dyn StdError + Send + Sync>;
type Observer = Box<dyn Fn(&Entry) + Send + Sync>;
type Test = Box<dyn Fn(ApiKeyValue) -> Tested + Send + Sync>;
type Tested = Pin<Box<dyn Future<Output = Result<(), Source>> + Send>>;

/// Rotates keys, with a client, a journal and destinations.
///
/// Every method runs the steps that are due and returns the journal's [`Entry`], which contains
/// [when the next step is due](Entry::waits_until). Futures can be dropped at any point.
/// [`resume`](Self::resume) continues a rotation, even in another process, with a rotator that has
/// the same destinations.
pub struct Rotator {
    /// The client, and the rotation of its own key that replaced it, if any.
    pub(super) client: RwLock<(Client, Option<String>)>,
    pub(super) journal: Journal,
    pub(super) settings: Settings,
}

pub(super) struct Settings {
    pub(super) destinations: Vec<Box<dyn Destination>>,
    pub(super) test: Option<(String, Test)>,
    pub(super) test_timeout: Duration,
    pub(super) last_access_delay: Duration,
    pub(super) own_key_name: Option<String>,
    pub(super) force: bool,
    observer: Option<Observer>,
}

/// The settings of a [`Rotator`], from [`Rotator::builder`].
#[must_use]
pub struct RotatorBuilder {
    client: Client,
    journal: PathBuf,
    settings: Settings,
}

impl RotatorBuilder {
    /// Adds a destination.
    pub fn destination(mut self, destination: impl Destination + 'static) -> Self {
        self.settings.destinations.push(Box::new(destination));
        self
    }

    /// Adds a destination that an async function writes.
    ///
    /// The name is for the journal and for messages. The function replaces the value atomically; to
    /// undo that, it is called with the old key's value.
    pub fn write_with<F, R, E>(self, name: impl Into<String>, write: F) -> Self
    where
        F: Fn(ApiKeyValue) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Source>,
    {
        self.destination(Function { name: name.into(), write })
    }

    /// Adds a custom test of the successor.
    ///
    /// The rotator always calls the API with the new value. The name is for the journal: a rotation
    /// is resumed with the test that it began with.
    pub fn test_with<F, R, E>(mut self, name: impl Into<String>, test: F) -> Self
    where
        F: Fn(ApiKeyValue) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Source>,
    {
        let test = move |value| -> Tested {
            let tested = test(value);
            Box::pin(async move { tested.await.map_err(Into::into) })
        };
        self.settings.test = Some((name.into(), Box::new(test)));
        self
    }

    /// Sets how long the server may reject the new value; defaults to 30 seconds.
    ///
    /// After that the test fails.
    pub fn test_timeout(mut self, timeout: Duration) -> Self {
        self.settings.test_timeout = timeout;
        self
    }

    /// Sets the delay of the server's last access times; defaults to 10 seconds.
    ///
    /// The old key is retired no earlier than that after its last possible use.
    pub fn last_access_delay(mut self, delay: Duration) -> Self {
        self.settings.last_access_delay = delay;
        self
    }

    /// Sets the name of the client's own key for new rotations.
    ///
    /// It prevents the adoption of a successor that another key created.
    /// [`Rotation::suspend_first`] requires it.
    pub fn own_key_name(mut self, name: impl Into<String>) -> Self {
        self.settings.own_key_name = Some(name.into());
        self
    }

    /// Retires an old key that was used after the distribution, or activated during the hold.
    pub fn force(mut self, force: bool) -> Self {
        self.settings.force = force;
        self
    }

    /// Sets a function that is called when a step was written to the journal and begins.
    pub fn on_step(mut self, observer: impl Fn(&Entry) + Send + Sync + 'static) -> Self {
        self.settings.observer = Some(Box::new(observer));
        self
    }

    /// Builds the rotator, and creates the journal's directory if it does not exist.
    ///
    /// # Errors
    ///
    /// Fails if the directory cannot be created or two destinations have the same name.
    pub fn build(self) -> Result<Rotator, Error> {
        let mut names: Vec<_> = self.settings.destinations.iter().map(|it| it.name()).collect();
        names.sort_unstable();
        if let Some((name, _)) = names.iter().zip(names.iter().skip(1)).find(|(a, b)| a == b) {
            let reason = format!("two destinations have the name {name:?}");
            return Err(Error::new(Kind::Unchanged, reason));
        }
        let journal = Journal::open(self.journal).map_err(|it| it.with_kind(Kind::Unchanged))?;
        Ok(Rotator { client: RwLock::new((self.client, None)), journal, settings: self.settings })
    }
}

impl Rotator {
    /// Starts the configuration of a rotator with a client and the journal's directory.
    pub fn builder(client: Client, journal: impl Into<PathBuf>) -> RotatorBuilder {
        RotatorBuilder {
            client,
            journal: journal.into(),
            settings: Settings {
                destinations: Vec::new(),
                test: None,
                test_timeout: Duration::from_secs(30),
                last_access_delay: Duration::from_secs(10),
                own_key_name: None,
                force: false,
                observer: None,
            },
        }
    }

    /// Returns the client, which uses the successor once its own key is rotated and tested.
    pub fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Checks whether a rotation can start; changes nothing.
    ///
    /// To check the permission to create the successor, it sends an empty update for the
    /// successor's name, which gets a 404.
    ///
    /// # Errors
    ///
    /// Fails if the key does not exist or a call fails. A failed check is part of the plan instead.
    pub async fn plan(&self, rotation: &Rotation) -> Result<Plan, Error> {
        self.make_plan(rotation).await.map_err(|error| match error.kind() {
            Kind::NotFound => error,
            _ => error.with_kind(Kind::Unchanged),
        })
    }

    async fn make_plan(&self, rotation: &Rotation) -> Result<Plan, Error> {
        let client = self.client();
        let user = rotation.user.as_deref().unwrap_or("self");
        let (keys, report) = client.list_api_keys().user(user).with_report().await?;
        let now = server_time(&report);
        let Some(old) = plan::find(&rotation.name, keys) else {
            let owner = rotation.user.as_deref().unwrap_or("the client's user");
            let reason = format!("{owner} has no key {:?}", rotation.name);
            return Err(Error::new(Kind::NotFound, reason));
        };
        let owner = old.created_by.clone().unwrap_or_else(|| user.to_owned());
        let new = generation::successor(&old.name);
        let expiry = rotation.new_expiry(&old, now);
        let mut plan = Plan {
            user: owner,
            old: old.name.clone(),
            new,
            role: old.role.clone(),
            old_expiry_time: old.expiry_time.clone(),
            new_expiry_time: expiry.clone().ok().flatten(),
            overlap: rotation.effective_overlap(),
            hold: rotation.hold,
            checks: Vec::new(),
            old_created_at: old.created_at.clone(),
            now,
            is_own_user: rotation.user.is_none(),
        };
        plan.check_state(&old);
        plan.check(
            "successor's expiry",
            expiry.map(|time| time.map_or("none".to_owned(), |it| it.to_string())),
        );
        self.check_permission(&client, &mut plan).await?;
        if !plan.is_own_user {
            plan.is_own_user = match client.get_api_key(&old.name).await {
                Ok(own) => own.created_by == old.created_by && own.created_at == old.created_at,
                Err(error) if error.is_not_found() => false,
                Err(error) => return Err(error.into()),
            };
        }
        if rotation.is_suspended_first {
            let found = match &self.settings.own_key_name {
                None => Err("its name is unknown".to_owned()),
                Some(name) if plan.is_own_user && *name == plan.old => {
                    Err("it is the old key; create its successor before you suspend it".into())
                }
                Some(name) => Ok(format!("{name:?}, which stays active")),
            };
            plan.check("client's own key", found);
        }
        for destination in &self.settings.destinations {
            let found = destination.check().await;
            let found = found.map(|()| "writable".to_owned()).map_err(|it| it.to_string());
            plan.check(format!("destination {:?}", destination.name()), found);
        }
        let found = match self.unfinished(&plan.user, &[&plan.old, &plan.new])? {
            None => Ok("none".to_owned()),
            Some(id) => Err(format!("rotation {id} is unfinished; resume or finish it first")),
        };
        plan.check("unfinished rotations", found);
        Ok(plan)
    }

    async fn check_permission(&self, client: &Client, plan: &mut Plan) -> Result<(), Error> {
        let revealed = client.get_api_key(&plan.old).user(&plan.user).reveal(true).await;
        let found = match revealed {
            Ok(key) if key.key.full_key().is_some() => Ok("permitted".to_owned()),
            Ok(_) => Err("the server did not return the full value".to_owned()),
            Err(error) if error.kind() == FORBIDDEN => Err(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        plan.check("reveal", found);
        let found = match client.get_api_key(&plan.new).user(&plan.user).await {
            Ok(_) => Err(format!("{:?} exists; delete it or rotate it", plan.new)),
            Err(error) if error.is_not_found() => Ok("free".to_owned()),
            Err(error) => return Err(error.into()),
        };
        let is_free = found.is_ok();
        plan.check("successor's name", found);
        if is_free {
            let found = match client.update_api_key(&plan.new).user(&plan.user).await {
                Err(error) if error.kind() == FORBIDDEN => Err(error.to_string()),
                Err(error) if error.is_not_found() => Ok("permitted".to_owned()),
                Ok(_) => Err(format!("{:?} was created in the meantime", plan.new)),
                Err(error) => return Err(error.into()),
            };
            plan.check("create, update and delete", found);
        }
        Ok(())
    }

    /// Returns the unfinished rotation of one of these keys.
    fn unfinished(&self, user: &str, names: &[&str]) -> Result<Option<String>, Error> {
        let server = self.client().api_server().to_owned();
        let is_same = |entry: &Entry| {
            let is_named =
                names.contains(&entry.old.as_str()) || names.contains(&entry.new.as_str());
            !entry.step.is_final() && entry.server == server && entry.user == user && is_named
        };
        Ok(self.journal.entries()?.into_iter().find(is_same).map(|entry| entry.id))
    }

    /// Plans and starts a rotation, and runs all steps that are due.
    ///
    /// It usually returns when the overlap begins; call [`resume`](Self::resume) when the entry's
    /// wait ends.
    ///
    /// # Errors
    ///
    /// Fails without a change if the plan is not ready. If the distribution or the test fails, the
    /// rotation is rolled back without having changed the old key. After any other error,
    /// [`resume`](Self::resume) continues.
    pub async fn rotate(&self, rotation: &Rotation) -> Result<Entry, Error> {
        let plan = self.plan(rotation).await?;
        let problems: Vec<_> =
            plan.problems().map(|it| format!("{}: {}", it.what, it.finding)).collect();
        if !problems.is_empty() {
            let reason = format!("cannot start the rotation: {}", problems.join("; "));
            return Err(Error::new(Kind::Unchanged, reason));
        }
        let server = self.client().api_server().to_owned();
        let _lock = self.journal.lock(&server, &plan.user, &plan.old)?;
        if let Some(id) = self.unfinished(&plan.user, &[&plan.old, &plan.new])? {
            let reason = "another rotation of the key was started in the meantime";
            return Err(Error::new(Kind::Locked, reason).of(&id));
        }
        let mut entry = Entry {
            id: self.journal.new_id(),
            server,
            user: plan.user,
            old: plan.old,
            old_created_at: plan.old_created_at,
            old_expiry_time: plan.old_expiry_time,
            new: plan.new,
            role: plan.role,
            new_expiry_time: plan.new_expiry_time,
            new_created_at: None,
            destinations: self.destination_names(),
            written: 0,
            test: self.test_name().map(str::to_owned),
            own_key_name: self.settings.own_key_name.clone(),
            overlap: plan.overlap,
            hold: plan.hold,
            is_compromised: rotation.is_compromised,
            is_suspended_first: rotation.is_suspended_first,
            is_own_user: plan.is_own_user,
            is_own_key: false,
            step: Step::Create,
            reached: Step::Create,
            started_at: plan.now.into(),
            distributed_at: None,
            overlap_until: None,
            suspend_at: None,
            suspended_at: None,
            delete_at: None,
            failure: None,
        };
        let entered = self.enter(&mut entry, Step::Create).await;
        entered.map_err(|error| error.with_kind(Kind::Unchanged))?;
        self.advance(entry, false).await
    }

    /// Returns all rotations in the journal, oldest first, including finished ones.
    ///
    /// # Errors
    ///
    /// Fails if the journal cannot be read.
    pub fn status(&self) -> Result<Vec<Entry>, Error> {
        self.journal.entries()
    }

    /// Continues a rotation, and runs all steps that are due.
    ///
    /// # Errors
    ///
    /// Fails as [`rotate`](Self::rotate) does, and with [`is_in_use`](Error::is_in_use) if the old
    /// key was used after the distribution.
    pub async fn resume(&self, id: &str) -> Result<Entry, Error> {
        let (entry, _lock) = self.open(id, true)?;
        self.advance(entry, false).await
    }

    /// Continues a rotation without waiting for the end of the overlap and the hold.
    ///
    /// It still waits until the server has recorded the old key's last access; call it again when
    /// the entry's wait ends.
    ///
    /// # Errors
    ///
    /// As for [`resume`](Self::resume).
    pub async fn finish(&self, id: &str) -> Result<Entry, Error> {
        let (entry, _lock) = self.open(id, true)?;
        self.advance(entry, true).await
    }

    /// Undoes a rotation whose old key still exists.
    ///
    /// Restores the old key's state and expiry time and the destinations, and deletes the
    /// successor.
    ///
    /// # Errors
    ///
    /// Fails if the old key is deleted or its own expiry time has passed. After any other error,
    /// [`resume`](Self::resume) continues the rollback.
    pub async fn rollback(&self, id: &str) -> Result<Entry, Error> {
        let (mut entry, _lock) = self.open(id, true)?;
        if entry.step == Step::RolledBack {
            return Ok(entry);
        }
        if entry.step.is_final() {
            let reason = format!("cannot roll back the rotation: it is {}", entry.step);
            return Err(Error::new(Kind::Unchanged, reason).of(id));
        }
        if entry.step != Step::RollBack {
            self.check_can_roll_back(&entry).await.map_err(|error| error.of(id))?;
            entry.failure = Some("requested".to_owned());
            self.enter(&mut entry, Step::RollBack).await?;
        }
        self.advance(entry, false).await
    }

    /// Closes a rotation without changing the server or a destination.
    ///
    /// It is for rotations that cannot be resumed or rolled back, for example because their server
    /// does not exist any more.
    ///
    /// # Errors
    ///
    /// Fails if the journal cannot be written.
    pub async fn abort(&self, id: &str) -> Result<Entry, Error> {
        let (mut entry, _lock) = self.open(id, false)?;
        if !entry.step.is_final() {
            self.enter(&mut entry, Step::Aborted).await?;
        }
        Ok(entry)
    }

    /// Locks and reads an entry, and checks its server, destinations and test.
    fn open(&self, id: &str, is_checked: bool) -> Result<(Entry, Lock), Error> {
        let entry = self.journal.entry(id)?;
        let lock = self.journal.lock(&entry.server, &entry.user, &entry.old);
        let lock = lock.map_err(|error| error.of(id))?;
        // Another process may have continued it before.
        let entry = self.journal.entry(id)?;
        let refuse = |reason| Err(Error::new(Kind::Unchanged, reason).of(id));
        if is_checked && entry.server != self.client().api_server() {
            return refuse(format!("the rotation belongs to another server, {}", entry.server));
        }
        if is_checked && entry.destinations != self.destination_names() {
            return refuse(format!("pass the destinations: {}", entry.destinations.join(", ")));
        }
        if is_checked && entry.test.as_deref() != self.test_name() {
            return refuse(match &entry.test {
                Some(name) => format!("pass the test {name}"),
                None => "the rotation began without a test; pass none".to_owned(),
            });
        }
        Ok((entry, lock))
    }

    fn test_name(&self) -> Option<&str> {
        self.settings.test.as_ref().map(|(name, _)| name.as_str())
    }

    fn destination_names(&self) -> Vec<String> {
        self.settings.destinations.iter().map(|it| it.name().to_owned()).collect()
    }

    /// Begins a step: writes it to the journal and reports it.
    pub(super) async fn enter(&self, entry: &mut Entry, step: Step) -> Result<(), Error> {
        entry.step = step;
        if step < Step::RollBack {
            entry.reached = step;
        }
        self.journal.save(entry)?;
        tracing::info!(rotation = %entry.id, step = step.as_str(), "rotation step");
        if let Some(observer) = &self.settings.observer {
            observer(entry);
        }
        // The write blocked the thread.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Looks up a key and the server's time.
    pub(super) async fn look_up(
        &self,
        entry: &Entry,
        name: &str,
        reveal: bool,
    ) -> Result<(Option<ApiKey>, jiff::Timestamp), Error> {
        let call = self.client().get_api_key(name).user(&entry.user).reveal(reveal);
        match call.with_report().await {
            Ok((key, report)) => Ok((Some(key), server_time(&report))),
            Err(error) if error.is_not_found() => {
                let time = error.report().map_or_else(jiff::Timestamp::now, server_time);
                Ok((None, time))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Adds a duration to a time.
pub(super) fn after(time: jiff::Timestamp, duration: Duration) -> Timestamp {
    time.checked_add(duration).unwrap_or(jiff::Timestamp::MAX).into()
}

impl fmt::Debug for Rotator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let destinations = &self.settings.destinations;
        f.debug_struct("Rotator").field("destinations", destinations).finish_non_exhaustive()
    }
}

impl fmt::Debug for RotatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let destinations = &self.settings.destinations;
        f.debug_struct("RotatorBuilder").field("destinations", destinations).finish_non_exhaustive()
    }
}
