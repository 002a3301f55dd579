//! The Rust code in README and in the documents is part of an example, so that it compiles.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn documented_rust_code_is_part_of_an_example() {
    let examples: Vec<String> =
        examples().iter().map(|file| without_indent(&fs::read_to_string(file).unwrap())).collect();
    let documents = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/conformance.md"];
    let mut blocks = 0;
    for document in documents {
        let content = fs::read_to_string(root().join(document)).unwrap();
        for block in content.split("```rust\n").skip(1) {
            let code = without_indent(block.split("```").next().unwrap());
            let is_in_example = examples.iter().any(|example| example.contains(&code));
            assert!(is_in_example, "{document} contains code that no example contains:\n{code}");
            blocks += 1;
        }
    }
    assert!(blocks >= 3, "README contains no code, or this test no longer finds it");
}

#[test]
fn readme_lists_every_example() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for file in examples() {
        if fs::read_to_string(&file).unwrap().contains("fn main()") {
            let path = file.strip_prefix(root()).unwrap().display().to_string();
            assert!(readme.contains(&format!("]({path})")), "README does not list {path}");
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the files of the examples.
fn examples() -> Vec<PathBuf> {
    let mut directories = vec![root().join("examples")];
    let mut files = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// Removes all indentation, because documents do not indent the lines of a function.
fn without_indent(code: &str) -> String {
    code.lines().map(|line| format!("{}\n", line.trim_start())).collect()
}
