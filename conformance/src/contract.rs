//! The contract: two linters find no fault with it, and it says what the vendor's documentation
//! page says, nothing missing and nothing extra without a mark.
//!
//! The page's facts are in `facts.json`. Where the page itself is at hand, they are read from it,
//! and the file has to be the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::report::Outcome;
use crate::spec::{CONTRACT, Operation, Spec, entries, is_marked};
use crate::tools::{self, OPENAPI_SPEC_VALIDATOR, REDOCLY, Tools};

const PAGE: &str = "../shared/docs/APIKeys.md";
const FACTS: &str = "conformance/facts.json";

/// The words of OpenAPI that are compared with the page, that hold the document together, or that
/// are for people. All others say more than the page, and so does what is called otherwise.
const WORDS: &str = "$ref allOf apikeys components content delete description get in info name \
    openapi operationId parameters paths post properties requestBody required responses schema \
    schemas security securitySchemes servers summary tags title type url version";

/// The words in whose objects stand names and not words.
const NAMES_IN: &str = "content parameters paths properties responses schemas securitySchemes";

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Facts {
    server: String,
    security: String,
    operations: BTreeMap<String, Documented>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Documented {
    method: String,
    path: String,
    parameters: BTreeMap<String, Parameter>,
    request: Option<String>,
    request_type: Option<String>,
    answer: String,
    answer_type: String,
    statuses: BTreeSet<u16>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Parameter {
    place: String,
    r#type: String,
    required: bool,
}

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[OPENAPI_SPEC_VALIDATOR, REDOCLY]);
    outcome.case("openapi-spec-validator", openapi_spec_validator(tools).await);
    outcome.case("redocly lint", redocly(tools).await);

    let facts = fs::read_to_string(tools.root().join(FACTS)).context(FACTS)?;
    let facts: Facts = serde_json::from_str(&facts).context(FACTS)?;
    match fs::read_to_string(tools.root().join(PAGE)) {
        Ok(page) => {
            let read = Facts::read(&page).context(PAGE)?;
            outcome.check(format!("{FACTS} is what {PAGE} says: {read:?}"), facts == read);
            outcome.note(format!("The facts were read from the page itself, {PAGE}."));
        }
        Err(_) => outcome.note(format!("{PAGE} is not here; its facts are those in {FACTS}.")),
    }
    let spec = Spec::load(tools)?;
    compare(&facts, &spec, &mut outcome);
    let mut more = Vec::new();
    unmarked_words(spec.document(), "", &mut more);
    outcome.check(format!("what says more than the page is marked: {more:?}"), more.is_empty());
    Ok(outcome)
}

async fn openapi_spec_validator(tools: &Tools) -> Result<()> {
    let commands = tools.python(OPENAPI_SPEC_VALIDATOR).await?;
    let mut validator = Command::new(commands.join("openapi-spec-validator"));
    tools::run(validator.arg(tools.root().join(CONTRACT))).await.map(drop)
}

async fn redocly(tools: &Tools) -> Result<()> {
    let modules = tools.npm(REDOCLY).await?;
    let mut redocly = Command::new(modules.join(".bin/redocly"));
    redocly.env("REDOCLY_TELEMETRY", "off").current_dir(tools.root());
    redocly.args(["lint", "--config", "openapi/redocly.yaml", "apikeys"]);
    tools::run(&mut redocly).await.map(drop)
}

impl Facts {
    /// Reads the page.
    fn read(page: &str) -> Result<Self> {
        let server = one(page, r"relative to \*(\S+)\* or")?;
        let mut operations = BTreeMap::new();
        let rows = Regex::new(r"\[\*\*(\w+)\*\*\]\(\S+\) \| \*\*(\w+)\*\* (\S+) \|")?;
        let mut security = BTreeSet::new();
        for (_, [id, method, path]) in rows.captures_iter(page).map(|row| row.extract()) {
            let section = page.split_once(&format!("\n# **{id}**\n"));
            let (_, section) = section.with_context(|| format!("there is no section {id}"))?;
            let section = section.split("\n# **").next().unwrap_or_default();
            security.insert(one(section, r"All requests must use (\w+) for")?);
            let documented = Documented::read(method, path, section);
            operations.insert(id.to_owned(), documented.with_context(|| id.to_owned())?);
        }
        ensure!(!operations.is_empty(), "there is no table of operations");
        let security = Vec::from_iter(security).join(", ");
        Ok(Self { server, security, operations })
    }
}

impl Documented {
    /// Reads a section of the page.
    fn read(method: &str, path: &str, section: &str) -> Result<Self> {
        let (_, rest) = section.split_once("### Parameters").context("there are no parameters")?;
        let (table, _) = rest.split_once("\n###").context("the parameters do not end")?;
        let rows = Regex::new(r"(?m)^ \*\*(\w+)\*\* \| \*\*(\w+)\*\* \|(.*)$")?;
        let arguments = one(section, r"(?m)^> \w+ \w+\((.*)\)$")?;
        let request = arguments.split(", ").find(|argument| argument.ends_with("_request"));
        let parameters = rows.captures_iter(table).map(|row| {
            let (_, [name, of, rest]) = row.extract();
            let place = match request {
                _ if path.contains(&format!("{{{name}}}")) => "path",
                Some(_) => "body",
                // The page leaves this open; the vendor's clients do not.
                None => "query",
            };
            let r#type = match of {
                "str" => "string",
                "bool" => "boolean",
                other => other,
            };
            let required = !rest.contains("[optional]");
            let (place, r#type) = (place.to_owned(), r#type.to_owned());
            (name.to_owned(), Parameter { place, r#type, required })
        });
        let request_type = one(section, r"\*\*Content-Type\*\*: (.+)")?;
        let statuses = Regex::new(r"(?m)^\*\*(\d{3})\*\* \|")?;
        let statuses = statuses.captures_iter(section).map(|row| row.extract::<1>().1[0].parse());
        Ok(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            parameters: parameters.collect(),
            request: request.map(pascal_case),
            request_type: Some(request_type).filter(|it| it != "Not defined"),
            answer: one(section, r"### Return type\s+\[\*\*(\w+)\*\*\]")?,
            answer_type: one(section, r"\*\*Accept\*\*: (.+)")?,
            statuses: statuses.collect::<Result<_, _>>()?,
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

/// What the pattern's group matches first.
fn one(text: &str, pattern: &str) -> Result<String> {
    let captures = Regex::new(pattern)?.captures(text);
    let group = captures.and_then(|captures| Some(captures.get(1)?.as_str().trim().to_owned()));
    group.with_context(|| format!("nothing is like {pattern}"))
}

/// Compares in both directions.
fn compare(facts: &Facts, spec: &Spec, outcome: &mut Outcome) {
    let document = spec.document();
    let servers = document["servers"].as_array().map_or(&[][..], Vec::as_slice);
    let urls = servers.iter().filter(|server| !is_marked(server)).map(|server| &server["url"]);
    outcome.check(
        "the page's server is the one that is not marked",
        urls.collect::<Vec<_>>() == [&facts.server],
    );
    let schemes: Vec<_> = entries(&document["components"]["securitySchemes"]).collect();
    outcome.check(
        format!("the security is {}, a key in the header Authorization", facts.security),
        matches!(schemes.as_slice(), [(name, scheme)] if **name == facts.security
            && scheme["type"] == "apiKey"
            && scheme["in"] == "header"
            && scheme["name"] == "Authorization")
            && document["security"] == json!([{ &facts.security: [] }]),
    );
    let operations = spec.operations();
    for (id, documented) in &facts.operations {
        match operations.iter().find(|operation| operation.id == id) {
            Some(operation) => compare_operation(documented, operation, spec, outcome),
            None => outcome.check(format!("{id} is in the contract"), false),
        }
    }
    for operation in &operations {
        outcome.check(
            format!("{} is on the page or marked", operation.id),
            facts.operations.contains_key(operation.id) || is_marked(operation.node),
        );
    }
    let requests = facts.operations.values().filter_map(|it| it.request.as_ref());
    let named: BTreeSet<_> =
        requests.chain(facts.operations.values().map(|it| &it.answer)).collect();
    for name in &named {
        let is_there = spec.schemas().any(|(schema, _)| schema == *name);
        outcome.check(format!("the schema {name} is in the contract"), is_there);
    }
    for (name, schema) in spec.schemas() {
        outcome.check(
            format!("the schema {name} is on the page or marked"),
            named.contains(name) || is_marked(schema),
        );
    }
}

fn compare_operation(
    documented: &Documented,
    operation: &Operation<'_>,
    spec: &Spec,
    outcome: &mut Outcome,
) {
    let id = operation.id;
    let mut check = |what: &str, holds: bool| outcome.check(format!("{id}: {what}"), holds);
    check("method", operation.method == documented.method);
    check("path", operation.path == documented.path);
    check("security is that of all", operation.node["security"].is_null());

    let body = &operation.node["requestBody"];
    let (body_type, body_schema) = content(body).unwrap_or((None, &Value::Null));
    check("type of the request", body_type == documented.request_type.as_deref());
    check("schema of the request", name_of(body_schema) == documented.request.as_deref());
    check("the request is required", body.is_null() || body["required"] == true);
    let ok = spec.responses(operation).find(|(status, _)| *status == 200);
    let (answer_type, answer) =
        ok.and_then(|(_, response)| content(response).ok()).unwrap_or((None, &Value::Null));
    check("type of the answer", answer_type == Some(&documented.answer_type));
    check("schema of the answer", name_of(answer) == Some(&documented.answer));

    let found = parameters(operation, spec, body_schema);
    for (name, parameter) in &documented.parameters {
        let found = found.iter().find(|(other, ..)| other == name);
        let holds = found.is_some_and(|(_, found, marked)| found == parameter && !marked);
        check(&format!("parameter {name}, {parameter:?}"), holds);
    }
    for (name, _, marked) in &found {
        let holds = documented.parameters.contains_key(name) || *marked;
        check(&format!("parameter {name} is on the page or marked"), holds);
    }
    let responses = &operation.node["responses"];
    for status in &documented.statuses {
        let response = spec.resolve(&responses[status.to_string()]);
        let holds = content(response).is_ok_and(|(of, _)| of == Some(&documented.answer_type));
        check(&format!("status {status}"), holds && !is_marked(response));
    }
    for (status, response) in entries(responses) {
        let is_documented = status.parse().is_ok_and(|it| documented.statuses.contains(&it));
        let holds = is_documented || is_marked(spec.resolve(response));
        check(&format!("status {status} is on the page or marked"), holds);
    }
}

/// Finds the words that the page has no fact for, in what is not marked.
fn unmarked_words(node: &Value, place: &str, found: &mut Vec<String>) {
    let is_one_of = |word: &str, words: &str| words.split(' ').any(|it| it == word);
    let has_names = is_one_of(place.rsplit('.').next().unwrap_or_default(), NAMES_IN);
    for (word, below) in entries(node).filter(|(_, below)| !is_marked(below)) {
        let place = format!("{place}.{word}");
        if !has_names && !is_one_of(word, WORDS) {
            found.push(place.clone());
        }
        unmarked_words(below, &place, found);
    }
    let items = node.as_array().into_iter().flatten().filter(|item| !is_marked(item));
    for (index, item) in items.enumerate() {
        unmarked_words(item, &format!("{place}.{index}"), found);
    }
}

/// The operation's parameters, wherever they are sent, with whether they are marked.
fn parameters(
    operation: &Operation<'_>,
    spec: &Spec,
    body: &Value,
) -> Vec<(String, Parameter, bool)> {
    let body = spec.resolve(body);
    let in_body = entries(&body["properties"]).map(|(name, schema)| {
        let required =
            body["required"].as_array().is_some_and(|all| all.iter().any(|it| it == name));
        (name.clone(), parameter("body", schema, spec, required), is_marked(schema))
    });
    let others = spec.parameters(operation).into_iter().map(|node| {
        let name = node["name"].as_str().unwrap_or_default().to_owned();
        let place = node["in"].as_str().unwrap_or_default();
        let required = node["required"] == true;
        (name, parameter(place, &node["schema"], spec, required), is_marked(node))
    });
    others.chain(in_body).collect()
}

fn parameter(place: &str, schema: &Value, spec: &Spec, required: bool) -> Parameter {
    let schema = spec.resolve(schema["allOf"].get(0).unwrap_or(schema));
    let r#type = schema["type"].as_str().unwrap_or_default().to_owned();
    Parameter { place: place.to_owned(), r#type, required }
}

/// The one media type of a body, and its schema.
fn content(body: &Value) -> Result<(Option<&str>, &Value)> {
    let mut types = entries(&body["content"]);
    match (types.next(), types.next()) {
        (Some((name, content)), None) => Ok((Some(name), &content["schema"])),
        (None, _) => Ok((None, &Value::Null)),
        _ => bail!("there are several media types"),
    }
}

/// The name of the schema that is referred to.
fn name_of(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}
