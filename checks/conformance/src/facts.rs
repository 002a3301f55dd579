//! The contract as a flat list of facts. Each has a place, a value, and a source, which the marks
//! in the contract (`x-source`) name. Whether a fact is true is not judged here.
//!
//! A place starts with the id of an operation, the name of a schema (`schemas.ApiKey`), or a key of
//! the document. References are followed: parameters, responses and headers are listed where they
//! are used, and so are schemas that are not objects.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::spec::{Contract, entries};

/// Where a fact comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The documentation page, which needs no mark.
    Page,
    Clients,
    Later,
    Project,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    pub value: Value,
    pub source: Source,
}

#[derive(Default)]
pub struct Facts {
    pub by_place: BTreeMap<String, Fact>,
    /// Marks that are not valid.
    pub problems: Vec<String>,
}

impl Source {
    fn named(name: &Value) -> Option<Self> {
        match name.as_str()? {
            "clients" => Some(Self::Clients),
            "later" => Some(Self::Later),
            "project" => Some(Self::Project),
            _ => None,
        }
    }
}

/// Returns the mark of the whole node, or that of the node around it.
fn of_node(node: &Value, around: Source) -> Source {
    Source::named(&node["x-source"]).unwrap_or(around)
}

/// Returns the mark of this key of the node, or that of the node.
fn of_word(node: &Value, word: &str, of_node: Source) -> Source {
    Source::named(&node["x-source"][word]).unwrap_or(of_node)
}

impl Facts {
    pub fn of(contract: &Contract) -> Self {
        let mut facts = Self::default();
        let document = &contract.0;
        facts.check_marks(document, "");
        for (word, below) in entries(document).filter(|(word, _)| !is_own_part(word)) {
            facts.add_word(contract, document, word, below, "", Source::Page);
        }
        let schemes = &document["components"]["securitySchemes"];
        facts.add_words(contract, schemes, "securitySchemes", Source::Page);
        for operation in contract.operations() {
            let (id, node) = (operation.id, operation.node);
            let source = of_node(node, Source::Page);
            facts.add(format!("{id}.method"), json!(operation.method), source);
            facts.add(format!("{id}.path"), json!(operation.path), source);
            for parameter in contract.parameters(&operation) {
                let name = parameter["name"].as_str().unwrap_or_default();
                facts.add_words(contract, parameter, &format!("{id}.parameters.{name}"), source);
            }
            let words = entries(node).filter(|(word, _)| {
                !matches!(word.as_str(), "operationId" | "parameters") && is_fact(node, word)
            });
            for (word, below) in words {
                facts.add_word(contract, node, word, below, id, source);
            }
        }
        for (name, schema) in contract.schemas() {
            let place = format!("schemas.{name}");
            if schema["type"] == "object" {
                facts.add_schema(contract, schema, &place, Source::Page);
            } else {
                let source = of_word(schema, "description", of_node(schema, Source::Page));
                facts.add(format!("{place}.description"), schema["description"].clone(), source);
            }
        }
        facts
    }

    fn add(&mut self, place: String, value: Value, source: Source) {
        self.by_place.insert(place, Fact { value, source });
    }

    /// Adds the entries of the node, or of the one that it refers to.
    fn add_words(&mut self, contract: &Contract, node: &Value, place: &str, around: Source) {
        let node = contract.resolve(node);
        let source = of_node(node, around);
        // The names of headers can begin with `x-`, as extensions do.
        let has_names = place.ends_with(".headers");
        for (word, below) in entries(node).filter(|(word, _)| has_names || is_fact(node, word)) {
            self.add_word(contract, node, word, below, place, source);
        }
    }

    fn add_word(
        &mut self,
        contract: &Contract,
        node: &Value,
        word: &str,
        below: &Value,
        place: &str,
        around: Source,
    ) {
        let source = of_word(node, word, around);
        let place = if place.is_empty() { word.to_owned() } else { format!("{place}.{word}") };
        match below {
            _ if word == "schema" => self.add_schema(contract, below, &place, source),
            Value::Object(words) if !words.is_empty() => {
                self.add_words(contract, below, &place, source);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for (index, item) in items.iter().enumerate() {
                    let name = item["name"].as_str().or(item["url"].as_str());
                    let name = name.map_or_else(|| index.to_string(), str::to_owned);
                    self.add_words(contract, item, &format!("{place}.{name}"), source);
                }
            }
            _ => self.add(place, below.clone(), source),
        }
    }

    fn add_schema(&mut self, contract: &Contract, node: &Value, place: &str, around: Source) {
        let source = of_node(node, around);
        let referring = if node["$ref"].is_string() { node } else { &node["allOf"][0] };
        if let Some(reference) = referring["$ref"].as_str() {
            self.add_reference(contract.resolve(referring), reference, place, source);
        }
        for (word, below) in entries(node).filter(|(word, _)| is_fact(node, word)) {
            let source = of_word(node, word, source);
            match word.as_str() {
                "$ref" | "allOf" | "required" => {}
                "properties" => {
                    for (name, property) in entries(below) {
                        let place = format!("{place}.properties.{name}");
                        let required = &node["required"];
                        let required =
                            required.as_array().is_some_and(|all| all.iter().any(|it| it == name));
                        let of_required = match required {
                            true => of_word(node, "required", of_node(node, around)),
                            false => of_word(property, "type", of_node(property, source)),
                        };
                        self.add(format!("{place}.required"), json!(required), of_required);
                        self.add_schema(contract, property, &place, source);
                    }
                }
                "items" => self.add_schema(contract, below, &format!("{place}.items"), source),
                _ => self.add(format!("{place}.{word}"), below.clone(), source),
            }
        }
    }

    /// Adds the name of an object, and the entries of any other schema.
    fn add_reference(&mut self, target: &Value, reference: &str, place: &str, around: Source) {
        let of_target = of_node(target, around);
        if target["type"] == "object" {
            let name = reference.rsplit('/').next().unwrap_or_default();
            let place = place.strip_suffix(".schema").unwrap_or(place);
            // The mark of the reference wins over the target's.
            let source = if around == Source::Page { of_target } else { around };
            self.add(format!("{place}.schema"), json!(name), source);
            return;
        }
        let words = entries(target).filter(|(word, _)| *word != "description");
        for (word, below) in words.filter(|(word, _)| is_fact(target, word)) {
            // The type is a fact of the reference; the target adds the rest.
            let source = if word == "type" { around } else { of_word(target, word, of_target) };
            self.add(format!("{place}.{word}"), below.clone(), source);
        }
    }

    /// Finds marks with an unknown source, and marks for keys that do not exist.
    fn check_marks(&mut self, node: &Value, place: &str) {
        let marks = match &node["x-source"] {
            Value::Object(marks) => marks.iter().map(|(word, mark)| (Some(word), mark)).collect(),
            Value::Null => vec![],
            mark => vec![(None, mark)],
        };
        for (word, mark) in marks {
            if Source::named(mark).is_none() {
                self.problems.push(format!("{place}: the source {mark} is unknown"));
            }
            if let Some(word) = word.filter(|word| node[word.as_str()].is_null()) {
                self.problems.push(format!("{place}: there is no {word} to mark"));
            }
        }
        for (word, below) in entries(node).filter(|(word, _)| *word != "x-source") {
            self.check_marks(below, &format!("{place}/{word}"));
        }
        for (index, item) in node.as_array().into_iter().flatten().enumerate() {
            self.check_marks(item, &format!("{place}/{index}"));
        }
    }
}

/// Whether the operations, schemas and security schemes already include this key.
fn is_own_part(word: &str) -> bool {
    matches!(word, "paths" | "components" | "x-source")
}

/// Whether the key is a fact. An extension is one if it is marked; other extensions are the
/// project's.
fn is_fact(node: &Value, word: &str) -> bool {
    !word.starts_with("x-") || !node["x-source"][word].is_null()
}
