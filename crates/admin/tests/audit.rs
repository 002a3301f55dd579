//! Audits of keys on a real server.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::num::NonZeroU32;
use std::time::Duration;

use rockset_apikeys::KeyState;
use rockset_apikeys::jiff::{SignedDuration, Timestamp};
use rockset_apikeys_admin::audit::{Exception, Kind, Policy, Progress, Report, Severity, audit};
use rockset_apikeys_server::{ADMIN, Clock, Fault, Role, Server};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn run(server: &Server, users: &[&str], policy: &Policy) -> Report {
    audit(&server.client(), users, policy, |_| {}).await
}

fn kinds(report: &Report, name: &str) -> Vec<Kind> {
    report.findings.iter().filter(|it| it.name == name).map(|it| it.kind).collect()
}

/// Returns a server with a key without findings, created the given number of days ago.
async fn server_with_a_key(days: i64) -> Server {
    let age = SignedDuration::from_hours(24 * days + 1);
    let clock = Clock::at(Timestamp::now() - age);
    let server = Server::builder().clock(&clock).start().await.unwrap();
    let call = server.client().create_api_key("key").role("member");
    let key = call.expiry_time(Timestamp::now() + SignedDuration::from_hours(2_400)).await.unwrap();
    server.client().with_api_key(key.key).unwrap().list_api_keys().await.unwrap();
    clock.advance(age);
    server
}

#[tokio::test]
async fn compliant_key_has_no_findings() {
    let server = server_with_a_key(1).await;
    let report = run(&server, &["self"], &Policy::default()).await;
    assert_eq!(kinds(&report, "key"), [], "{report:?}");
    assert_eq!((report.users, report.keys), (1, 2));
    assert!(report.is_complete());
}

#[tokio::test]
async fn age_and_disuse_are_reported_beyond_thresholds() {
    let server = server_with_a_key(100).await;
    let report = run(&server, &["self"], &Policy::default()).await;
    assert_eq!(kinds(&report, "key"), [Kind::TooOld, Kind::Unused]);
    let unused = report.findings.iter().find(|it| it.kind == Kind::Unused && it.name == "key");
    let unused = unused.unwrap();
    assert!(unused.evidence.starts_with("last used 100 days ago"), "{unused:?}");
    assert_eq!(unused.precision_seconds, Some(2));
    assert_eq!(unused.fix, ["suspend", "key"]);

    let generous = Policy::default().max_age(200 * DAY).max_unused(200 * DAY);
    assert_eq!(kinds(&run(&server, &["self"], &generous).await, "key"), []);
    let strict = Policy::default().expiry_notice(101 * DAY);
    assert!(kinds(&run(&server, &["self"], &strict).await, "key").contains(&Kind::ExpiresSoon));
}

#[tokio::test]
async fn each_kind_is_reported() {
    let clock = Clock::at(Timestamp::now() - SignedDuration::from_hours(24 * 60));
    let builder = Server::builder().clock(&clock).user("dev@me.com", Role::Admin);
    let server = builder.start().await.unwrap();
    let client = server.client();
    client.create_api_key("chief").role("admin").await.unwrap();
    client.create_api_key("app").role("member").await.unwrap();
    client.create_api_key("app.r2").role("member").await.unwrap();
    client.create_api_key("off").role("member").await.unwrap();
    client.update_api_key("off").state(KeyState::Suspended).await.unwrap();
    let temporary = client.create_api_key("temporary").await.unwrap();
    let temporary = client.with_api_key(temporary.key).unwrap();
    temporary.create_api_key("orphan").role("member").await.unwrap();
    client.delete_api_key("temporary").await.unwrap();
    let other = server.client_for("dev@me.com").unwrap();
    other.create_api_key("by-dev").await.unwrap();
    other.create_api_key("given").role("member").created_by(ADMIN).await.unwrap();
    clock.advance(SignedDuration::from_hours(24 * 60));

    let report = run(&server, &[ADMIN, "dev@me.com"], &Policy::default()).await;
    use Kind::*;
    assert_eq!(kinds(&report, "initial")[0], NoRole);
    assert_eq!(kinds(&report, "chief"), [UnusedAdmin, NoExpiry]);
    assert_eq!(kinds(&report, "app"), [UnfinishedRotation]);
    assert_eq!(kinds(&report, "app.r2"), [NoExpiry, Unused]);
    assert_eq!(kinds(&report, "off"), [StaleSuspended]);
    assert_eq!(kinds(&report, "orphan"), [NoExpiry, Unused, Orphaned]);
    let severities = report.findings.iter().map(|it| it.severity).collect::<Vec<_>>();
    assert!(severities.is_sorted_by(|a, b| a >= b), "{severities:?}");
    assert_eq!(report.worst(), Some(Severity::High));
}

#[tokio::test]
async fn orphan_check_includes_users_listed_later() {
    let server = Server::builder().user("dev@me.com", Role::Admin).start().await.unwrap();
    let admin = server.client();
    let maker = admin.create_api_key("maker").await.unwrap();
    let maker = admin.with_api_key(maker.key).unwrap();
    maker.create_api_key("given").created_by("dev@me.com").await.unwrap();
    for users in [&["dev@me.com", ADMIN], &[ADMIN, "dev@me.com"]] {
        let report = run(&server, users, &Policy::default()).await;
        assert!(!kinds(&report, "given").contains(&Kind::Orphaned), "{report:?}");
    }
    let report = run(&server, &["dev@me.com"], &Policy::default()).await;
    assert!(kinds(&report, "given").contains(&Kind::Orphaned), "{report:?}");
}

#[tokio::test]
async fn exception_suppresses_findings_until_its_date() {
    let server = Server::start().await.unwrap();
    let all = run(&server, &["self"], &Policy::default()).await.findings.len();
    let exception = |until: &str| Exception::new("initial", "bootstrap", until.parse().unwrap());
    let left = async |exception: Exception| {
        let report = run(&server, &["self"], &Policy::default().exception(exception)).await;
        assert_eq!(report.findings.len() + report.suppressed, all);
        report.findings.len()
    };
    assert_eq!(left(exception("9998-12-31")).await, 0);
    assert_eq!(left(exception("9998-12-31").user(ADMIN)).await, 0);
    assert_eq!(left(exception("9998-12-31").kind(Kind::NoRole)).await, all - 1);
    assert_eq!(left(exception("9998-12-31").user("dev@me.com")).await, all);
    assert_eq!(left(exception("2020-01-01")).await, all);
}

#[tokio::test]
async fn failed_listing_makes_audit_incomplete() {
    let server = Server::start().await.unwrap();
    let report = run(&server, &["nobody@me.com", ADMIN], &Policy::default()).await;
    assert!(!report.is_complete());
    assert_eq!(report.failures[0].user, "nobody@me.com");
    assert!(report.failures[0].error.is_not_found());
    assert_eq!(report.users, 1);

    server.inject(Fault::status(400), 1);
    let report = run(&server, &["self"], &Policy::default()).await;
    assert!(!report.is_complete() && report.findings.is_empty());
}

#[tokio::test]
async fn rate_limit_slows_audit_without_failing_it() {
    let users = (0..60).map(|number| format!("u{number}@me.com")).collect::<Vec<_>>();
    let mut builder = Server::builder().rate_limit(NonZeroU32::new(30).unwrap());
    for user in &users {
        builder = builder.user(user, Role::Member);
    }
    let server = builder.start().await.unwrap();
    let mut seen = Vec::new();
    let report = audit(&server.client(), &users, &Policy::default(), |it| seen.push(it)).await;
    assert!(report.is_complete(), "{:?}", report.failures);
    assert_eq!(seen.last(), Some(&Progress { done: 60, total: 60 }));
    assert_eq!(seen.len(), 60);
}

#[test]
fn kinds_have_the_documented_names() {
    for (kind, name) in [
        (Kind::NoRole, "no-role"),
        (Kind::UnusedAdmin, "unused-admin"),
        (Kind::Orphaned, "orphaned"),
        (Kind::StaleSuspended, "stale-suspended"),
    ] {
        assert_eq!(kind.to_string(), name);
    }
}

#[test]
fn invalid_policy_reports_cause() {
    let error = |text: &str| serde_json::from_str::<Policy>(text).unwrap_err().to_string();
    assert!(error(r#"{"max_age": "soon"}"#).contains("90d"));
    assert!(error(r#"{"max_agee": "90d"}"#).contains("max_agee"));
    let exception = |fields: &str| format!(r#"{{"exceptions": [{{"name": "a"{fields}}}]}}"#);
    assert!(error(&exception("")).contains("reason"));
    let reason = r#", "reason": "it is needed""#;
    assert!(error(&exception(reason)).contains("until"));
    assert!(error(&exception(&format!(r#"{reason}, "until": "soon""#))).contains("2030-06-30"));
    assert!(
        error(&exception(r#", "reason": " ", "until": "2030-01-01""#)).contains("reason is empty")
    );
    let valid = exception(&format!(r#"{reason}, "until": "2030-01-01""#));
    assert!(serde_json::from_str::<Policy>(&valid).is_ok());
}
