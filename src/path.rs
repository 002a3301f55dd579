//! Path segments: which texts a URL can carry as one, and how they are encoded.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// The characters that are encoded: all but the unreserved ones of RFC 3986, as in the vendor's
/// clients.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Rejects a text that no URL can carry as a path segment. URL parsers drop an empty segment and
/// resolve `.` and `..`, even encoded.
pub(crate) fn check(parameter: &str, value: &str) -> Result<(), String> {
    match value {
        "" => Err(format!("the {parameter} is empty")),
        "." | ".." => {
            Err(format!("the {parameter} is `{value}`, which URLs resolve as a relative path"))
        }
        _ => Ok(()),
    }
}

/// Encodes a path segment. Generated code calls this in place of the generator's own function.
pub(crate) fn segment<'a>(parameter: &str, value: &'a str) -> Result<PercentEncode<'a>, String> {
    check(parameter, value)?;
    Ok(encode(value))
}

fn encode(value: &str) -> PercentEncode<'_> {
    utf8_percent_encode(value, ENCODED)
}

/// Returns a regular expression for paths with this segment in place of the template's `{}`.
/// Generated mocks call this.
#[cfg(feature = "httpmock")]
pub(crate) fn pattern(template: &str, segment: impl std::fmt::Display) -> String {
    template.replacen("{}", &regex::escape(&encode(&segment.to_string()).to_string()), 1)
}
