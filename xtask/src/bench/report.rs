//! Shows the figures as Markdown.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use serde::Serialize;

use super::{Row, Target, output};

/// What stands before the figures in a published report is written by hand.
const MARK: &str = "<!-- `cargo xtask bench --publish` writes what follows. -->\n";

/// The clients and programs, in the order of columns.
pub const CLIENTS: [(&str, &str); 7] = [
    ("sdk", "rockset-apikeys"),
    ("codegen", "with the generator"),
    ("ring", "with ring"),
    ("generated", "generated client alone"),
    ("hand-written", "reqwest by hand"),
    ("python", "vendor's Python client"),
    ("javascript", "vendor's JavaScript client"),
];

#[derive(Serialize)]
pub struct Report {
    date: String,
    machine: String,
    pub groups: Vec<Group>,
}

/// Rows that are a table.
#[derive(Serialize)]
pub struct Group {
    title: &'static str,
    pub rows: Vec<Row>,
    pub notes: Vec<String>,
}

impl Group {
    pub fn new(title: &'static str, rows: Vec<Row>) -> Self {
        Self { title, rows, notes: Vec::new() }
    }

    fn markdown(&self) -> String {
        let columns: Vec<_> = CLIENTS
            .iter()
            .filter(|(client, _)| self.rows.iter().any(|row| row.values.contains_key(*client)))
            .collect();
        let has_ratios = self.rows.iter().any(|row| row.target.is_some());
        let mut text = format!("\n## {}\n\n| What ", self.title);
        for (_, title) in &columns {
            let _ = write!(text, "| {title} ");
        }
        text += if has_ratios { "| ratio | target |\n" } else { "|\n" };
        text += "| --- ";
        text += &"| ---: ".repeat(columns.len() + if has_ratios { 2 } else { 0 });
        text += "|\n";
        for row in &self.rows {
            let _ = write!(text, "| {} ", row.what);
            for (client, _) in &columns {
                let _ = write!(text, "| {} ", shown(row.value(client)));
            }
            if has_ratios {
                let target = row.target.map_or("–".to_owned(), |target| target.shown(row));
                let _ = write!(text, "| {:.2} | {target} ", row.ratio());
            }
            text += "|\n";
        }
        for note in &self.notes {
            let _ = write!(text, "\n{note}\n");
        }
        text
    }
}

impl Target {
    fn shown(self, row: &Row) -> String {
        // As precise as it is shown.
        let ratio = (row.ratio() * 100.0).round() / 100.0;
        let (target, is_met) = match self {
            Self::RatioAtMost(limit) => (format!("ratio ≤ {limit:.2}"), ratio <= limit),
            Self::RatioAtLeast(limit) => (format!("ratio ≥ {limit:.2}"), ratio >= limit),
            Self::AtMost(limit) => (format!("≤ {limit}"), row.value("sdk") <= limit),
        };
        format!("{target}: {}", if is_met { "met" } else { "**missed**" })
    }
}

impl Report {
    pub fn new(groups: Vec<Group>) -> Result<Self, String> {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let cpu = cpu.map_or("unknown CPU", |(_, name)| name);
        let cores = thread::available_parallelism().map_err(|error| error.to_string())?;
        let (rustc, _) = output(Command::new("rustc").arg("--version"))?;
        let (date, _) = output(Command::new("date").arg("+%F"))?;
        let machine = format!("{cpu}, {cores} cores, {}", rustc.trim());
        Ok(Self { date: date.trim().to_owned(), machine, groups })
    }

    pub fn markdown(&self) -> String {
        let groups: String = self.groups.iter().map(Group::markdown).collect();
        format!("Measured on {}: {}.\n{groups}", self.date, self.machine)
    }

    /// Replaces the figures in a file that has a head written by hand.
    pub fn publish(&self, file: &Path) -> Result<(), String> {
        let name = file.display();
        let text = fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
        let (head, _) = text.split_once(MARK).ok_or_else(|| format!("{name} lacks {MARK}"))?;
        super::write(file, &format!("{head}{MARK}\n{}", self.markdown()))
    }
}

/// Shows a figure with three digits or more.
fn shown(value: f64) -> String {
    match value {
        _ if value.is_nan() => "–".to_owned(),
        _ if value.fract() == 0.0 || value >= 100.0 => grouped(value),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Shows a whole number with commas between thousands.
pub fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
