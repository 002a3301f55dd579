//! Redacts strings from outside that may reveal an API key.
//!
//! A string is replaced as a whole if it contains a piece of the client's key that is longer than a
//! key's identifier, a word that may be half of any key, or an escape for URLs, HTML or JSON that
//! encodes a letter, a digit or a character of the client's key, because these need no escape.
//! Words in a single letter case are not keys if they are hexadecimal (trace IDs and hashes) or
//! contain no digits (names): a random key is neither.

use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;

/// Replaces a redacted string.
pub(crate) const PLACEHOLDER: &str = "[REDACTED]";

/// The length of a key's identifier, which is not secret.
const IDENTIFIER_LENGTH: usize = 6;

/// Half the length of a full key. The other half cannot be guessed.
const HALF_A_KEY: usize = 32;

/// The maximum length of a string that is searched, in bytes. Longer strings are redacted.
const MAX_LENGTH: usize = 1 << 16;

/// The maximum number of times that a string is unescaped: once per nested escape, and more for
/// JSON, which doubles its backslashes each time.
const MAX_UNESCAPES: usize = 8;

/// An escaped character whose code is unknown here, but which is neither a letter nor a digit.
const PUNCTUATION: u8 = 0;

/// Returns the key in the value of the authentication header.
pub(crate) fn key(value: &HeaderValue) -> Option<&str> {
    str::from_utf8(value.as_bytes()).ok()?.splitn(2, ' ').last()
}

/// Returns the string, or the placeholder if it may reveal a key. `key` is the client's.
pub(crate) fn redact<'a>(string: &'a str, key: Option<&str>) -> &'a str {
    if may_reveal(string, key) { PLACEHOLDER } else { string }
}

/// Removes the last word of a truncated body if it may be the beginning of a key.
pub(crate) fn remove_cut_word(text: &str) -> &str {
    // The body may end within an escape.
    let rest =
        text.trim_end_matches(|char: char| char.is_ascii_alphanumeric() || "%&#;\\".contains(char));
    let word = text.get(rest.len()..).unwrap_or_default();
    if word.len() > IDENTIFIER_LENGTH && !is_hexadecimal(word) { rest } else { text }
}

/// Redacts strings and field names at any depth of a value.
pub(crate) fn redact_value(value: Value, key: Option<&str>) -> Value {
    match value {
        Value::String(string) => redact(&string, key).into(),
        Value::Array(items) => items.into_iter().map(|item| redact_value(item, key)).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter();
            fields
                .map(|(name, field)| (redact(&name, key).to_owned(), redact_value(field, key)))
                .collect()
        }
        other => other,
    }
}

/// Returns the headers that reveal no key, marked sensitive. A server may echo its request.
pub(crate) fn headers(headers: &HeaderMap, key: Option<&str>) -> HeaderMap {
    let mut safe = HeaderMap::new();
    for (name, value) in headers {
        let is_safe = |string: &str| !may_reveal(string, key);
        if is_safe(name.as_str()) && value.to_str().is_ok_and(is_safe) {
            let mut value = value.clone();
            value.set_sensitive(true);
            safe.append(name, value);
        }
    }
    safe
}

/// Returns whether a string may reveal a key.
fn may_reveal(text: &str, key: Option<&str>) -> bool {
    // A key as short as an identifier is not secret.
    let key = key.filter(|key| key.len() > IDENTIFIER_LENGTH).unwrap_or_default().as_bytes();
    text.len() > MAX_LENGTH
        || text.split(|char: char| !char.is_ascii_alphanumeric()).any(may_be_a_key)
        || has_piece(text.as_bytes(), key)
        || has_escaped(text.as_bytes(), key)
}

fn may_be_a_key(word: &str) -> bool {
    let is_name = word.bytes().all(|char| char.is_ascii_lowercase())
        || word.bytes().all(|char| char.is_ascii_uppercase());
    word.len() >= HALF_A_KEY && !is_name && !is_hexadecimal(word)
}

/// Returns whether all characters are hexadecimal digits of one letter case.
fn is_hexadecimal(word: &str) -> bool {
    word.bytes().all(|char| matches!(char, b'0'..=b'9' | b'a'..=b'f'))
        || word.bytes().all(|char| matches!(char, b'0'..=b'9' | b'A'..=b'F'))
}

/// Returns whether the string contains a piece of the key that is longer than an identifier,
/// ignoring letter case.
fn has_piece(text: &[u8], key: &[u8]) -> bool {
    const LENGTH: usize = IDENTIFIER_LENGTH + 1;
    text.windows(LENGTH)
        .any(|found| key.windows(LENGTH).any(|piece| piece.eq_ignore_ascii_case(found)))
}

/// Returns whether an escape, possibly nested, encodes a character that needs no escape.
fn has_escaped(text: &[u8], key: &[u8]) -> bool {
    let has_punctuation = !key.iter().all(u8::is_ascii_alphanumeric);
    let is_secret = |char: u8| match char {
        PUNCTUATION => has_punctuation,
        char => char.is_ascii_alphanumeric() || key.contains(&char),
    };
    let mut text = text.to_vec();
    for _ in 0..MAX_UNESCAPES {
        // At each index, because the character before an escape may look like the start of one.
        let tails = (0..text.len()).filter_map(|start| text.get(start..));
        if tails.filter_map(escape).any(|(char, _)| is_secret(char)) {
            return true;
        }
        let unescaped = unescape(&text);
        if unescaped.len() == text.len() {
            return false;
        }
        text = unescaped;
    }
    true
}

fn unescape(mut text: &[u8]) -> Vec<u8> {
    let mut unescaped = Vec::with_capacity(text.len());
    while let [first, ..] = text {
        let (char, length) = escape(text).unwrap_or((*first, 1));
        unescaped.push(char);
        text = text.get(length..).unwrap_or_default();
    }
    unescaped
}

/// Returns the character and the length of the escape at the start of the string.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    Some(match text {
        [b'%', a, b, ..] => (number(&[*a, *b], 16)?, 3),
        [b'\\', b'u', a, b, c, d, ..] => (number(&[*a, *b, *c, *d], 16)?, 6),
        [b'\\', b'x', a, b, ..] => (number(&[*a, *b], 16)?, 4),
        [b'\\', char, ..] if char.is_ascii_punctuation() => (*char, 2),
        [b'&', rest @ ..] => {
            let length = rest.iter().position(|char| *char == b';')?;
            (entity(rest.get(..length)?)?, length + 2)
        }
        _ => return None,
    })
}

/// Returns the character of an HTML entity.
fn entity(name: &[u8]) -> Option<u8> {
    Some(match name {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16)?,
        [b'#', digits @ ..] => number(digits, 10)?,
        // Characters of other escapes, and common ones.
        b"amp" => b'&',
        b"apos" => b'\'',
        b"bsol" => b'\\',
        b"gt" => b'>',
        b"lt" => b'<',
        b"num" => b'#',
        b"percnt" => b'%',
        b"quot" => b'"',
        b"semi" => b';',
        b"" => return None,
        name if name.iter().all(u8::is_ascii_alphanumeric) => PUNCTUATION,
        _ => return None,
    })
}

/// Returns the character with this code. Keys are ASCII, so one byte represents all other
/// characters.
fn number(digits: &[u8], radix: u32) -> Option<u8> {
    let digits = digits.iter().map(|digit| char::from(*digit).to_digit(radix));
    let number = digits
        .reduce(|number, digit| Some(number?.saturating_mul(radix).saturating_add(digit?)))??;
    Some(u8::try_from(number).unwrap_or(u8::MAX))
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::unwrap_used)]
mod tests {
    use std::iter;

    use proptest::prelude::*;
    use proptest::sample::Index;
    use serde_json::json;

    use super::*;

    const CLIENT_KEY: Option<&str> = Some("CLIENT+of/the=key");
    const OTHER: &str = "MAKERScanary0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno1";
    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn string_with_a_piece_of_the_key_is_redacted() {
        for secret in [
            "bad key CLIENT+of/the=key!",
            "client+OF/the=KEY",
            "ü CLIENT+ü",
            "...Of/tHe=...",
            "CLIENT%2Bof%2fthe%3Dkey",
            "%43LIENT%252Bof/the=key",
            "CLIENT&#43;of&#x2F;the&equals;key",
            "CLIENT&amp;#043;of&sol;the=key",
            r"CLIENT\u002bof\/the\u003Dkey",
            r"CLIENT\\u002bof\\\/the=key",
            r"CLIENT\u0026plus;of%5c/the\x3dkey",
            "CLIENT%26%2343%3Bof\\&#x2F;the=key",
            "&percnt;43LIENT",
        ] {
            assert_eq!(redact(secret, CLIENT_KEY), PLACEHOLDER, "{secret}");
        }
        for harmless in
            ["CLIENT of/the =key", "50 % of a&b c \\ d", "a%20b &lt;p&gt; &#8217;", "C:\\users"]
        {
            assert_eq!(redact(harmless, CLIENT_KEY), harmless);
        }
    }

    #[test]
    fn string_with_half_of_an_unknown_key_is_redacted() {
        let (half, less) = (&OTHER[..32], &OTHER[..31]);
        for secret in [
            format!("key%3D{OTHER}"),
            format!("id_{OTHER}x"),
            format!("\\u004d{}.", &half[1..]),
            format!("{less} {half}"),
        ] {
            assert_eq!(redact(&secret, None), PLACEHOLDER, "{secret}");
        }
        assert_eq!(redact(less, None), less);
        let too_long = "-".repeat(MAX_LENGTH + 1);
        assert_eq!(redact(&too_long, None), PLACEHOLDER);
        assert_eq!(redact(&too_long[1..], None), &too_long[1..]);
    }

    #[test]
    fn identifiers_hashes_and_names_are_not_redacted() {
        assert_eq!(redact("bad key abcdef", Some("abcdef")), "bad key abcdef");
        assert_eq!(redact("bad key abcdefg", Some("abcdefg")), PLACEHOLDER);
        let upper_case = HASH.to_ascii_uppercase();
        let uuid = "0cf3a0b6-7a0f-4a47-9d7e-0d3f4f8f0c52";
        let name = "paymentserviceproductionreadonlyreplica";
        let ids = format!("{name} {upper_case} {uuid} {}", &HASH[..32]);
        assert_eq!(redact(&ids, CLIENT_KEY), ids);
        assert_eq!(redact(&format!("{name}1"), CLIENT_KEY), PLACEHOLDER);
    }

    #[test]
    fn values_are_redacted_at_any_depth() {
        let redacted = redact_value(json!({ "a": [{ OTHER: OTHER }], "b": 5 }), CLIENT_KEY);
        assert_eq!(redacted, json!({ "a": [{ "[REDACTED]": "[REDACTED]" }], "b": 5 }));
    }

    #[test]
    fn cut_word_is_removed_if_it_may_begin_a_key() {
        for (cut, rest) in [
            ("created MAKERScanary0123", "created "),
            ("created MAKERSx&#9", "created "),
            ("created MAKERSx\\u006", "created "),
            (HASH, HASH),
            ("created MAKERS", "created MAKERS"),
            ("under repair", "under repair"),
            ("", ""),
        ] {
            assert_eq!(remove_cut_word(cut), rest);
        }
    }

    /// Escapes a character.
    type Escape = fn(char) -> String;

    const ESCAPES: [Escape; 8] = [
        |char| char.to_string(),
        |char| if char == '%' { "%25".to_owned() } else { char.to_string() },
        |char| format!("%{:02X}", u32::from(char)),
        |char| format!("&#{};", u32::from(char)),
        |char| format!("&#x{:04x};", u32::from(char)),
        |char| format!("\\u{:04X}", u32::from(char)),
        |char| match char {
            '"' | '\\' | '/' => format!("\\{char}"),
            _ => char.to_string(),
        },
        |char| match char {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            _ => char.to_string(),
        },
    ];

    /// Strings around a key, including parts of escapes.
    fn context() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[%&#;\\\\ux0-9a-f]{0,9}", Just(PLACEHOLDER.to_owned())]
    }

    /// A key and its characters, each escaped once or twice.
    fn escaped(key: &'static str) -> impl Strategy<Value = (String, Vec<String>)> {
        let inner = prop_oneof![
            prop::collection::vec(0..ESCAPES.len(), 80),
            (0..ESCAPES.len()).prop_map(|escape| vec![escape; 80]),
        ];
        (key, inner, 0..ESCAPES.len()).prop_map(|(key, inner, outer)| {
            let escape = |(char, inner): (char, &usize)| -> String {
                ESCAPES[*inner](char).chars().map(ESCAPES[outer]).collect()
            };
            let escaped = key.chars().zip(&inner).map(escape).collect();
            (key, escaped)
        })
    }

    /// Returns a range of the escaped key, which may start and end within an escape, and the
    /// characters that are complete in it.
    fn part(chars: &[String], from: Index, to: Index) -> (&[String], String) {
        let text = chars.concat();
        let (from, to) = (from.index(text.len() + 1), to.index(text.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let ends = chars.iter().scan(0, |end, char| {
            *end += char.len();
            Some(*end)
        });
        let ends: Vec<_> = iter::once(0).chain(ends).collect();
        let first = ends.partition_point(|end| *end < from);
        let last = ends.partition_point(|end| *end <= to) - 1;
        (chars.get(first..last).unwrap_or_default(), text[from..to].to_owned())
    }

    /// Returns whether the string contains `count` consecutive characters of the key.
    fn contains(text: &str, chars: &[String], count: usize) -> bool {
        let text = text.to_ascii_lowercase();
        let is_contained = |chars: &[String]| text.contains(&chars.concat().to_ascii_lowercase());
        chars.windows(count).any(is_contained)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn pieces_of_the_clients_key_are_redacted(
            (key, chars) in escaped("[!-~]{7,80}"),
            (from, to) in any::<(Index, Index)>(),
            (before, after) in (context(), context()),
        ) {
            let (chars, part) = part(&chars, from, to);
            let message = format!("{before}{part}{after}");
            let redacted = redact(&message, Some(&key));
            prop_assert!(!contains(redacted, chars, IDENTIFIER_LENGTH + 1), "{}", redacted);
        }

        #[test]
        fn halves_of_unknown_keys_are_redacted(
            (_, chars) in escaped("[g-zG-Z]{64}"),
            (from, to) in any::<(Index, Index)>(),
            (before, after) in (context(), context()),
        ) {
            let (chars, part) = part(&chars, from, to);
            let message = format!("{before}{part}{after}");
            let redacted = redact(&message, CLIENT_KEY);
            prop_assert!(!contains(redacted, chars, HALF_A_KEY), "{}", redacted);
            let message = format!("{before} {part}");
            let cut = remove_cut_word(redact(&message, CLIENT_KEY));
            prop_assert!(!contains(cut, chars, IDENTIFIER_LENGTH + 1), "{}", cut);
        }

        #[test]
        fn strings_without_a_key_are_not_redacted(
            key in "[!-~]{7,80}",
            words in prop::collection::vec("[a-zA-Z0-9]{1,6}|[0-9a-f]{1,99}|[0-9A-F]{1,99}", 0..9),
        ) {
            let message = words.join(" ");
            prop_assume!(!has_piece(message.as_bytes(), key.as_bytes()));
            prop_assert_eq!(redact(&message, Some(&key)), &*message);
        }
    }
}
