//! Whether every input that an old schema accepts is accepted by a new one, as far as that can be
//! told keyword by keyword.

use serde_json::{Map, Value};

/// Schemas may be nested; deeper than this, any difference counts as narrower.
const DEPTH_MAX: usize = 16;
/// Keywords that say nothing about values.
const SILENT: [&str; 7] =
    ["title", "description", "$comment", "examples", "default", "$schema", "$defs"];

/// Returns in what respects the new schema may refuse what the old one accepts.
pub(super) fn narrowed(old: Option<&Value>, new: Option<&Value>) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(new) = new {
        schema("input", old.unwrap_or(&Value::Bool(true)), new, 0, &mut reasons);
    }
    reasons
}

fn schema(at: &str, old: &Value, new: &Value, depth: usize, reasons: &mut Vec<String>) {
    if old == new || *new == Value::Bool(true) {
        return;
    }
    let nothing = Map::new();
    let old = match old {
        Value::Object(old) => old,
        Value::Bool(true) => &nothing,
        _ => return,
    };
    let Some(new) = new.as_object().filter(|_| depth < DEPTH_MAX) else {
        return reasons.push(format!("other values of `{at}` are valid now"));
    };
    for (keyword, value) in new.iter().filter(|it| !SILENT.contains(&it.0.as_str())) {
        match keyword.as_str() {
            _ if old.get(keyword) == Some(value) => {}
            "required" => required(at, old.get(keyword), value, reasons),
            "type" => types(at, old.get(keyword), value, reasons),
            "properties" => properties(at, old, value, depth, reasons),
            "items" => {
                let before = old.get("items").unwrap_or(&Value::Bool(true));
                schema(&format!("{at}[]"), before, value, depth + 1, reasons);
            }
            "enum" => {
                let is_kept = |it: &Value| value.as_array().is_some_and(|new| new.contains(it));
                let before = old.get(keyword).and_then(Value::as_array);
                if !before.is_some_and(|it| it.iter().all(is_kept)) {
                    reasons.push(format!("some values of `{at}` are no longer valid"));
                }
            }
            "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
                bound(at, keyword, old.get(keyword), value, |old, new| new <= old, reasons);
            }
            "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
                bound(at, keyword, old.get(keyword), value, |old, new| new >= old, reasons);
            }
            "additionalProperties" if *value == Value::Bool(true) => {}
            _ => reasons.push(format!("`{keyword}` of `{at}` differs")),
        }
    }
}

fn required(at: &str, old: Option<&Value>, new: &Value, reasons: &mut Vec<String>) {
    let known = |name: &Value| old.and_then(Value::as_array).is_some_and(|it| it.contains(name));
    for name in new.as_array().into_iter().flatten().filter(|it| !known(it)) {
        reasons.push(format!("`{at}.{}` is required now", name.as_str().unwrap_or_default()));
    }
}

fn types(at: &str, old: Option<&Value>, new: &Value, reasons: &mut Vec<String>) {
    let names = |value: &Value| -> Vec<String> {
        match value {
            Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            one => one.as_str().map(str::to_owned).into_iter().collect(),
        }
    };
    let after = names(new);
    let is_kept = |name: &String| {
        after.contains(name) || (name == "integer" && after.iter().any(|it| it == "number"))
    };
    if !old.is_some_and(|it| names(it).iter().all(is_kept)) {
        reasons.push(format!("`{at}` must be {} now", after.join(" or ")));
    }
}

fn properties(
    at: &str,
    old: &Map<String, Value>,
    new: &Value,
    depth: usize,
    reasons: &mut Vec<String>,
) {
    let before = old.get("properties").and_then(Value::as_object);
    // A field that no rule named could be anything, if it could be there at all.
    let others = old.get("additionalProperties").unwrap_or(&Value::Bool(true));
    for (name, rules) in new.as_object().into_iter().flatten() {
        let rules_before = before.and_then(|it| it.get(name)).unwrap_or(others);
        schema(&format!("{at}.{name}"), rules_before, rules, depth + 1, reasons);
    }
}

fn bound(
    at: &str,
    keyword: &str,
    old: Option<&Value>,
    new: &Value,
    is_wider: fn(f64, f64) -> bool,
    reasons: &mut Vec<String>,
) {
    let wider =
        old.and_then(Value::as_f64).zip(new.as_f64()).is_some_and(|it| is_wider(it.0, it.1));
    if !wider {
        reasons.push(format!("`{keyword}` of `{at}` is {new} now"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(old: Value, new: Value, expected: &[&str]) {
        assert_eq!(narrowed(Some(&old), Some(&new)), expected, "{old} to {new}");
    }

    #[test]
    fn a_schema_that_accepts_as_much_is_no_obstacle() {
        let order =
            json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}});
        check(order.clone(), order.clone(), &[]);
        check(order.clone(), json!({"type": "object"}), &[]);
        check(json!({"type": "integer"}), json!({"type": ["number", "null"]}), &[]);
        check(json!({"maximum": 5}), json!({"maximum": 7, "description": "more"}), &[]);
        check(json!({"enum": [1]}), json!({"enum": [1, 2]}), &[]);
        assert!(narrowed(None, None).is_empty());
        assert!(narrowed(Some(&order), None).is_empty());
    }

    #[test]
    fn what_is_narrower_is_named() {
        let id = |rules: Value| json!({"properties": {"id": rules}});
        check(id(json!({})), json!({"required": ["id"]}), &["`input.id` is required now"]);
        check(
            id(json!({"type": "string"})),
            id(json!({"type": "integer"})),
            &["`input.id` must be integer now"],
        );
        check(
            id(json!({"maxLength": 9})),
            id(json!({"maxLength": 5})),
            &["`maxLength` of `input.id` is 5 now"],
        );
        check(
            json!({"enum": [1, 2]}),
            json!({"enum": [1]}),
            &["some values of `input` are no longer valid"],
        );
        check(
            json!({}),
            json!({"additionalProperties": false}),
            &["`additionalProperties` of `input` differs"],
        );
        assert_eq!(
            narrowed(None, Some(&json!({"type": "object"}))),
            ["`input` must be object now"]
        );
    }
}
