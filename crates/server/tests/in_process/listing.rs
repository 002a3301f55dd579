//! Listings are streamed, complete, in order, and cut off on a failure.

use crate::support::status_of;
use std::path::Path;
use std::time::Duration;

use rockset_apikeys_server::{ADMIN, Role, Server};
use rusqlite::{Connection, params};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::client_for;

/// A user whose keys the tests insert.
const OWNER: &str = "owner@me.com";

async fn start(directory: &TempDir) -> (Server, Connection) {
    let file = directory.path().join("keys.db");
    let database = format!("sqlite:{}", file.display());
    let server = Server::builder().database(database).user(OWNER, Role::Member);
    (server.start().await.unwrap(), connect(&file))
}

fn connect(file: &Path) -> Connection {
    let connection = Connection::open(file).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.execute("DELETE FROM api_keys WHERE owner = ?", [OWNER]).unwrap();
    connection
}

/// Inserts keys named `key-1`, `key-2` and so on, padded to the given length.
fn insert(database: &Connection, keys: usize, length: usize) {
    let insert = "
        WITH RECURSIVE numbers (number) AS
            (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < ?1)
        INSERT INTO api_keys (owner, name, lookup_hash, encrypted, identifier, created_at, suspended)
        SELECT ?2, substr('key-' || number || printf('%*s', ?3, ''), 1, ?3), randomblob(32), x'00',
            'abcdef', 1000000000000 - number, 0
        FROM numbers";
    database.execute(insert, params![keys as i64, OWNER, length as i64]).unwrap();
}

fn name(number: usize) -> String {
    format!("key-{number}")
}

#[tokio::test]
async fn listing_contains_every_key_in_order_of_creation() {
    let directory = tempfile::tempdir().unwrap();
    let (server, database) = start(&directory).await;
    let admin = client_for(server.url(), server.admin_key().expose_secret());
    for keys in [0, 1, 2, 63, 64, 65, 127, 128, 129, 192, 1000] {
        database.execute("DELETE FROM api_keys WHERE owner = ?", [OWNER]).unwrap();
        if keys > 0 {
            insert(&database, keys, 10);
        }
        let listed = admin.list_api_keys().user(OWNER).await.unwrap();
        let names: Vec<_> = listed.iter().map(|key| key.name.trim()).collect();
        let expected: Vec<_> = (1..=keys).map(name).collect();
        assert_eq!(names, expected, "{keys} keys");
    }
}

/// A number of keys and a length of their names that exceed the buffers of a connection.
const KEYS: usize = 10_000;
const LENGTH: usize = 1000;

/// Requests a listing that is too long to be sent before it is read.
async fn request_listing(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = server.url().strip_prefix("http://").unwrap().parse().unwrap();
    let mut connection = socket.connect(address).await.unwrap();
    let request = format!(
        "GET /v1/orgs/self/users/{OWNER}/apikeys HTTP/1.1\r\nhost: h\r\n\
         authorization: ApiKey {}\r\nconnection: close\r\n\r\n",
        server.admin_key().expose_secret()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    connection.peek(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    connection
}

/// Reads a chunked response and returns its body if it is complete.
async fn read_body(mut connection: TcpStream) -> Option<String> {
    let mut response = Vec::new();
    let _ = connection.read_to_end(&mut response).await;
    let response = String::from_utf8(response).unwrap();
    let (head, mut rest) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{head}");
    let mut body = String::new();
    loop {
        let (size, chunk) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return Some(body);
        }
        body.push_str(chunk.get(..size)?);
        rest = chunk.get(size + 2..)?;
    }
}

#[tokio::test]
async fn listing_is_complete_when_keys_are_deleted_concurrently() {
    let directory = tempfile::tempdir().unwrap();
    let (server, database) = start(&directory).await;
    insert(&database, KEYS, LENGTH);
    let connection = request_listing(&server).await;
    // Changes do not wait for the stalled reader.
    let delete = "DELETE FROM api_keys WHERE owner = ? AND id % 2 = 0";
    database.busy_timeout(Duration::ZERO).unwrap();
    database.execute(delete, [OWNER]).unwrap();
    let admin = client_for(server.url(), server.admin_key().expose_secret());
    admin.create_api_key("new").created_by(OWNER).await.unwrap();
    let body = read_body(connection).await.expect("the listing is incomplete");
    let body: Value = serde_json::from_str(&body).unwrap();
    let listed = body["data"].as_array().unwrap();
    let listed: Vec<_> = listed.iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert!(listed.len() < KEYS - 1000, "{} keys: the reader did not stall", listed.len());

    let select = "SELECT name FROM api_keys WHERE owner = ? AND name <> 'new' ORDER BY id";
    let mut select = database.prepare(select).unwrap();
    let kept = select.query_map([OWNER], |row| row.get::<_, String>(0)).unwrap();
    let mut rest = listed.iter();
    for name in kept.map(Result::unwrap) {
        assert!(rest.any(|listed| *listed == name), "{} is missing or out of order", name.trim());
    }
    let all: std::collections::HashSet<_> = listed.iter().collect();
    assert_eq!(all.len(), listed.len(), "a key is listed twice");
}

#[tokio::test]
async fn listing_is_cut_off_when_the_database_fails() {
    let directory = tempfile::tempdir().unwrap();
    let (server, database) = start(&directory).await;
    insert(&database, KEYS, LENGTH);
    let connection = request_listing(&server).await;
    database.execute_batch("DROP TABLE api_keys").unwrap();
    assert_eq!(read_body(connection).await, None);
    let admin = client_for(server.url(), server.admin_key().expose_secret());
    let error = admin.list_api_keys().user(ADMIN).await.unwrap_err();
    assert!(status_of(&error) >= Some(500), "{error}");
}
