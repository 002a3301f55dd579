//! What was answered is kept, whenever the server is killed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rockset_apikeys::{ApiKeyValue, Client, KeyState};

use crate::program::Program;

const ROUNDS: u64 = 50;
const WRITERS: usize = 8;

/// A key as it was last acknowledged, and what a request in flight may have made of it.
#[derive(Clone)]
struct Known {
    /// `None` while its creation is in flight.
    value: Option<ApiKeyValue>,
    /// What it may be: in this state, or with `None` not there.
    may_be: Vec<Option<KeyState>>,
}

type Book = Arc<Mutex<BTreeMap<String, Known>>>;

/// Creates keys, suspends each, and deletes every other, until the server is gone. Before each
/// request the book says what may come of it, after each answer what came.
async fn write(client: Client, writer: usize, round: u64, book: Book) {
    let (active, suspended) = (Some(KeyState::Active), Some(KeyState::Suspended));
    for number in 0.. {
        let name = format!("round-{round}-writer-{writer}-key-{number}");
        let note = |value: Option<&ApiKeyValue>, may_be: &[&Option<KeyState>]| {
            let may_be = may_be.iter().map(|state| (*state).clone()).collect();
            book.lock().unwrap().insert(name.clone(), Known { value: value.cloned(), may_be });
        };
        note(None, &[&None, &active]);
        let Ok(key) = client.create_api_key(&name).await else { return };
        note(Some(&key.key), &[&active, &suspended]);
        let update = client.update_api_key(&name).state(KeyState::Suspended);
        let Ok(_) = update.await else { return };
        if number % 2 == 0 {
            note(Some(&key.key), &[&suspended]);
            continue;
        }
        note(Some(&key.key), &[&suspended, &None]);
        let Ok(_) = client.delete_api_key(&name).await else { return };
        note(Some(&key.key), &[&None]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_change_survives_kill_9_and_none_is_half_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut admin_key = None;
    let mut book = Book::default();
    let mut acknowledged = 0;
    for round in 0..=ROUNDS {
        let server = Program::serve(folder.path(), &["--rate-limit", "0", "--log", "warn"]);
        let admin_key = admin_key.get_or_insert_with(|| server.admin_key.clone().unwrap());
        let client = server.client(admin_key);

        let listed = client.list_api_keys().await.unwrap();
        let mut states: BTreeMap<_, _> =
            listed.into_iter().map(|key| (key.name.clone(), key.state.clone())).collect();
        assert_eq!(states.remove("initial"), Some(Some(KeyState::Active)));
        let written = std::mem::take(&mut *book.lock().unwrap());
        for (name, known) in written {
            let state = states.remove(&name).flatten();
            assert!(known.may_be.contains(&state), "{name} is {state:?}, not {:?}", known.may_be);
            acknowledged += usize::from(known.value.is_some());
            if state.is_some() {
                // It is whole: its value is the one that was answered.
                let revealed = client.get_api_key(&name).reveal(true).await.unwrap();
                assert_eq!(revealed.key.expose_secret().len(), 64);
                if let Some(value) = known.value {
                    assert_eq!(revealed.key.expose_secret(), value.expose_secret());
                }
                client.delete_api_key(&name).await.unwrap();
            }
        }
        assert!(states.is_empty(), "keys that nobody created: {states:?}");
        if round == ROUNDS {
            break;
        }

        book = Book::default();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(client.clone(), writer, round, Arc::clone(&book))))
            .collect();
        tokio::time::sleep(Duration::from_millis(fastrand::u64(10..200))).await;
        server.kill();
        for writer in writers {
            writer.await.unwrap();
        }
    }
    println!("{acknowledged} keys were acknowledged in {ROUNDS} rounds");
    assert!(acknowledged > 50 * WRITERS, "the writers were busy: {acknowledged}");
}
