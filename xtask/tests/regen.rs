//! `cargo xtask regen` on copies of the contract and the generated code, and its report.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use xtask::changes::{Change, Class};
use xtask::regen::{next_version, text, workspace_version};

const CONTRACT: &str = "openapi/apikeys.yaml";
const COPY: &str = "src/generated/apikeys.rs";
const MOCK: &str = "src/generated/mock.rs";

/// A contract for the tests.
const KEYS: &str = include_str!("contracts/keys.yaml");

/// A temporary project with the files that the command reads and writes.
struct Project(TempDir);

impl Project {
    /// Copies this project's files.
    fn new() -> Self {
        let project = Self(TempDir::new().unwrap());
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for directory in ["xtask", "openapi", "src/generated"] {
            fs::create_dir_all(project.0.path().join(directory)).unwrap();
        }
        for file in [CONTRACT, COPY, MOCK, "src/operations.rs", "src/region.rs", "rustfmt.toml"] {
            fs::copy(original.join(file), project.0.path().join(file)).unwrap();
        }
        project
    }

    /// Creates a git repository with one commit: another contract, and no generated code.
    fn in_git() -> Self {
        let project = Self(TempDir::new().unwrap());
        for directory in ["xtask", "openapi"] {
            fs::create_dir_all(project.0.path().join(directory)).unwrap();
        }
        project.write("Cargo.toml", "[workspace.package]\nversion = \"0.3.1\"\n");
        project.write(CONTRACT, KEYS);
        project.git(&["init", "--quiet"]);
        project.commit();
        project
    }

    fn git(&self, arguments: &[&str]) {
        let identity = [
            "-c",
            "user.name=Test",
            "-c",
            "user.email=test@example.com",
            "-c",
            "commit.gpgsign=false",
        ];
        let mut git = Command::new("git");
        git.current_dir(self.0.path()).args(identity).args(arguments);
        assert!(git.status().unwrap().success(), "{arguments:?}");
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "Edit"]);
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.path().join(file), text).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.path().join(file)).unwrap()
    }

    /// Replaces the first occurrence in the contract.
    fn edit(&self, from: &str, to: &str) {
        let contract = self.read(CONTRACT);
        assert!(contract.contains(from), "the contract does not contain {from:?}");
        fs::write(self.0.path().join(CONTRACT), contract.replacen(from, to, 1)).unwrap();
    }

    /// Returns whether the command succeeds, and its output on stdout and stderr.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let (success, output, errors) = self.outputs(arguments);
        (success, output + &errors)
    }

    fn outputs(&self, arguments: &[&str]) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let command =
            command.args(arguments).env("CARGO_MANIFEST_DIR", self.0.path().join("xtask"));
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn regen_leaves_current_code_unchanged() {
    let project = Project::new();
    let before = project.read(COPY);
    let (success, text) = project.run(&["regen", "--check"]);
    assert!(success && text.contains("is up to date"), "{text}");
    let (success, text) = project.run(&["regen"]);
    assert!(success && text.contains("is up to date"), "{text}");
    assert_eq!(project.read(COPY), before);
}

#[test]
fn second_run_prints_the_same_report() {
    let project = Project::in_git();
    project.edit("name: { type: string }", "title: { type: string }");
    project.edit("required: [name]", "required: [title]");
    let (success, report, messages) = project.outputs(&["regen"]);
    assert!(success && messages.contains("Updated src/generated/apikeys.rs."), "{messages}");
    assert!(project.read(COPY).contains("pub title: ::std::string::String"));
    let entry = "breaking  components.schemas.NewKey.properties.name
          property removed
          = `NewKey::name` is gone
";
    assert!(report.contains(entry), "{report}");
    let (success, second, messages) = project.outputs(&["regen"]);
    assert!(success && messages.contains("src/generated/apikeys.rs is up to date"), "{messages}");
    assert_eq!(second, report);
    let version = "Version: 0.3.1 -> 0.4.0 (breaking since HEAD); Cargo.toml still says 0.3.1.";
    assert!(messages.contains(version), "{messages}");
}

#[test]
fn json_report_lists_class_and_place_of_each_change() {
    let project = Project::in_git();
    project.write(CONTRACT, include_str!("contracts/keys-edited.yaml"));
    let (success, output, errors) = project.outputs(&["regen", "--format", "json"]);
    assert!(success, "{errors}");
    assert!(errors.contains("Updated src") && errors.contains("0.3.1 -> 0.4.0"), "{errors}");
    let changes: Vec<Value> = serde_json::from_str(&output).expect("nothing but JSON");
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    let found = changes.iter().map(|it| ["class", "place", "change"].map(|key| text(it, key)));
    let found: Vec<_> = found.map(|entry| entry.join(" | ")).collect();
    let mut expected = vec![
        "breaking | paths./v2/keys | path /v1/keys -> /v2/keys".to_owned(),
        "breaking | paths./v1/keys/{name}/state.put | method POST -> PUT".to_owned(),
        "breaking | paths./v1/keys/{name}.get.parameters.reveal | `in` query -> header".to_owned(),
        "additive | paths./v1/keys/{name}.get.parameters.version | optional query parameter added"
            .to_owned(),
        "additive | paths./v1/users.get | operation added".to_owned(),
        "additive | components.schemas.NewKey.properties.role | optional property added".to_owned(),
        "breaking | components.securitySchemes.apikeys.name | `name` Authorization -> X-Api-Key"
            .to_owned(),
        "breaking | servers.0 | first server https://eu.example.com -> https://new.example.com"
            .to_owned(),
    ];
    for (class, value) in [
        ("breaking", "\"SUSPENDED\" removed"),
        ("additive", "\"PAUSED\" added"),
        ("additive", "\"EXPIRED\" added"),
    ] {
        let place = "components.schemas.Key.properties.state.enum";
        expected.push(format!("{class} | {place} | value {value}"));
    }
    for operation in ["/v2/keys.post", "/v1/keys/{name}.get", "/v1/keys/{name}/state.put"] {
        for status in ["404", "409"] {
            let place = format!("paths.{operation}.responses.{status}");
            expected.push(format!("breaking | {place} | error status {status} removed"));
        }
    }
    for entry in &expected {
        assert!(found.contains(entry), "{entry} is not in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn check_names_outdated_file_and_changes_nothing() {
    let project = Project::in_git();
    let (success, text) = project.run(&["regen"]);
    let unchanged = "The contract has not changed since HEAD: no release is needed.";
    assert!(success && text.contains(unchanged), "{text}");
    let before = project.read(COPY);
    project.edit("created_at:", "created:");
    let (success, text) = project.run(&["regen", "--check"]);
    assert!(!success, "{text}");
    assert!(
        text.contains("src/generated/apikeys.rs is out of date; run `cargo xtask regen`"),
        "{text}"
    );
    assert!(!text.contains("src/generated/mock.rs is out of date"), "{text}");
    assert!(text.lines().count() < 30, "{text}");
    assert_eq!(project.read(COPY), before);
}

#[test]
fn fail_on_rejects_class_and_more_severe_ones() {
    let project = Project::in_git();
    project.edit("created_at:", "created:");
    assert!(project.run(&["regen"]).0);
    for check in [&["regen"][..], &["regen", "--check"]] {
        for class in ["docs", "additive", "breaking"] {
            let (success, text) = project.run(&[check, &["--fail-on", class]].concat());
            assert!(!success, "{text}");
            assert!(text.contains(&format!("`--fail-on {class}`")), "{text}");
        }
    }
    project.write(CONTRACT, KEYS);
    project.edit("version: 1.0.0", "version: 1.0.1");
    assert!(project.run(&["regen"]).0);
    for (class, success) in [("docs", false), ("additive", true), ("breaking", true)] {
        let (succeeds, text) = project.run(&["regen", "--fail-on", class]);
        assert_eq!(succeeds, success, "{text}");
        assert!(text.contains("Version: 0.3.1 -> 0.3.2 (docs since HEAD)"), "{text}");
    }
}

#[test]
fn since_compares_with_older_commit() {
    let project = Project::in_git();
    project.git(&["tag", "v0.3.1"]);
    project.edit("created_at:", "created:");
    project.write("Cargo.toml", "[workspace.package]\nversion = \"0.4.0\"\n");
    project.commit();
    let (success, text) = project.run(&["regen"]);
    assert!(success && text.contains("no release is needed"), "{text}");
    let (success, text) = project.run(&["regen", "--since", "v0.3.1"]);
    assert!(success && text.contains("Key.properties.created_at"), "{text}");
    let version = "Version: 0.3.1 -> 0.4.0 (breaking since v0.3.1); Cargo.toml says 0.4.0.";
    assert!(text.contains(version), "{text}");
}

#[test]
fn requested_commit_without_contract_is_an_error() {
    let project = Project::in_git();
    project.git(&["rm", "--quiet", "--cached", CONTRACT]);
    project.git(&["commit", "--quiet", "--message", "Remove"]);
    for (since, cause) in [
        ("v9", "git has no commit `v9`"),
        ("--all", "git has no commit `--all`"),
        ("HEAD", "`HEAD` has no openapi/apikeys.yaml"),
    ] {
        let since = format!("--since={since}");
        let (success, output, errors) = project.outputs(&["regen", &since]);
        assert!(!success && output.is_empty(), "{output}");
        assert_eq!(errors, format!("cannot compare contracts: {cause}\n"));
    }
    let (success, text) = project.run(&["regen"]);
    assert!(success && text.contains("No report: "), "{text}");
}

#[test]
fn code_is_updated_without_report_when_git_is_missing() {
    let project = Project::in_git();
    fs::remove_dir_all(project.0.path().join(".git")).unwrap();
    let (success, text) = project.run(&["regen"]);
    assert!(success && text.contains("Updated src"), "{text}");
    assert!(text.contains("No report: cannot compare contracts: "), "{text}");
    for asked in [&["--format", "json"][..], &["--fail-on", "breaking"]] {
        let (success, output, errors) = project.outputs(&[&["regen"], asked].concat());
        assert!(!success && output.is_empty(), "{output}");
        assert!(errors.starts_with("cannot compare contracts: "), "{errors}");
    }
}

#[test]
fn contract_sets_authentication_kinds_defaults_and_paths() {
    let project = Project::new();
    project.edit("      name: Authorization\n", "      name: X-Api-Key\n");
    project.edit("      x-scheme: ApiKey\n", "      x-scheme: Token\n");
    project.edit("x-operation-kind: update", "x-operation-kind: create");
    project.edit("x-default: self", "x-default: me");
    project.edit("  /v1/orgs/self/users/self/apikeys:", "  /v2/apikeys:");
    let (success, text) = project.run(&["regen"]);
    assert!(success, "{text}");
    let code = project.read(COPY);
    for wanted in [
        "HeaderName::from_static(\"x-api-key\")",
        "AUTHENTICATION_PREFIX: &str = \"Token \"",
        "DEFAULT_USER: &str = \"me\"",
        "path: \"/v2/apikeys\"",
        "format!(\"{}/v2/apikeys\"",
    ] {
        assert!(code.contains(wanted), "{wanted} is not in the code");
    }
    let update = code.split("pub static UPDATE_API_KEY").nth(1).unwrap();
    let row = update.split("};").next().unwrap();
    assert!(row.contains("OperationKind::Create"), "{row}");
}

/// The build prints the same line.
#[test]
fn invalid_contract_error_is_one_line_with_place_and_cause() {
    for (from, to, place, cause) in [
        ("\ninfo:\n", "\ninfo\n", ", column 8: ", "could not find expected ':'"),
        ("'415':", "'400':", ": line ", "duplicate entry with key \"400\""),
        ("  version: 1.0.0\n", "", "info", "missing field `version`"),
        ("openapi: 3.0.3", "openapi: 3.1.0", ": openapi: ", "not \"3.1.0\""),
        (
            "schemas/ErrorType'",
            "schemas/Typo'",
            "components.schemas.ErrorModel.properties.type.allOf.0",
            "`#/components/schemas/Typo` does not exist",
        ),
        ("operationId: list_api_keys", "x: y", "/apikeys.get", "`operationId` is missing"),
        (
            "operationId: list_api_keys",
            "operationId: get_api_key",
            "/apikeys/{name}.get.operationId",
            "`get_api_key` is not unique",
        ),
        ("/apikeys/{name}:", "/apikeys/{nam}:", "{nam}.get.parameters", "[\"nam\", \"user\"]"),
        (
            "type: integer",
            "type: intger",
            "headers.RetryAfter.schema",
            "type `intger` does not exist",
        ),
        ("required: [name, key]", "required: [nam, key]", "ApiKey.required", "property `nam` does"),
        ("in: path", "in: way", "components.parameters.User", "unknown variant `way`"),
        (
            "x-operation-kind: create",
            "x-operation-kind: make",
            "/self/apikeys.post.x-operation-kind",
            "is not `read`, `create`, `update` or `delete`",
        ),
        (
            "      x-operation-kind: update\n",
            "",
            "/apikeys/{name}.post",
            "`x-operation-kind` is missing; set it to `create`",
        ),
        ("'400':", "'201':", "/self/apikeys.post.responses", "success statuses [200, 201]"),
        ("x-default: self", "x-default: 5", "parameters.User.x-default", "is not a string"),
        ("x-scheme: ApiKey", "x-scheme: ''", "securitySchemes.apikeys.x-scheme", "not a word"),
        ("in: header", "in: query", "securitySchemes.apikeys", "not of type `apiKey` in `header`"),
        (
            "schema: { $ref: '#/components/schemas/ErrorModel' }",
            "schema: { $ref: '#/components/schemas/ApiKey' }",
            "paths",
            "error responses use the schemas [\"ApiKey\", \"ErrorModel\"]",
        ),
        (
            "AUTHEXCEPTION: AuthException",
            "AUTHEXCEPTION: Auth Exception",
            "ErrorType.enum",
            "the variant of `AUTHEXCEPTION`, is not a Rust name",
        ),
        (
            "AUTHEXCEPTION: AuthException",
            "AUTHEXCEPTION: NotFound",
            "ErrorType.enum",
            "the variant of `NOTFOUND`, is taken",
        ),
        (
            "AUTHEXCEPTION: AuthException",
            "AUTH: AuthException",
            "ErrorType.x-enumNames",
            "the enum lacks the value `AUTH`",
        ),
        (
            "    post:\n",
            "    servers: [{ url: 'https://other.example.com' }]\n    post:\n",
            "paths./v1/orgs/self/users/self/apikeys.servers",
            "the client calls one server",
        ),
        ("operationId: create_api_key", "operationId: 2fa", ".operationId", "name of a method"),
        ("operationId: create_api_key", "operationId: new", ".operationId", "name of a method"),
        ("'415':", "default:", "responses.default", "list the statuses"),
        ("  - apikeys: []", "  - apikey: []", "security", "scheme `apikey` does not exist"),
        (
            "operationId: list_api_keys\n",
            "operationId: list_api_keys\n      security: []\n",
            "/users/{user}/apikeys.get.security",
            "authenticates all requests alike",
        ),
        ("in: query", "in: cookie", "components.parameters.Reveal", "is in a cookie"),
        (
            "            application/json:",
            "            application/json; charset=utf-8:",
            "content.application/json; charset=utf-8",
            "supports only application/json",
        ),
        (
            "    ErrorModel:\n",
            "    ErrorModel:\n      required: [message]\n",
            "components.schemas.ErrorModel.required",
            "any field may be missing from an error response",
        ),
        (
            "type: boolean\n",
            "type: boolean\n        enum: [true]\n",
            "components.parameters.Reveal.schema",
            "only with `type: string`",
        ),
        (
            "        type: boolean\n",
            "        type: array\n        items: { type: string }\n",
            "components.parameters.Reveal",
            "is an array or an object",
        ),
        (
            "ACTIVE: ",
            "ACTIVE:\n          x: ",
            "KeyState.x-enumDescriptions",
            "is not a map from wire values to strings",
        ),
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
fn invalid_arguments_print_usage() {
    let project = Project::new();
    for arguments in [&["regenerate"][..], &["regen", "--chek"], &[]] {
        let (success, text) = project.run(arguments);
        assert!(!success && text.contains("Usage: cargo xtask"), "{text}");
    }
}

#[test]
fn report_wraps_at_100_columns_and_keeps_every_word() {
    let words = "word ".repeat(60);
    let change = Change {
        class: Class::Additive,
        place: "components.schemas.Book".to_owned(),
        change: words.clone(),
        meaning: format!("{words}end"),
    };
    let text = text(&[change]);
    assert!(text.starts_with("additive  components.schemas.Book\n          word word"), "{text}");
    assert!(text.contains("\n          = word word"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.lines().skip(1).all(|line| line.starts_with("          ")), "{text}");
    assert_eq!(text.split_whitespace().filter(|word| *word == "word").count(), 120);
    assert!(text.ends_with("end\n"), "{text}");
}

#[test]
fn next_version_follows_semver() {
    for (version, breaking, additive, docs) in [
        ("0.1.0", "0.2.0", "0.1.1", "0.1.1"),
        ("0.9.4", "0.10.0", "0.9.5", "0.9.5"),
        ("1.2.3", "2.0.0", "1.3.0", "1.2.4"),
        ("1.2.3-beta.1", "2.0.0", "1.3.0", "1.2.4"),
    ] {
        let manifest = format!(
            "[package]\nversion = \"7.7.7\"\n\n[workspace.package]\nedition = \"2024\"\nversion = \
             \"{version}\"\n[other]\n"
        );
        let version = workspace_version(&manifest).unwrap();
        let next = |class| next_version(&version, class).to_string();
        assert_eq!(next(Class::Breaking), breaking);
        assert_eq!(next(Class::Additive), additive);
        assert_eq!(next(Class::Docs), docs);
    }
}

#[test]
fn manifest_without_workspace_version_has_none() {
    let other = "[workspace.package]\nedition = \"2024\"\n[package]\nversion = \"1.0.0\"\n";
    for manifest in ["", "[package]\nversion = \"1.0.0\"\n", other] {
        assert_eq!(workspace_version(manifest), None);
    }
}
