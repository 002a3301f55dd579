//! What a user sees of the generated client: its operations with their parameters, its types with
//! their fields and values.

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::{Fields, ImplItem, Item, ReturnType, Type, Visibility};

/// The names that a user sees, each with its type.
pub struct Surface(BTreeMap<String, String>);

impl Surface {
    pub fn of(source: &str) -> Result<Self, String> {
        let file = syn::parse_file(source).map_err(|error| format!("generated code: {error}"))?;
        let mut surface = Self(BTreeMap::new());
        for item in &file.items {
            match item {
                Item::Impl(block) if block.trait_.is_none() && is(&block.self_ty, "Client") => {
                    surface.add_operations(&block.items);
                }
                Item::Mod(module) => {
                    let items = module.content.iter().flat_map(|(_, items)| items);
                    let parameters = module.ident == "builder";
                    items.for_each(|item| surface.add_type(item, parameters));
                }
                _ => {}
            }
        }
        Ok(surface)
    }

    fn add_operations(&mut self, items: &[ImplItem]) {
        for item in items {
            let ImplItem::Fn(method) = item else { continue };
            // Of the client's own methods, those that return a builder are operations.
            if let ReturnType::Type(_, output) = &method.sig.output
                && text(output).starts_with("builder::")
            {
                self.0.insert(format!("operation {}", method.sig.ident), String::new());
            }
        }
    }

    fn add_type(&mut self, item: &Item, parameters: bool) {
        match item {
            Item::Struct(item) => {
                let name = &item.ident;
                if !parameters {
                    self.0.insert(format!("type {name}"), String::new());
                }
                let Fields::Named(fields) = &item.fields else { return };
                for field in &fields.named {
                    let Some(ident) = &field.ident else { continue };
                    match (parameters, &field.vis) {
                        (true, _) if ident != "client" => {
                            let of = text(&field.ty);
                            self.0.insert(format!("parameter {name}.{ident}"), of);
                        }
                        (false, Visibility::Public(_)) => {
                            self.0.insert(format!("field {name}.{ident}"), text(&field.ty));
                        }
                        _ => {}
                    }
                }
            }
            Item::Enum(item) => {
                self.0.insert(format!("type {}", item.ident), String::new());
                for variant in &item.variants {
                    let name = format!("value {}::{}", item.ident, variant.ident);
                    self.0.insert(name, String::new());
                }
            }
            _ => {}
        }
    }

    /// One line for each difference: `+` for what is new, `-` for what is gone, `~` for what has
    /// another type.
    pub fn changes_since(&self, old: &Self) -> Vec<String> {
        let describe = |sign: &str, name: &str, of: &str| {
            let separator = if of.is_empty() { "" } else { ": " };
            format!("{sign} {name}{separator}{of}")
        };
        let gone = old.0.iter().filter(|(name, _)| !self.0.contains_key(*name));
        let gone = gone.map(|(name, of)| describe("-", name, of));
        let new = self.0.iter().filter_map(|(name, of)| match old.0.get(name) {
            None => Some(describe("+", name, of)),
            Some(before) if before != of => Some(describe("~", name, &format!("{before} -> {of}"))),
            Some(_) => None,
        });
        gone.chain(new).collect()
    }
}

fn is(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident(name))
}

/// A type as people write it: without the paths that generated code puts before well-known names,
/// and without the `Result` in which a builder keeps what it was given.
fn text(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string().replace(' ', "");
    let paths =
        ["::std::option::", "::std::string::", "::std::vec::", "::std::result::", "crate::"];
    for path in paths {
        text = text.replace(path, "");
    }
    let given = text.strip_prefix("Result<").and_then(|text| text.strip_suffix(",String>"));
    given.map(str::to_owned).unwrap_or(text)
}
