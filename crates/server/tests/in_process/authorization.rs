//! Authentication and permissions, of every operation, caller and owner.

use crate::support::{FORBIDDEN, UNAUTHORIZED};
use std::time::Duration;

use jiff::SignedDuration;
use rockset_apikeys::{ApiKeyValue, Client, KeyState, RetryPolicy};
use rockset_apikeys_server::{ADMIN, Clock, Role, Server};
use rusqlite::Connection;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MEMBER: &str = "member@me.com";
const READER: &str = "reader@me.com";
const OTHER: &str = "other@me.com";

/// The status of each operation on the caller's own keys, another user's, and an unknown user's.
type Row = (&'static str, [[u16; 3]; 5]);

const OPERATIONS: [&str; 5] = ["create", "list", "get", "update", "delete"];
const NOT_AUTHENTICATED: [[u16; 3]; 5] = [[401; 3]; 5];
const MATRIX: [Row; 11] = [
    ("no key", NOT_AUTHENTICATED),
    ("garbage", NOT_AUTHENTICATED),
    ("a key cut short", NOT_AUTHENTICATED),
    ("wrong scheme", NOT_AUTHENTICATED),
    ("suspended", NOT_AUTHENTICATED),
    ("expired", NOT_AUTHENTICATED),
    ("deleted", NOT_AUTHENTICATED),
    ("read-only", [[403; 3], [200, 403, 403], [200, 403, 403], [403; 3], [403; 3]]),
    ("member", [[200, 403, 403]; 5]),
    ("admin", [[200, 200, 404]; 5]),
    ("admin's read-only", [[403; 3], [200, 403, 403], [200, 403, 403], [403; 3], [403; 3]]),
];

/// Starts a server on which each user has a key named `target`. Returns the server, the caller's
/// `Authorization` header and the caller's user.
async fn stage(caller: &str) -> (Server, String, &'static str) {
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
    let own = admin.create_api_key("caller").created_by(MEMBER);
    let in_an_hour = clock.now() + SignedDuration::from_hours(1);
    let own = own.expiry_time(in_an_hour).await.unwrap().key.expose_secret().to_owned();
    let reader = admin.create_api_key("reader").role("read-only").await.unwrap().key;
    let key = |user| server.key(user).unwrap().expose_secret().to_owned();
    let header_with = |key: String| format!("ApiKey {key}");
    let (header, user) = match caller {
        "no key" => (String::new(), MEMBER),
        "garbage" => (header_with("x".repeat(64)), MEMBER),
        "a key cut short" => (header_with(own.chars().take(63).collect()), MEMBER),
        "wrong scheme" => (format!("Bearer {own}"), MEMBER),
        "suspended" => {
            let update = admin.update_api_key("caller").user(MEMBER);
            update.state(rockset_apikeys::KeyState::Suspended).await.unwrap();
            (header_with(own), MEMBER)
        }
        "expired" => {
            clock.advance(SignedDuration::from_hours(1));
            (header_with(own), MEMBER)
        }
        "deleted" => {
            admin.delete_api_key("caller").user(MEMBER).await.unwrap();
            (header_with(own), MEMBER)
        }
        "read-only" => (header_with(key(READER)), READER),
        "member" => (header_with(own), MEMBER),
        "admin" => (header_with(key(ADMIN)), ADMIN),
        "admin's read-only" => (header_with(reader.expose_secret().to_owned()), ADMIN),
        _ => panic!("unknown caller {caller}"),
    };
    (server, header, user)
}

#[tokio::test]
async fn callers_have_exactly_the_documented_permissions() {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (caller, expected) in MATRIX {
        for (operation, expected) in OPERATIONS.into_iter().zip(expected) {
            for (owner, expected) in ["own", OTHER, "nobody@me.com"].into_iter().zip(expected) {
                let (server, header, user) = stage(caller).await;
                // The caller's own address is equivalent to `self`.
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
                assert_eq!(status, expected, "{caller}: {operation} of {owner}");
            }
        }
    }
}

fn client(server: &Server, key: &ApiKeyValue) -> Client {
    let builder = Client::builder().api_server(server.url()).api_key(key.clone());
    builder.retry_policy(RetryPolicy::never()).build().unwrap()
}

/// Waits until the server has authenticated the first request with this key.
async fn authenticated(admin: &Client, name: &str) {
    while admin.get_api_key(name).await.unwrap().last_access_time.is_none() {}
}

#[tokio::test]
async fn change_fails_when_caller_is_revoked_before_body_arrives() {
    for (path, body) in [("", r#"{"name":"new"}"#), ("/target", r#"{"state":"SUSPENDED"}"#)] {
        for is_deleted in [true, false] {
            let server = Server::start().await.unwrap();
            let admin = client(&server, server.admin_key());
            admin.create_api_key("target").await.unwrap();
            let key = admin.create_api_key("caller").await.unwrap().key;
            let head = format!(
                "POST /v1/orgs/self/users/self/apikeys{path} HTTP/1.1\r\nhost: h\r\n\
                 authorization: ApiKey {}\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n",
                key.expose_secret(),
                body.len(),
            );
            let address = server.url().strip_prefix("http://").unwrap();
            let mut connection = TcpStream::connect(address).await.unwrap();
            connection.write_all(head.as_bytes()).await.unwrap();
            authenticated(&admin, "caller").await;
            if is_deleted {
                admin.delete_api_key("caller").await.unwrap();
            } else {
                admin.update_api_key("caller").state(KeyState::Suspended).await.unwrap();
            }
            connection.write_all(body.as_bytes()).await.unwrap();
            let mut response = String::new();
            connection.read_to_string(&mut response).await.unwrap();
            assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
            assert!(admin.get_api_key("new").await.unwrap_err().is_not_found());
            let target = admin.get_api_key("target").await.unwrap();
            assert_eq!(target.state, Some(KeyState::Active));
        }
    }
}

#[tokio::test]
async fn delete_fails_when_caller_is_revoked_while_it_waits() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.db");
    let database = format!("sqlite:{}", file.display());
    let server = Server::builder().database(&database).start().await.unwrap();
    let admin = client(&server, server.admin_key());
    admin.create_api_key("target").await.unwrap();
    let key = admin.create_api_key("caller").await.unwrap().key;

    // Another process's lock makes both deletes wait, one after the other.
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut revocation = admin.delete_api_key("caller").into_future();
    let half_a_second = Duration::from_millis(500);
    assert!(
        tokio::time::timeout(half_a_second, &mut revocation).await.is_err(),
        "the delete did not wait"
    );
    let caller = client(&server, &key);
    let delete = tokio::spawn(async move { caller.delete_api_key("target").await });
    authenticated(&admin, "caller").await;
    other.execute_batch("ROLLBACK").unwrap();
    revocation.await.unwrap();
    assert!(delete.await.unwrap().unwrap_err().kind() == UNAUTHORIZED);
    admin.get_api_key("target").await.unwrap();
}

#[tokio::test]
async fn revoked_key_fails_in_every_later_request() {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", directory.path().join("keys.db").display());
    let server = Server::builder().database(database).start().await.unwrap();
    let admin = client(&server, server.admin_key());
    for round in 0..200 {
        let name = format!("key-{round}");
        let key = admin.create_api_key(&name).await.unwrap().key;
        // Requests over two connections, some of them in flight during the revocation.
        let (one, two) = (client(&server, &key), client(&server, &key));
        one.get_api_key(&name).await.unwrap();
        let in_flight = tokio::spawn(two.get_api_key(&name).into_future());
        match round % 3 {
            0 => drop(admin.delete_api_key(&name).await.unwrap()),
            1 => drop(admin.update_api_key(&name).state(KeyState::Suspended).await.unwrap()),
            _ => {
                let now = jiff::Timestamp::now();
                drop(admin.update_api_key(&name).expiry_time(now).await.unwrap());
            }
        }
        let (read, create) = tokio::join!(
            one.get_api_key(&name).into_future(),
            two.create_api_key("new").into_future(),
        );
        assert!(read.unwrap_err().kind() == UNAUTHORIZED, "round {round}");
        assert!(create.unwrap_err().kind() == UNAUTHORIZED, "round {round}");
        let _ = in_flight.await.unwrap();
    }
}

/// Two users of each role, so that each caller has a peer with the same role.
const USERS: [(&str, Role); 6] = [
    ("a1@me.com", Role::Admin),
    ("a2@me.com", Role::Admin),
    ("m1@me.com", Role::Member),
    ("m2@me.com", Role::Member),
    ("r1@me.com", Role::ReadOnly),
    ("r2@me.com", Role::ReadOnly),
];
const ROLES: [Role; 3] = [Role::ReadOnly, Role::Member, Role::Admin];

/// An operation, the caller's effective role, and the highest effective role of the keys that the
/// caller may access: of the caller's user and of other users.
type Permitted = (&'static str, Role, Option<Role>, Option<Role>);
const READ: Option<Role> = Some(Role::ReadOnly);
const MEMBERS: Option<Role> = Some(Role::Member);
const ANY: Option<Role> = Some(Role::Admin);
const PERMITTED: [Permitted; 18] = [
    ("list", Role::ReadOnly, ANY, None),
    ("list", Role::Member, ANY, None),
    ("list", Role::Admin, ANY, ANY),
    ("get", Role::ReadOnly, ANY, None),
    ("get", Role::Member, ANY, None),
    ("get", Role::Admin, ANY, ANY),
    ("reveal", Role::ReadOnly, READ, None),
    ("reveal", Role::Member, MEMBERS, None),
    ("reveal", Role::Admin, ANY, ANY),
    ("create", Role::ReadOnly, None, None),
    ("create", Role::Member, MEMBERS, None),
    ("create", Role::Admin, ANY, ANY),
    ("update", Role::ReadOnly, None, None),
    ("update", Role::Member, MEMBERS, None),
    ("update", Role::Admin, ANY, ANY),
    ("delete", Role::ReadOnly, None, None),
    ("delete", Role::Member, MEMBERS, None),
    ("delete", Role::Admin, ANY, ANY),
];

/// Calls an operation on the owner's key `target`.
async fn attempt(
    client: &Client,
    operation: &str,
    owner: &str,
    role: Role,
) -> Result<(), rockset_apikeys::Error> {
    match operation {
        "list" => client.list_api_keys().user(owner).await.map(drop),
        "get" => client.get_api_key("target").user(owner).await.map(drop),
        "reveal" => client.get_api_key("target").user(owner).reveal(true).await.map(drop),
        "create" => {
            let create = client.create_api_key("target").role(role.as_str());
            create.created_by(owner).await.map(drop)
        }
        "update" => {
            // The key is suspended, so this would activate it.
            let update = client.update_api_key("target").user(owner);
            update.state(KeyState::Active).await.map(drop)
        }
        "delete" => client.delete_api_key("target").user(owner).await.map(drop),
        _ => panic!("unknown operation {operation}"),
    }
}

#[tokio::test]
async fn key_cannot_reveal_or_manage_keys_with_a_higher_role() {
    let builder =
        USERS.iter().fold(Server::builder(), |builder, (user, role)| builder.user(*user, *role));
    let server = builder.start().await.unwrap();
    let admin = client(&server, server.admin_key());
    let mut wrong = Vec::new();
    // One user of each role.
    for (caller_user, users_role) in USERS.into_iter().step_by(2) {
        for caller_role in ROLES {
            let key = admin.create_api_key("caller").created_by(caller_user);
            let key = key.role(caller_role.as_str()).await.unwrap().key;
            let caller = client(&server, &key);
            for (owner, owners_role) in USERS {
                for role in ROLES {
                    let mut is_there = false;
                    for (operation, with, own, others) in PERMITTED {
                        if with != caller_role.min(users_role) {
                            continue;
                        }
                        // Reuses the key that the previous operation left, if possible.
                        if operation == "create" && is_there {
                            admin.delete_api_key("target").user(owner).await.unwrap();
                        } else if operation != "create" && !is_there {
                            let target = admin.create_api_key("target").created_by(owner);
                            target.role(role.as_str()).await.unwrap();
                            let suspend = admin.update_api_key("target").user(owner);
                            suspend.state(KeyState::Suspended).await.unwrap();
                        }
                        let most = if caller_user == owner { own } else { others };
                        let is_permitted = most >= Some(role.min(owners_role));
                        let outcome = attempt(&caller, operation, owner, role).await;
                        let was_permitted = outcome.is_ok();
                        assert!(was_permitted || outcome.unwrap_err().kind() == FORBIDDEN);

                        // A rejected operation changes nothing.
                        let left = admin.get_api_key("target").user(owner).await.ok();
                        let left = left.and_then(|key| key.state);
                        let expected = match operation {
                            "create" | "update" if was_permitted => Some(KeyState::Active),
                            "delete" if was_permitted => None,
                            "create" => None,
                            _ => Some(KeyState::Suspended),
                        };
                        assert_eq!(left, expected, "{operation}");
                        is_there = left.is_some();
                        if left == Some(KeyState::Active) {
                            let suspend = admin.update_api_key("target").user(owner);
                            suspend.state(KeyState::Suspended).await.unwrap();
                        }
                        if was_permitted != is_permitted {
                            wrong.push(format!(
                                "{operation} by {caller_user} as {caller_role}: {role} of {owner}"
                            ));
                        }
                    }
                    if is_there {
                        admin.delete_api_key("target").user(owner).await.unwrap();
                    }
                }
            }
            admin.delete_api_key("caller").user(caller_user).await.unwrap();
        }
    }
    assert!(wrong.is_empty(), "{} differences from the table:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn last_working_admin_key_cannot_be_suspended_or_deleted() {
    let clock = Clock::at("2030-01-01T00:00:00Z".parse().unwrap());
    let builder = Server::builder().user("second@me.com", Role::Admin).clock(&clock);
    let server = builder.start().await.unwrap();
    let admin = client(&server, server.admin_key());
    admin.create_api_key("limited").role("member").await.unwrap();
    admin.create_api_key("suspended").await.unwrap();
    admin.update_api_key("suspended").state(KeyState::Suspended).await.unwrap();
    let an_hour = SignedDuration::from_hours(1);
    let expiring = admin.create_api_key("expiring").expiry_time(clock.now() + an_hour);
    expiring.await.unwrap();
    // The second administrator's key works, so the first one's is not the last.
    let update = admin.update_api_key("expiring").state(KeyState::Suspended).await;
    update.unwrap();
    admin.update_api_key("expiring").state(KeyState::Active).await.unwrap();
    admin.delete_api_key("initial").user("second@me.com").await.unwrap();
    clock.advance(an_hour);

    let suspend = admin.update_api_key("initial").state(KeyState::Suspended);
    assert!(suspend.await.unwrap_err().is_conflict());
    let expire = admin.update_api_key("initial").expiry_time(clock.now());
    assert!(expire.await.unwrap_err().is_conflict());
    assert!(admin.delete_api_key("initial").await.unwrap_err().is_conflict());
    // Suspended and expired keys can be deleted.
    admin.delete_api_key("suspended").await.unwrap();
    admin.delete_api_key("expiring").await.unwrap();
    admin.update_api_key("initial").expiry_time(clock.now() + an_hour).await.unwrap();

    let successor = admin.create_api_key("successor").await.unwrap().key;
    admin.delete_api_key("initial").await.unwrap();
    let successor = client(&server, &successor);
    assert!(successor.delete_api_key("successor").await.unwrap_err().is_conflict());
}
