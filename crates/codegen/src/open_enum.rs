//! The contract's enums, with a variant for unknown values. The generator's own enums are closed:
//! an unknown value would break decoding of the whole response.

use std::collections::BTreeMap;

use openapiv3::{OpenAPI, Schema, SchemaKind, Type};
use quote::{ToTokens, format_ident, quote};

use crate::names::pascal_case;
use crate::prepare::LOCATION;

/// Names of the variants, which are derived from the wire values otherwise.
const NAMES: &str = "x-enumNames";
/// Descriptions of the wire values, in Redoc's format.
const DESCRIPTIONS: &str = "x-enumDescriptions";

/// An enum of the contract, generated with an additional variant `Unknown`.
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
    /// Returns all named enums of the contract.
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
        let moved_from = schema.schema_data.extensions.get(LOCATION).and_then(|it| it.as_str());
        let location =
            moved_from.map_or_else(|| format!("components.schemas.{name}"), str::to_owned);
        let is_type = name.starts_with(|char: char| char.is_ascii_uppercase());
        if !is_type || syn::parse_str::<syn::Ident>(name).is_err() {
            return Err(format!("{location}: `{name}` cannot be the name of an enum in Rust"));
        }
        let values: Vec<_> = string.enumeration.iter().flatten().cloned().collect();
        let names = extension(schema, NAMES, &values, &location)?;
        let descriptions = extension(schema, DESCRIPTIONS, &values, &location)?;
        let mut variants = Vec::<Variant>::new();
        for wire in values {
            let name = names.get(&wire).cloned().unwrap_or_else(|| pascal_case(&wire));
            let is_taken = name == "Unknown" || variants.iter().any(|it| it.name == name);
            if is_taken || syn::parse_str::<syn::Ident>(&name).is_err() {
                let reason = if is_taken { "is taken" } else { "is not a Rust name" };
                return Err(format!(
                    "{location}.enum: `{name}`, the variant of `{wire}`, {reason}; set another name \
                     in `{NAMES}`"
                ));
            }
            let description = descriptions.get(&wire).cloned();
            let description = description.unwrap_or_else(|| format!("`{wire}`."));
            variants.push(Variant { name, wire, description });
        }
        let description = schema.schema_data.description.clone().unwrap_or_default();
        Ok(Some(Self { name: name.to_owned(), description, variants }))
    }

    /// Returns the code of the enum.
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
                /// An unknown value, as it was received.
                #[serde(untagged)]
                Unknown(::std::string::String),
            }

            impl #name {
                /// Returns the JSON value.
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

                /// Parses the JSON value, and keeps an unknown one.
                fn from_str(value: &str) -> ::std::result::Result<Self, Self::Err> {
                    Ok(Self::from(value))
                }
            }
        }
    }
}

/// Returns an extension that maps wire values to strings.
fn extension(
    schema: &Schema,
    extension: &str,
    values: &[String],
    location: &str,
) -> Result<BTreeMap<String, String>, String> {
    let Some(map) = schema.schema_data.extensions.get(extension) else {
        return Ok(BTreeMap::new());
    };
    let entries = map.as_object().into_iter().flatten();
    let strings: BTreeMap<_, _> = entries
        .filter_map(|(value, string)| Some((value.clone(), string.as_str()?.to_owned())))
        .collect();
    if map.as_object().map(|map| map.len()) != Some(strings.len()) {
        return Err(format!("{location}.{extension}: is not a map from wire values to strings"));
    }
    match strings.keys().find(|value| !values.contains(value)) {
        Some(value) => Err(format!("{location}.{extension}: the enum lacks the value `{value}`")),
        None => Ok(strings),
    }
}
