//! What is known of the data before a run: the types of the input, of outputs and of variables.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::outline::{Outline, Placed};
use super::{CheckContext, schema_type};
use crate::definition::{Definition, Work};
use crate::expr::{FieldType, MapType, Shape, Template, Type};
use crate::kind_schema::output_schema;
use crate::plan::is_built_in;

pub(crate) struct Known {
    pub input: Type,
    pub run: Type,
    pub error: Type,
    pub secrets: Type,
    /// Output types by kind. Others may give anything.
    outputs: HashMap<String, Type>,
}

impl Known {
    pub fn new(definition: &Definition, outline: &Outline<'_>, context: &CheckContext) -> Known {
        let input = definition.input.as_ref();
        let secrets = context.secrets.as_ref();
        Known {
            input: input.map_or(Type::Any, |it| schema_type::type_of(&it.value)),
            run: open([
                ("id", Type::String),
                ("workflow", Type::String),
                ("version", Type::String),
            ]),
            error: error(),
            secrets: secrets.map_or(Type::map_of(Type::String), |names| {
                Type::record(names.iter().map(|it| (it.clone(), Type::String)))
            }),
            outputs: outputs(outline, context),
        }
    }

    /// Returns the type of `tasks.ID`.
    pub fn task(&self, placed: &Placed<'_>) -> Type {
        Type::record([
            ("output".to_owned(), self.output(placed)),
            ("status".to_owned(), Type::String),
            ("error".to_owned(), Type::union([Type::Null, self.error.clone()])),
        ])
    }

    /// Returns the type of a task's output; of a `for_each`, the list of its items' outputs.
    pub fn output(&self, placed: &Placed<'_>) -> Type {
        let one = match &placed.task.work {
            Work::Uses { kind, with } => {
                let all = self.outputs.get(kind.value.as_str()).cloned().unwrap_or(Type::Any);
                match with {
                    Some(with) if kind.value == "sql" => one_result(all, &with.template),
                    _ => all,
                }
            }
            Work::Nothing | Work::Composite(_) => Type::Any,
        };
        if placed.task.for_each.is_some() { Type::list(one) } else { one }
    }
}

/// Of `sql`, several `statements` give a list of results, one `query` gives one.
fn one_result(all: Type, with: &Template) -> Type {
    match all {
        Type::Union(members) if with.shape(&["statements"]) == Shape::Missing => {
            Type::union(members.iter().filter(|it| !matches!(it, Type::List(_))).cloned())
        }
        all => all,
    }
}

fn outputs(outline: &Outline<'_>, context: &CheckContext) -> HashMap<String, Type> {
    let mut outputs = HashMap::new();
    for placed in &outline.nodes {
        let Work::Uses { kind, .. } = &placed.task.work else { continue };
        if !outputs.contains_key(&kind.value)
            && is_built_in(&kind.value)
            && let Some(schema) = output_schema(&kind.value)
        {
            outputs.insert(kind.value.clone(), schema_type::type_of(schema));
        }
    }
    for handler in context.handlers.iter().flatten() {
        if let Some(schema) = &handler.output {
            outputs.insert(handler.name.clone(), schema_type::type_of(schema));
        }
    }
    outputs
}

/// The type of `crate::task_error::TaskError` as conditions see it.
fn error() -> Type {
    let field =
        |name: &str, ty: Type, required: bool| (name.to_owned(), FieldType { ty, required });
    let fields = BTreeMap::from([
        field("type", Type::String, true),
        field("message", Type::String, true),
        field("retryable", Type::Bool, false),
        field("status", Type::Number, false),
        field("retry_after_ms", Type::Number, false),
        field("details", Type::Any, false),
    ]);
    Type::Map(Arc::new(MapType { fields, rest: None }))
}

fn open<const N: usize>(fields: [(&str, Type); N]) -> Type {
    let required = |(name, ty): (&str, Type)| (name.to_owned(), FieldType { ty, required: true });
    let fields = fields.into_iter().map(required).collect();
    Type::Map(Arc::new(MapType { fields, rest: Some(Type::Any) }))
}
