//! Data that fits a schema, as plain as can be: what a counterexample needs beside what it shows.

use serde_json::{Map, Value, json};

/// Schemas may refer to themselves; deeper than this, nothing is made.
const DEPTH_MAX: usize = 16;

/// Makes a value that fits what a schema says about types, bounds and required fields. What else it
/// says is not heeded, so whoever uses the value checks it.
pub(super) fn sample(schema: &Value) -> Value {
    Sampler { root: schema }.value(schema, 0)
}

/// Puts a value at a place within another, making objects on the way.
pub(super) fn put(whole: &mut Value, segments: &[String], value: Value) {
    let Some((first, rest)) = segments.split_first() else {
        *whole = value;
        return;
    };
    if !whole.is_object() {
        *whole = json!({});
    }
    if let Value::Object(fields) = whole {
        put(fields.entry(first.clone()).or_insert(Value::Null), rest, value);
    }
}

/// Takes away what stands at a place.
pub(super) fn remove(whole: &mut Value, segments: &[String]) {
    let Some((last, above)) = segments.split_last() else { return };
    let above = above.iter().try_fold(whole, |at, it| at.get_mut(it));
    if let Some(Value::Object(fields)) = above {
        fields.remove(last);
    }
}

struct Sampler<'a> {
    root: &'a Value,
}

impl Sampler<'_> {
    fn value(&self, schema: &Value, depth: usize) -> Value {
        let Some(fields) = schema.as_object().filter(|_| depth < DEPTH_MAX) else {
            return json!({});
        };
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|it| self.root.pointer(it));
            return target.map_or(Value::Null, |it| self.value(it, depth + 1));
        }
        let listed = fields.get("const").or_else(|| fields.get("enum")?.get(0));
        if let Some(value) = listed.or_else(|| fields.get("default")) {
            return value.clone();
        }
        if let Some(first) = ["anyOf", "oneOf"].iter().find_map(|it| fields.get(*it)?.get(0)) {
            return self.value(first, depth + 1);
        }
        let name = match fields.get("type") {
            Some(Value::String(name)) => name.as_str(),
            Some(Value::Array(names)) => names.first().and_then(Value::as_str).unwrap_or("object"),
            _ => "object",
        };
        match name {
            "null" => Value::Null,
            "boolean" => json!(false),
            "integer" => number(fields, 1.0),
            "number" => number(fields, 0.5),
            "string" => string(fields),
            "array" => self.array(fields, depth),
            _ => self.object(fields, depth),
        }
    }

    fn array(&self, fields: &Map<String, Value>, depth: usize) -> Value {
        // One item more than none, so that what runs over the list runs.
        let least = fields.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, 16);
        let item = fields.get("items").map_or(json!({}), |it| self.value(it, depth + 1));
        Value::Array(vec![item; least as usize])
    }

    fn object(&self, fields: &Map<String, Value>, depth: usize) -> Value {
        let names = fields.get("required").and_then(Value::as_array).into_iter().flatten();
        let required = names.filter_map(Value::as_str).map(|name| {
            let schema = fields.get("properties").and_then(|it| it.get(name));
            let value = schema.map_or(json!({}), |it| self.value(it, depth + 1));
            (name.to_owned(), value)
        });
        Value::Object(required.collect())
    }
}

fn number(fields: &Map<String, Value>, step: f64) -> Value {
    let read = |name: &str| fields.get(name).and_then(Value::as_f64);
    let least = read("minimum").or_else(|| read("exclusiveMinimum").map(|it| it + step));
    let most = read("maximum").or_else(|| read("exclusiveMaximum").map(|it| it - step));
    let value = least.unwrap_or_else(|| most.unwrap_or(1.0).min(1.0));
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

fn string(fields: &Map<String, Value>) -> Value {
    let text = match fields.get("format").and_then(Value::as_str) {
        Some("date-time") => "2030-01-01T00:00:00Z",
        Some("date") => "2030-01-01",
        Some("time") => "00:00:00Z",
        Some("email") => "somebody@example.org",
        Some("uri") => "https://example.org/",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        _ => "x",
    };
    let least = fields.get("minLength").and_then(Value::as_u64).unwrap_or(0).min(1_000) as usize;
    let missing = least.saturating_sub(text.chars().count());
    json!(format!("{text}{}", "x".repeat(missing)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;

    #[track_caller]
    fn check(schema: Value) {
        let made = sample(&schema);
        let compiled = Schema::compile(&schema).expect("a valid schema");
        assert!(compiled.check(&made).is_ok(), "{schema}: {made}");
    }

    #[test]
    fn samples_fit_their_schemas() {
        check(json!({"type": "object", "required": ["a", "b"], "properties": {
            "a": {"type": "integer", "minimum": 3}, "b": {"type": "array", "minItems": 2, "items": {"type": "string"}},
        }}));
        check(json!({"type": "number", "exclusiveMinimum": 0, "maximum": 0.75}));
        check(json!({"type": "integer", "maximum": -5}));
        check(json!({"type": "string", "minLength": 5}));
        check(json!({"enum": ["x", "y"]}));
        check(json!({"type": ["null", "string"]}));
        check(json!({"$ref": "#/$defs/item", "$defs": {"item": {"const": 7}}}));
        check(json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}));
        check(json!(true));
    }

    #[test]
    fn a_value_is_put_and_taken_away() {
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let mut whole = json!({"a": {"b": 1}});
        put(&mut whole, &path("a.c.d"), json!(2));
        assert_eq!(whole, json!({"a": {"b": 1, "c": {"d": 2}}}));
        remove(&mut whole, &path("a.b"));
        remove(&mut whole, &path("x.y"));
        assert_eq!(whole, json!({"a": {"c": {"d": 2}}}));
    }
}
