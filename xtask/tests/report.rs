//! How changes are written, and which version they ask for.

#![allow(clippy::unwrap_used)]

use xtask::changes::{Change, Class};
use xtask::report::{Version, text};

#[test]
fn an_entry_is_at_most_100_columns_wide_and_says_everything() {
    let words = "word ".repeat(60);
    let change = Change {
        class: Class::Additive,
        place: "components.schemas.Book".to_owned(),
        change: words.clone(),
        meaning: format!("{words}end"),
    };
    let text = text(&[change]);
    assert!(text.starts_with("additive  components.schemas.Book\n          word word"), "{text}");
    assert!(text.contains("\n          = word word"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.lines().skip(1).all(|line| line.starts_with("          ")), "{text}");
    assert_eq!(text.split_whitespace().filter(|word| *word == "word").count(), 120);
    assert!(text.ends_with("end\n"), "{text}");
}

#[test]
fn the_next_version_is_the_one_that_semver_asks_for() {
    for (version, breaking, additive, docs) in [
        ("0.1.0", "0.2.0", "0.1.1", "0.1.1"),
        ("0.9.4", "0.10.0", "0.9.5", "0.9.5"),
        ("1.2.3", "2.0.0", "1.3.0", "1.2.4"),
        ("1.2.3-beta.1", "2.0.0", "1.3.0", "1.2.4"),
    ] {
        let manifest = format!(
            "[package]\nversion = \"7.7.7\"\n\n[workspace.package]\nedition = \"2024\"\nversion = \
             \"{version}\"\n[other]\n"
        );
        let version = Version::of_workspace(&manifest).unwrap();
        let next = |class| version.after(class).to_string();
        assert_eq!(next(Class::Breaking), breaking);
        assert_eq!(next(Class::Additive), additive);
        assert_eq!(next(Class::Docs), docs);
    }
}

#[test]
fn a_manifest_without_a_version_has_none() {
    let other = "[workspace.package]\nedition = \"2024\"\n[package]\nversion = \"1.0.0\"\n";
    for manifest in ["", "[package]\nversion = \"1.0.0\"\n", other] {
        assert_eq!(Version::of_workspace(manifest), None);
    }
}
