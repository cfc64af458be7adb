//! What a JSON Schema says about the type of a value, as far as expressions can use it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::expr::{FieldType, MapType, Type};

/// Schemas may refer to themselves; deeper than this, a value may be anything.
const DEPTH_MAX: usize = 16;

/// Returns the type of the values that a schema accepts; `Any` where it cannot be told.
pub(super) fn type_of(schema: &Value) -> Type {
    Reader { root: schema }.read(schema, 0)
}

struct Reader<'a> {
    root: &'a Value,
}

impl Reader<'_> {
    fn read(&self, schema: &Value, depth: usize) -> Type {
        let Some(schema) = schema.as_object().filter(|_| depth < DEPTH_MAX) else {
            return Type::Any;
        };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|it| self.root.pointer(it));
            return target.map_or(Type::Any, |it| self.read(it, depth + 1));
        }
        if let Some(value) = schema.get("const") {
            return Type::of_json(value);
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return Type::union(values.iter().map(Type::of_json));
        }
        match schema.get("type") {
            Some(Value::String(name)) => self.named(name, schema, depth),
            Some(Value::Array(names)) => Type::union(
                names.iter().map(|it| self.named(it.as_str().unwrap_or_default(), schema, depth)),
            ),
            _ => match schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array) {
                Some(choices) => Type::union(choices.iter().map(|it| self.read(it, depth + 1))),
                None => Type::Any,
            },
        }
    }

    fn named(&self, name: &str, schema: &Map<String, Value>, depth: usize) -> Type {
        match name {
            "null" => Type::Null,
            "boolean" => Type::Bool,
            "integer" | "number" => Type::Number,
            "string" => Type::String,
            "array" => {
                Type::list(schema.get("items").map_or(Type::Any, |it| self.read(it, depth + 1)))
            }
            "object" => self.object(schema, depth),
            _ => Type::Any,
        }
    }

    fn object(&self, schema: &Map<String, Value>, depth: usize) -> Type {
        let required = schema.get("required").and_then(Value::as_array);
        let is_required =
            |name: &str| required.is_some_and(|it| it.iter().any(|it| it.as_str() == Some(name)));
        let properties = schema.get("properties").and_then(Value::as_object);
        let fields: BTreeMap<String, FieldType> = properties
            .into_iter()
            .flatten()
            .map(|(name, it)| {
                let ty = self.read(it, depth + 1);
                (name.clone(), FieldType { ty, required: is_required(name) })
            })
            .collect();
        let rest = match schema.get("additionalProperties") {
            // Patterns name more than `properties` does.
            Some(Value::Bool(false)) if !schema.contains_key("patternProperties") => None,
            Some(Value::Bool(_)) | None => Some(Type::Any),
            Some(_) if schema.contains_key("patternProperties") => Some(Type::Any),
            Some(rest) => Some(self.read(rest, depth + 1)),
        };
        Type::Map(Arc::new(MapType { fields, rest }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(schema: Value, expected: &str) {
        assert_eq!(type_of(&schema).to_string(), expected, "{schema}");
    }

    #[test]
    fn schemas_read_as_types() {
        check(json!(true), "any");
        check(json!({"type": "integer"}), "number");
        check(json!({"type": ["string", "null"]}), "string or null");
        check(json!({"enum": ["a", "b", 1]}), "string or number");
        check(json!({"type": "array", "items": {"type": "string"}}), "list of string");
        check(json!({"anyOf": [{"type": "boolean"}, {"const": 1}]}), "bool or number");
        check(json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "boolean"}}}), "bool");
        check(json!({"$ref": "#"}), "any");
        check(json!({"$ref": "https://example.com"}), "any");
    }

    #[test]
    fn only_a_closed_object_has_no_other_fields() {
        let rest = |schema: Value| match type_of(&schema) {
            Type::Map(map) => map.rest.clone(),
            other => panic!("{other} is not a map"),
        };
        assert_eq!(rest(json!({"type": "object"})), Some(Type::Any));
        assert_eq!(rest(json!({"type": "object", "additionalProperties": false})), None);
        let typed = json!({"type": "object", "additionalProperties": {"type": "string"}});
        assert_eq!(rest(typed), Some(Type::String));
    }
}
