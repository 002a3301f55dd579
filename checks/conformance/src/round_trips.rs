//! Values of each schema, which hypothesis-jsonschema generates, stay the same when the Rust types
//! decode and encode them. Of values with one random change, the Rust types and their derived
//! schemas accept those that the contract accepts, apart from intended differences. The crate
//! jsonschema decides which values the contract accepts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, ensure};
use rockset_apikeys::{ApiKeyValue, ErrorType, ExposeSecrets, KeyState, Timestamp, types};
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::contract::{Contract, entries};
use crate::outcome::Outcome;
use crate::tools::{self, HYPOTHESIS_JSONSCHEMA, Tools};

/// Accepts or rejects values, as the contract does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Judge {
    /// The Rust type.
    Type,
    /// The schema that schemars derives from the Rust type.
    Derived,
}

/// An intended difference: these judges accept more than the contract.
struct Difference {
    reason: &'static str,
    judges: &'static [Judge],
    /// Changes a schema of the contract to what the judges accept.
    relax: fn(&mut Map<String, Value>),
}

const DIFFERENCES: [Difference; 6] = [
    Difference {
        reason: "An enum accepts unknown values: the lists grew over the years, and a client keeps \
                 the value of a newer server.",
        judges: &[Judge::Type, Judge::Derived],
        relax: |schema| drop(schema.remove("enum")),
    },
    Difference {
        reason: "An optional field accepts `null`, as if it were absent: servers in other languages \
                 send it.",
        judges: &[Judge::Type, Judge::Derived],
        relax: |schema| {
            let required = schema.get("required").cloned().unwrap_or(json!([]));
            let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
            for (name, property) in properties.into_iter().flatten() {
                if !required.as_array().is_some_and(|names| names.contains(&json!(name))) {
                    *property = json!({ "anyOf": [property.take(), { "type": "null" }] });
                }
            }
        },
    },
    Difference {
        reason: "A string with a pattern accepts any string: the client checks path segments and \
                 the names of new keys before sending.",
        judges: &[Judge::Type, Judge::Derived],
        relax: |schema| drop(schema.remove("pattern")),
    },
    Difference {
        reason: "A timestamp accepts any value: an unexpected one does not fail the response.",
        judges: &[Judge::Type],
        relax: |schema| {
            if schema.get("format") == Some(&json!("date-time")) {
                schema.clear();
            }
        },
    },
    Difference {
        reason: "An integer accepts `5.0`: in JSON Schema 2020-12 the value counts. OpenAPI 3.0 has \
                 an earlier version, in which the notation counts.",
        judges: &[Judge::Derived],
        relax: |schema| {
            if schema.get("type") == Some(&json!("integer")) {
                schema.insert("type".to_owned(), json!("number"));
                schema.insert("multipleOf".to_owned(), json!(1));
            }
        },
    },
    Difference {
        reason: "An int32 accepts any integer: validators ignore the format of numbers.",
        judges: &[Judge::Derived],
        relax: |schema| {
            if schema.get("format") == Some(&json!("int32")) {
                schema.remove("minimum");
                schema.remove("maximum");
            }
        },
    },
];

/// A Rust type, and the name of its schema in the contract.
struct Type {
    name: &'static str,
    derived: fn() -> Value,
    /// Decodes and encodes a value.
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

/// The values that hypothesis-jsonschema generated for a schema.
#[derive(Deserialize)]
struct Samples {
    valid: Vec<Value>,
    changed: Vec<Value>,
}

pub async fn run(tools: &Tools) -> Result<Outcome> {
    let mut outcome = Outcome::new(&[HYPOTHESIS_JSONSCHEMA, "jsonschema", "schemars"]);
    let contract = Contract::load();
    let types = all_types();
    let named: BTreeSet<_> = types.iter().map(|it| it.name).collect();
    let schemas: BTreeSet<_> = contract.schemas().map(|(name, _)| name.as_str()).collect();
    outcome.check(format!("there is a Rust type for each of {schemas:?}"), named == schemas);

    let samples = samples(tools, &contract).await?;
    let (mut accepted, mut rejected) = (0, 0);
    let mut occurring = [false; DIFFERENCES.len()];
    for of in &types {
        let name = of.name;
        let Samples { valid, changed } =
            samples.get(name).with_context(|| format!("there are no samples of {name}"))?;
        ensure!(!valid.is_empty() && !changed.is_empty(), "there are no samples of {name}");
        let exact = contract.validator(&reference(name))?;
        for sample in valid {
            outcome.check(format_args!("{name} {sample} is valid"), exact.is_valid(sample));
            let same = (of.round_trip)(sample.clone()).and_then(|encoded| {
                ensure!(encoded == *sample, "it comes back as {encoded}");
                Ok(())
            });
            outcome.case(format_args!("{name} {sample}, decoded and encoded"), same);
        }
        let all: Vec<_> = valid.iter().chain(changed).collect();
        let valid = all.iter().filter(|sample| exact.is_valid(sample)).count();
        accepted += valid;
        rejected += all.len() - valid;
        let verdicts = [
            (Judge::Type, of.verdicts(Judge::Type, &all)?),
            (Judge::Derived, of.verdicts(Judge::Derived, &all)?),
        ];
        for (judge, verdicts) in &verdicts {
            let due = expected(&contract, name, &all, *judge, None)?;
            for (sample, (verdict, due)) in all.iter().zip(verdicts.iter().zip(&due)) {
                let case = format_args!("{name} {sample}: {judge:?} accepts: {verdict}");
                outcome.check(case, verdict == due);
            }
            for (index, occurs) in occurring.iter_mut().enumerate() {
                *occurs |= *verdicts != expected(&contract, name, &all, *judge, Some(index))?;
            }
        }
        for (fault, mutant) in mutants(&contract, name) {
            let mut is_detected = false;
            for (judge, verdicts) in &verdicts {
                is_detected |= *verdicts != expected(&mutant, name, &all, *judge, None)?;
            }
            outcome.check(format!("the samples detect that {fault}"), is_detected);
        }
    }
    outcome.note(format!("The contract accepts {accepted} samples and rejects {rejected}."));
    let is_balanced = accepted > 500 && rejected > 500;
    outcome.check("more than 500 samples are accepted and more than 500 rejected", is_balanced);
    for (Difference { reason, .. }, occurs) in DIFFERENCES.iter().zip(occurring) {
        outcome.check(format!("this difference occurs: {reason}"), occurs);
        outcome.note(format!("An intended difference: {reason}"));
    }
    Ok(outcome)
}

impl Type {
    /// Returns for each sample whether the judge accepts it.
    fn verdicts(&self, judge: Judge, samples: &[&Value]) -> Result<Vec<bool>> {
        let derived = jsonschema::options().should_validate_formats(true);
        let derived = derived.build(&(self.derived)())?;
        let accepts = |sample: &&Value| match judge {
            Judge::Type => (self.round_trip)((*sample).clone()).is_ok(),
            Judge::Derived => derived.is_valid(sample),
        };
        Ok(samples.iter().map(accepts).collect())
    }
}

/// Returns for each sample whether the contract, relaxed by the judge's differences, accepts it.
fn expected(
    contract: &Contract,
    name: &str,
    samples: &[&Value],
    judge: Judge,
    left_out: Option<usize>,
) -> Result<Vec<bool>> {
    let mut schema = contract.json_schema(&reference(name));
    for (index, difference) in DIFFERENCES.iter().enumerate() {
        if difference.judges.contains(&judge) && left_out != Some(index) {
            edit_objects(&mut schema, &difference.relax);
        }
    }
    let relaxed = jsonschema::draft4::options().should_validate_formats(true).build(&schema)?;
    Ok(samples.iter().map(|sample| relaxed.is_valid(sample)).collect())
}

/// Returns contracts in which one property of a schema is required or optional by mistake, or of
/// any type.
fn mutants(contract: &Contract, schema: &str) -> Vec<(String, Contract)> {
    let mut mutants = Vec::new();
    let original = &contract.0["components"]["schemas"][schema];
    for (property, _) in entries(&original["properties"]) {
        let mut mutant = |fault: &str, changed: Value| {
            let mut document = contract.0.clone();
            document["components"]["schemas"][schema] = changed;
            mutants.push((format!("{schema}.{property} is {fault}"), Contract(document)));
        };
        let mut any = original.clone();
        any["properties"][property] = json!({});
        mutant("of any type", any);
        let mut toggled = original.clone();
        let mut required: Vec<_> = original["required"].as_array().cloned().unwrap_or_default();
        let count = required.len();
        required.retain(|name| name != property);
        if required.len() == count {
            required.push(json!(property));
        }
        toggled["required"] = required.into();
        mutant("required or optional by mistake", toggled);
    }
    mutants
}

async fn samples(tools: &Tools, contract: &Contract) -> Result<BTreeMap<String, Samples>> {
    let mut schemas = Map::new();
    for (name, _) in contract.schemas() {
        let mut schema = contract.json_schema(&reference(name));
        // A Rust type does not keep fields that the schema does not name.
        edit_objects(&mut schema, &|words| {
            if words.get("type") == Some(&json!("object")) {
                words.insert("additionalProperties".to_owned(), json!(false));
            }
        });
        schemas.insert(name.clone(), schema);
    }
    let file = tools.directory.join("schemas.json");
    fs::write(&file, serde_json::to_string(&schemas)?)?;
    let mut script = tools.python_script("samples.py", HYPOTHESIS_JSONSCHEMA).await?;
    // Hypothesis keeps files in the directory in which it runs.
    let samples = tools::run(script.current_dir(&tools.directory).env("SCHEMAS", &file)).await?;
    serde_json::from_str(&samples).context("cannot read the samples")
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// Edits all objects in a schema, innermost first.
fn edit_objects(schema: &mut Value, edit: &dyn Fn(&mut Map<String, Value>)) {
    match schema {
        Value::Object(words) => {
            words.values_mut().for_each(|below| edit_objects(below, edit));
            edit(words);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| edit_objects(item, edit)),
        _ => {}
    }
}
