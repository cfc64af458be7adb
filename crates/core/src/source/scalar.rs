//! What a scalar without quotes is, by the core schema of YAML 1.2 (§10.3.2) made stricter where
//! the schema would lose what the author wrote: a number with leading zeros stays a string, and a
//! number that cannot be kept exactly is an error.

use serde_json::Number;

use super::{Content, Problem, Span};

/// Integers beyond this are not exact in JavaScript, in many databases and in most JSON tools.
pub(super) const EXACT_INTEGER_MAX: u64 = 1 << 53;

/// Returns what `text` stands for. `on`, `yes`, `NO`, `12:30:00`, `010` and `1_000` are strings.
pub(super) fn resolve(text: &str, span: Span) -> Result<Content, Problem> {
    let first = text.bytes().next().unwrap_or(b'~');
    match first {
        b'~' | b'n' | b'N' => match text {
            "" | "~" | "null" | "Null" | "NULL" => return Ok(Content::Null),
            _ => {}
        },
        b't' | b'T' if matches!(text, "true" | "True" | "TRUE") => return Ok(Content::Bool(true)),
        b'f' | b'F' if matches!(text, "false" | "False" | "FALSE") => {
            return Ok(Content::Bool(false));
        }
        b'0'..=b'9' | b'-' | b'+' | b'.' => return resolve_number(text, span),
        _ => {}
    }
    Ok(Content::String(text.to_owned()))
}

fn resolve_number(text: &str, span: Span) -> Result<Content, Problem> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(no_number(span, format!("`{text}` is not a number that JSON knows")));
    }
    if let Some(value) = based_integer(text) {
        return value.map_or_else(|| Err(beyond_exact(text, span)), |it| integer(it, text, span));
    }
    if !is_decimal(unsigned) {
        return Ok(Content::String(text.to_owned()));
    }
    number(text.strip_prefix('+').unwrap_or(text), EXACT_INTEGER_MAX, span).map(Content::Number)
}

/// Reads a number that is known to be well-formed, of YAML or of JSON.
/// An integer whose magnitude is beyond `exact_max` is refused.
pub(super) fn number(text: &str, exact_max: u64, span: Span) -> Result<Number, Problem> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if unsigned.bytes().all(|it| it.is_ascii_digit()) {
        let value: i64 = text.parse().map_err(|_| beyond_exact(text, span))?;
        if value.unsigned_abs() > exact_max {
            return Err(beyond_exact(text, span));
        }
        return Ok(Number::from(value));
    }
    let value: f64 = text.parse().unwrap_or(f64::INFINITY);
    // Adding zero makes a positive zero of a negative one, which no store keeps apart.
    Number::from_f64(value + 0.0)
        .ok_or_else(|| no_number(span, format!("`{}` is too large for a number", shorten(text))))
}

/// Reads `0o17` and `0xFF`: `None` if the text is neither, `Some(None)` if the value is too large.
fn based_integer(text: &str) -> Option<Option<u64>> {
    let (digits, base) = match text.get(..2)? {
        "0o" => (&text[2..], 8),
        "0x" => (&text[2..], 16),
        _ => return None,
    };
    let is_digit = |it: char| it.is_digit(base);
    (!digits.is_empty() && digits.chars().all(is_digit))
        .then(|| u64::from_str_radix(digits, base).ok())
}

fn integer(value: u64, text: &str, span: Span) -> Result<Content, Problem> {
    if value > EXACT_INTEGER_MAX {
        return Err(beyond_exact(text, span));
    }
    Ok(Content::Number(Number::from(value)))
}

/// Digits with an optional fraction and exponent. `010` is none: it may be a postcode, or a file
/// mode that other readers take for octal.
fn is_decimal(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|it| it.is_ascii_digit()).count();
    let whole = digits(0);
    if whole > 1 && bytes[0] == b'0' {
        return false;
    }
    let mut at = whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if whole + fraction == 0 {
            return false;
        }
        at += 1 + fraction;
    } else if whole == 0 {
        return false;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'-' | b'+')));
        let exponent = digits(at);
        if exponent == 0 {
            return false;
        }
        at += exponent;
    }
    at == bytes.len()
}

/// Refuses names that look like other names, or that a terminal or a store would mangle.
pub(super) fn bad_key_character(name: &str, span: Span) -> Option<Problem> {
    let bad = name.chars().find(|it| is_forbidden_in_names(*it))?;
    let message = format!("character U+{:04X} is not allowed in a name", bad as u32);
    Some(Problem::error("SF1011", span, message).help("remove the invisible character"))
}

/// Control characters, marks that change the direction of text, zero-width characters.
pub(super) fn is_forbidden_in_names(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// NUL cannot be stored as text by PostgreSQL, nor passed to a process.
pub(super) fn nul(span: Span) -> Problem {
    Problem::error("SF1011", span, "the character NUL (U+0000) is not allowed in text")
        .help("encode binary data as Base64")
}

fn beyond_exact(text: &str, span: Span) -> Problem {
    let message = format!("the integer {} cannot be kept exactly", shorten(text));
    Problem::error("SF1010", span, message)
        .label("many JSON readers would round it")
        .help("put it in quotes and pass it on as text")
}

fn no_number(span: Span, message: String) -> Problem {
    Problem::error("SF1010", span, message).help("put it in quotes if it is meant as text")
}

fn shorten(text: &str) -> String {
    const SHOWN_MAX: usize = 24;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn check(text: &str, expected: serde_json::Value) {
        let node = super::super::Node {
            content: resolve(text, Span::default()).unwrap(),
            span: Span::default(),
            text_start: None,
        };
        assert_eq!(node.to_value(), expected, "{text}");
    }

    #[test]
    fn only_null_booleans_and_plain_numbers_are_not_strings() {
        for text in [
            "on",
            "yes",
            "no",
            "NO",
            "off",
            "12:30:00",
            "010",
            "1_000",
            "0o9",
            "0x",
            "-",
            "+",
            ".",
            "1.2.3",
            "1e",
            "-.e1",
            "2027-01-01",
            "nullable",
            "truely",
            "--1",
            "0777",
            "1.10.0",
        ] {
            check(text, text.into());
        }
        check("~", ().into());
        check("", ().into());
        check("NULL", ().into());
        check("True", true.into());
        check("false", false.into());
        check("0", 0.into());
        check("+12", 12.into());
        check("-7", (-7).into());
        check("0o17", 15.into());
        check("0xff", 255.into());
        check("1.10", 1.1.into());
        check(".5", 0.5.into());
        check("5.", 5.0.into());
        check("1e3", 1000.0.into());
        check("9007199254740992", 9_007_199_254_740_992_i64.into());
    }

    #[test]
    fn numbers_that_would_change_are_refused() {
        for text in [
            ".inf",
            "-.INF",
            ".nan",
            "1e400",
            "9007199254740993",
            "0xffffffffffffffffff",
            "123456789012345678901234567890",
        ] {
            assert_eq!(resolve(text, Span::default()).unwrap_err().code, "SF1010", "{text}");
        }
    }
}
