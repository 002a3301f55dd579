//! Classes of changes, from a table of edits of a contract.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use xtask::changes::{Change, Class, Contract, compare};

const BASE: &str = include_str!("contracts/base.yaml");
const EDITS: &str = include_str!("contracts/edits.yaml");

/// A row of the table, which says at its top what the columns are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    edit: String,
    #[serde(flatten)]
    patch: Patch,
    also: Option<Patch>,
    #[serde(default)]
    place: String,
    back_place: Option<String>,
    count: Option<usize>,
    back_count: Option<usize>,
    there: Option<(String, String)>,
    back: Option<(String, String)>,
    why: Option<String>,
}

#[derive(Deserialize)]
struct Patch {
    at: Vec<String>,
    set: Option<Value>,
    rename: Option<(String, String)>,
}

impl Patch {
    fn apply(&self, document: &mut Value) {
        let mut node = document;
        for key in &self.at {
            node = entries(node).entry(key).or_insert(Value::Null);
        }
        if let Some(patch) = &self.set {
            merge(node, patch);
        }
        if let Some((old, new)) = &self.rename {
            let value = entries(node).remove(old).expect("the key to rename is there");
            entries(node).insert(new.clone(), value);
        }
    }
}

fn entries(node: &mut Value) -> &mut Map<String, Value> {
    if !node.is_object() {
        *node = Value::Object(Map::new());
    }
    node.as_object_mut().unwrap()
}

/// A merge patch as in RFC 7386.
fn merge(node: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *node = patch.clone();
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            entries(node).remove(key);
        } else {
            merge(entries(node).entry(key).or_insert(Value::Null), value);
        }
    }
}

fn base() -> Value {
    yaml_serde::from_str(BASE).unwrap()
}

fn changes(old: &Value, new: &Value) -> Vec<Change> {
    compare(&old.clone().into(), &new.clone().into())
}

fn rows() -> Vec<Row> {
    yaml_serde::from_str(EDITS).unwrap()
}

#[test]
fn every_edit_and_its_reversal_have_their_class() {
    let mut failures = Vec::new();
    for row in rows() {
        let old = base();
        let mut new = old.clone();
        row.patch.apply(&mut new);
        row.also.iter().for_each(|patch| patch.apply(&mut new));
        assert_ne!(old, new, "{} edits nothing", row.edit);
        let back_place = row.back_place.as_ref().unwrap_or(&row.place);
        let count = row.count.unwrap_or(1);
        let directions = [
            ("there", changes(&old, &new), &row.there, &row.place, count),
            ("back", changes(&new, &old), &row.back, back_place, row.back_count.unwrap_or(count)),
        ];
        for (direction, found, expected, place, count) in directions {
            let class = expected.as_ref().map(|(class, _)| class.as_str());
            let worst = found.first().map(|change| change.class.as_str());
            let is_placed = found
                .iter()
                .any(|change| change.place == *place && Some(change.class.as_str()) == class);
            if found.len() != count || worst != class || is_placed != class.is_some() {
                let edit = &row.edit;
                failures.push(format!("{edit}, {direction}: wants {expected:?}\n{found:#?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}\n{} fail", failures.join("\n"), failures.len());
}

/// The levels ERR and WARN of oasdiff are breaking, INFO is not; what has no rule is not reported.
#[test]
fn the_table_says_why_a_class_differs_from_oasdiff() {
    for row in rows() {
        let differs = [&row.there, &row.back].into_iter().flatten().any(|(class, oasdiff)| {
            match oasdiff.split_whitespace().collect::<Vec<_>>()[..] {
                ["ERR" | "WARN", _] => class != "breaking",
                ["INFO", _] => class == "breaking",
                ["none"] => class != "docs",
                _ => panic!("{}: {oasdiff:?} is not a level and a rule", row.edit),
            }
        });
        assert_eq!(row.why.is_some(), differs, "{}", row.edit);
    }
}

#[test]
fn the_table_is_large_and_says_nothing_twice() {
    let rows = rows();
    let names: BTreeSet<_> = rows.iter().map(|row| &row.edit).collect();
    assert_eq!(names.len(), rows.len());
    assert!(rows.len() >= 60, "{}", rows.len());
}

#[test]
fn a_contract_does_not_differ_from_itself() {
    assert_eq!(changes(&base(), &base()), []);
}

/// Whatever is edited, something is reported.
#[test]
fn no_edit_of_a_single_value_is_overlooked() {
    let old = base();
    let mut pointers = Vec::new();
    leaves(&old, String::new(), &mut pointers);
    assert!(pointers.len() > 150, "{}", pointers.len());
    for pointer in pointers {
        let mut new = old.clone();
        let leaf = new.pointer_mut(&pointer).unwrap();
        *leaf = match &*leaf {
            Value::Bool(value) => (!value).into(),
            Value::Number(value) => (value.as_i64().unwrap() + 1).into(),
            value => format!("{}x", value.as_str().unwrap()).into(),
        };
        assert_ne!(changes(&old, &new), [], "{pointer}");
        assert_ne!(changes(&new, &old), [], "{pointer}");
    }
}

fn leaves(node: &Value, pointer: String, found: &mut Vec<String>) {
    let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match node {
        Value::Object(entries) => entries
            .iter()
            .for_each(|(key, node)| leaves(node, format!("{pointer}/{}", escape(key)), found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, node)| leaves(node, format!("{pointer}/{index}"), found)),
        _ => found.push(pointer),
    }
}

#[test]
fn a_change_of_a_shared_component_is_reported_once_at_its_own_place() {
    let old = base();
    let mut new = old.clone();
    let patch = r#"{"components": {"responses": {"NotFound": {"description": "Nothing."}},
        "schemas": {"Book": {"properties": {"title": null}}}}}"#;
    merge(&mut new, &serde_json::from_str(patch).unwrap());
    let places: Vec<_> = changes(&old, &new).into_iter().map(|change| change.place).collect();
    let book = "components.schemas.Book.properties.title";
    assert_eq!(places, [book, "components.responses.NotFound.description"]);
}

#[test]
fn a_meaning_names_what_users_write() {
    for (patch, class, change, meaning) in [
        (
            r#"{"parameters": {"Reveal": {"schema": {"type": "integer"}}}}"#,
            Class::Breaking,
            "type boolean -> integer",
            "`GetBook::reveal` takes i64 instead of bool",
        ),
        (
            r#"{"schemas": {"State": {"enum": ["ON_SHELF"]}}}"#,
            Class::Breaking,
            "value \"LENT\" removed",
            "`State::Lent` is gone",
        ),
        (
            r#"{"schemas": {"Book": {"required": ["id", "title", "authors", "added"]}}}"#,
            Class::Breaking,
            "optional -> required",
            "`Book::added` is Timestamp instead of Option<Timestamp>",
        ),
        (
            r#"{"schemas": {"NewBook": {"properties": {"type": {"type": "string"}}}}}"#,
            Class::Additive,
            "optional property added",
            "`NewBook::type_` is new; struct literals must set it, builders need not",
        ),
        (
            r#"{"schemas": {"State": {"enum": ["ON_SHELF", "AWAY"], "x-enumNames":
                {"LENT": null, "AWAY": "Lent"}}}}"#,
            Class::Breaking,
            "value \"LENT\" removed",
            "`State::Lent` is \"AWAY\" on the wire",
        ),
    ] {
        let old = base();
        let mut new = old.clone();
        merge(
            entries(&mut new).get_mut("components").unwrap(),
            &serde_json::from_str(patch).unwrap(),
        );
        let found = changes(&old, &new);
        let first = &found[0];
        assert_eq!(
            (first.class, first.change.as_str(), first.meaning.as_str()),
            (class, change, meaning)
        );
    }
}

/// Each row edits the base contract twice, and says what the second edit means.
#[test]
fn a_meaning_names_the_generated_type_at_any_depth() {
    let at = |place: &str| format!("/components/schemas/{place}");
    for (place, before, after, class, meaning) in [
        (
            at("Room/properties/number"),
            r#"{"minimum": 0}"#,
            r#"{"minimum": 1}"#,
            Class::Breaking,
            "`Room::number` takes NonZeroU64 instead of u64",
        ),
        (
            at("Timestamp"),
            "{}",
            r#"{"format": null}"#,
            Class::Breaking,
            "`Timestamp` has another form under the same name",
        ),
        (
            at("Book/properties/details/properties"),
            r#"{"moods": {"type": "array", "items": {"type": "string", "enum": ["SAD"]}}}"#,
            r#"{"moods": {"items": {"enum": ["SAD", "GLAD"]}}}"#,
            Class::Additive,
            "`BookDetailsMoods::Glad` is new; older clients keep it as `Unknown`",
        ),
        (
            at("Problem/properties"),
            r#"{"of": {"type": "object", "additionalProperties": {"type": "string",
                "enum": ["A"]}}}"#,
            r#"{"of": {"additionalProperties": {"enum": ["A", "B"]}}}"#,
            Class::Additive,
            "`ProblemOfValue::B` is new; older clients keep it as `Unknown`",
        ),
        (
            "/components/parameters/Reveal/schema".to_owned(),
            r#"{"type": "string", "enum": ["ALL"]}"#,
            r#"{"enum": ["ALL", "SOME"]}"#,
            Class::Additive,
            "`RevealParameter::Some` is new; older clients keep it as `Unknown`",
        ),
        (
            "/components/responses/Conflict/content/application~1json".to_owned(),
            r#"{"schema": {"$ref": null, "properties": {"why": {"type": "string",
                "enum": ["A"]}}}}"#,
            r#"{"schema": {"properties": {"why": {"enum": ["A", "B"]}}}}"#,
            Class::Additive,
            "`ConflictBodyWhy::B` is new; older clients keep it as `Unknown`",
        ),
    ] {
        let mut old = base();
        let edit = |document: &mut Value, patch| {
            merge(document.pointer_mut(&place).unwrap(), &serde_json::from_str(patch).unwrap());
        };
        edit(&mut old, before);
        let mut new = old.clone();
        edit(&mut new, after);
        let found = changes(&old, &new);
        let found: Vec<_> = found.iter().map(|it| (it.class, it.meaning.as_str())).collect();
        assert_eq!(found, [(class, meaning)]);
    }
}

#[test]
fn a_long_text_shows_where_it_differs() {
    let text = |word: &str| format!("{} {word} {}", "before ".repeat(30), "after ".repeat(30));
    let document = |word: &str| serde_json::json!({ "info": { "description": text(word) } });
    let found = changes(&document("old"), &document("new"));
    assert_eq!(found[0].change, "`description` … old … -> … new …");
    let found = changes(&document("old"), &serde_json::json!({ "info": {} }));
    assert!(found[0].change.ends_with('…') && found[0].change.len() < 200, "{found:?}");
}

#[test]
fn references_in_a_circle_end() {
    let document = |kind: &str| {
        let reference =
            |name: &str| serde_json::json!({ "$ref": format!("#/components/schemas/{name}") });
        serde_json::json!({ "components": { "schemas": {
            "Itself": reference("Itself"),
            "Nowhere": reference("Missing"),
            "Left": { "allOf": [reference("Right")] },
            "Right": { "allOf": [reference("Left"), { "type": kind }] },
            "Tree": { "properties": { "next": reference("Tree"), "of": reference("Right") } },
        } } })
    };
    assert_eq!(changes(&document("object"), &document("object")), []);
    let found = changes(&document("object"), &document("array"));
    assert_eq!(found[0].place, "components.schemas.Right.allOf.1");
}

#[test]
fn a_header_has_no_type_in_rust_that_a_bound_could_change() {
    let contract = |minimum: u64| {
        Contract::from(json!({ "paths": { "/books": { "get": {
            "operationId": "list_books",
            "responses": { "429": { "headers": { "Retry-After": {
                "schema": { "type": "integer", "minimum": minimum },
            } } } },
        } } } }))
    };
    let changes = compare(&contract(0), &contract(1));
    assert_eq!(changes.len(), 1, "{changes:#?}");
    assert_eq!(
        (changes[0].class, changes[0].meaning.as_str()),
        (Class::Additive, "the server returns fewer values",)
    );
}

#[test]
fn variants_have_the_names_that_are_generated() {
    let contract = |value: &str| {
        Contract::from(json!({ "components": { "schemas": {
            "State": { "type": "string", "enum": ["ON", value] },
        } } }))
    };
    let changes = compare(&contract("OFF"), &contract("HTTPError"));
    let meanings: Vec<_> = changes.iter().map(|change| change.meaning.as_str()).collect();
    assert!(meanings.iter().any(|it| it.contains("`State::HTTPError`")), "{meanings:?}");
}
