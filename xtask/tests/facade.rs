//! The check of the facade: each way in which it can fall behind the contract, and only those.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use xtask::facade::gaps;

const CONTRACT: &str = "\
servers:
  - url: https://one.example.com
  - url: https://two.example.com
paths:
  /users/{user}/keys:
    parameters:
      - $ref: '#/components/parameters/User'
    post:
      operationId: create_key
      requestBody:
        content:
          application/json:
            schema: { $ref: '#/components/schemas/CreateKey' }
    get:
      operationId: list_keys
      parameters:
        - name: limit
          in: query
  /keys/{id}:
    get:
      operationId: get_key
      parameters:
        - { name: id, in: path, required: true }
components:
  parameters:
    User:
      name: user
      in: path
      required: true
      x-default: self
  schemas:
    CreateKey:
      required: [name]
      properties:
        # The name.
        name: { type: string }
        note: { type: string }
";

const OPERATIONS: &str = "
impl<R: Request> Call<R> {
    pub fn timeout(self) -> Self {}
}
impl Client {
    fn call<R>(&self, request: R) -> Call<R> {}
    pub fn create_key(&self, name: impl Into<String>) -> Call<CreateKey> {}
    pub fn list_keys(&self) -> Call<ListKeys> {}
    pub fn get_key(&self, id: &str) -> Call<GetKey> {}
}
impl Call<CreateKey> {
    pub fn user(self, user: &str) -> Self {}
    pub fn note(self, note: &str) -> Self {}
}
impl Call<ListKeys> {
    pub fn user(self, user: &str) -> Self {}
    pub fn limit(self, limit: u32) -> Self {}
}
impl Request for CreateKey {
    const OPERATION: &'static Operation = &operations::CREATE_KEY;
}
impl Request for ListKeys {
    const OPERATION: &'static Operation = &operations::LIST_KEYS;
}
impl Request for GetKey {
    const OPERATION: &'static Operation = &operations::GET_KEY;
}
";

const REGION: &str = r#"
impl Region {
    pub const ONE: Self = Self { url: "https://one.example.com" };
    pub const TWO: Self = Self { url: "https://two.example.com" };
}
"#;

#[test]
fn a_facade_with_all_of_the_contract_has_no_gaps() {
    assert_eq!(gaps(CONTRACT, OPERATIONS, REGION), Ok(Vec::new()));
}

#[test]
fn each_gap_is_found_with_its_line_of_the_contract() {
    type Edit = (&'static str, &'static str);
    let none: Edit = ("", "");
    let rows: [(Edit, Edit, &str); 9] = [
        (
            none,
            ("pub fn list_keys(", "fn list_keys("),
            "openapi/apikeys.yaml:14: operation `list_keys` has no method; add \
             `Client::list_keys`",
        ),
        (
            none,
            ("pub fn limit(", "fn limit("),
            "openapi/apikeys.yaml:17: `list_keys` has no setter for the query parameter `limit`; \
             add `Call<ListKeys>::limit`",
        ),
        (
            none,
            ("    pub fn note(self, note: &str) -> Self {}\n", ""),
            "openapi/apikeys.yaml:37: `create_key` has no setter for the field of the body `note`; \
             add `Call<CreateKey>::note`",
        ),
        (
            none,
            ("name: impl Into<String>", ""),
            "openapi/apikeys.yaml:36: `create_key` has no argument for the required field of the \
             body `name`; add `name` to `Client::create_key`",
        ),
        (
            none,
            ("id: &str", ""),
            "openapi/apikeys.yaml:23: `get_key` has no argument for the required path parameter \
             `id`; add `id` to `Client::get_key`",
        ),
        (
            ("      x-default: self\n", ""),
            none,
            "openapi/apikeys.yaml:26: `create_key` has no argument for the required path parameter \
             `user`; add `user` to `Client::create_key`",
        ),
        (
            none,
            ("&operations::GET_KEY", "&operations::LIST_KEYS"),
            "openapi/apikeys.yaml:20: `GetKey` does not use the row `operations::GET_KEY`; set \
             `OPERATION`",
        ),
        (
            ("        note: { type: string }\n", ""),
            none,
            "openapi/apikeys.yaml:8: `create_key` has no `note` in the contract; remove it from \
             the facade",
        ),
        (
            ("operationId: get_key", "operationId: retrieve_key"),
            none,
            "`Client::get_key` in src/operations.rs is not in the contract; remove it",
        ),
    ];
    for ((old, new), (old_code, new_code), wanted) in rows {
        assert!(CONTRACT.contains(old) && OPERATIONS.contains(old_code), "{wanted}");
        let contract = CONTRACT.replacen(old, new, 1);
        let operations = OPERATIONS.replacen(old_code, new_code, 1);
        let found = gaps(&contract, &operations, REGION).unwrap();
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|gap| gap == wanted), "{wanted} is not in {found:#?}");
    }
}

#[test]
fn servers_are_regions_and_regions_are_servers() {
    let region = REGION.replace("two.example", "three.example");
    let found = gaps(CONTRACT, OPERATIONS, &region).unwrap();
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    let wanted = [
        "openapi/apikeys.yaml:3: server https://two.example.com is not a region; add it to \
         src/region.rs",
        "region https://three.example.com in src/region.rs is not a server; remove it",
    ];
    assert_eq!(found, wanted);
}

#[test]
fn the_first_server_is_the_default_region() {
    let region = "impl Region {
        pub const TWO: Self = Self { url: \"https://two.example.com\" };
        pub const ONE: Self = Self { name: \"https://other\", url: \"https://one.example.com\" };
    }";
    let found = gaps(CONTRACT, OPERATIONS, region).unwrap();
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    let wanted = "openapi/apikeys.yaml:2: server https://one.example.com is the default, and region \
                  https://two.example.com in src/region.rs; make the first of both the same";
    assert_eq!(found, [wanted]);
}

#[test]
fn names_are_compared_as_rust_has_them() {
    let contract = CONTRACT
        .replace("operationId: get_key", "operationId: getKey")
        .replace("name: limit\n          in: query", "name: If-Match\n          in: header")
        .replace("note: {", "type: {");
    let operations = OPERATIONS.replace("fn limit", "fn if_match").replace("fn note", "fn type_");
    for operations in [&operations, &operations.replace("fn type_", "fn r#type")] {
        assert_eq!(gaps(&contract, operations, REGION), Ok(Vec::new()));
    }

    let contract = contract.replace("operationId: getKey", "operationId: replaceKey");
    let found = gaps(&contract, OPERATIONS, REGION).unwrap();
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    for wanted in [
        "operation `replaceKey` has no method; add `Client::replace_key`",
        "`list_keys` has no setter for the header `If-Match`; add `Call<ListKeys>::if_match`",
        "`create_key` has no setter for the field of the body `type`; add \
         `Call<CreateKey>::type_`",
    ] {
        assert!(found.iter().any(|gap| gap.ends_with(wanted)), "{wanted} is not in {found:#?}");
    }
}

#[test]
fn a_body_is_all_that_it_joins_and_one_of_another_kind_is_a_gap_of_its_own() {
    let schema = "schema: { $ref: '#/components/schemas/CreateKey' }";
    let joined = "schema: { allOf: [{ $ref: '#/components/schemas/CreateKey' }, \
                  { type: object, properties: { more: { type: string } } }] }";
    let found = gaps(&CONTRACT.replace(schema, joined), OPERATIONS, REGION).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].text.contains("field of the body `more`"), "{found:?}");

    let block = "
    CreateKey:
      required: [name]
      allOf:
        - properties:
            name: { type: string }
        - properties:
            more: { type: string }
";
    let contract = CONTRACT.split("\n    CreateKey:").next().unwrap().to_owned() + block;
    let found = gaps(&contract, &OPERATIONS.replace("fn note", "fn more"), REGION);
    assert_eq!(found, Ok(Vec::new()));
    let found = gaps(&contract, &OPERATIONS.replace("name: impl Into<String>", ""), REGION);
    assert!(found.unwrap().iter().any(|gap| gap.line == Some(36)));

    let list = "schema: { type: array, items: { type: string } }";
    let map = "schema: { type: object, additionalProperties: { type: string } }";
    let union = "schema: { oneOf: [{ $ref: '#/components/schemas/CreateKey' }] }";
    for contract in [
        CONTRACT.replace(schema, list),
        CONTRACT.replace(schema, map),
        CONTRACT.replace(schema, union),
        CONTRACT.replace("application/json:", "text/plain:"),
    ] {
        let found = gaps(&contract, OPERATIONS, REGION).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        let text =
            "the body of `create_key` is not an object with named fields in JSON; check it by hand";
        assert_eq!((found[0].text.as_str(), found[0].line), (text, Some(10)));
    }
}

#[test]
fn code_that_is_not_rust_is_an_error_with_its_file() {
    let error = gaps(CONTRACT, "impl {", REGION).unwrap_err();
    assert!(error.starts_with("src/operations.rs: "), "{error}");
}
