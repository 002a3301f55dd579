//! Compares the contract with the vendor's documentation page and published clients.
//!
//! Each of them becomes a table of facts, from places to values. A place starts with the ID of an
//! operation, the name of a schema (`schemas.ApiKey`) or a key of the document; references are
//! followed. `facts.json` records the page's facts, and is compared with the page if that exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, ensure};
use heck::ToUpperCamelCase as _;
use regex::{Captures, Regex};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::contract::{Contract, entries};
use crate::outcome::Outcome;
use crate::tools::{self, JAVASCRIPT_CLIENT, PYTHON_CLIENT, Tools};

const PAGE: &str = "../shared/docs/APIKeys.md";
const RECORDED: &str = "checks/conformance/facts.json";

/// The part of a JSON pointer to a mark.
const MARK: &str = "/x-source";

/// The value of a missing fact.
const NOTHING: Value = Value::Null;

type Facts = BTreeMap<String, Value>;

/// The content of `facts.json`. A place that begins with `*` occurs in each operation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    page: Facts,
    /// Facts of the vendor's Go client, which the check does not install.
    go: Facts,
    /// The contract's wording of the page's words.
    wording: BTreeMap<String, String>,
    /// The reasons why the contract leaves out facts of the page.
    left_out: Facts,
    /// Places at which a client intentionally differs from the contract, by the reason.
    differences: BTreeMap<String, BTreeSet<String>>,
}

/// The sources that the contract is compared with.
struct Evidence {
    page: Facts,
    wording: BTreeMap<String, String>,
    clients: Vec<(&'static str, Facts)>,
    differences: BTreeSet<String>,
}

/// The source of a fact, which the contract's marks `x-source` name.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Source {
    /// The documentation page, which needs no mark.
    #[serde(skip)]
    Page,
    Clients,
    Later,
    Project,
}

#[derive(Clone, Debug, PartialEq)]
struct Fact {
    value: Value,
    source: Source,
}

pub async fn run(tools: &Tools, outcome: &mut Outcome) -> Result<()> {
    let recorded = fs::read_to_string(tools.root.join(RECORDED)).context(RECORDED)?;
    let recorded: Recorded = serde_json::from_str(&recorded).context(RECORDED)?;
    let operations: Vec<_> =
        recorded.page.keys().filter_map(|place| place.strip_suffix(".path")).collect();
    let expand = |places: &Facts| -> Facts {
        let copies = places.iter().flat_map(|(place, value)| {
            let copies = match place.strip_prefix('*') {
                Some(rest) => operations.iter().map(|id| format!("{id}{rest}")).collect(),
                None => vec![place.clone()],
            };
            copies.into_iter().map(move |place| (place, value.clone()))
        });
        copies.collect()
    };
    let mut page = expand(&recorded.page);
    if let Ok(text) = fs::read_to_string(tools.root.join(PAGE)) {
        let forms = Forms::new()?;
        let read = read(&text, &forms).context(PAGE)?;
        for place in read.keys().chain(page.keys()).collect::<BTreeSet<_>>() {
            let [found, expected] =
                [&read, &page].map(|facts| facts.get(place).unwrap_or(&NOTHING));
            let name = format!("{place}: the page has {found}, {RECORDED} has {expected}");
            outcome.check(name, found == expected);
        }
        let unnoticed = unnoticed(&text, &read, &forms);
        let name = format!("the reader notices a new sentence, but not after {unnoticed:?}");
        outcome.check(name, unnoticed.is_empty());
        outcome.note(format!("{RECORDED} was compared with {PAGE}."));
        page = read;
    } else {
        outcome.note(format!("{PAGE} is missing; {RECORDED} replaces it."));
    }
    for place in expand(&recorded.left_out).keys() {
        let is_on_page = page.remove(place).is_some();
        outcome.check(format!("the page has {place}, which the contract leaves out"), is_on_page);
    }

    let python = tools.python_script("published.py", PYTHON_CLIENT).await?;
    let javascript = tools.node_script("published.mjs", JAVASCRIPT_CLIENT).await?;
    let mut clients = vec![("Go", expand(&recorded.go))];
    for (name, mut script) in [("Python", python), ("JavaScript", javascript)] {
        clients.push((name, serde_json::from_str(&tools::run(&mut script).await?).context(name)?));
    }
    for (name, facts) in &clients {
        outcome.note(format!("The {name} client has {} facts.", facts.len()));
    }
    for (reason, places) in &recorded.differences {
        outcome.note(format!("Intended differences, {} facts: {reason}", places.len()));
    }
    let differences = recorded.differences.into_values().flatten().collect();
    let evidence = Evidence { page, wording: recorded.wording, clients, differences };

    let contract = Contract::load();
    let compared = evidence.compare(&contract);
    // If the contract itself fails, so does each mutant, which then proves nothing.
    if compared.failures.is_empty() {
        evidence.compare_mutants(&contract, outcome);
    }
    outcome.extend(compared);
    Ok(())
}

impl Evidence {
    /// Compares a contract with the evidence, and the evidence with the contract.
    fn compare(&self, contract: &Contract) -> Outcome {
        let mut outcome = Outcome::default();
        for pointer in pointers(&contract.0).iter().filter(|pointer| pointer.contains(MARK)) {
            let mark = contract.0.pointer(pointer).unwrap_or(&Value::Null);
            let is_source = mark.is_object() || Source::deserialize(mark).is_ok();
            let has_target = contract.0.pointer(&pointer.replacen(MARK, "", 1)).is_some();
            let name = format_args!("{pointer}: {mark} is a source, and the marked word exists");
            outcome.check(name, is_source && has_target);
        }
        let facts = Flat::of(contract);
        for (place, Fact { value, source }) in &facts {
            let due = self.source(place, value);
            // The packages do not show when a fact was added.
            let is_due = *source == due || (*source, due) == (Source::Later, Source::Clients);
            let name =
                format_args!("{place} = {value} has the source {source:?}, expected {due:?}");
            outcome.check(name, is_due);
        }
        let found = |place| facts.get(place).map_or(&NOTHING, |fact| &fact.value);
        for (place, stated) in &self.page {
            let (found, wording) = (found(place), self.wording(stated));
            let agrees = match (found.as_str(), wording.as_str()) {
                (Some(found), Some(wording)) if is_text(place) => found.contains(wording),
                _ => *found == wording,
            };
            let name = format_args!(
                "{place} = {stated} on the page: the contract has {found}, expected {wording}"
            );
            outcome.check(name, agrees);
        }
        let mut differing = BTreeSet::new();
        for (client, facts) in &self.clients {
            for (place, stated) in facts {
                let found = found(place);
                let differs = !is_text(place) && found != stated;
                if differs {
                    differing.insert(place);
                }
                let name = format_args!(
                    "{place} = {stated} in the {client} client: the contract has {found}"
                );
                let agrees = !differs || self.differences.contains(place);
                outcome.check(name, !found.is_null() && agrees);
            }
        }
        for place in &self.differences {
            let name = format_args!("{RECORDED} lists {place}, which differs in a client");
            outcome.check(name, differing.contains(place));
        }
        outcome
    }

    /// Returns the source that a fact of the contract should be marked with.
    fn source(&self, place: &str, value: &Value) -> Source {
        let on_page = self.page.get(place).map(|stated| self.wording(stated));
        let in_client = |facts: &Facts| {
            // The clients need only have a description, which the project words itself.
            facts.get(place).is_some_and(|stated| is_text(place) || stated == value)
        };
        match on_page {
            Some(wording) if wording == *value => Source::Page,
            Some(_) if is_text(place) => Source::Project,
            _ if !self.clients.iter().any(|(_, facts)| in_client(facts)) => Source::Project,
            _ if self.is_added(place) => Source::Later,
            _ => Source::Clients,
        }
    }

    /// Returns whether the place is in a request's field, or describes a status, that the page does
    /// not list. The page lists all that existed when it was written.
    fn is_added(&self, place: &str) -> bool {
        let (owner, word) = place.rsplit_once('.').unwrap_or_default();
        let is_listed_on_page = owner.contains("Request.properties.")
            || owner.contains(".responses.") && word == "description";
        is_listed_on_page && !self.page.keys().any(|it| it.starts_with(&format!("{owner}.")))
    }

    fn wording(&self, stated: &Value) -> Value {
        let wording = stated.as_str().and_then(|stated| self.wording.get(stated));
        wording.map_or_else(|| stated.clone(), |wording| json!(wording))
    }

    /// Breaks the contract at each pointer, and checks that the comparison fails.
    fn compare_mutants(&self, contract: &Contract, outcome: &mut Outcome) {
        let facts = Flat::of(contract);
        let (mut detected, mut free) = (0, 0);
        for pointer in pointers(&contract.0) {
            let mutant = Contract(mutant(&contract.0, &pointer));
            if !self.compare(&mutant).failures.is_empty() {
                detected += 1;
                continue;
            }
            let changed = Flat::of(&mutant);
            let mut places = facts.keys().chain(changed.keys());
            let is_free = facts != changed
                && places.all(|place| match (facts.get(place), changed.get(place)) {
                    (before, after) if before == after => true,
                    (Some(before), Some(after)) if before.source != after.source => false,
                    _ => self.is_free(place),
                });
            outcome.check(format_args!("a mutation of {pointer} is detected"), is_free);
            free += 1;
        }
        outcome.check("more mutations are detected than are the project's choice", detected > free);
        outcome.note(format!(
            "The comparison detects {detected} mutations of the contract; {free} more change values \
             that the project chooses."
        ));
    }

    /// Returns whether the evidence leaves the value at a place to the project.
    fn is_free(&self, place: &str) -> bool {
        let in_clients = self.clients.iter().any(|(_, facts)| facts.contains_key(place));
        !self.page.contains_key(place) && (is_text(place) || !in_clients)
    }
}

/// Returns whether the place contains human-readable text, which the project words itself.
fn is_text(place: &str) -> bool {
    place.ends_with(".description") || place.ends_with(".summary")
}

/// The facts of a contract, each with the source that its innermost mark names.
struct Flat<'a> {
    contract: &'a Contract,
    facts: BTreeMap<String, Fact>,
}

impl<'a> Flat<'a> {
    fn of(contract: &'a Contract) -> BTreeMap<String, Fact> {
        let mut flat = Self { contract, facts: BTreeMap::new() };
        let document = &contract.0;
        flat.add_node("", document, Source::Page);
        flat.add_node("securitySchemes", &document["components"]["securitySchemes"], Source::Page);
        for operation in contract.operations() {
            let (id, source) = (operation.id, mark(operation.node, Source::Page));
            flat.add(format!("{id}.method"), &json!(operation.method), source);
            flat.add(format!("{id}.path"), &json!(operation.path), source);
            for parameter in contract.parameters(&operation) {
                let name = parameter["name"].as_str().unwrap_or_default();
                flat.add_node(&format!("{id}.parameters.{name}"), parameter, source);
            }
            flat.add_node(id, operation.node, Source::Page);
        }
        for (name, schema) in contract.schemas() {
            let place = format!("schemas.{name}");
            if schema["type"] == "object" {
                flat.add_node(&place, schema, Source::Page);
            } else {
                // Its other words belong to the places that refer to it.
                let source = mark_of(schema, "description", Source::Page);
                flat.add(format!("{place}.description"), &schema["description"], source);
            }
        }
        flat.facts
    }

    /// Adds a fact, unless the place has one: a node's words win over those that it refers to.
    fn add(&mut self, place: String, value: &Value, source: Source) {
        self.facts.entry(place).or_insert_with(|| Fact { value: value.clone(), source });
    }

    /// Adds the words of a node, then those that it refers to.
    fn add_node(&mut self, place: &str, node: &Value, around: Source) {
        for (word, below) in entries(node).filter(|(word, _)| is_fact(place, node, word)) {
            let source = mark_of(node, word, around);
            let place = if place.is_empty() { word.clone() } else { format!("{place}.{word}") };
            match below {
                Value::Object(words) if !words.is_empty() => self.add_node(&place, below, source),
                Value::Array(items) if items.iter().any(Value::is_object) => {
                    for (index, item) in items.iter().enumerate() {
                        let name = item["name"].as_str().or(item["url"].as_str());
                        let name = name.map_or_else(|| index.to_string(), str::to_owned);
                        self.add_node(&format!("{place}.{name}"), item, source);
                    }
                }
                _ => self.add(place, below, source),
            }
        }
        for (name, property) in entries(&node["properties"]) {
            let required = node["required"].as_array();
            let required = required.is_some_and(|names| names.contains(&json!(name)));
            let source = match required {
                true => mark_of(node, "required", around),
                false => mark_of(property, "type", mark_of(node, "properties", around)),
            };
            self.add(format!("{place}.properties.{name}.required"), &json!(required), source);
        }
        if node["schema"].is_object() {
            self.add_node(place, &node["schema"], mark_of(node, "schema", around));
        }
        // OpenAPI 3.0 describes a referenced schema by `allOf` with one entry.
        let referring = if node["$ref"].is_string() { node } else { &node["allOf"][0] };
        let Some(reference) = referring["$ref"].as_str() else { return };
        let (target, source) = (self.contract.resolve(referring), mark(node, around));
        if target["type"] == "object" {
            let name = reference.rsplit('/').next().unwrap_or_default();
            // The mark of the reference wins over the target's.
            let source = if source == Source::Page { mark(target, source) } else { source };
            self.add(format!("{place}.schema"), &json!(name), source);
        } else if target != referring {
            self.add_node(place, target, source);
        }
    }
}

/// Returns the mark of a node, or the one around it.
fn mark(node: &Value, around: Source) -> Source {
    Source::deserialize(&node["x-source"]).unwrap_or(around)
}

/// Returns the mark of a word of a node, or the one around it.
fn mark_of(node: &Value, word: &str, around: Source) -> Source {
    Source::deserialize(&node["x-source"][word]).unwrap_or_else(|_| mark(node, around))
}

/// Returns whether a word of a node is a fact: structure is read elsewhere, and an extension
/// without a mark is the project's.
fn is_fact(place: &str, node: &Value, word: &str) -> bool {
    let is_structure = match word {
        // Names, not words of OpenAPI.
        _ if place.ends_with(".headers") || place.ends_with(".properties") => false,
        "$ref" | "allOf" | "components" | "operationId" | "parameters" | "paths" | "schema" => true,
        // A schema has a list of names, a request body a boolean.
        "required" => node[word].is_array(),
        // A parameter's name is in its place.
        "name" => node["schema"].is_object(),
        _ => word.starts_with("x-") && node["x-source"][word].is_null(),
    };
    !is_structure
}

/// Returns a copy of the document in which the node at a pointer is another.
fn mutant(document: &Value, pointer: &str) -> Value {
    let mut document = document.clone();
    if let Some(node) = document.pointer_mut(pointer) {
        match node {
            Value::String(mark) if pointer.contains(MARK) => {
                *mark = if mark == "project" { "clients" } else { "project" }.to_owned();
            }
            Value::Object(words) if pointer.ends_with("/properties") => {
                words.insert("another".to_owned(), json!({ "type": "string" }));
            }
            _ => *node = Value::Null,
        }
    }
    document
}

/// Returns the JSON pointers of all nodes, except those of extensions other than marks.
fn pointers(document: &Value) -> Vec<String> {
    fn collect(node: &Value, pointer: &str, pointers: &mut Vec<String>) {
        let words = entries(node).map(|(word, below)| (word.clone(), below));
        let items = node.as_array().into_iter().flatten().enumerate();
        for (word, below) in words.chain(items.map(|(index, item)| (index.to_string(), item))) {
            let is_header = pointer.ends_with("/headers");
            if !word.starts_with("x-") || word == "x-source" || is_header {
                let pointer = format!("{pointer}/{}", word.replace('~', "~0").replace('/', "~1"));
                collect(below, &pointer, pointers);
                pointers.push(pointer);
            }
        }
    }
    let mut found = Vec::new();
    collect(document, "", &mut found);
    found
}

/// The forms of the page, of its tables' rows and of the arguments in its examples.
const FORMS: [(&str, &str); 6] = [
    (
        "head",
        r"# rockset\.(?<tag>\w+)

(?<servers>All URIs are relative to \*(?<server>\S+)\* or .+)

Method \| HTTP request \| Description
[-| ]+
(?<operations>(?:.+\n)+)
",
    ),
    (
        "section",
        r"(?<id>\w+)\*\*
> (?<response>\w+) \w+\((?<arguments>.*)\)

(?<summary>.+)

(?<description>.+)

### Example

\* Api Key Authentication \(apikey\):

```python
(?<code>(?s:.*?))
```


### Parameters

Name \| Type \| Description  \| Notes
[-| ]+
(?<parameters>(?:.+\n)+)
### Return type

\[\*\*(?<returned>\w+)\*\*\]\(\w+\.md\)

### Authorization

(?<security>All requests must use (?<scheme>\w+) for \[authorization\]\(\S+\)\.)


### HTTP request headers

 - \*\*Content-Type\*\*: (?:Not defined|(?<request_media>.+))
 - \*\*Accept\*\*: (?<media>.+)


### HTTP response details

\| Status code \| Description \| Response headers \|
[-|]+
(?<statuses>(?:.+\n)+)
\[\[Back to top\]\]\(#\) \[\[Back to API list\]\].+\n*",
    ),
    (
        "operation",
        r"\[\*\*(?<id>\w+)\*\*\]\(\S+\) \| \*\*(?<method>\w+)\*\* (?<path>\S+) \| (?<summary>[^|.]+)",
    ),
    (
        "parameter",
        r" \*\*(?<name>\w+)\*\* \| \*\*(?<type>\w+)\*\* \| (?<description>[^|]*) \| ?(?<notes>(?:\[optional\])?)",
    ),
    ("argument", r#"(?<name>\w+)="(?<example>.*)","#),
    ("status", r"\*\*(?<status>\d{3})\*\* \| (?<description>[^|]+) \|  -  \|"),
];

/// The compiled forms, by name.
struct Forms(BTreeMap<&'static str, Regex>);

impl Forms {
    fn new() -> Result<Self> {
        let forms = FORMS.map(|(name, form)| Ok((name, Regex::new(&format!("^(?:{form})$"))?)));
        Ok(Self(forms.into_iter().collect::<Result<_>>()?))
    }

    /// Matches the whole text with a form.
    fn captures<'a>(&self, name: &str, text: &'a str) -> Result<Captures<'a>> {
        let captures = self.0.get(name).and_then(|form| form.captures(text));
        captures.with_context(|| format!("cannot read {text:?} as {name}"))
    }
}

/// Reads the page's facts. Fails if the page has a sentence that is not one.
fn read(page: &str, forms: &Forms) -> Result<Facts> {
    let page = page.replace("&#x60;", "`");
    let mut facts = Facts::new();
    let mut add = |place: String, value: Value| -> Result<()> {
        let before = facts.insert(place.clone(), value.clone());
        ensure!(before.is_none_or(|before| before == value), "{place} has two values");
        Ok(())
    };
    let mut sections = page.split("\n# **");
    let head = forms.captures("head", sections.next().unwrap_or_default())?;
    let (tag, server) = (&head["tag"], &head["server"]);
    add(format!("tags.{tag}.name"), json!(tag))?;
    add(format!("servers.{server}.url"), json!(server))?;
    add(format!("servers.{server}.description"), json!(head["servers"]))?;
    let mut paths = BTreeMap::new();
    for row in head["operations"].lines() {
        let row = forms.captures("operation", row)?;
        let id = row["id"].to_owned();
        add(format!("{id}.tags"), json!([tag]))?;
        for word in ["method", "path", "summary"] {
            add(format!("{id}.{word}"), json!(row[word]))?;
        }
        paths.insert(id, row["path"].to_owned());
    }
    for section in sections {
        let section = forms.captures("section", section)?;
        let (id, response, scheme) = (&section["id"], &section["response"], &section["scheme"]);
        let path = paths.remove(id).with_context(|| format!("{id} is missing in the table"))?;
        add(format!("{id}.summary"), json!(section["summary"]))?;
        add(format!("{id}.description"), json!(section["description"]))?;
        add(format!("security.0.{scheme}"), json!([]))?;
        add(format!("securitySchemes.{scheme}.type"), json!("apiKey"))?;
        add(format!("securitySchemes.{scheme}.description"), json!(section["security"]))?;
        for (response, media) in
            [(response, "application/json"), (&section["returned"], &section["media"])]
        {
            add(format!("{id}.responses.200.content.{media}.schema"), json!(response))?;
        }
        add(format!("schemas.{response}.type"), json!("object"))?;
        let mut arguments = section["arguments"].split(", ");
        let request = arguments.find(|argument| argument.ends_with("_request"));
        let request = request.map(str::to_upper_camel_case);
        let media = section.name("request_media").map(|media| media.as_str());
        ensure!(request.is_some() == media.is_some(), "{id} has a media type without a request");
        if let Some((request, media)) = request.as_ref().zip(media) {
            add(format!("{id}.requestBody.required"), json!(true))?;
            add(format!("{id}.requestBody.content.{media}.schema"), json!(request))?;
            add(format!("schemas.{request}.type"), json!("object"))?;
        }
        let place = |parameter: &str| match &request {
            Some(request) if !path.contains(&format!("{{{parameter}}}")) => {
                format!("schemas.{request}.properties.{parameter}")
            }
            _ => format!("{id}.parameters.{parameter}"),
        };
        for row in section["parameters"].lines() {
            let row = forms.captures("parameter", row)?;
            let place = place(&row["name"]);
            add(format!("{place}.type"), json!(row["type"]))?;
            add(format!("{place}.required"), json!(row["notes"].is_empty()))?;
            if !row["description"].is_empty() {
                add(format!("{place}.description"), json!(row["description"]))?;
            }
            // The page does not locate the other parameters.
            if path.contains(&format!("{{{}}}", &row["name"])) {
                add(format!("{place}.in"), json!("path"))?;
            }
        }
        let mut code = BTreeSet::new();
        for line in section["code"].lines().map(str::trim) {
            if let Ok(argument) = forms.captures("argument", line) {
                let place = place(&argument["name"]);
                add(format!("{place}.example"), json!(argument["example"]))?;
            } else if line.starts_with('#') || line.ends_with(',') {
                code.insert(line.replace(&section["summary"], "SUMMARY"));
            }
        }
        add(format!("{id}.code"), json!(code))?;
        for row in section["statuses"].lines() {
            let row = forms.captures("status", row)?;
            add(
                format!("{id}.responses.{}.description", &row["status"]),
                json!(row["description"]),
            )?;
        }
    }
    ensure!(paths.is_empty(), "these operations have no section: {:?}", paths.keys());
    Ok(facts)
}

/// Returns the lines of the page after which a new sentence would go unnoticed.
fn unnoticed<'a>(page: &'a str, facts: &Facts, forms: &Forms) -> Vec<&'a str> {
    let lines: Vec<_> = page.lines().collect();
    let mut unnoticed = Vec::new();
    let mut is_code = false;
    for (index, line) in lines.iter().enumerate() {
        is_code ^= line.starts_with("```");
        // Only arguments and comments of code are read.
        let sentence = if is_code { "# Ask the owner first." } else { "Ask the owner first." };
        let (before, after) = lines.split_at(index + 1);
        let changed = [before, &[sentence], after].concat().join("\n");
        if read(&changed, forms).is_ok_and(|changed| changed == *facts) {
            unnoticed.push(*line);
        }
    }
    unnoticed
}
