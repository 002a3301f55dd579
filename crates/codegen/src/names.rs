//! How names of the contract become names of Rust. `cargo xtask regen` uses them, too, so that its
//! report names what is generated.

/// `created_at` as `CreatedAt`, and `QUERY_ERROR` as `QueryError`.
pub fn pascal_case(text: &str) -> String {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric());
    let words = words.map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        let is_upper = !word.chars().any(|char| char.is_ascii_lowercase());
        let rest = if is_upper { rest.to_lowercase() } else { rest.to_owned() };
        first.to_uppercase() + &rest
    });
    words.collect()
}

/// `getApiKey` and `get_api_key` as `GET_API_KEY`.
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
    fn names_of_properties_and_wire_values_become_names_of_types() {
        for (text, name) in [
            ("created_at", "CreatedAt"),
            ("columnTypes", "ColumnTypes"),
            ("QUERY_ERROR", "QueryError"),
            ("ACTIVE", "Active"),
            ("read-only", "ReadOnly"),
            ("v2", "V2"),
        ] {
            assert_eq!(pascal_case(text), name);
        }
    }

    #[test]
    fn ids_of_operations_become_names_of_rows() {
        for (id, name) in [("get_api_key", "GET_API_KEY"), ("getApiKey", "GET_API_KEY")] {
            assert_eq!(shouting_case(id), name);
        }
    }
}
