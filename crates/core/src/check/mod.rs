//! Turns a definition into a plan, or says all that is wrong with it. Only this makes plans, so
//! nothing unchecked runs.
//!
//! The checks find what is certainly wrong: names that do not exist, cycles, states without a way
//! out, types that cannot fit. What holds in every execution is proved by the verifier, which
//! works on the plan.

mod build;
mod digraph;
mod graph;
mod limits;
mod literal;
mod machine;
mod names;
mod notify;
mod outline;
mod sql;
mod work;

use std::sync::Arc;

use serde_json::Value;

use crate::definition::Definition;
use crate::ids::Digest;
use crate::plan::Plan;
use crate::schema::Schema;
use crate::source::Problem;

use outline::Outline;

/// What is known about the world that a definition will run in. The default knows nothing, and
/// then nothing is held against a name.
#[derive(Clone, Debug, Default)]
pub struct CheckContext {
    /// Allows the sizes of generated definitions.
    pub large: bool,
    /// None: unknown, so any name may be a handler.
    pub handlers: Option<Vec<HandlerSchema>>,
    pub workflows: Option<Vec<KnownWorkflow>>,
    /// Names of the databases that `sql` may use.
    pub databases: Option<Vec<String>>,
    pub secrets: Option<Vec<String>>,
}

/// A handler and the JSON Schemas of what it takes and gives.
#[derive(Clone, Debug, Default)]
pub struct HandlerSchema {
    pub name: String,
    pub input: Option<Value>,
    pub output: Option<Value>,
}

/// One version of a workflow that sub-runs may start.
#[derive(Clone, Debug)]
pub struct KnownWorkflow {
    pub id: String,
    pub version: String,
    /// Ids of the workflows that it starts itself.
    pub starts: Vec<String>,
}

/// Where a definition came from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The text that the definition's places point into; empty if it was built in code.
    pub text: &'a str,
    /// Hash of the canonical JSON of the definition.
    pub hash: Digest,
}

#[derive(Debug)]
pub struct Checked {
    /// None if a problem is an error.
    pub plan: Option<Arc<Plan>>,
    /// All problems at once, by place.
    pub problems: Vec<Problem>,
}

/// Checks a definition and makes its plan.
pub fn check(definition: &Definition, origin: &Origin<'_>, context: &CheckContext) -> Checked {
    let finally = notify::with_notifications(definition);
    let outline = Outline::new(definition, finally.as_ref());
    let mut problems = Vec::new();
    limits::check(definition, &outline, context, &mut problems);
    names::check(&outline, &mut problems);
    graph::check(&outline, &mut problems);
    machine::check(definition, &outline, &mut problems);
    work::check(definition, &outline, context, &mut problems);
    let input = input_schema(definition, &mut problems);
    sort(&mut problems);
    if problems.iter().any(Problem::is_error) {
        return Checked { plan: None, problems };
    }
    let plan = build::plan(definition, &outline, input, origin);
    Checked { plan: Some(Arc::new(plan)), problems }
}

fn input_schema(definition: &Definition, problems: &mut Vec<Problem>) -> Option<Schema> {
    let source = definition.input.as_ref()?;
    match Schema::compile(&source.value) {
        Ok(schema) => Some(schema),
        Err(invalid) => {
            let at = if invalid.pointer.is_empty() { "input" } else { invalid.pointer.as_str() };
            problems.push(
                Problem::error(
                    "SF1110",
                    source.span,
                    format!("`input` is not a valid JSON Schema: {}", invalid.message),
                )
                .label(format!("at `{at}`"))
                .help("write JSON Schema, draft 2020-12, such as `{type: object, required: [id]}`"),
            );
            None
        }
    }
}

/// By place, then by code; the same thing is said once.
fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| {
        let key = |it: &Problem| (it.label.span.start, it.label.span.end, it.code);
        key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
    });
    problems.dedup();
}
