//! "Did you mean": the known name that a mistyped one stands nearest to.

/// Names longer than this are not compared: a typing mistake in them is found by reading.
const NAME_LEN_MAX: usize = 64;

/// Returns the candidate that is at most two mistakes away (one in a name of three or four
/// letters, none in a shorter one). A mistake is a letter too many, too few, wrong, in the wrong
/// case, or two neighbours swapped. Of equals the first wins.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let name: Vec<char> = name.chars().take(NAME_LEN_MAX + 1).collect();
    let allowed = match name.len() {
        0..=2 => 0,
        3..=4 => 1,
        5..=NAME_LEN_MAX => 2,
        _ => return None,
    };
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate.len().abs_diff(name.len()) > 4 * NAME_LEN_MAX {
            continue;
        }
        let letters: Vec<char> = candidate.chars().collect();
        if letters.len().abs_diff(name.len()) > allowed.max(1) {
            continue;
        }
        let found = if same_but_for_case(&name, &letters) { 0 } else { distance(&name, &letters) };
        if found <= allowed && best.is_none_or(|(least, _)| found < least) {
            best = Some((found, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Writes names as a sentence lists them: `a`, `b` or `c`.
pub fn oxford(names: &[&str], word: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|it| format!("`{it}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {word} {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Names that are listed for somebody who named something else.
const LISTED_MAX: usize = 12;

/// What to say to somebody who named something that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suggestion {
    /// Probably this was meant.
    Near(String),
    /// There are these, and maybe more.
    Listed(String),
    /// There is nothing at all.
    Nothing,
}

/// Says which known name may have been meant, or else which there are.
pub fn suggestion(name: &str, known: &[String]) -> Suggestion {
    if let Some(near) = nearest(name, known.iter().map(String::as_str)) {
        return Suggestion::Near(near.to_owned());
    }
    let names: Vec<&str> = known.iter().take(LISTED_MAX).map(String::as_str).collect();
    match names.is_empty() {
        true => Suggestion::Nothing,
        false => Suggestion::Listed(oxford(&names, "and")),
    }
}

/// Also counts `-` and `_` as one letter.
fn same_but_for_case(one: &[char], other: &[char]) -> bool {
    let fold = |it: &char| if *it == '-' { '_' } else { it.to_ascii_lowercase() };
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| fold(a) == fold(b))
}

/// The optimal string alignment distance: Levenshtein's, with swapped neighbours as one mistake.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut best = (above[j] + usize::from(a != b)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Option<&str>) {
        let known = ["needs", "timeout", "retry", "if", "with", "on_failure", "max_parallel"];
        assert_eq!(nearest(name, known), expected, "{name}");
    }

    #[test]
    fn a_mistyped_name_finds_its_neighbour() {
        check("need", Some("needs"));
        check("retyr", Some("retry"));
        check("retrys", Some("retry"));
        check("timeuot", Some("timeout"));
        check("Timeout", Some("timeout"));
        check("max-parallel", Some("max_parallel"));
        check("wiht", Some("with"));
        check("IF", Some("if"));
        check("fi", None);
        check("", None);
        check("something_else", None);
        check(&"x".repeat(100_000), None);
    }

    #[test]
    fn lists_read_like_sentences() {
        assert_eq!(oxford(&["a"], "or"), "`a`");
        assert_eq!(oxford(&["a", "b", "c"], "or"), "`a`, `b` or `c`");
    }
}
