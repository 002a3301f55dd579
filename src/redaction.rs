//! Keeps API keys out of text that a server sends back: the client's own key, and text that looks
//! like a key.

use reqwest::header::{HeaderMap, HeaderName};

/// What stands in place of a key.
const PLACEHOLDER: &str = "[REDACTED]";

/// The length of a full key, in the vendor's examples.
const KEY_LENGTH: usize = 64;

/// The length of a key's identifier, which is not a secret.
const IDENTIFIER_LENGTH: usize = 6;

/// Returns the text with placeholders for the client's key and for text of a key's length.
pub(crate) fn text(text: &str, key: Option<&str>) -> String {
    let text = match secret(key) {
        Some(key) => text.replace(key, PLACEHOLDER),
        None => text.to_owned(),
    };
    let is_separator = |char: char| !char.is_ascii_alphanumeric();
    let words = text.split_inclusive(is_separator).map(|piece| {
        let word = piece.trim_end_matches(is_separator);
        match piece.strip_prefix(word) {
            Some(separator) if word.len() == KEY_LENGTH => [PLACEHOLDER, separator],
            _ => [piece, ""],
        }
    });
    words.flatten().collect()
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
    let Some(key) = secret(key).map(str::as_bytes) else { return false };
    name.as_bytes().windows(key.len()).any(|part| part.eq_ignore_ascii_case(key))
}

/// The key, unless it is so short that it is only an identifier.
fn secret(key: Option<&str>) -> Option<&str> {
    key.filter(|key| key.len() > IDENTIFIER_LENGTH)
}
