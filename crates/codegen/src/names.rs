//! Conversion of the contract's names to Rust names. `cargo xtask regen` also uses it, so that its
//! report names the generated items.

/// Returns `CreatedAt` for `created_at`, and `QueryError` for `QUERY_ERROR`.
pub fn pascal_case(name: &str) -> String {
    let words = name.split(|char: char| !char.is_ascii_alphanumeric());
    let words = words.map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        let is_upper = !word.chars().any(|char| char.is_ascii_lowercase());
        let rest = if is_upper { rest.to_lowercase() } else { rest.to_owned() };
        first.to_uppercase() + &rest
    });
    words.collect()
}

/// Returns `GET_API_KEY` for `getApiKey` and `get_api_key`.
pub fn shouting_case(id: &str) -> String {
    let mut name = String::new();
    for char in id.chars() {
        if char.is_uppercase() && name.chars().last().is_some_and(|last| last != '_') {
            name.push('_');
        }
        name.extend(if char.is_alphanumeric() { char.to_uppercase().next() } else { Some('_') });
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pascal_case_converts_properties_and_wire_values() {
        for (wire, name) in [
            ("created_at", "CreatedAt"),
            ("columnTypes", "ColumnTypes"),
            ("QUERY_ERROR", "QueryError"),
            ("ACTIVE", "Active"),
            ("read-only", "ReadOnly"),
            ("v2", "V2"),
        ] {
            assert_eq!(pascal_case(wire), name);
        }
    }

    #[test]
    fn shouting_case_converts_operation_ids() {
        for (id, name) in [("get_api_key", "GET_API_KEY"), ("getApiKey", "GET_API_KEY")] {
            assert_eq!(shouting_case(id), name);
        }
    }
}
