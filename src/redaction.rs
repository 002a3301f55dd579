//! Redacts API keys in text from outside: the client's own key, and text that looks like a key.

use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;

/// What stands in place of a key.
const PLACEHOLDER: &str = "[REDACTED]";

/// The length of a full key, in the vendor's examples.
const KEY_LENGTH: usize = 64;

/// The length of a key's identifier, which is not a secret.
const IDENTIFIER_LENGTH: usize = 6;

/// Returns the text with placeholders for the client's key, in any letter case, and for words that
/// are as long as a key.
pub(crate) fn text(text: &str, key: Option<&str>) -> String {
    let text = match secret(key) {
        Some(key) => replace(text, key),
        None => text.to_owned(),
    };
    let words = text.split_inclusive(is_separator).map(|piece| {
        let word = piece.trim_end_matches(is_separator);
        match piece.strip_prefix(word) {
            Some(separator) if word.len() >= KEY_LENGTH => [PLACEHOLDER, separator],
            _ => [piece, ""],
        }
    });
    words.flatten().collect()
}

/// Returns the text without an end that may be the beginning of a key.
pub(crate) fn without_cut_key<'a>(text: &'a str, key: Option<&str>) -> &'a str {
    let lower = text.to_ascii_lowercase();
    let key = secret(key).unwrap_or_default().to_ascii_lowercase();
    let cut = (1..=key.len())
        .rev()
        .find(|length| key.get(..*length).is_some_and(|beginning| lower.ends_with(beginning)));
    let text = text.get(..text.len() - cut.unwrap_or_default()).unwrap_or_default();
    let word = text.rsplit(is_separator).next().unwrap_or_default();
    match word.len() > IDENTIFIER_LENGTH {
        true => text.strip_suffix(word).unwrap_or_default(),
        false => text,
    }
}

/// Redacts all texts of a value, names of fields included.
pub(crate) fn value(value: Value, key: Option<&str>) -> Value {
    match value {
        Value::String(string) => text(&string, key).into(),
        Value::Array(items) => items.into_iter().map(|item| self::value(item, key)).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter();
            fields.map(|(name, field)| (text(&name, key), self::value(field, key))).collect()
        }
        other => other,
    }
}

/// Marks all values sensitive, so that nothing prints them, and removes headers whose names contain
/// the client's key.
pub(crate) fn headers(headers: &mut HeaderMap, key: Option<&str>) {
    headers.values_mut().for_each(|value| value.set_sensitive(true));
    let has_key = |name: &&HeaderName| is_in_name(name.as_str(), key);
    let echoes: Vec<_> = headers.keys().filter(has_key).cloned().collect();
    for name in echoes {
        headers.remove(name);
    }
}

/// Whether a name of a header or a host, which are lower case, contains the client's key.
pub(crate) fn is_in_name(name: &str, key: Option<&str>) -> bool {
    secret(key).is_some_and(|key| position(name, key).is_some())
}

/// The key, unless it is so short that it is only an identifier.
fn secret(key: Option<&str>) -> Option<&str> {
    key.filter(|key| key.len() > IDENTIFIER_LENGTH)
}

fn is_separator(char: char) -> bool {
    !char.is_ascii_alphanumeric()
}

/// Finds the key, in any letter case.
fn position(text: &str, key: &str) -> Option<usize> {
    let mut windows = text.as_bytes().windows(key.len());
    windows.position(|window| window.eq_ignore_ascii_case(key.as_bytes()))
}

fn replace(text: &str, key: &str) -> String {
    let (mut replaced, mut rest) = (String::new(), text);
    // A key is ASCII, so both ends of it are ends of characters.
    while let Some((before, found)) = position(rest, key).and_then(|at| rest.split_at_checked(at)) {
        replaced += before;
        replaced += PLACEHOLDER;
        rest = found.get(key.len()..).unwrap_or_default();
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CLIENTS: Option<&str> = Some("CLIENT+of/the=key");
    const OTHER: &str = "MAKERScanary0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno1";

    #[test]
    fn keys_are_redacted_in_any_letter_case_and_within_longer_words() {
        for (secret, redacted) in [
            ("bad key CLIENT+of/the=key!".to_owned(), "bad key [REDACTED]!"),
            ("client+OF/the=KEYclient+of/the=key".to_owned(), "[REDACTED][REDACTED]"),
            (format!("key%3D{OTHER}"), "key%[REDACTED]"),
            (format!("id_{OTHER}x"), "id_[REDACTED]"),
            ("ü CLIENT+of/the=ke".to_owned(), "ü CLIENT+of/the=ke"),
        ] {
            assert_eq!(text(&secret, CLIENTS), redacted);
        }
    }

    #[test]
    fn an_identifier_and_a_word_shorter_than_a_key_are_not_redacted() {
        assert_eq!(text("bad key abcdef", Some("abcdef")), "bad key abcdef");
        assert_eq!(text("bad key abcdefg", Some("abcdefg")), "bad key [REDACTED]");
        assert!(!is_in_name("x-abcdef", Some("abcdef")));
        assert!(is_in_name("x-abcdefg", Some("abcdefg")));
        let (shorter, as_long) = ("x".repeat(63), "x".repeat(64));
        assert_eq!(text(&format!("{shorter} {as_long}"), None), format!("{shorter} [REDACTED]"));
    }

    #[test]
    fn values_are_redacted_at_any_depth() {
        let redacted = value(json!({ "a": [{ OTHER: OTHER }], "b": 5 }), CLIENTS);
        assert_eq!(redacted, json!({ "a": [{ "[REDACTED]": "[REDACTED]" }], "b": 5 }));
    }

    #[test]
    fn an_end_that_may_be_the_beginning_of_a_key_is_cut_off() {
        for (cut, rest) in [
            ("bad key CLIENT+of/the=ke", "bad key "),
            ("bad key client+o", "bad key "),
            ("created MAKERScanary0123", "created "),
            ("created MAKERSx", "created "),
            ("created MAKERS", "created MAKERS"),
            ("under repair", "under repair"),
            ("", ""),
        ] {
            assert_eq!(without_cut_key(cut, CLIENTS), rest);
        }
    }
}
