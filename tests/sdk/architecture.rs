//! The files of the crate use each other as `docs/architecture.md` says, and in no circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

type Uses = BTreeMap<String, BTreeSet<String>>;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The code of a file, without comments and tests.
fn code(file: &str) -> String {
    let text = read(file);
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What each file uses of the others: the modules after `crate::`.
fn uses() -> Uses {
    let lib = code("src/lib.rs");
    let mut files = vec![("generated".to_owned(), code("src/generated/apikeys.rs"))];
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        match name.strip_suffix(".rs") {
            Some("lib") | None => {}
            Some(file) => files.push((file.to_owned(), code(&format!("src/{name}")))),
        }
    }
    let modules: BTreeSet<_> = files.iter().map(|(file, _)| file.clone()).collect();
    let mut uses = Uses::new();
    for (file, code) in files {
        let used = code.split("crate::").skip(1).filter_map(|rest| {
            let end = rest.find(|char: char| !char.is_alphanumeric() && char != '_');
            let name = &rest[..end.unwrap_or(rest.len())];
            if modules.contains(name) {
                return Some(name.to_owned());
            }
            // A type that the crate re-exports: `pub use module::{Type, …};`.
            let shown = lib.split("pub use ").skip(1).find(|item| {
                let item = item.split(';').next().unwrap_or_default();
                item.split(|char: char| !char.is_alphanumeric()).any(|word| word == name)
            });
            shown?.split("::").next().map(str::to_owned)
        });
        uses.entry(file.clone()).or_default().extend(used.filter(|used| *used != file));
    }
    uses
}

/// The rows of the table of files: each file, and those that it uses.
fn documented() -> Uses {
    let text = read("docs/architecture.md");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let file = cells.get(1)?.strip_prefix('`')?.strip_suffix(".rs`")?;
        let used = cells.get(3)?.split(", ").filter(|cell| !cell.is_empty() && *cell != "–");
        Some((file.to_owned(), used.map(|it| it.trim_matches('`').to_owned()).collect()))
    });
    rows.collect()
}

#[test]
fn the_files_use_each_other_as_documented() {
    let (uses, documented) = (uses(), documented());
    for (file, used) in &uses {
        assert_eq!(
            Some(used),
            documented.get(file),
            "{file}.rs: what it uses, what the table says"
        );
    }
    let gone: Vec<_> = documented.keys().filter(|file| !uses.contains_key(*file)).collect();
    assert!(gone.is_empty(), "the table has files that do not exist: {gone:?}");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut uses = uses();
    assert!(uses["call"].contains("generated"), "the test reads what the files use");
    while !uses.is_empty() {
        let ground: Vec<_> = uses.keys().filter(|file| uses[*file].is_empty()).cloned().collect();
        assert!(!ground.is_empty(), "these files use each other in a circle: {uses:?}");
        for file in ground {
            uses.remove(&file);
            uses.values_mut().for_each(|used| used.retain(|it| *it != file));
        }
    }
}
