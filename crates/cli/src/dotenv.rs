//! Sets a variable in a dotenv file and keeps all other bytes.

use zeroize::Zeroizing;

pub(crate) fn is_variable(name: &str) -> bool {
    let is_name = |char: char| char == '_' || char.is_ascii_alphanumeric();
    !name.starts_with(|it: char| it.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(is_name)
}

/// Returns the file with this value of a variable.
pub(crate) fn with_variable(
    file: &[u8],
    name: &str,
    value: &str,
) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.~+/".contains(char);
    if !value.chars().all(is_plain) {
        return Err("the value contains characters that are special in a dotenv file");
    }
    // Never reallocates, which would leave a copy of the value behind.
    let mut new = Zeroizing::new(Vec::with_capacity(file.len() + name.len() + value.len() + 3));
    let mut is_found = false;
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        let Some((assignment, rest)) = assignment(line, name) else {
            new.extend_from_slice(line);
            continue;
        };
        if std::mem::replace(&mut is_found, true) {
            return Err("the variable is set more than once; remove all but one");
        }
        let is_text = |byte: &u8| !matches!(byte, b'\r' | b'\n');
        let (text, ending) = rest.split_at(rest.iter().rposition(is_text).map_or(0, |it| it + 1));
        let text = text.trim_ascii();
        if let Some(quote @ (b'"' | b'\'')) = text.first()
            && text.iter().filter(|byte| *byte == quote).count() < 2
        {
            return Err("the variable's value has more than one line; write it on one line");
        }
        new.extend_from_slice(assignment);
        new.extend_from_slice(value.as_bytes());
        new.extend_from_slice(ending);
    }
    if !is_found {
        if !matches!(new.last(), None | Some(b'\n')) {
            new.push(b'\n');
        }
        for part in [name, "=", value, "\n"] {
            new.extend_from_slice(part.as_bytes());
        }
    }
    Ok(new)
}

/// Splits a line that sets the variable after its `=`.
fn assignment<'a>(line: &'a [u8], name: &str) -> Option<(&'a [u8], &'a [u8])> {
    let equals = line.iter().position(|byte| *byte == b'=')?;
    let (assignment, rest) = line.split_at(equals + 1);
    let left = assignment.strip_suffix(b"=")?.trim_ascii();
    let left = match left.strip_prefix(b"export") {
        Some(rest) if rest.first().is_some_and(u8::is_ascii_whitespace) => rest.trim_ascii_start(),
        _ => left,
    };
    (left == name.as_bytes()).then_some((assignment, rest))
}
