//! Values of each schema, made from the contract: they go through the Rust types and come out the
//! same, and the schemas that are derived from the types accept what the contract accepts.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use jsonschema::Validator;
use proptest::collection::vec;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any};
use proptest::sample::select;
use proptest::strategy::{Union, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;
use rockset_apikeys::{ApiKeyValue, ErrorType, KeyState, Timestamp, types};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value, json};

use crate::report::Outcome;
use crate::spec::{Spec, entries};
use crate::tools::Tools;

/// Valid samples of each schema, and as many that may be invalid.
const SAMPLES: usize = 200;

/// Where the derived schemas accept more than the contract, and why.
const OPEN_ENUM: &str = "A value of an enum that the contract does not know is accepted: the lists \
    grew over the years, and a client keeps what a newer server says.";
const NULL: &str = "A `null` for an optional field is accepted, as if the field were not there: \
    servers in other languages write it so.";

const WHOLE: &str = "A whole number with a fraction, such as `5.0`, is accepted for an integer: \
    the derived schemas are of JSON Schema 2020-12, which goes by the value; OpenAPI 3.0 has an \
    earlier one, which goes by how it is written.";

/// A Rust type, and the schema of the contract that it is for.
struct Type {
    name: &'static str,
    derived: fn() -> Value,
    round_trip: fn(Value) -> Result<Value>,
}

fn of<T: JsonSchema + Serialize + DeserializeOwned>(name: &'static str) -> Type {
    Type {
        name,
        derived: || schema_for!(T).to_value(),
        round_trip: |value| Ok(serde_json::to_value(serde_json::from_value::<T>(value)?)?),
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
        of::<Timestamp>("Timestamp"),
        of::<KeyState>("KeyState"),
        of::<ErrorType>("ErrorType"),
    ]
}

pub fn run(tools: &Tools) -> Result<Outcome> {
    let crates = ["proptest", "jsonschema", "schemars"].map(|name| tools.locked(name));
    let crates = crates.into_iter().collect::<Result<Vec<_>>>()?;
    let mut outcome = Outcome::new(&crates);
    let spec = Spec::load(tools)?;
    let types = all_types();
    let named: BTreeSet<_> = types.iter().map(|it| it.name).collect();
    let schemas: BTreeSet<_> = spec.schemas().map(|(name, _)| name.as_str()).collect();
    outcome.check(format!("the types are those of {schemas:?}"), named == schemas);

    let mut runner = TestRunner::deterministic();
    let mut met = BTreeSet::new();
    let (mut accepted, mut rejected) = (0, 0);
    for of in &types {
        let schema = json!({ "$ref": format!("#/components/schemas/{}", of.name) });
        let contract = spec.validator(&schema)?;
        let derived = jsonschema::options().should_validate_formats(true).build(&(of.derived)())?;
        let samples = Samples { spec: &spec };
        let (valid, other) = (samples.valid(&schema)?, samples.other(&schema)?);
        for _ in 0..SAMPLES {
            let sample = draw(&valid, &mut runner)?;
            let name = format!("{} {sample}", of.name);
            outcome.check(format!("{name} is valid"), contract.is_valid(&sample));
            let there_and_back = (of.round_trip)(sample.clone()).and_then(|back| {
                ensure!(back == sample, "it comes back as {back}");
                Ok(())
            });
            outcome.case(format!("{name}, there and back"), there_and_back);
        }
        for sample in (0..2 * SAMPLES)
            .map(|index| draw(if index % 2 == 0 { &valid } else { &other }, &mut runner))
        {
            let sample = sample?;
            let is_accepted = contract.is_valid(&sample);
            *(if is_accepted { &mut accepted } else { &mut rejected }) += 1;
            let name = format!("{} {sample}, accepted by the contract: {is_accepted}", of.name);
            let alike = alike(&sample, &schema, &spec, [&contract, &derived]);
            outcome.case(name, alike.map(|differences| met.extend(differences)));
        }
    }
    outcome.note(format!(
        "The derived schemas were compared on {} samples, of which the contract accepts {accepted} \
         and rejects {rejected}.",
        accepted + rejected
    ));
    outcome.check("enough is accepted and rejected", accepted > 1_000 && rejected > 1_000);
    for difference in [OPEN_ENUM, NULL, WHOLE] {
        outcome.check(format!("it is met: {difference}"), met.contains(difference));
        outcome.note(format!("A difference that is meant. {difference}"));
    }
    Ok(outcome)
}

fn draw(strategy: &BoxedStrategy<Value>, runner: &mut TestRunner) -> Result<Value> {
    let tree = strategy.new_tree(runner);
    let tree = tree.map_err(|reason| anyhow::anyhow!("no sample can be made: {reason}"))?;
    Ok(tree.current())
}

/// Fails unless both schemas judge alike, but for the differences that are meant, which it gives.
fn alike(
    sample: &Value,
    schema: &Value,
    spec: &Spec,
    [contract, derived]: [&Validator; 2],
) -> Result<BTreeSet<&'static str>> {
    let mut differences = BTreeSet::new();
    if contract.is_valid(sample) == derived.is_valid(sample) {
        return Ok(differences);
    }
    ensure!(derived.is_valid(sample), "the derived schema rejects it");
    // What the differences account for is put right; then both have to accept it.
    let strict = without_differences(sample, schema, spec, &mut differences);
    ensure!(contract.is_valid(&strict), "the derived schema accepts it");
    Ok(differences)
}

fn without_differences(
    sample: &Value,
    schema: &Value,
    spec: &Spec,
    differences: &mut BTreeSet<&'static str>,
) -> Value {
    let schema = schema_itself(schema, spec);
    match sample {
        Value::String(_) if is_unknown(sample, schema) => {
            differences.insert(OPEN_ENUM);
            schema["enum"][0].clone()
        }
        Value::Number(number) if schema["type"] == "integer" && is_whole_fraction(number) => {
            differences.insert(WHOLE);
            json!(0)
        }
        Value::Array(items) => {
            let items = items.iter();
            items.map(|it| without_differences(it, &schema["items"], spec, differences)).collect()
        }
        Value::Object(fields) => {
            let mut strict = Map::new();
            for (name, value) in fields {
                let required = is_required(schema, name);
                if value.is_null() && !required && schema["properties"][name].is_object() {
                    differences.insert(NULL);
                    continue;
                }
                let field = &schema["properties"][name];
                strict.insert(name.clone(), without_differences(value, field, spec, differences));
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

/// Whether the number is whole and yet written with a fraction or an exponent.
fn is_whole_fraction(number: &Number) -> bool {
    number.is_f64() && number.as_f64().is_some_and(|value| value.fract() == 0.0)
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|names| names.iter().any(|it| it == name))
}

/// The schema, past references and the `allOf` of one that the contract describes fields with.
fn schema_itself<'a>(schema: &'a Value, spec: &'a Spec) -> &'a Value {
    let schema = spec.resolve(schema);
    match schema["allOf"].get(0) {
        Some(only) => schema_itself(only, spec),
        None => schema,
    }
}

/// Makes samples from schemas.
struct Samples<'a> {
    spec: &'a Spec,
}

impl Samples<'_> {
    /// What the schema accepts.
    fn valid(&self, schema: &Value) -> Result<BoxedStrategy<Value>> {
        let schema = schema_itself(schema, self.spec);
        if let Some(values) = schema["enum"].as_array() {
            return Ok(select(values.clone()).boxed());
        }
        Ok(match schema["type"].as_str().context("a schema without a type")? {
            "string" => self.text(schema)?,
            "integer" => any::<i64>().prop_map(Value::from).boxed(),
            "boolean" => any::<bool>().prop_map(Value::from).boxed(),
            "array" => vec(self.valid(&schema["items"])?, 0..4).prop_map(Value::from).boxed(),
            _ => self.object(schema, |field| self.valid(field))?,
        })
    }

    fn text(&self, schema: &Value) -> Result<BoxedStrategy<Value>> {
        if schema["format"] == "date-time" {
            let parts = (1970..2100, 1..=12, 1..=28, 0..24, 0..60, 0..60, any::<bool>());
            let text = parts.prop_map(|(year, month, day, hour, minute, second, with_offset)| {
                let zone = if with_offset { "+05:30" } else { "Z" };
                let date = format!("{year}-{month:02}-{day:02}");
                json!(format!("{date}T{hour:02}:{minute:02}:{second:02}{zone}"))
            });
            return Ok(text.boxed());
        }
        let texts = match schema["pattern"].as_str() {
            // Such a pattern is looked for anywhere in the text.
            Some(pattern) => {
                let around = string_regex("[a-zA-Z0-9@/ ü.]{0,8}")?.boxed();
                (around.clone(), string_regex(pattern)?, around)
                    .prop_map(|(before, part, after)| [before, part, after].concat())
                    .boxed()
            }
            None => any::<String>().boxed(),
        };
        Ok(texts.prop_map(Value::from).boxed())
    }

    /// Objects with all that is required, and some of the rest.
    fn object(
        &self,
        schema: &Value,
        field: impl Fn(&Value) -> Result<BoxedStrategy<Value>>,
    ) -> Result<BoxedStrategy<Value>> {
        let mut fields: BoxedStrategy<Vec<(String, Value)>> = Just(Vec::new()).boxed();
        for (name, of) in entries(&schema["properties"]) {
            let (name, required) = (name.clone(), is_required(schema, name));
            let value = (field(of)?, any::<bool>());
            let more = (fields, value).prop_map(move |(mut fields, (value, is_there))| {
                if required || is_there {
                    fields.push((name.clone(), value));
                }
                fields
            });
            fields = more.boxed();
        }
        Ok(fields.prop_map(|fields| Value::Object(Map::from_iter(fields))).boxed())
    }

    /// What the schema may accept or not: other types, fields too few and too many, unknown values.
    fn other(&self, schema: &Value) -> Result<BoxedStrategy<Value>> {
        let schema = schema_itself(schema, self.spec);
        let odd = select(vec![
            Value::Null,
            json!(true),
            json!(5),
            json!(1.5),
            json!(5.0),
            json!(u64::MAX),
            json!(-1e300),
            json!(""),
            json!("."),
            json!(".."),
            json!("UNKNOWN"),
            json!("2030-01-01"),
            json!("2030-13-01T00:00:00Z"),
            json!([]),
            json!(["ACTIVE"]),
            json!({}),
            json!({ "name": "n", "key": "k" }),
        ]);
        let mut kinds = vec![odd.boxed()];
        if schema["type"] == "array" {
            kinds.push(vec(self.other(&schema["items"])?, 0..3).prop_map(Value::from).boxed());
        }
        if schema["type"] == "object" {
            // Mostly right, so that one thing is wrong and not all.
            let field = |of: &Value| -> Result<BoxedStrategy<Value>> {
                let kinds = vec![(4, self.valid(of)?), (1, self.other(of)?)];
                Ok(Union::new_weighted(kinds).boxed())
            };
            let names: Vec<_> =
                entries(&schema["properties"]).map(|(name, _)| name.clone()).collect();
            let lost = select([names, vec!["another".to_owned()]].concat());
            let objects = (self.object(schema, field)?, lost, any::<bool>());
            let objects = objects.prop_map(|(mut object, name, with_more)| {
                if let Some(fields) = object.as_object_mut() {
                    fields.remove(&name);
                    if with_more {
                        fields.insert("another".to_owned(), json!([1]));
                    }
                }
                object
            });
            kinds.extend([objects.clone().boxed(), objects.boxed()]);
        }
        Ok(Union::new(kinds).boxed())
    }
}
