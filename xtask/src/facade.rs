//! Holds the hand-written facade to the contract: finds the operations, parameters and fields of
//! bodies without a method, argument or setter in `src/operations.rs`, and the servers that are not
//! regions. It reads the code and does not run it, so it works when the code does not compile.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{
    Expr, ExprLit, ExprStruct, FnArg, GenericArgument, Ident, ImplItem, Item, ItemImpl, Lit,
    Member, Pat, PathArguments, ReturnType, Type, Visibility,
};

use crate::changes::{Contract, Node, Schema, field_name, is_struct};
use rockset_apikeys_codegen::names::shouting_case;

const JSON: &str = "application/json";

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
    let lines = Lines::of(contract);
    let contract = Contract::parse(contract)?;
    let facade = Facade::of(operations).map_err(|error| format!("src/operations.rs: {error}"))?;
    let mut gaps = Vec::new();
    let mut methods = BTreeSet::new();
    for operation in contract_operations(&contract, &lines) {
        operation_gaps(&operation, &facade, &mut gaps);
        methods.insert(operation.method);
    }
    for method in facade.methods.keys().filter(|method| !methods.contains(*method)) {
        let text =
            format!("`Client::{method}` in src/operations.rs is not in the contract; remove it");
        gaps.push(Gap { line: None, text });
    }
    server_gaps(&contract, &lines, region, &mut gaps)?;
    Ok(gaps)
}

fn operation_gaps(operation: &Wanted, facade: &Facade, gaps: &mut Vec<Gap>) {
    let Wanted { id, method: name, .. } = operation;
    let mut gap = |line, text| gaps.push(Gap { line: Some(line), text });
    let Some(method) = facade.methods.get(name) else {
        return gap(
            operation.line,
            format!("operation `{id}` has no method; add `Client::{name}`"),
        );
    };
    let call = &method.call;
    let row = shouting_case(id);
    if facade.rows.get(call) != Some(&row) {
        let text = format!("`{call}` does not use the row `operations::{row}`; set `OPERATION`");
        gap(operation.line, text);
    }
    let setters = facade.setters.get(call);
    for input in &operation.inputs {
        let (rust, wire, place) = (&input.rust, &input.wire, input.place);
        let is_argument = method.arguments.contains(rust);
        let is_setter = setters.is_some_and(|setters| setters.contains(rust));
        if input.is_argument && !is_argument {
            let text = format!("`{name}` has no argument for the required {place} `{wire}`");
            gap(input.line, format!("{text}; add `{rust}` to `Client::{name}`"));
        } else if !is_argument && !is_setter {
            let text = format!("`{name}` has no setter for the {place} `{wire}`");
            gap(input.line, format!("{text}; add `Call<{call}>::{rust}`"));
        }
    }
    if let Some(line) = operation.unknown_body {
        let text = format!(
            "the body of `{id}` is not an object with named fields in JSON; check it by hand"
        );
        return gap(line, text);
    }
    let known = |name: &String| operation.inputs.iter().any(|input| input.rust == *name);
    let setters = setters.into_iter().flatten();
    for unknown in setters.chain(&method.arguments).filter(|name| !known(name)) {
        let text =
            format!("`{name}` has no `{unknown}` in the contract; remove it from the facade");
        gap(operation.line, text);
    }
}

/// An operation as the contract describes it.
struct Wanted {
    id: String,
    /// The name of its method in Rust.
    method: String,
    line: usize,
    inputs: Vec<Input>,
    /// The line of a body that is not an object with named fields in JSON.
    unknown_body: Option<usize>,
}

/// A parameter, or a field of the body.
struct Input {
    wire: String,
    rust: String,
    place: &'static str,
    /// Required and without a default, so that a call cannot be made without it.
    is_argument: bool,
    line: usize,
}

fn contract_operations(contract: &Contract, lines: &Lines<'_>) -> Vec<Wanted> {
    let mut operations = Vec::new();
    let paths = contract.root().get("paths");
    for path in paths.keys() {
        let item = paths.get(path);
        for node in item.keys().into_iter().map(|method| item.get(method)) {
            let Some(id) = node.text("operationId") else { continue };
            let line = lines.of_place(&node.place);
            let mut parameters = item.get("parameters").items();
            parameters.extend(node.get("parameters").items());
            let inputs = parameters.iter().filter_map(|it| parameter(it, contract, lines, line));
            let mut inputs: Vec<_> = inputs.collect();
            let body = body(&node, contract, lines);
            let unknown_body = body.as_ref().err().copied();
            inputs.extend(body.unwrap_or_default());
            let method = field_name(id);
            operations.push(Wanted { id: id.to_owned(), method, line, inputs, unknown_body });
        }
    }
    operations
}

fn parameter(
    listed: &Node<'_>,
    contract: &Contract,
    lines: &Lines<'_>,
    operation: usize,
) -> Option<Input> {
    let node = contract.resolve(listed);
    let wire = node.text("name")?.to_owned();
    let line = match listed.reference() {
        None => lines.after(operation, &format!("name: {wire}")),
        Some(_) => lines.of_place(&node.place),
    };
    let place = match node.text("in")? {
        "path" => "path parameter",
        "query" => "query parameter",
        "header" => "header",
        _ => "cookie",
    };
    let is_argument = node.flag("required") && node.get("x-default").is_absent();
    Some(Input { rust: field_name(&wire), wire, place, is_argument, line })
}

/// Lists the fields of an operation's body. The error is the line of a body that has none.
fn body(operation: &Node<'_>, contract: &Contract, lines: &Lines<'_>) -> Result<Vec<Input>, usize> {
    let listed = operation.get("requestBody");
    if listed.is_absent() {
        return Ok(Vec::new());
    }
    let content = contract.resolve(&listed).get("content");
    let schema = Schema::new(contract, &content.get(JSON).get("schema"));
    if content.keys() != BTreeSet::from([JSON]) || !is_struct(&schema) {
        return Err(lines.of_place(&listed.place));
    }
    let fields = schema.properties().into_iter().map(|(wire, node)| Input {
        wire: wire.to_owned(),
        rust: field_name(wire),
        place: "field of the body",
        is_argument: schema.requires(wire),
        line: lines.of_place(&node.place),
    });
    Ok(fields.collect())
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
                    Pat::Ident(name) => Some(rust_name(&name.ident)),
                    _ => None,
                },
                FnArg::Receiver(_) => None,
            });
            let method = Method { call, arguments: arguments.collect() };
            self.methods.insert(rust_name(&function.sig.ident), method);
        }
    }

    fn add_setters(&mut self, block: &ItemImpl, of: &Type) {
        let Some(call) = call_of(of) else { return };
        let setters = block.items.iter().filter_map(|item| match item {
            ImplItem::Fn(function) if matches!(function.vis, Visibility::Public(_)) => {
                Some(rust_name(&function.sig.ident))
            }
            _ => None,
        });
        self.setters.entry(call).or_default().extend(setters);
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

/// The name as the generator writes it: a keyword ends in `_` and does not begin with `r#`.
fn rust_name(name: &Ident) -> String {
    let text = name.unraw().to_string();
    if *name == text { text } else { text + "_" }
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

/// Compares the servers with the regions; the first of both is the default.
fn server_gaps(
    contract: &Contract,
    lines: &Lines<'_>,
    region: &str,
    gaps: &mut Vec<Gap>,
) -> Result<(), String> {
    let regions = region_urls(region).map_err(|error| format!("src/region.rs: {error}"))?;
    let servers = contract.root().get("servers");
    let urls: Vec<_> = servers.items().iter().filter_map(|server| server.text("url")).collect();
    let line = |url: &str| lines.after(lines.of_place(&servers.place), &format!("url: {url}"));
    let mut gap = |line, text| gaps.push(Gap { line, text });
    for url in urls.iter().filter(|url| !regions.iter().any(|region| region == *url)) {
        let text = format!("server {url} is not a region; add it to src/region.rs");
        gap(Some(line(url)), text);
    }
    for url in regions.iter().filter(|url| !urls.contains(&url.as_str())) {
        let text = format!("region {url} in src/region.rs is not a server; remove it");
        gap(None, text);
    }
    if let (Some(server), Some(region)) = (urls.first(), regions.first())
        && server != region
    {
        let text = format!("server {server} is the default, and region {region} in src/region.rs");
        gap(Some(line(server)), format!("{text}; make the first of both the same"));
    }
    Ok(())
}

/// Returns the `url: "…"` of the constants of `Region`.
fn region_urls(source: &str) -> Result<Vec<String>, syn::Error> {
    let mut urls = Vec::new();
    for item in &syn::parse_file(source)?.items {
        let Item::Impl(block) = item else { continue };
        for item in &block.items {
            let ImplItem::Const(constant) = item else { continue };
            let Expr::Struct(ExprStruct { fields, .. }) = &constant.expr else { continue };
            urls.extend(fields.iter().filter_map(|field| match (&field.member, &field.expr) {
                (Member::Named(name), Expr::Lit(ExprLit { lit: Lit::Str(url), .. }))
                    if name == "url" =>
                {
                    Some(url.value())
                }
                _ => None,
            }));
        }
    }
    Ok(urls)
}

/// The lines of the contract, to find where something stands. Lines count from 1.
struct Lines<'a>(Vec<&'a str>);

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.lines().collect())
    }

    /// Returns the line of the node at this place, or of the last key of the place that has a line
    /// of its own.
    fn of_place(&self, place: &str) -> usize {
        let (mut found, mut outer) = (0, None);
        let mut rest = place;
        while !rest.is_empty() {
            let below = |line: &str| outer.is_none_or(|outer| indent(line) > outer);
            let lines = self.0.iter().enumerate().skip(found);
            let inner = lines
                .take_while(|(index, line)| *index == found || is_blank(line) || below(line))
                .find_map(|(index, line)| {
                    // A key may have dots in it.
                    let (key, _) = line.trim_start_matches([' ', '-']).split_once(':')?;
                    let after = rest.strip_prefix(key.trim_matches(['\'', '"']))?;
                    (after.is_empty() || after.starts_with('.')).then_some((index, line, after))
                });
            let Some((index, line, after)) = inner else {
                // The index of an item, or a key in a line with others.
                rest = rest.split_once('.').map_or("", |(_, rest)| rest);
                continue;
            };
            (found, outer, rest) = (index + 1, Some(indent(line)), after.trim_start_matches('.'));
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
