//! Reads the evaluated `with` of a task. A wrong parameter is named by its path, with what was
//! found and what is expected; its value is never shown, for it may be a secret.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use surefoot_core::kind_schema;
use surefoot_core::task_error::TaskError;
use surefoot_core::time::Duration;

/// Reads `with` as the parameters of `kind`.
pub(super) fn parse<T: DeserializeOwned>(kind: &str, with: Value) -> Result<T, TaskError> {
    if let Some(problem) = kind_schema::with_schema(kind).and_then(|it| mismatch(it, &with, "")) {
        return Err(bad(format!("{kind}: {problem}")));
    }
    // The schema has found wrong types and keys; what is left are forms that it does not describe.
    T::deserialize(with).map_err(|_| bad(format!("{kind}: `with` does not have the expected form")))
}

/// An error in the definition, which no further attempt can cure.
pub(super) fn bad(message: impl Into<String>) -> TaskError {
    TaskError::fatal("bad_parameters", message)
}

/// Reads a duration that is optional.
pub(super) fn duration(key: &str, text: Option<&str>) -> Result<Option<Duration>, TaskError> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|error| bad(format!("`{key}`: {error}")))
}

/// Deserialises a value that may be null: `json: null` is a body, unlike no `json` at all.
pub(super) fn present<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// Writes a scalar the way that a header, a query or an environment variable carries it.
pub(super) fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns the first place where `value` does not fit `schema`. Knows the keywords that the schemas
/// of the built-in kinds use for single values; alternatives are checked by the kinds themselves.
fn mismatch(schema: &Value, value: &Value, path: &str) -> Option<String> {
    if let Some(expected) = schema.get("enum").and_then(Value::as_array)
        && !expected.contains(value)
    {
        let names: Vec<String> = expected.iter().map(scalar_text).collect();
        return Some(format!("{} is not one of {}", shown(path), names.join(", ")));
    }
    let types = schema.get("type").map(names).unwrap_or_default();
    if !types.is_empty() && !types.iter().any(|it| is_a(value, it)) {
        let expected = types.join(" or ");
        return Some(format!("{} is {}; expected {expected}", shown(path), type_name(value)));
    }
    match value {
        Value::Object(fields) => object_mismatch(schema, fields, path),
        Value::Array(items) => array_mismatch(schema, items, path),
        Value::String(text) => {
            let too_short =
                schema.get("minLength").and_then(Value::as_u64) > Some(text.len() as u64);
            too_short.then(|| format!("{} is empty or too short", shown(path)))
        }
        Value::Number(number) => number_mismatch(schema, number.as_f64()?, path),
        Value::Null | Value::Bool(_) => None,
    }
}

fn object_mismatch(schema: &Value, fields: &Map<String, Value>, path: &str) -> Option<String> {
    let known = schema.get("properties").and_then(Value::as_object);
    for name in schema.get("required").map(names).unwrap_or_default() {
        if !fields.contains_key(name) {
            return Some(format!("{} needs the key `{name}`", shown(path)));
        }
    }
    for (name, value) in fields {
        let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let problem = match (known.and_then(|it| it.get(name)), schema.get("additionalProperties"))
        {
            (Some(field), _) => mismatch(field, value, &inner),
            (None, Some(Value::Bool(false))) => {
                let names: Vec<&str> = known.into_iter().flatten().map(|(it, _)| &**it).collect();
                Some(format!("`{inner}` is not a known key; known are {}", names.join(", ")))
            }
            (None, Some(other)) => mismatch(other, value, &inner),
            (None, None) => None,
        };
        if problem.is_some() {
            return problem;
        }
    }
    None
}

fn array_mismatch(schema: &Value, items: &[Value], path: &str) -> Option<String> {
    if schema.get("minItems").and_then(Value::as_u64) > Some(items.len() as u64) {
        return Some(format!("{} is empty", shown(path)));
    }
    let each = schema.get("items")?;
    let mut indexed = items.iter().enumerate();
    indexed.find_map(|(at, item)| mismatch(each, item, &format!("{path}[{at}]")))
}

fn number_mismatch(schema: &Value, number: f64, path: &str) -> Option<String> {
    let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
    if let Some(least) = limit("minimum").filter(|it| number < *it) {
        return Some(format!("{} is {number}; the least is {least}", shown(path)));
    }
    let most = limit("maximum").filter(|it| number > *it)?;
    Some(format!("{} is {number}; the most is {most}", shown(path)))
}

fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    }
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        _ => false,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn shown(path: &str) -> String {
    if path.is_empty() { "`with`".to_owned() } else { format!("`{path}`") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(kind: &str, with: Value, expected: &str) {
        let error = parse::<Value>(kind, with).expect_err(expected);
        assert_eq!((error.kind.as_str(), error.retryable), ("bad_parameters", false));
        assert_eq!(error.message, expected);
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        check("http", json!({}), "http: `with` needs the key `url`");
        check("http", json!({"url": 7}), "http: `url` is a number; expected string");
        check("http", json!("x"), "http: `with` is a string; expected object");
        check(
            "http",
            json!({"url": "x", "tls": {"secure": true}}),
            "http: `tls.secure` is not a known key; known are ca_file, insecure",
        );
        check(
            "http",
            json!({"url": "x", "headers": {"a": ["hunter2"]}}),
            "http: `headers.a` is a list; expected string or number or boolean",
        );
        check(
            "http",
            json!({"url": "x", "method": "FOO BAR"}),
            "http: `method` is not one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        );
        check("shell", json!({"argv": []}), "shell: `argv` is empty");
        check("shell", json!({"argv": ["a", 1]}), "shell: `argv[1]` is a number; expected string");
        check(
            "sql",
            json!({"database": "d", "query": "q", "max_rows": -1}),
            "sql: `max_rows` is -1; the least is 0",
        );
    }

    #[test]
    fn a_null_body_is_a_body() {
        #[derive(Deserialize)]
        struct Fields {
            #[serde(default, deserialize_with = "present")]
            json: Option<Value>,
        }
        let read = |value| Fields::deserialize(value).expect("an object").json;
        assert_eq!(read(json!({"json": null})), Some(Value::Null));
        assert_eq!(read(json!({})), None);
    }
}
