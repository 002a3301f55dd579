//! The order of checks: a request with two flaws gets the error that is checked first. This tests
//! every operation with every possible pair of flaws.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use rockset_apikeys::{Client, KeyState};
use rockset_apikeys_server::{ADMIN, Role, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MEMBER: &str = "member@me.com";
const OPERATIONS: [&str; 5] = ["create", "list", "get", "update", "delete"];
const SECOND: Duration = Duration::from_secs(1);

/// A flaw of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    NoHost,
    UnknownPath,
    UnknownMethod,
    NotAuthenticated,
    OverRateLimit,
    DoesNotAcceptJson,
    NotSentAsJson,
    BodyDoesNotArrive,
    BodyTooLarge,
    MalformedBody,
    NullField,
    InvalidField,
    InvalidParameter,
    NotUtf8,
    Forbidden,
    NotFound,
    Conflict,
    /// Present in every create of these tests.
    Quota,
}
use Flaw::*;

/// All flaws in the order in which they are checked, with the status and type of their errors.
const ORDER: [(Flaw, u16, &str); 18] = [
    (NoHost, 400, "BADREQUEST"),
    (UnknownPath, 404, "NOTFOUND"),
    (UnknownMethod, 405, "METHODNOTALLOWED"),
    (NotAuthenticated, 401, "AUTHEXCEPTION"),
    (OverRateLimit, 429, "RATELIMITEXCEEDED"),
    (DoesNotAcceptJson, 406, "NOTACCEPTABLE"),
    (NotSentAsJson, 415, "UNSUPPORTEDMEDIATYPE"),
    (BodyDoesNotArrive, 408, "CLIENT_CONNECTION_ERROR"),
    (BodyTooLarge, 413, "CONTENTTOOLARGE"),
    (MalformedBody, 400, "INVALIDINPUT"),
    (NullField, 400, "INVALIDINPUT"),
    (InvalidField, 400, "INVALIDINPUT"),
    (InvalidParameter, 400, "INVALIDINPUT"),
    (NotUtf8, 400, "INVALIDINPUT"),
    (Forbidden, 403, "FORBIDDEN"),
    (NotFound, 404, "NOTFOUND"),
    (Conflict, 409, ""),
    (Quota, 403, "RESOURCEEXCEEDED"),
];

impl Flaw {
    /// Returns whether a request of this operation can have this flaw.
    fn applies_to(self, operation: &str) -> bool {
        let has_body = ["create", "update"].contains(&operation);
        match self {
            NotSentAsJson | BodyDoesNotArrive | BodyTooLarge | MalformedBody | NullField
            | InvalidField => has_body,
            InvalidParameter => operation == "get",
            NotUtf8 => operation != "create",
            Conflict => has_body || operation == "delete",
            Quota => operation == "create",
            _ => true,
        }
    }

    /// Returns whether a request can have both flaws.
    fn goes_with(self, later: Self) -> bool {
        match (self, later) {
            // A missing key cannot conflict.
            (NotFound, Conflict) => false,
            // The content of a missing body is unknown.
            (BodyDoesNotArrive, BodyTooLarge | MalformedBody | NullField | InvalidField) => false,
            _ => true,
        }
    }
}

struct Servers {
    server: Server,
    /// Allows one request per key per second. Each of its users sends one flawed request.
    limited: Server,
    unused: Vec<String>,
}

async fn start() -> Servers {
    let quota = NonZeroU32::new(4).unwrap();
    let builder = Server::builder().user(MEMBER, Role::Member).max_keys_per_user(quota);
    let server = builder.start().await.unwrap();
    let admin = Client::builder().api_server(server.url()).api_key(server.admin_key().clone());
    let admin = admin.build().unwrap();
    // `initial` is the only working administrator key.
    admin.create_api_key("target").role("member").await.unwrap();
    let expired = admin.create_api_key("expired").expiry_time(jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(expired.await.unwrap().state, Some(KeyState::Suspended));
    admin.create_api_key("last").role("member").await.unwrap();

    let unused: Vec<_> = (0..120).map(|number| format!("user-{number}@me.com")).collect();
    let builder = Server::builder().rate_limit(NonZeroU32::MIN);
    let builder = unused.iter().fold(builder, |builder, user| builder.user(user, Role::Member));
    Servers { server, limited: builder.start().await.unwrap(), unused }
}

/// Returns a request of this operation with the given flaws.
fn write(operation: &str, flaws: &[Flaw], key: &str) -> Vec<u8> {
    let has = |flaw| flaws.contains(&flaw);
    let user = match operation {
        _ if has(NotFound) && operation == "list" => "nobody@me.com",
        _ if has(Forbidden) => ADMIN,
        _ => "self",
    };
    let name = match operation {
        _ if has(NotFound) => "none",
        "delete" if has(Conflict) => "initial",
        _ if has(Conflict) => "expired",
        _ => "target",
    };
    let mut path = match operation {
        "create" => "/v1/orgs/self/users/self/apikeys".to_owned(),
        "list" if has(NotUtf8) => format!("/v1/orgs/self/users/{user}%FF/apikeys"),
        "list" => format!("/v1/orgs/self/users/{user}/apikeys"),
        _ if has(NotUtf8) => format!("/v1/orgs/self/users/{user}/apikeys/{name}%FF"),
        _ => format!("/v1/orgs/self/users/{user}/apikeys/{name}"),
    };
    if has(UnknownPath) {
        path.push_str("/more/of/it");
    }
    if has(InvalidParameter) {
        path.push_str("?reveal=perhaps");
    }
    let method = match operation {
        _ if has(UnknownMethod) => "PATCH",
        "create" | "update" => "POST",
        "delete" => "DELETE",
        _ => "GET",
    };
    let mut fields = match operation {
        "create" if has(Conflict) => json!({ "name": "initial" }),
        "create" => json!({ "name": "new" }),
        "update" if has(Conflict) => json!({ "state": "ACTIVE" }),
        "update" => json!({ "state": "SUSPENDED" }),
        _ => Value::Null,
    };
    if operation == "create" && has(NotFound) {
        fields["created_by"] = json!("nobody@me.com");
    } else if operation == "create" && has(Forbidden) {
        fields["created_by"] = json!(ADMIN);
    }
    if has(NullField) {
        fields["expiry_time"] = Value::Null;
    } else if has(InvalidField) {
        fields["expiry_time"] = json!("soon");
    }
    let mut body = if fields.is_null() { String::new() } else { fields.to_string() };
    if has(MalformedBody) {
        body.push('}');
    }
    if has(BodyTooLarge) {
        body.push_str(&" ".repeat(65 << 10));
    }
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !has(NoHost) {
        head.push_str("host: h\r\n");
    }
    if !has(NotAuthenticated) {
        head.push_str(&format!("authorization: ApiKey {key}\r\n"));
    }
    head.push_str(if has(DoesNotAcceptJson) { "accept: text/html\r\n" } else { "" });
    let media = if has(NotSentAsJson) { "text/plain" } else { "application/json" };
    head.push_str(&format!("content-type: {media}\r\ncontent-length: {}\r\n\r\n", body.len()));
    if has(BodyDoesNotArrive) {
        body.clear();
    }
    [head, body].concat().into_bytes()
}

/// Sends a request and returns the status and the error type of the response.
async fn exchange(server: &Server, request: &[u8]) -> (u16, String) {
    let address = server.url().strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    // The server may respond and close the connection before it has read the whole body.
    let _ = connection.write_all(request).await;
    let mut response = Vec::new();
    let _ = connection.read_to_end(&mut response).await;
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").expect("the response has no body");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    (status, body["type"].as_str().unwrap_or_default().to_owned())
}

impl Servers {
    async fn respond(&mut self, operation: &str, flaws: &[Flaw]) -> (u16, String) {
        if !flaws.contains(&OverRateLimit) {
            let is_member = flaws.contains(&Forbidden);
            let key = self.server.key(if is_member { MEMBER } else { ADMIN }).unwrap();
            let request = write(operation, flaws, key.expose_secret());
            return exchange(&self.server, &request).await;
        }
        loop {
            let user = self.unused.pop().expect("too few users");
            let key = self.limited.key(&user).unwrap().expose_secret();
            let start = Instant::now();
            let first = exchange(&self.limited, &write("list", &[], key)).await;
            assert_eq!(first.0, 200);
            let outcome = exchange(&self.limited, &write(operation, flaws, key)).await;
            if start.elapsed() < SECOND {
                return outcome;
            }
        }
    }
}

#[tokio::test]
async fn errors_are_reported_in_the_documented_order() {
    let mut servers = start().await;
    let mut wrong = Vec::new();
    for operation in OPERATIONS {
        let applicable =
            ORDER.iter().enumerate().filter(|(_, (flaw, ..))| flaw.applies_to(operation));
        let applicable: Vec<_> = applicable.collect();
        for (place, (first, status, kind)) in &applicable {
            // This flaw takes as long as its timeout, and has its own test.
            let alone = (*first != BodyDoesNotArrive).then_some(None);
            let later = applicable.iter().filter(|(other, (flaw, ..))| {
                other > place && first.goes_with(*flaw) && *first != BodyDoesNotArrive
            });
            let seconds = alone.into_iter().chain(later.map(|(_, (flaw, ..))| Some(*flaw)));
            for second in seconds {
                let flaws: Vec<_> = std::iter::once(*first).chain(second).collect();
                let response = servers.respond(operation, &flaws).await;
                let kind = match operation {
                    _ if *first != Conflict => kind,
                    "create" => "ALREADYEXISTS",
                    _ => "CONFLICT",
                };
                if response != (*status, kind.to_owned()) {
                    wrong.push(format!("{operation}, {flaws:?}: {response:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences from the order:\n{}", wrong.len(), wrong.join("\n"));
}
