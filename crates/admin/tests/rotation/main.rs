//! Rotations against a real server, with its faults and its clock.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod crashes;
mod world;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use rockset_apikeys::KeyState;
use rockset_apikeys_admin::rotation::{
    Entry, NewKey, Rotation, Rotator, RotatorBuilder, Step, create_or_adopt,
};
use rockset_apikeys_server::{ADMIN, Clock, Fault, Server};

use crashes::crash_after;
use world::{DEV, World, rotation};

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn a_rotation_ends_with_the_successor_deployed_and_the_old_key_deleted() {
    let world = World::start().await;
    let entry = world.rotator().rotate(&rotation()).await.unwrap();
    assert_eq!((entry.step, entry.new.as_str()), (Step::Suspend, "my-app.r2"));
    assert!(world.deployed_works().await);

    let successor = world.key("my-app.r2").await;
    assert_eq!(successor.key, *world.deployed.lock().unwrap());
    assert_eq!(
        (&successor.role, &successor.expiry_time),
        (&world.old.role, &world.old.expiry_time)
    );
    let end = world.clock.now() + SignedDuration::from_hours(24);
    assert_eq!(world.key("my-app").await.expiry_time.unwrap().to_jiff(), Some(end));

    world.wait_for(&entry);
    let entry = world.rotator().resume(&entry.id).await.unwrap();
    assert_eq!(entry.step, Step::Hold);
    assert_eq!(world.key("my-app").await.state, Some(KeyState::Suspended));

    world.wait_for(&entry);
    let entry = world.rotator().resume(&entry.id).await.unwrap();
    assert_eq!(entry.step, Step::Done);
    assert_eq!(world.names().await, ["my-app.r2"]);

    let entry = world.rotator().rotate(&rotation()).await.unwrap();
    assert_eq!((entry.old.as_str(), entry.new.as_str()), ("my-app.r2", "my-app.r3"));
}

#[tokio::test]
async fn the_successor_gets_the_whole_lifetime_again() {
    let world = World::start().await;
    world.clock.advance(SignedDuration::from_hours(80 * 24));
    world.rotator().rotate(&rotation()).await.unwrap();
    let expiry = world.clock.now() + SignedDuration::from_hours(90 * 24);
    assert_eq!(world.key("my-app.r2").await.expiry_time.unwrap().to_jiff(), Some(expiry));
}

#[tokio::test]
async fn the_overlap_never_makes_the_old_key_live_longer() {
    let world = World::start().await;
    world.clock.advance(SignedDuration::from_hours(90 * 24 - 1));
    let entry = world.rotator().rotate(&rotation()).await.unwrap();
    assert_eq!(world.key("my-app").await.expiry_time, world.old.expiry_time);
    assert_eq!(entry.overlap_until, world.old.expiry_time);
}

#[tokio::test]
async fn a_plan_changes_nothing_and_names_what_is_in_the_way() {
    let world = World::start().await;
    let admin = world.server.client();
    let plan = world.rotator().plan(&rotation()).await.unwrap();
    assert!(plan.is_ready(), "{plan}");
    assert!(plan.to_string().lines().all(|line| line.chars().count() <= 100), "{plan}");
    assert_eq!(world.names().await, ["my-app"]);

    let call = admin.update_api_key("my-app").user(DEV).state(KeyState::Suspended);
    call.await.unwrap();
    let error = world.rotator().rotate(&rotation()).await.unwrap_err();
    assert!(error.is_unchanged() && error.to_string().contains("SUSPENDED"), "{error}");

    world.clock.advance(SignedDuration::from_hours(91 * 24));
    let error = world.rotator().rotate(&rotation()).await.unwrap_err();
    assert!(error.is_unchanged() && error.to_string().contains("expired"), "{error}");

    let missing = Rotation::of("no-such-key").user(DEV);
    let error = world.rotator().rotate(&missing).await.unwrap_err();
    assert!(error.is_unchanged() && error.is_not_found(), "{error}");
    assert_eq!(world.names().await, ["my-app"]);
    assert!(world.rotator().status().unwrap().is_empty());
}

#[tokio::test]
async fn a_caller_that_may_not_create_keys_learns_it_before_anything_changes() {
    let world = World::start().await;
    let admin = world.server.client();
    let reader = admin.create_api_key("reader").role("read-only").created_by(DEV).await.unwrap();
    let client = admin.with_api_key(reader.key).unwrap();
    let rotator = Rotator::builder(client, world.journal.path()).build().unwrap();
    let plan = rotator.plan(&Rotation::of("reader")).await.unwrap();
    let problems: Vec<_> = plan.problems().map(|check| check.what.as_str()).collect();
    assert_eq!(problems, ["create, update and delete"]);
}

#[tokio::test]
async fn a_failed_distribution_or_test_leaves_everything_as_before() {
    let world = World::start().await;
    let old = world.old.key.clone();
    let rotators = [
        world
            .builder()
            .test_with("start", |_| async { Err(io::Error::other("it does not start")) }),
        world.builder().write_with("read-only", move |value| {
            let is_old = value == old;
            async move { is_old.then_some(()).ok_or(io::Error::other("read-only")) }
        }),
    ];
    for builder in rotators {
        let error = builder.build().unwrap().rotate(&rotation()).await.unwrap_err();
        assert!(error.is_rolled_back(), "{error:?}");
        assert_eq!(world.names().await, ["my-app"]);
        assert_eq!(*world.deployed.lock().unwrap(), world.old.key);
        assert!(world.deployed_works().await);
        assert_eq!(world.key("my-app").await.expiry_time, world.old.expiry_time);
    }
}

#[tokio::test]
async fn a_key_that_was_used_after_the_distribution_is_not_retired() {
    let world = World::start().await;
    let entry = world.rotator().rotate(&rotation()).await.unwrap();
    world.clock.advance(SignedDuration::from_hours(1));
    let straggler = world.server.client().with_api_key(world.old.key.clone()).unwrap();
    straggler.list_api_keys().await.unwrap();

    world.wait_for(&entry);
    let error = world.rotator().resume(&entry.id).await.unwrap_err();
    assert!(error.is_in_use() && error.id() == Some(&entry.id), "{error}");

    let forced = world.builder().force(true).build().unwrap();
    assert_eq!(forced.resume(&entry.id).await.unwrap().step, Step::Hold);
}

#[tokio::test]
async fn finish_skips_the_waits_but_not_the_delay_of_the_last_access() {
    let world = World::start().await;
    let entry = world.rotator().rotate(&rotation()).await.unwrap();
    let entry = world.rotator().finish(&entry.id).await.unwrap();
    assert_eq!(entry.step, Step::Hold);
    let wait = entry.waits_until().unwrap().to_jiff().unwrap();
    assert_eq!(wait.duration_since(world.clock.now()).as_secs(), 10);

    world.wait_for(&entry);
    assert_eq!(world.rotator().finish(&entry.id).await.unwrap().step, Step::Done);
}

#[tokio::test]
async fn a_compromised_key_is_suspended_once_the_successor_is_tested() {
    let world = World::start().await;
    let entry = world.rotator().rotate(&rotation().compromised(true)).await.unwrap();
    assert_eq!(entry.step, Step::Hold);
    assert_eq!(world.key("my-app").await.state, Some(KeyState::Suspended));
    assert!(world.deployed_works().await);
}

/// Returns a rotator whose client's key is not the one that is rotated.
fn of_the_administrator(builder: RotatorBuilder) -> Rotator {
    builder.client_key("initial").build().unwrap()
}

#[tokio::test]
async fn suspend_first_suspends_the_old_key_before_there_is_a_successor() {
    let world = World::start().await;
    let world = Arc::new(world);
    let server = Arc::clone(&world);
    let is_suspended = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&is_suspended);
    let builder = world.builder().test_with("looks", move |_| {
        let (world, seen) = (Arc::clone(&server), Arc::clone(&seen));
        async move {
            *seen.lock().unwrap() = world.key("my-app").await.state;
            Ok::<(), io::Error>(())
        }
    });
    let rotator = of_the_administrator(builder);
    let entry = rotator.rotate(&rotation().suspend_first(true)).await.unwrap();
    assert_eq!(*is_suspended.lock().unwrap(), Some(KeyState::Suspended));
    assert_eq!(entry.step, Step::Hold);
    world.wait_for(&entry);
    assert_eq!(rotator.resume(&entry.id).await.unwrap().step, Step::Done);
    assert_eq!(world.names().await, ["my-app.r2"]);
}

#[tokio::test]
async fn a_failure_after_suspend_first_activates_nothing_until_it_is_rolled_back() {
    let world = World::start().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let rotator = || {
        let is_down = Arc::clone(&is_down);
        of_the_administrator(world.builder().test_with("start", move |_| {
            let is_down = is_down.load(Ordering::Relaxed);
            async move { if is_down { Err(io::Error::other("down")) } else { Ok(()) } }
        }))
    };
    let error = rotator().rotate(&rotation().suspend_first(true)).await.unwrap_err();
    assert!(!error.is_rolled_back() && !error.is_unchanged(), "{error}");
    assert_eq!(world.key("my-app").await.state, Some(KeyState::Suspended));
    rotator().rollback(error.id().unwrap()).await.unwrap();
    assert_eq!(world.key("my-app").await.state, Some(KeyState::Active));

    let error = rotator().rotate(&rotation().suspend_first(true)).await.unwrap_err();
    is_down.store(false, Ordering::Relaxed);
    let entry = rotator().resume(error.id().unwrap()).await.unwrap();
    assert_eq!(entry.step, Step::Hold);
    let entry = rotator().rollback(&entry.id).await.unwrap();
    assert_eq!(entry.step, Step::RolledBack);
    assert_eq!(world.key("my-app").await.state, Some(KeyState::Active));
    assert_eq!(world.names().await, ["my-app"]);
}

#[tokio::test]
async fn the_clients_own_key_is_not_suspended_before_it_has_a_successor() {
    let world = World { is_own_key: true, ..World::start().await };
    let unknown = world.rotator();
    let own = world.builder().client_key("my-app").build().unwrap();
    for rotator in [unknown, own] {
        let own = Rotation::of("my-app").suspend_first(true);
        let error = rotator.rotate(&own).await.unwrap_err();
        assert!(error.is_unchanged() && error.to_string().contains("own key"), "{error}");
        assert_eq!(world.key("my-app").await.state, Some(KeyState::Active));
    }
}

#[tokio::test]
async fn a_rotation_is_resumed_with_the_test_that_it_began_with() {
    let world = World::start().await;
    let tested = || world.builder().test_with("smoke", async |_| Ok::<(), io::Error>(()));
    let entry = tested().build().unwrap().rotate(&rotation()).await.unwrap();
    let error = world.rotator().resume(&entry.id).await.unwrap_err();
    assert!(error.is_unchanged() && error.to_string().contains("smoke"), "{error}");
    assert!(tested().build().unwrap().resume(&entry.id).await.is_ok());
}

#[tokio::test]
async fn a_successor_that_another_key_created_is_not_adopted_by_a_later_run() {
    let world = World::start().await;
    // The server is down from the create on.
    world.server.inject(Fault::delay(Duration::ZERO), 6);
    world.server.inject(Fault::status(500), 1000);
    let rotator = of_the_administrator(world.builder());
    let error = rotator.rotate(&rotation()).await.unwrap_err();
    world.server.clear_faults();
    let other = world.server.client().with_api_key(world.old.key.clone()).unwrap();
    let call = other.create_api_key("my-app.r2").role("member");
    call.expiry_time(world.old.expiry_time.clone().unwrap()).await.unwrap();

    let error = world.rotator().resume(error.id().unwrap()).await.unwrap_err();
    assert!(error.is_rolled_back() && error.to_string().contains("did not create"), "{error}");
    assert_eq!(world.names().await, ["my-app", "my-app.r2"]);
}

#[tokio::test]
async fn a_rollback_during_the_hold_restores_state_expiry_and_destinations() {
    let world = World::start().await;
    let entry = world.rotator().rotate(&rotation().compromised(true)).await.unwrap();
    let entry = world.rotator().rollback(&entry.id).await.unwrap();
    assert_eq!(entry.step, Step::RolledBack);
    let old = world.key("my-app").await;
    assert_eq!(
        (old.state, old.expiry_time),
        (Some(KeyState::Active), world.old.expiry_time.clone())
    );
    assert_eq!(*world.deployed.lock().unwrap(), world.old.key);
    assert_eq!(world.names().await, ["my-app"]);
}

#[tokio::test]
async fn a_client_that_rotates_its_own_key_never_uses_the_old_one_again() {
    let world = World { is_own_key: true, ..World::start().await };
    let clock = world.clock.clone();
    let an_hour_later = move |entry: &Entry| {
        if entry.step > Step::Test {
            clock.advance(SignedDuration::from_hours(1));
        }
    };
    let rotator = world.builder().on_step(an_hour_later).build().unwrap();
    let entry = rotator.rotate(&Rotation::of("my-app")).await.unwrap();
    assert!(entry.is_own_key);
    rotator.resume(&entry.id).await.unwrap();
    rotator.client().list_api_keys().await.unwrap();
    assert!(world.key("my-app").await.last_access_time <= entry.distributed_at);

    let entry = world.resume_to_the_end(&entry.id).await.unwrap();
    assert_eq!(entry.step, Step::Done);
}

#[tokio::test]
async fn a_client_that_still_has_the_old_key_retires_it_with_the_new_one() {
    let world = World { is_own_key: true, ..World::start().await };
    let forced = world.builder().force(true).build().unwrap();
    let entry = world.rotator().rotate(&Rotation::of("my-app")).await.unwrap();
    world.clock.advance(SignedDuration::from_hours(1));

    let entry = forced.finish(&entry.id).await.unwrap();
    assert_eq!(entry.step, Step::Hold);
    world.wait_for(&entry);
    assert_eq!(forced.finish(&entry.id).await.unwrap().step, Step::Done);
    assert!(forced.client().list_api_keys().await.is_ok());
}

#[tokio::test]
async fn a_create_whose_response_is_lost_is_recovered_by_a_later_run() {
    let world = World::start().await;
    let server = Arc::new(Server::builder().start().await.unwrap());
    server.client().create_api_key("my-app").await.unwrap();
    let faulty = Arc::clone(&server);
    let rotator = Rotator::builder(server.client(), world.journal.path()).on_step(move |entry| {
        if entry.step == Step::Create {
            // The successor's lookup, its create, and then the server is down.
            faulty.inject(Fault::delay(Duration::ZERO), 1);
            faulty.inject(Fault::drop_connection(), 1);
            faulty.inject(Fault::status(500), 1000);
        }
    });
    let rotator = rotator.build().unwrap();
    let error = rotator.rotate(&Rotation::of("my-app")).await.unwrap_err();
    assert!(!error.is_unchanged() && !error.is_rolled_back() && error.api_error().is_some());
    server.clear_faults();
    assert!(server.client().get_api_key("my-app.r2").await.is_ok());

    let entry = rotator.resume(error.id().unwrap()).await.unwrap();
    assert_eq!(entry.step, Step::Suspend);
    assert_eq!(server.client().list_api_keys().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_deletion_whose_response_is_lost_counts_as_done() {
    let world = World::start().await;
    let entry = world.rotator().rotate(&rotation().compromised(true)).await.unwrap();
    world.wait_for(&entry);
    let server = &world.server;
    // The lookups in the steps hold and delete, and the call with the successor's value.
    server.inject(Fault::delay(Duration::ZERO), 4);
    server.inject(Fault::drop_connection(), 1);
    assert_eq!(world.rotator().resume(&entry.id).await.unwrap().step, Step::Done);
}

#[tokio::test]
async fn a_run_after_a_crash_does_not_extend_the_overlap() {
    let world = World::start().await;
    let polls = crash_polls(|entry| entry.overlap_until.is_some()).await;
    assert!(crash_after(polls, world.rotator().rotate(&rotation())).await.is_none());
    let entry = world.rotator().status().unwrap().pop().unwrap();
    assert!(entry.overlap_until.is_some());
    world.clock.advance(SignedDuration::from_hours(1));
    world.rotator().resume(&entry.id).await.unwrap();
    assert_eq!(world.key("my-app").await.expiry_time, entry.overlap_until);
}

#[tokio::test]
async fn the_last_administrator_key_is_rotated_without_losing_access() {
    let server = Server::start().await.unwrap();
    let journal = tempfile::tempdir().unwrap();
    let rotator = Rotator::builder(server.client(), journal.path()).build().unwrap();
    let entry = rotator.rotate(&Rotation::of("initial").compromised(true)).await.unwrap();
    assert_eq!((entry.step, entry.user.as_str()), (Step::Hold, ADMIN));
    assert!(server.client().list_api_keys().await.unwrap_err().kind() == UNAUTHORIZED);
    assert_eq!(rotator.client().list_api_keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn block_on_in_a_runtime_is_an_error_and_runs_nothing() {
    let error = rockset_apikeys_admin::block_on(async { panic!("it runs") }).unwrap_err();
    assert!(error.to_string().contains("await"), "{error}");
}

#[tokio::test]
async fn waits_go_by_the_clock_of_the_server() {
    let server = Server::start().await.unwrap();
    server.client().create_api_key("my-app").await.unwrap();
    let journal = tempfile::tempdir().unwrap();
    let rotator = Rotator::builder(server.client(), journal.path())
        .last_access_delay(Duration::ZERO)
        .build()
        .unwrap();
    let before = jiff::Timestamp::now() - SignedDuration::from_secs(1);
    let entry = rotator.rotate(&Rotation::of("my-app").overlap(HOUR)).await.unwrap();
    let until = entry.waits_until().unwrap().to_jiff().unwrap().duration_since(before);
    assert!((60 * 60..60 * 60 + 30).contains(&until.as_secs()), "{until}");
}

#[tokio::test]
async fn one_rotation_of_a_key_runs_at_a_time() {
    let world = World::start().await;
    let (rotator, other) = (world.rotator(), world.rotator());
    let (one, two) = (rotation(), rotation());
    let (one, two) = tokio::join!(rotator.rotate(&one), other.rotate(&two));
    let errors: Vec<_> = [one, two].into_iter().filter_map(Result::err).collect();
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert!(error.is_unchanged(), "{error}");
    assert_eq!(world.names().await, ["my-app", "my-app.r2"]);
    let error = world.rotator().rotate(&rotation()).await.unwrap_err();
    assert!(error.is_unchanged() && error.to_string().contains("unfinished"), "{error}");
}

#[tokio::test]
async fn a_rotation_that_runs_cannot_be_resumed_elsewhere() {
    let world = World::start().await;
    let other = Arc::new(world.rotator());
    let rotator = world.builder().test_with("elsewhere", move |_| {
        let other = Arc::clone(&other);
        async move {
            let entry = other.status().unwrap().pop().unwrap();
            let error = other.resume(&entry.id).await.unwrap_err();
            assert!(error.is_locked() && error.is_unchanged(), "{error}");
            Ok::<(), io::Error>(())
        }
    });
    rotator.build().unwrap().rotate(&rotation()).await.unwrap();
}

#[tokio::test]
async fn the_old_key_stays_when_its_successor_does_not_work() {
    let world = World::start().await;
    let entry = world.rotator().rotate(&rotation()).await.unwrap();
    let admin = world.server.client();
    let call = admin.update_api_key("my-app.r2").user(DEV).state(KeyState::Suspended);
    call.await.unwrap();
    let error = world.rotator().finish(&entry.id).await.unwrap_err();
    assert!(!error.is_unchanged() && error.to_string().contains("does not work"), "{error}");
    assert_eq!(world.key("my-app").await.state, Some(KeyState::Active));
}

#[tokio::test]
async fn a_key_that_was_activated_during_the_hold_is_not_deleted() {
    let world = World::start().await;
    let entry = world.rotator().rotate(&rotation().compromised(true)).await.unwrap();
    let admin = world.server.client();
    admin.update_api_key("my-app").user(DEV).state(KeyState::Active).await.unwrap();
    world.wait_for(&entry);
    assert!(world.rotator().resume(&entry.id).await.unwrap_err().is_in_use());
    assert_eq!(world.names().await, ["my-app", "my-app.r2"]);
}

#[tokio::test]
async fn a_new_key_of_the_old_keys_name_is_left_alone() {
    let world = World::start().await;
    let entry = world.rotator().rotate(&rotation()).await.unwrap();
    let admin = world.server.client();
    admin.delete_api_key("my-app").user(DEV).await.unwrap();
    world.clock.advance(SignedDuration::from_hours(1));
    admin.create_api_key("my-app").created_by(DEV).await.unwrap();
    let error = world.rotator().finish(&entry.id).await.unwrap_err();
    assert!(error.to_string().contains("another key"), "{error}");
    assert_eq!(world.key("my-app").await.state, Some(KeyState::Active));
}

#[tokio::test]
async fn an_older_key_of_the_name_is_not_adopted() {
    let clock = Clock::at("2020-01-01T00:00:00Z".parse().unwrap());
    let server = Server::builder().clock(&clock).start().await.unwrap();
    let client = server.client();
    client.create_api_key("lost").await.unwrap();
    clock.advance(SignedDuration::from_mins(1));
    server.inject(Fault::status(502), 1);
    let error = create_or_adopt(&client, &NewKey::new("lost")).await.unwrap_err();
    assert!(error.is_ambiguous(), "{error}");
}

#[tokio::test]
async fn abort_changes_nothing_but_the_journal() {
    let world = World::start().await;
    let entry = world.rotator().rotate(&rotation()).await.unwrap();
    assert_eq!(world.rotator().abort(&entry.id).await.unwrap().step, Step::Aborted);
    assert_eq!(world.names().await, ["my-app", "my-app.r2"]);
    assert_eq!(world.rotator().resume(&entry.id).await.unwrap().step, Step::Aborted);
    assert!(world.rotator().resume("0").await.unwrap_err().is_not_found());
    assert!(world.rotator().resume("../x").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_lost_create_is_adopted_only_if_the_key_fits() {
    let world = World::start().await;
    let client = world.client();
    let new = NewKey::new("lost").user(DEV).role("member").client_key("initial");
    world.server.inject(Fault::drop_connection(), 1);
    let created = create_or_adopt(&client, &new).await.unwrap();
    assert!(created.is_adopted && created.key.key.full_key().is_some());

    // The create did not happen, and the key of that name is another one.
    world.server.inject(Fault::status(502), 1);
    let other = NewKey::new("lost").user(DEV).role("read-only");
    assert!(create_or_adopt(&client, &other).await.unwrap_err().is_ambiguous());
    world.server.inject(Fault::status(502), 1);
    let of_another_key = new.clone().client_key("other");
    assert!(create_or_adopt(&client, &of_another_key).await.unwrap_err().is_ambiguous());
    assert!(create_or_adopt(&client, &new).await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn a_foreign_key_of_the_successors_name_is_left_alone() {
    let world = World::start().await;
    let rotator = world.rotator();
    let polls = crash_polls(|entry| entry.step == Step::Create).await;
    assert!(crash_after(polls, rotator.rotate(&rotation())).await.is_none());
    let [entry] = &rotator.status().unwrap()[..] else { panic!("one entry") };
    assert_eq!(entry.step, Step::Create);
    let admin = world.server.client();
    admin.create_api_key("my-app.r2").created_by(DEV).await.unwrap();

    let error = world.rotator().resume(&entry.id).await.unwrap_err();
    assert!(error.is_rolled_back(), "{error}");
    assert_eq!(world.names().await, ["my-app", "my-app.r2"]);
    assert_eq!(*world.deployed.lock().unwrap(), world.old.key);
}

/// Returns the polls after which the journal's entry first looks like this.
async fn crash_polls(is_there: impl Fn(&Entry) -> bool) -> usize {
    for polls in 1..1000 {
        let world = World::start().await;
        let _ = crash_after(polls, world.rotator().rotate(&rotation())).await;
        if world.rotator().status().unwrap().last().is_some_and(&is_there) {
            return polls;
        }
    }
    panic!("the rotation does not get there");
}
