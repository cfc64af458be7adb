//! Executions that are tried where conditions read what the workflow computes: the deciders execute
//! the plan with inputs and outputs around the constants that its expressions compare with. What
//! runs in one of them certainly can.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::example::{Fields, default_output};
use crate::expr::{Expr, Template};
use crate::join::SkipCause;
use crate::plan::{NodeId, WorkPlan};
use crate::run::bare_path;
use crate::simulate::{Answer, Bounds, Counterexample, Expected, Scripted, What, simulate};
use crate::verify::Subject;
use crate::verify::property::Property;
use crate::verify::sample::sample;
use crate::verify::wanted::{Wanted, overlaid};

/// Executions of one plan that are tried.
const TRIES_MAX: usize = 96;
/// Tasks of all tries together: large plans are tried a few times only.
const TRIED_TASKS_MAX: usize = 20_000;
/// Choices of one execution.
const STEPS_MAX: usize = 20_000;

/// What happened in some execution.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// Paths of tasks that ran.
    ran: BTreeSet<String>,
    /// Paths of tasks whose condition was false.
    refused: BTreeSet<String>,
    /// The executions in which something happened for the first time.
    executions: Vec<Counterexample>,
}

impl Tries {
    pub fn new(subject: &Subject<'_>, fields: &Fields) -> Tries {
        let samples = Samples::new(subject, fields);
        let most = (TRIED_TASKS_MAX / subject.plan.nodes.len().max(1)).clamp(1, TRIES_MAX);
        let mut tries = Tries::default();
        for number in 0..most {
            if let Some(example) = samples.execution(subject, number) {
                tries.follow(subject, example);
            }
        }
        tries
    }

    /// Whether a task ran in some execution.
    pub fn ran(&self, name: &str) -> bool {
        self.ran.contains(name)
    }

    /// Whether the condition of a task was false in some execution.
    pub fn refused(&self, name: &str) -> bool {
        self.refused.contains(name)
    }

    /// The executions, each of which reaches something that those before it do not.
    pub fn executions(&self) -> &[Counterexample] {
        &self.executions
    }

    fn follow(&mut self, subject: &Subject<'_>, example: Counterexample) {
        let bounds = Bounds { steps_max: STEPS_MAX, ..Bounds::default() };
        let mut oracle = Scripted::new(&example);
        let trace = simulate(subject.plan, &example.input, &mut oracle, bounds);
        let before = self.ran.len();
        self.ran.extend(trace.reached());
        let refused =
            trace.steps.iter().filter(|it| it.what == What::Skipped(SkipCause::Condition));
        self.refused.extend(refused.map(|it| bare_path(&it.path)));
        if self.ran.len() > before {
            self.executions.push(example);
        }
    }
}

/// Inputs and outputs to try.
struct Samples {
    inputs: Vec<Value>,
    /// By id of the task: its output.
    outputs: Vec<Value>,
    /// The tasks that the outside answers: path, id, and an output that has all that is read of it.
    tasks: Vec<(String, String, Value)>,
}

impl Samples {
    fn new(subject: &Subject<'_>, fields: &Fields) -> Samples {
        let plan = subject.plan;
        let mut guards: Vec<&Expr> =
            plan.nodes.iter().filter_map(|it| it.condition.as_ref()).collect();
        let mut written: Vec<&Template> = Vec::new();
        for node in &plan.nodes {
            if let WorkPlan::Uses { with, .. } = &node.work {
                guards.extend(with.expressions().map(|it| &it.expr));
                written.push(with);
            }
            written.extend(node.for_each.as_ref().map(|it| &it.items));
        }
        let schema = subject.definition.input.as_ref();
        let base = schema.map_or(json!({}), |it| sample(&it.value));
        let wanted =
            |root: &str| Wanted::new(root, guards.iter().copied(), written.iter().copied());
        let is_valid = |it: &Value| plan.check_input(it).is_ok();
        let mut inputs = wanted("input").samples(&base);
        inputs.retain(is_valid);
        let outputs = wanted("tasks").samples(&json!({}));
        let nothing = BTreeSet::new();
        let tasks = (0..).map(NodeId).zip(&plan.nodes).filter_map(|(id, node)| match &node.work {
            WorkPlan::Uses { kind, .. } => {
                let output = default_output(kind, fields.get(&id).unwrap_or(&nothing));
                Some((plan.path(id), node.id.to_string(), output))
            }
            WorkPlan::Nothing | WorkPlan::Composite(_) => None,
        });
        Samples { inputs, outputs, tasks: tasks.collect() }
    }

    /// An execution with the inputs and outputs of some number; nothing if no input is valid.
    fn execution(&self, subject: &Subject<'_>, number: usize) -> Option<Counterexample> {
        // Every input meets every output before a pair comes again, and neighbours differ in both.
        let column = number.checked_rem(self.inputs.len())?;
        let input = self.inputs.get(column)?;
        let row = (number / self.inputs.len() + column).checked_rem(self.outputs.len())?;
        let outputs = self.outputs.get(row)?;
        let property = Property::Reachability;
        let nothing = Expected::Reached { tasks: Vec::new() };
        let mut example =
            Counterexample::new(subject.plan, property.code(), property.title(), nothing);
        example.input = input.clone();
        for (path, id, default) in &self.tasks {
            let wanted = outputs.get(id).and_then(|it| it.get("output"));
            let output = wanted.map_or_else(|| default.clone(), |it| overlaid(default, it));
            example.answers.insert(path.clone(), vec![Answer::Complete(output)]);
        }
        Some(example)
    }
}
