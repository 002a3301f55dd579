//! Neither the client's own key nor a rotated one leaks.
//!
//! `tracing` decides once per process whether a log line is enabled, so this test has its own.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "rotation/world.rs"]
mod world;

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::util::SubscriberInitExt;
use world::{World, rotation};

/// The complete log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn journal_log_errors_and_debug_output_contain_no_key() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    let _guard = subscriber.with_writer(move || writer.clone()).set_default();

    let world = World::start().await;
    let mut secrets = vec![world.old.key.clone(), world.server.admin_key().clone()];
    let seen = Arc::new(Mutex::new(Vec::new()));
    let failing = world.builder().test_with("fails", {
        let seen = Arc::clone(&seen);
        move |value| {
            seen.lock().unwrap().push(value);
            async { Err(io::Error::other("the program does not start")) }
        }
    });
    let mut shown = format!("{failing:?} {:?}", rotation());
    let error = failing.build().unwrap().rotate(&rotation()).await.unwrap_err();
    shown += &format!("{error} {error:?}");
    let rotator = world.rotator();
    let plan = rotator.plan(&rotation()).await.unwrap();
    shown += &format!("{rotator:?} {plan} {plan:?} {}", serde_json::to_string(&plan).unwrap());
    let entry = rotator.rotate(&rotation()).await.unwrap();
    shown += &format!("{entry} {entry:?}");
    secrets.push(world.deployed.lock().unwrap().clone());
    secrets.append(&mut seen.lock().unwrap());

    for file in std::fs::read_dir(world.journal.path()).unwrap() {
        shown += &std::fs::read_to_string(file.unwrap().path()).unwrap();
    }
    shown += &String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(shown.contains("rotation step") && shown.contains("overlap_until"));
    assert_eq!(secrets.len(), 4);
    for secret in secrets {
        assert!(!shown.contains(secret.expose_secret()), "a key leaked");
    }
}
