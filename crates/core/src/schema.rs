//! JSON Schema (draft 2020-12), compiled. A thin face on the library that does the work.

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::Value;

/// Violations that one check lists at most.
pub const VIOLATIONS_MAX: usize = 20;

/// A compiled schema and its source.
pub struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
    source: Value,
}

/// One way in which a value breaks its schema.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Violation {
    /// JSON pointer into the value; empty for the whole value.
    pub pointer: String,
    pub message: String,
}

/// A schema that is itself not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidSchema {
    pub pointer: String,
    pub message: String,
}

impl Schema {
    /// Compiles a schema. References to other documents are refused: nothing is ever fetched.
    pub fn compile(source: &Value) -> Result<Schema, InvalidSchema> {
        let invalid = |message: String| InvalidSchema { pointer: String::new(), message };
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.use_loader(Box::new(NoLoader));
        compiler.enable_format_assertions();
        compiler
            .add_resource("surefoot:///input", source.clone())
            .map_err(|error| invalid(error.to_string()))?;
        let index =
            compiler.compile("surefoot:///input", &mut schemas).map_err(|error| match &error {
                boon::CompileError::ValidationError { src, .. } => {
                    InvalidSchema { pointer: first_leaf(src).0, message: first_leaf(src).1 }
                }
                _ => invalid(error.to_string()),
            })?;
        Ok(Schema { schemas, index, source: source.clone() })
    }

    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Lists every violation, at most [`VIOLATIONS_MAX`].
    pub fn check(&self, value: &Value) -> Result<(), Vec<Violation>> {
        let Err(error) = self.schemas.validate(value, self.index) else { return Ok(()) };
        let mut violations = Vec::new();
        collect_leaves(&error, &mut violations);
        violations.truncate(VIOLATIONS_MAX);
        Err(violations)
    }
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Schema").field(&self.source).finish()
    }
}

struct NoLoader;

impl boon::UrlLoader for NoLoader {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("`{url}` is outside of this schema; copy what you need into `$defs`").into())
    }
}

fn collect_leaves(error: &boon::ValidationError<'_, '_>, into: &mut Vec<Violation>) {
    if error.causes.is_empty() {
        into.push(Violation {
            pointer: error.instance_location.to_string(),
            message: error.kind.to_string(),
        });
    }
    error.causes.iter().for_each(|cause| collect_leaves(cause, into));
}

fn first_leaf(error: &boon::ValidationError<'_, '_>) -> (String, String) {
    let mut leaves = Vec::new();
    collect_leaves(error, &mut leaves);
    leaves
        .into_iter()
        .next()
        .map_or_else(|| (String::new(), error.to_string()), |it| (it.pointer, it.message))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use serde_json::json;

    #[test]
    fn every_violation_is_named_with_its_path() {
        let schema = Schema::compile(&json!({
            "type": "object", "required": ["a"],
            "properties": {"b": {"type": "integer"}, "c": {"enum": ["x"]}}
        }))
        .unwrap();
        assert_eq!(schema.check(&json!({"a": 1})), Ok(()));
        let violations = schema.check(&json!({"b": "no", "c": "y"})).unwrap_err();
        let paths: Vec<_> = violations.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!(paths, ["", "/b", "/c"], "{violations:?}");
    }

    #[test]
    fn a_broken_schema_and_a_foreign_reference_are_refused() {
        assert!(Schema::compile(&json!({"type": "strin"})).is_err());
        assert!(Schema::compile(&json!({"$ref": "https://example.com/a.json"})).is_err());
    }
}
