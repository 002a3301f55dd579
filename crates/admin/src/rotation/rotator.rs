//! Starts and continues rotations. The steps themselves are in `steps`.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rockset_apikeys::{ApiKey, ApiKeyValue, Client, Timestamp, jiff};

use super::destination::{Destination, Function};
use super::error::{Error, Kind};
use super::journal::{Entry, Journal, Lock, Step};
use super::plan::{self, Plan, Rotation};
use super::time::server_time;

type Source = Box<dyn StdError + Send + Sync>;
type Observer = Box<dyn Fn(&Entry) + Send + Sync>;
type Test = Box<dyn Fn(ApiKeyValue) -> Tested + Send + Sync>;
type Tested = Pin<Box<dyn Future<Output = Result<(), Source>> + Send>>;

/// Rotates keys: a client, a journal, and the places that have the key in use.
///
/// Every method does what is due and returns the journal's [`Entry`], which tells
/// [when the next step is due](Entry::waits_until). It can be dropped at any moment;
/// [`resume`](Self::resume) continues, in another process too, with a rotator that has the same
/// destinations.
pub struct Rotator {
    /// With the rotation of its own key for which it was replaced, if it was.
    pub(super) client: RwLock<(Client, Option<String>)>,
    pub(super) journal: Journal,
    pub(super) settings: Settings,
}

pub(super) struct Settings {
    pub(super) destinations: Vec<Box<dyn Destination>>,
    pub(super) test: Option<(String, Test)>,
    pub(super) test_timeout: Duration,
    pub(super) last_access_delay: Duration,
    pub(super) client_key: Option<String>,
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
    /// Adds a place that has the key in use.
    pub fn destination(mut self, destination: impl Destination + 'static) -> Self {
        self.settings.destinations.push(Box::new(destination));
        self
    }

    /// Adds a place that an async function writes, under a name for the journal and messages.
    ///
    /// It replaces the value in one step. To undo that, it is called with the old key's value.
    pub fn write_with<F, R, E>(self, name: impl Into<String>, write: F) -> Self
    where
        F: Fn(ApiKeyValue) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Source>,
    {
        self.destination(Function { name: name.into(), write })
    }

    /// Sets a test of the new value, beside the call that is always made with it, under a name for
    /// the journal: a rotation is resumed with the test that it began with.
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

    /// Sets how long the server may reject the new value before the test fails.
    ///
    /// Defaults to 30 seconds.
    pub fn test_timeout(mut self, timeout: Duration) -> Self {
        self.settings.test_timeout = timeout;
        self
    }

    /// Sets how late the server may record a key's last access; defaults to 10 seconds.
    ///
    /// The old key is retired no sooner than that after its last possible use.
    pub fn last_access_delay(mut self, delay: Duration) -> Self {
        self.settings.last_access_delay = delay;
        self
    }

    /// Sets the name of the client's own key, for the rotations that this rotator starts.
    ///
    /// After a lost response, a successor that another key created is then not adopted.
    /// [`Rotation::suspend_first`] needs it.
    pub fn client_key(mut self, name: impl Into<String>) -> Self {
        self.settings.client_key = Some(name.into());
        self
    }

    /// Retires an old key that was used after the distribution, or activated during the hold.
    pub fn force(mut self, force: bool) -> Self {
        self.settings.force = force;
        self
    }

    /// Calls a function at the beginning of each step, when the journal has it.
    pub fn on_step(mut self, observer: impl Fn(&Entry) + Send + Sync + 'static) -> Self {
        self.settings.observer = Some(Box::new(observer));
        self
    }

    /// Makes the rotator, and the directory of its journal if there is none.
    ///
    /// # Errors
    ///
    /// Fails if the directory cannot be made, or two destinations have the same name.
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
    /// Starts the settings of a rotator with a client and the directory of its journal.
    pub fn builder(client: Client, journal: impl Into<PathBuf>) -> RotatorBuilder {
        RotatorBuilder {
            client,
            journal: journal.into(),
            settings: Settings {
                destinations: Vec::new(),
                test: None,
                test_timeout: Duration::from_secs(30),
                last_access_delay: Duration::from_secs(10),
                client_key: None,
                force: false,
                observer: None,
            },
        }
    }

    /// Returns the client, which has the new value once its own key is rotated and tested.
    pub fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Checks whether a rotation can start, and changes nothing: a dry run.
    ///
    /// To ask whether the caller may create the successor, it sends an update without any change
    /// for the successor's name, which the server answers with 404.
    ///
    /// # Errors
    ///
    /// Fails if there is no such key, or a call fails. What keeps the rotation from starting is in
    /// the plan and no error.
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
            let reason = format!("there is no key {:?} of {owner}", rotation.name);
            return Err(Error::new(Kind::NotFound, reason));
        };
        let owner = old.created_by.clone().unwrap_or_else(|| user.to_owned());
        let new = plan::successor(&old.name);
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
            let found = match &self.settings.client_key {
                None => Err("its name is not known".to_owned()),
                Some(name) if plan.is_own_user && *name == plan.old => {
                    Err("it is the old key, which needs a successor before it is suspended".into())
                }
                Some(name) => Ok(format!("is {name:?} and stays active")),
            };
            plan.check("client's own key", found);
        }
        for destination in &self.settings.destinations {
            let found = destination.check().await;
            let found = found.map(|()| "can be written".to_owned()).map_err(|it| it.to_string());
            plan.check(format!("destination {:?}", destination.name()), found);
        }
        let found = match self.unfinished(&plan.user, &[&plan.old, &plan.new])? {
            None => Ok("none is unfinished".to_owned()),
            Some(id) => Err(format!("rotation {id} is unfinished; resume or finish it first")),
        };
        plan.check("other rotations", found);
        Ok(plan)
    }

    async fn check_permission(&self, client: &Client, plan: &mut Plan) -> Result<(), Error> {
        let revealed = client.get_api_key(&plan.old).user(&plan.user).reveal(true).await;
        let found = match revealed {
            Ok(key) if key.key.full_key().is_some() => Ok("permitted".to_owned()),
            Ok(_) => Err("the server returns no full value".to_owned()),
            Err(error) if error.is_forbidden() => Err(error.to_string()),
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
                Err(error) if error.is_forbidden() => Err(error.to_string()),
                Err(error) if error.is_not_found() => Ok("permitted".to_owned()),
                Ok(_) => Err(format!("{:?} was created meanwhile", plan.new)),
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

    /// Plans a rotation, starts it, and does all that is due.
    ///
    /// It usually returns when the old key's overlap begins; call [`resume`](Self::resume) when the
    /// entry's wait ends.
    ///
    /// # Errors
    ///
    /// Fails and changes nothing if the plan is not ready. If the distribution or the test fails,
    /// the rotation is rolled back, and the old key was not touched. After any other error,
    /// [`resume`](Self::resume) continues.
    pub async fn rotate(&self, rotation: &Rotation) -> Result<Entry, Error> {
        let plan = self.plan(rotation).await?;
        let problems: Vec<_> =
            plan.problems().map(|it| format!("{}: {}", it.what, it.finding)).collect();
        if !problems.is_empty() {
            let reason = format!("the rotation cannot start: {}", problems.join("; "));
            return Err(Error::new(Kind::Unchanged, reason));
        }
        let server = self.client().api_server().to_owned();
        let _lock = self.journal.lock(&server, &plan.user, &plan.old)?;
        if let Some(id) = self.unfinished(&plan.user, &[&plan.old, &plan.new])? {
            let reason = "another rotation of the key was started meanwhile";
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
            client_key: self.settings.client_key.clone(),
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

    /// Returns all rotations of the journal, oldest first, finished ones too.
    ///
    /// # Errors
    ///
    /// Fails if the journal cannot be read.
    pub fn status(&self) -> Result<Vec<Entry>, Error> {
        self.journal.entries()
    }

    /// Continues a rotation, and does all that is due.
    ///
    /// # Errors
    ///
    /// Fails as [`rotate`](Self::rotate) does. With [`is_in_use`](Error::is_in_use) if the old key
    /// was used after the distribution.
    pub async fn resume(&self, id: &str) -> Result<Entry, Error> {
        let (entry, _lock) = self.open(id, true)?;
        self.advance(entry, false).await
    }

    /// Continues a rotation without waiting for the ends of its overlap and hold.
    ///
    /// It still waits for the server to record the old key's last access: call it again when the
    /// entry's wait ends.
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
    /// The old key gets its state and expiry time back, the destinations its value; the successor
    /// is deleted.
    ///
    /// # Errors
    ///
    /// Fails if the old key is deleted, or its own expiry time has passed. After another error,
    /// [`resume`](Self::resume) continues to roll back.
    pub async fn rollback(&self, id: &str) -> Result<Entry, Error> {
        let (mut entry, _lock) = self.open(id, true)?;
        if entry.step == Step::RolledBack {
            return Ok(entry);
        }
        if entry.step.is_final() {
            let reason = format!("the rotation is {} and cannot be rolled back", entry.step);
            return Err(Error::new(Kind::Unchanged, reason).of(id));
        }
        if entry.step != Step::RollBack {
            self.check_can_roll_back(&entry).await.map_err(|error| error.of(id))?;
            entry.failure = Some("on request".to_owned());
            self.enter(&mut entry, Step::RollBack).await?;
        }
        self.advance(entry, false).await
    }

    /// Closes a rotation as it is, without any change at the server or at a destination.
    ///
    /// Both keys stay, as far as they exist. It is for what cannot be resumed or rolled back, such
    /// as the rotation at a server that is gone.
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

    /// Locks and reads an entry, which must be of this server and these destinations.
    fn open(&self, id: &str, is_checked: bool) -> Result<(Entry, Lock), Error> {
        let entry = self.journal.entry(id)?;
        let lock = self.journal.lock(&entry.server, &entry.user, &entry.old);
        let lock = lock.map_err(|error| error.of(id))?;
        // Another process may have continued it before.
        let entry = self.journal.entry(id)?;
        let refuse = |reason| Err(Error::new(Kind::Unchanged, reason).of(id));
        if is_checked && entry.server != self.client().api_server() {
            return refuse(format!("it is of another server, {}", entry.server));
        }
        if is_checked && entry.destinations != self.destination_names() {
            return refuse(format!("give it its destinations: {}", entry.destinations.join(", ")));
        }
        if is_checked && entry.test.as_deref() != self.test_name() {
            return refuse(match &entry.test {
                Some(name) => format!("give it its test: {name}"),
                None => "it has no test; give it none".to_owned(),
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

    /// Writes a step to the journal and reports it.
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
        // Writing has blocked the thread.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Looks a key up, and returns the server's time.
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
