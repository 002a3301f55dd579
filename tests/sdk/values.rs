//! Types that replace the generator's own.

use rockset_apikeys::types::ErrorModel;
use rockset_apikeys::{
    ApiKey, ApiKeyValue, Client, ClientBuilder, Error, ErrorType, ExposeSecrets, KeyState,
    RetryPolicy, Timestamp,
};
use serde_json::json;

use crate::support::Contract;

const SECRET: &str = "SECRETsecretSECRETsecret";

#[test]
fn full_key_is_not_formatted_or_serialized() {
    let value = ApiKeyValue::from(SECRET);
    let key: ApiKey = serde_json::from_value(json!({ "name": "n", "key": SECRET })).unwrap();
    let builder = rockset_apikeys::types::ApiKey::builder().key(value.clone()).name("n");
    assert_eq!(format!("{value:?}"), "ApiKeyValue(..)");
    let debug = format!("{value:#?} {key:?} {key:#?} {builder:?}");
    assert!(!debug.contains("SECRET"), "{debug}");

    let masked = json!({ "name": "n", "key": value.identifier() });
    assert_eq!(serde_json::to_value(&key).unwrap(), masked);
    assert_eq!(serde_json::to_value(ExposeSecrets(&key)).unwrap()["key"], SECRET);
    assert_eq!(serde_json::to_value(&key).unwrap(), masked, "masked again");
}

#[test]
fn nested_keys_are_exposed_and_masked_again_after_a_panic() {
    #[derive(serde::Serialize)]
    struct Pair<'a>(ExposeSecrets<&'a ApiKeyValue>, &'a ApiKeyValue);
    struct Panics;
    impl serde::Serialize for Panics {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("while serializing")
        }
    }
    let value = ApiKeyValue::from(SECRET);
    let pair = Pair(ExposeSecrets(&value), &value);
    assert_eq!(serde_json::to_value(pair).unwrap(), json!([SECRET, "SECRET"]));
    let nested = ExposeSecrets(Pair(ExposeSecrets(&value), &value));
    assert_eq!(serde_json::to_value(nested).unwrap(), json!([SECRET, SECRET]));
    std::panic::catch_unwind(|| serde_json::to_string(&ExposeSecrets(Panics))).unwrap_err();
    assert_eq!(serde_json::to_value(&value).unwrap(), "SECRET");
}

#[test]
fn keys_are_comparable_and_an_identifier_is_not_a_full_key() {
    let value = ApiKeyValue::from(SECRET);
    assert_eq!((value.full_key(), value.clone()), (Some(SECRET), ApiKeyValue::from(SECRET)));
    assert_eq!(ApiKeyValue::from(value.identifier()).full_key(), None);
    assert_ne!(value, ApiKeyValue::from(value.identifier()));
    let mut key = ApiKey::new("n", "abcdef");
    assert_eq!(key, serde_json::from_value(json!({ "name": "n", "key": "abcdef" })).unwrap());
    key.role = Some("member".to_owned());
    assert_ne!(key, ApiKey::new("n", "abcdef"));
}

#[test]
fn identifier_is_the_first_six_characters() {
    for (value, identifier) in [
        ("abcdefgh", "abcdef"),
        ("abcdef", "abcdef"),
        ("abc", "abc"),
        ("", ""),
        ("üüüüüüüü", "üüüüüü"),
    ] {
        assert_eq!(ApiKeyValue::from(value).identifier(), identifier);
    }
}

#[test]
fn unknown_states_and_error_types_are_kept() {
    let key: ApiKey =
        serde_json::from_value(json!({ "name": "n", "key": "k", "state": "FROZEN" })).unwrap();
    assert_eq!(key.state, Some(KeyState::Unknown("FROZEN".to_owned())));
    assert_eq!(serde_json::to_value(&key).unwrap()["state"], "FROZEN");
    let error: ErrorModel = serde_json::from_value(json!({ "type": "NEW" })).unwrap();
    assert_eq!(error.type_, Some(ErrorType::from("NEW")));
}

#[test]
fn contract_enum_values_have_variants() {
    let contract = Contract::load();
    let values = |name: &str| -> Vec<String> {
        let values = &contract.0["components"]["schemas"][name]["enum"];
        serde_json::from_value(values.clone()).unwrap()
    };
    for value in values("KeyState") {
        let state: KeyState = serde_json::from_value(json!(value)).unwrap();
        assert!(!matches!(state, KeyState::Unknown(_)), "{value}");
        assert_eq!((state.as_str(), &state), (value.as_str(), &KeyState::from(value.as_str())));
        assert_eq!(value.parse(), Ok(state.clone()));
        assert_eq!(serde_json::to_value(&state).unwrap(), json!(value));
    }
    for value in values("ErrorType") {
        let kind: ErrorType = serde_json::from_value(json!(value)).unwrap();
        assert!(!matches!(kind, ErrorType::Unknown(_)), "{value}");
        assert_eq!((kind.to_string(), &kind), (value.clone(), &ErrorType::from(value.as_str())));
    }
}

#[test]
fn timestamp_converts_to_jiff_and_keeps_its_string() {
    for string in ["2024-02-29T12:00:00Z", "2024-02-29T13:00:00.000+01:00"] {
        let time: Timestamp = serde_json::from_value(json!(string)).unwrap();
        assert_eq!(time.to_jiff().unwrap().as_second(), 1_709_208_000);
        assert_eq!(serde_json::to_value(&time).unwrap(), json!(string));
        assert_eq!((time.as_str(), time.to_string()), (string, string.to_owned()));
    }
}

#[test]
fn timestamp_in_the_last_day_of_9999_is_valid() {
    for valid in ["9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59+05:30"] {
        assert_eq!(valid.parse::<Timestamp>().unwrap().as_str(), valid);
    }
    for invalid in ["9999-12-31", "9999-12-31T23:59:59", "9999-12-32T00:00:00Z"] {
        assert!(invalid.parse::<Timestamp>().is_err(), "{invalid}");
    }
}

#[test]
fn timestamp_outside_the_contracts_format_is_invalid() {
    for invalid in [
        "2030-01-01",
        "2030-01-01 00:00:00Z",
        "2030-01-01T00:00Z",
        "2030-01-01T00:00:00",
        "2030-01-01T00:00:00.Z",
        "2030-01-01T00:00:00+01",
        "2030-01-01T00:00:00+99:00",
        "2030-01-01T00:00:00+24:00",
        "2030-01-01T00:00:00+01:00[Europe/Paris]",
        "2030-02-30T00:00:00Z",
        "2030-01-01T24:00:00Z",
        "2030-06-30T23:59:60Z",
        "20300101T000000Z",
        "+002030-01-01T00:00:00Z",
    ] {
        let error = invalid.parse::<Timestamp>().expect_err(invalid);
        assert!(!error.to_string().is_empty());
    }
    for valid in ["2030-01-01t00:00:00z", "2030-01-01T00:00:00.5-00:00", "0001-01-01T00:00:00Z"] {
        assert_eq!(valid.parse::<Timestamp>().unwrap().as_str(), valid);
    }
}

#[test]
fn timestamps_are_compared_by_instant() {
    let received = |string: &str| -> Timestamp { serde_json::from_value(json!(string)).unwrap() };
    let (utc, paris) = (received("2030-01-01T00:00:00.0Z"), received("2030-01-01T01:00:00+01:00"));
    assert_eq!(utc, paris);
    assert_eq!(std::collections::HashSet::from([utc.clone(), paris]).len(), 1);
    let sorted = ["2029-12-31T23:30:00-01:00", "2030-01-01T02:00:00+01:00", "a", "b"].map(received);
    assert!(utc < sorted[0] && sorted.is_sorted() && sorted[2] != sorted[3]);
}

#[test]
fn malformed_timestamp_does_not_break_decoding() {
    for invalid in
        [json!("yesterday"), json!(""), json!(1_709_208_000), json!({ "s": 1 }), json!(null)]
    {
        let key = json!({ "name": "n", "key": "k", "created_at": invalid });
        let key: ApiKey = serde_json::from_value(key).unwrap();
        assert_eq!(key.name, "n");
        assert_eq!(key.created_at.and_then(|time| time.to_jiff()), None);
    }
}

#[test]
fn unknown_fields_are_ignored() {
    let key = json!({ "name": "n", "key": "k", "role": null, "new_field": [1, { "a": 2 }] });
    let key: ApiKey = serde_json::from_value(key).unwrap();
    assert_eq!(key.role, None);
}

#[test]
fn public_types_are_send_and_sync() {
    fn assert_send_sync<T: Send + Sync>() {}
    fn assert_send<T: Send>(_: impl FnOnce() -> T) {}
    assert_send_sync::<Client>();
    assert_send_sync::<ClientBuilder>();
    assert_send_sync::<Error>();
    assert_send_sync::<rockset_apikeys::types::ApiKey>();
    assert_send_sync::<RetryPolicy>();
    let client = || Client::from_env().unwrap();
    assert_send(|| client().create_api_key("n").into_future());
    assert_send(|| client().list_api_keys().into_future());
    assert_send(|| client().get_api_key("n").into_future());
    assert_send(|| client().update_api_key("n").into_future());
    assert_send(|| client().delete_api_key("n").into_future());
}
