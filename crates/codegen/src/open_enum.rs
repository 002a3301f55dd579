//! The contract's enums, made here because the generator's own are closed: one unknown value would
//! fail the whole response.

use std::collections::BTreeMap;

use openapiv3::{OpenAPI, Schema, SchemaKind, Type};
use quote::{ToTokens, format_ident, quote};

use crate::names::pascal_case;
use crate::prepare::PLACE;

/// Overrides of the variants' names, which are derived from the wire values otherwise.
const NAMES: &str = "x-enumNames";
/// Descriptions of the wire values, as Redoc reads them.
const DESCRIPTIONS: &str = "x-enumDescriptions";

/// An enum of the contract. It becomes a Rust enum with one more variant, for unknown values.
pub struct OpenEnum {
    pub name: String,
    description: String,
    variants: Vec<Variant>,
}

struct Variant {
    name: String,
    wire: String,
    description: String,
}

impl OpenEnum {
    /// Finds all named enums of the contract.
    pub fn all(spec: &OpenAPI) -> Result<Vec<Self>, String> {
        let schemas = spec.components.iter().flat_map(|components| &components.schemas);
        let enums =
            schemas.filter_map(|(name, schema)| Self::new(name, schema.as_item()?).transpose());
        enums.collect()
    }

    /// Returns `None` for a schema that is not an enum.
    fn new(name: &str, schema: &Schema) -> Result<Option<Self>, String> {
        let SchemaKind::Type(Type::String(string)) = &schema.schema_kind else { return Ok(None) };
        if string.enumeration.is_empty() {
            return Ok(None);
        }
        let moved_from = schema.schema_data.extensions.get(PLACE).and_then(|it| it.as_str());
        let place = moved_from.map_or_else(|| format!("components.schemas.{name}"), str::to_owned);
        let is_type = name.starts_with(|char: char| char.is_ascii_uppercase());
        if !is_type || syn::parse_str::<syn::Ident>(name).is_err() {
            return Err(format!("{place}: `{name}` cannot be the name of an enum in Rust"));
        }
        let values: Vec<_> = string.enumeration.iter().flatten().cloned().collect();
        let names = texts(schema, NAMES, &values, &place)?;
        let descriptions = texts(schema, DESCRIPTIONS, &values, &place)?;
        let mut variants = Vec::<Variant>::new();
        for wire in values {
            let name = names.get(&wire).cloned().unwrap_or_else(|| pascal_case(&wire));
            let is_taken = name == "Unknown" || variants.iter().any(|it| it.name == name);
            if is_taken || syn::parse_str::<syn::Ident>(&name).is_err() {
                let reason = if is_taken { "is taken" } else { "is not a Rust name" };
                return Err(format!(
                    "{place}.enum: `{name}`, the variant of `{wire}`, {reason}; give it another \
                     name in `{NAMES}`"
                ));
            }
            let description = descriptions.get(&wire).cloned();
            let description = description.unwrap_or_else(|| format!("`{wire}`."));
            variants.push(Variant { name, wire, description });
        }
        let description = schema.schema_data.description.clone().unwrap_or_default();
        Ok(Some(Self { name: name.to_owned(), description, variants }))
    }

    /// The code of the enum.
    pub fn definition(&self) -> impl ToTokens {
        let (name, description) = (format_ident!("{}", self.name), &self.description);
        let wires: Vec<_> = self.variants.iter().map(|it| &it.wire).collect();
        let variants: Vec<_> =
            self.variants.iter().map(|it| format_ident!("{}", it.name)).collect();
        let descriptions = self.variants.iter().map(|it| &it.description);
        quote! {
            #[doc = #description]
            #[derive(
                Clone, Debug, PartialEq, Eq, Hash,
                ::serde::Deserialize, ::serde::Serialize,
            )]
            #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
            #[non_exhaustive]
            pub enum #name {
                #(
                    #[doc = #descriptions]
                    #[serde(rename = #wires)]
                    #variants,
                )*
                /// A value that the contract does not know, as it was received.
                #[serde(untagged)]
                Unknown(::std::string::String),
            }

            impl #name {
                /// Returns the value as it stands in JSON.
                pub fn as_str(&self) -> &str {
                    match self {
                        #(Self::#variants => #wires,)*
                        Self::Unknown(value) => value,
                    }
                }
            }

            impl ::std::fmt::Display for #name {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    f.write_str(self.as_str())
                }
            }

            impl ::std::convert::From<&str> for #name {
                fn from(value: &str) -> Self {
                    match value {
                        #(#wires => Self::#variants,)*
                        _ => Self::Unknown(value.to_owned()),
                    }
                }
            }

            impl ::std::str::FromStr for #name {
                type Err = ::std::convert::Infallible;

                /// Parses the value as it stands in JSON. One that is not known is kept.
                fn from_str(value: &str) -> ::std::result::Result<Self, Self::Err> {
                    Ok(Self::from(value))
                }
            }
        }
    }
}

/// Reads an extension that maps wire values to texts.
fn texts(
    schema: &Schema,
    extension: &str,
    values: &[String],
    place: &str,
) -> Result<BTreeMap<String, String>, String> {
    let Some(map) = schema.schema_data.extensions.get(extension) else {
        return Ok(BTreeMap::new());
    };
    let entries = map.as_object().into_iter().flatten();
    let texts: BTreeMap<_, _> = entries
        .filter_map(|(value, text)| Some((value.clone(), text.as_str()?.to_owned())))
        .collect();
    if map.as_object().map(|map| map.len()) != Some(texts.len()) {
        return Err(format!("{place}.{extension}: is not a map from wire values to texts"));
    }
    match texts.keys().find(|value| !values.contains(value)) {
        Some(value) => Err(format!("{place}.{extension}: the enum has no value `{value}`")),
        None => Ok(texts),
    }
}
