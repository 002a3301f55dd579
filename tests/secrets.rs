//! Redaction: neither the client's key nor a key from a server leaks.
//!
//! Each test records the log. `tracing` decides once for all threads whether a log line is enabled,
//! so these tests run in a separate process, one at a time.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

#[path = "sdk/log.rs"]
mod log;
#[allow(dead_code)]
#[path = "sdk/script.rs"]
mod script;
#[allow(dead_code)]
#[path = "sdk/support.rs"]
mod support;

use std::error::Error as StdError;
use std::fmt::Debug;
use std::time::Duration;

use log::Log;
use rockset_apikeys::types::{CreateApiKeyRequest, UpdateApiKeyRequest};
use rockset_apikeys::{ApiKey, ApiKeyValue, Client, Error, RetryPolicy, reqwest};
use script::{Script, Step};
use serde_json::json;
use support::{OPERATIONS, client_for};
use tokio::sync::Mutex as AsyncMutex;
#[cfg(target_os = "linux")]
use {memory::Memory, zeroize::Zeroizing};

// The first 6 characters of a key are its identifier, which is not secret.
const CLIENT_KEY: &str = "CLIENTcanary+of/the=clients?key";
const NEW_KEY: &str = "NEWKEYcanary0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno1";

static SERIAL: AsyncMutex<()> = AsyncMutex::const_new(());

/// Formats a call of this operation, its outcome, and the causes of its error.
async fn formatted(client: &Client, id: &str) -> String {
    fn format_all<T: Debug>(call: impl Debug, outcome: Result<T, Error>) -> String {
        let mut output = format!("{call:?} {outcome:?} {outcome:#?}");
        if let Err(error) = outcome {
            output += &format!("{error} {:?}", error.details());
            let mut cause = error.source();
            while let Some(error) = cause {
                output += &format!("{error} {error:?} {error:#?}");
                cause = error.source();
            }
        }
        output
    }
    macro_rules! run {
        ($call:expr) => {{
            let call = $call;
            format_all(call.clone(), call.await)
        }};
    }
    match id {
        "create_api_key" => run!(client.create_api_key("n")),
        "list_api_keys" => run!(client.list_api_keys()),
        "get_api_key" => run!(client.get_api_key("n").reveal(true)),
        "update_api_key" => run!(client.update_api_key("n")),
        "delete_api_key" => run!(client.delete_api_key("n")),
        _ => panic!("unknown operation {id}"),
    }
}

/// Formats the same call of the generated client.
async fn formatted_generated(client: &Client, id: &str) -> String {
    fn format_all<T: Debug, E: Debug + StdError>(
        call: impl Debug,
        outcome: Result<T, E>,
    ) -> String {
        let output = format!("{call:?} {outcome:?} {outcome:#?}");
        outcome
            .err()
            .map_or(output.clone(), |error| format!("{output} {error} {:?}", error.source()))
    }
    macro_rules! run {
        ($call:expr) => {{
            let call = $call;
            format_all(call.clone(), call.send().await)
        }};
    }
    let generated = client.generated();
    match id {
        "create_api_key" => {
            run!(generated.create_api_key().body(CreateApiKeyRequest::builder().name("n")))
        }
        "list_api_keys" => run!(generated.list_api_keys().user("self")),
        "get_api_key" => run!(generated.get_api_key().user("self").name("n").reveal(true)),
        "update_api_key" => {
            let call = generated.update_api_key().user("self").name("n");
            run!(call.body(UpdateApiKeyRequest::default()))
        }
        "delete_api_key" => run!(generated.delete_api_key().user("self").name("n")),
        _ => panic!("unknown operation {id}"),
    }
}

#[tokio::test]
async fn keys_are_neither_formatted_nor_logged_for_any_response() {
    let _serial = SERIAL.lock().await;
    let log = Log::default();
    let _recording = log.record();

    let echoes = format!("ApiKey {CLIENT_KEY} and {NEW_KEY}");
    let model = json!({
        "message": echoes, "type": echoes, "trace_id": echoes, "error_id": echoes,
        "query_id": echoes, "virtual_instance_rrn": echoes, "line": echoes, "column": 1,
    });
    let escaped = model.to_string().replace("canary", "c\\u0061nary").replace('/', "\\/");
    let html = format!("<p>{echoes}</p>{}{echoes}", " ".repeat(170));
    let headers = format!("location: https://h/{CLIENT_KEY}/{NEW_KEY}\r\nx-echo: {echoes}\r\n");
    let key = json!({ "name": "n", "key": NEW_KEY, "state": "ACTIVE" });
    let cut =
        format!("HTTP/1.1 500 -\r\ncontent-length: 999\r\n\r\n{{\"data\":{{\"key\":\"{NEW_KEY}");
    let cut_body = |body: &str| {
        Step::Send(format!("HTTP/1.1 500 -\r\ncontent-length: 999\r\n\r\n{body}").into())
    };
    let mut steps = vec![
        cut_body(&format!("bad key: {}", &CLIENT_KEY[..CLIENT_KEY.len() - 2])),
        cut_body(&format!("created {}", &NEW_KEY[..60])),
        Step::response(401, "", CLIENT_KEY.to_ascii_uppercase()),
        Step::response(401, "", CLIENT_KEY.to_ascii_lowercase()),
        Step::response(404, "", format!("GET /x?key%3D{NEW_KEY} id_{NEW_KEY}x")),
        Step::response(500, "", json!({ "message": format!("key=%20{NEW_KEY}") }).to_string()),
        Step::Reset,
        Step::Hang(Vec::new()),
        Step::Send(format!("{CLIENT_KEY} {NEW_KEY}\r\n").into()),
        Step::Send(cut.into()),
        Step::Send(format!("HTTP/1.1 200 {echoes}\r\n{headers}\r\n{echoes}").into()),
        Step::response(200, &headers, json!({ "data": key }).to_string()),
        Step::response(200, &headers, json!({ "data": [key] }).to_string()),
        Step::response(200, &headers, json!({ "data": NEW_KEY, "echo": CLIENT_KEY }).to_string()),
        Step::response(200, &headers, json!({ "data": { "name": 5, "key": NEW_KEY } }).to_string()),
        Step::response(
            200,
            &headers,
            json!({ "data": { "key": { NEW_KEY: CLIENT_KEY } } }).to_string(),
        ),
        Step::response(200, &headers, format!("{{\"data\": {{\"key\": \"{NEW_KEY}")),
        Step::response(200, &headers, &echoes),
    ];
    for status in [302, 400, 401, 418, 500, 503] {
        for body in [&model.to_string(), &escaped, &html, &json!({ "data": key }).to_string()] {
            steps.push(Step::response(status, &headers, body));
        }
    }
    for step in steps {
        let server = Script::play([step.clone()]).await;
        let policy = RetryPolicy::default().max_attempts(2).backoff(Duration::ZERO, Duration::ZERO);
        let builder = Client::builder()
            .api_server(&server.url)
            .api_key(CLIENT_KEY)
            .attempt_timeout(Duration::from_millis(100))
            .retry_policy(policy)
            // Would log all traffic; the client disables it.
            .reqwest_builder(|| reqwest::Client::builder().no_proxy().connection_verbose(true));
        let settings = format!("{builder:?} {builder:#?}");
        let client = builder.build().unwrap();
        for &id in &*OPERATIONS {
            let output = formatted(&client, id).await + &formatted_generated(&client, id).await;
            assert!(!output.contains("canary"), "{id}, {step:?}: {output}");
        }
        let output = format!("{settings} {client:?} {client:#?}");
        let output = format!("{output} {:?} {:#?}", client.generated(), client.generated());
        assert!(!output.contains("canary"), "{output}");
        assert!(server.requests()[0].contains(CLIENT_KEY), "the key was sent");
    }
    let log = log.contents();
    assert!(log.contains("retrying"), "{log}");
    assert!(log.contains("starting new connection"), "the HTTP libraries also log: {log}");
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test]
async fn key_in_a_header_name_or_a_host_is_redacted() {
    let _serial = SERIAL.lock().await;
    let key = "CLIENTcanary0123456789";
    let headers = format!("x-{key}: 1\r\nlocation: https://{key}.example\r\n");
    let server = Script::play([Step::response(302, &headers, "")]).await;
    let client = client_for(&server.url, key);
    for &id in &*OPERATIONS {
        let output = formatted(&client, id).await + &formatted_generated(&client, id).await;
        assert!(!output.contains("canary"), "{id}: {output}");
    }
}

#[tokio::test]
async fn cut_and_escaped_keys_are_redacted() {
    let _serial = SERIAL.lock().await;
    let log = Log::default();
    let _recording = log.record();

    let key = "CLIENT+canary/of=the+clients/key";
    let escape = |string: &str, escape: fn(u8) -> String| string.bytes().map(escape).collect();
    let escapes: [fn(u8) -> String; 5] = [
        |char| char::from(char).to_string(),
        |char| format!("%{char:02X}"),
        |char| format!("&#{char};"),
        |char| format!("&amp;#x{char:x};"),
        |char| format!("\\u{char:04x}"),
    ];
    for escape_one in escapes {
        for echo in [&key[..key.len() - 9], &key[3..], &key[7..20], &NEW_KEY[..40]] {
            let echo: String = escape(echo, escape_one);
            let canary: String = escape("canary", escape_one);
            let message = format!("the key {echo}... is not valid");
            let cut = format!("HTTP/1.1 500 -\r\ncontent-length: 999\r\n\r\nthe key {echo}");
            for step in [
                Step::response(401, "", json!({ "message": message, "type": echo }).to_string()),
                Step::response(401, "", format!("<p>{message}</p>")),
                Step::response(200, "", format!("<p>{message}</p>")),
                Step::Send(cut.clone().into()),
                // Within an escape, if the characters are escaped.
                Step::Send(cut[..cut.len() - 1].into()),
            ] {
                let server = Script::play([step.clone()]).await;
                let client = client_for(&server.url, key);
                let output = formatted(&client, "get_api_key").await;
                let output = output + &formatted_generated(&client, "get_api_key").await;
                assert!(output.contains("[REDACTED]"), "{step:?}: {output}");
                for canary in ["canary", &canary, &canary.replace('\\', "\\\\")] {
                    assert!(!output.contains(canary), "{step:?}: {output}");
                    assert!(!log.contents().contains(canary), "{step:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn trace_ids_are_not_redacted() {
    let _serial = SERIAL.lock().await;
    for id in [
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "4BF92F3577B34DA6A3CE929D0E0E4736",
        "0cf3a0b6-7a0f-4a47-9d7e-0d3f4f8f0c52",
    ] {
        let body = json!({ "trace_id": id, "error_id": id, "query_id": id }).to_string();
        let server = Script::play([Step::response(500, "", body)]).await;
        let error = client_for(&server.url, NEW_KEY).list_api_keys().await.unwrap_err();
        assert!(error.to_string().contains(&format!("trace ID {id}")), "{error}");
        let details = error.details().unwrap();
        for shown in [&details.trace_id, &details.error_id, &details.query_id] {
            assert_eq!(shown.as_deref(), Some(id));
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn key_is_wiped_from_memory_when_its_last_copy_is_dropped() {
    let _serial = SERIAL.lock().await;
    let value = ApiKeyValue::from(memory::secret(1));
    let copy = value.clone();
    let json = Zeroizing::new(format!(r#"{{"name":"n","key":"{}"}}"#, value.expose_secret()));
    let received: ApiKey = serde_json::from_str(&json).unwrap();
    drop(json);
    let client = Client::builder().api_server("http://127.0.0.1:1").api_key(value);
    let client = client.build().unwrap();
    let call = client.get_api_key("n");
    let unwiped = memory::secret(2);
    let memory = Memory::of_this_process();
    assert_eq!(memory.count(1), 3, "the copy, the received key, and the client's header");
    drop(received);
    assert_eq!(memory.count(1), 2);
    drop(copy);
    drop(client);
    assert_eq!(memory.count(1), 1, "the call's header");
    drop(call);
    assert_eq!(memory.count(1), 0);

    // Checks that unwiped copies are found.
    drop(unwiped);
    assert_eq!(memory.count(2), 1);
}

/// Finds keys in the memory of this process. Their letters are computed one by one, so that no
/// other memory contains them.
#[cfg(target_os = "linux")]
mod memory {
    use std::fs::{self, File};
    use std::ops::Range;
    use std::os::unix::fs::FileExt;

    use zeroize::Zeroize;

    const LENGTH: usize = 64;
    /// An allocator overwrites the beginning of freed memory.
    const TAIL: Range<usize> = 32..LENGTH;

    fn letter(key: u32, index: usize) -> u8 {
        let number = (key * 1_000 + u32::try_from(index).unwrap()).wrapping_mul(2_654_435_761);
        b'A' + u8::try_from((number >> 16) % 26).unwrap()
    }

    /// Creates a key.
    pub fn secret(key: u32) -> String {
        let mut secret = String::with_capacity(LENGTH);
        secret.extend((0..LENGTH).map(|index| char::from(letter(key, index))));
        secret
    }

    pub struct Memory {
        file: File,
        regions: Vec<Range<usize>>,
    }

    impl Memory {
        /// Opens the writable memory of this process.
        pub fn of_this_process() -> Self {
            let regions = fs::read_to_string("/proc/self/maps").unwrap();
            let regions = regions.lines().filter(|region| region.contains(" rw")).map(|region| {
                let (start, rest) = region.split_once('-').unwrap();
                let (end, _) = rest.split_once(' ').unwrap();
                let [start, end] = [start, end].map(|it| usize::from_str_radix(it, 16).unwrap());
                start..end
            });
            let regions = regions.collect();
            Self { file: File::open("/proc/self/mem").unwrap(), regions }
        }

        /// Counts the occurrences of the key's end. Allocates nothing, because that could reuse the
        /// memory of a key.
        pub fn count(&self, key: u32) -> usize {
            let first = letter(key, TAIL.start);
            let is_tail = |bytes: &[u8]| {
                // Compares the first byte first, because debug builds compare ranges slowly.
                bytes[0] == first && TAIL.zip(bytes).all(|(at, byte)| *byte == letter(key, at))
            };
            let mut count = 0;
            let mut bytes = [0; 1 << 16];
            for region in &self.regions {
                // The parts overlap, so that no key is cut in two.
                for start in region.clone().step_by(bytes.len() - TAIL.len() + 1) {
                    let bytes = &mut bytes[..(region.end - start).min(1 << 16)];
                    // The region may have been unmapped.
                    if self.file.read_exact_at(bytes, start.try_into().unwrap()).is_ok() {
                        count += bytes.windows(TAIL.len()).filter(|it| is_tail(it)).count();
                    }
                    // Otherwise, a key is also found in this buffer.
                    bytes.zeroize();
                }
            }
            count
        }
    }
}
