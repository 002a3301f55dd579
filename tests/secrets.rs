//! No key leaks: neither the client's own nor one that a server sends.
//!
//! Each test records the log. `tracing` decides once for all threads whether a log line is enabled,
//! so these tests run in a process of their own, one at a time.

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
use tokio::sync::Mutex as Turn;
#[cfg(target_os = "linux")]
use {memory::Memory, zeroize::Zeroizing};

// The first 6 characters of a key are its identifier, which is not secret.
const CLIENT_KEY: &str = "CLIENTcanary+of/the=clients?key";
const NEW_KEY: &str = "NEWKEYcanary0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno1";

static TURN: Turn<()> = Turn::const_new(());

/// Formats a call of this operation, its outcome, and the causes of its error.
async fn formatted(client: &Client, id: &str) -> String {
    fn show<T: Debug>(call: impl Debug, outcome: Result<T, Error>) -> String {
        let mut text = format!("{call:?} {outcome:?} {outcome:#?}");
        if let Err(error) = outcome {
            text += &format!("{error} {:?}", error.details());
            let mut cause = error.source();
            while let Some(error) = cause {
                text += &format!("{error} {error:?} {error:#?}");
                cause = error.source();
            }
        }
        text
    }
    macro_rules! run {
        ($call:expr) => {{
            let call = $call;
            show(call.clone(), call.await)
        }};
    }
    match id {
        "create_api_key" => run!(client.create_api_key("n")),
        "list_api_keys" => run!(client.list_api_keys()),
        "get_api_key" => run!(client.get_api_key("n").reveal(true)),
        "update_api_key" => run!(client.update_api_key("n")),
        "delete_api_key" => run!(client.delete_api_key("n")),
        _ => panic!("there is no operation {id}"),
    }
}

/// Formats the same call of the generated client.
async fn formatted_generated(client: &Client, id: &str) -> String {
    fn show<T: Debug, E: Debug + StdError>(call: impl Debug, outcome: Result<T, E>) -> String {
        let text = format!("{call:?} {outcome:?} {outcome:#?}");
        outcome.err().map_or(text.clone(), |error| format!("{text} {error} {:?}", error.source()))
    }
    macro_rules! run {
        ($call:expr) => {{
            let call = $call;
            show(call.clone(), call.send().await)
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
        _ => panic!("there is no operation {id}"),
    }
}

#[tokio::test]
async fn no_key_is_formatted_or_logged_whatever_the_server_sends() {
    let _turn = TURN.lock().await;
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
    let cut_text = |text: &str| {
        Step::Send(format!("HTTP/1.1 500 -\r\ncontent-length: 999\r\n\r\n{text}").into())
    };
    let mut steps = vec![
        cut_text(&format!("bad key: {}", &CLIENT_KEY[..CLIENT_KEY.len() - 2])),
        cut_text(&format!("created {}", &NEW_KEY[..60])),
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
            // Would log all traffic; the client turns it off.
            .reqwest_builder(|| reqwest::Client::builder().no_proxy().connection_verbose(true));
        let settings = format!("{builder:?} {builder:#?}");
        let client = builder.build().unwrap();
        for &id in &*OPERATIONS {
            let text = formatted(&client, id).await + &formatted_generated(&client, id).await;
            assert!(!text.contains("canary"), "{id}, {step:?}: {text}");
        }
        let text = format!("{settings} {client:?} {client:#?}");
        let text = format!("{text} {:?} {:#?}", client.generated(), client.generated());
        assert!(!text.contains("canary"), "{text}");
        assert!(server.requests()[0].contains(CLIENT_KEY), "the key was sent");
    }
    let log = log.text();
    assert!(log.contains("retrying"), "{log}");
    assert!(log.contains("starting new connection"), "the HTTP libraries log too: {log}");
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test]
async fn a_key_in_the_name_of_a_header_or_a_host_is_not_shown() {
    let _turn = TURN.lock().await;
    let key = "CLIENTcanary0123456789";
    let headers = format!("x-{key}: 1\r\nlocation: https://{key}.example\r\n");
    let server = Script::play([Step::response(302, &headers, "")]).await;
    let client = client_for(&server.url, key);
    for &id in &*OPERATIONS {
        let text = formatted(&client, id).await + &formatted_generated(&client, id).await;
        assert!(!text.contains("canary"), "{id}: {text}");
    }
}

#[tokio::test]
async fn no_piece_of_a_key_is_shown_however_the_server_cuts_or_escapes_it() {
    let _turn = TURN.lock().await;
    let log = Log::default();
    let _recording = log.record();

    let key = "CLIENT+canary/of=the+clients/key";
    let escape = |text: &str, escape: fn(u8) -> String| text.bytes().map(escape).collect();
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
                // Within an escape, unless it has no length.
                Step::Send(cut[..cut.len() - 1].into()),
            ] {
                let server = Script::play([step.clone()]).await;
                let client = client_for(&server.url, key);
                let text = formatted(&client, "get_api_key").await;
                let text = text + &formatted_generated(&client, "get_api_key").await;
                assert!(text.contains("[REDACTED]"), "{step:?}: {text}");
                for canary in ["canary", &canary, &canary.replace('\\', "\\\\")] {
                    assert!(!text.contains(canary), "{step:?}: {text}");
                    assert!(!log.text().contains(canary), "{step:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn trace_ids_are_shown() {
    let _turn = TURN.lock().await;
    for id in [
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "4BF92F3577B34DA6A3CE929D0E0E4736",
        "0cf3a0b6-7a0f-4a47-9d7e-0d3f4f8f0c52",
    ] {
        let body = json!({ "trace_id": id, "error_id": id, "query_id": id }).to_string();
        let server = Script::play([Step::response(500, "", body)]).await;
        let error = client_for(&server.url, NEW_KEY).list_api_keys().await.unwrap_err();
        assert!(error.to_string().contains(&format!("trace id {id}")), "{error}");
        let details = error.details().unwrap();
        for shown in [&details.trace_id, &details.error_id, &details.query_id] {
            assert_eq!(shown.as_deref(), Some(id));
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_key_is_wiped_from_memory_when_its_last_copy_is_dropped() {
    let _turn = TURN.lock().await;
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
    assert_eq!(memory.count(1), 1, "the call has the header");
    drop(call);
    assert_eq!(memory.count(1), 0);

    // A copy that is not wiped would have been found.
    drop(unwiped);
    assert_eq!(memory.count(2), 1);
}

/// Finds keys in the memory of this process. Their letters are computed one by one, so that no
/// other memory holds them.
#[cfg(target_os = "linux")]
mod memory {
    use std::fs::{self, File};
    use std::ops::Range;
    use std::os::unix::fs::FileExt;

    use zeroize::Zeroize;

    const LENGTH: usize = 64;
    /// An allocator writes to the beginning of memory that is freed.
    const TAIL: Range<usize> = 32..LENGTH;

    fn letter(key: u32, index: usize) -> u8 {
        let number = (key * 1_000 + u32::try_from(index).unwrap()).wrapping_mul(2_654_435_761);
        b'A' + u8::try_from((number >> 16) % 26).unwrap()
    }

    /// Makes a key.
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
        /// Opens the memory that this process can write now.
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

        /// Counts the places that hold the end of the key. Allocates nothing, as that could reuse
        /// the memory of a key.
        pub fn count(&self, key: u32) -> usize {
            let first = letter(key, TAIL.start);
            let is_tail = |bytes: &[u8]| {
                // Most bytes differ from the first, and a debug build compares ranges slowly.
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
                    // Otherwise its part of a key is found again, here.
                    bytes.zeroize();
                }
            }
            count
        }
    }
}
