//! Properties of all inputs, checked with random inputs.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::test_runner::Config;
use rockset_apikeys::{Client, Error, Timestamp, jiff};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::script::{Script, Step};
use crate::support::{OPERATIONS, call, client_for, status_of, success};

/// A client and its server, shared by all cases of a test.
struct Fixture {
    runtime: Runtime,
    server: Script,
    client: Client,
}

impl Fixture {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let server = runtime.block_on(Script::play([Step::Reset]));
        let client = client_for(&server.url, "k");
        Self { runtime, server, client }
    }
}

thread_local! {
    static FIXTURE: Fixture = Fixture::new();
}

/// Runs a call that gets this response. Returns the outcome and the requests.
fn outcome_of<T>(
    response: Step,
    call: impl AsyncFnOnce(&Client) -> Result<T, Error>,
) -> (Result<T, Error>, Vec<String>) {
    FIXTURE.with(|fixture| {
        fixture.server.play_again(response);
        let outcome = fixture.runtime.block_on(call(&fixture.client));
        (outcome, fixture.server.requests())
    })
}

/// Ordinary and malicious names.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[./\\\\%?#:@ +&=;~a-c\u{0}\t\r\n\u{7f}\u{202e}é\u{1f600}]{0,8}",
        "(%2[eEfF]|\\.|/|%5c|%00){1,4}",
    ]
}

/// Timestamps and similar strings.
fn near_timestamp() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{4}-[0-1][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.][0-9]{0,9})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])?(\\[UTC\\])?",
        "[0-9TZ:.+-]{0,30}",
        any::<String>(),
    ]
}

/// Formats an instant with this offset in hours.
fn timestamp(instant: jiff::Timestamp, hours: i8) -> String {
    let offset = jiff::tz::Offset::constant(hours);
    format!("{:.9}", instant.display_with_offset(offset))
}

/// Returns the decoded segments of a request's path.
fn segments(request: &str) -> Vec<String> {
    let target = request.split(' ').nth(1).unwrap();
    let path = target.split('?').next().unwrap();
    let decode = |segment| percent_decode_str(segment).decode_utf8().unwrap().into_owned();
    path.split('/').skip(1).map(decode).collect()
}

/// Any JSON, several levels deep.
fn json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        any::<String>().prop_map(Value::from),
        "[A-Z_]{1,12}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8}Z?".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        let field = prop_oneof![
            any::<String>(),
            "data|name|key|state|role|created_at|expiry_time|last_access_time|created_by",
            "message|type|line|column|trace_id|error_id|query_id|virtual_instance_rrn",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(field, inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(Config::with_cases(400))]

    #[test]
    fn names_and_users_are_sent_unchanged_or_rejected(name in name(), user in name()) {
        let response = Step::response(200, "", success("get_api_key").to_string());
        let (outcome, requests) = outcome_of(response.clone(), async |client| {
            client.get_api_key(&name).user(&user).await
        });
        let can_be_sent = |segment: &str| !matches!(segment, "" | "." | "..");
        if can_be_sent(&name) && can_be_sent(&user) {
            outcome.unwrap();
            let wanted = ["v1", "orgs", "self", "users", &user, "apikeys", &name];
            prop_assert_eq!(segments(&requests[0]), wanted);
        } else {
            prop_assert_eq!(outcome.unwrap_err().attempts(), 0);
            prop_assert!(requests.is_empty());
        }

        let (outcome, requests) = outcome_of(response, async |client| {
            client.create_api_key(&name).created_by(&user).await
        });
        if can_be_sent(&name) {
            outcome.unwrap();
            let (_, body) = requests[0].split_once("\r\n\r\n").unwrap();
            let body: Value = serde_json::from_str(body).unwrap();
            prop_assert_eq!(body, json!({ "name": name, "created_by": user }));
        } else {
            prop_assert!(outcome.is_err() && requests.is_empty());
        }
    }

    #[test]
    fn parsed_timestamps_match_the_contracts_format(string in near_timestamp()) {
        let schema = json!({ "type": "string", "format": "date-time" });
        let options = jsonschema::draft4::options().should_validate_formats(true);
        if let Ok(time) = string.parse::<Timestamp>() {
            prop_assert_eq!(time.as_str(), &string);
            prop_assert!(options.build(&schema).unwrap().is_valid(&json!(string)));
        }
    }

    #[test]
    fn timestamps_keep_their_string_and_are_ordered_by_instant(
        seconds in prop::array::uniform2(-62_135_596_800..253_402_000_000_i64),
        nanoseconds in 0..1_000_000_000,
        hours in prop::array::uniform2(-12..=12_i8),
        is_same: bool,
    ) {
        let instant = |index: usize| {
            let second = seconds[if is_same { 0 } else { index }];
            jiff::Timestamp::new(second, nanoseconds).unwrap()
        };
        let strings = [0, 1].map(|index| timestamp(instant(index), hours[index]));
        // An offset can move a date before the year 0, which RFC 3339 cannot represent.
        prop_assume!(strings.iter().all(|string| !string.starts_with('-')));
        let times = strings.clone().map(|string| string.parse::<Timestamp>().unwrap());
        for index in [0, 1] {
            prop_assert_eq!(times[index].as_str(), &strings[index]);
            prop_assert_eq!(times[index].to_jiff(), Some(instant(index)));
        }
        prop_assert_eq!(times[0].cmp(&times[1]), instant(0).cmp(&instant(1)));
        prop_assert_eq!(&Timestamp::from(instant(0)), &times[0]);
    }

    #[test]
    fn random_json_is_decoded_or_an_error_with_its_status(
        body in json(),
        in_envelope: bool,
        status in prop_oneof![Just(200), 201..=599_u16],
    ) {
        let body = if in_envelope { json!({ "data": body }) } else { body };
        for &id in &*OPERATIONS {
            let response = Step::response(status, "", body.to_string());
            let (outcome, _) = outcome_of(response, async |client| call(client, id).await);
            if let Err(error) = outcome {
                prop_assert_eq!(status_of(&error), Some(status));
                prop_assert!(!error.to_string().contains('\n'));
            } else {
                prop_assert_eq!(status, 200);
            }
        }
    }

    #[test]
    fn random_error_bodies_keep_the_status(body: Vec<u8>, status in 400..=599_u16) {
        let response = Step::response(status, "", &body);
        let (outcome, _) = outcome_of(response, async |client| client.list_api_keys().await);
        prop_assert_eq!(status_of(&outcome.unwrap_err()), Some(status));
    }

    #[test]
    fn random_error_models_keep_valid_fields(
        message: String,
        line: i32,
        others in prop::collection::btree_map(
            "type|column|trace_id|error_id|query_id|virtual_instance_rrn|[a-z]{1,9}",
            json(),
            0..4,
        ),
        status in 400..=599_u16,
    ) {
        let mut body: BTreeMap<String, Value> = others;
        body.insert("message".to_owned(), json!(message));
        body.insert("line".to_owned(), json!(line));
        let response = Step::response(status, "", json!(body).to_string());
        let (outcome, _) = outcome_of(response, async |client| client.list_api_keys().await);
        let error = outcome.unwrap_err();
        prop_assert_eq!(status_of(&error), Some(status));
        let details = error.details().unwrap();
        prop_assert_eq!(details.message.as_deref(), Some(message.as_str()));
        prop_assert_eq!(details.line, Some(line));
        let trace_id = body.get("trace_id").and_then(Value::as_str);
        prop_assert_eq!(details.trace_id.as_deref(), trace_id);
    }
}
