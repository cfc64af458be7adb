//! Whether some transition is open when the work of a state is done.

use super::Analysis;
use super::example::with_example;
use super::model::{Cause, List, Rest, Stay};
use crate::simulate::Expected;
use crate::source::Problem;
use crate::verify::Subject;
use crate::verify::finding::{Finding, Proofs};
use crate::verify::property::Property;

/// Whether some transition is certainly open once the work of a state is done.
pub(super) fn is_total(machine: &Analysis<'_>, state: u32) -> bool {
    let model = &machine.model;
    let Some(list) = model.list_of(state, Cause::Done) else { return false };
    model.ways_of(list).iter().any(|it| it.guard.is_none())
        || machine.guards[list.at].as_ref().is_some_and(|it| it.is_total())
        || super::invariant::is_total(model, list, machine.invariant[state as usize].as_ref())
}

pub(super) fn exhaustive(subject: &Subject<'_>, machine: &Analysis<'_>, proofs: &mut Proofs) {
    let model = &machine.model;
    for (state, entry) in (0u32..).zip(&model.states) {
        let goes_on = !matches!(entry.rest, Rest::Waits | Rest::Final);
        if !machine.is_reached(state) || !goes_on || !entry.abilities.can_complete {
            continue;
        }
        let Some(list) = model.list_of(state, Cause::Done) else { continue };
        let name = subject.name(entry.id);
        if is_total(machine, state) || model.stays(state) == Stay::Waits {
            proofs.prove(Property::Exhaustive, name);
        } else if let Some(gap) = machine.search.gap(state) {
            let shown = machine.search.way_into(gap);
            let finding = gap_found(machine, list, &gap.values, shown.trace());
            let error_type = Some("no_match".to_owned());
            let expected = Expected::TaskFailed { task: name.clone(), error_type };
            let finding = with_example(subject, machine, finding, &shown, expected, proofs);
            proofs.refute(name, finding);
        } else {
            let reason = why_open(machine, list);
            proofs.findings.push(unsettled(machine, list, &reason));
            proofs.leave_open(Property::Exhaustive, name, reason);
        }
    }
}

/// Why it was not settled whether a transition is open.
fn why_open(machine: &Analysis<'_>, list: &List<'_>) -> String {
    let answer = machine.guards[list.at].as_ref();
    let unknown = answer.and_then(|it| it.unknown.clone());
    let gap = answer.and_then(|it| it.gap.as_ref());
    match (unknown, gap) {
        (Some(reason), _) => reason,
        (None, Some(gap)) => format!("nothing is open with `{gap}`, if that can be"),
        (None, None) => "whether a transition is always open was not settled".to_owned(),
    }
}

fn gap_found(machine: &Analysis<'_>, list: &List<'_>, values: &str, trace: Vec<String>) -> Finding {
    let model = &machine.model;
    let entry = &model.states[list.state as usize];
    let id = &entry.source.task.id;
    let ways = model.ways_of(list);
    let code = Property::Exhaustive.code();
    let problem = match ways.last() {
        Some(last) => {
            let values =
                if values.is_empty() { String::new() } else { format!(" with `{values}`") };
            let message = format!("no transition of `{}` is open{values}", id.value);
            Problem::error(code, last.source.span, message)
                .label("the last transition has a guard too")
                .help("add a last transition without `if`")
        }
        None => {
            let message = format!("nothing leads on when the work of `{}` is done", id.value);
            Problem::error(code, id.span, message)
                .label("the run then fails with `no_match`")
                .help("add `next`")
        }
    };
    Finding { property: Property::Exhaustive, problem, trace, counterexample: None }
}

fn unsettled(machine: &Analysis<'_>, list: &List<'_>, reason: &str) -> Finding {
    let model = &machine.model;
    let id = &model.states[list.state as usize].source.task.id;
    let place = model.ways_of(list).last().map_or(id.span, |it| it.source.span);
    let message = format!("if no guard is true, the run fails in `{}` with `no_match`", id.value);
    let problem = Problem::note(Property::Exhaustive.code(), place, message)
        .label(reason)
        .help("add a last transition without `if`");
    Finding::at(Property::Exhaustive, problem)
}
