//! Rotations that crash or lose responses, at every point and in random series.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;
use rockset_apikeys::{Client, KeyState, RetryPolicy};
use rockset_apikeys_admin::rotation::Step;
use rockset_apikeys_server::Fault;

use crate::world::{World, rotation};

/// Polls a future at most this often, then drops it.
pub async fn crash_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut count = 0;
    poll_fn(move |context| {
        count += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if count >= polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The faults in one run of a rotation.
#[derive(Clone, Copy, Debug)]
struct Faults {
    crash_after_polls: usize,
    lost_response: usize,
}

const NO_FAULTS: Faults = Faults { crash_after_polls: usize::MAX, lost_response: usize::MAX };

/// The kind of rotation to check.
#[derive(Clone, Copy, Debug, Default)]
struct Variant {
    is_own_key: bool,
    is_compromised: bool,
    rolls_back: bool,
}

/// The end of the last run with faults.
#[derive(Default)]
struct Ended {
    has_crashed: bool,
    /// Whether the run had fewer responses, so that the next one is lost.
    is_next_lost: bool,
    step: Option<Step>,
}

/// Rotates a key with faults in each run and completes the rotation without; checks invariants.
async fn check(runs: &[Faults], variant: Variant) -> Ended {
    let world = World { is_own_key: variant.is_own_key, ..World::start().await };
    let rotation = rotation().compromised(variant.is_compromised);
    let once = Client::builder().api_server(world.server.url());
    let once = once.api_key(world.server.admin_key().clone()).retry_policy(RetryPolicy::never());
    let once = once.build().unwrap();
    let mut last = Ended::default();
    for faults in runs {
        let rotator = world.rotator();
        let known = rotator.status().unwrap().pop();
        if let Some(entry) = known.as_ref().filter(|it| it.waits_until().is_some()) {
            world.wait_for(entry);
        }
        world.server.inject(Fault::delay(Duration::ZERO), faults.lost_response);
        world.server.inject(Fault::drop_connection(), 1);
        let run = async {
            match &known {
                Some(entry) => rotator.resume(&entry.id).await,
                None => rotator.rotate(&rotation).await,
            }
        };
        // Without a crash, the run may succeed or fail.
        let has_crashed = crash_after(faults.crash_after_polls, run).await.is_none();
        let is_next_lost = once.list_api_keys().await.is_err();
        assert!(world.deployed_works().await, "no valid key is deployed after {faults:?}");
        let entry = rotator.status().unwrap().pop();
        let is_known = |name: &String| match &entry {
            Some(entry) => *name == entry.old || *name == entry.new,
            None => name == "my-app",
        };
        assert!(world.names().await.iter().all(is_known), "a key is missing from the journal");
        last = Ended { has_crashed, is_next_lost, step: entry.map(|entry| entry.step) };
    }
    let id = match world.rotator().status().unwrap().pop() {
        Some(entry) => entry.id,
        None => world.rotator().rotate(&rotation).await.unwrap().id,
    };
    if variant.rolls_back
        && let Ok(entry) = world.rotator().rollback(&id).await
    {
        assert_eq!(entry.step, Step::RolledBack);
        let old = world.key("my-app").await;
        assert_eq!(old.expiry_time, world.old.expiry_time);
        assert_eq!((old.state, &old.key), (Some(KeyState::Active), &world.old.key));
        assert_eq!(world.names().await, ["my-app"]);
    } else {
        let entry = world.resume_to_the_end(&id).await.unwrap();
        assert_eq!(entry.step, Step::Done);
        assert_eq!(world.names().await, ["my-app.r2"]);
        assert_eq!(world.key("my-app.r2").await.key, *world.deployed.lock().unwrap());
    }
    assert!(world.deployed_works().await);
    assert_eq!(world.rotator().status().unwrap().len(), 1);
    last
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(future)
}

/// The runs of a rotation: until the overlap, until the hold, until the end.
const RUNS: usize = 3;

#[test]
fn rotation_survives_crash_at_every_point() {
    let mut steps = BTreeSet::new();
    for (run, is_own_key) in (0..RUNS).flat_map(|run| [(run, false), (run, true)]) {
        for crash_after_polls in 1.. {
            let mut runs = vec![NO_FAULTS; run];
            runs.push(Faults { crash_after_polls, ..NO_FAULTS });
            let variant = Variant { is_own_key, ..Variant::default() };
            let ended = block_on(check(&runs, variant));
            if !ended.has_crashed {
                break;
            }
            steps.extend(ended.step);
        }
    }
    let all = [Step::Create, Step::Distribute, Step::Test, Step::Overlap];
    let all = all.into_iter().chain([Step::Suspend, Step::Hold, Step::Delete, Step::Done]);
    assert!(steps.iter().copied().eq(all), "{steps:?}");
}

#[test]
fn rotation_survives_loss_of_every_response() {
    for (run, is_own_key) in (0..RUNS).flat_map(|run| [(run, false), (run, true)]) {
        let responses = (0..100).find(|&lost_response| {
            let mut runs = vec![NO_FAULTS; run];
            runs.push(Faults { lost_response, ..NO_FAULTS });
            let variant = Variant { is_own_key, ..Variant::default() };
            block_on(check(&runs, variant)).is_next_lost
        });
        assert!(responses >= Some(5), "run {run} has {responses:?} responses");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    #[test]
    fn rotation_survives_series_of_crashes_and_losses(
        runs in prop::collection::vec((1..80usize, 0..20usize), 1..6),
        is_own_key: bool,
        is_compromised: bool,
        rolls_back: bool,
    ) {
        let runs: Vec<_> = runs
            .into_iter()
            .map(|(crash_after_polls, lost_response)| Faults { crash_after_polls, lost_response })
            .collect();
        block_on(check(&runs, Variant { is_own_key, is_compromised, rolls_back }));
    }
}
