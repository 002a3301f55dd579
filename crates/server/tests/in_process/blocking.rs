//! Blocking programs: blocking calls to a server in the same process, and its shutdown.

use crate::support::FORBIDDEN;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rockset_apikeys_server::{ADMIN, Role, Server};
use tokio::runtime::Builder;

const MEMBER: &str = "dev@me.com";

fn address(server: &Server) -> String {
    server.url().trim_start_matches("http://").to_owned()
}

#[test]
fn blocking_server_responds_to_blocking_calls() {
    let server = Server::builder().user(MEMBER, Role::Member).start_blocking().unwrap();
    let client = server.client();
    client.create_api_key("my-app").send_blocking().unwrap();
    assert_eq!(client.list_api_keys().send_blocking().unwrap().len(), 2);
    let member = server.client_for(MEMBER).unwrap();
    assert!(member.list_api_keys().user(ADMIN).send_blocking().unwrap_err().kind() == FORBIDDEN);
}

/// The reason for `start_blocking`.
#[test]
fn blocking_call_times_out_in_current_thread_runtime() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start()).unwrap();
    let call = server.client().list_api_keys().timeout(Duration::from_millis(300));
    assert!(call.send_blocking().unwrap_err().is_timeout());
}

#[tokio::test]
async fn blocking_server_starts_and_stops_in_async_code() {
    let server = Server::start_blocking().unwrap();
    let client = server.client();
    client.create_api_key("my-app").await.unwrap();
    let address = address(&server);
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn start_blocking_fails_like_start() {
    let twice = Server::builder().user(ADMIN, Role::Member).start_blocking().unwrap_err();
    assert!(twice.to_string().contains("added twice"), "{twice}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = Server::builder().listen(taken.local_addr().unwrap()).start_blocking();
    assert_eq!(start.unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[test]
fn dropping_blocking_server_waits_until_it_has_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", directory.path().join("keys.db").display());
    let builder = Server::builder().database(database);
    let server = builder.clone().start_blocking().unwrap();
    server.client().create_api_key("k").send_blocking().unwrap();
    let address = address(&server);
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    let left: Vec<_> = directory.path().read_dir().unwrap().collect();
    assert_eq!(left.len(), 2, "the database and its master key: {left:?}");
    let server = builder.start_blocking().unwrap();
    server.client().get_api_key("k").send_blocking().unwrap();
}

#[test]
fn slow_request_does_not_prevent_shutdown() {
    let server = Server::start_blocking().unwrap();
    let key = server.admin_key().expose_secret();
    let mut stream = TcpStream::connect(address(&server)).unwrap();
    let head = format!(
        "POST /v1/orgs/self/users/self/apikeys HTTP/1.1\r\nhost: h\r\n\
         authorization: ApiKey {key}\r\ncontent-type: application/json\r\n\
         content-length: 2\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // From now on, the server waits for the body, for 5 seconds.
    let mut response = [0; 12];
    stream.read_exact(&mut response).unwrap();
    assert_eq!(&response, b"HTTP/1.1 100");
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < Duration::from_secs(4));
}
