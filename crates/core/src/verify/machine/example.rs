//! A way that the search found as a counterexample: the input, and what comes in from outside, in
//! its order. It counts once it was replayed; work that is a graph or a machine of its own is not
//! scripted, so what lies behind such a state is told without.

use std::collections::BTreeMap;

use super::Analysis;
use super::model::{Cause, Rest};
use super::search::Shown;
use crate::plan::WorkPlan;
use crate::simulate::{Answer, Counterexample, Expected, Turn};
use crate::task_error::TaskError;
use crate::verify::Subject;
use crate::verify::confirm::illustrate;
use crate::verify::finding::{Finding, Proofs};
use crate::verify::property::Property;

/// Adds the execution to a finding, if it can be replayed.
pub(super) fn with_example(
    subject: &Subject<'_>,
    machine: &Analysis<'_>,
    finding: Finding,
    shown: &Shown,
    expected: Expected,
    proofs: &Proofs,
) -> Finding {
    let example = execution(subject, machine, shown, finding.property, expected);
    illustrate(subject, finding, example, proofs)
}

/// Writes a way as an execution, to be replayed.
pub(super) fn execution(
    subject: &Subject<'_>,
    machine: &Analysis<'_>,
    shown: &Shown,
    property: Property,
    expected: Expected,
) -> Counterexample {
    let example = Counterexample::new(subject.plan, property.code(), property.title(), expected);
    script(subject, machine, example, shown)
}

fn script(
    subject: &Subject<'_>,
    machine: &Analysis<'_>,
    mut example: Counterexample,
    shown: &Shown,
) -> Counterexample {
    let model = &machine.model;
    example.input = shown.input.clone();
    let mut visits: BTreeMap<u32, u32> = BTreeMap::new();
    for act in &shown.acts {
        let list = &model.lists[act.list];
        let entry = &model.states[list.state as usize];
        let visit = visits.entry(list.state).or_default();
        *visit += 1;
        let name = subject.name(entry.id);
        let path = if *visit > 1 { format!("{name}#{visit}") } else { name };
        let is_time = match &subject.plan.node(entry.id).work {
            WorkPlan::Uses { kind, .. } => &**kind == "wait",
            WorkPlan::Nothing | WorkPlan::Composite(_) => false,
        };
        let works = entry.rest == Rest::Works && !is_time;
        let (answer, turn) = match list.cause {
            Cause::Done if is_time => (None, Some(Turn::Timer)),
            Cause::Done if !works => (None, None),
            Cause::Done => {
                let output = act.data.clone().unwrap_or_default();
                (Some(Answer::Complete(output)), Some(Turn::Answer(path.clone())))
            }
            Cause::Failed => {
                let error = TaskError::fatal("failed", "it failed");
                (Some(Answer::Fail(error)), Some(Turn::Answer(path.clone())))
            }
            Cause::Event(name) => {
                let data = act.data.clone().unwrap_or_default();
                (Some(Answer::Never), Some(Turn::Event { name: name.to_owned(), data }))
            }
            Cause::After(_) => (Some(Answer::Never), Some(Turn::Timer)),
        };
        if let Some(answer) = answer.filter(|_| works) {
            example.answers.insert(path, vec![answer]);
        }
        example.order.extend(turn);
    }
    example
}
