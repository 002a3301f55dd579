//! Who may do what to whose keys: every operation by every kind of signer on every kind of owner.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use jiff::SignedDuration;
use rockset_apikeys_server::{ADMIN, Clock, Role, Server};
use serde_json::json;

const MEMBER: &str = "member@me.com";
const READER: &str = "reader@me.com";
const OTHER: &str = "other@me.com";

/// The status of each operation on one's own keys, on another's, and on those of nobody.
type Row = (&'static str, [[u16; 3]; 5]);

const OPERATIONS: [&str; 5] = ["create", "list", "get", "update", "delete"];
const NOBODY_IS_LET_IN: [[u16; 3]; 5] = [[401; 3]; 5];
const MATRIX: [Row; 11] = [
    ("no key", NOBODY_IS_LET_IN),
    ("garbage", NOBODY_IS_LET_IN),
    ("a key cut short", NOBODY_IS_LET_IN),
    ("wrong scheme", NOBODY_IS_LET_IN),
    ("suspended", NOBODY_IS_LET_IN),
    ("expired", NOBODY_IS_LET_IN),
    ("deleted", NOBODY_IS_LET_IN),
    ("read-only", [[403; 3], [200, 403, 403], [200, 403, 403], [403; 3], [403; 3]]),
    ("member", [[200, 403, 403]; 5]),
    ("admin", [[200, 200, 404]; 5]),
    ("admin's read-only", [[403; 3], [200, 403, 403], [200, 403, 403], [403; 3], [403; 3]]),
];

/// A server with a key `target` of everybody, and the header with which this signer signs.
async fn stage(signer: &str) -> (Server, String, &'static str) {
    let clock = Clock::at("2030-01-01T00:00:00Z".parse().unwrap());
    let builder = Server::builder().user(MEMBER, Role::Member).user(READER, Role::ReadOnly);
    let server = builder.user(OTHER, Role::Member).clock(&clock).start().await.unwrap();
    let admin = rockset_apikeys::Client::builder()
        .api_server(server.url())
        .api_key(server.admin_key().clone())
        .build()
        .unwrap();
    for owner in [ADMIN, MEMBER, READER, OTHER] {
        admin.create_api_key("target").created_by(owner).await.unwrap();
    }
    let own = admin.create_api_key("signer").created_by(MEMBER);
    let in_an_hour = clock.now() + SignedDuration::from_hours(1);
    let own = own.expiry_time(in_an_hour).await.unwrap().key.expose_secret().to_owned();
    let reader = admin.create_api_key("reader").role("read-only").await.unwrap().key;
    let key = |user| server.key(user).unwrap().expose_secret().to_owned();
    let signed = |key: String| format!("ApiKey {key}");
    let (header, user) = match signer {
        "no key" => (String::new(), MEMBER),
        "garbage" => (signed("x".repeat(64)), MEMBER),
        "a key cut short" => (signed(own.chars().take(63).collect()), MEMBER),
        "wrong scheme" => (format!("Bearer {own}"), MEMBER),
        "suspended" => {
            let update = admin.update_api_key("signer").user(MEMBER);
            update.state(rockset_apikeys::KeyState::Suspended).await.unwrap();
            (signed(own), MEMBER)
        }
        "expired" => {
            clock.advance(SignedDuration::from_hours(1));
            (signed(own), MEMBER)
        }
        "deleted" => {
            admin.delete_api_key("signer").user(MEMBER).await.unwrap();
            (signed(own), MEMBER)
        }
        "read-only" => (signed(key(READER)), READER),
        "member" => (signed(own), MEMBER),
        "admin" => (signed(key(ADMIN)), ADMIN),
        "admin's read-only" => (signed(reader.expose_secret().to_owned()), ADMIN),
        _ => panic!("there is no signer {signer}"),
    };
    (server, header, user)
}

#[tokio::test]
async fn every_signer_may_do_what_the_matrix_says_and_no_more() {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (signer, expected) in MATRIX {
        for (operation, expected) in OPERATIONS.into_iter().zip(expected) {
            for (owner, expected) in ["own", OTHER, "nobody@me.com"].into_iter().zip(expected) {
                let (server, header, user) = stage(signer).await;
                // One's own keys are as much those of one's address as of `self`.
                let owner = if owner != "own" {
                    owner
                } else if operation == "list" {
                    "self"
                } else {
                    user
                };
                let keys = format!("{}/v1/orgs/self/users/{owner}/apikeys", server.url());
                let one = format!("{keys}/target");
                let own = format!("{}/v1/orgs/self/users/self/apikeys", server.url());
                let request = match operation {
                    "create" => http.post(own).json(&json!({
                        "name": "new", "role": "read-only", "created_by": owner,
                    })),
                    "list" => http.get(keys),
                    "get" => http.get(one),
                    "update" => http.post(one).json(&json!({ "state": "SUSPENDED" })),
                    _ => http.delete(one),
                };
                let request = match header.as_str() {
                    "" => request,
                    header => request.header("authorization", header),
                };
                let status = request.send().await.unwrap().status().as_u16();
                assert_eq!(status, expected, "{signer}: {operation} of {owner}");
            }
        }
    }
}
