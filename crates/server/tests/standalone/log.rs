//! The log contains no users and keys, and never blocks the server.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::program::{Program, temporary_directory};

const DEBUG: [&str; 6] =
    ["--database", "sqlite::memory:", "--log-level", "debug", "--rate-limit", "0"];

/// Sends more requests than a pipe can buffer log lines for, then stops the server.
async fn serves_and_stops(server: Program) {
    let client = server.client(&server.admin_key.clone().unwrap());
    for _ in 0..800 {
        let listed =
            tokio::time::timeout(Duration::from_secs(5), client.list_api_keys().into_future());
        assert_eq!(listed.await.expect("a request waited for the log").unwrap().len(), 1);
    }
    server.terminate();
    let status = server.wait_at_most(Duration::from_secs(5));
    assert!(status.expect("the server did not stop").success());
}

#[tokio::test]
async fn log_contains_requests_but_no_users_and_keys() {
    let directory = temporary_directory();
    let debug = [
        "--database",
        "sqlite::memory:",
        "--log-level",
        "debug",
        "--user",
        "someone@me.com=member",
    ];
    let server = Program::serve(directory.path(), &debug);
    let key = server.admin_key.clone().unwrap();
    let client = server.client(&key);
    let created = client.create_api_key("some-key").created_by("someone@me.com").await.unwrap();
    let call = |name: &str| client.get_api_key(name).user("someone@me.com");
    call("some-key").reveal(true).await.unwrap();
    call("lost-key").await.unwrap_err();
    client.list_api_keys().user("nobody@me.com").await.unwrap_err();
    server.client("wrong-key").list_api_keys().await.unwrap_err();
    client.delete_api_key("some-key").user("someone@me.com").await.unwrap();

    let log = server.log_with("DELETE");
    assert_eq!(log.matches(" request ").count(), 6, "{log}");
    let value = created.key.expose_secret();
    let names = ["some-key", "lost-key", "wrong-key", "someone", "nobody", "admin@me.com"];
    for secret in names.into_iter().chain([&*key, value, value.get(..6).unwrap()]) {
        assert!(!log.contains(secret), "the log contains {secret}: {log}");
    }
}

#[tokio::test]
async fn unread_log_blocks_neither_requests_nor_shutdown() {
    let directory = temporary_directory();
    let (reader, writer) = std::io::pipe().unwrap();
    serves_and_stops(Program::serve_logging_to(directory.path(), &DEBUG, writer)).await;
    drop(reader);
}

#[tokio::test]
async fn full_log_disk_blocks_neither_requests_nor_shutdown() {
    let directory = temporary_directory();
    let full = File::options().write(true).open("/dev/full").unwrap();
    serves_and_stops(Program::serve_logging_to(directory.path(), &DEBUG, full)).await;
}

#[tokio::test]
async fn lost_log_lines_are_counted_when_reading_resumes() {
    let directory = temporary_directory();
    let (reader, writer) = std::io::pipe().unwrap();
    let server = Program::serve_logging_to(directory.path(), &DEBUG, writer);
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
    // More than the pipe and the queue can buffer.
    for _ in 0..120 {
        let requests = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n".repeat(100);
        stream.write_all(&requests).await.unwrap();
        let mut responses = 0;
        while responses < 100 {
            let mut buffer = vec![0; 1 << 16];
            let length = stream.read(&mut buffer).await.unwrap();
            responses += buffer[..length].iter().filter(|byte| **byte == b'{').count();
        }
    }
    let (counted, is_counted) = std::sync::mpsc::channel();
    let read = std::thread::spawn(move || {
        let lines = BufReader::new(reader).lines().map(Result::unwrap);
        lines.fold(String::new(), |_, line| {
            if line.contains("log lines were lost since the start") {
                let _ = counted.send(());
            }
            line
        })
    });
    // Nothing is queued after the count, so the last line is not lost.
    is_counted.recv_timeout(Duration::from_secs(30)).expect("lost lines were not counted");
    server.stop();
    let last = read.join().unwrap();
    assert!(last.contains("server stopped"), "the queue was not written at the end: {last}");
}
