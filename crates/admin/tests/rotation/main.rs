//! Rotations on a real server, with fault injection and a manual clock.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod crashes;
mod world;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use rockset_apikeys::{ErrorKind, KeyState, StatusCode};
use rockset_apikeys_admin::rotation::{
    Entry, NewKey, Rotation, Rotator, RotatorBuilder, Step, create_or_adopt,
};
use rockset_apikeys_server::{ADMIN, Clock, Fault, Server};

use crashes::crash_after;
use world::{DEV, World, rotation};

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn rotation_deploys_successor_and_deletes_old_key() {
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
async fn successor_has_whole_lifetime_of_old_key() {
    let world = World::start().await;
    world.clock.advance(SignedDuration::from_hours(80 * 24));
    world.rotator().rotate(&rotation()).await.unwrap();
    let expiry = world.clock.now() + SignedDuration::from_hours(90 * 24);
    assert_eq!(world.key("my-app.r2").await.expiry_time.unwrap().to_jiff(), Some(expiry));
}

#[tokio::test]
async fn overlap_never_postpones_expiry_of_old_key() {
    let world = World::start().await;
    world.clock.advance(SignedDuration::from_hours(90 * 24 - 1));
    let entry = world.rotator().rotate(&rotation()).await.unwrap();
    assert_eq!(world.key("my-app").await.expiry_time, world.old.expiry_time);
    assert_eq!(entry.overlap_until, world.old.expiry_time);
}

#[tokio::test]
async fn plan_changes_nothing_and_reports_obstacles() {
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
async fn plan_reports_missing_permission_to_create() {
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
async fn failed_distribution_or_test_is_rolled_back() {
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
async fn key_used_after_distribution_is_not_retired() {
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
async fn finish_skips_waits_except_last_access_delay() {
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
async fn compromised_key_is_suspended_after_test() {
    let world = World::start().await;
    let entry = world.rotator().rotate(&rotation().compromised(true)).await.unwrap();
    assert_eq!(entry.step, Step::Hold);
    assert_eq!(world.key("my-app").await.state, Some(KeyState::Suspended));
    assert!(world.deployed_works().await);
}

/// Returns a rotator whose client's key is not the rotated one.
fn with_admin_key(builder: RotatorBuilder) -> Rotator {
    builder.own_key_name("initial").build().unwrap()
}

#[tokio::test]
async fn suspend_first_suspends_before_create() {
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
    let rotator = with_admin_key(builder);
    let entry = rotator.rotate(&rotation().suspend_first(true)).await.unwrap();
    assert_eq!(*is_suspended.lock().unwrap(), Some(KeyState::Suspended));
    assert_eq!(entry.step, Step::Hold);
    world.wait_for(&entry);
    assert_eq!(rotator.resume(&entry.id).await.unwrap().step, Step::Done);
    assert_eq!(world.names().await, ["my-app.r2"]);
}

#[tokio::test]
async fn suspend_first_activates_only_on_requested_rollback() {
    let world = World::start().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let rotator = || {
        let is_down = Arc::clone(&is_down);
        with_admin_key(world.builder().test_with("start", move |_| {
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
async fn suspend_first_rejects_own_key() {
    let world = World { is_own_key: true, ..World::start().await };
    let unknown = world.rotator();
    let own = world.builder().own_key_name("my-app").build().unwrap();
    for rotator in [unknown, own] {
        let own = Rotation::of("my-app").suspend_first(true);
        let error = rotator.rotate(&own).await.unwrap_err();
        assert!(error.is_unchanged() && error.to_string().contains("own key"), "{error}");
        assert_eq!(world.key("my-app").await.state, Some(KeyState::Active));
    }
}

#[tokio::test]
async fn resume_requires_the_same_test() {
    let world = World::start().await;
    let tested = || world.builder().test_with("smoke", async |_| Ok::<(), io::Error>(()));
    let entry = tested().build().unwrap().rotate(&rotation()).await.unwrap();
    let error = world.rotator().resume(&entry.id).await.unwrap_err();
    assert!(error.is_unchanged() && error.to_string().contains("smoke"), "{error}");
    assert!(tested().build().unwrap().resume(&entry.id).await.is_ok());
}

#[tokio::test]
async fn resume_rejects_successor_created_by_another_key() {
    let world = World::start().await;
    // The server is down from the create on.
    world.server.inject(Fault::delay(Duration::ZERO), 6);
    world.server.inject(Fault::status(500), 1000);
    let rotator = with_admin_key(world.builder());
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
async fn rollback_during_hold_restores_key_and_destinations() {
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
async fn rotation_of_own_key_never_uses_old_key_again() {
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
async fn client_with_old_key_retires_it_with_successor() {
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
async fn resume_recovers_create_whose_response_was_lost() {
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
async fn lost_response_of_delete_counts_as_done() {
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
async fn resume_after_crash_does_not_extend_overlap() {
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
async fn rotation_of_last_admin_key_keeps_access() {
    let server = Server::start().await.unwrap();
    let journal = tempfile::tempdir().unwrap();
    let rotator = Rotator::builder(server.client(), journal.path()).build().unwrap();
    let entry = rotator.rotate(&Rotation::of("initial").compromised(true)).await.unwrap();
    assert_eq!((entry.step, entry.user.as_str()), (Step::Hold, ADMIN));
    let error = server.client().list_api_keys().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Response(StatusCode::UNAUTHORIZED));
    assert_eq!(rotator.client().list_api_keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn block_on_fails_in_runtime() {
    let error = rockset_apikeys_admin::block_on(async { panic!("it runs") }).unwrap_err();
    assert!(error.to_string().contains("await"), "{error}");
}

#[tokio::test]
async fn waits_follow_server_clock() {
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
async fn only_one_rotation_of_a_key_runs_at_a_time() {
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
async fn running_rotation_cannot_be_resumed() {
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
async fn old_key_is_kept_when_successor_does_not_work() {
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
async fn key_activated_during_hold_is_not_deleted() {
    let world = World::start().await;
    let entry = world.rotator().rotate(&rotation().compromised(true)).await.unwrap();
    let admin = world.server.client();
    admin.update_api_key("my-app").user(DEV).state(KeyState::Active).await.unwrap();
    world.wait_for(&entry);
    assert!(world.rotator().resume(&entry.id).await.unwrap_err().is_in_use());
    assert_eq!(world.names().await, ["my-app", "my-app.r2"]);
}

#[tokio::test]
async fn new_key_with_old_name_is_left_unchanged() {
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
async fn older_key_with_same_name_is_not_adopted() {
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
async fn abort_changes_only_the_journal() {
    let world = World::start().await;
    let entry = world.rotator().rotate(&rotation()).await.unwrap();
    assert_eq!(world.rotator().abort(&entry.id).await.unwrap().step, Step::Aborted);
    assert_eq!(world.names().await, ["my-app", "my-app.r2"]);
    assert_eq!(world.rotator().resume(&entry.id).await.unwrap().step, Step::Aborted);
    assert!(world.rotator().resume("0").await.unwrap_err().is_not_found());
    assert!(world.rotator().resume("../x").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn lost_create_is_adopted_only_if_key_matches() {
    let world = World::start().await;
    let client = world.client();
    let new = NewKey::new("lost").user(DEV).role("member").own_key_name("initial");
    world.server.inject(Fault::drop_connection(), 1);
    let created = create_or_adopt(&client, &new).await.unwrap();
    assert!(created.adopted && created.key.key.full_key().is_some());

    // The create did not happen, and the key of that name is another one.
    world.server.inject(Fault::status(502), 1);
    let other = NewKey::new("lost").user(DEV).role("read-only");
    assert!(create_or_adopt(&client, &other).await.unwrap_err().is_ambiguous());
    world.server.inject(Fault::status(502), 1);
    let of_another_key = new.clone().own_key_name("other");
    assert!(create_or_adopt(&client, &of_another_key).await.unwrap_err().is_ambiguous());
    assert!(create_or_adopt(&client, &new).await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn foreign_key_with_successors_name_is_left_unchanged() {
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

/// Returns the number of polls after which the journal's entry first has this property.
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
