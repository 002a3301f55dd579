//! `cargo xtask regen`, run on a copy of the contract and the generated code.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const CONTRACT: &str = "openapi/apikeys.yaml";
const COPY: &str = "src/generated/apikeys.rs";
const MOCK: &str = "src/generated/mock.rs";

/// A copy of what the command reads and writes.
struct Project(TempDir);

impl Project {
    fn new() -> Self {
        let project = Self(TempDir::new().unwrap());
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for directory in ["xtask", "openapi", "src/generated"] {
            fs::create_dir_all(project.0.path().join(directory)).unwrap();
        }
        for file in [CONTRACT, COPY, MOCK, "rustfmt.toml"] {
            fs::copy(original.join(file), project.0.path().join(file)).unwrap();
        }
        project
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.path().join(file)).unwrap()
    }

    /// Replaces the first occurrence in the contract.
    fn edit(&self, from: &str, to: &str) {
        let contract = self.read(CONTRACT);
        assert!(contract.contains(from), "the contract has no {from:?}");
        fs::write(self.0.path().join(CONTRACT), contract.replacen(from, to, 1)).unwrap();
    }

    /// Whether the command succeeds, and what it prints.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let command =
            command.args(arguments).env("CARGO_MANIFEST_DIR", self.0.path().join("xtask"));
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }
}

#[test]
fn the_checked_in_copy_is_fresh_and_stays_as_it_is() {
    let project = Project::new();
    let before = project.read(COPY);
    let (success, text) = project.run(&["regen", "--check"]);
    assert!(success && text.contains("is up to date"), "{text}");
    let (success, text) = project.run(&["regen"]);
    assert!(success && text.contains("is up to date"), "{text}");
    assert_eq!(project.read(COPY), before);
}

#[test]
fn check_shows_the_difference_and_changes_nothing() {
    let project = Project::new();
    let before = project.read(COPY);
    project.edit("        last_access_time:", "        last_used_time:");
    let (success, text) = project.run(&["regen", "--check"]);
    assert!(!success);
    assert!(text.contains("-        pub last_access_time:"), "{text}");
    assert!(text.contains("+        pub last_used_time:"), "{text}");
    assert!(text.contains("run `cargo xtask regen`"), "{text}");
    assert_eq!(project.read(COPY), before);
}

#[test]
fn regen_says_what_changed_for_a_user() {
    let project = Project::new();
    project.edit("        last_access_time:", "        last_used_time:");
    project.edit("operationId: list_api_keys", "operationId: list_keys");
    project.edit("      schema:\n        type: boolean", "      schema:\n        type: integer");
    project.edit("- AUTHEXCEPTION", "- AUTH");
    project.edit("- AuthException", "- Auth");
    let (success, text) = project.run(&["regen"]);
    assert!(success, "{text}");
    for change in [
        "- field ApiKey.last_access_time: Option<Timestamp>",
        "+ field ApiKey.last_used_time: Option<Timestamp>",
        "- operation list_api_keys",
        "+ operation list_keys",
        "~ parameter GetApiKey.reveal: Option<bool> -> Option<i64>",
        "- value ErrorType::AuthException",
        "+ value ErrorType::Auth",
    ] {
        assert!(text.contains(&format!("  {change}\n")), "{change} is not in:\n{text}");
    }
    let (success, text) = project.run(&["regen", "--check"]);
    assert!(success, "{text}");
}

#[test]
fn regen_says_when_nothing_changed_for_a_user() {
    let project = Project::new();
    project.edit("When the key was created.", "When the key came to be.");
    let (success, text) = project.run(&["regen"]);
    assert!(success && text.contains("Nothing changed for users"), "{text}");
}

/// The build gives the same line, from the same code.
#[test]
fn a_broken_contract_is_one_line_with_the_file_the_place_and_the_cause() {
    for (from, to, place, cause) in [
        ("info:\n", "info\n", "line 16, column 8", "could not find expected ':'"),
        ("'415':", "'400':", "line 57", "duplicate entry with key \"400\""),
        ("  version: 1.0.0\n", "", "info", "missing field `version`"),
        ("openapi: 3.0.3", "openapi: 3.1.0", ": openapi: ", "not \"3.1.0\""),
        (
            "schemas/ErrorType'",
            "schemas/Typo'",
            "components.schemas.ErrorModel.properties.type.allOf.0",
            "`#/components/schemas/Typo` leads nowhere",
        ),
        ("operationId: list_api_keys", "x: y", "/apikeys.get", "there is no operationId"),
        (
            "operationId: list_api_keys",
            "operationId: get_api_key",
            "/apikeys/{name}.get.operationId",
            "`get_api_key` is another operation's too",
        ),
        ("/apikeys/{name}:", "/apikeys/{nam}:", "{nam}.get.parameters", "[\"nam\", \"user\"]"),
        (
            "type: integer",
            "type: intger",
            "ErrorModel.properties.line",
            "there is no type `intger`",
        ),
        ("required: [name, key]", "required: [nam, key]", "ApiKey.required", "no property `nam`"),
        ("description: The keys were", "text: The keys were", "responses.200", "missing field"),
        ("    ApiKeyValue:", "    KeyValue:", "components.schemas", "there is no `ApiKeyValue`"),
        ("in: path", "in: way", "components.parameters.User", "unknown variant `way`"),
        (
            "x-enum-varnames: [Active, Suspended]",
            "x-enum-varnames: [Active]",
            "KeyState.x-enum-varnames",
            "a list of 2 texts",
        ),
        ("[Active, Suspended]", "[Active, is not]", "KeyState.x-enum-varnames", "no Rust name"),
    ] {
        let project = Project::new();
        let before = project.read(COPY);
        project.edit(from, to);
        let (success, text) = project.run(&["regen"]);
        assert!(!success, "{from:?} -> {to:?}");
        assert!(text.starts_with(&format!("{CONTRACT}: ")), "{text}");
        assert!(text.contains(place) && text.contains(cause), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(project.read(COPY), before);
    }
}

#[test]
fn an_unknown_command_is_answered_with_the_commands_that_there_are() {
    let project = Project::new();
    for arguments in [&["regenerate"][..], &["regen", "--chek"], &[]] {
        let (success, text) = project.run(arguments);
        assert!(!success && text.contains("Usage: cargo xtask"), "{text}");
    }
}
