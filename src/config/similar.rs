//! "Did you mean": the known name that a written one was probably meant to be.

/// The closest of `known`, if it is close: at most one edit for short names, a third of the length for
/// long ones.
pub fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer texts are not typing mistakes, and the table below grows with their product.
    if written.len() > 64 {
        return None;
    }
    let allowed = (written.chars().count() / 3).max(1);
    let near = known.into_iter().filter(|it| it.len() <= 64);
    let scored = near.map(|it| (distance(&written.to_lowercase(), &it.to_lowercase()), it));
    scored.filter(|it| it.0 <= allowed).min_by_key(|it| it.0).map(|it| it.1)
}

/// Edits between two texts: insert, delete, replace, and swap of neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_close() {
        let known = ["hosts", "live", "versions", "v42", "v41"];
        for (written, expected) in [
            ("host", Some("hosts")),
            ("lvie", Some("live")),
            ("Version", Some("versions")),
            ("v24", Some("v42")),
            ("v4", Some("v42")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(closest(written, known), expected, "{written}");
        }
        assert_eq!(closest(&"x".repeat(10_000), known), None);
    }
}
