//! The vendor's documentation page: tables and signatures become facts, and texts become
//! statements. Each line of the page is one of these or a known heading, so a new line cannot go
//! unnoticed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use regex::Regex;
use serde_json::{Value, json};

/// Lines that are only form.
const FORM: &[&str] = &[
    "Method | HTTP request | Description",
    "Name | Type | Description  | Notes",
    "| Status code | Description | Response headers |",
    "### Example",
    "### Parameters",
    "### Return type",
    "### Authorization",
    "### HTTP request headers",
    "### HTTP response details",
];

/// What the page says, with the places of `facts.rs`.
#[derive(Debug, Default)]
pub struct Page {
    pub facts: BTreeMap<String, Value>,
    /// Place and text. Text that belongs to no fact has the place on the page.
    pub statements: BTreeSet<(String, String)>,
}

/// The operation that is being read.
#[derive(Default)]
struct Section {
    group: String,
    id: String,
    path: String,
    request: Option<String>,
    response: String,
    is_code: bool,
}

impl Page {
    pub fn read(text: &str) -> Result<Self> {
        Self::read_lines(text, &Lines::new()?)
    }

    fn read_lines(text: &str, lines: &Lines) -> Result<Self> {
        let mut page = Self::default();
        let mut section = Section::default();
        for line in text.lines() {
            let is_ruler = line.contains("---") && line.chars().all(|it| "-| ".contains(it));
            if line.trim().is_empty() || is_ruler || FORM.contains(&line) {
                continue;
            }
            let known = if line.starts_with("```") {
                section.is_code = !section.is_code;
                true
            } else if section.is_code {
                page.read_code(line, &section, lines);
                true
            } else {
                page.read_line(line, &mut section, lines)?
            };
            if !known {
                let place = if section.id.is_empty() { "page" } else { &section.id };
                page.state(place.to_owned(), line);
            }
        }
        ensure!(!section.id.is_empty(), "there is no operation");
        Ok(page)
    }

    fn state(&mut self, place: String, text: &str) {
        self.statements.insert((place, text.trim().to_owned()));
    }

    fn fact(&mut self, place: String, value: impl Into<Value>) -> Result<()> {
        let value = value.into();
        let before = self.facts.insert(place.clone(), value.clone());
        ensure!(before.is_none_or(|before| before == value), "{place} has two different values");
        Ok(())
    }

    /// Reads the arguments of calls and the comments. The rest of the code is Python's own.
    fn read_code(&mut self, line: &str, section: &Section, lines: &Lines) {
        let id = &section.id;
        if let Some(comment) = line.trim().strip_prefix('#') {
            self.state(format!("{id}.code"), comment);
        } else if let Some([name, value]) = lines.argument.captures(line).map(|it| it.extract().1) {
            match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
                Some(text) => self.state(format!("{}.example", section.parameter(name)), text),
                None => self.state(format!("{id}.code"), line.trim()),
            }
        }
    }

    /// Reads a line. Returns whether it has a known form.
    fn read_line(&mut self, line: &str, section: &mut Section, lines: &Lines) -> Result<bool> {
        let id = section.id.clone();
        if let Some([group]) = lines.group.captures(line).map(|it| it.extract().1) {
            self.fact(format!("tags.{group}.name"), group)?;
            section.group = group.to_owned();
        } else if let Some([url]) = lines.server.captures(line).map(|it| it.extract().1) {
            self.fact(format!("servers.{url}.url"), url)?;
            self.state(format!("servers.{url}.description"), line);
        } else if let Some([id, method, path, summary]) =
            lines.operation.captures(line).map(|it| it.extract().1)
        {
            self.fact(format!("{id}.method"), method)?;
            self.fact(format!("{id}.path"), path)?;
            self.state(format!("{id}.summary"), summary);
            self.fact(format!("{id}.tags"), json!([section.group]))?;
        } else if let Some([id]) = lines.section.captures(line).map(|it| it.extract().1) {
            let path = self.facts.get(&format!("{id}.path")).and_then(Value::as_str);
            let path = path.with_context(|| format!("{id} is not in the table"))?.to_owned();
            let group = section.group.clone();
            *section = Section { group, id: id.to_owned(), path, ..Section::default() };
        } else if let Some([response, arguments]) =
            lines.signature.captures(line).map(|it| it.extract().1)
        {
            let request = arguments.split(", ").find(|argument| argument.ends_with("_request"));
            section.request = request.map(pascal_case);
            section.response = response.to_owned();
            for model in section.request.iter().chain([&section.response]) {
                self.fact(format!("schemas.{model}.type"), "object")?;
            }
        } else if let Some([name, of, text, notes]) =
            lines.parameter.captures(line).map(|it| it.extract().1)
        {
            let place = section.parameter(name);
            self.fact(format!("{place}.required"), !notes.contains("[optional]"))?;
            if !text.trim().is_empty() {
                self.state(format!("{place}.description"), &text.replace("&#x60;", "`"));
            }
            let of = match of {
                "str" => "string",
                "bool" => "boolean",
                other => other,
            };
            if place.starts_with("schemas.") {
                self.fact(format!("{place}.type"), of)?;
            } else {
                self.fact(format!("{place}.schema.type"), of)?;
                self.fact(format!("{place}.name"), name)?;
            }
            // The page does not say where other parameters are.
            if section.path.contains(&format!("{{{name}}}")) {
                self.fact(format!("{place}.in"), "path")?;
            }
        } else if let Some([response]) = lines.response.captures(line).map(|it| it.extract().1) {
            ensure!(
                response == section.response,
                "{id} returns {response}, but not by its signature"
            );
        } else if let Some([scheme]) = lines.security.captures(line).map(|it| it.extract().1) {
            self.fact(format!("security.0.{scheme}"), json!([]))?;
            let place = format!("securitySchemes.{scheme}");
            self.fact(format!("{place}.type"), "apiKey")?;
            self.state(format!("{place}.description"), line);
        } else if let Some([media]) = lines.request_type.captures(line).map(|it| it.extract().1) {
            if let Some(request) = &section.request {
                self.fact(format!("{id}.requestBody.required"), true)?;
                self.fact(format!("{id}.requestBody.content.{media}.schema"), request.as_str())?;
            } else {
                ensure!(media == "Not defined", "{id} has {media} and no request");
            }
        } else if let Some([media]) = lines.response_type.captures(line).map(|it| it.extract().1) {
            let response = section.response.as_str();
            self.fact(format!("{id}.responses.200.content.{media}.schema"), response)?;
        } else if let Some([status, text]) = lines.status.captures(line).map(|it| it.extract().1) {
            self.state(format!("{id}.responses.{status}.description"), text);
        } else {
            if section.response.is_empty() || line.starts_with(['*', '[', '#', '|', '>', ' ']) {
                return Ok(false);
            }
            // Each section begins with the operation's summary in the table.
            let summary = (format!("{id}.summary"), line.to_owned());
            if !self.statements.contains(&summary) {
                self.state(format!("{id}.description"), line);
            }
        }
        Ok(true)
    }
}

/// Puts a new sentence after each line of the page. Returns the lines after which the new sentence
/// is neither an error nor a statement.
pub fn unnoticed(text: &str) -> Result<Vec<&str>> {
    let forms = Lines::new()?;
    let whole = Page::read_lines(text, &forms)?.statements;
    let lines: Vec<_> = text.lines().collect();
    let mut unnoticed = Vec::new();
    let mut is_code = false;
    for (index, line) in lines.iter().enumerate() {
        is_code ^= line.starts_with("```");
        let (before, after) = lines.split_at(index + 1);
        // Only arguments and comments of code are read.
        let sentence = if is_code { "# Ask the owner first." } else { "Ask the owner first." };
        let changed = [before, &[sentence], after].concat().join("\n");
        if Page::read_lines(&changed, &forms).is_ok_and(|page| page.statements == whole) {
            unnoticed.push(*line);
        }
    }
    Ok(unnoticed)
}

impl Section {
    /// Returns the place of a parameter: of the operation's path or query, or of its body.
    fn parameter(&self, name: &str) -> String {
        match &self.request {
            Some(request) if !self.path.contains(&format!("{{{name}}}")) => {
                format!("schemas.{request}.properties.{name}")
            }
            _ => format!("{}.parameters.{name}", self.id),
        }
    }
}

/// The forms of the page's lines.
struct Lines {
    group: Regex,
    server: Regex,
    operation: Regex,
    section: Regex,
    signature: Regex,
    argument: Regex,
    parameter: Regex,
    response: Regex,
    security: Regex,
    request_type: Regex,
    response_type: Regex,
    status: Regex,
}

impl Lines {
    fn new() -> Result<Self> {
        Ok(Self {
            group: Regex::new(r"^# rockset\.(\w+)$")?,
            server: Regex::new(r"^All URIs are relative to \*(\S+)\* or ")?,
            operation: Regex::new(
                r"^\[\*\*(\w+)\*\*\]\(\S+\) \| \*\*(\w+)\*\* (\S+) \| ([^|.]+)$",
            )?,
            section: Regex::new(r"^# \*\*(\w+)\*\*$")?,
            signature: Regex::new(r"^> (\w+) \w+\((.*)\)$")?,
            argument: Regex::new(r"^\s+(\w+)=(.*),$")?,
            parameter: Regex::new(
                r"^ \*\*(\w+)\*\* \| \*\*(\w+)\*\* \| ([^|]*)\|( ?(?:\[optional\])?)$",
            )?,
            response: Regex::new(r"^\[\*\*(\w+)\*\*\]\(\w+\.md\)$")?,
            security: Regex::new(r"^All requests must use (\w+) for \[authorization\]\(\S+\)\.$")?,
            request_type: Regex::new(r"^ - \*\*Content-Type\*\*: (.+)$")?,
            response_type: Regex::new(r"^ - \*\*Accept\*\*: (.+)$")?,
            // The last column is for the response's headers, of which there are none.
            status: Regex::new(r"^\*\*(\d{3})\*\* \| ([^|]+) \|  -  \|$")?,
        })
    }
}

fn pascal_case(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    words.collect()
}
