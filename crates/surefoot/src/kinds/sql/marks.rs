//! Finds the parameter marks of a statement and gives each its value. `:name` takes from an
//! object; `?`, `?1` and `$1` take from a list. What stands in literals, quoted names, comments
//! and casts is no mark.

use serde_json::{Map, Value};
use surefoot_core::task_error::TaskError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// A statement whose marks are numbered the way its database wants, with their values in order.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
    /// Its first word in lower case, such as `select`.
    pub(super) keyword: String,
    /// Something other than space follows a semicolon.
    pub(super) has_more: bool,
    /// What the user wrote, and where it differs: ends of replaced marks, in `sql` and in it.
    source: String,
    replaced: Vec<(usize, usize)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mark {
    Named(String),
    /// `?1` or `$1`.
    Numbered(usize),
    /// `?`
    Next,
}

struct Found {
    mark: Mark,
    start: usize,
    end: usize,
}

impl Statement {
    /// `shared` params serve several statements, so one of them need not use all names.
    pub(super) fn new(
        source: &str,
        params: Option<&Value>,
        shared: bool,
        dialect: Dialect,
    ) -> Result<Statement, TaskError> {
        let (marks, words) = scan(source, dialect);
        if matches!(
            words.keyword.as_str(),
            "begin" | "start" | "commit" | "end" | "rollback" | "savepoint" | "release" | "abort"
        ) {
            return Err(TaskError::fatal(
                "sql_transaction",
                format!(
                    "`{}` is not for tasks: list `statements`, which run in one transaction",
                    words.keyword
                ),
            ));
        }
        let mut statement = Statement {
            sql: String::new(),
            values: Vec::new(),
            keyword: words.keyword,
            has_more: words.has_more,
            source: source.to_owned(),
            replaced: Vec::new(),
        };
        match params {
            Some(Value::Object(fields)) => statement.bind_names(&marks, fields, shared, dialect)?,
            Some(Value::Array(items)) => statement.bind_places(&marks, items, dialect)?,
            _ => statement.bind_places(&marks, &[], dialect)?,
        }
        Ok(statement)
    }

    fn bind_names(
        &mut self,
        marks: &[Found],
        fields: &Map<String, Value>,
        shared: bool,
        dialect: Dialect,
    ) -> Result<(), TaskError> {
        let mut names: Vec<&str> = Vec::new();
        let mut numbered = Vec::new();
        for found in marks {
            let Mark::Named(name) = &found.mark else { continue };
            let Some(value) = fields.get(name) else {
                return Err(binds(format!("`:{name}` has no value in `params`")));
            };
            let at = names.iter().position(|it| it == name).unwrap_or_else(|| {
                names.push(name);
                self.values.push(value.clone());
                names.len() - 1
            });
            numbered.push((found, at + 1));
        }
        if let Some(unused) = fields.keys().find(|it| !shared && !names.contains(&it.as_str())) {
            return Err(binds(format!(
                "`params` has `{unused}`, but the statement has no `:{unused}`"
            )));
        }
        self.replace(&numbered, dialect);
        Ok(())
    }

    fn bind_places(
        &mut self,
        marks: &[Found],
        items: &[Value],
        dialect: Dialect,
    ) -> Result<(), TaskError> {
        let has_numbers = marks.iter().any(|it| matches!(it.mark, Mark::Numbered(_)));
        let (mut numbered, mut next) = (Vec::new(), 0);
        for found in marks {
            match &found.mark {
                Mark::Named(name) => {
                    return Err(binds(format!(
                        "`:{name}` needs `params` to be an object with the key `{name}`"
                    )));
                }
                Mark::Numbered(number) => numbered.push((found, *number)),
                // In PostgreSQL `?` is also an operator: beside `$1` it is no mark.
                Mark::Next if has_numbers && dialect == Dialect::Postgres => {}
                Mark::Next if has_numbers => {
                    return Err(binds("use `?` or numbered marks, not both"));
                }
                Mark::Next => {
                    next += 1;
                    numbered.push((found, next));
                }
            }
        }
        let wanted = numbered.iter().map(|(_, number)| *number).max().unwrap_or(0);
        if wanted != items.len() || numbered.iter().any(|(_, number)| *number == 0) {
            let given = items.len();
            return Err(binds(format!(
                "the statement has marks for {wanted} values, but `params` has {given}"
            )));
        }
        self.values = items.to_vec();
        self.replace(&numbered, dialect);
        Ok(())
    }

    fn replace(&mut self, marks: &[(&Found, usize)], dialect: Dialect) {
        let sign = if dialect == Dialect::Postgres { '$' } else { '?' };
        let mut copied = 0;
        for (found, number) in marks {
            self.sql.push_str(&self.source[copied..found.start]);
            self.sql.push_str(&format!("{sign}{number}"));
            copied = found.end;
            self.replaced.push((self.sql.len(), found.end));
        }
        self.sql.push_str(&self.source[copied..]);
    }

    /// Turns an offset in bytes of `sql` into the position, in characters from 1, in what the user
    /// wrote.
    pub(super) fn position(&self, offset: usize) -> usize {
        let before = self.replaced.iter().rev().find(|(end, _)| *end <= offset);
        let (sent, written) = before.copied().unwrap_or((0, 0));
        let at = (written + offset - sent).min(self.source.len());
        self.source.char_indices().take_while(|(start, _)| *start < at).count() + 1
    }
}

fn binds(message: impl Into<String>) -> TaskError {
    TaskError::fatal("sql_binds", message)
}

struct Words {
    keyword: String,
    has_more: bool,
}

/// Walks over the statement once.
fn scan(source: &str, dialect: Dialect) -> (Vec<Found>, Words) {
    let bytes = source.as_bytes();
    let mut marks = Vec::new();
    let mut words = Words { keyword: String::new(), has_more: false };
    let (mut at, mut ended) = (0, false);
    while at < bytes.len() {
        let skipped = skip_comment(bytes, at, dialect);
        if skipped > at {
            at = skipped;
            continue;
        }
        match bytes[at] {
            b';' => ended = true,
            other if ended && !other.is_ascii_whitespace() => words.has_more = true,
            _ => {}
        }
        let is_inside_word = at > 0 && is_word(bytes[at - 1]);
        let end = skip_quoted(bytes, at, dialect, is_inside_word);
        if end > at {
            at = end;
        } else if let Some((mark, end)) = mark(source, at, is_inside_word) {
            marks.push(Found { mark, start: at, end });
            at = end;
        } else if bytes[at..].starts_with(b"::") {
            at += 2;
        } else {
            if words.keyword.is_empty() && bytes[at].is_ascii_alphabetic() {
                words.keyword = source[at..word_end(bytes, at)].to_ascii_lowercase();
            }
            at += 1;
        }
    }
    (marks, words)
}

fn mark(source: &str, at: usize, is_inside_word: bool) -> Option<(Mark, usize)> {
    let bytes = source.as_bytes();
    if !matches!(bytes[at], b':' | b'?' | b'$') {
        return None;
    }
    let end = word_end(bytes, at + 1);
    let word = &source[at + 1..end];
    let number = || word.parse().ok().map(|it| (Mark::Numbered(it), end));
    match bytes[at] {
        b':' if word.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_') => {
            Some((Mark::Named(word.to_owned()), end))
        }
        b'?' if word.is_empty() => Some((Mark::Next, end)),
        b'?' => number(),
        b'$' if !is_inside_word => number(),
        _ => None,
    }
}

/// Returns where the comment at `at` ends; `at` itself if there is none.
fn skip_comment(bytes: &[u8], at: usize, dialect: Dialect) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"--") {
        return at + rest.iter().position(|it| *it == b'\n').map_or(rest.len(), |it| it + 1);
    }
    if !rest.starts_with(b"/*") {
        return at;
    }
    let (mut depth, mut inner) = (1, at + 2);
    while inner < bytes.len() && depth > 0 {
        if bytes[inner..].starts_with(b"*/") {
            depth -= 1;
            inner += 2;
        } else if bytes[inner..].starts_with(b"/*") && dialect == Dialect::Postgres {
            depth += 1;
            inner += 2;
        } else {
            inner += 1;
        }
    }
    inner
}

/// Returns where the literal or quoted name at `at` ends; `at` itself if there is none.
fn skip_quoted(bytes: &[u8], at: usize, dialect: Dialect, is_inside_word: bool) -> usize {
    let is_postgres = dialect == Dialect::Postgres;
    match bytes[at] {
        b'\'' => until_quote(bytes, at + 1, b'\'', false),
        b'e' | b'E' if is_postgres && !is_inside_word && bytes.get(at + 1) == Some(&b'\'') => {
            until_quote(bytes, at + 2, b'\'', true)
        }
        b'"' => until_quote(bytes, at + 1, b'"', false),
        b'`' if !is_postgres => until_quote(bytes, at + 1, b'`', false),
        b'[' if !is_postgres => until_quote(bytes, at + 1, b']', false),
        b'$' if is_postgres && !is_inside_word => {
            let tag_end = word_end(bytes, at + 1);
            let starts_with_digit = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
            if bytes.get(tag_end) != Some(&b'$') || starts_with_digit {
                return at;
            }
            let tag = &bytes[at..=tag_end];
            let body = &bytes[tag_end + 1..];
            let found = body.windows(tag.len()).position(|it| it == tag);
            found.map_or(bytes.len(), |it| tag_end + 1 + it + tag.len())
        }
        _ => at,
    }
}

/// A doubled quote is a quote inside; so is one after a backslash where those count.
fn until_quote(bytes: &[u8], mut at: usize, quote: u8, backslashes: bool) -> usize {
    while at < bytes.len() {
        if backslashes && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) && quote != b']' {
            at += 2;
        } else {
            return at + 1;
        }
    }
    bytes.len()
}

fn word_end(bytes: &[u8], start: usize) -> usize {
    let start = start.min(bytes.len());
    start + bytes[start..].iter().take_while(|it| is_word(**it)).count()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(dialect: Dialect, sql: &str, params: Value, expected: Result<(&str, Value), &str>) {
        let found = Statement::new(sql, Some(&params), false, dialect);
        let found = found.map(|it| (it.sql, Value::from(it.values)));
        match (found, expected) {
            (Ok((sql, values)), Ok(expected)) => assert_eq!((sql.as_str(), values), expected),
            (Err(error), Err(expected)) => assert!(error.message.contains(expected), "{error:?}"),
            (found, expected) => panic!("{sql}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn marks_get_their_values() {
        let ab = json!({"a": 1, "b": 2});
        for (dialect, sign) in [(Dialect::Postgres, '$'), (Dialect::Sqlite, '?')] {
            let numbered = |it: &str| it.replace('#', &sign.to_string());
            let sent = numbered("x #1 #2 #1");
            check(dialect, "x :a :b :a", ab.clone(), Ok((&sent, json!([1, 2]))));
            check(dialect, "x ? ? ", json!([5, 6]), Ok((&numbered("x #1 #2 "), json!([5, 6]))));
            check(dialect, "x $2 $1", json!([5, 6]), Ok((&numbered("x #2 #1"), json!([5, 6]))));
            check(dialect, "x ?2 ?1", json!([5, 6]), Ok((&numbered("x #2 #1"), json!([5, 6]))));
        }
    }

    #[test]
    fn what_is_quoted_is_no_mark() {
        for sql in
            ["':a ? $1'", "'it''s :a'", "\":a\"", "-- :a\n", "/* :a */", "x -- :a", "'open :a"]
        {
            check(Dialect::Postgres, sql, json!({}), Ok((sql, json!([]))));
            check(Dialect::Sqlite, sql, json!({}), Ok((sql, json!([]))));
        }
        for sql in [
            "x::text",
            "E'\\':a'",
            "$$ :a $$",
            "$t$ :a $$ $t$",
            "/* /* */ :a */",
            "a[1:2]",
            "data ? 'k'",
            "data ?| x",
            "name$1",
        ] {
            check(Dialect::Postgres, sql, json!({}), Ok((sql, json!([]))));
        }
        check(Dialect::Postgres, "d ? $1", json!([1]), Ok(("d ? $1", json!([1]))));
        for sql in ["[:a]", "`:a`"] {
            check(Dialect::Sqlite, sql, json!({}), Ok((sql, json!([]))));
        }
    }

    #[test]
    fn a_wrong_number_of_values_is_refused() {
        let sqlite = Dialect::Sqlite;
        check(
            sqlite,
            "? ? ? ?",
            json!([1, 2, 3, 4, 5]),
            Err("marks for 4 values, but `params` has 5"),
        );
        check(sqlite, "?", json!([]), Err("marks for 1 values"));
        check(sqlite, "?3", json!([1]), Err("marks for 3 values"));
        check(sqlite, "$0", json!([]), Err("marks for 0 values"));
        check(sqlite, ":a", json!({}), Err("`:a` has no value"));
        check(sqlite, "x", json!({"a": 1}), Err("no `:a`"));
        check(sqlite, ":a", json!([1]), Err("an object with the key `a`"));
        check(sqlite, "? ?1", json!([1]), Err("not both"));
        check(sqlite, " commit", json!([]), Err("not for tasks"));
    }

    #[test]
    fn a_position_is_that_of_the_user() {
        let statement =
            Statement::new("é :name x", Some(&json!({"name": 1})), false, Dialect::Postgres);
        let statement = statement.expect("a statement");
        assert_eq!(statement.sql, "é $1 x");
        assert_eq!(statement.position(statement.sql.find('x').expect("an x")), 9);
        assert_eq!(statement.position(0), 1);
    }

    #[test]
    fn no_text_breaks_the_scanner() {
        // Every short text over the signs that matter, in both dialects.
        let signs = ['\'', '"', '$', ':', '?', '-', '/', '*', 'e', '\\', '1', 'é', ';', '['];
        for n in 0..signs.len().pow(4) {
            let text: String =
                (0..4).map(|it| signs[n / signs.len().pow(it) % signs.len()]).collect();
            for dialect in [Dialect::Sqlite, Dialect::Postgres] {
                for found in scan(&text, dialect).0 {
                    assert!(text.is_char_boundary(found.start) && text.is_char_boundary(found.end));
                }
            }
        }
    }
}
