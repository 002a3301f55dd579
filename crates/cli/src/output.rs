//! Standard output: data alone, as a table for a person or in a format for programs.

use std::io::{self, Write};

use rockset_apikeys::{ApiKey, Timestamp};
use serde_json::{Value, json};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::failure::{Code, Failure};
use crate::note;

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

/// The widest table.
const COLUMNS: usize = 100;
const GAP: &str = "  ";

/// In place of a role, where a key has none.
const ALL_ROLES: &str = "(all)";
const NEVER: &str = "never";

/// Writes bytes to standard output.
pub(crate) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Writes data. A reader that has seen enough is no failure.
pub(crate) fn data(bytes: &[u8]) -> Result<Code, Failure> {
    match write(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(&error)),
        _ => Ok(Code::Done),
    }
}

pub(crate) fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::new(Code::Failed, format!("standard output cannot be written: {error}"))
}

/// Writes keys.
pub(crate) fn keys(format: Format, keys: &[ApiKey]) -> Result<Code, Failure> {
    if format != Format::Table {
        return records_of(format, KEY, &keys.iter().map(values).collect::<Vec<_>>());
    }
    let header = ["NAME", "STATE", "ROLE", "EXPIRES (UTC)", "LAST USED (UTC)", "CREATED", "KEY"];
    let rows = keys.iter().map(|key| {
        let date = |time| minute(time).chars().take(10).collect();
        [
            key.name.clone(),
            key.state.as_ref().map_or_else(String::new, ToString::to_string),
            key.role.clone().unwrap_or_else(|| ALL_ROLES.to_owned()),
            key.expiry_time.as_ref().map_or_else(|| NEVER.to_owned(), minute),
            key.last_access_time.as_ref().map_or_else(|| NEVER.to_owned(), minute),
            key.created_at.as_ref().map_or_else(String::new, date),
            key.key.identifier().to_owned(),
        ]
    });
    table(header, rows)
}

/// Writes one key.
pub(crate) fn key(format: Format, key: &ApiKey, include_key: bool) -> Result<Code, Failure> {
    let mut fields = KEY.into_iter().zip(values(key)).collect::<Vec<_>>();
    if include_key {
        fields.push(("key", json!(key.key.full_key())));
    }
    record(format, &fields)
}

/// Writes one record, as a JSON object or a line per field.
pub(crate) fn record(format: Format, record: &[(&'static str, Value)]) -> Result<Code, Failure> {
    match format {
        Format::Table => {
            let width = record.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
            let line = |(name, value): &(&str, Value)| {
                let text = match (*name, value) {
                    ("role", Value::Null) => ALL_ROLES.to_owned(),
                    ("expiry_time" | "last_access_time", Value::Null) => NEVER.to_owned(),
                    _ => printable(&cell(value)),
                };
                format!("{name:width$}{GAP}{text}").trim_end().to_owned() + "\n"
            };
            data(record.iter().map(line).collect::<String>().as_bytes())
        }
        Format::Json => data(format!("{}\n", object(record)).as_bytes()),
        Format::Ndjson => data(format!("{}\n", object(record)).as_bytes()),
        Format::Csv => {
            let names = record.iter().map(|(name, _)| *name);
            let rows = [record.iter().map(|(_, value)| value)];
            data(&csv(names, rows).map_err(|error| failed(&error))?)
        }
    }
}

/// Writes records in a format for programs.
pub(crate) fn records_of<const N: usize>(
    format: Format,
    names: [&'static str; N],
    records: &[[Value; N]],
) -> Result<Code, Failure> {
    let objects = records
        .iter()
        .map(|values| object(&names.into_iter().zip(values.iter().cloned()).collect::<Vec<_>>()));
    match format {
        Format::Ndjson => data(objects.map(|it| format!("{it}\n")).collect::<String>().as_bytes()),
        Format::Csv => data(&csv(names, records).map_err(|error| failed(&error))?),
        _ => data(format!("{}\n", Value::Array(objects.collect())).as_bytes()),
    }
}

/// Returns the lines, the one with the names always.
fn csv<'a>(
    names: impl IntoIterator<Item = &'static str>,
    rows: impl IntoIterator<Item = impl IntoIterator<Item = &'a Value>>,
) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(names)?;
    for row in rows {
        writer.write_record(row.into_iter().map(cell))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn object(record: &[(&'static str, Value)]) -> Value {
    record.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// Returns a value as the text of a cell.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The fields of a key.
const KEY: [&str; 9] = [
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

/// Returns the values of the fields of `KEY`.
fn values(key: &ApiKey) -> [Value; 9] {
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

/// Writes a table. The widest columns are cut until it fits.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<Code, Failure> {
    let rows = std::iter::once(header.map(str::to_owned))
        .chain(rows.map(|row| row.map(|cell| printable(&cell))))
        .collect::<Vec<_>>();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    let mut is_cut = false;
    while widths.iter().sum::<usize>() + GAP.len() * (N - 1) > COLUMNS {
        if let Some(widest) = widths.iter_mut().max() {
            *widest -= 1;
        }
        is_cut = true;
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| fitted(cell, width));
        format!("{}\n", cells.collect::<Vec<_>>().join(GAP).trim_end())
    };
    let code = data(rows.iter().map(line).collect::<String>().as_bytes())?;
    if is_cut {
        note("long texts are cut; --format json has them in full");
    }
    Ok(code)
}

/// Pads or cuts text to a width.
fn fitted(text: &str, width: usize) -> String {
    let mut fitted = String::new();
    let mut used = 0;
    let is_long = text.width() > width;
    for char in text.chars() {
        let next = used + char.width().unwrap_or_default();
        if is_long && next + 1 > width {
            fitted.push('…');
            used += 1;
            break;
        }
        fitted.push(char);
        used = next;
    }
    fitted.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    fitted
}

/// Returns a time to the minute, in UTC.
fn minute(time: &Timestamp) -> String {
    let instant = time.to_jiff();
    instant.map_or_else(|| time.as_str().to_owned(), |it| it.strftime("%Y-%m-%d %H:%M").to_string())
}

/// Escapes the characters by which text from outside could steer a terminal.
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

/// Returns a line for a shell from words.
pub(crate) fn shell_line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "-_./:@=,+".contains(char);
    let quoted = |word: &str| match word {
        _ if !word.is_empty() && word.chars().all(is_plain) => word.to_owned(),
        _ => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}
