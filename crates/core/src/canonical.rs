//! JSON that every store, hash and reader takes for the same. Payloads are checked here before
//! anything is done with them, because databases disagree on NUL, lone surrogates, duplicate keys
//! and large numbers.
//!
//! The canonical form is that of RFC 8785 (no white space, sorted keys, shortest numbers, minimal
//! escapes) with two differences that keep types: a number written with a fraction or exponent
//! stays a double (`1.0`, not `1`), and integers are exact in the whole range of 64 signed bits.
//! Keys are sorted by code point, where the RFC sorts by UTF-16 unit.

use serde_json::Value;

use crate::ids::Digest;
use crate::source::json::{self, Rules};
use crate::source::{Content, Node, Problem};

/// Integers that fit 64 signed bits are kept as they are.
const PAYLOAD_RULES: Rules = Rules { exact_integer_max: 1 << 63 };

/// A JSON text that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JsonProblem {
    /// Such as `SF1005`.
    pub code: &'static str,
    /// JSON pointer (RFC 6901) of the value that is wrong; empty for the whole text.
    pub pointer: String,
    /// Byte of the text, counted from 0.
    pub offset: usize,
    pub message: String,
    pub hint: Option<String>,
}

/// Reads one JSON text of at most `bytes_max` bytes, and refuses what stores would change: NUL,
/// lone surrogates, duplicate keys, numbers out of range, and nesting beyond 64 levels.
pub fn check_json(text: &[u8], bytes_max: usize) -> Result<Value, JsonProblem> {
    if text.len() > bytes_max {
        return Err(JsonProblem {
            code: "SF1002",
            pointer: String::new(),
            offset: bytes_max,
            message: format!("the JSON has {} bytes; the limit is {bytes_max}", text.len()),
            hint: Some("store large data outside, and pass on where it is".to_owned()),
        });
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let at = error.valid_up_to();
        let problem =
            Problem::error("SF1001", Default::default(), format!("byte {at} is not valid UTF-8"));
        from_problem(problem.help("send JSON as UTF-8"), String::new(), at)
    })?;
    let (node, mut faults) = json::read(text, &PAYLOAD_RULES);
    if !faults.is_empty() {
        let first = faults.swap_remove(0);
        let offset = first.problem.label.span.start as usize;
        return Err(from_problem(first.problem, first.pointer, offset));
    }
    let node = node.expect("a text without faults has a tree");
    Ok(into_value(node))
}

fn from_problem(problem: Problem, pointer: String, offset: usize) -> JsonProblem {
    JsonProblem {
        code: problem.code,
        pointer,
        offset,
        message: problem.message,
        hint: problem.help,
    }
}

fn into_value(node: Node) -> Value {
    match node.content {
        Content::Null => Value::Null,
        Content::Bool(it) => Value::Bool(it),
        Content::Number(it) => Value::Number(it),
        Content::String(it) => Value::String(it),
        Content::List(items) => items.into_iter().map(into_value).collect(),
        Content::Map(entries) => {
            entries.into_iter().map(|(key, it)| (key.name, into_value(it))).collect()
        }
    }
}

/// Writes the canonical form.
pub fn canonical(value: &Value) -> Vec<u8> {
    // Objects are sorted maps (serde_json without `preserve_order`), and its writer is minimal.
    serde_json::to_vec(value).expect("a JSON value can be written")
}

/// Returns the hash of a definition: the same for the same content, whatever the order of keys,
/// the comments and the layout, in YAML and in JSON.
pub fn definition_digest(document: &Node) -> Digest {
    Digest::of(&canonical(&document.to_value()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::source::{ReadOptions, read};

    const BYTES_MAX: usize = 1024;

    fn check(text: &str, expected: Result<&str, (&str, &str)>) {
        let found = check_json(text.as_bytes(), BYTES_MAX);
        let found = found.map(|it| String::from_utf8(canonical(&it)).unwrap());
        let expected = expected.map(str::to_owned);
        let found = found.as_ref().map_err(|it| (it.code, it.pointer.as_str()));
        assert_eq!(found, expected.as_ref().map_err(|it| *it), "{text}");
    }

    #[test]
    fn what_stores_disagree_on_is_refused_with_its_pointer() {
        check(r#"{"a": {"b/c": ["\u0000"]}}"#, Err(("SF1011", "/a/b~1c/0")));
        check(r#"["\ud800"]"#, Err(("SF1011", "/0")));
        check(r#"["\udc00\ud800"]"#, Err(("SF1011", "/0")));
        check(r#"{"a": 1, "b": {"x": 1, "x": 2}}"#, Err(("SF1006", "/b/x")));
        check("[1, 1e400]", Err(("SF1010", "/1")));
        check("18446744073709551616", Err(("SF1010", "")));
        check("9223372036854775808", Err(("SF1010", "")));
        check("NaN", Err(("SF1005", "")));
        check("Infinity", Err(("SF1005", "")));
        check("-", Err(("SF1005", "")));
        check("01", Err(("SF1005", "")));
        check("1 2", Err(("SF1005", "")));
        check("", Err(("SF1005", "")));
        check("[1,]", Err(("SF1005", "")));
        check(r#"{"a": tru}"#, Err(("SF1005", "/a")));
        check("\"a\nb\"", Err(("SF1005", "")));
        check(&"[".repeat(1000), Err(("SF1003", &"/0".repeat(64))));
        check(&" ".repeat(1025), Err(("SF1002", "")));
        assert_eq!(check_json(b"\"\xff\"", BYTES_MAX).unwrap_err().code, "SF1001");
    }

    #[test]
    fn the_canonical_form_sorts_keys_and_keeps_types() {
        check(
            r#" { "b" : 1.10 , "a" : [ -0 , -0.0, 1e2 ] } "#,
            Ok(r#"{"a":[0,0.0,100.0],"b":1.1}"#),
        );
        check("9223372036854775807", Ok("9223372036854775807"));
        check("-9223372036854775808", Ok("-9223372036854775808"));
        check(r#""\ud83d\ude00 \u00e9 \/ \u001f""#, Ok(r#""😀 é / \u001f""#));
        check(
            &format!("{}{}", "[".repeat(64), "]".repeat(64)),
            Ok(&format!("{}{}", "[".repeat(64), "]".repeat(64))),
        );
    }

    #[test]
    fn a_definition_has_one_hash_however_it_is_written() {
        let texts = [
            "id: a\ntasks:\n  one: {uses: http, timeout: 5s}\n",
            "# comment\ntasks: {one: {timeout: \"5s\", uses: 'http'}}\nid:    a\n",
            r#"{"tasks": {"one": {"timeout": "5s", "uses": "http"}}, "id": "a"}"#,
        ];
        let digests = texts.map(|text| {
            definition_digest(&read(text.as_bytes(), &ReadOptions::default()).documents[0])
        });
        assert!(digests.iter().all(|it| *it == digests[0]), "{digests:?}");
        let other = Node::from_value(&json!({"id": "b"}));
        assert_ne!(definition_digest(&other), digests[0]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check_json(&bytes, BYTES_MAX);
        }

        #[test]
        fn what_the_library_writes_is_read_as_the_same(
            text in ".{0,20}", number in any::<f64>(), whole in any::<i32>(), key in "[a-zé😀 \"\\\\/~]{0,5}",
        ) {
            let text = text.replace('\0', "");
            prop_assume!(number.is_finite());
            let value = json!({key: [text, number + 0.0, whole]});
            let written = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(check_json(&written, BYTES_MAX).unwrap(), value);
        }
    }
}
