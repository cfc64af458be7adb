//! Conditions of flows as expressions: comparisons, `and`, `or`, `not` over names and constants, as
//! most engines write them. Anything else is left to the author.

/// Returns the condition with each name as `prefix.name`, and the names. None if it is more than
/// comparisons.
pub fn expression(text: &str, prefix: &str) -> Option<(String, Vec<String>)> {
    let text = text.trim();
    let inner = ["${", "#{"].iter().find_map(|it| text.strip_prefix(it)?.strip_suffix('}'));
    // FEEL begins with an equals sign.
    let mut rest = inner.or_else(|| text.strip_prefix('=')).unwrap_or(text).trim();
    let (mut out, mut names, mut depth) = (Vec::new(), Vec::new(), 0i32);
    let mut wants_value = true;
    while !rest.is_empty() {
        let (token, length) = token(rest)?;
        rest = rest[length..].trim_start();
        // Values and operators take turns.
        let is_value = matches!(token, Token::Name(_) | Token::Constant(_));
        match &token {
            Token::Open | Token::Not if !wants_value => return None,
            Token::Close | Token::Operator(_) if wants_value => return None,
            _ if is_value && !wants_value => return None,
            _ => {}
        }
        depth += i32::from(token == Token::Open) - i32::from(token == Token::Close);
        if depth < 0 {
            return None;
        }
        wants_value = !(is_value || token == Token::Close);
        out.push(match token {
            Token::Name(name) => {
                names.push(name.split('.').next().unwrap_or(name).to_owned());
                format!("{prefix}.{name}")
            }
            Token::Constant(constant) => constant,
            Token::Operator(operator) => operator.to_owned(),
            Token::Open => "(".to_owned(),
            Token::Close => ")".to_owned(),
            Token::Not => "!".to_owned(),
        });
    }
    (depth == 0 && !wants_value).then(|| (out.join(" ").replace("! ", "!"), names))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'t> {
    Name(&'t str),
    Constant(String),
    Operator(&'static str),
    Open,
    Close,
    Not,
}

const OPERATORS: &[(&str, &str)] = &[
    ("==", "=="),
    ("!=", "!="),
    ("<=", "<="),
    (">=", ">="),
    ("&&", "&&"),
    ("||", "||"),
    ("<", "<"),
    (">", ">"),
    ("=", "=="),
];

fn token(text: &str) -> Option<(Token<'_>, usize)> {
    let first = text.chars().next()?;
    if let Some((written, meant)) = OPERATORS.iter().find(|it| text.starts_with(it.0)) {
        return Some((Token::Operator(meant), written.len()));
    }
    match first {
        '(' => return Some((Token::Open, 1)),
        ')' => return Some((Token::Close, 1)),
        '!' => return Some((Token::Not, 1)),
        '\'' | '"' => {
            let end = text[1..].find(first)? + 1;
            let inside = &text[1..end];
            // Escapes differ between languages.
            let is_plain = !inside.contains(['\\', '\'', '"', '$', '\n']);
            return is_plain.then(|| (Token::Constant(format!("'{inside}'")), end + 1));
        }
        _ => {}
    }
    let is_word = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '.';
    let length = text.find(|it| !is_word(it)).unwrap_or(text.len());
    let word = &text[..length];
    if first.is_ascii_digit() {
        return word.parse::<f64>().is_ok().then(|| (Token::Constant(word.to_owned()), length));
    }
    let is_name = first.is_ascii_alphabetic() && !word.ends_with('.') && !word.contains("..");
    let token = match word {
        "and" => Token::Operator("&&"),
        "or" => Token::Operator("||"),
        "not" => Token::Not,
        "true" | "false" | "null" => Token::Constant(word.to_owned()),
        _ if is_name => Token::Name(word),
        _ => return None,
    };
    // A call is more than a comparison.
    (!text[length..].trim_start().starts_with('(')
        || token == Token::Not
        || matches!(token, Token::Operator(_)))
    .then_some((token, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_become_expressions() {
        for (text, expected) in [
            ("${amount > 100}", Some("input.amount > 100")),
            (
                "= total >= 10 and country = \"DE\"",
                Some("input.total >= 10 && input.country == 'DE'"),
            ),
            ("#{!approved}", Some("!input.approved")),
            ("not(order.paid) or x == 1", Some("!( input.order.paid ) || input.x == 1")),
            ("approved", Some("input.approved")),
            ("${execution.getVariable('x') > 1}", None),
            ("amount >", None),
            ("a b", None),
            ("(a", None),
            ("", None),
            ("a + 1 > 2", None),
            ("x == 'it\\'s'", None),
        ] {
            let found = expression(text, "input").map(|it| it.0);
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
