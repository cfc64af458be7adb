//! Values that are typed: JSON, files, standard input, `name=value`.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value};

use crate::arguments::Request;
use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// Bytes that are read of a file or of standard input: more than any limit on payloads allows.
const INPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Reads the input of a run: the whole, and then single fields over it.
pub fn of_request(request: &Request) -> Result<Value> {
    let mut input = match &request.input {
        Some(text) => file_or_json(text)?,
        None => Value::Object(Map::new()),
    };
    for field in &request.fields {
        let (name, value) = pair(field, "-i")?;
        set(&mut input, name, parse_or_text(value))
            .map_err(|reason| usage(format!("-i {field}: {reason}")))?;
    }
    Ok(input)
}

/// Reads `name=value`.
pub fn pair<'a>(text: &'a str, flag: &str) -> Result<(&'a str, &'a str)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value)),
        _ => Err(usage(format!("{flag} {text}: expected name=value"))),
    }
}

/// Reads JSON, `@file`, or `-` for standard input.
pub fn json(text: &str) -> Result<Value> {
    match text {
        "-" => parse(&standard_input()?, "standard input"),
        _ => match text.strip_prefix('@') {
            Some(path) => parse(&read(Path::new(path))?, path),
            None => parse(text.as_bytes(), "the argument"),
        },
    }
}

/// As [`json`], and a plain text that is not JSON names a file.
fn file_or_json(text: &str) -> Result<Value> {
    let is_json = text.trim_start().starts_with(['{', '[', '"']);
    if text == "-" || text.starts_with('@') || is_json {
        return json(text);
    }
    parse(&read(Path::new(text))?, text)
}

pub fn parse_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// Sets a field; dots lead into objects, which are made where there are none.
fn set(target: &mut Value, path: &str, value: Value) -> std::result::Result<(), String> {
    let mut at = target;
    for name in path.split('.') {
        if name.is_empty() {
            return Err("a name between dots is missing".to_owned());
        }
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(entries) = at else {
            return Err(format!("`{name}` cannot be set in something that is not an object"));
        };
        at = entries.entry(name).or_insert(Value::Null);
    }
    *at = value;
    Ok(())
}

fn parse(bytes: &[u8], place: &str) -> Result<Value> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(usage(format!("{place} is empty, JSON was expected")));
    }
    serde_json::from_slice(bytes).map_err(|error| usage(format!("{place} is not JSON: {error}")))
}

fn standard_input() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut limited = std::io::stdin().lock().take(INPUT_BYTES_MAX);
    limited
        .read_to_end(&mut bytes)
        .map_err(|error| usage(format!("standard input cannot be read: {error}")))?;
    Ok(bytes)
}

/// Reads a file that a person named.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let told = |error: std::io::Error| {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Usage,
        };
        Failure::new(exit, "SF5003", format!("`{shown}` cannot be read: {}", reason(&error)))
            .hint("Check the path; `surefoot check` finds *.surefoot.yaml by itself.")
    };
    let file = std::fs::File::open(path).map_err(told)?;
    let metadata = file.metadata().map_err(told)?;
    if metadata.is_dir() {
        return Err(Failure::new(Exit::Usage, "SF5003", format!("`{shown}` is a directory"))
            .hint("Name a file in it."));
    }
    if metadata.len() > INPUT_BYTES_MAX {
        let message =
            format!("`{shown}` has {} bytes; at most {INPUT_BYTES_MAX} are read", metadata.len());
        return Err(Failure::new(Exit::Usage, "SF5003", message)
            .hint("Split it, or pass large data by reference."));
    }
    let mut bytes = Vec::new();
    // A device or a pipe has no length.
    file.take(INPUT_BYTES_MAX).read_to_end(&mut bytes).map_err(told)?;
    Ok(bytes)
}

/// The system's words without its number.
pub fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not".to_owned(),
        _ => error.to_string(),
    }
}

fn usage(message: String) -> Failure {
    Failure::new(Exit::Usage, "SF5004", message).hint(
        "Example: -i order_id=o-1 -i 'items=[1, 2]' -i customer.name=Ada, or --input input.json",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_json_or_text_and_nest() {
        let mut input = json!({"a": 1});
        set(&mut input, "b.c", parse_or_text("[1,2]")).unwrap();
        set(&mut input, "b.d", parse_or_text("plain text")).unwrap();
        assert_eq!(input, json!({"a": 1, "b": {"c": [1, 2], "d": "plain text"}}));
        assert!(set(&mut input, "a.x", json!(1)).is_err());
        assert!(set(&mut input, "a..x", json!(1)).is_err());
    }
}
