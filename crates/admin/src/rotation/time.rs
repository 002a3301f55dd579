//! The server's clock, by which keys expire and waits end.

use rockset_apikeys::CallReport;
use rockset_apikeys::jiff::Timestamp;
use rockset_apikeys::jiff::fmt::rfc2822::DateTimeParser;

/// Returns the time at the server, to the second, or this machine's if the response has none.
pub(super) fn server_time(report: &CallReport) -> Timestamp {
    let date = report.headers().get("date").and_then(|date| date.to_str().ok());
    date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok())
        .unwrap_or_else(Timestamp::now)
}
