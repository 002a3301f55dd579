//! Gaps between a contract and a facade, one edit of either at a time.

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

fn found(contract: &str, operations: &str, region: &str) -> Vec<String> {
    gaps(contract, operations, region).unwrap()
}

#[test]
fn complete_facade_has_no_gaps() {
    assert_eq!(found(CONTRACT, OPERATIONS, REGION), [""; 0]);
}

#[test]
fn gap_names_line_and_missing_item() {
    type Edit = (&'static str, &'static str);
    let none: Edit = ("", "");
    let rows: [(Edit, Edit, &str); 11] = [
        (
            none,
            ("pub fn list_keys(", "fn list_keys("),
            "openapi/apikeys.yaml:14: operation `list_keys` is missing in the facade; add \
             `Client::list_keys -> Call<ListKeys>`",
        ),
        (
            none,
            ("pub fn limit(", "fn limit("),
            "openapi/apikeys.yaml:17: query parameter `limit` of `list_keys` is missing in the \
             facade; add `Call<ListKeys>::limit`",
        ),
        (
            none,
            ("    pub fn note(self, note: &str) -> Self {}\n", ""),
            "openapi/apikeys.yaml:37: body field `note` of `create_key` is missing in the facade; \
             add `Call<CreateKey>::note`",
        ),
        (
            none,
            ("name: impl Into<String>", ""),
            "openapi/apikeys.yaml:36: required body field `name` of `create_key` is missing in the \
             facade; add `Client::create_key(name)`",
        ),
        (
            none,
            ("id: &str", ""),
            "openapi/apikeys.yaml:23: required path parameter `id` of `get_key` is missing in the \
             facade; add `Client::get_key(id)`",
        ),
        (
            ("      x-default: self\n", ""),
            none,
            "openapi/apikeys.yaml:27: required path parameter `user` of `create_key` is missing in \
             the facade; add `Client::create_key(user)`",
        ),
        (
            none,
            ("&operations::GET_KEY", "&operations::LIST_KEYS"),
            "openapi/apikeys.yaml:20: the table row of `get_key` is missing in the facade; add \
             `GetKey::OPERATION = operations::GET_KEY`",
        ),
        (
            none,
            ("Call<ListKeys> {}", "Call<GetKey> {}"),
            "openapi/apikeys.yaml:14: operation `list_keys` is missing in the facade; add \
             `Client::list_keys -> Call<ListKeys>`",
        ),
        (
            ("        note: { type: string }\n", ""),
            none,
            "`Call<CreateKey>::note` is not in the contract; remove it from the facade",
        ),
        (
            none,
            ("id: &str", "id: &str, limit: u32"),
            "`Client::get_key(limit)` is not in the contract; remove it from the facade",
        ),
        (
            ("operationId: get_key", "operationId: retrieve_key"),
            none,
            "`Client::get_key -> Call<GetKey>` is not in the contract; remove it from the facade",
        ),
    ];
    for ((old, new), (old_code, new_code), wanted) in rows {
        assert!(CONTRACT.contains(old) && OPERATIONS.contains(old_code), "{wanted}");
        let contract = CONTRACT.replacen(old, new, 1);
        let operations = OPERATIONS.replacen(old_code, new_code, 1);
        let found = found(&contract, &operations, REGION);
        assert!(found.iter().any(|gap| gap == wanted), "{wanted} is not in {found:#?}");
    }
}

#[test]
fn server_without_region_and_region_without_server_are_gaps() {
    let region = REGION.replace("two.example", "three.example");
    let wanted = [
        "openapi/apikeys.yaml:3: server `https://two.example.com` is missing in the facade; add \
         `region https://two.example.com`",
        "`region https://three.example.com` is not in the contract; remove it from the facade",
    ];
    assert_eq!(found(CONTRACT, OPERATIONS, &region), wanted);
}

#[test]
fn first_server_is_default_region() {
    let region = "impl Region {
        pub const TWO: Self = Self { url: \"https://two.example.com\" };
        pub const ONE: Self = Self { name: \"https://other\", url: \"https://one.example.com\" };
    }";
    let wanted = [
        "openapi/apikeys.yaml:2: the default server is missing in the facade; add \
         `default region https://one.example.com`",
        "`default region https://two.example.com` is not in the contract; remove it from the facade",
    ];
    assert_eq!(found(CONTRACT, OPERATIONS, region), wanted);
}

#[test]
fn names_are_compared_as_rust_names() {
    let contract = CONTRACT
        .replace("operationId: get_key", "operationId: getKey")
        .replace("name: limit\n          in: query", "name: If-Match\n          in: header")
        .replace("note: {", "type: {");
    let operations = OPERATIONS.replace("fn limit", "fn if_match").replace("fn note", "fn type_");
    for operations in [&operations, &operations.replace("fn type_", "fn r#type")] {
        assert_eq!(found(&contract, operations, REGION), [""; 0]);
    }

    let contract = contract.replace("operationId: getKey", "operationId: replaceKey");
    let found = found(&contract, OPERATIONS, REGION);
    for wanted in [
        "operation `replaceKey` is missing in the facade; add \
         `Client::replace_key -> Call<ReplaceKey>`",
        "header parameter `If-Match` of `list_keys` is missing in the facade; add \
         `Call<ListKeys>::if_match`",
        "body field `type` of `create_key` is missing in the facade; add `Call<CreateKey>::type_`",
    ] {
        assert!(found.iter().any(|gap| gap.ends_with(wanted)), "{wanted} is not in {found:#?}");
    }
}

#[test]
fn all_of_body_is_compared_as_one_object() {
    let schema = "schema: { $ref: '#/components/schemas/CreateKey' }";
    let joined = "schema: { allOf: [{ $ref: '#/components/schemas/CreateKey' }, \
                  { type: object, properties: { more: { type: string } } }] }";
    let gaps = found(&CONTRACT.replace(schema, joined), OPERATIONS, REGION);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].contains("body field `more`"), "{gaps:?}");

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
    let operations = OPERATIONS.replace("fn note", "fn more");
    assert_eq!(found(&contract, &operations, REGION), [""; 0]);
    let operations = OPERATIONS.replace("name: impl Into<String>", "");
    let gaps = found(&contract, &operations, REGION);
    assert!(gaps.iter().any(|gap| gap.starts_with("openapi/apikeys.yaml:36: ")), "{gaps:?}");
}

#[test]
fn body_without_named_json_fields_is_one_gap() {
    let schema = "schema: { $ref: '#/components/schemas/CreateKey' }";
    let list = "schema: { type: array, items: { type: string } }";
    let map = "schema: { type: object, additionalProperties: { type: string } }";
    let union = "schema: { oneOf: [{ $ref: '#/components/schemas/CreateKey' }] }";
    for contract in [
        CONTRACT.replace(schema, list),
        CONTRACT.replace(schema, map),
        CONTRACT.replace(schema, union),
        CONTRACT.replace("application/json:", "text/plain:"),
    ] {
        let wanted = "openapi/apikeys.yaml:10: the body of `create_key` is not a JSON object with \
                      named fields; compare it manually";
        assert_eq!(found(&contract, OPERATIONS, REGION), [wanted]);
    }
}

#[test]
fn invalid_rust_is_an_error_with_its_file() {
    let error = format!("{:#}", gaps(CONTRACT, "impl {", REGION).unwrap_err());
    assert!(error.starts_with("src/operations.rs: "), "{error}");
}
