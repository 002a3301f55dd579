//! An extended contract: `cargo xtask regen` updates the code, reports the changes and lists the gaps
//! of the facade; a program then calls everything new without another edit.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use yaml_serde::Value;

const CONTRACT: &str = "openapi/apikeys.yaml";

/// A program's test that uses everything new, by `Client::run` against mocks.
const PROGRAM: &str = r#"
//! Uses everything new.

use rockset_apikeys::generated::operations;
use rockset_apikeys::mock::{MockServer, MockServerExt};
use rockset_apikeys::types::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, GetUserResponse, ListApiKeysResponse, User,
};
use rockset_apikeys::{Client, KeyState, OperationKind};

#[tokio::test]
async fn new_parts_work() -> Result<(), Box<dyn std::error::Error>> {
    let server = MockServer::start_async().await;
    let client = Client::builder().api_server(server.base_url()).api_key("k").build()?;
    let generated = client.generated();
    let key = || ApiKey::builder().name("n").key("abcdef").state(KeyState::Frozen).try_into();

    // A body field.
    let body: CreateApiKeyRequest =
        CreateApiKeyRequest::builder().name("n").note(Some("rotated".to_owned())).try_into()?;
    let create = server.create_api_key(|when, then| {
        when.body(&body);
        then.ok(&CreateApiKeyResponse { data: key().unwrap() });
    });
    let request = generated.create_api_key().body(body.clone());
    let created = client.run(&operations::CREATE_API_KEY, || request.clone().send()).await?;
    create.assert_calls(1);

    // An enum value.
    assert_eq!(created.data.state, Some(KeyState::Frozen));
    assert_eq!(KeyState::Frozen.as_str(), "FROZEN");

    // A query parameter.
    let list = server.list_api_keys(|when, then| {
        when.user("self").limit(5);
        then.ok(&ListApiKeysResponse { data: vec![key().unwrap()] });
    });
    let request = generated.list_api_keys().user("self").limit(5);
    client.run(&operations::LIST_API_KEYS, || request.clone().send()).await?;
    list.assert_calls(1);

    // An operation that fails once before it succeeds.
    assert_eq!(operations::GET_USER.kind(), OperationKind::Read);
    let user = User { email: "a b@me.com".to_owned(), roles: vec!["member".to_owned()], contact: None };
    let down = server.get_user(|when, then| {
        when.user("a b@me.com");
        then.service_unavailable(&Default::default());
    });
    let request = generated.get_user().user("a b@me.com");
    let call = client.run(&operations::GET_USER, || request.clone().send());
    let succeed = async {
        while down.calls_async().await == 0 {
            tokio::task::yield_now().await;
        }
        down.delete_async().await;
        server.get_user(|when, then| {
            when.user("a b@me.com");
            then.ok(&GetUserResponse { data: user.clone() });
        });
    };
    let (response, ()) = tokio::join!(call, succeed);
    assert_eq!(response?.data.email, user.email);
    Ok(())
}
"#;

#[test]
#[ignore = "compiles the client again; run it with `cargo test -p xtask --test extended -- --ignored`"]
fn new_operation_is_reported_and_callable_after_regen() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let project = Project::copy();
    project.extend_contract();

    let output = project.regen(&["--format", "json"]);
    let changes: Value = yaml_serde::from_slice(&output.stdout).unwrap();
    let changes = changes.as_sequence().unwrap();
    let classes: Vec<_> = changes.iter().map(|change| change["class"].as_str().unwrap()).collect();
    assert_eq!(classes, ["additive"; 4], "{changes:#?}");

    let output = project.regen(&[]);
    let text = String::from_utf8(output.stderr).unwrap();
    let gaps: Vec<_> = text.lines().filter_map(|line| line.split_once(CONTRACT)).collect();
    let contract = fs::read_to_string(project.0.join(CONTRACT)).unwrap();
    let lines: Vec<_> = contract.lines().collect();
    let wanted = [
        ("note:", "body field `note` of `create_api_key` is missing"),
        ("name: limit", "query parameter `limit` of `list_api_keys` is missing"),
        ("get:", "operation `get_user` is missing in the facade; add `Client::get_user"),
        ("get:", "the table row of `get_user` is missing"),
        ("name: user", "path parameter `user` of `get_user` is missing"),
    ];
    let gaps: Vec<_> = gaps.into_iter().filter(|(_, gap)| gap.starts_with(':')).collect();
    assert_eq!(gaps.len(), wanted.len(), "{text}");
    for (line_text, gap_text) in wanted {
        let mut found = gaps.iter().filter(|(_, gap)| gap.contains(gap_text));
        let (_, gap) = found.next().unwrap_or_else(|| panic!("{gap_text} is not in:\n{text}"));
        let line = gap.split(':').nth(1).unwrap().parse::<usize>().unwrap();
        assert!(lines[line - 1].contains(line_text), "{gap}: {}", lines[line - 1]);
    }
    let check = project.xtask(&["regen", "--check"]);
    let text = String::from_utf8(check.stderr).unwrap();
    assert!(
        !check.status.success() && text.contains("The facade does not cover the contract"),
        "{text}"
    );

    fs::write(project.0.join("tests/new_operation.rs"), PROGRAM).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    let features = "blocking,httpmock,profile,schemars";
    cargo.args([
        "test",
        "--quiet",
        "--workspace",
        "--features",
        features,
        "--test",
        "new_operation",
    ]);
    // Most of it is already compiled in this build's directory.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let output = cargo.current_dir(&project.0).env("CARGO_TARGET_DIR", target).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stdout));
}

/// The tests share one copy of the project.
static TURN: Mutex<()> = Mutex::new(());

/// Shapes that another version of the generator may print: the file, today's code, and other code.
const SHAPES: [(&str, &str, &str); 6] = [
    ("apikeys.rs", "encode_path(&name.to_string())", "name.to_string()"),
    ("apikeys.rs", "apikeys\", client.baseurl,", "apikeys\", client.baseurl(),"),
    ("apikeys.rs", "{}/v1/orgs/self/users/self/apikeys\", client.baseurl,", "{info}\""),
    ("apikeys.rs", "client.exec(request, &info)", "client.client.execute(request)"),
    ("apikeys.rs", "200u16 => ResponseValue::from_response", "200u16 => ResponseValue::decode"),
    ("mock.rs", "value.to_string()", "regex::escape(value)"),
];

#[test]
#[ignore = "compiles the client again; run it with `cargo test -p xtask --test extended -- --ignored`"]
fn generated_code_of_another_shape_does_not_compile() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let project = Project::copy();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let check = || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["check", "--quiet", "--package", "rockset-apikeys", "--no-default-features"]);
        cargo.args(["--features", "httpmock"]).current_dir(&project.0);
        let output = cargo.env("CARGO_TARGET_DIR", target).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check(), (true, String::new()));
    for (file, code, other) in SHAPES {
        let path = project.0.join("src/generated").join(file);
        let original = fs::read_to_string(&path).unwrap();
        assert!(original.contains(code), "{code}");
        fs::write(&path, original.replacen(code, other, 1)).unwrap();
        let (compiles, errors) = check();
        assert!(!compiles && errors.contains(&format!("/{file}:")), "{other}: {errors}");
        fs::write(&path, original).unwrap();
    }
}

/// A copy of the project in a separate repository, always at the same path, so that it is compiled
/// once.
struct Project(PathBuf);

impl Project {
    fn copy() -> Self {
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let project = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join("extended"));
        let _ = fs::remove_dir_all(&project.0);
        let directories = ["checks", "crates", "examples", "openapi", "src", "tests", "xtask"];
        for directory in directories {
            copy(&original.join(directory), &project.0.join(directory));
        }
        for file in ["Cargo.toml", "Cargo.lock", "README.md", "build.rs", "rustfmt.toml"] {
            fs::copy(original.join(file), project.0.join(file)).unwrap();
        }
        // Distinguishes the copy's packages from this project's in the shared build directory.
        let manifest = project.0.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        assert!(text.contains("version = \"0.1.0\""), "the workspace version is not 0.1.0");
        fs::write(&manifest, text.replace("version = \"0.1.0\"", "version = \"0.1.999\"")).unwrap();
        let git = |arguments: &[&str]| {
            let who = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
            let mut git = Command::new("git");
            let git = git.args(who).args(arguments).current_dir(&project.0);
            assert!(git.status().unwrap().success(), "{arguments:?}");
        };
        git(&["init", "--quiet"]);
        git(&["add", "."]);
        git(&["commit", "--quiet", "--message", "Before"]);
        project
    }

    /// Adds a body field, a query parameter, an enum value and an operation whose response contains
    /// an unnamed type.
    fn extend_contract(&self) {
        let file = self.0.join(CONTRACT);
        let mut contract: Value =
            yaml_serde::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let yaml = |text: &str| -> Value { yaml_serde::from_str(text).unwrap() };
        let schemas = &mut contract["components"]["schemas"];
        schemas["CreateApiKeyRequest"]["properties"]["note"] =
            yaml("{ type: string, description: A note on the key. }");
        let states = schemas["KeyState"]["enum"].as_sequence_mut().unwrap();
        states.push("FROZEN".into());
        schemas["User"] = yaml(
            "type: object
description: A user.
required: [email, roles]
properties:
  email: { type: string, description: The address. }
  roles: { type: array, items: { type: string }, description: The roles. }
  contact: { type: object, properties: { phone: { type: string } } }
",
        );
        schemas["GetUserResponse"] = yaml(
            "type: object
description: The response to a retrieval.
required: [data]
properties:
  data:
    allOf: [{ $ref: '#/components/schemas/User' }]
",
        );
        let list = &mut contract["paths"]["/v1/orgs/self/users/{user}/apikeys"]["get"];
        list["parameters"] = yaml(
            "[{ name: limit, in: query, description: At most so many., schema: { type: integer } }]",
        );
        let mut responses = list["responses"].clone();
        responses["200"] = yaml(
            "description: The user
content:
  application/json:
    schema: { $ref: '#/components/schemas/GetUserResponse' }
",
        );
        let mut user = yaml(
            "parameters: [{ $ref: '#/components/parameters/User' }]
get:
  operationId: get_user
  tags: [APIKeys]
  summary: Retrieve a user
  description: Retrieves a user.
",
        );
        user["get"]["responses"] = responses;
        contract["paths"]["/v1/orgs/self/users/{user}"] = user;
        fs::write(&file, yaml_serde::to_string(&contract).unwrap()).unwrap();
    }

    fn xtask(&self, arguments: &[&str]) -> Output {
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        xtask.args(arguments).env("CARGO_MANIFEST_DIR", self.0.join("xtask")).output().unwrap()
    }

    fn regen(&self, arguments: &[&str]) -> Output {
        let output = self.xtask(&[&["regen"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}
