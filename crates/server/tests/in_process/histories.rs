//! Concurrent calls on one key through two servers are linearizable: each takes effect at one moment
//! between its request and its response.
//!
//! The checker implements Wing and Gong's algorithm: it tries every order of the calls in which a
//! call that returned before another one's request comes first.

use crate::support::{UNAUTHORIZED, status_of};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use rockset_apikeys::{Client, Error, KeyState, RetryPolicy};
use rockset_apikeys_server::Server;

const HISTORIES: u64 = 200;
const CLIENTS: u64 = 3;
const CALLS: u64 = 4;
/// The number of concurrent histories, each with its own key name.
const AT_ONCE: u64 = 10;

/// A key, identified by the time of its create request; a name can have several keys in succession.
type Key = u64;

#[derive(Clone, Copy, Debug)]
enum Operation {
    Create(Key),
    Suspend,
    Activate,
    Delete,
    /// A request that authenticates with this key.
    Authenticate(Key),
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Done,
    /// 404, 409, or 401 for `Authenticate`.
    Rejected,
    /// The call takes effect at any time after its request, or never.
    Ambiguous,
}

use Operation::{Activate, Authenticate, Create, Delete, Suspend};
use Outcome::{Ambiguous, Done, Rejected};

#[derive(Clone, Copy, Debug)]
struct Call {
    operation: Operation,
    outcome: Outcome,
    requested: u64,
    returned: u64,
}

/// The key of a name, if any, and whether it is active.
type State = Option<(Key, bool)>;

impl Call {
    /// Returns the state after this call, or `None` if its outcome is impossible in this state.
    fn apply(&self, state: State) -> Option<State> {
        let done = match self.operation {
            Create(key) => state.is_none().then_some(Some((key, true))),
            Suspend => state.map(|(key, _)| Some((key, false))),
            Activate => state.map(|(key, _)| Some((key, true))),
            Delete => state.map(|_| None),
            Authenticate(key) => (state == Some((key, true))).then_some(state),
        };
        match self.outcome {
            Done => done,
            Rejected => done.is_none().then_some(state),
            Ambiguous => Some(done.unwrap_or(state)),
        }
    }
}

/// Returns whether some order of these calls explains their outcomes, starting without a key.
fn is_linearizable(history: &[Call]) -> bool {
    fn search(
        history: &[Call],
        applied: u64,
        state: State,
        visited: &mut HashSet<(u64, State)>,
    ) -> bool {
        let is_applied = |index: usize| applied & (1 << index) != 0;
        let open = || history.iter().enumerate().filter(|(index, _)| !is_applied(*index));
        // An ambiguous call never returns.
        let deadline = open().map(|(_, call)| call.returned).min().unwrap_or(u64::MAX);
        if deadline == u64::MAX {
            return true;
        }
        visited.insert((applied, state))
            && open().filter(|(_, call)| call.requested < deadline).any(|(index, call)| {
                call.apply(state)
                    .is_some_and(|state| search(history, applied | 1 << index, state, visited))
            })
    }
    search(history, 0, None, &mut HashSet::new())
}

fn client_for(server: &Server, key: &str) -> Client {
    let builder = Client::builder().api_server(server.url()).api_key(key);
    builder.retry_policy(RetryPolicy::never()).build().unwrap()
}

/// Two servers on one database, and a logical clock for the order of calls.
struct Servers {
    servers: [Server; 2],
    administrators: [Client; 2],
    clock: AtomicU64,
    _directory: tempfile::TempDir,
}

impl Servers {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("keys.db").display());
        let first = Server::builder().database(&url).start().await.unwrap();
        let second = Server::builder().database(&url).start().await.unwrap();
        let servers = [first, second];
        let administrator =
            |server: &Server| client_for(server, server.admin_key().expose_secret());
        Self {
            administrators: servers.each_ref().map(administrator),
            servers,
            clock: AtomicU64::new(0),
            _directory: directory,
        }
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, SeqCst)
    }

    /// Makes a random call. Returns `None` if the server reports that nothing was changed.
    async fn call(&self, name: &str, random: &mut fastrand::Rng, keys: &Keys) -> Option<Call> {
        let server = random.usize(..2);
        let client = &self.administrators[server];
        let known = random.choice(&*keys.lock().unwrap()).cloned();
        let requested = self.tick();
        let (operation, result) = match (random.u8(..12), known) {
            (0..3, _) => {
                let created = client.create_api_key(name).await;
                let created = created.map(|created| {
                    let value = created.key.expose_secret();
                    let clients = self.servers.each_ref().map(|server| client_for(server, value));
                    keys.lock().unwrap().push((requested, clients));
                });
                (Create(requested), created)
            }
            (3..5, _) => {
                let suspended = client.update_api_key(name).state(KeyState::Suspended).await;
                (Suspend, suspended.map(drop))
            }
            (5..7, _) | (_, None) => {
                let activated = client.update_api_key(name).state(KeyState::Active).await;
                (Activate, activated.map(drop))
            }
            (7..9, _) => (Delete, client.delete_api_key(name).await.map(drop)),
            (_, Some((key, clients))) => {
                let used = clients[server].get_api_key("initial").await;
                (Authenticate(key), used.map(drop))
            }
        };
        let outcome = outcome(operation, result)?;
        let returned = if matches!(outcome, Ambiguous) { u64::MAX } else { self.tick() };
        Some(Call { operation, outcome, requested, returned })
    }

    /// Makes concurrent calls on one key name.
    async fn history(self: Arc<Self>, seed: u64) -> Vec<Call> {
        let name = format!("history-{seed}");
        let keys = Keys::default();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (servers, name, keys) = (Arc::clone(&self), name.clone(), Arc::clone(&keys));
                let mut random = fastrand::Rng::with_seed(seed * CLIENTS + client);
                tokio::spawn(async move {
                    let mut calls = Vec::new();
                    for _ in 0..CALLS {
                        calls.extend(servers.call(&name, &mut random, &keys).await);
                    }
                    calls
                })
            })
            .collect();
        let mut history = Vec::new();
        for client in clients {
            history.extend(client.await.unwrap());
        }
        history.sort_by_key(|call| call.requested);
        history
    }
}

/// The acknowledged keys of a name, each with its clients of both servers.
type Keys = Arc<Mutex<Vec<(Key, [Client; 2])>>>;

/// Returns the outcome of a call, or `None` if it certainly did not take effect.
fn outcome(operation: Operation, result: Result<(), Error>) -> Option<Outcome> {
    let Err(error) = result else { return Some(Done) };
    let rejected = match operation {
        Create(_) => error.is_conflict(),
        Suspend | Activate | Delete => error.is_not_found(),
        Authenticate(_) => error.kind() == UNAUTHORIZED,
    };
    let status = status_of(&error);
    match status {
        _ if rejected => Some(Rejected),
        Some(503) if error.retry_after().is_some() => None,
        None | Some(500..) => Some(Ambiguous),
        Some(_) => panic!("{operation:?}: {error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_to_two_servers_are_linearizable() {
    let servers = Arc::new(Servers::start().await);
    let (mut calls, mut clear, mut violations) = (0, 0, Vec::new());
    for first in (0..HISTORIES).step_by(AT_ONCE as usize) {
        let seeds = first..first + AT_ONCE;
        let histories: Vec<_> =
            seeds.map(|seed| tokio::spawn(Arc::clone(&servers).history(seed))).collect();
        for history in histories {
            let history = history.await.unwrap();
            calls += CLIENTS * CALLS;
            clear += history.iter().filter(|call| !matches!(call.outcome, Ambiguous)).count();
            if !is_linearizable(&history) {
                violations.push(history);
            }
        }
    }
    assert!(
        violations.is_empty(),
        "{} violations; the first: {:#?}",
        violations.len(),
        violations[0]
    );
    assert!(clear as u64 * 100 >= calls * 95, "only {clear} of {calls} calls have a clear outcome");
}

/// Creates a history from calls with the times of their requests and responses.
fn history(calls: &[(u64, u64, Operation, Outcome)]) -> Vec<Call> {
    let call = |&(requested, returned, operation, outcome)| {
        let returned = if matches!(outcome, Ambiguous) { u64::MAX } else { returned };
        Call { operation, outcome, requested, returned }
    };
    calls.iter().map(call).collect()
}

#[test]
fn checker_accepts_linearizable_histories() {
    let in_turn: [&[_]; 5] = [
        &[],
        &[(0, 1, Create(0), Done), (2, 3, Authenticate(0), Done), (4, 5, Delete, Done)],
        &[(0, 1, Suspend, Rejected), (2, 3, Create(2), Done), (4, 5, Create(4), Rejected)],
        &[
            (0, 1, Create(0), Done),
            (2, 3, Suspend, Done),
            (4, 5, Authenticate(0), Rejected),
            (6, 7, Activate, Done),
            (8, 9, Authenticate(0), Done),
        ],
        &[
            (0, 1, Create(0), Done),
            (2, 3, Delete, Done),
            (4, 5, Create(4), Done),
            (6, 7, Authenticate(0), Rejected),
            (8, 9, Authenticate(4), Done),
        ],
    ];
    let at_the_same_time: [&[_]; 3] = [
        // The delete takes effect before it returns.
        &[
            (0, 1, Create(0), Done),
            (2, 9, Delete, Done),
            (3, 4, Authenticate(0), Done),
            (5, 6, Authenticate(0), Rejected),
        ],
        // Possible if the second create takes effect after the delete.
        &[(0, 1, Create(0), Done), (2, 5, Create(2), Done), (3, 4, Delete, Done)],
        // The delete may take effect late or never.
        &[
            (0, 1, Create(0), Done),
            (2, 3, Delete, Ambiguous),
            (4, 5, Authenticate(0), Done),
            (6, 7, Authenticate(0), Rejected),
        ],
    ];
    for calls in in_turn.into_iter().chain(at_the_same_time) {
        assert!(is_linearizable(&history(calls)), "{calls:?}");
    }
}

#[test]
fn checker_rejects_other_histories() {
    let histories: [&[_]; 7] = [
        // A key authenticates after its acknowledged deletion or suspension.
        &[(0, 1, Create(0), Done), (2, 3, Delete, Done), (4, 5, Authenticate(0), Done)],
        &[(0, 1, Create(0), Done), (2, 3, Suspend, Done), (4, 5, Authenticate(0), Done)],
        // A key does not authenticate after its acknowledged creation.
        &[(0, 1, Create(0), Done), (2, 3, Authenticate(0), Rejected)],
        // A name is created twice.
        &[(0, 3, Create(0), Done), (1, 2, Create(1), Done)],
        // A request sees the suspension in progress, but a later one does not.
        &[
            (0, 1, Create(0), Done),
            (2, 9, Suspend, Done),
            (3, 4, Authenticate(0), Rejected),
            (5, 6, Authenticate(0), Done),
        ],
        // A new key with the same name restores the old one.
        &[
            (0, 1, Create(0), Done),
            (2, 3, Delete, Done),
            (4, 5, Create(4), Done),
            (6, 7, Authenticate(0), Done),
        ],
        // An ambiguous call takes effect twice.
        &[(0, 1, Create(0), Ambiguous), (2, 3, Delete, Done), (4, 5, Delete, Done)],
    ];
    for calls in histories {
        assert!(!is_linearizable(&history(calls)), "{calls:?}");
    }
}
