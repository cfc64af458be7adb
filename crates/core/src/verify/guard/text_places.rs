//! Texts that stand for all others, by equality, by length or by order.
//!
//! Data has no NUL, so U+0001 is the least character.

use std::collections::BTreeSet;

/// The name of a text that nobody mentions.
const OTHER: &str = "other";
const LEAST: &str = "\u{1}";

/// Returns `count` texts that are not among the constants.
pub(super) fn others(constants: &BTreeSet<String>, count: usize) -> Vec<String> {
    let numbered = (2_usize..).map(|it| format!("{OTHER}{it}"));
    let all = std::iter::once(OTHER.to_owned()).chain(numbered);
    all.filter(|it| !constants.contains(it)).take(count).collect()
}

/// Returns a text of this many characters that is not among the constants, if there is one.
pub(super) fn of_length(constants: &BTreeSet<String>, length: usize) -> Option<String> {
    let same_length = constants.iter().filter(|it| it.chars().count() == length).count();
    // One more than there are constants: one of them must be new.
    let fills = ('a'..=char::MAX).take(same_length + 1);
    fills.map(|it| it.to_string().repeat(length)).find(|it| !constants.contains(it))
}

/// A text, and the constants that it lies between; between a constant and itself if it is one.
pub(super) type Placed = (String, Option<String>, Option<String>);

/// Returns the constants and up to `count` texts of each place around them, in order. A place that
/// has fewer texts gets all that it has.
pub(super) fn in_order(constants: &BTreeSet<String>, count: usize) -> Vec<Placed> {
    let constants: Vec<&String> = constants.iter().collect();
    let after = std::iter::once(None).chain(constants.iter().copied().map(Some));
    let before = constants.iter().copied().map(Some).chain(std::iter::once(None));
    let mut found = Vec::new();
    for (after, before) in after.zip(before) {
        let texts = between(after.map(String::as_str), before.map(String::as_str), count);
        found.extend(texts.into_iter().map(|it| (it, after.cloned(), before.cloned())));
        found.extend(before.map(|it| (it.clone(), Some(it.clone()), Some(it.clone()))));
    }
    found
}

/// Returns texts strictly between two, in order.
fn between(after: Option<&str>, before: Option<&str>, count: usize) -> Vec<String> {
    let fits = |it: &String| {
        after.is_none_or(|after| after < it.as_str())
            && before.is_none_or(|before| it.as_str() < before)
    };
    let base = after.unwrap_or_default();
    let grown = |part: &str| -> Vec<String> {
        // Nothing at all is the least text, where there is no text before.
        let first = usize::from(after.is_some() || part != LEAST);
        let all = (first..first + count).map(|it| format!("{base}{}", part.repeat(it)));
        all.filter(fits).collect()
    };
    // The least texts are there if any are; plainer ones are tried first.
    let tries = ["a", "0", " "].into_iter().map(grown);
    tries.into_iter().find(|it| it.len() == count).unwrap_or_else(|| grown(LEAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(constants: &[&str], count: usize, expected: &[&str]) {
        let constants = constants.iter().map(|it| (*it).to_owned()).collect();
        let found: Vec<String> = in_order(&constants, count).into_iter().map(|it| it.0).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_place_has_texts_if_there_are_any() {
        check(&[], 1, &["a"]);
        check(&[""], 1, &["", "a"]);
        check(&["m"], 1, &["a", "m", "ma"]);
        check(&["a", "b"], 1, &["0", "a", "aa", "b", "ba"]);
        check(&["a", "a\u{1}"], 1, &["0", "a", "a\u{1}", "a\u{1}a"]);
        check(&["\u{1}"], 2, &["", "\u{1}", "\u{1}a", "\u{1}aa"]);
        check(&["m"], 2, &["a", "aa", "m", "ma", "maa"]);
    }

    #[test]
    fn a_text_of_a_length_is_new() {
        let constants = ["aa", "bb", ""].map(str::to_owned).into();
        assert_eq!(of_length(&constants, 2).as_deref(), Some("cc"));
        assert_eq!(of_length(&constants, 0), None);
    }
}
