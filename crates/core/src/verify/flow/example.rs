//! A scenario as a counterexample: the input and the answers that bring it about.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::names::find_from;
use super::{End, Scenario};
use crate::expr::{Reference, Template};
use crate::plan::{CompositeId, NodeId, ROOT, WorkPlan};
use crate::simulate::{Answer, Counterexample, Expected};
use crate::task_error::TaskError;
use crate::verify::Subject;
use crate::verify::property::Property;
use crate::verify::sample::{put, remove, sample};

/// Writes a scenario as a counterexample to a property.
pub(super) fn example(
    subject: &Subject<'_>,
    fields: &Fields,
    property: Property,
    scenario: &Scenario,
    expected: Expected,
) -> Counterexample {
    let mut example =
        Counterexample::new(subject.plan, property.code(), property.title(), expected);
    example.input = input(subject, scenario);
    let ended = |id: NodeId| scenario.ends.iter().find(|it| it.0 == id).map(|it| it.1);
    for (id, fields) in fields {
        if let WorkPlan::Uses { kind, .. } = &subject.plan.node(*id).work
            && matches!(ended(*id), None | Some(End::Completed))
        {
            let output = output(scenario, *id, kind, fields);
            example.answers.insert(subject.plan.path(*id), vec![Answer::Complete(output)]);
        }
    }
    for (id, end) in &scenario.ends {
        let node = subject.plan.node(*id);
        if !matches!(node.work, WorkPlan::Uses { .. }) {
            continue;
        }
        let path = subject.plan.path(*id);
        match end {
            End::Open => {
                example.answers.insert(path, vec![Answer::Never]);
            }
            End::Failed => {
                let error = TaskError::fatal("failed", "it fails in this counterexample");
                example.answers.insert(path, vec![Answer::Fail(error)]);
            }
            End::Completed | End::Broken | End::Skipped => {}
        }
    }
    example
}

fn input(subject: &Subject<'_>, scenario: &Scenario) -> Value {
    let schema = subject.definition.input.as_ref();
    let mut input = schema.map_or(json!({}), |it| sample(&it.value));
    for path_value in &scenario.values {
        let [root, segments @ ..] = &path_value.path[..] else { continue };
        match &path_value.value {
            _ if root != "input" => {}
            Some(value) => put(&mut input, segments, value.clone()),
            None => remove(&mut input, segments),
        }
    }
    input
}

/// The fields of each task's output that something reads.
pub(super) type Fields = BTreeMap<NodeId, BTreeSet<Vec<String>>>;

/// Returns the fields of outputs that expressions of tasks and the output of the run read: what a
/// handler that nobody describes is taken to give.
pub(super) fn fields(subject: &Subject<'_>) -> Fields {
    let plan = subject.plan;
    let mut fields = Fields::new();
    let mut add = |level: CompositeId, reference: &Reference| {
        let [id, part, rest @ ..] = &reference.segments[..] else { return };
        if reference.root == "tasks"
            && part == "output"
            && let Some(target) = find_from(plan, level, id)
        {
            fields.entry(target).or_default().insert(rest.to_vec());
        }
    };
    for node in &plan.nodes {
        let mut templates: Vec<&Template> = Vec::new();
        if let WorkPlan::Uses { with, .. } = &node.work {
            templates.push(with);
        }
        templates.extend(node.for_each.as_ref().map(|it| &it.items));
        for (_, reference) in templates.iter().flat_map(|it| it.references()) {
            add(node.composite, &reference);
        }
        for reference in node.condition.iter().flat_map(|it| it.references()) {
            add(node.composite, &reference);
        }
    }
    for (_, reference) in plan.output.iter().flat_map(|it| it.references()) {
        add(ROOT, &reference);
    }
    fields
}

/// Returns what a task of a kind may give, with the fields that are read of it.
pub(super) fn default_output(kind: &str, fields: &BTreeSet<Vec<String>>) -> Value {
    let mut output = match crate::kind_schema::output_schema(kind) {
        Some(schema) => sample(schema),
        None => json!({}),
    };
    for segments in fields.iter().filter(|it| !it.is_empty()) {
        let pointer = segments.iter().fold(String::new(), |at, it| format!("{at}/{it}"));
        if output.pointer(&pointer).is_none() {
            put(&mut output, segments, json!("x"));
        }
    }
    output
}

/// Returns what a task gives so that conditions see what the scenario says, and others what they
/// read.
fn output(scenario: &Scenario, id: NodeId, kind: &str, fields: &BTreeSet<Vec<String>>) -> Value {
    let mut output = default_output(kind, fields);
    for path_value in scenario.values.iter().filter(|it| it.of == Some(id)) {
        let [_, _, part, segments @ ..] = &path_value.path[..] else { continue };
        match &path_value.value {
            _ if part != "output" => {}
            Some(value) => put(&mut output, segments, value.clone()),
            None => remove(&mut output, segments),
        }
    }
    output
}
