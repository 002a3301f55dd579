//! The steps of a rotation. Each can be repeated after a crash, because the journal contains its
//! goal and the server its progress.

use std::sync::PoisonError;
use std::time::Duration;

use rockset_apikeys::{ApiKey, ApiKeyValue, Client, KeyState, Timestamp, jiff};
use tokio::time::{Instant, sleep};
use tracing::Instrument;

use super::adopt::{NewKey, create_or_adopt};
use super::error::{Error, Kind};
use super::journal::{Entry, Step};
use super::rotator::{Rotator, after};
use crate::time::server_time;

/// How often the create is attempted if its response is lost.
const CREATE_ATTEMPTS: u32 = 4;
const FIRST_TEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_TEST_WAIT: Duration = Duration::from_secs(5);

/// What follows a step.
enum Next {
    Step(Step),
    /// The same step, which is not due yet.
    Wait,
}

impl Rotator {
    /// Runs all steps that are due, and rolls back after a permanent failure.
    pub(super) async fn advance(&self, mut entry: Entry, skips: bool) -> Result<Entry, Error> {
        let id = entry.id.clone();
        let mut failure = None;
        while !entry.step.is_final() {
            let span = tracing::info_span!("step", rotation = %id, step = entry.step.as_str());
            let result = self.run_step(&mut entry, skips).instrument(span).await;
            match result.map_err(|error| error.of(&id)) {
                Ok(Next::Wait) => return Ok(entry),
                Ok(Next::Step(step)) => self.enter(&mut entry, step).await?,
                // A rollback would activate a compromised key.
                Err(error) if error.kind() == Kind::RolledBack && entry.is_suspended_first => {
                    return Err(error.with_kind(Kind::Unfinished));
                }
                Err(error) if error.kind() == Kind::RolledBack => {
                    tracing::warn!(rotation = %id, step = entry.step.as_str(), "rolling back");
                    entry.failure = Some(error.reason().to_owned());
                    failure = Some(error);
                    self.enter(&mut entry, Step::RollBack).await?;
                }
                Err(error) => return Err(error),
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(entry),
        }
    }

    async fn run_step(&self, entry: &mut Entry, skips: bool) -> Result<Next, Error> {
        self.leave_own_key(entry).await?;
        match entry.step {
            Step::Create => self.create(entry).await,
            Step::Distribute => self.distribute(entry).await,
            Step::Test => self.test(entry).await,
            Step::Overlap => self.overlap(entry).await,
            Step::Suspend => self.suspend(entry, skips).await,
            Step::Hold => self.hold(entry, skips).await,
            Step::Delete => self.delete(entry).await,
            Step::RollBack => self.roll_back(entry).await,
            Step::Done | Step::RolledBack | Step::Aborted => Ok(Next::Wait),
        }
    }

    /// Switches to the successor of the client's own key after the test.
    async fn leave_own_key(&self, entry: &Entry) -> Result<(), Error> {
        let is_tested = (Step::Overlap..=Step::Delete).contains(&entry.step);
        if entry.is_own_key && is_tested && !self.is_switched(entry) {
            let client = self.client().with_api_key(self.reveal(entry).await?)?;
            self.switch(client, Some(entry));
        }
        Ok(())
    }

    fn is_switched(&self, entry: &Entry) -> bool {
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        client.1.as_deref() == Some(&entry.id)
    }

    fn switch(&self, client: Client, entry: Option<&Entry>) {
        let mut current = self.client.write().unwrap_or_else(PoisonError::into_inner);
        *current = (client, entry.map(|entry| entry.id.clone()));
    }

    async fn create(&self, entry: &mut Entry) -> Result<Next, Error> {
        if entry.is_suspended_first {
            let call = self.client().update_api_key(&entry.old).user(&entry.user);
            call.state(KeyState::Suspended).await?;
        }
        let new = new_key(entry);
        let since = entry.started_at.to_jiff().unwrap_or(jiff::Timestamp::MAX);
        let mut lost = None;
        for _ in 0..CREATE_ATTEMPTS {
            // A previous run or attempt may have created it.
            let key = match self.look_up(entry, &entry.new, true).await?.0 {
                Some(key) if new.fits(&key, since) => key,
                Some(_) => {
                    let reason = format!(
                        "a key {:?} exists that this rotation did not create; nothing was changed",
                        entry.new
                    );
                    return Err(Error::new(Kind::RolledBack, reason));
                }
                None => match create_or_adopt(&self.client(), &new).await {
                    Ok(created) => created.key,
                    Err(error) if error.is_ambiguous() || error.is_conflict() => {
                        lost = Some(error);
                        continue;
                    }
                    Err(error) if error.is_retryable() || lost.is_some() => {
                        return Err(error.into());
                    }
                    Err(error) => {
                        let reason = "cannot create the successor";
                        return Err(Error::new(Kind::RolledBack, reason).because(error));
                    }
                },
            };
            entry.is_own_key =
                entry.is_own_user && key.created_by_apikey_name.as_ref() == Some(&entry.old);
            entry.new_created_at = key.created_at;
            return Ok(Next::Step(Step::Distribute));
        }
        let error = Error::new(Kind::Unfinished, "the successor may have been created");
        Err(match lost {
            Some(lost) => error.because(lost),
            None => error,
        })
    }

    /// Returns the successor's value.
    async fn reveal(&self, entry: &Entry) -> Result<ApiKeyValue, Error> {
        let key = self.look_up(entry, &entry.new, true).await?.0;
        let key = key.filter(|key| key.created_at == entry.new_created_at);
        key.map(|key| key.key).filter(|value| value.full_key().is_some()).ok_or_else(|| {
            // Until the test the old key is unchanged, so nothing is lost.
            let is_early = entry.step <= Step::Test;
            let kind = if is_early { Kind::RolledBack } else { Kind::Unfinished };
            let reason = format!("the successor {:?} was deleted; the old key stays", entry.new);
            Error::new(kind, reason)
        })
    }

    async fn distribute(&self, entry: &mut Entry) -> Result<Next, Error> {
        let value = self.reveal(entry).await?;
        for (number, destination) in (1..).zip(&self.settings.destinations) {
            if entry.written < number {
                entry.written = number;
                self.journal.save(entry)?;
            }
            destination.write(&value).await.map_err(|error| {
                let reason = format!("cannot write the destination {:?}", destination.name());
                Error::new(Kind::RolledBack, reason).because(error)
            })?;
        }
        Ok(Next::Step(Step::Test))
    }

    async fn test(&self, entry: &mut Entry) -> Result<Next, Error> {
        let value = self.reveal(entry).await?;
        let client = self.client().with_api_key(value.clone())?;
        let time = self.call_with(entry, &client).await?;
        if let Some((_, test)) = &self.settings.test {
            test(value).await.map_err(|error| {
                Error::new(Kind::RolledBack, "the successor failed its test").because(error)
            })?;
        }
        // The `Date` header has no fractions of a second.
        entry.distributed_at = Some(after(time, Duration::from_secs(1)));
        if entry.is_own_key {
            self.switch(client, Some(entry));
        }
        Ok(Next::Step(Step::Overlap))
    }

    /// Calls the API with the successor's value until the server accepts it.
    async fn call_with(&self, entry: &Entry, client: &Client) -> Result<jiff::Timestamp, Error> {
        let end = Instant::now() + self.settings.test_timeout;
        let mut wait = FIRST_TEST_WAIT;
        loop {
            let error = match client.get_api_key(&entry.new).with_report().await {
                Ok((_, report)) => return Ok(server_time(&report)),
                Err(error) => error,
            };
            if Instant::now() + wait >= end {
                if error.is_retryable() {
                    return Err(error.into());
                }
                let reason = "the server rejects the successor's value";
                return Err(Error::new(Kind::RolledBack, reason).because(error));
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_TEST_WAIT);
        }
    }

    /// Looks up the old key, which may be deleted.
    async fn old(&self, entry: &Entry) -> Result<(Option<ApiKey>, jiff::Timestamp), Error> {
        let (key, now) = self.look_up(entry, &entry.old, false).await?;
        if key.as_ref().is_some_and(|key| key.created_at != entry.old_created_at) {
            let reason = format!("{:?} is another key than the rotated one", entry.old);
            return Err(Error::new(Kind::Unfinished, reason));
        }
        Ok((key, now))
    }

    async fn overlap(&self, entry: &mut Entry) -> Result<Next, Error> {
        let (Some(old), now) = self.old(entry).await? else { return Ok(Next::Step(Step::Done)) };
        let delay = self.settings.last_access_delay;
        if entry.is_compromised {
            entry.suspend_at = Some(now.into());
            return Ok(Next::Step(Step::Suspend));
        }
        if entry.overlap.is_zero() {
            entry.suspend_at = Some(after(now, delay));
            return Ok(Next::Step(Step::Suspend));
        }
        if entry.overlap_until.is_none() {
            // Written to the journal first, so that another run does not extend it.
            let end = after(now, entry.overlap);
            entry.overlap_until = Some(old.expiry_time.map_or(end.clone(), |own| own.min(end)));
            return Ok(Next::Step(Step::Overlap));
        }
        let Some(end) = entry.overlap_until.clone() else { return Ok(Next::Wait) };
        if old.expiry_time.is_none_or(|own| own > end) {
            let client = self.client();
            let call = client.update_api_key(&entry.old).user(&entry.user).expiry_time(end.clone());
            if let Err(error) = call.await
                && !error.is_not_found()
            {
                return Err(error.into());
            }
        }
        entry.suspend_at = end.to_jiff().map(|end| after(end, delay));
        Ok(Next::Step(Step::Suspend))
    }

    async fn suspend(&self, entry: &mut Entry, skips: bool) -> Result<Next, Error> {
        let (Some(old), now) = self.old(entry).await? else { return Ok(Next::Step(Step::Done)) };
        if !skips && is_before(now, &entry.suspend_at) {
            return Ok(Next::Wait);
        }
        self.check_unused(entry, &old)?;
        self.check_successor(entry).await?;
        let call = self.client().update_api_key(&entry.old).user(&entry.user);
        match call.state(KeyState::Suspended).with_report().await {
            Ok((_, report)) => {
                let now = server_time(&report);
                entry.suspended_at = Some(now.into());
                let hold = if skips { Duration::ZERO } else { entry.hold };
                let hold = hold.max(self.settings.last_access_delay);
                entry.delete_at = Some(after(now, hold));
                Ok(Next::Step(Step::Hold))
            }
            Err(error) if error.is_not_found() => Ok(Next::Step(Step::Done)),
            Err(error) => Err(error.into()),
        }
    }

    async fn hold(&self, entry: &mut Entry, skips: bool) -> Result<Next, Error> {
        let (Some(_), now) = self.old(entry).await? else { return Ok(Next::Step(Step::Done)) };
        if skips {
            let suspended_at = entry.suspended_at.as_ref().and_then(Timestamp::to_jiff);
            let recorded = suspended_at.map(|at| after(at, self.settings.last_access_delay));
            entry.delete_at = recorded.or(entry.delete_at.take());
        }
        if is_before(now, &entry.delete_at) {
            return Ok(Next::Wait);
        }
        Ok(Next::Step(Step::Delete))
    }

    async fn delete(&self, entry: &Entry) -> Result<Next, Error> {
        let (Some(old), _) = self.old(entry).await? else { return Ok(Next::Step(Step::Done)) };
        self.check_unused(entry, &old)?;
        if old.state != Some(KeyState::Suspended) && !self.settings.force {
            let reason = format!("cannot delete {:?}: it was activated during the hold", entry.old);
            return Err(Error::new(Kind::InUse, reason));
        }
        self.check_successor(entry).await?;
        self.delete_key(entry, &entry.old).await?;
        Ok(Next::Step(Step::Done))
    }

    async fn delete_key(&self, entry: &Entry, name: &str) -> Result<(), Error> {
        match self.client().delete_api_key(name).user(&entry.user).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Fails if the old key is still used.
    fn check_unused(&self, entry: &Entry, old: &ApiKey) -> Result<(), Error> {
        let (Some(used), Some(since)) = (&old.last_access_time, &entry.distributed_at) else {
            return Ok(());
        };
        if self.settings.force || entry.is_compromised || used <= since {
            return Ok(());
        }
        let reason = format!(
            "cannot retire {:?}: it was used at {used}, after the distribution; find the program \
             that uses it, or force the rotation",
            entry.old
        );
        Err(Error::new(Kind::InUse, reason))
    }

    /// Fails if the successor does not work any more.
    async fn check_successor(&self, entry: &Entry) -> Result<(), Error> {
        let client = self.client().with_api_key(self.reveal(entry).await?)?;
        client.get_api_key(&entry.new).await.map(|_| ()).map_err(|error| {
            let reason = format!("the successor {:?} does not work; the old key stays", entry.new);
            Error::new(Kind::Unfinished, reason).because(error)
        })
    }

    pub(super) async fn check_can_roll_back(&self, entry: &Entry) -> Result<(), Error> {
        self.leave_own_key(entry).await?;
        let (old, now) = self.old(entry).await.map_err(|it| it.with_kind(Kind::Unchanged))?;
        let refuse = |cause: &str| {
            let reason = format!("cannot roll back the rotation: {:?} {cause}", entry.old);
            Err(Error::new(Kind::Unchanged, reason))
        };
        if old.is_none() {
            return refuse("is deleted");
        }
        let expiry = entry.old_expiry_time.as_ref().and_then(Timestamp::to_jiff);
        if expiry.is_some_and(|expiry| expiry <= now) {
            return refuse("has expired");
        }
        Ok(())
    }

    async fn roll_back(&self, entry: &Entry) -> Result<Next, Error> {
        if entry.reached > Step::Create || entry.is_suspended_first {
            self.restore(entry).await?;
        }
        let since = entry.started_at.to_jiff().unwrap_or(jiff::Timestamp::MAX);
        if let Some(key) = self.look_up(entry, &entry.new, true).await?.0 {
            let is_ours = match &entry.new_created_at {
                Some(_) => key.created_at == entry.new_created_at,
                None => new_key(entry).fits(&key, since),
            };
            if is_ours {
                self.delete_key(entry, &entry.new).await?;
            }
        }
        Ok(Next::Step(Step::RolledBack))
    }

    /// Restores the old key's state and expiry time, and the destinations.
    async fn restore(&self, entry: &Entry) -> Result<(), Error> {
        let (old, _) = self.look_up(entry, &entry.old, true).await?;
        let Some(old) = old.filter(|key| key.created_at == entry.old_created_at) else {
            let reason =
                format!("cannot restore {:?}: it is deleted; the successor stays", entry.old);
            return Err(Error::new(Kind::Unfinished, reason));
        };
        if entry.reached >= Step::Overlap || entry.is_suspended_first {
            let client = self.client();
            let call = client.update_api_key(&entry.old).user(&entry.user).state(KeyState::Active);
            let call = match &entry.old_expiry_time {
                Some(time) => call.expiry_time(time.clone()),
                None => call.clear_expiry_time(true),
            };
            call.await?;
        }
        let client = self.client().with_api_key(old.key.clone())?;
        client.get_api_key(&entry.old).await?;
        for destination in self.settings.destinations.iter().take(entry.written) {
            destination.restore(&old.key).await.map_err(|error| {
                let reason = format!("cannot restore the destination {:?}", destination.name());
                Error::new(Kind::Unfinished, reason).because(error)
            })?;
        }
        if entry.is_own_key {
            self.switch(client, None);
        }
        Ok(())
    }
}

/// Returns the successor to create.
fn new_key(entry: &Entry) -> NewKey {
    let mut new = NewKey::new(&entry.new);
    if entry.user != "self" {
        new = new.user(&entry.user);
    }
    if let Some(role) = &entry.role {
        new = new.role(role);
    }
    if let Some(time) = &entry.new_expiry_time {
        new = new.expiry_time(time.clone());
    }
    if let Some(name) = &entry.own_key_name {
        new = new.own_key_name(name);
    }
    new
}

fn is_before(now: jiff::Timestamp, time: &Option<Timestamp>) -> bool {
    time.as_ref().and_then(Timestamp::to_jiff).is_some_and(|time| now < time)
}
