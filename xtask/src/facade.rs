//! Finds what the hand-written facade lacks: `src/operations.rs` needs a method for each operation
//! of the contract with an argument or a setter for each input, and `src/region.rs` a region for
//! each server.
//!
//! The facade is read as a set of items such as `Client::list_keys -> Call<ListKeys>` and
//! `Call<ListKeys>::limit`. Its code is parsed but not compiled, because it may not compile.

use std::collections::BTreeSet;
use std::mem;

use anyhow::{Context, Error, Result};
use heck::ToUpperCamelCase;
use quote::ToTokens;
use rockset_apikeys_codegen::names::shouting_case;
use syn::{Expr, ImplItem, ImplItemConst, ImplItemFn, Item, ItemImpl, Visibility};

use crate::changes::{Contract, Node, Schema, field_name, is_struct};

/// Returns a line for each part of the contract that `src/operations.rs` and `src/region.rs` lack,
/// and for each item that only they contain.
pub fn gaps(contract: &str, operations: &str, region: &str) -> Result<Vec<String>> {
    let mut items = operation_items(operations).context("src/operations.rs")?;
    items.extend(region_items(region).context("src/region.rs")?);
    let mut facade = Facade { contract, items, gaps: Vec::new() };
    let contract = Contract::parse(contract).map_err(Error::msg)?;
    let paths = contract.root().get("paths");
    for path in paths.keys().into_iter().map(|path| paths.get(path)) {
        for node in path.keys().into_iter().map(|method| path.get(method)) {
            if let Some(id) = node.text("operationId") {
                facade.compare_operation(&contract, &path, &node, id);
            }
        }
    }
    let servers = contract.root().get("servers").items();
    for (index, server) in servers.iter().enumerate() {
        let url = server.text("url").unwrap_or_default();
        let line = facade.line_with(facade.line_of(&server.place), &format!("url: {url}"));
        facade.need(line, &format!("server `{url}`"), &[format!("region {url}")]);
        if index == 0 {
            facade.need(line, "the default server", &[format!("default region {url}")]);
        }
    }
    for item in mem::take(&mut facade.items) {
        facade.gaps.push(format!("`{item}` is not in the contract; remove it from the facade"));
    }
    Ok(facade.gaps)
}

struct Facade<'a> {
    /// The contract as text, to find the lines of gaps.
    contract: &'a str,
    /// The items that no part of the contract has needed yet.
    items: BTreeSet<String>,
    gaps: Vec<String>,
}

impl Facade<'_> {
    fn compare_operation(
        &mut self,
        contract: &Contract,
        path: &Node<'_>,
        node: &Node<'_>,
        id: &str,
    ) {
        let (method, request) = (format!("Client::{}", field_name(id)), id.to_upper_camel_case());
        let call = format!("Call<{request}>");
        let line = self.line_of(&node.place);
        self.need(line, &format!("operation `{id}`"), &[format!("{method} -> {call}")]);
        let row = format!("{request}::OPERATION = operations::{}", shouting_case(id));
        self.need(line, &format!("the table row of `{id}`"), &[row]);
        let input = |kind: &str, name: &str, is_required: bool| {
            let rust = field_name(name);
            let (argument, setter) = (format!("{method}({rust})"), format!("{call}::{rust}"));
            match is_required {
                true => (format!("required {kind} `{name}` of `{id}`"), vec![argument]),
                false => (format!("{kind} `{name}` of `{id}`"), vec![setter, argument]),
            }
        };
        for listed in [path, node].into_iter().flat_map(|it| it.get("parameters").items()) {
            let node = contract.resolve(&listed);
            let (Some(name), Some(place)) = (node.text("name"), node.text("in")) else { continue };
            let line = self.line_with(self.line_of(&node.place), &format!("name: {name}"));
            let is_required = node.flag("required") && node.get("x-default").is_absent();
            let (part, items) = input(&format!("{place} parameter"), name, is_required);
            self.need(line, &part, &items);
        }
        let body = node.get("requestBody");
        let content = contract.resolve(&body).get("content");
        let schema = Schema::new(contract, &content.get("application/json").get("schema"));
        if !body.is_absent() && (content.keys().len() != 1 || !is_struct(&schema)) {
            let gap = "is not a JSON object with named fields; compare it manually";
            self.add_gap(self.line_of(&body.place), &format!("the body of `{id}` {gap}"));
            let inputs = [format!("{method}("), format!("{call}::")];
            self.items.retain(|item| !inputs.iter().any(|input| item.starts_with(input)));
            return;
        }
        for (name, node) in schema.properties() {
            let (part, items) = input("body field", name, schema.requires(name));
            self.need(self.line_of(&node.place), &part, &items);
        }
    }

    /// Removes these items, of which the facade needs one, and adds a gap if there is none.
    fn need(&mut self, line: usize, part: &str, items: &[String]) {
        let found = items.iter().filter(|item| self.items.remove(*item)).count();
        if let (0, Some(item)) = (found, items.first()) {
            self.add_gap(line, &format!("{part} is missing in the facade; add `{item}`"));
        }
    }

    fn add_gap(&mut self, line: usize, gap: &str) {
        self.gaps.push(format!("openapi/apikeys.yaml:{line}: {gap}"));
    }

    /// Returns the line of a place in the contract, or of the innermost key that begins a line.
    fn line_of(&self, place: &str) -> usize {
        let (mut rest, mut found, mut depth) = (place, 1, None);
        for (line, text) in (1..).zip(self.contract.lines()) {
            let Some((key, _)) = text.trim_start_matches([' ', '-']).split_once(':') else {
                continue;
            };
            let indent = Some(text.len() - text.trim_start().len());
            if depth >= indent && !key.starts_with('#') {
                break;
            }
            // A key may contain dots, and the items of lists have numbers instead of keys.
            if let Some(after) = rest.strip_prefix(key.trim_matches(['\'', '"']))
                && (after.is_empty() || after.starts_with('.'))
            {
                rest = after.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
                (found, depth) = (line, indent);
            }
        }
        found
    }

    /// Returns the first line with this text from the given one on.
    fn line_with(&self, from: usize, text: &str) -> usize {
        let mut lines = (1..).zip(self.contract.lines()).skip(from.saturating_sub(1));
        lines.find(|(_, line)| line.contains(text)).map_or(from, |(line, _)| line)
    }
}

/// Lists the methods, arguments, setters and table rows in the source of `src/operations.rs`.
fn operation_items(source: &str) -> syn::Result<BTreeSet<String>> {
    let mut items = BTreeSet::new();
    for block in impls(source)?.iter().filter(|block| block.generics.params.is_empty()) {
        let of = code(&block.self_ty);
        for item in &block.items {
            match item {
                ImplItem::Fn(ImplItemFn { vis: Visibility::Public(_), sig, .. }) => {
                    let name = format!("{of}::{}", rust_name(&code(&sig.ident)));
                    if of.starts_with("Call<") {
                        items.insert(name);
                    } else if of == "Client" {
                        items.insert(name.clone() + &code(&sig.output));
                        let inputs: Vec<_> = sig.inputs.iter().map(code).collect();
                        let arguments = inputs.iter().filter_map(|input| input.split_once(':'));
                        items.extend(arguments.map(|(it, _)| format!("{name}({})", rust_name(it))));
                    }
                }
                ImplItem::Const(constant) if constant.ident == "OPERATION" => {
                    let row = code(&constant.expr);
                    items.insert(format!("{of}::OPERATION = {}", row.trim_start_matches('&')));
                }
                _ => {}
            }
        }
    }
    Ok(items)
}

/// Lists the `url`s of the constants in the source of `src/region.rs`, the first of which is the
/// default.
fn region_items(source: &str) -> syn::Result<Vec<String>> {
    let mut items = Vec::new();
    for item in impls(source)?.iter().flat_map(|block| &block.items) {
        if let ImplItem::Const(ImplItemConst { expr: Expr::Struct(region), .. }) = item
            && let Some(url) = region.fields.iter().find(|field| code(&field.member) == "url")
        {
            items.push(format!("region {}", code(&url.expr).trim_matches('"')));
        }
    }
    items.extend(items.first().map(|region| format!("default {region}")));
    Ok(items)
}

fn impls(source: &str) -> syn::Result<Vec<ItemImpl>> {
    let items = syn::parse_file(source)?.items.into_iter();
    Ok(items.filter_map(|it| if let Item::Impl(block) = it { Some(block) } else { None }).collect())
}

/// Returns the name as the generator writes it: a keyword ends in `_` instead of starting with `r#`.
fn rust_name(name: &str) -> String {
    name.strip_prefix("r#").map_or(name.to_owned(), |name| format!("{name}_"))
}

fn code(tokens: &impl ToTokens) -> String {
    tokens.to_token_stream().to_string().replace(' ', "").replace("->", " -> ")
}
