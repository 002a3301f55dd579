//! Redacts API keys in text from outside.
//!
//! The client's own key is known: each piece of it that is longer than a key's identifier is
//! redacted, in any letter case. Other keys are not known: a word of letters and digits is redacted
//! if it is at least half as long as a key. Of text that was cut off, a last word that is longer
//! than an identifier is left out. Words of hexadecimal digits in one letter case stay, and words
//! without digits in one letter case: ids, hashes and names are such, and a random key is not.
//!
//! All of this holds for escaped characters, too; `escape` reads them.

use std::iter;
use std::ops::Range;

use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;

use crate::escape::{Text, begins_escape};

/// What stands in place of a key.
const PLACEHOLDER: &str = "[REDACTED]";

/// The length of a key's identifier, which is not a secret.
const IDENTIFIER_LENGTH: usize = 6;

/// Half the length of a full key. The other half cannot be guessed.
const HALF_A_KEY: usize = 32;

/// The longest text that is searched, in bytes. The search of a text that a server makes up for it
/// takes a thousand times as long as that of a message.
const LONGEST_TEXT: usize = 1 << 16;

/// Returns the text with placeholders for what may be a key, and of a long one the beginning.
pub(crate) fn text(text: &str, key: Option<&str>) -> String {
    // A character has up to 4 bytes.
    let ends = LONGEST_TEXT - 3..=LONGEST_TEXT;
    match ends.rev().find_map(|end| text.get(..end)) {
        Some(beginning) if beginning.len() < text.len() => cut_text(beginning, key),
        _ => redacted(text, key),
    }
}

fn redacted(text: &str, key: Option<&str>) -> String {
    let text = match secret(key) {
        Some(key) => replace(text, |text| pieces(text, key)),
        None => text.to_owned(),
    };
    replace(&text, words)
}

/// Returns the text of a body that was cut off, with placeholders for what may be a key, and
/// without an end that may be the beginning of one.
pub(crate) fn cut_text(text: &str, key: Option<&str>) -> String {
    let mut text = redacted(text, key);
    // The cut may be within an escape.
    let rest =
        text.trim_end_matches(|char: char| char.is_ascii_alphanumeric() || "%&#;\\".contains(char));
    let end = text.get(rest.len()..).unwrap_or_default();
    if end.len() > IDENTIFIER_LENGTH && !is_hexadecimal(end.bytes()) {
        text.truncate(rest.len());
    }
    text
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
/// the client's key. Every response passes here, so names are not searched for pieces of it.
pub(crate) fn headers(headers: &mut HeaderMap, key: Option<&str>) {
    headers.values_mut().for_each(|value| value.set_sensitive(true));
    let Some(key) = secret(key) else { return };
    let has_key = |name: &&HeaderName| {
        let mut windows = name.as_str().as_bytes().windows(key.len());
        windows.any(|window| window.eq_ignore_ascii_case(key.as_bytes()))
    };
    let echoes: Vec<_> = headers.keys().filter(has_key).cloned().collect();
    for name in echoes {
        headers.remove(name);
    }
}

/// Whether a host's name contains a piece of the client's key.
pub(crate) fn is_in_host(name: &str, key: Option<&str>) -> bool {
    secret(key).is_some_and(|key| !pieces(name, key).is_empty())
}

/// The key, unless it is so short that it is only an identifier.
fn secret(key: Option<&str>) -> Option<&str> {
    key.filter(|key| key.len() > IDENTIFIER_LENGTH)
}

/// Replaces what is found. Existing placeholders are not searched, so that redacting again changes
/// nothing.
fn replace(text: &str, find: impl Fn(&str) -> Vec<Range<usize>>) -> String {
    let replaced = text.split(PLACEHOLDER).map(|text| {
        let (mut replaced, mut end) = (String::new(), 0);
        for found in find(text) {
            replaced += text.get(end..found.start).unwrap_or_default();
            replaced += PLACEHOLDER;
            end = found.end;
        }
        replaced + text.get(end..).unwrap_or_default()
    });
    replaced.collect::<Vec<_>>().join(PLACEHOLDER)
}

/// A run of characters of the key.
struct Piece {
    range: Range<usize>,
    length: usize,
}

/// Finds the pieces of the key that are longer than an identifier.
fn pieces(text: &str, key: &str) -> Vec<Range<usize>> {
    let (key, text) = (key.as_bytes(), Text::new(text));
    // Where in the key each character is. A few characters share a list.
    let mut places = vec![Vec::new(); 32];
    for (place, char) in key.iter().enumerate() {
        if let Some(places) = places.get_mut(usize::from(char % 32)) {
            places.push(place);
        }
    }
    let is_at =
        |place: usize, char: u8| key.get(place).is_some_and(|it| it.eq_ignore_ascii_case(&char));
    let places = |char: u8| places.get(usize::from(char % 32)).into_iter().flatten().copied();
    let may_go_on = |place: usize, end: usize| {
        text.bytes.get(end).is_some_and(|&char| begins_escape(char) || is_at(place + 1, char))
    };
    let (mut found, mut reached) = (Vec::new(), 0);
    // For each place in the key, the pieces that it may continue.
    let mut begun: Vec<Vec<Piece>> = iter::repeat_with(Vec::new).take(key.len()).collect();
    for (at, &char) in text.bytes.iter().enumerate() {
        // Most places have no character of the key, or not one that the next continues.
        if reached < at && !begins_escape(char) && !places(char).any(|it| may_go_on(it, at + 1)) {
            continue;
        }
        for reading in text.readings(at) {
            let end = at + usize::from(reading.length);
            for place in places(reading.char).filter(|place| is_at(*place, reading.char)) {
                let begun_here = begun.get(place).into_iter().flatten();
                let longest = begun_here.filter(|it| it.range.end == at).max_by_key(|it| it.length);
                let (start, length) = longest.map_or((at, 1), |it| (it.range.start, it.length + 1));
                if length > IDENTIFIER_LENGTH {
                    add(&mut found, start..end);
                }
                if let Some(begun) = begun.get_mut(place + 1)
                    && may_go_on(place, end)
                {
                    begun.retain(|it| it.range.end >= at);
                    begun.push(Piece { range: start..end, length });
                    reached = reached.max(end);
                }
            }
        }
    }
    found
}

/// Adds a range, merged with those that it overlaps.
fn add(ranges: &mut Vec<Range<usize>>, mut range: Range<usize>) {
    while let Some(last) = ranges.pop_if(|last| last.end > range.start) {
        range = last.start.min(range.start)..last.end.max(range.end);
    }
    ranges.push(range);
}

/// Finds the words that are at least half as long as a key, and look like one.
fn words(text: &str) -> Vec<Range<usize>> {
    let text = Text::new(text);
    let is_key = |word: &Range<usize>, length| {
        length >= HALF_A_KEY && {
            let word = || text.unescaped(word.start).take(length);
            !is_hexadecimal(word()) && !is_name(word())
        }
    };
    let (mut found, mut word, mut length) = (Vec::new(), 0..0, 0);
    loop {
        let reading = text.unescaped.get(word.end);
        let end = word.end + reading.map_or(0, |reading| usize::from(reading.length));
        if reading.is_some_and(|reading| reading.char.is_ascii_alphanumeric()) {
            word.end = end;
            length += 1;
            continue;
        }
        if is_key(&word, length) {
            found.push(word);
        }
        if reading.is_none() {
            return found;
        }
        (word, length) = (end..end, 0);
    }
}

/// Whether all are hexadecimal digits of one letter case.
fn is_hexadecimal(word: impl Iterator<Item = u8> + Clone) -> bool {
    word.clone().all(|char| matches!(char, b'0'..=b'9' | b'a'..=b'f'))
        || word.clone().all(|char| matches!(char, b'0'..=b'9' | b'A'..=b'F'))
}

/// Whether all are letters of one case.
fn is_name(word: impl Iterator<Item = u8> + Clone) -> bool {
    word.clone().all(|char| char.is_ascii_lowercase())
        || word.clone().all(|char| char.is_ascii_uppercase())
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;
    use serde_json::json;

    use super::*;

    const CLIENTS: Option<&str> = Some("CLIENT+of/the=key");
    const OTHER: &str = "MAKERScanary0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno1";
    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn pieces_of_the_clients_key_are_redacted_in_any_letter_case() {
        for (secret, redacted) in [
            ("bad key CLIENT+of/the=key!", "bad key [REDACTED]!"),
            ("client+OF/the=KEYclient+of/the=key", "[REDACTED][REDACTED]"),
            ("ü CLIENT+ü", "ü [REDACTED]ü"),
            ("...Of/tHe=...", "...[REDACTED]..."),
            ("CLIENT of/the =key", "CLIENT of/the =key"),
        ] {
            assert_eq!(text(secret, CLIENTS), redacted);
        }
    }

    #[test]
    fn escaped_keys_are_redacted() {
        for secret in [
            "CLIENT%2Bof%2fthe%3Dkey",
            "%43LIENT%252Bof/the=key",
            "CLIENT&#43;of&#x2F;the&equals;key",
            "CLIENT&amp;#043;of&sol;the=key",
            r"CLIENT\u002bof\/the\u003Dkey",
            r"CLIENT\\u002bof\\\/the=key",
            r"CLIENT\u0026plus;of%5c/the\x3dkey",
            "CLIENT%26%2343%3Bof\\&#x2F;the=key",
        ] {
            assert_eq!(text(&format!("<{secret}>"), CLIENTS), "<[REDACTED]>");
        }
    }

    #[test]
    fn of_a_long_text_only_the_beginning_is_kept_without_a_key_that_the_end_cuts() {
        let long = format!("{} {OTHER} more", "-".repeat(LONGEST_TEXT - 12));
        assert_eq!(text(&long, CLIENTS), format!("{} ", "-".repeat(LONGEST_TEXT - 12)));
        let long = "ü".repeat(LONGEST_TEXT);
        assert_eq!(text(&long, None).len(), LONGEST_TEXT);
        // Not cut, so its last word stays.
        let whole = format!("{} identifier", "-".repeat(LONGEST_TEXT - 11));
        assert_eq!(text(&whole, None), whole);
    }

    #[test]
    fn names_of_letters_in_one_case_are_not_redacted() {
        let name = "paymentserviceproductionreadonlyreplica";
        for name in [name.to_owned(), name.to_uppercase()] {
            assert_eq!(text(&name, CLIENTS), name);
        }
        assert_eq!(text(&format!("{name}1"), CLIENTS), PLACEHOLDER);
    }

    #[test]
    fn half_of_an_unknown_key_is_redacted() {
        let (half, less) = (&OTHER[..32], &OTHER[..31]);
        for (secret, redacted) in [
            (format!("key%3D{OTHER}"), "key%3D[REDACTED]".to_owned()),
            (format!("id_{OTHER}x"), "id_[REDACTED]".to_owned()),
            (format!("\\u004d{}.", &half[1..]), "[REDACTED].".to_owned()),
            (format!("{less} {half}"), format!("{less} [REDACTED]")),
        ] {
            assert_eq!(text(&secret, CLIENTS), redacted);
        }
    }

    #[test]
    fn identifiers_are_not_redacted() {
        assert_eq!(text("bad key abcdef", Some("abcdef")), "bad key abcdef");
        assert_eq!(text("bad key abcdefg", Some("abcdefg")), "bad key [REDACTED]");
        assert!(!is_in_host("abcdef.example", Some("abcdefg")));
        assert!(is_in_host("abcdefg.example", Some("ABCDEFGh")));
        let upper_case = HASH.to_ascii_uppercase();
        let uuid = "0cf3a0b6-7a0f-4a47-9d7e-0d3f4f8f0c52";
        let ids = format!("{HASH} {upper_case} {uuid} {}", &HASH[..32]);
        assert_eq!(text(&ids, CLIENTS), ids);
        assert_eq!(cut_text(&ids, CLIENTS), ids);
    }

    #[test]
    fn values_are_redacted_at_any_depth() {
        let redacted = value(json!({ "a": [{ OTHER: OTHER }], "b": 5 }), CLIENTS);
        assert_eq!(redacted, json!({ "a": [{ "[REDACTED]": "[REDACTED]" }], "b": 5 }));
    }

    #[test]
    fn an_end_that_may_be_the_beginning_of_a_key_is_cut_off() {
        for (cut, rest) in [
            ("bad key CLIENT+of/the=ke", "bad key [REDACTED]"),
            ("bad key client+o%2", "bad key [REDACTED]%2"),
            ("created MAKERScanary0123", "created "),
            ("created MAKERSx", "created "),
            ("created MAKERSx&#9", "created "),
            (HASH, HASH),
            ("created MAKERSx\\u006", "created "),
            ("created MAKERS", "created MAKERS"),
            ("under repair", "under repair"),
            ("", ""),
        ] {
            assert_eq!(cut_text(cut, CLIENTS), rest);
        }
    }

    /// A way to escape a character.
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

    /// Text around a key, also such that could be a part of an escape.
    fn around() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[%&#;\\\\ux0-9a-f]{0,9}", Just(PLACEHOLDER.to_owned())]
    }

    /// A key's characters, each escaped in some way, twice or once.
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

    /// Returns a part of these characters, and that part of their text, which may begin and end
    /// within a character.
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

    /// Whether so many consecutive characters are in the text.
    fn contains(text: &str, chars: &[String], count: usize) -> bool {
        let text = text.to_ascii_lowercase();
        let is_contained = |chars: &[String]| text.contains(&chars.concat().to_ascii_lowercase());
        chars.windows(count).any(is_contained)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_piece_of_the_clients_key_remains(
            (key, chars) in escaped("[!-~]{7,80}"),
            (from, to) in any::<(Index, Index)>(),
            (before, after) in (around(), around()),
        ) {
            let (chars, part) = part(&chars, from, to);
            let redacted = text(&format!("{before}{part}{after}"), Some(&key));
            prop_assert!(!contains(&redacted, chars, IDENTIFIER_LENGTH + 1), "{}", redacted);
            prop_assert_eq!(text(&redacted, Some(&key)), redacted);
        }

        #[test]
        fn no_half_of_an_unknown_key_remains(
            (_, chars) in escaped("[g-zG-Z]{64}"),
            (from, to) in any::<(Index, Index)>(),
            (before, after) in (around(), around()),
        ) {
            let (chars, part) = part(&chars, from, to);
            let redacted = text(&format!("{before}{part}{after}"), CLIENTS);
            prop_assert!(!contains(&redacted, chars, HALF_A_KEY), "{}", redacted);
            prop_assert_eq!(text(&redacted, CLIENTS), redacted);
            let cut = cut_text(&format!("{before} {part}"), CLIENTS);
            prop_assert!(!contains(&cut, chars, IDENTIFIER_LENGTH + 1), "{}", cut);
        }

        #[test]
        fn a_text_without_a_key_is_unchanged(
            key in "[!-~]{7,80}",
            other in any::<String>(),
            words in prop::collection::vec("[a-zA-Z0-9]{1,31}|[0-9a-f]{1,99}|[0-9A-F]{1,99}", 0..9),
        ) {
            let without_key = words.join(" ") + " " + &other;
            prop_assert_eq!(text(&without_key, Some(&key)), without_key);
        }
    }
}
