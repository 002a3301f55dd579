//! Concurrent calls on one key, through two servers on one database, are linearizable: each takes
//! effect at one moment between its request and its response.
//!
//! The search for such moments is Wing and Gong's: it tries every order of the calls that keeps
//! those apart of which one returned before the other was made.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use rockset_apikeys::{Client, Error, KeyState, RetryPolicy};
use rockset_apikeys_server::Server;

const HISTORIES: u64 = 200;
const CLIENTS: u64 = 3;
const CALLS: u64 = 4;
/// Histories that are made at the same time, each of its own key name.
const AT_ONCE: u64 = 10;

/// A key is known by the moment when its creation was requested; a name can have several in turn.
type Key = u64;

#[derive(Clone, Copy, Debug)]
enum Operation {
    Create(Key),
    Suspend,
    Activate,
    Delete,
    /// A request with this key.
    Authenticate(Key),
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Done,
    /// 404, 409, or for a request with the key, 401.
    Rejected,
    /// The call may have taken effect at any time after its request, or never.
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

/// The key that a name has, if any, and whether it is active.
type State = Option<(Key, bool)>;

impl Call {
    /// Returns the state after this call, or `None` if the call cannot have its outcome then.
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

/// Whether there is an order of these calls, from a name without a key on, that explains them.
fn is_linearizable(history: &[Call]) -> bool {
    fn search(
        history: &[Call],
        applied: u64,
        state: State,
        visited: &mut HashSet<(u64, State)>,
    ) -> bool {
        let is_applied = |index: usize| applied & (1 << index) != 0;
        let open = || history.iter().enumerate().filter(|(index, _)| !is_applied(*index));
        // An ambiguous call returns at the end of time.
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

/// Two servers on one database, and the clock of the calls' order.
struct Servers {
    servers: [Server; 2],
    administrators: [Client; 2],
    clock: AtomicU64,
    _folder: tempfile::TempDir,
}

impl Servers {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("keys.db").display());
        let first = Server::builder().database(&url).start().await.unwrap();
        let second = Server::builder().database(&url).start().await.unwrap();
        let servers = [first, second];
        let administrator =
            |server: &Server| client_for(server, server.admin_key().expose_secret());
        Self {
            administrators: servers.each_ref().map(administrator),
            servers,
            clock: AtomicU64::new(0),
            _folder: folder,
        }
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, SeqCst)
    }

    /// Makes a random call, and returns it unless the server says that it was not carried out.
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

    /// Lets clients make calls on one key name at the same time.
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

/// The keys of a name that were acknowledged, each with its clients of both servers.
type Keys = Arc<Mutex<Vec<(Key, [Client; 2])>>>;

/// Returns what a call came to, or `None` where it was certainly not carried out.
fn outcome(operation: Operation, result: Result<(), Error>) -> Option<Outcome> {
    let Err(error) = result else { return Some(Done) };
    let rejected = match operation {
        Create(_) => error.is_conflict(),
        Suspend | Activate | Delete => error.is_not_found(),
        Authenticate(_) => error.is_unauthorized(),
    };
    let status = error.status().map(|status| status.as_u16());
    match status {
        _ if rejected => Some(Rejected),
        Some(503) if error.retry_after().is_some() => None,
        None | Some(500..) => Some(Ambiguous),
        Some(_) => panic!("{operation:?}: {error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_the_same_time_through_two_servers_are_linearizable() {
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
    assert!(violations.is_empty(), "{} violations, one is {:#?}", violations.len(), violations[0]);
    assert!(clear as u64 * 100 >= calls * 95, "{clear} of {calls} calls have a clear outcome");
}

/// A history of these calls, each with the times of its request and its response.
fn history(calls: &[(u64, u64, Operation, Outcome)]) -> Vec<Call> {
    let call = |&(requested, returned, operation, outcome)| {
        let returned = if matches!(outcome, Ambiguous) { u64::MAX } else { returned };
        Call { operation, outcome, requested, returned }
    };
    calls.iter().map(call).collect()
}

#[test]
fn the_checker_accepts_what_some_order_explains() {
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
        // The key works until its deletion, which takes effect before it returns.
        &[
            (0, 1, Create(0), Done),
            (2, 9, Delete, Done),
            (3, 4, Authenticate(0), Done),
            (5, 6, Authenticate(0), Rejected),
        ],
        // Only if the second creation comes after the deletion.
        &[(0, 1, Create(0), Done), (2, 5, Create(2), Done), (3, 4, Delete, Done)],
        // The deletion may take effect late, or not at all.
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
fn the_checker_rejects_what_no_order_explains() {
    let histories: [&[_]; 7] = [
        // A key works after its deletion was acknowledged, or its suspension.
        &[(0, 1, Create(0), Done), (2, 3, Delete, Done), (4, 5, Authenticate(0), Done)],
        &[(0, 1, Create(0), Done), (2, 3, Suspend, Done), (4, 5, Authenticate(0), Done)],
        // It does not work yet although its creation was acknowledged.
        &[(0, 1, Create(0), Done), (2, 3, Authenticate(0), Rejected)],
        // One name is created twice.
        &[(0, 3, Create(0), Done), (1, 2, Create(1), Done)],
        // A request sees the suspension, a later one does not, while it is in progress.
        &[
            (0, 1, Create(0), Done),
            (2, 9, Suspend, Done),
            (3, 4, Authenticate(0), Rejected),
            (5, 6, Authenticate(0), Done),
        ],
        // A new key of the name brings the old one back.
        &[
            (0, 1, Create(0), Done),
            (2, 3, Delete, Done),
            (4, 5, Create(4), Done),
            (6, 7, Authenticate(0), Done),
        ],
        // A call without a clear outcome takes effect once at most.
        &[(0, 1, Create(0), Ambiguous), (2, 3, Delete, Done), (4, 5, Delete, Done)],
    ];
    for calls in histories {
        assert!(!is_linearizable(&history(calls)), "{calls:?}");
    }
}
