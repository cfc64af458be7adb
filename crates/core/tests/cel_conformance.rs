//! The conformance cases of CEL, held to the letter: values by type and value, errors as errors.
//!
//! `data/cel/deviations.txt` lists the cases that differ on purpose, with the reason. A case that
//! fails and is not listed fails the test, and so does one that is listed and passes.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "test code reports and panics")]
#![expect(clippy::disallowed_methods, reason = "the cases are files")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value as Json;
use surefoot_core::expr::value::{Key, List, Map, Text, TypeName, Value};
use surefoot_core::expr::{Budget, Expr, Lookup, Meter, Scope};

/// At least this share of the cases passes, in thousandths.
const PASS_RATE_MIN: usize = 980;

struct Bindings(BTreeMap<String, Json>);

impl Scope for Bindings {
    fn lookup(&self, name: &str) -> Option<Lookup<'_>> {
        self.0.get(name).map(|it| Lookup::Typed(typed(it)))
    }
}

/// Reads a value as the cases write it: `{"int": "5"}`.
fn typed(json: &Json) -> Value<'_> {
    let (kind, value) = json.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "null" => Value::Null,
        "bool" => Value::Bool(value.as_bool().unwrap()),
        "int" => Value::Int(value.as_str().unwrap().parse().unwrap()),
        "uint" => Value::Uint(value.as_str().unwrap().parse().unwrap()),
        "double" => Value::Double(value.as_f64().unwrap()),
        "string" => Value::String(Text::Borrowed(value.as_str().unwrap())),
        "bytes" => Value::Bytes(Arc::from(BASE64.decode(value.as_str().unwrap()).unwrap())),
        "list" => Value::List(List::Shared(value.as_array().unwrap().iter().map(typed).collect())),
        "map" => {
            let entries = value.as_array().unwrap().iter();
            let entries = entries.map(|it| (Key::of(&typed(&it[0])).unwrap(), typed(&it[1])));
            Value::Map(Map::Shared(entries.collect::<BTreeMap<_, _>>().into()))
        }
        "type" => Value::Type(type_name(value.as_str().unwrap())),
        other => panic!("the test does not know values of kind {other}"),
    }
}

fn type_name(name: &str) -> TypeName {
    let names = [TypeName::Null, TypeName::Bool, TypeName::Int, TypeName::Uint, TypeName::Bytes]
        .into_iter()
        .chain([TypeName::Double, TypeName::String, TypeName::List, TypeName::Map])
        .chain([TypeName::Timestamp, TypeName::Duration, TypeName::Type]);
    names.into_iter().find(|it| it.as_str() == name).unwrap()
}

/// Compares as the cases mean it: types count, and not a number is what it is. The text of a value
/// shows both.
fn same(left: &Value<'_>, right: &Value<'_>) -> bool {
    format!("{left:?}") == format!("{right:?}")
}

fn run(case: &Json) -> Result<(), String> {
    let source = case["expr"].as_str().unwrap();
    let bindings = case["bindings"].as_object().cloned().unwrap_or_default();
    let bindings = Bindings(bindings.into_iter().collect());
    let expected = &case["expect"];
    let meter = Meter::new(&Budget::default());
    let parsed = Expr::parse(source).map_err(|error| error.to_string());
    let actual = parsed
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|expr| expr.evaluate(&bindings, &meter).map_err(|error| error.to_string()));
    match (expected.get("value"), actual) {
        (Some(expected), Ok(actual)) if same(&typed(expected), &actual) => Ok(()),
        (Some(expected), Ok(actual)) => Err(format!("expected {expected}, got {actual:?}")),
        (Some(expected), Err(error)) => Err(format!("expected {expected}, got error: {error}")),
        (None, Err(_)) => Ok(()),
        (None, Ok(actual)) => Err(format!("expected an error, got {actual:?}")),
    }
}

#[test]
fn conformance_cases_pass_or_are_listed_deviations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cel");
    let deviations = std::fs::read_to_string(folder.join("deviations.txt")).unwrap();
    let is_id = |it: &&str| !it.is_empty() && !it.starts_with('#');
    let mut deviations: Vec<&str> = deviations.lines().filter(is_id).collect();
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.retain(|it| it.extension().is_some_and(|it| it == "json"));
    files.sort();

    let (mut passed, mut total, mut surprises) = (0, 0, Vec::new());
    for file in files {
        let suite: Json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for case in suite["cases"].as_array().unwrap() {
            let id = case["id"].as_str().unwrap();
            let listed = deviations.iter().position(|it| *it == id).map(|it| deviations.remove(it));
            total += 1;
            match (run(case), listed) {
                (Ok(()), None) => passed += 1,
                (Ok(()), Some(_)) => surprises.push(format!("{id}: is listed but passes")),
                (Err(_), Some(_)) => {}
                (Err(error), None) => surprises.push(format!("{id}: {}: {error}", case["expr"])),
            }
        }
    }
    surprises.extend(deviations.iter().map(|it| format!("{it}: is listed but does not exist")));
    eprintln!("{passed} of {total} conformance cases pass");
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    assert!(passed * 1000 >= total * PASS_RATE_MIN, "too few cases pass: {passed} of {total}");
}
