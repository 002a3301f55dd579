//! Values of each schema, made by hypothesis-jsonschema, are the same after the Rust types decode
//! and encode them. Of values that are changed in one place, the Rust types and their derived
//! schemas accept those that the contract accepts.
//!
//! The crate jsonschema decides what the contract accepts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, ensure};
use jsonschema::Validator;
use regex::Regex;
use rockset_apikeys::{ApiKeyValue, ErrorType, ExposeSecrets, KeyState, Timestamp, types};
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};

use crate::report::Outcome;
use crate::spec::Contract;
use crate::tools::{self, HYPOTHESIS_JSONSCHEMA, Tools};

/// How a Rust type or its derived schema accepts more than the contract, and why.
const OPEN_ENUM: &str = "A value of an enum that the contract does not have is accepted: the lists \
    grew over the years, and a client keeps the value of a newer server.";
const NULL: &str = "A `null` for an optional field is accepted, as if the field were absent: \
    servers in other languages send it.";
const TIME: &str =
    "A Rust type accepts any value as a time: an unexpected one does not fail the response.";
const WHOLE: &str = "A derived schema accepts `5.0` as an integer: it is JSON Schema 2020-12, \
    where the value counts. OpenAPI 3.0 has an earlier version, where the notation counts.";
const RANGE: &str = "A derived schema accepts any integer as an int32: validators do not check the \
    format of numbers.";
const PATTERN: &str = "A text with a pattern is any text in Rust: the client checks a path segment \
    when it makes a URL, and a new key's name before sending.";

const OF_TYPE: [&str; 4] = [OPEN_ENUM, NULL, TIME, PATTERN];
const OF_DERIVED: [&str; 5] = [OPEN_ENUM, NULL, WHOLE, RANGE, PATTERN];

/// A Rust type, and the name of its schema in the contract.
struct Type {
    name: &'static str,
    derived: fn() -> Value,
    round_trip: fn(Value) -> Result<Value>,
}

fn of<T: JsonSchema + Serialize + DeserializeOwned>(name: &'static str) -> Type {
    Type {
        name,
        derived: || schema_for!(T).to_value(),
        round_trip: |value| {
            Ok(serde_json::to_value(ExposeSecrets(serde_json::from_value::<T>(value)?))?)
        },
    }
}

fn all_types() -> Vec<Type> {
    vec![
        of::<types::ApiKey>("ApiKey"),
        of::<types::CreateApiKeyRequest>("CreateApiKeyRequest"),
        of::<types::UpdateApiKeyRequest>("UpdateApiKeyRequest"),
        of::<types::CreateApiKeyResponse>("CreateApiKeyResponse"),
        of::<types::ListApiKeysResponse>("ListApiKeysResponse"),
        of::<types::GetApiKeyResponse>("GetApiKeyResponse"),
        of::<types::UpdateApiKeyResponse>("UpdateApiKeyResponse"),
        of::<types::DeleteApiKeyResponse>("DeleteApiKeyResponse"),
        of::<types::ErrorModel>("ErrorModel"),
        of::<ApiKeyValue>("ApiKeyValue"),
        of::<String>("PathSegment"),
        of::<Timestamp>("Timestamp"),
        of::<KeyState>("KeyState"),
        of::<ErrorType>("ErrorType"),
    ]
}

/// Types with one mistake each, which the checks have to notice.
mod wrong {
    use super::{Deserialize, JsonSchema, KeyState, Serialize, Timestamp};

    #[derive(Deserialize, JsonSchema, Serialize)]
    pub struct FieldIsMissing {
        #[serde(skip_serializing_if = "Option::is_none")]
        state: Option<KeyState>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expiry_time: Option<Timestamp>,
    }

    #[derive(Deserialize, JsonSchema, Serialize)]
    pub struct FieldIsRequired {
        #[serde(skip_serializing_if = "Option::is_none")]
        state: Option<KeyState>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expiry_time: Option<Timestamp>,
        clear_expiry_time: bool,
    }

    #[derive(Deserialize, JsonSchema, Serialize)]
    pub struct FieldTakesAnything {
        #[serde(skip_serializing_if = "Option::is_none")]
        state: Option<KeyState>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expiry_time: Option<Timestamp>,
        #[serde(skip_serializing_if = "Option::is_none")]
        clear_expiry_time: Option<serde_json::Value>,
    }

    #[derive(Deserialize, JsonSchema, Serialize)]
    pub struct FieldIsOptional {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        role: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expiry_time: Option<Timestamp>,
        #[serde(skip_serializing_if = "Option::is_none")]
        created_by: Option<String>,
    }
}

fn wrong_types() -> Vec<(&'static str, Type)> {
    vec![
        ("without a field", of::<wrong::FieldIsMissing>("UpdateApiKeyRequest")),
        ("with a field that is required", of::<wrong::FieldIsRequired>("UpdateApiKeyRequest")),
        ("with a field of any type", of::<wrong::FieldTakesAnything>("UpdateApiKeyRequest")),
        ("with a field that is optional", of::<wrong::FieldIsOptional>("CreateApiKeyRequest")),
    ]
}

/// The values that hypothesis-jsonschema made for a schema.
#[derive(Deserialize)]
struct Samples {
    valid: Vec<Value>,
    changed: Vec<Value>,
}

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let crates = ["jsonschema", "schemars"].map(|name| tools.locked(name));
    let crates = crates.into_iter().collect::<Result<Vec<_>>>()?;
    let outside = [vec![HYPOTHESIS_JSONSCHEMA.to_owned()], crates].concat();
    let mut outcome = Outcome::new(&outside);
    let contract = Contract::load();
    let types = all_types();
    let named: BTreeSet<_> = types.iter().map(|it| it.name).collect();
    let schemas: BTreeSet<_> = contract.schemas().map(|(name, _)| name.as_str()).collect();
    outcome.check(format!("there is a Rust type for each of {schemas:?}"), named == schemas);

    let samples = samples(tools, &contract).await?;
    let mut seen = Seen::default();
    for of in &types {
        for (name, holds) in cases(of, &contract, &samples, &mut seen)? {
            outcome.case(name, holds);
        }
    }
    for (mistake, of) in wrong_types() {
        let cases = cases(&of, &contract, &samples, &mut Seen::default())?;
        let is_noticed = cases.iter().any(|(_, holds)| holds.is_err());
        outcome.check(format!("a Rust type {mistake} is noticed"), is_noticed);
    }
    let Seen { accepted, rejected, differences } = seen;
    outcome.note(format!(
        "Of the changed values, the contract accepts {accepted} and rejects {rejected}."
    ));
    outcome.check(
        "more than 500 are accepted and more than 500 rejected",
        accepted > 500 && rejected > 500,
    );
    let expected: BTreeSet<_> = OF_TYPE.into_iter().chain(OF_DERIVED).collect();
    for difference in expected {
        outcome.check(format!("it occurs: {difference}"), differences.contains(difference));
        outcome.note(format!("An intended difference. {difference}"));
    }
    Ok(outcome)
}

async fn samples(tools: &Tools, contract: &Contract) -> Result<BTreeMap<String, Samples>> {
    let schemas: Map<_, _> = contract
        .schemas()
        .map(|(name, _)| {
            let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
            (name.clone(), closed(&contract.json_schema(&reference)))
        })
        .collect();
    let file = tools.folder().join("schemas.json");
    fs::write(&file, serde_json::to_string(&schemas)?)?;
    let mut script = tools.python_script("samples.py", HYPOTHESIS_JSONSCHEMA).await?;
    // Hypothesis keeps files in the folder where it runs.
    let samples = tools::run(script.current_dir(tools.folder()).env("SCHEMAS", &file)).await?;
    serde_json::from_str(&samples).context("the samples")
}

/// Rejects fields that the schema does not name, which a Rust type does not keep.
fn closed(schema: &Value) -> Value {
    match schema {
        Value::Object(words) => {
            let mut words: Map<_, _> =
                words.iter().map(|(word, below)| (word.clone(), closed(below))).collect();
            if words.get("type").is_some_and(|it| it == "object") {
                words.insert("additionalProperties".to_owned(), json!(false));
            }
            words.into()
        }
        Value::Array(items) => items.iter().map(closed).collect(),
        other => other.clone(),
    }
}

/// What the cases came across.
#[derive(Default)]
struct Seen {
    accepted: usize,
    rejected: usize,
    differences: BTreeSet<&'static str>,
}

fn cases(
    of: &Type,
    contract: &Contract,
    samples: &BTreeMap<String, Samples>,
    seen: &mut Seen,
) -> Result<Vec<(String, Result<()>)>> {
    let schema = json!({ "$ref": format!("#/components/schemas/{}", of.name) });
    let validator = contract.validator(&schema)?;
    let derived = jsonschema::options().should_validate_formats(true).build(&(of.derived)())?;
    let samples = samples.get(of.name).with_context(|| format!("no samples of {}", of.name))?;
    ensure!(!samples.valid.is_empty() && !samples.changed.is_empty(), "no samples of {}", of.name);
    let mut cases = Vec::new();
    for sample in &samples.valid {
        let name = format!("{} {sample}", of.name);
        let there_and_back = (of.round_trip)(sample.clone()).and_then(|back| {
            ensure!(back == *sample, "it comes back as {back}");
            Ok(())
        });
        cases.push((format!("{name}, there and back"), there_and_back));
        let both = validator.is_valid(sample).then_some(());
        cases.push((format!("{name}, to both validators"), both.context("one rejects it")));
    }
    for sample in samples.valid.iter().chain(&samples.changed) {
        let is_valid = validator.is_valid(sample);
        *(if is_valid { &mut seen.accepted } else { &mut seen.rejected }) += 1;
        let name = format!("{} {sample}, of the contract: {is_valid}", of.name);
        let judges = [
            ("the Rust type", (of.round_trip)(sample.clone()).is_ok(), &OF_TYPE[..]),
            ("the derived schema", derived.is_valid(sample), &OF_DERIVED[..]),
        ];
        for (judge, accepts, allowed) in judges {
            let alike = alike(sample, accepts, (&schema, contract, &validator), allowed);
            let alike = alike.map(|differences| seen.differences.extend(differences));
            cases.push((format!("{name}, to {judge}"), alike));
        }
    }
    Ok(cases)
}

/// Fails if only one of the contract and the judge accepts the sample, except for the allowed
/// differences, which it returns.
fn alike(
    sample: &Value,
    accepts: bool,
    (schema, contract, validator): (&Value, &Contract, &Validator),
    allowed: &[&'static str],
) -> Result<BTreeSet<&'static str>> {
    let mut differences = BTreeSet::new();
    if validator.is_valid(sample) == accepts {
        return Ok(differences);
    }
    ensure!(accepts, "it is rejected");
    // Without the differences, the contract has to accept it.
    let strict = without_differences(sample, schema, contract, &mut differences);
    differences.retain(|difference| allowed.contains(difference) || !validator.is_valid(sample));
    let unlisted: Vec<_> = differences.iter().filter(|it| !allowed.contains(it)).collect();
    ensure!(validator.is_valid(&strict), "it is accepted");
    ensure!(unlisted.is_empty(), "it is accepted; {unlisted:?}");
    Ok(differences)
}

fn without_differences(
    sample: &Value,
    schema: &Value,
    contract: &Contract,
    differences: &mut BTreeSet<&'static str>,
) -> Value {
    let schema = schema_itself(schema, contract);
    match sample {
        Value::String(_) if is_unknown(sample, schema) => {
            differences.insert(OPEN_ENUM);
            schema["enum"][0].clone()
        }
        Value::String(text) if !has_pattern(text, schema) => {
            differences.insert(PATTERN);
            json!("n")
        }
        Value::Number(number) if schema["type"] == "integer" && is_whole_fraction(number) => {
            differences.insert(WHOLE);
            json!(0)
        }
        Value::Number(number) if schema["format"] == "int32" && is_large(number) => {
            differences.insert(RANGE);
            json!(0)
        }
        _ if schema["format"] == "date-time" && !is_time(sample) => {
            differences.insert(TIME);
            json!("2030-01-01T00:00:00Z")
        }
        Value::Array(items) => {
            let items = items.iter();
            items
                .map(|it| without_differences(it, &schema["items"], contract, differences))
                .collect()
        }
        Value::Object(fields) => {
            let mut strict = Map::new();
            for (name, value) in fields {
                let required = is_required(schema, name);
                let field = &schema["properties"][name];
                if value.is_null() && !required && field.is_object() {
                    differences.insert(NULL);
                    continue;
                }
                strict
                    .insert(name.clone(), without_differences(value, field, contract, differences));
            }
            strict.into()
        }
        other => other.clone(),
    }
}

/// Whether the schema is an enum without this value.
fn is_unknown(value: &Value, schema: &Value) -> bool {
    schema["enum"].as_array().is_some_and(|values| !values.contains(value))
}

/// Whether the text matches the schema's pattern, if it has one.
fn has_pattern(text: &str, schema: &Value) -> bool {
    let pattern = schema["pattern"].as_str().and_then(|pattern| Regex::new(pattern).ok());
    pattern.is_none_or(|pattern| pattern.is_match(text))
}

/// Whether the number is an integer in a notation with a fraction or an exponent.
fn is_whole_fraction(number: &Number) -> bool {
    number.is_f64() && number.as_f64().is_some_and(|value| value.fract() == 0.0)
}

fn is_large(number: &Number) -> bool {
    !number.is_f64() && number.as_i64().is_none_or(|value| i32::try_from(value).is_err())
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok())
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|names| names.iter().any(|it| it == name))
}

/// Returns the schema behind references and behind an `allOf` with one entry, which the contract
/// uses to describe fields.
fn schema_itself<'a>(schema: &'a Value, contract: &'a Contract) -> &'a Value {
    let schema = contract.resolve(schema);
    match schema["allOf"].get(0) {
        Some(only) => schema_itself(only, contract),
        None => schema,
    }
}
