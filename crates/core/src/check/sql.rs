//! The marks of an SQL text that values are bound to: `:name`, `?` and `$1`. Texts, quoted names
//! and comments hold none.

use std::collections::BTreeSet;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Marks<'a> {
    /// `:name`
    pub named: BTreeSet<&'a str>,
    /// The number of `?`, or the highest `$n`.
    pub positions: usize,
}

pub(super) fn marks(query: &str) -> Marks<'_> {
    let (mut found, mut highest) = (Marks::default(), 0);
    let bytes = query.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &query[at..];
        let word = word(rest.get(1..).unwrap_or(""));
        at += match bytes[at] {
            quote @ (b'\'' | b'"' | b'`') => 1 + until(&rest[1..], quote as char),
            b'-' if rest.starts_with("--") => until(rest, '\n'),
            b'/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |it| it + 2),
            // A cast of PostgreSQL, such as `a::text`.
            b':' if rest.starts_with("::") => 2,
            b':' if word.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_') => {
                found.named.insert(word);
                1 + word.len()
            }
            b'?' => {
                found.positions += 1;
                1
            }
            b'$' if !word.is_empty() && word.bytes().all(|it| it.is_ascii_digit()) => {
                highest = highest.max(word.parse().unwrap_or(0));
                1 + word.len()
            }
            // A text of PostgreSQL: `$$ … $$` or `$tag$ … $tag$`.
            b'$' if rest[1 + word.len()..].starts_with('$') => {
                let (tag, body) = rest.split_at(2 + word.len());
                tag.len() + body.find(tag).map_or(body.len(), |it| it + tag.len())
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    found.positions = found.positions.max(highest);
    found
}

/// Returns the letters, digits and underscores at the front.
fn word(text: &str) -> &str {
    let end = text.find(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Returns the bytes up to and with `end`.
fn until(text: &str, end: char) -> usize {
    text.find(end).map_or(text.len(), |it| it + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, named: &[&str], positions: usize) {
        assert_eq!(marks(query), Marks { named: named.iter().copied().collect(), positions });
    }

    #[test]
    fn marks_are_found_and_nothing_else_is() {
        check("UPDATE t SET q = q - :n WHERE sku = :sku AND n > :n", &["n", "sku"], 0);
        check("SELECT ? + ?", &[], 2);
        check("SELECT $2, $1, $2", &[], 2);
        check("SELECT ':a', \"b?\", 'it''s :c' -- :d ?\n, :e /* :f */", &["e"], 0);
        check("SELECT a::text, '12:30', $$ :x ? $$, $t$ :y $t$, :z::int", &["z"], 0);
        check("SELECT 'é:a', :ü", &[], 0);
        check("SELECT 'open :a", &[], 0);
        check("", &[], 0);
        check(":", &[], 0);
        check("$", &[], 0);
    }
}
