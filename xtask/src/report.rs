//! Writes changes for people, and names the version that they ask for.

use std::fmt;

use crate::changes::{Change, Class};

const WIDTH: usize = 100;

/// Writes the changes as text: the class first, then place, change and meaning.
pub fn text(changes: &[Change]) -> String {
    let entry = |change: &Change| {
        let head = format!("{:<10}", change.class.as_str());
        let lines = [
            wrap(&head, &change.place),
            wrap("          ", &change.change),
            wrap("          = ", &change.meaning),
        ];
        lines.concat()
    };
    changes.iter().map(entry).collect()
}

/// Breaks a text into lines that all start in the same column.
fn wrap(head: &str, text: &str) -> String {
    let mut lines = vec![head.to_owned()];
    let indent = head.chars().count();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        let length = lines.last().map_or(0, |line| line.chars().count());
        if !is_empty && length + 1 + word.chars().count() > WIDTH {
            lines.push(" ".repeat(indent));
            is_empty = true;
        }
        if let Some(line) = lines.last_mut() {
            *line += if is_empty { "" } else { " " };
            *line += word;
        }
        is_empty = false;
    }
    lines.join("\n") + "\n"
}

/// A version as Cargo writes it, without what follows the three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u64; 3]);

impl Version {
    /// Reads the version of the workspace from its `Cargo.toml`.
    pub fn of_workspace(manifest: &str) -> Option<Self> {
        let section = manifest.split("[workspace.package]").nth(1)?;
        let lines = section.lines().skip(1).take_while(|line| !line.starts_with('['));
        let mut values = lines.filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == "version").then(|| value.trim().trim_matches('"'))
        });
        Self::parse(values.next()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let numbers = text.split(['-', '+']).next()?.split('.').map(|it| it.parse().ok());
        let numbers: Option<Vec<u64>> = numbers.collect();
        Some(Self(numbers?.try_into().ok()?))
    }

    /// Returns the next version that may contain changes of this class.
    pub fn after(self, class: Class) -> Self {
        let Self([major, minor, patch]) = self;
        match (class, major) {
            (Class::Breaking, 1..) => Self([major + 1, 0, 0]),
            (Class::Breaking, 0) | (Class::Additive, 1..) => Self([major, minor + 1, 0]),
            (Class::Additive, 0) | (Class::Docs, _) => Self([major, minor, patch + 1]),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}
