//! The name that was probably meant.

/// Returns the candidate that is closest to `name`, if it is close enough to be a typing mistake.
pub(crate) fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let changes_max = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (changes(name, candidate), candidate))
        .filter(|(count, _)| *count <= changes_max)
        .min_by_key(|(count, _)| *count)
        .map(|(_, candidate)| candidate)
}

/// Counts the letters that must be inserted, removed or replaced; case does not count.
fn changes(left: &str, right: &str) -> usize {
    let fold = |text: &str| -> Vec<char> { text.chars().flat_map(char::to_lowercase).collect() };
    let (left, right) = (fold(left), fold(right));
    // One row of the table: what it takes to turn a prefix of `left` into each prefix of `right`.
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_typing_mistakes_are_near() {
        let names = ["startsWith", "size", "sort", "lowerAscii"];
        for (name, expected) in [
            ("startWith", Some("startsWith")),
            ("startswith", Some("startsWith")),
            ("lowerASCII", Some("lowerAscii")),
            ("sise", Some("size")),
            ("count", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, names), expected, "{name}");
        }
    }
}
