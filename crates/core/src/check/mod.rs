//! Turns a definition into a plan, or says all that is wrong with it. Only this makes plans, so
//! nothing unchecked runs.
//!
//! The checks find what is certainly wrong: names that do not exist, cycles, states without a way
//! out, types that cannot fit. What holds in every execution is proved by the verifier, which
//! works on the plan.

mod build;
mod digraph;
mod expressions;
mod graph;
mod known;
mod limits;
mod literal;
mod machine;
mod names;
mod notify;
mod order;
mod outline;
mod reader;
mod schema_type;
mod scope;
mod site;
mod sql;
mod work;

use std::sync::Arc;

use serde_json::Value;

use crate::canonical::definition_digest;
use crate::definition::Definition;
use crate::ids::Digest;
use crate::parse::parse;
use crate::plan::Plan;
use crate::schema::Schema;
use crate::simulate::{self, Counterexample, Mismatch, Trace};
use crate::source::{self, Node, Problem, ReadOptions};
use crate::verify::{Clock, Proofs, Subject, verify};

pub(crate) use digraph::{Components, shortest_cycle};
pub(crate) use outline::{Outline, Role, Shape};
pub(crate) use reader::place;
pub(crate) use scope::Scopes;
pub(crate) use site::{Seen, Site};
pub(crate) use work::recursion;

/// The schema of the input is itself not valid.
const INVALID_SCHEMA: &str = "SF1110";

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
    /// Leaves out the proofs: a definition that a store gives back was proved when it was put
    /// there, and is not held to what a newer verifier finds.
    pub proved_before: bool,
    /// Tells how long the proofs took, for whoever wants to know.
    pub clock: Option<Clock>,
    /// Keeps what shows that something never happens, for others to check.
    pub certify: bool,
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
    /// The bytes that the definition's places point into; empty if it was built in code.
    pub source: &'a [u8],
    /// The tree that it was parsed from.
    pub root: &'a Node,
}

impl Origin<'_> {
    /// Returns the hash of the canonical JSON of the definition.
    pub fn hash(&self) -> Digest {
        definition_digest(self.root)
    }
}

/// The plan of a definition whose names and types are in order, whatever the proofs say: to be
/// looked at, and not to be run.
#[derive(Clone, Debug)]
pub struct Draft(Arc<Plan>);

impl Draft {
    /// Executes a counterexample over the deciders alone.
    pub fn replay(&self, counterexample: &Counterexample) -> Result<Trace, Mismatch> {
        simulate::replay(&self.0, counterexample)
    }
}

impl std::ops::Deref for Draft {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.0
    }
}

#[derive(Debug)]
pub struct Checked {
    /// None if a problem is an error.
    pub plan: Option<Arc<Plan>>,
    /// All problems at once, by place.
    pub problems: Vec<Problem>,
    /// None if a problem kept the plan from being made.
    pub draft: Option<Draft>,
    /// None if there is no draft, or no proof was asked for.
    pub proofs: Option<Arc<Proofs>>,
}

impl Checked {
    fn rejected(problems: Vec<Problem>) -> Checked {
        Checked { plan: None, problems, draft: None, proofs: None }
    }
}

/// One document of a source.
#[derive(Debug)]
pub struct CheckedDocument {
    /// None if not even its id and its body can be told.
    pub definition: Option<Definition>,
    /// None if a problem is an error.
    pub plan: Option<Arc<Plan>>,
    /// All problems at once, by place.
    pub problems: Vec<Problem>,
    pub draft: Option<Draft>,
    pub proofs: Option<Arc<Proofs>>,
    /// Hash of the canonical JSON; None if there is no document at all.
    pub hash: Option<Digest>,
}

/// Reads, parses and checks a source: one result for each of its documents, and at least one.
pub fn check_source(source: &[u8], context: &CheckContext) -> Vec<CheckedDocument> {
    let options = ReadOptions { large: context.large };
    let reading = source::read(source, &options);
    let mut problems = reading.problems;
    if reading.documents.is_empty() {
        return vec![CheckedDocument {
            definition: None,
            plan: None,
            problems,
            draft: None,
            proofs: None,
            hash: None,
        }];
    }
    // From the last on, so that each document takes the problems from its start on.
    let mut checked: Vec<CheckedDocument> = Vec::new();
    for (at, root) in reading.documents.iter().enumerate().rev() {
        let is_inside = |it: &Problem| at == 0 || it.label.span.start >= root.span.start;
        let own = problems.extract_if(.., |it| is_inside(it)).collect();
        checked.push(document(Origin { source, root }, own, &options, context));
    }
    checked.reverse();
    checked
}

fn document(
    origin: Origin<'_>,
    mut problems: Vec<Problem>,
    options: &ReadOptions,
    context: &CheckContext,
) -> CheckedDocument {
    let (definition, found) = parse(origin.root, options);
    problems.extend(found);
    let checked = match &definition {
        Some(definition) => check_further(definition, &origin, context, problems),
        None => Checked::rejected(problems),
    };
    let Checked { plan, mut problems, draft, proofs } = checked;
    sort(&mut problems);
    CheckedDocument { definition, plan, problems, draft, proofs, hash: Some(origin.hash()) }
}

/// Checks a definition in which [`parse`] found no error, and makes its plan.
pub fn check(definition: &Definition, origin: &Origin<'_>, context: &CheckContext) -> Checked {
    check_further(definition, origin, context, Vec::new())
}

/// Adds to the problems that were found so far; any error among them keeps the plan from being
/// made.
fn check_further(
    definition: &Definition,
    origin: &Origin<'_>,
    context: &CheckContext,
    mut problems: Vec<Problem>,
) -> Checked {
    let finally = notify::with_notifications(definition);
    let outline = Outline::new(definition, finally.as_ref());
    limits::check(definition, &outline, context, &mut problems);
    names::check(&outline, &mut problems);
    graph::check(&outline, &mut problems);
    machine::check(definition, &outline, &mut problems);
    work::check(definition, &outline, context, &mut problems);
    let scopes = expressions::check(definition, &outline, context, &mut problems);
    let input = input_schema(definition, origin, &mut problems);
    sort(&mut problems);
    if problems.iter().any(Problem::is_error) {
        return Checked::rejected(problems);
    }
    let plan = Arc::new(build::plan(definition, &outline, input, origin));
    let draft = Some(Draft(plan.clone()));
    if context.proved_before {
        return Checked { plan: Some(plan), problems, draft, proofs: None };
    }
    let subject = Subject { definition, outline: &outline, plan: &plan, scopes: &scopes, context };
    let proofs = verify(&subject);
    problems.extend(proofs.findings.iter().map(|it| it.problem.clone()));
    sort(&mut problems);
    let is_sound = !problems.iter().any(Problem::is_error);
    let plan = is_sound.then_some(plan);
    Checked { plan, problems, draft, proofs: Some(Arc::new(proofs)) }
}

fn input_schema(
    definition: &Definition,
    origin: &Origin<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Schema> {
    let source = definition.input.as_ref()?;
    match Schema::compile(&source.value) {
        Ok(schema) => Some(schema),
        Err(invalid) => {
            let node = origin.root.get("input").and_then(|it| it.pointer(&invalid.pointer));
            problems.push(
                Problem::error(
                    INVALID_SCHEMA,
                    node.map_or(source.span, |it| it.span),
                    format!("`input` is not a valid JSON Schema: {}", invalid.message),
                )
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
