//! JSON Schema to types. Where a schema says more than a type can, the type is wider, never
//! narrower: what the schema accepts, the type has.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::types::{FieldType, MapType, Type};
use crate::limits::DEPTH_MAX;

impl Type {
    /// Returns the type of the values that a JSON Schema accepts.
    pub fn from_json_schema(schema: &Json) -> Type {
        from_schema(schema, 0)
    }

    /// Returns the type of data that is known.
    pub fn of_json(value: &Json) -> Type {
        match value {
            Json::Null => Type::Null,
            Json::Bool(_) => Type::Bool,
            Json::Number(_) => Type::Number,
            Json::String(_) => Type::String,
            Json::Array(items) => Type::list(Type::union(items.iter().map(Type::of_json))),
            Json::Object(fields) => {
                Type::record(fields.iter().map(|(name, it)| (name.clone(), Type::of_json(it))))
            }
        }
    }
}

fn from_schema(schema: &Json, depth: usize) -> Type {
    let Some(keywords) = schema.as_object() else {
        return Type::Any;
    };
    if depth > DEPTH_MAX {
        return Type::Any;
    }
    if let Some(value) = keywords.get("const") {
        return Type::of_json(value);
    }
    if let Some(Json::Array(values)) = keywords.get("enum") {
        return Type::union(values.iter().map(Type::of_json));
    }
    let below = |schema: &Json| from_schema(schema, depth + 1);
    match keywords.get("type") {
        Some(Json::String(name)) => return named(name, keywords, depth),
        Some(Json::Array(names)) => {
            let types = names.iter().filter_map(Json::as_str);
            return Type::union(types.map(|name| named(name, keywords, depth)));
        }
        _ => {}
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(Json::Array(members)) = keywords.get(keyword) {
            return Type::union(members.iter().map(below));
        }
    }
    // All of them hold, so any one is true; the first that says something will do.
    let all = keywords.get("allOf").and_then(Json::as_array).into_iter().flatten();
    all.map(below).find(|it| *it != Type::Any).unwrap_or(Type::Any)
}

fn named(name: &str, keywords: &serde_json::Map<String, Json>, depth: usize) -> Type {
    match name {
        "null" => Type::Null,
        "boolean" => Type::Bool,
        "integer" | "number" => Type::Number,
        "string" => Type::String,
        "array" => match (keywords.get("items"), keywords.get("prefixItems")) {
            (Some(items), None) => Type::list(from_schema(items, depth + 1)),
            _ => Type::list(Type::Any),
        },
        "object" => object(keywords, depth),
        _ => Type::Any,
    }
}

fn object(keywords: &serde_json::Map<String, Json>, depth: usize) -> Type {
    let rest = match keywords.get("additionalProperties") {
        // These describe fields by patterns, which a type cannot.
        _ if keywords.contains_key("patternProperties") => Some(Type::Any),
        Some(Json::Bool(false)) => None,
        Some(schema) => Some(from_schema(schema, depth + 1)),
        None => Some(Type::Any),
    };
    let mut fields = BTreeMap::new();
    if let Some(Json::Object(properties)) = keywords.get("properties") {
        for (name, schema) in properties {
            let ty = from_schema(schema, depth + 1);
            fields.insert(name.clone(), FieldType { ty, required: false });
        }
    }
    let required = keywords.get("required").and_then(Json::as_array).into_iter().flatten();
    for name in required.filter_map(Json::as_str) {
        if let Some(field) = fields.get_mut(name) {
            field.required = true;
        } else if let Some(ty) = rest.clone() {
            fields.insert(name.to_owned(), FieldType { ty, required: true });
        }
    }
    Type::Map(Arc::new(MapType { fields, rest }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: Json, expected: &Type) {
        assert_eq!(Type::from_json_schema(&schema), *expected, "{schema}");
    }

    #[test]
    fn schemas_become_types() {
        check(json!(true), &Type::Any);
        check(json!({"type": "integer"}), &Type::Number);
        check(json!({"type": ["string", "null"]}), &Type::union([Type::String, Type::Null]));
        check(json!({"enum": ["a", "b", 1]}), &Type::union([Type::String, Type::Number]));
        check(json!({"const": false}), &Type::Bool);
        check(json!({"type": "array", "items": {"type": "string"}}), &Type::list(Type::String));
        check(
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            &Type::union([Type::String, Type::Null]),
        );
        check(json!({"anyOf": [{"type": "string"}, {}]}), &Type::Any);
        check(json!({"allOf": [{"minimum": 1}, {"type": "number"}]}), &Type::Number);
        check(json!({"$ref": "#/$defs/order"}), &Type::Any);
        // Without `type`, a string is accepted as well.
        check(json!({"properties": {"a": {"type": "string"}}}), &Type::Any);
        check(
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
                "additionalProperties": false}),
            &Type::record([("a".to_owned(), Type::String)]),
        );
        check(json!({"type": "object"}), &Type::map_of(Type::Any));
        check(
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            &Type::map_of(Type::String),
        );
    }
}
