//! What the program prints: data to standard output, in a human-readable table or a
//! machine-readable format, and messages to standard error.

use std::io::{self, Write};
use std::iter;
use std::process::ExitCode;

use rockset_apikeys::{ApiKey, Timestamp};
use serde_json::{Value, json};
use tabled::builder::Builder;
use tabled::settings::peaker::Priority;
use tabled::settings::{Padding, Style, Width};

use crate::failure::{Code, Failure};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A table of up to 100 columns
    #[default]
    Table,
    /// One JSON value
    Json,
    /// One JSON object per line
    Ndjson,
    /// Comma-separated values with a header
    Csv,
}

const TABLE_WIDTH: usize = 100;
const GAP: usize = 2;

/// Shown for a key without a role.
const ALL_ROLES: &str = "(all)";
const NEVER: &str = "never";

/// Writes a message to standard error, and ignores a failure to write it.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(text));
}

/// Writes a failure to standard error, in JSON or as human-readable lines.
pub(crate) fn failure(format: Format, failure: Failure) -> ExitCode {
    let Failure { code, message, next, call } = failure;
    if format == Format::Json {
        let mut error = call;
        error.insert("exit_code".to_owned(), json!(code as u8));
        error.insert("message".to_owned(), json!(message));
        error.insert("next".to_owned(), json!(next));
        let _ = writeln!(io::stderr(), "{}", json!({ "error": error }));
    } else {
        note(&format!("error: {message}"));
        if let Some(next) = next {
            note(&format!("next: {next}"));
        }
    }
    code.into()
}

/// Writes bytes to standard output.
pub(crate) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Writes data to standard output. A closed pipe is not an error.
pub(crate) fn data(bytes: impl AsRef<[u8]>) -> Result<Code, Failure> {
    match write(bytes.as_ref()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(&error)),
        _ => Ok(Code::Success),
    }
}

pub(crate) fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::new(Code::Failed, format!("cannot write to standard output: {error}"))
}

/// Writes keys.
pub(crate) fn keys(format: Format, keys: &[ApiKey]) -> Result<Code, Failure> {
    if format != Format::Table {
        return records(format, &KEY_FIELDS, keys.iter().map(key_values));
    }
    let header = ["NAME", "STATE", "ROLE", "EXPIRES (UTC)", "LAST USED (UTC)", "CREATED", "KEY"];
    let or_never = |time: &Option<Timestamp>| time.as_ref().map_or_else(|| NEVER.into(), minute);
    let rows = keys.iter().map(|key| {
        let date = |time| minute(time).chars().take(10).collect();
        [
            key.name.clone(),
            key.state.as_ref().map_or_else(String::new, ToString::to_string),
            key.role.clone().unwrap_or_else(|| ALL_ROLES.to_owned()),
            or_never(&key.expiry_time),
            or_never(&key.last_access_time),
            key.created_at.as_ref().map_or_else(String::new, date),
            key.key.identifier().to_owned(),
        ]
    });
    table(header, rows)
}

/// Writes one key.
pub(crate) fn key(format: Format, key: &ApiKey, show_value: bool) -> Result<Code, Failure> {
    let mut fields = KEY_FIELDS.into_iter().zip(key_values(key)).collect::<Vec<_>>();
    if show_value {
        fields.push(("key", json!(key.key.full_key())));
    }
    record(format, &fields)
}

const KEY_FIELDS: [&str; 9] = [
    "name",
    "state",
    "role",
    "created_by",
    "created_by_apikey_name",
    "created_at",
    "expiry_time",
    "last_access_time",
    "identifier",
];

/// Returns the values of `KEY_FIELDS`.
fn key_values(key: &ApiKey) -> [Value; 9] {
    [
        json!(key.name),
        json!(key.state),
        json!(key.role),
        json!(key.created_by),
        json!(key.created_by_apikey_name),
        json!(key.created_at),
        json!(key.expiry_time),
        json!(key.last_access_time),
        json!(key.key.identifier()),
    ]
}

/// Writes one record: a JSON object, or a line per field.
pub(crate) fn record(format: Format, fields: &[(&str, Value)]) -> Result<Code, Failure> {
    let (names, values): (Vec<_>, Vec<_>) = fields.iter().cloned().unzip();
    match format {
        Format::Table => {
            let text = |(name, value): &(&str, Value)| match (*name, value) {
                ("role", Value::Null) => ALL_ROLES.to_owned(),
                ("expiry_time" | "last_access_time", Value::Null) => NEVER.to_owned(),
                _ => cell(value),
            };
            let rows = fields.iter().map(|field| [field.0.to_owned(), text(field)]);
            data(aligned(rows, usize::MAX).0)
        }
        Format::Json | Format::Ndjson => data(format!("{}\n", object(&names, values))),
        Format::Csv => records(format, &names, iter::once(values)),
    }
}

/// Writes records in a machine-readable format.
pub(crate) fn records<R: IntoIterator<Item = Value>>(
    format: Format,
    names: &[&str],
    records: impl Iterator<Item = R>,
) -> Result<Code, Failure> {
    match format {
        Format::Csv => {
            let rows = records.map(|values| values.into_iter().map(|it| cell(&it)).collect());
            data(csv(names, rows).map_err(|error| failed(&error))?)
        }
        Format::Ndjson => {
            let lines = records.map(|values| format!("{}\n", object(names, values)));
            data(lines.collect::<String>())
        }
        Format::Json | Format::Table => {
            let objects = records.map(|values| object(names, values)).collect();
            data(format!("{}\n", Value::Array(objects)))
        }
    }
}

/// Returns lines of CSV. The header is there even if no rows follow.
fn csv(names: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(names)?;
    for row in rows {
        writer.write_record(row)?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn object(names: &[&str], values: impl IntoIterator<Item = Value>) -> Value {
    names.iter().map(|&name| name.to_owned()).zip(values).collect()
}

/// Returns a value as the contents of a cell.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Writes a table.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<Code, Failure> {
    let rows = iter::once(header.map(str::to_owned)).chain(rows);
    let (table, is_cut) = aligned(rows, TABLE_WIDTH);
    let code = data(table)?;
    if is_cut {
        note("the table is cut; use --format json for complete values");
    }
    Ok(code)
}

/// Aligns columns. If the rows are too wide, cuts the widest columns and returns true as well.
fn aligned<const N: usize>(
    rows: impl Iterator<Item = [String; N]>,
    width: usize,
) -> (String, bool) {
    let rows = rows.map(|row| row.map(|cell| printable(&cell)));
    let mut table = Builder::from_iter(rows).build();
    table.with(Style::empty()).with(Padding::new(0, GAP, 0, 0));
    // The last column's padding is removed below.
    let width = width.saturating_add(GAP);
    let is_cut = table.total_width() > width;
    if is_cut {
        table.with(Width::truncate(width).suffix("…").priority(Priority::max(true)));
    }
    let lines = table.to_string();
    (lines.lines().map(|line| format!("{}\n", line.trim_end())).collect(), is_cut)
}

/// Formats a timestamp in UTC, to the minute.
fn minute(time: &Timestamp) -> String {
    time.to_jiff()
        .map_or_else(|| time.to_string(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
}

/// Escapes the characters with which external data could control a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                printable.extend(char.escape_unicode());
            }
            _ if char.is_control() => printable.extend(char.escape_default()),
            _ => printable.push(char),
        }
    }
    printable
}
