//! Recorded items of a public API, and the types of other crates in them.

use xtask::api::{external_types, is_recorded};

fn external(item: &str) -> Vec<String> {
    external_types(item, "own").into_iter().collect()
}

#[test]
fn hand_written_items_are_recorded() {
    for item in [
        "pub mod own::generated",
        "pub fn own::Client::generated(&self) -> &own::generated::Client",
        "impl core::convert::From<own::types::ApiKey> for own::Key",
        "impl<R> core::marker::Send for own::Call<R> where R: core::marker::Send",
        "pub use own::reqwest",
    ] {
        assert!(is_recorded(item, "own"), "{item}");
    }
}

#[test]
fn generated_items_and_internal_traits_are_not_recorded() {
    for item in [
        "pub fn own::generated::Client::new(&str) -> Self",
        "pub struct own::types::builder::ApiKey",
        "impl core::convert::From<own::Key> for own::types::ApiKey",
        "impl own::mock::MockServerExt for httpmock::api::server::MockServer",
        "pub fn httpmock::MockServer::get<F>(&self, F) where F: FnOnce(own::mock::When)",
        "impl core::marker::Freeze for own::Client",
    ] {
        assert!(!is_recorded(item, "own"), "{item}");
    }
}

#[test]
fn external_types_are_found_anywhere_in_an_item() {
    let item = "pub fn own::Client::send<T: serde_core::ser::Serialize>(&self, T) -> \
                core::result::Result<own::Key, http::status::StatusCode>";
    assert_eq!(external(item), ["http::status::StatusCode", "serde_core::ser::Serialize"]);
    let item = "pub fn httpmock::MockServer::get<'a>(&'a self) -> httpmock::Mock<'a>";
    assert_eq!(external(item), ["httpmock::Mock", "httpmock::MockServer"]);
    let item = "pub fn own_server::Server::admin_key(&self) -> &own_server::Key";
    assert_eq!(external(item), ["own_server::Key", "own_server::Server"]);
}

#[test]
fn functions_modules_and_std_are_not_external_types() {
    for item in ["pub use own::reqwest", "pub fn own::f() -> std::io::Error", "pub mod own::a::b"] {
        assert!(external(item).is_empty(), "{item}");
    }
}
