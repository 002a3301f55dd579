//! The limits of connections: their number, slow readers, and shutdown.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::program::{DEADLINE, Program, temporary_directory};

const IN_MEMORY: [&str; 4] = ["--database", "sqlite::memory:", "--rate-limit", "0"];
const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n";

async fn is_healthy(stream: &mut TcpStream) -> bool {
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    status == *b"HTTP/1.1 200"
}

/// Sends requests until the server closes the connection because its buffers are full. Reads one
/// byte per `pace`, or nothing.
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
    tokio::time::timeout(3 * DEADLINE, flood)
        .await
        .expect("the server did not close the connection");
    slow.abort();
}

#[tokio::test]
async fn slow_and_stalled_readers_are_disconnected() {
    let directory = temporary_directory();
    let arguments = [&IN_MEMORY[..], &["--send-timeout", "1s"]].concat();
    let server = Program::serve(directory.path(), &arguments);
    let client = server.client(server.admin_key.as_deref().unwrap());
    for number in 0..100 {
        client.create_api_key(format!("key-{number}")).await.unwrap();
    }
    is_disconnected(&server, None).await;
    is_disconnected(&server, Some(Duration::from_millis(100))).await;
    server.stop();
}

#[tokio::test]
async fn excess_connection_waits_until_another_is_closed() {
    let directory = temporary_directory();
    let server =
        Program::serve(directory.path(), &[&IN_MEMORY[..], &["--max-connections", "2"]].concat());
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
    assert!(served.is_err(), "the third connection did not wait");
    open.pop();
    let served = tokio::time::timeout(DEADLINE, is_healthy(&mut waiting)).await;
    assert!(served.expect("the third connection still waits"));
}

/// Returns a server with a request in flight that takes longer than any test.
async fn stuck(directory: &std::path::Path, arguments: &[&str]) -> (Program, TcpStream) {
    let server = Program::serve(
        directory,
        &[&IN_MEMORY[..], &["--enable-fault-injection"], arguments].concat(),
    );
    let fault = json!({ "delay_ms": 600_000, "responses": 1 });
    let http = reqwest::Client::new().post(format!("{}/faults", server.url));
    assert_eq!(http.json(&fault).send().await.unwrap().status().as_u16(), 204);
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\n\r\n").await.unwrap();
    let responded = tokio::time::timeout(Duration::from_millis(500), stream.readable()).await;
    assert!(responded.is_err(), "the request is not in flight");
    (server, stream)
}

#[tokio::test]
async fn stuck_request_delays_shutdown_up_to_the_timeout() {
    let directory = temporary_directory();
    let (server, _stuck) = stuck(directory.path(), &["--shutdown-timeout", "1s"]).await;
    server.terminate();
    assert!(server.wait_at_most(DEADLINE).expect("the server did not stop").success());
}

#[tokio::test]
async fn second_signal_ends_the_process_immediately() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let directory = temporary_directory();
        let (server, _stuck) = stuck(directory.path(), &[]).await;
        server.signal("TERM");
        // The first signal has arrived when the server accepts no more connections.
        let closed = async { while TcpStream::connect(server.address()).await.is_ok() {} };
        tokio::time::timeout(DEADLINE, closed).await.expect("the server is not stopping");
        server.signal(signal);
        let status = server.wait_at_most(DEADLINE).expect("the server did not end");
        assert_eq!(status.code(), Some(code));
    }
}
