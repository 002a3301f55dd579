//! Rotations that crash or lose responses: at every point, and in random series.

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

/// Polls a future at most this often, and drops it then.
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

/// What goes wrong in one run of a rotation.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    crash_after_polls: usize,
    lost_response: usize,
}

const NO_TROUBLE: Trouble = Trouble { crash_after_polls: usize::MAX, lost_response: usize::MAX };

/// How a rotation is made in `check`.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    is_own_key: bool,
    is_compromised: bool,
    rolls_back: bool,
}

/// How the last run with trouble ended.
#[derive(Default)]
struct Ended {
    has_crashed: bool,
    /// Whether the response to lose would be the next one, as the run had no more.
    is_next_lost: bool,
    step: Option<Step>,
}

/// Rotates a key with trouble in each run, and then without, and checks what must hold.
async fn check(troubles: &[Trouble], manner: Manner) -> Ended {
    let world = World { is_own_key: manner.is_own_key, ..World::start().await };
    let rotation = rotation().compromised(manner.is_compromised);
    let once = Client::builder().api_server(world.server.url());
    let once = once.api_key(world.server.admin_key().clone()).retry_policy(RetryPolicy::never());
    let once = once.build().unwrap();
    let mut last = Ended::default();
    for trouble in troubles {
        let rotator = world.rotator();
        let known = rotator.status().unwrap().pop();
        if let Some(entry) = known.as_ref().filter(|it| it.waits_until().is_some()) {
            world.wait_for(entry);
        }
        world.server.inject(Fault::delay(Duration::ZERO), trouble.lost_response);
        world.server.inject(Fault::drop_connection(), 1);
        let run = async {
            match &known {
                Some(entry) => rotator.resume(&entry.id).await,
                None => rotator.rotate(&rotation).await,
            }
        };
        // Without a crash it ends in any way.
        let has_crashed = crash_after(trouble.crash_after_polls, run).await.is_none();
        let is_next_lost = once.list_api_keys().await.is_err();
        assert!(world.deployed_works().await, "no valid key is deployed after {trouble:?}");
        let entry = rotator.status().unwrap().pop();
        let is_known = |name: &String| match &entry {
            Some(entry) => *name == entry.old || *name == entry.new,
            None => name == "my-app",
        };
        assert!(world.names().await.iter().all(is_known), "the journal does not know a key");
        last = Ended { has_crashed, is_next_lost, step: entry.map(|entry| entry.step) };
    }
    let id = match world.rotator().status().unwrap().pop() {
        Some(entry) => entry.id,
        None => world.rotator().rotate(&rotation).await.unwrap().id,
    };
    if manner.rolls_back
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
fn a_rotation_survives_a_crash_at_every_point() {
    let mut steps = BTreeSet::new();
    for (run, is_own_key) in (0..RUNS).flat_map(|run| [(run, false), (run, true)]) {
        for crash_after_polls in 1.. {
            let mut troubles = vec![NO_TROUBLE; run];
            troubles.push(Trouble { crash_after_polls, ..NO_TROUBLE });
            let manner = Manner { is_own_key, ..Manner::default() };
            let ended = block_on(check(&troubles, manner));
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
fn a_rotation_survives_the_loss_of_every_response() {
    for (run, is_own_key) in (0..RUNS).flat_map(|run| [(run, false), (run, true)]) {
        let responses = (0..100).find(|&lost_response| {
            let mut troubles = vec![NO_TROUBLE; run];
            troubles.push(Trouble { lost_response, ..NO_TROUBLE });
            let manner = Manner { is_own_key, ..Manner::default() };
            block_on(check(&troubles, manner)).is_next_lost
        });
        assert!(responses >= Some(5), "run {run} has {responses:?} responses");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    #[test]
    fn a_rotation_survives_any_series_of_crashes_and_lost_responses(
        troubles in prop::collection::vec((1..80usize, 0..20usize), 1..6),
        is_own_key: bool,
        is_compromised: bool,
        rolls_back: bool,
    ) {
        let troubles: Vec<_> = troubles
            .into_iter()
            .map(|(crash_after_polls, lost_response)| Trouble { crash_after_polls, lost_response })
            .collect();
        block_on(check(&troubles, Manner { is_own_key, is_compromised, rolls_back }));
    }
}
