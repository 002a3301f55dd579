//! Holds the public API to its recorded listings, xtask/public-api, and to the list of the types of
//! other crates in it.
//!
//! Generated items are not recorded: the contract decides them, their checked-in copy shows each
//! change, and `regen` says what it means for users. The types of other crates in them count.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use clap::Args;
use xtask::listing::{external_types, is_recorded};

/// The toolchain whose rustdoc writes the format that the dependency `public-api` reads. They
/// change together.
const TOOLCHAIN: &str = "1.95.0";

const PACKAGES: [&str; 3] = ["rockset-apikeys", "rockset-apikeys-admin", "rockset-apikeys-server"];

/// Types and traits of other crates in these APIs: a new breaking version of such a crate breaks
/// them.
const EXTERNAL_TYPES: &[&str] = &[
    // Requests and responses of a client's caller.
    "http::header::map::HeaderMap",
    "http::method::Method",
    "http::status::StatusCode",
    // The feature `httpmock`.
    "httpmock::api::mock::Mock",
    "httpmock::api::spec::Then",
    "httpmock::api::spec::When",
    // Times.
    "jiff::civil::date::Date",
    "jiff::error::Error",
    "jiff::signed_duration::SignedDuration",
    "jiff::timestamp::Timestamp",
    // Generated requests.
    "progenitor_client::progenitor_client::Error",
    "progenitor_client::progenitor_client::ResponseValue",
    // Settings that the builder has no method for.
    "reqwest::async_impl::client::Client",
    "reqwest::async_impl::client::ClientBuilder",
    // The client's types in the other packages.
    "rockset_apikeys::client::Client",
    "rockset_apikeys::error::Error",
    "rockset_apikeys::generated::types::ApiKey",
    "rockset_apikeys::values::ApiKeyValue",
    "rockset_apikeys::values::Timestamp",
    // Traits of the contract's types.
    "schemars::JsonSchema",
    "schemars::generate::SchemaGenerator",
    "schemars::schema::Schema",
    "serde_core::de::Deserialize",
    "serde_core::de::Deserializer",
    "serde_core::ser::Serialize",
    "serde_core::ser::Serializer",
    "zeroize::ZeroizeOnDrop",
];

#[derive(Args)]
pub struct Options {
    /// Change nothing; fail if the API differs from the listing
    #[arg(long)]
    check: bool,
}

/// Writes or checks the listings, and checks the types of other crates.
pub fn run(options: &Options) -> Result<(), String> {
    env::set_current_dir(crate::root()).map_err(|error| error.to_string())?;
    let mut failures = Vec::new();
    let mut external = BTreeSet::new();
    document()?;
    for package in PACKAGES {
        let krate = package.replace('-', "_");
        let items = items(package, &krate)?;
        external.extend(items.iter().flat_map(|item| external_types(item, &krate)));
        let recorded = items.iter().filter(|item| is_recorded(item, &krate));
        let fresh: String = recorded.map(|item| format!("{item}\n")).collect();
        let file = format!("xtask/public-api/{package}.txt");
        let old = fs::read_to_string(&file).unwrap_or_default();
        if fresh == old {
            println!("{file} is up to date.");
        } else if options.check {
            let changes = changes(old.lines(), fresh.lines());
            failures.push(format!(
                "The public API of {package} differs from {file}:\n{changes}\
                 Run `cargo xtask api` to record it."
            ));
        } else {
            fs::write(&file, &fresh).map_err(|error| format!("{file}: {error}"))?;
            println!("{file} is written.");
        }
    }
    let changes = changes(EXTERNAL_TYPES.iter().copied(), external.iter().map(String::as_str));
    if !changes.is_empty() {
        failures.push(format!(
            "Types of other crates in the public API differ from EXTERNAL_TYPES in \
             xtask/src/api.rs:\n{changes}"
        ));
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Has rustdoc describe the packages with all features.
fn document() -> Result<(), String> {
    let arguments = ["run", "--install", TOOLCHAIN, "cargo", "doc", "--quiet", "--locked"];
    let mut rustdoc = Command::new("rustup");
    rustdoc.args(arguments).args(["--workspace", "--lib", "--all-features", "--no-deps"]);
    rustdoc.env("RUSTDOC", crate::root().join("xtask/rustdoc"));
    rustdoc.env("RUSTDOCFLAGS", "-Zunstable-options --output-format=json");
    let status = rustdoc.status().map_err(|error| format!("rustup: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("rustdoc ended with {status}")) }
}

/// Lists the items of a package's public API.
fn items(package: &str, krate: &str) -> Result<Vec<String>, String> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let json = target.join("doc").join(krate).with_extension("json");
    let api = public_api::Builder::from_rustdoc_json(json).omit_blanket_impls(true).build();
    let api = api.map_err(|error| format!("{package}: {error}"))?;
    Ok(api.items().map(ToString::to_string).collect())
}

/// Lists what is in one listing alone, with `-` for the old one and `+` for the new one.
fn changes<'a>(old: impl Iterator<Item = &'a str>, new: impl Iterator<Item = &'a str>) -> String {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.collect(), new.collect());
    let gone = old.difference(&new).map(|item| format!("  - {item}\n"));
    gone.chain(new.difference(&old).map(|item| format!("  + {item}\n"))).collect()
}
