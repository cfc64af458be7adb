//! Writes JSON values as YAML 1.2.

use serde_json::Value;

pub fn print(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(_) | Value::Array(_) if !is_empty(value) => block(value, 0, &mut out),
        scalar => {
            out.push_str(&inline(scalar));
            out.push('\n');
        }
    }
    out
}

fn block(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(entries) => {
            for (key, entry) in entries {
                out.push_str(&format!("{indent}{}:", text(key)));
                nested(entry, depth + 1, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                out.push_str(&format!("{indent}-"));
                match item {
                    Value::Object(_) | Value::Array(_) if !is_empty(item) => {
                        // The first line of the item stands behind the dash.
                        let mut inner = String::new();
                        block(item, depth + 1, &mut inner);
                        out.push(' ');
                        out.push_str(inner.trim_start());
                    }
                    scalar => out.push_str(&format!(" {}\n", inline(scalar))),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn nested(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(_) | Value::Array(_) if !is_empty(value) => {
            out.push('\n');
            block(value, depth, out);
        }
        scalar => out.push_str(&format!(" {}\n", inline(scalar))),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(entries) => entries.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(it) => text(it),
        other => other.to_string(),
    }
}

/// Plain where no reader could take it for something else, else as JSON, which YAML reads too.
fn text(text: &str) -> String {
    let starts = text.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
    let is_safe =
        |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.' | '/' | '@');
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_word = words.iter().any(|it| it.eq_ignore_ascii_case(text));
    if starts && text.chars().all(is_safe) && !is_word {
        return text.to_owned();
    }
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_reads_back_in_yaml() {
        let value = json!({"a": [1, {"b": "yes", "c": []}, [true]], "d e": null, "f": "x: #y"});
        let expected = "\
a:
  - 1
  - b: \"yes\"
    c: []
  - - true
\"d e\": null
f: \"x: #y\"
";
        assert_eq!(print(&value), expected);
    }
}
