//! Names of successive keys: `my-app`, `my-app.r2`, `my-app.r3` and so on.

/// Splits `my-app.r2` into `my-app` and 2. A name without a generation is the first.
pub(crate) fn split(name: &str) -> (&str, u32) {
    name.rsplit_once(".r")
        .filter(|(base, digits)| {
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            !base.is_empty() && is_number && !digits.starts_with('0')
        })
        .and_then(|(base, digits)| Some((base, digits.parse().ok().filter(|it| *it > 1)?)))
        .unwrap_or((name, 1))
}

/// Returns the name of the next generation.
pub(crate) fn successor(name: &str) -> String {
    let (base, number) = split(name);
    format!("{base}.r{}", number.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successor_increments_generation() {
        let names = ["my-app", "my-app.r2", "my-app.r9", "my-app.r1", "my-app.r02", ".r2"];
        let next =
            ["my-app.r2", "my-app.r3", "my-app.r10", "my-app.r1.r2", "my-app.r02.r2", ".r2.r2"];
        assert_eq!(names.map(successor), next);
    }
}
