//! The limits: keys per user, failed authentications, requests per key, health checks.

use crate::support::status_of;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use reqwest::Response;
use rockset_apikeys::{Client, ErrorType, KeyState};
use rockset_apikeys_server::{ADMIN, Role, Server};
use rusqlite::Connection;
use serde_json::Value;

use crate::support::{Contract, client_for};

const MEMBER: &str = "dev@me.com";
const SECOND: Duration = Duration::from_secs(1);

fn limit(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn client(server: &Server, user: &str) -> Client {
    client_for(server.url(), server.key(user).unwrap().expose_secret())
}

#[tokio::test]
async fn create_fails_when_owner_has_the_maximum_of_keys() {
    let builder = Server::builder().user(MEMBER, Role::Member).max_keys_per_user(limit(3));
    let server = builder.start().await.unwrap();
    let (admin, member) = (client(&server, ADMIN), client(&server, MEMBER));
    let is_over = |error: rockset_apikeys::Error| {
        let kind = error.details().unwrap().type_.clone();
        assert_eq!((status_of(&error).unwrap(), kind), {
            (403, Some(ErrorType::ResourceExceeded))
        });
    };
    member.create_api_key("a").await.unwrap();
    admin.create_api_key("b").created_by(MEMBER).await.unwrap();
    is_over(member.create_api_key("c").await.unwrap_err());
    // The owner's keys count, even if an administrator creates the key.
    is_over(admin.create_api_key("c").created_by(MEMBER).await.unwrap_err());
    // Suspended keys count.
    member.update_api_key("a").state(KeyState::Suspended).await.unwrap();
    is_over(member.create_api_key("c").await.unwrap_err());
    admin.create_api_key("a").await.unwrap();

    member.delete_api_key("a").await.unwrap();
    member.create_api_key("c").await.unwrap();
    is_over(member.create_api_key("d").await.unwrap_err());
    assert_eq!(member.list_api_keys().await.unwrap().len(), 3);
}

#[tokio::test]
async fn concurrent_creates_respect_the_key_limit() {
    let server = Server::builder().max_keys_per_user(limit(10)).start().await.unwrap();
    let admin = client(&server, ADMIN);
    let creates: Vec<_> = (0..50)
        .map(|number| tokio::spawn(admin.create_api_key(format!("key-{number}")).into_future()))
        .collect();
    let mut created = 0;
    for create in creates {
        created += usize::from(create.await.unwrap().is_ok());
    }
    assert_eq!((created, admin.list_api_keys().await.unwrap().len()), (9, 10));
}

/// Requests a listing with the given `Authorization` header.
async fn request(server: &Server, http: &reqwest::Client, authorization: &str) -> Response {
    let url = format!("{}/v1/orgs/self/users/self/apikeys", server.url());
    http.get(url).header("authorization", authorization).send().await.unwrap()
}

fn http_from(address: [u8; 4]) -> reqwest::Client {
    let address = IpAddr::from(Ipv4Addr::from(address));
    reqwest::Client::builder().no_proxy().local_address(address).build().unwrap()
}

fn retry_after(response: &Response) -> u64 {
    response.headers()["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn auth_failure_limit_rejects_further_failures_of_an_address() {
    let server = Server::builder().auth_failure_limit(limit(4)).start().await.unwrap();
    let http = http_from([127, 0, 0, 1]);
    let valid = format!("ApiKey {}", server.admin_key().expose_secret());
    let garbage = format!("ApiKey {}", "x".repeat(64));
    for bad in [garbage.as_str(), "ApiKey", "Bearer x", &garbage] {
        assert_eq!(request(&server, &http, bad).await.status(), 401);
        assert_eq!(request(&server, &http, &valid).await.status(), 200);
    }
    for _ in 0..3 {
        let response = request(&server, &http, &garbage).await;
        assert_eq!(response.status(), 429);
        assert!((1..=60).contains(&retry_after(&response)), "{response:?}");
        let body: Value = response.json().await.unwrap();
        Contract::load().assert_response("list_api_keys", 429, &body);
        assert_eq!(body["type"], "RATELIMITEXCEEDED");
        assert_eq!(request(&server, &http, &valid).await.status(), 200);
    }
    // Other platforms have only one loopback address.
    if cfg!(target_os = "linux") {
        let elsewhere = http_from([127, 0, 0, 2]);
        assert_eq!(request(&server, &elsewhere, &garbage).await.status(), 401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limit_holds_in_any_second() {
    const LIMIT: usize = 10;
    let server = Server::builder().rate_limit(limit(LIMIT as u32)).start().await.unwrap();
    let authorization = format!("ApiKey {}", server.admin_key().expose_secret());
    let http = http_from([127, 0, 0, 1]);
    let start = Instant::now();
    // The request and response times of each success.
    let mut successes = Vec::new();
    // This takes more than two seconds. It does not end if the limiter rejects everything after the
    // first window.
    while successes.len() < 3 * LIMIT {
        let sent = start.elapsed();
        let response = request(&server, &http, &authorization).await;
        let received = start.elapsed();
        match response.status().as_u16() {
            200 => successes.push((sent, received)),
            429 => assert_eq!(retry_after(&response), 1),
            status => panic!("{status}"),
        }
    }
    for (first, _) in &successes {
        let window = successes
            .iter()
            .filter(|(sent, received)| sent >= first && *received < *first + SECOND)
            .count();
        assert!(window <= LIMIT, "{window} requests in the second from {first:?}");
    }
}

#[tokio::test]
async fn health_checks_write_at_most_once_per_second() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.db");
    let database = format!("sqlite:{}", file.display());
    let server = Server::builder().database(database).start().await.unwrap();
    let database = Connection::open(file).unwrap();
    let probes = || {
        database.query_row("SELECT probes FROM directory", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = probes();
    let http = http_from([127, 0, 0, 1]);
    let start = Instant::now();
    let checks: Vec<_> = (0..10)
        .map(|_| {
            let (http, url) = (http.clone(), format!("{}/health", server.url()));
            tokio::spawn(async move {
                for _ in 0..100 {
                    assert_eq!(http.get(&url).send().await.unwrap().status(), 200);
                }
            })
        })
        .collect();
    for checks in checks {
        checks.await.unwrap();
    }
    let made = (probes() - before).unsigned_abs();
    assert!((1..=start.elapsed().as_secs() + 1).contains(&made), "{made} writes");
}
