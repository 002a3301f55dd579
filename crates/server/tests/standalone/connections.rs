//! What connections may take: how many are open, how slowly they read, how long they hold a stop.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::program::{DEADLINE, Program, temporary_folder};

const IN_MEMORY: [&str; 4] = ["--database", "sqlite::memory:", "--rate-limit", "0"];
const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n";

async fn is_healthy(stream: &mut TcpStream) -> bool {
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    status == *b"HTTP/1.1 200"
}

/// Sends requests until the server has no room for responses, and reads as `pace` says; returns
/// when the server has closed the connection.
async fn is_disconnected(server: &Program, pace: Option<Duration>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let (mut reads, mut writes) = socket.connect(server.address()).await.unwrap().into_split();
    let slow = tokio::spawn(async move {
        let Some(pace) = pace else { return reads };
        let mut byte = [0; 1];
        while reads.read_exact(&mut byte).await.is_ok() {
            tokio::time::sleep(pace).await;
        }
        reads
    });
    let key = server.admin_key.as_deref().unwrap();
    let path = "/v1/orgs/self/users/self/apikeys";
    let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\nauthorization: ApiKey {key}\r\n\r\n");
    let flood = async { while writes.write_all(request.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(3 * DEADLINE, flood).await.expect("the server closes the connection");
    slow.abort();
}

#[tokio::test]
async fn a_client_that_reads_slowly_or_never_is_disconnected() {
    let folder = temporary_folder();
    let arguments = [&IN_MEMORY[..], &["--response-timeout", "1"]].concat();
    let server = Program::serve(folder.path(), &arguments);
    let client = server.client(server.admin_key.as_deref().unwrap());
    for number in 0..100 {
        client.create_api_key(format!("key-{number}")).await.unwrap();
    }
    is_disconnected(&server, None).await;
    is_disconnected(&server, Some(Duration::from_millis(100))).await;
    server.stop();
}

#[tokio::test]
async fn a_connection_too_many_waits_until_another_is_closed() {
    let folder = temporary_folder();
    let server = Program::serve(folder.path(), &[&IN_MEMORY[..], &["--connections", "2"]].concat());
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(HEALTH).await.unwrap();
        assert!(is_healthy(&mut stream).await);
        open.push(stream);
    }
    let mut waiting = TcpStream::connect(server.address()).await.unwrap();
    waiting.write_all(HEALTH).await.unwrap();
    let served = tokio::time::timeout(Duration::from_millis(500), waiting.readable()).await;
    assert!(served.is_err(), "the third connection waits");
    open.pop();
    let served = tokio::time::timeout(DEADLINE, is_healthy(&mut waiting)).await;
    assert!(served.expect("there is room now"));
}

/// A server with a request in flight that takes longer than any test.
async fn stuck(folder: &std::path::Path, arguments: &[&str]) -> (Program, TcpStream) {
    let server = Program::serve(folder, &[&IN_MEMORY[..], &["--faults"], arguments].concat());
    let fault = json!({ "delay_ms": 600_000, "responses": 1 });
    let http = reqwest::Client::new().post(format!("{}/faults", server.url));
    assert_eq!(http.json(&fault).send().await.unwrap().status().as_u16(), 204);
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\n\r\n").await.unwrap();
    let answered = tokio::time::timeout(Duration::from_millis(500), stream.readable()).await;
    assert!(answered.is_err(), "the request is in flight");
    (server, stream)
}

#[tokio::test]
async fn a_request_that_is_stuck_holds_a_stop_no_longer_than_the_grace_time() {
    let folder = temporary_folder();
    let (server, _stuck) = stuck(folder.path(), &["--grace", "1"]).await;
    server.terminate();
    assert!(server.wait_at_most(DEADLINE).expect("the server stops").success());
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let folder = temporary_folder();
        let (server, _stuck) = stuck(folder.path(), &[]).await;
        server.signal("TERM");
        // The first one has arrived when no new connection is accepted.
        let closed = async { while TcpStream::connect(server.address()).await.is_ok() {} };
        tokio::time::timeout(DEADLINE, closed).await.expect("the server is stopping");
        server.signal(signal);
        let status = server.wait_at_most(DEADLINE).expect("the server ends");
        assert_eq!(status.code(), Some(code));
    }
}
