//! Which tables an SQL statement reads and writes, and whether it may be repeated: as far as its
//! words tell. A statement that is not understood is nothing that is proved or refuted.

/// What one statement does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    /// Names in lower case, as written: `stock` or `shop.stock`.
    pub reads: Vec<String>,
    pub writes: Vec<String>,
    pub again: Again,
}

/// What a second execution does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Again {
    /// Nothing that the first one did not do.
    #[default]
    Same,
    /// It changes more: `quantity = quantity - 1`, another row.
    More,
    /// It depends on the data.
    Unknown,
}

/// Reads a statement; None if it is not one of `SELECT`, `INSERT`, `UPDATE`, `DELETE`, `REPLACE`,
/// `TRUNCATE` and `CREATE … IF NOT EXISTS`.
pub(super) fn statement(text: &str) -> Option<Statement> {
    let tokens = tokens(text);
    let (common, start) = common_tables(&tokens);
    let rest = &tokens[start..];
    let mut found = match rest.first()?.word()? {
        "select" | "values" if !has(rest, &["into"]) => Statement::default(),
        "insert" | "replace" => insert(rest)?,
        "update" => update(rest)?,
        "delete" => {
            let table = name_after(rest, "from")?;
            Statement { writes: vec![table], ..Statement::default() }
        }
        "truncate" => {
            let table = rest.iter().filter_map(Token::word).nth(1).filter(|it| *it != "table");
            let table = table.map(str::to_owned).or_else(|| name_after(rest, "table"))?;
            Statement { writes: vec![table], ..Statement::default() }
        }
        "create" if has(rest, &["if", "not", "exists"]) => return Some(Statement::default()),
        "drop" if has(rest, &["if", "exists"]) => return Some(Statement::default()),
        _ => return None,
    };
    found.reads = read_tables(&tokens);
    found.reads.retain(|it| !common.contains(&it.as_str()) && !found.writes.contains(it));
    Some(found)
}

fn insert(rest: &[Token<'_>]) -> Option<Statement> {
    let writes = vec![name_after(rest, "into")?];
    let ignores = has(rest, &["or", "ignore"]) || rest.get(1).is_some_and(|it| it.is("ignore"));
    let replaces = has(rest, &["or", "replace"]) || rest[0].is("replace");
    let again = if ignores || replaces {
        Again::Same
    } else if let Some(at) = position(rest, &["on", "conflict"]) {
        match position(&rest[at..], &["do", "update", "set"]) {
            Some(set) => assignments(&rest[at + set + 3..]),
            None => Again::Same,
        }
    } else if let Some(at) = position(rest, &["on", "duplicate", "key", "update"]) {
        assignments(&rest[at + 4..])
    } else if has(rest, &["exists"]) || has(rest, &["except"]) {
        Again::Unknown
    } else {
        Again::More
    };
    Some(Statement { writes, again, ..Statement::default() })
}

fn update(rest: &[Token<'_>]) -> Option<Statement> {
    let set = position(rest, &["set"])?;
    let table = rest[1..set].iter().find_map(|it| match it {
        Token::Word(word) if word != "only" => Some(word.clone()),
        _ => None,
    })?;
    Some(Statement { writes: vec![table], again: assignments(&rest[set + 1..]), reads: vec![] })
}

/// Looks at `a = …, b = …` up to `WHERE`: whether a column is made from what it was before. A
/// condition on such a column may keep a second execution from finding anything.
fn assignments(tokens: &[Token<'_>]) -> Again {
    let end = tokens.iter().position(|it| it.is("where")).unwrap_or(tokens.len());
    let (set, condition) = tokens.split_at(end);
    let mut depth = 0;
    let parts: Vec<&[Token<'_>]> = set
        .split(|it| {
            depth += it.depth_change();
            depth == 0 && it.symbol() == Some(',')
        })
        .collect();
    let column = |part: &[Token<'_>]| part.first().and_then(Token::word).map(last_name);
    let columns: Vec<String> = parts.iter().filter_map(|it| column(it)).collect();
    let reads = |tokens: &[Token<'_>]| {
        tokens
            .iter()
            .filter_map(Token::word)
            .any(|word| !word.starts_with("excluded.") && columns.contains(&last_name(word)))
    };
    if !parts.iter().any(|it| reads(it.get(1..).unwrap_or_default())) {
        Again::Same
    } else if reads(condition) {
        Again::Unknown
    } else {
        Again::More
    }
}

fn last_name(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

/// Returns the names that `WITH … AS (…)` gives, and where the statement itself begins.
fn common_tables<'t>(tokens: &'t [Token<'_>]) -> (Vec<&'t str>, usize) {
    if !tokens.first().is_some_and(|it| it.is("with")) {
        return (Vec::new(), 0);
    }
    let names = tokens.windows(2).filter(|it| it[1].is("as")).filter_map(|it| it[0].word());
    let mut depth = 0;
    let start = tokens.iter().position(|it| {
        depth += it.depth_change();
        depth == 0
            && ["select", "insert", "update", "delete", "replace"].iter().any(|verb| it.is(verb))
    });
    (names.collect(), start.unwrap_or(0))
}

/// Returns what stands after `FROM`, `JOIN` and the commas of a list of tables.
fn read_tables(tokens: &[Token<'_>]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut in_list = false;
    for (at, token) in tokens.iter().enumerate() {
        let follows = token.is("from") || token.is("join");
        let goes_on = in_list && token.symbol() == Some(',');
        if token.word().is_some_and(|it| LIST_ENDS.contains(&it)) || token.depth_change() != 0 {
            in_list = false;
        }
        if !follows && !goes_on {
            continue;
        }
        in_list = true;
        let Some(name) = tokens.get(at + 1).and_then(Token::word) else { continue };
        // `json_each(…)` is a function, and `DELETE FROM` writes.
        let is_call = tokens.get(at + 2).and_then(Token::symbol) == Some('(');
        if !is_call && name != "select" && !found.iter().any(|it| it == name) {
            found.push(name.to_owned());
        }
    }
    found
}

const LIST_ENDS: [&str; 9] =
    ["where", "on", "group", "order", "having", "limit", "set", "union", "using"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'t> {
    /// A keyword or a name, in lower case, dots included.
    Word(String),
    Symbol(char),
    /// A text or a number; its value does not matter.
    Value(&'t str),
}

impl Token<'_> {
    fn word(&self) -> Option<&str> {
        match self {
            Token::Word(word) => Some(word),
            Token::Symbol(_) | Token::Value(_) => None,
        }
    }

    fn symbol(&self) -> Option<char> {
        match self {
            Token::Symbol(symbol) => Some(*symbol),
            Token::Word(_) | Token::Value(_) => None,
        }
    }

    fn is(&self, word: &str) -> bool {
        self.word() == Some(word)
    }

    fn depth_change(&self) -> i32 {
        match self {
            Token::Symbol('(') => 1,
            Token::Symbol(')') => -1,
            Token::Word(_) | Token::Symbol(_) | Token::Value(_) => 0,
        }
    }
}

fn has(tokens: &[Token<'_>], words: &[&str]) -> bool {
    position(tokens, words).is_some()
}

fn position(tokens: &[Token<'_>], words: &[&str]) -> Option<usize> {
    let fits = |it: &[Token<'_>]| it.iter().zip(words).all(|(token, word)| token.is(word));
    tokens.windows(words.len()).position(fits)
}

fn name_after(tokens: &[Token<'_>], word: &str) -> Option<String> {
    let at = tokens.iter().position(|it| it.is(word))?;
    tokens.get(at + 1)?.word().map(str::to_owned)
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found: Vec<Token<'_>> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            it if it.is_whitespace() => it.len_utf8(),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |it| it + 2),
            '\'' => push_value(&mut found, rest, closed(rest, '\'')),
            quote @ ('"' | '`' | '[') => {
                let end = closed(rest, if quote == '[' { ']' } else { quote });
                let name = rest[1..end].trim_end_matches(['"', '`', ']']);
                push_name(&mut found, name);
                end
            }
            // Marks of parameters: `:name`, `@name`, `$1`, `?`.
            ':' | '@' | '$' | '?' => {
                push_value(&mut found, rest, first.len_utf8() + word_len(&rest[1..]))
            }
            it if it.is_ascii_digit() => push_value(&mut found, rest, word_len(rest)),
            it if it.is_alphanumeric() || it == '_' => {
                let end = word_len(rest);
                push_name(&mut found, &rest[..end]);
                end
            }
            it => {
                found.push(Token::Symbol(it));
                it.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    // One statement at most ends with a semicolon.
    while found.last() == Some(&Token::Symbol(';')) {
        found.pop();
    }
    found
}

fn push_value<'t>(found: &mut Vec<Token<'t>>, rest: &'t str, length: usize) -> usize {
    found.push(Token::Value(&rest[..length]));
    length
}

/// Adds a name, or the next part of one: `shop . "stock"`.
fn push_name(found: &mut Vec<Token<'_>>, name: &str) {
    let name = name.to_lowercase();
    if let [.., Token::Word(first), Token::Symbol('.')] = found.as_mut_slice() {
        first.push('.');
        first.push_str(&name);
        found.pop();
        return;
    }
    found.push(Token::Word(name));
}

/// Returns the bytes of a quoted text; a doubled quote does not end it.
fn closed(text: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(end) = text[at..].find(quote) {
        at += end + quote.len_utf8();
        if !text[at..].starts_with(quote) {
            return at;
        }
        at += quote.len_utf8();
    }
    text.len()
}

fn word_len(text: &str) -> usize {
    text.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, reads: &[&str], writes: &[&str], again: Again) {
        let found = statement(text).unwrap_or_else(|| panic!("not understood: {text}"));
        assert_eq!((&found.reads[..], &found.writes[..]), (&owned(reads)[..], &owned(writes)[..]));
        assert_eq!(found.again, again, "{text}");
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn statements_are_understood() {
        use Again::{More, Same, Unknown};
        check("SELECT a FROM t WHERE b = :b", &["t"], &[], Same);
        check("select * from a, b x join \"C\" on a.id = c.id", &["a", "b", "c"], &[], Same);
        check("SELECT 1", &[], &[], Same);
        check("SELECT (SELECT max(n) FROM b) FROM a", &["b", "a"], &[], Same);
        check("WITH x AS (SELECT 1 FROM y) SELECT * FROM x", &["y"], &[], Same);
        check("INSERT INTO t (a) VALUES (:a)", &[], &["t"], More);
        check("INSERT INTO t SELECT * FROM s", &["s"], &["t"], More);
        check("INSERT OR REPLACE INTO t VALUES (1)", &[], &["t"], Same);
        check("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", &[], &["t"], Same);
        check(
            "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = excluded.a",
            &[],
            &["t"],
            Same,
        );
        check(
            "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET n = t.n + 1",
            &[],
            &["t"],
            More,
        );
        check("INSERT INTO t SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM u)", &["u"], &["t"], Unknown);
        check("INSERT INTO t SELECT v FROM json_each(:rows) WHERE true", &[], &["t"], More);
        check("UPDATE stock SET q = q - :n WHERE sku = :sku", &[], &["stock"], More);
        check("UPDATE stock SET q = :q, at = now() WHERE sku = 'q'", &[], &["stock"], Same);
        check("UPDATE t SET n = n + 1, v = v + 1 WHERE v = :v", &[], &["t"], Unknown);
        check(
            "UPDATE shop.stock SET q = (SELECT sum(n) FROM moves)",
            &["moves"],
            &["shop.stock"],
            Same,
        );
        check("DELETE FROM t WHERE a = 'from x';", &[], &["t"], Same);
        check("CREATE TABLE IF NOT EXISTS t (id TEXT)", &[], &[], Same);
        check("SELECT 'UPDATE t SET' -- FROM x\n, 1 /* JOIN y */ FROM z", &["z"], &[], Same);
    }

    #[test]
    fn others_are_not() {
        for text in
            ["", "PRAGMA x", "SELECT a INTO b FROM c", "CALL f()", "CREATE TABLE t (a)", "é", "'"]
        {
            assert_eq!(statement(text), None, "{text}");
        }
    }
}
