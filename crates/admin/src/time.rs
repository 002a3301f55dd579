//! The server's clock, which decides when keys expire and how old they are.

use rockset_apikeys::CallReport;
use rockset_apikeys::jiff::Timestamp;
use rockset_apikeys::jiff::fmt::rfc2822::DateTimeParser;

/// Returns the time at the server, to the second, or the local time if the response has none.
pub(crate) fn server_time(report: &CallReport) -> Timestamp {
    let date = report.headers().get("date").and_then(|date| date.to_str().ok());
    date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok())
        .unwrap_or_else(Timestamp::now)
}
