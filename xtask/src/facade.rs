//! Holds the hand-written facade to the contract: finds the operations, parameters and fields of
//! bodies that `src/operations.rs` has no method, argument or setter for, and the servers that are
//! no region. It reads the code and does not run it, so that it works when the code does not compile.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Expr, ExprLit, FnArg, GenericArgument, ImplItem, Item, ItemImpl, Lit, Pat, PathArguments,
};
use syn::{ReturnType, Type, Visibility};
use yaml_serde::Value;

/// Something that the contract has and the facade lacks, or the other way around.
#[derive(Debug, PartialEq, Eq)]
pub struct Gap {
    /// The line of the contract, if the contract has it.
    pub line: Option<usize>,
    /// What is missing, and where to add it.
    pub text: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "openapi/apikeys.yaml:{line}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// Compares the contract with the facade's code, `src/operations.rs` and `src/region.rs`.
pub fn gaps(contract: &str, operations: &str, region: &str) -> Result<Vec<Gap>, String> {
    let document: Value = yaml_serde::from_str(contract).map_err(|error| error.to_string())?;
    let lines = Lines::of(contract);
    let facade = Facade::of(operations).map_err(|error| format!("src/operations.rs: {error}"))?;
    let mut gaps = Vec::new();
    let mut ids = BTreeSet::new();
    for operation in contract_operations(&document, &lines) {
        operation_gaps(&operation, &facade, &mut gaps);
        ids.insert(operation.id);
    }
    for id in facade.methods.keys().filter(|id| !ids.contains(*id)) {
        let text = format!("`Client::{id}` in src/operations.rs is not in the contract; remove it");
        gaps.push(Gap { line: None, text });
    }
    server_gaps(&document, &lines, region, &mut gaps)?;
    Ok(gaps)
}

fn operation_gaps(operation: &Wanted, facade: &Facade, gaps: &mut Vec<Gap>) {
    let id = &operation.id;
    let mut gap = |line, text| gaps.push(Gap { line: Some(line), text });
    let Some(method) = facade.methods.get(id) else {
        return gap(operation.line, format!("operation `{id}` has no method; add `Client::{id}`"));
    };
    let call = &method.call;
    let row = id.to_uppercase();
    if facade.rows.get(call) != Some(&row) {
        let text = format!("`{call}` does not use the row `operations::{row}`; set `OPERATION`");
        gap(operation.line, text);
    }
    let setters = facade.setters.get(call);
    for input in &operation.inputs {
        let name = &input.name;
        let is_argument = method.arguments.contains(name);
        let is_setter = setters.is_some_and(|setters| setters.contains(name));
        let place = input.place;
        if input.is_argument && !is_argument {
            let text = format!("`{id}` has no argument for the required {place} `{name}`");
            gap(input.line, format!("{text}; add it to `Client::{id}`"));
        } else if !is_argument && !is_setter {
            let text = format!("`{id}` has no setter for the {place} `{name}`");
            gap(input.line, format!("{text}; add `Call<{call}>::{name}`"));
        }
    }
    let known = |name: &String| operation.inputs.iter().any(|input| input.name == *name);
    let setters = setters.into_iter().flatten();
    for name in setters.chain(&method.arguments).filter(|name| !known(name)) {
        let text = format!("`{id}` has no `{name}` in the contract; remove it from the facade");
        gap(operation.line, text);
    }
}

/// An operation as the contract wants it.
struct Wanted {
    id: String,
    line: usize,
    inputs: Vec<Input>,
}

/// A parameter, or a field of the body.
struct Input {
    name: String,
    place: &'static str,
    /// Required and without a default, so that a call cannot be made without it.
    is_argument: bool,
    line: usize,
}

fn contract_operations(document: &Value, lines: &Lines<'_>) -> Vec<Wanted> {
    let mut operations = Vec::new();
    for (path, item) in mapping(document.get("paths")) {
        for (method, node) in mapping(Some(item)) {
            let Some(id) = text(node, "operationId") else { continue };
            let place = ["paths", path, method];
            let parameters = [item.get("parameters"), node.get("parameters")];
            let parameters = parameters.into_iter().flatten().filter_map(Value::as_sequence);
            let mut inputs: Vec<_> = parameters
                .flatten()
                .filter_map(|parameter| input_of(parameter, document, lines, &place))
                .collect();
            inputs.extend(body_inputs(node, document, lines));
            operations.push(Wanted { id: id.to_owned(), line: lines.of_place(&place), inputs });
        }
    }
    operations
}

fn input_of(
    parameter: &Value,
    document: &Value,
    lines: &Lines<'_>,
    operation: &[&str],
) -> Option<Input> {
    let place = reference(parameter).unwrap_or_default();
    let node = resolve(parameter, document);
    let name = text(node, "name")?.to_owned();
    let line = match &place[..] {
        [] => lines.after(lines.of_place(operation), &format!("name: {name}")),
        place => lines.of_place(place),
    };
    let is_required = node.get("required").and_then(Value::as_bool) == Some(true);
    let place = match text(node, "in")? {
        "path" => "path parameter",
        "query" => "query parameter",
        "header" => "header",
        _ => "cookie",
    };
    let is_argument = is_required && node.get("x-default").is_none();
    Some(Input { name, place, is_argument, line })
}

/// The fields of an operation's body of JSON.
fn body_inputs(operation: &Value, document: &Value, lines: &Lines<'_>) -> Vec<Input> {
    let body = operation.get("requestBody").map(|body| resolve(body, document));
    let schema = body
        .and_then(|body| body.get("content")?.get("application/json")?.get("schema"))
        .map(|schema| (reference(schema).unwrap_or_default(), resolve(schema, document)));
    let Some((place, schema)) = schema else { return Vec::new() };
    let required = schema.get("required").and_then(Value::as_sequence);
    let required: Vec<_> = required.into_iter().flatten().filter_map(Value::as_str).collect();
    let fields = mapping(schema.get("properties"));
    let fields = fields.map(|(name, _)| Input {
        name: name.to_owned(),
        place: "field of the body",
        is_argument: required.contains(&name),
        line: lines.of_place(&[&place[..], &["properties", name]].concat()),
    });
    fields.collect()
}

/// The facade's code, as far as the contract is concerned.
#[derive(Default)]
struct Facade {
    methods: BTreeMap<String, Method>,
    /// The setters of each call, by the type of its request.
    setters: BTreeMap<String, BTreeSet<String>>,
    /// The row of the table of operations that each request uses.
    rows: BTreeMap<String, String>,
}

struct Method {
    /// The type of the request, `X` of the returned `Call<X>`.
    call: String,
    arguments: BTreeSet<String>,
}

impl Facade {
    fn of(source: &str) -> Result<Self, syn::Error> {
        let mut facade = Self::default();
        for item in &syn::parse_file(source)?.items {
            let Item::Impl(block) = item else { continue };
            match (&block.trait_, &*block.self_ty) {
                (None, Type::Path(of)) if of.path.is_ident("Client") => facade.add_methods(block),
                (None, of) => facade.add_setters(block, of),
                (Some(_), of) => facade.add_row(block, of),
            }
        }
        Ok(facade)
    }

    fn add_methods(&mut self, block: &ItemImpl) {
        for item in &block.items {
            let ImplItem::Fn(function) = item else { continue };
            let ReturnType::Type(_, output) = &function.sig.output else { continue };
            let (Visibility::Public(_), Some(call)) = (&function.vis, call_of(output)) else {
                continue;
            };
            let arguments = function.sig.inputs.iter().filter_map(|argument| match argument {
                FnArg::Typed(typed) => match &*typed.pat {
                    Pat::Ident(name) => Some(name.ident.to_string()),
                    _ => None,
                },
                FnArg::Receiver(_) => None,
            });
            let method = Method { call, arguments: arguments.collect() };
            self.methods.insert(function.sig.ident.to_string(), method);
        }
    }

    fn add_setters(&mut self, block: &ItemImpl, of: &Type) {
        let Some(call) = call_of(of) else { return };
        let setters = block.items.iter().filter_map(|item| match item {
            ImplItem::Fn(function) if matches!(function.vis, Visibility::Public(_)) => {
                Some(function.sig.ident.to_string())
            }
            _ => None,
        });
        // What every call has is generic over the request.
        if block.generics.params.is_empty() {
            self.setters.entry(call).or_default().extend(setters);
        }
    }

    fn add_row(&mut self, block: &ItemImpl, of: &Type) {
        for item in &block.items {
            if let ImplItem::Const(constant) = item
                && constant.ident == "OPERATION"
                && let Some(row) = constant.expr.to_token_stream().into_iter().last()
            {
                self.rows.insert(of.to_token_stream().to_string(), row.to_string());
            }
        }
    }
}

/// `X` of `Call<X>`.
fn call_of(of: &Type) -> Option<String> {
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Call")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(of) => Some(of.to_token_stream().to_string()),
        _ => None,
    }
}

/// The servers that are no region, and the regions that are no server.
fn server_gaps(
    document: &Value,
    lines: &Lines<'_>,
    region: &str,
    gaps: &mut Vec<Gap>,
) -> Result<(), String> {
    /// The `url: "…"` of the constants.
    struct Urls(Vec<String>);

    impl VisitMut for Urls {
        fn visit_field_value_mut(&mut self, field: &mut syn::FieldValue) {
            visit_mut::visit_field_value_mut(self, field);
            if let Expr::Lit(ExprLit { lit: Lit::Str(url), .. }) = &field.expr
                && field.member.to_token_stream().to_string() == "url"
            {
                self.0.push(url.value());
            }
        }
    }

    let mut file = syn::parse_file(region).map_err(|error| format!("src/region.rs: {error}"))?;
    let mut regions = Urls(Vec::new());
    regions.visit_file_mut(&mut file);
    let servers = document.get("servers").and_then(Value::as_sequence).into_iter().flatten();
    let servers: Vec<_> = servers.filter_map(|server| text(server, "url")).collect();
    for url in &servers {
        if !regions.0.iter().any(|region| region == url) {
            let line = lines.after(lines.of_place(&["servers"]), &format!("url: {url}"));
            let text = format!("server {url} is no region; add it to src/region.rs");
            gaps.push(Gap { line: Some(line), text });
        }
    }
    for url in regions.0.iter().filter(|url| !servers.contains(&url.as_str())) {
        let text = format!("region {url} in src/region.rs is no server of the contract; remove it");
        gaps.push(Gap { line: None, text });
    }
    Ok(())
}

/// The lines of the contract, to find where something stands. Lines count from 1.
struct Lines<'a>(Vec<&'a str>);

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.lines().collect())
    }

    /// The line of the node with these keys, or of the last of them that has a line of its own.
    fn of_place(&self, keys: &[&str]) -> usize {
        let (mut found, mut outer) = (0, None);
        for key in keys {
            let rest = self.0.iter().enumerate().skip(found);
            let inner = rest
                .take_while(|(index, line)| {
                    *index == found
                        || outer.is_none_or(|outer| is_blank(line) || indent(line) > outer)
                })
                .find(|(_, line)| {
                    let line = line.trim_start();
                    line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'))
                });
            let Some((index, line)) = inner else { break };
            (found, outer) = (index + 1, Some(indent(line)));
        }
        found.max(1)
    }

    /// The first line with this text from the given one on.
    fn after(&self, line: usize, text: &str) -> usize {
        let index = self.0.iter().skip(line).position(|it| it.contains(text));
        index.map_or(line, |index| line + index + 1)
    }
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty() || line.trim_start().starts_with('#')
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn mapping(node: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    let entries = node.and_then(Value::as_mapping).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.as_str()?, value)))
}

fn text<'a>(node: &'a Value, key: &str) -> Option<&'a str> {
    node.get(key)?.as_str()
}

/// The keys of the node that this one refers to.
fn reference(node: &Value) -> Option<Vec<&str>> {
    Some(text(node, "$ref")?.strip_prefix("#/")?.split('/').collect())
}

fn resolve<'a>(node: &'a Value, document: &'a Value) -> &'a Value {
    let keys = reference(node);
    keys.and_then(|keys| keys.iter().try_fold(document, |node, key| node.get(*key))).unwrap_or(node)
}
