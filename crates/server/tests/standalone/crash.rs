//! Acknowledged changes survive `kill -9` at any moment.

use crate::program::status_of;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rockset_apikeys::{ApiKeyValue, Client, Error, KeyState};
use tokio::task::JoinSet;

use crate::program::{Program, temporary_directory};

const ROUNDS: usize = 20;
const WRITERS: usize = 8;
const ACTIVE: Option<KeyState> = Some(KeyState::Active);
const SUSPENDED: Option<KeyState> = Some(KeyState::Suspended);

/// Returns whether the error is a 503 response after which nothing was changed.
pub fn is_unavailable(error: &Error) -> bool {
    status_of(error) == Some(503) && error.retry_after().is_some()
}

/// A client's knowledge of a key, from the responses that it received.
#[derive(Clone)]
struct Record {
    /// Known once the creation is acknowledged.
    value: Option<ApiKeyValue>,
    /// The possible states of the key; `None` stands for a missing key. There are several while a
    /// change is in flight, and after an ambiguous change.
    states: Vec<Option<KeyState>>,
}

/// The clients' knowledge of all keys. The server must agree with it after any crash.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<BTreeMap<String, Record>>>);

impl Ledger {
    fn record(&self, name: &str) -> Record {
        let new = || Record { value: None, states: vec![None] };
        self.0.lock().unwrap().get(name).cloned().unwrap_or_else(new)
    }

    fn set(&self, name: &str, record: Record) {
        self.0.lock().unwrap().insert(name.to_owned(), record);
    }

    /// Sends a change of a key's state. Until the response arrives, and if it is ambiguous, the key
    /// may be in the old or the new state.
    async fn change<T>(
        &self,
        name: &str,
        state: Option<KeyState>,
        call: impl IntoFuture<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let before = self.record(name);
        let mut in_flight = before.clone();
        in_flight.states.push(state.clone());
        self.set(name, in_flight);
        let result = call.await;
        match &result {
            Ok(_) => self.set(name, Record { states: vec![state], ..before }),
            Err(error) if is_unavailable(error) => self.set(name, before),
            Err(_) => {}
        }
        result
    }

    pub async fn create(&self, client: &Client, name: &str) -> Result<(), Error> {
        let created = self.change(name, ACTIVE, client.create_api_key(name)).await?;
        self.set(name, Record { value: Some(created.key), ..self.record(name) });
        Ok(())
    }

    pub async fn suspend(&self, client: &Client, name: &str) -> Result<(), Error> {
        let update = client.update_api_key(name).state(KeyState::Suspended);
        self.change(name, SUSPENDED, update).await.map(drop)
    }

    pub async fn delete(&self, client: &Client, name: &str) -> Result<(), Error> {
        self.change(name, None, client.delete_api_key(name)).await.map(drop)
    }

    /// Counts the keys whose creation was acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.0.lock().unwrap().values().filter(|record| record.value.is_some()).count()
    }

    /// Returns the server's contradictions of what it acknowledged. Afterwards, the ledger is empty,
    /// and the server contains only the caller's key.
    pub async fn check(&mut self, client: &Client) -> Vec<String> {
        let mut errors = Vec::new();
        let listed = client.list_api_keys().await.unwrap();
        let mut states: BTreeMap<_, _> =
            listed.into_iter().map(|key| (key.name.clone(), key.state.clone())).collect();
        if states.remove("initial") != Some(ACTIVE) {
            errors.push("the administrator's key is not active".to_owned());
        }
        let records = std::mem::take(&mut *self.0.lock().unwrap());
        for (name, record) in records {
            let state = states.remove(&name).flatten();
            if !record.states.contains(&state) {
                errors.push(format!("{name} is {state:?}, not one of {:?}", record.states));
            }
            if state.is_none() {
                continue;
            }
            // The key's value is the one in the response.
            let revealed = client.get_api_key(&name).reveal(true).await.unwrap().key;
            let value = record.value.unwrap_or_else(|| revealed.clone());
            if revealed.expose_secret() != value.expose_secret()
                || value.expose_secret().len() != 64
            {
                errors.push(format!("{name} has another value"));
            }
            client.delete_api_key(&name).await.unwrap();
        }
        errors.extend(states.into_keys().map(|name| format!("{name} was never created")));
        errors
    }
}

/// Creates and suspends keys, and deletes every other one, until the server is gone.
async fn write(client: Client, ledger: Ledger, writer: usize) {
    for number in 0.. {
        let name = format!("writer-{writer}-key-{number}");
        let Ok(()) = ledger.create(&client, &name).await else { return };
        let Ok(()) = ledger.suspend(&client, &name).await else { return };
        if number % 2 == 1 {
            let Ok(()) = ledger.delete(&client, &name).await else { return };
        }
    }
}

/// Kills the server at a random moment during concurrent changes.
pub async fn kill_while_writing(server: Program, client: &Client, ledger: &Ledger) {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(client.clone(), ledger.clone(), writer));
    }
    tokio::time::sleep(Duration::from_millis(fastrand::u64(10..200))).await;
    server.kill();
    writers.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_changes_survive_kill_9() {
    let directory = temporary_directory();
    let mut admin_key = None;
    let mut ledger = Ledger::default();
    let (mut rounds, mut acknowledged) = (0, 0);
    // A slow machine needs more rounds.
    while rounds < ROUNDS || acknowledged < ROUNDS * WRITERS {
        rounds += 1;
        assert!(rounds < 10 * ROUNDS, "only {acknowledged} changes were acknowledged");
        let server =
            Program::serve(directory.path(), &["--rate-limit", "0", "--log-level", "warn"]);
        let admin_key = admin_key.get_or_insert_with(|| server.admin_key.clone().unwrap());
        let client = server.client(admin_key);
        assert_eq!(ledger.check(&client).await, [""; 0]);
        kill_while_writing(server, &client, &ledger).await;
        acknowledged += ledger.acknowledged();
    }
    let server = Program::serve(directory.path(), &["--rate-limit", "0", "--log-level", "warn"]);
    assert_eq!(ledger.check(&server.client(&admin_key.unwrap())).await, [""; 0]);
}
