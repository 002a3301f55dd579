//! `cargo xtask api`: records the public API, and the types of other crates in it, in
//! `xtask/public-api`.
//!
//! Generated items are not recorded: the contract decides their API, and the checked-in copy shows
//! each change. Their types of other crates are, because a breaking version of such a crate breaks
//! the API.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use public_api::Builder;
use xshell::{Shell, cmd};

/// The toolchain whose rustdoc writes the format that the dependency `public-api` reads. Update
/// both together.
const TOOLCHAIN: &str = "1.95.0";

const PACKAGES: [&str; 3] = ["rockset-apikeys", "rockset-apikeys-admin", "rockset-apikeys-server"];

/// Modules of generated code.
const GENERATED: [&str; 3] = ["generated", "mock", "types"];

/// Traits that only the compiler can name.
const INTERNAL: [&str; 3] = ["Freeze", "StructuralPartialEq", "UnsafeUnpin"];

/// Options of `cargo xtask api`.
#[derive(Args)]
pub struct Options {
    /// Change nothing; fail if the API differs from the recorded one
    #[arg(long)]
    check: bool,
}

/// Records or checks the listings.
pub fn run(options: &Options) -> Result<()> {
    let sh = Shell::new()?;
    let doc = "doc --quiet --locked --workspace --lib --all-features --no-deps".split(' ');
    cmd!(sh, "rustup run --install {TOOLCHAIN} cargo {doc...}")
        .env("RUSTDOC", sh.current_dir().join("xtask/rustdoc"))
        .env("RUSTDOCFLAGS", "-Zunstable-options --output-format=json")
        .quiet()
        .run()?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let mut listings = Vec::new();
    let mut external = BTreeSet::new();
    for package in PACKAGES {
        let krate = package.replace('-', "_");
        let json = target.join("doc").join(&krate).with_extension("json");
        let api = Builder::from_rustdoc_json(json).omit_blanket_impls(true).build();
        let api = api.with_context(|| format!("cannot read the API of {package}"))?;
        let mut items: Vec<String> = api.items().map(ToString::to_string).collect();
        external.extend(items.iter().flat_map(|item| external_types(item, &krate)));
        items.retain(|item| is_recorded(item, &krate));
        listings.push((package, items));
    }
    listings.push(("other-crates", external.into_iter().collect()));
    let mut failures = String::new();
    for (name, items) in listings {
        failures += &update(&sh, &format!("xtask/public-api/{name}.txt"), &items, options.check)?;
    }
    if !failures.is_empty() {
        bail!("{failures}Run `cargo xtask api` to record the API.");
    }
    Ok(())
}

/// Writes a listing, or returns how it differs from the items if it is only checked.
fn update(sh: &Shell, file: &str, items: &[String], check: bool) -> Result<String> {
    let old = sh.read_file(file).unwrap_or_default();
    let fresh: String = items.iter().map(|item| format!("{item}\n")).collect();
    if fresh == old {
        println!("{file} is up to date.");
    } else if check {
        let (old, new) = (old.lines().collect(), items.iter().map(String::as_str).collect());
        let difference = |a: &BTreeSet<&str>, b: &BTreeSet<&str>, sign| {
            a.difference(b).map(|item| format!("  {sign} {item}\n")).collect::<String>()
        };
        let changes = difference(&old, &new, '-') + &difference(&new, &old, '+');
        return Ok(format!("The public API differs from {file}:\n{changes}"));
    } else {
        sh.write_file(file, fresh)?;
        println!("Updated {file}.");
    }
    Ok(String::new())
}

/// Returns whether an item of a crate is recorded.
pub fn is_recorded(item: &str, krate: &str) -> bool {
    // An implementation belongs to the type that it is for.
    let owner = item.rsplit_once(" for ").filter(|_| item.starts_with("impl"));
    let owner = owner.map_or(item, |(_, owner)| owner);
    let is_own = |path: &&str| path.split("::").next() == Some(krate);
    let own = paths(owner).chain(paths(item)).find(is_own).unwrap_or_default();
    // The modules themselves are declared in hand-written code.
    let mut names = own.split("::").skip(1);
    let is_generated =
        names.next().is_some_and(|it| GENERATED.contains(&it) && names.next().is_some());
    let is_internal = |path: &str| {
        path.strip_prefix("core::marker::").is_some_and(|name| INTERNAL.contains(&name))
    };
    !is_generated && !paths(item).any(is_internal)
}

/// Returns the types and traits of other crates in an item, except the standard library's.
pub fn external_types(item: &str, krate: &str) -> BTreeSet<String> {
    let own = ["alloc", "core", "std", krate];
    let is_external = |path: &&str| path.split("::").next().is_some_and(|it| !own.contains(&it));
    paths(item).filter(is_external).filter_map(type_path).collect()
}

/// Returns `http::Method` for `http::Method::GET`. A path without a type names a function.
fn type_path(path: &str) -> Option<String> {
    let names: Vec<&str> = path.split("::").collect();
    let index = names.iter().position(|name| name.starts_with(char::is_uppercase))?;
    names.get(..=index).map(|names| names.join("::"))
}

/// Finds the paths in an item: names joined by `::`, the first of which is a crate's.
fn paths(item: &str) -> impl Iterator<Item = &str> {
    let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = item.split(move |c| !is_of_path(c)).map(|word| word.trim_matches(':'));
    words.filter(|word| word.contains("::") && word.starts_with(char::is_lowercase))
}
