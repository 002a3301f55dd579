//! Dependencies between files point down the table in `docs/architecture.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the code of each file in `src`, without comments and tests. The keys are module paths:
/// `call/retry`, and `call` for `call/mod.rs`.
fn files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut directories = vec![root().join("src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root().join("src")).unwrap().to_str().unwrap();
            if path.is_dir() {
                directories.push(path);
            } else if let Some(name) = name.strip_suffix(".rs").filter(|name| *name != "lib") {
                let source = fs::read_to_string(&path).unwrap();
                let code = source.split("#[cfg(test)]").next().unwrap();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                let code = lines.collect::<Vec<_>>().join("\n");
                // The copy of the generated code belongs to the file that includes it.
                let file = name.split("generated/").next().filter(|rest| !rest.is_empty());
                let file = file.map_or("generated", |name| name.trim_end_matches("/mod"));
                *files.entry(file.to_owned()).or_default() += &*code;
            }
        }
    }
    files
}

/// Returns the file of a path: `call/retry` for `call::retry::Next`.
fn file_of<'a>(files: &'a BTreeMap<String, String>, path: &str) -> Option<&'a str> {
    let end = path.find(|char: char| !char.is_alphanumeric() && !"_:".contains(char));
    let names: Vec<_> = path[..end.unwrap_or(path.len())].split("::").collect();
    let prefixes = (1..=names.len()).rev().map(|count| names[..count].join("/"));
    prefixes.filter_map(|prefix| files.get_key_value(&prefix)).map(|(name, _)| &**name).next()
}

/// Returns the files that this one uses: by `crate::` paths, and a directory's modules by name.
fn used<'a>(files: &'a BTreeMap<String, String>, file: &str, code: &str) -> Vec<&'a str> {
    let paths = code.split("crate::").skip(1).map(str::to_owned);
    let children = files.keys().filter_map(|other| other.strip_prefix(&format!("{file}/")));
    let children = children.filter(|child| code.contains(&format!("{child}::")));
    let paths = paths.chain(children.map(|child| format!("{file}::{child}")));
    let used = paths.filter_map(|path| file_of(files, &path.replace('/', "::")));
    used.filter(|used| *used != file).collect()
}

#[test]
fn files_use_only_files_below_them() {
    let files = files();
    let document = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let listed: Vec<_> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `src/")?.split_once(".rs` |"))
        .map(|(file, _)| file.trim_end_matches("/mod"))
        .collect();
    let row = |file: &str| {
        let row = listed.iter().position(|listed| *listed == file);
        row.unwrap_or_else(|| panic!("docs/architecture.md does not list {file}"))
    };
    for listed in &listed {
        assert!(files.contains_key(*listed), "{listed} in docs/architecture.md does not exist");
    }
    let mut dependencies = 0;
    for (file, code) in &files {
        for used in used(&files, file, code) {
            assert!(row(file) < row(used), "{file} uses {used}, which is listed above it");
            dependencies += 1;
        }
    }
    assert!(dependencies > files.len(), "the test no longer finds the dependencies");
}
