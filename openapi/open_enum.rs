//! The contract's enums, made here because the generator's own are closed: one value that the
//! contract does not know would fail the whole answer.

use openapiv3::{OpenAPI, Schema, SchemaKind, Type};
use quote::{ToTokens, format_ident, quote};

/// An enum of the contract that becomes a Rust enum with one more variant, for the values that the
/// contract does not know.
pub struct OpenEnum {
    pub name: String,
    description: String,
    /// Value in JSON, name in Rust, documentation.
    variants: Vec<(String, String, String)>,
}

impl OpenEnum {
    /// Those of the contract.
    pub fn all(spec: &OpenAPI) -> Result<Vec<Self>, String> {
        let schemas = spec.components.iter().flat_map(|components| &components.schemas);
        let enums =
            schemas.filter_map(|(name, schema)| Self::new(name, schema.as_item()?).transpose());
        enums.collect()
    }

    /// `None` for a schema that is no enum.
    fn new(name: &str, schema: &Schema) -> Result<Option<Self>, String> {
        let SchemaKind::Type(Type::String(string)) = &schema.schema_kind else { return Ok(None) };
        if string.enumeration.is_empty() {
            return Ok(None);
        }
        let values: Vec<_> = string.enumeration.iter().flatten().cloned().collect();
        let texts = |key: &str| {
            let list = schema.schema_data.extensions.get(key).and_then(|list| list.as_array());
            let texts = list.into_iter().flatten().filter_map(|text| text.as_str());
            let texts: Vec<_> = texts.map(str::to_owned).collect();
            if texts.len() == values.len() {
                return Ok(texts);
            }
            Err(format!(
                "components.schemas.{name}.{key}: wants a list of {} texts, one for each value of \
                 the enum",
                values.len()
            ))
        };
        let (names, docs) = (texts("x-enum-varnames")?, texts("x-enum-descriptions")?);
        if let Some(bad) = names.iter().find(|name| syn::parse_str::<syn::Ident>(name).is_err()) {
            return Err(format!(
                "components.schemas.{name}.x-enum-varnames: `{bad}` is no Rust name"
            ));
        }
        let variants =
            values.into_iter().zip(names).zip(docs).map(|((v, n), d)| (v, n, d)).collect();
        let description = schema.schema_data.description.clone().unwrap_or_default();
        Ok(Some(Self { name: name.to_owned(), description, variants }))
    }

    pub fn definition(&self) -> impl ToTokens {
        let (name, description) = (format_ident!("{}", self.name), &self.description);
        let values: Vec<_> = self.variants.iter().map(|(value, ..)| value).collect();
        let variants: Vec<_> =
            self.variants.iter().map(|(_, it, _)| format_ident!("{it}")).collect();
        let docs = self.variants.iter().map(|(.., doc)| doc);
        quote! {
            #[doc = #description]
            #[derive(
                Clone, Debug, PartialEq, Eq, Hash,
                ::serde::Deserialize, ::serde::Serialize, schemars::JsonSchema,
            )]
            #[non_exhaustive]
            pub enum #name {
                #(
                    #[doc = #docs]
                    #[serde(rename = #values)]
                    #variants,
                )*
                /// A value that the contract does not know, as it was received.
                #[serde(untagged)]
                Unknown(::std::string::String),
            }

            impl #name {
                /// The value as it stands in JSON.
                pub fn as_str(&self) -> &str {
                    match self {
                        #(Self::#variants => #values,)*
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
                        #(#values => Self::#variants,)*
                        _ => Self::Unknown(value.to_owned()),
                    }
                }
            }
        }
    }
}
