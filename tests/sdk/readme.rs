//! README shows code that is compiled and run: each piece of Rust in it is part of an example.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn each_piece_of_rust_in_the_documents_is_part_of_an_example() {
    let examples: Vec<String> =
        examples().iter().map(|file| without_indent(&fs::read_to_string(file).unwrap())).collect();
    let documents = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/conformance.md"];
    let mut pieces = 0;
    for document in documents {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for piece in text.split("```rust\n").skip(1) {
            let piece = without_indent(piece.split("```").next().unwrap());
            let is_shown = examples.iter().any(|example| example.contains(&piece));
            assert!(is_shown, "{document} has code that is in no example:\n{piece}");
            pieces += 1;
        }
    }
    assert!(pieces >= 3, "README has lost its code, or this test its way to find it");
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
    let mut folders = vec![root().join("examples")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// Returns the text with each line as if it stood at the beginning: a piece of a function is shown
/// without the function's indentation.
fn without_indent(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim_start())).collect()
}
