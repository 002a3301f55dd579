//! Blocking programs: calls without async to a server in the same process, and its end.

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
fn a_server_with_a_thread_of_its_own_serves_blocking_calls() {
    let server = Server::builder().user(MEMBER, Role::Member).start_blocking().unwrap();
    let client = server.client();
    client.create_api_key("my-app").send_blocking().unwrap();
    assert_eq!(client.list_api_keys().send_blocking().unwrap().len(), 2);
    let member = server.client_for(MEMBER).unwrap();
    assert!(member.list_api_keys().user(ADMIN).send_blocking().unwrap_err().is_forbidden());
}

/// This is why there is a blocking start.
#[test]
fn in_a_current_thread_runtime_a_blocking_call_times_out() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start()).unwrap();
    let call = server.client().list_api_keys().timeout(Duration::from_millis(300));
    assert!(call.send_blocking().unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_server_with_a_thread_of_its_own_starts_and_stops_in_async_code_too() {
    let server = Server::start_blocking().unwrap();
    let client = server.client();
    client.create_api_key("my-app").await.unwrap();
    let address = address(&server);
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_blocking_start_fails_as_start_does() {
    let twice = Server::builder().user(ADMIN, Role::Member).start_blocking().unwrap_err();
    assert!(twice.to_string().contains("given twice"), "{twice}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = Server::builder().listen(taken.local_addr().unwrap()).start_blocking();
    assert_eq!(start.unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[test]
fn a_server_with_a_thread_of_its_own_has_stopped_when_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("keys.db").display());
    let builder = Server::builder().database(database);
    let server = builder.clone().start_blocking().unwrap();
    server.client().create_api_key("k").send_blocking().unwrap();
    let address = address(&server);
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    let left: Vec<_> = folder.path().read_dir().unwrap().collect();
    assert_eq!(left.len(), 2, "the database and its master key: {left:?}");
    let server = builder.start_blocking().unwrap();
    server.client().get_api_key("k").send_blocking().unwrap();
}

#[test]
fn a_request_that_takes_long_does_not_keep_the_server_from_stopping() {
    let server = Server::start_blocking().unwrap();
    let key = server.admin_key().expose_secret();
    let mut stream = TcpStream::connect(address(&server)).unwrap();
    let head = format!(
        "POST /v1/orgs/self/users/self/apikeys HTTP/1.1\r\nhost: h\r\n\
         authorization: ApiKey {key}\r\ncontent-type: application/json\r\n\
         content-length: 2\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server waits for the body from now on, for 5 seconds.
    let mut response = [0; 12];
    stream.read_exact(&mut response).unwrap();
    assert_eq!(&response, b"HTTP/1.1 100");
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < Duration::from_secs(4));
}
