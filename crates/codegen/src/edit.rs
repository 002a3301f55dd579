//! Edits of the generated syntax tree, for what no setting of the generator changes: how a path
//! segment is encoded, in the client and in the mocks; how a URL is made; which texts a request
//! borrows; which traits need a feature; how a body is decoded, and how a mock serializes one;
//! which headers are sent; and which server has the mocks.
//!
//! Each edit of behaviour counts its places. Where the count is not what the contract asks for, the
//! generator has changed and the edit fails.

use proc_macro2::Span;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Block, Expr, ExprCall, ExprLit, ExprMethodCall, File, Item, ItemStruct, Lit, LitStr,
    Meta, Path, Stmt, Token, parse_quote,
};

/// Encodes path segments with the crate's function, and gives the path of the URL to the hook.
///
/// The generator's own encoding leaves the backslash, which URL parsers read as a slash, and
/// accepts `.` and `..`, which they resolve. Its URL is a text, which is parsed as a whole.
pub fn encode_path_segments(file: &mut File, expected: usize) -> Result<(), String> {
    /// Edits `format!("{}/…/{}", …, encode_path(&name.to_string()))`.
    #[derive(Default)]
    struct Segments {
        count: usize,
        /// The builder at hand, which tells which parameters are texts.
        builder: String,
    }

    impl VisitMut for Segments {
        fn visit_item_struct_mut(&mut self, builder: &mut ItemStruct) {
            self.builder = builder.to_token_stream().to_string();
        }

        fn visit_expr_mut(&mut self, expression: &mut Expr) {
            visit_mut::visit_expr_mut(self, expression);
            let Expr::Macro(call) = &*expression else { return };
            let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
            let Ok(mut arguments) = call.mac.parse_body_with(parser) else { return };
            let mut is_url = false;
            for argument in &mut arguments {
                if argument.to_token_stream().to_string() == "client . baseurl" {
                    *argument = parse_quote!(client.inner.path);
                    is_url = true;
                }
                if let Some(value) = only_argument(argument, "encode_path") {
                    let name = receiver(value).to_token_stream();
                    let text = name.to_string();
                    if self.builder.contains(&format!(" {text} : Result < :: std :: borrow")) {
                        *value = parse_quote!(&#name);
                    }
                    *argument = parse_quote! {
                        crate::path::segment(#text, #value).map_err(Error::InvalidRequest)?
                    };
                    self.count += 1;
                }
            }
            if is_url {
                *expression = parse_quote!(client.inner.url(&format!(#arguments)));
                self.count += 1;
            }
        }
    }

    let mut segments = Segments::default();
    segments.visit_file_mut(file);
    expect_places("encode_path and client.baseurl", expected, segments.count)
}

/// Lets requests borrow texts. The generator's own copy each of them twice.
pub fn borrow_texts(file: &mut File) {
    /// Edits the types of fields and of what setters take.
    struct Texts;

    impl VisitMut for Texts {
        fn visit_path_mut(&mut self, path: &mut Path) {
            visit_mut::visit_path_mut(self, path);
            if path.to_token_stream().to_string() == ":: std :: string :: String" {
                *path = parse_quote!(::std::borrow::Cow<'a, str>);
            }
        }
    }

    let builders = file.items.iter_mut().filter_map(|item| match item {
        Item::Mod(module) if module.ident == "builder" => Some(module),
        _ => None,
    });
    builders.for_each(|module| Texts.visit_item_mod_mut(module));
}

/// Derives JSON Schemas with the feature `schemars` alone. The generator has no derive with a
/// condition.
pub fn derive_schemas_with_feature(file: &mut File) {
    /// Edits `#[derive(…, schemars::JsonSchema)]`.
    struct Derives;

    impl VisitMut for Derives {
        fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
            let parser = Punctuated::<Path, Token![,]>::parse_terminated;
            let is_schema =
                |path: &Path| path.to_token_stream().to_string() == "schemars :: JsonSchema";
            for attribute in attributes.iter_mut().filter(|it| it.path().is_ident("derive")) {
                let Ok(derived) = attribute.parse_args_with(parser) else { continue };
                if !derived.iter().any(is_schema) {
                    continue;
                }
                let others = derived.iter().filter(|path| !is_schema(path));
                *attribute = parse_quote!(#[derive(#(#others),*)]);
                attributes.push(parse_quote! {
                    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
                });
                return;
            }
        }
    }

    Derives.visit_file_mut(file);
}

/// Matches path segments in mocks as the client encodes them. The generator's own code puts a name
/// into a regular expression as it stands.
pub fn encode_mocked_segments(file: &mut File, expected: usize) -> Result<(), String> {
    /// Edits `regex::Regex::new(…).unwrap()`; httpmock takes the text of an expression, too.
    struct Patterns(usize);

    impl VisitMut for Patterns {
        fn visit_expr_mut(&mut self, expression: &mut Expr) {
            visit_mut::visit_expr_mut(self, expression);
            let Expr::MethodCall(unwrap) = &mut *expression else { return };
            if unwrap.method != "unwrap" {
                return;
            }
            let Some(pattern) = only_argument(&mut unwrap.receiver, "regex :: Regex :: new") else {
                return;
            };
            *expression = match pattern {
                // A mock's path as a whole: a literal of the contract.
                Expr::Lit(literal) => parse_quote!(#literal),
                pattern => {
                    self.0 += 1;
                    let template = template_of(pattern);
                    parse_quote!(crate::path::pattern(#template, value))
                }
            };
        }
    }

    let mut patterns = Patterns(0);
    patterns.visit_file_mut(file);
    expect_places("regex::Regex::new", expected, patterns.0)
}

/// Gives the mocks to the crate's server of mocks. httpmock's own responds with 404 where no mock
/// matches.
pub fn use_own_mock_server(file: &mut File, expected: usize) -> Result<(), String> {
    /// Edits the type, and the links to it in the documentation.
    struct Servers(usize);

    impl VisitMut for Servers {
        fn visit_path_mut(&mut self, path: &mut Path) {
            visit_mut::visit_path_mut(self, path);
            if path.to_token_stream().to_string() == ":: httpmock :: MockServer" {
                *path = parse_quote!(MockServer);
                self.0 += 1;
            }
        }

        fn visit_lit_str_mut(&mut self, text: &mut LitStr) {
            *text = LitStr::new(
                &text.value().replace("::httpmock::MockServer", "MockServer"),
                text.span(),
            );
        }
    }

    let mut servers = Servers(0);
    servers.visit_file_mut(file);
    expect_places("::httpmock::MockServer", expected, servers.0)
}

/// Decodes bodies with the crate's function. The errors of the generator's own quote the body, and
/// with it API keys.
pub fn decode_without_quoting(file: &mut File, expected: usize) -> Result<(), String> {
    struct Decoding(usize);

    impl VisitMut for Decoding {
        fn visit_expr_mut(&mut self, expression: &mut Expr) {
            visit_mut::visit_expr_mut(self, expression);
            if let Some(response) = only_argument(expression, "ResponseValue :: from_response") {
                *expression = parse_quote!(crate::generated::decode(client, #response));
                self.0 += 1;
            }
        }
    }

    let mut decoding = Decoding(0);
    decoding.visit_file_mut(file);
    expect_places("ResponseValue::from_response", expected, decoding.0)
}

/// Serializes the bodies of mocks with the full values of keys, as a server does.
pub fn expose_mocked_keys(file: &mut File, expected: usize) -> Result<(), String> {
    /// Edits `json_body_obj(value)`.
    struct Bodies(usize);

    impl VisitMut for Bodies {
        fn visit_expr_method_call_mut(&mut self, call: &mut ExprMethodCall) {
            visit_mut::visit_expr_method_call_mut(self, call);
            if call.method == "json_body_obj" {
                let value = call.args.first();
                call.args = parse_quote!(&crate::ExposeSecrets(#value));
                self.0 += 1;
            }
        }
    }

    let mut bodies = Bodies(0);
    bodies.visit_file_mut(file);
    expect_places("json_body_obj", expected, bodies.0)
}

/// Sends no `api-version`, which the vendor's clients do not send either.
pub fn without_api_version(file: &mut File, expected: usize) -> Result<(), String> {
    /// Removes `header_map.append(HeaderName::from_static("api-version"), …);`, and the map with it
    /// where it then stays empty.
    struct Headers(usize);

    impl VisitMut for Headers {
        fn visit_block_mut(&mut self, block: &mut Block) {
            visit_mut::visit_block_mut(self, block);
            let text = |statement: &Stmt| statement.to_token_stream().to_string();
            let count = block.stmts.len();
            block.stmts.retain(|it| !text(it).contains("from_static (\"api-version\")"));
            if block.stmts.len() == count {
                return;
            }
            self.0 += 1;
            if !block.stmts.iter().any(|it| text(it).starts_with("header_map .")) {
                block.stmts.retain(|it| !text(it).starts_with("let mut header_map ="));
                block.stmts.iter_mut().for_each(|it| WithoutMap.visit_stmt_mut(it));
            }
        }
    }

    /// Removes the call of `.headers(header_map)`.
    struct WithoutMap;

    impl VisitMut for WithoutMap {
        fn visit_expr_mut(&mut self, expression: &mut Expr) {
            visit_mut::visit_expr_mut(self, expression);
            if let Expr::MethodCall(call) = expression
                && call.method == "headers"
                && call.args.to_token_stream().to_string() == "header_map"
            {
                *expression = (*call.receiver).clone();
            }
        }
    }

    let mut headers = Headers(0);
    headers.visit_file_mut(file);
    expect_places("api-version", expected, headers.0)
}

/// Gives each line of documentation an attribute of its own. Otherwise it is printed as a block
/// comment, whose text rustfmt indents in the copy and rustdoc then shows as code.
pub fn one_doc_line_each(file: &mut File) {
    struct Lines;

    impl VisitMut for Lines {
        fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
            let lines = attributes.drain(..).flat_map(|attribute| match doc_text(&attribute) {
                Some(text) => text.lines().map(|line| doc_line(&attribute, line)).collect(),
                None => vec![attribute],
            });
            *attributes = lines.collect();
        }
    }

    Lines.visit_file_mut(file);
}

fn doc_text(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(meta) = &attribute.meta else { return None };
    match &meta.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if meta.path.is_ident("doc") => {
            Some(text.value())
        }
        _ => None,
    }
}

fn doc_line(like: &Attribute, line: &str) -> Attribute {
    let space = if line.is_empty() || line.starts_with(' ') { "" } else { " " };
    let line = LitStr::new(&format!("{space}{line}"), Span::call_site());
    let doc: Attribute = parse_quote!(#[doc = #line]);
    Attribute { style: like.style, ..doc }
}

/// The argument of a call of this function with one argument.
fn only_argument<'a>(expression: &'a mut Expr, function: &str) -> Option<&'a mut Expr> {
    let Expr::Call(ExprCall { func, args, .. }) = expression else { return None };
    if func.to_token_stream().to_string() != function || args.len() != 1 {
        return None;
    }
    args.first_mut()
}

/// `name` of `&name.to_string()`.
fn receiver(expression: &Expr) -> &Expr {
    match expression {
        Expr::Reference(reference) => receiver(&reference.expr),
        Expr::MethodCall(call) => receiver(&call.receiver),
        other => other,
    }
}

/// `"…"` of `&format!("…", value.to_string())`.
fn template_of(pattern: &Expr) -> Option<LitStr> {
    let Expr::Reference(reference) = pattern else { return None };
    let Expr::Macro(call) = &*reference.expr else { return None };
    let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
    match call.mac.parse_body_with(parser).ok()?.first()? {
        Expr::Lit(ExprLit { lit: Lit::Str(template), .. }) => Some(template.clone()),
        _ => None,
    }
}

fn expect_places(what: &str, expected: usize, found: usize) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "the generated code calls `{what}` at {found} places to be edited, not {expected}; has the \
         generator changed?"
    ))
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// The generated code's shape, as of progenitor 0.15.
    const CLIENT: &str = r#"
        use progenitor_client::{encode_path, ResponseValue};
        mod builder {
            struct Get<'a> { user: Result<::std::string::String, String>, name: Result<i64, String> }
            impl<'a> Get<'a> { fn user<V>(value: V) where V: TryInto<::std::string::String> {} }
        }
        fn send() {
            let url = format!("{}/users/{}/keys/{}", client.baseurl,
                encode_path(&user.to_string()), encode_path(&name.to_string()),);
            let mut header_map = HeaderMap::with_capacity(1usize);
            header_map.append(
                HeaderName::from_static("api-version"),
                HeaderValue::from_static(super::Client::api_version()),
            );
            let request = client.get(url).headers(header_map).build()?;
            match status {
                200u16 => ResponseValue::from_response(response).await,
                400u16 => Err(Error::ErrorResponse(ResponseValue::from_response(response).await?)),
                _ => Err(Error::UnexpectedResponse(response)),
            }
        }
    "#;
    const MOCK: &str = r#"
        fn new() { inner.path_matches(regex::Regex::new("^/users/[^/]*$").unwrap()) }
        fn user() {
            let re = regex::Regex::new(&format!("^/users/{}$", value.to_string())).unwrap();
        }
        fn ok() { Self(self.0.status(200u16).json_body_obj(value)) }
        /// Extends [`MockServer`](::httpmock::MockServer).
        trait MockServerExt {}
        impl MockServerExt for ::httpmock::MockServer {}
    "#;

    type Edit = fn(&mut File, usize) -> Result<(), String>;

    fn edited(source: &str, edit: Edit, expected: usize) -> Result<String, String> {
        let mut file = syn::parse_file(source).expect("Rust");
        edit(&mut file, expected).map(|()| prettyplease::unparse(&file))
    }

    #[test]
    fn every_path_segment_and_every_body_goes_through_the_crates_functions() {
        let client = edited(CLIENT, encode_path_segments, 3).expect("two segments");
        // The arguments of a macro are printed with spaces of their own.
        let tokens = client.replace(char::is_whitespace, "");
        assert!(tokens.contains(r#"crate::path::segment("user",&user.to_string())"#), "{client}");
        assert!(tokens.contains(r#"crate::path::segment("name",&name.to_string())"#), "{client}");
        assert!(tokens.contains("leturl=client.inner.url(&format!("), "{client}");
        let client = edited(CLIENT, decode_without_quoting, 2).expect("two bodies");
        assert!(!client.contains("from_response"), "{client}");
        assert!(client.contains("crate::generated::decode(client, response).await?"), "{client}");
        let client = edited(CLIENT, without_api_version, 1).expect("one header");
        assert!(!client.contains("header_map") && !client.contains("api-version"), "{client}");
        assert!(client.contains("let request = client.get(url).build()?;"), "{client}");
        let mock = edited(MOCK, encode_mocked_segments, 1).expect("one segment");
        assert!(mock.contains(r#"crate::path::pattern("^/users/{}$", value)"#), "{mock}");
        assert!(!mock.contains("unwrap"), "{mock}");
        let mock = edited(MOCK, expose_mocked_keys, 1).expect("one body");
        assert!(mock.contains("json_body_obj(&crate::ExposeSecrets(value))"), "{mock}");
    }

    #[test]
    fn texts_are_borrowed_and_nothing_else() {
        let borrowed = |file: &mut File, places| {
            borrow_texts(file);
            encode_path_segments(file, places)
        };
        let client = edited(CLIENT, borrowed, 3).expect("two segments");
        let tokens = client.replace(char::is_whitespace, "");
        assert!(tokens.contains("user:Result<::std::borrow::Cow<'a,str>,String>"), "{client}");
        assert!(tokens.contains("V:TryInto<::std::borrow::Cow<'a,str>>"), "{client}");
        assert!(tokens.contains(r#"crate::path::segment("user",&user)"#), "{client}");
        assert!(tokens.contains("name:Result<i64,String>"), "{client}");
        assert!(tokens.contains(r#"crate::path::segment("name",&name.to_string())"#), "{client}");
    }

    #[test]
    fn schemas_are_derived_with_the_feature_alone() {
        let mut file =
            syn::parse_file("#[derive(Clone, schemars::JsonSchema)] #[serde(tag)] struct S;")
                .expect("Rust");
        derive_schemas_with_feature(&mut file);
        let text = prettyplease::unparse(&file);
        assert!(text.contains("#[derive(Clone)]"), "{text}");
        let optional = r#"#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]"#;
        assert!(text.contains(optional), "{text}");
    }

    #[test]
    fn the_mocks_are_those_of_the_crates_server() {
        let mock = edited(MOCK, use_own_mock_server, 1).expect("one server");
        assert!(mock.contains("impl MockServerExt for MockServer {}"), "{mock}");
        assert!(!mock.contains("::httpmock::MockServer"), "{mock}");
    }

    #[test]
    fn an_edit_fails_where_the_generated_code_has_another_shape() {
        let edits: [(Edit, &str, usize); 6] = [
            (encode_path_segments, CLIENT, 3),
            (decode_without_quoting, CLIENT, 2),
            (without_api_version, CLIENT, 1),
            (encode_mocked_segments, MOCK, 1),
            (expose_mocked_keys, MOCK, 1),
            (use_own_mock_server, MOCK, 1),
        ];
        for (edit, source, places) in edits {
            let error = edited("fn send() {}", edit, places).expect_err("nothing to edit");
            assert!(error.contains("has the generator changed?"), "{error}");
            let error = edited(source, edit, places + 1).expect_err("one place less");
            assert!(error.contains(&format!("at {places} places")), "{error}");
        }
    }

    #[test]
    fn documentation_of_several_lines_becomes_one_comment_per_line() {
        let mut file = syn::parse_file("#[doc = \"One.\\n\\nTwo.\"] struct S;").expect("Rust");
        one_doc_line_each(&mut file);
        assert_eq!(prettyplease::unparse(&file), "/// One.\n///\n/// Two.\nstruct S;\n");
    }
}
