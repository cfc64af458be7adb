//! Waiting: transitions on what never happens, and what a proof takes for granted to come.

use super::example::with_example;
use super::model::{Cause, Closed, List, Model, Rest};
use super::ways::sent;
use super::{Analysis, NAMES_MAX};
use crate::simulate::Expected;
use crate::source::Problem;
use crate::verify::Subject;
use crate::verify::finding::{Finding, Proofs};
use crate::verify::property::Property;

/// Closes the ways on events that a machine inside of a state always takes: of nested machines the
/// innermost is asked first.
pub(super) fn close_shadowed(model: &mut Model<'_>, inner_of: impl Fn(u32) -> Option<Vec<String>>) {
    for list in &model.lists {
        let Cause::Event(name) = list.cause else { continue };
        let state = list.state;
        // Once the inner machine has ended, the state itself may still be waiting.
        let stays =
            model.states[state as usize].abilities.can_complete && !always_moves(model, state);
        let takes = |it: Vec<String>| it.iter().any(|it| it == name);
        if !stays && inner_of(state).is_some_and(takes) {
            let ways = &mut model.ways[list.ways.clone()];
            ways.iter_mut().for_each(|it| it.closed = Some(Closed::Inside));
        }
    }
}

/// Whether a state is left for certain once its work is done.
fn always_moves(model: &Model<'_>, state: u32) -> bool {
    let done = model.list_of(state, Cause::Done);
    done.is_some_and(|it| model.ways_of(it).iter().any(|it| it.guard.is_none()))
}

/// The events that a machine takes in every state that it can be in.
pub(super) fn always_taken(machine: &Analysis<'_>) -> Vec<String> {
    let model = &machine.model;
    let mut common: Option<Vec<String>> = None;
    for state in (0..model.states.len() as u32).filter(|it| machine.is_reached(*it)) {
        if model.states[state as usize].rest == Rest::Final {
            continue;
        }
        let taken = |list: &&List<'_>| model.ways_of(list).iter().any(|it| it.guard.is_none());
        let events = model.lists_of(state).iter().filter(taken).filter_map(|it| match it.cause {
            Cause::Event(name) => Some(name.to_owned()),
            Cause::Done | Cause::Failed | Cause::After(_) => None,
        });
        let events: Vec<String> = events.collect();
        common = Some(match common {
            Some(common) => common.into_iter().filter(|it| events.contains(it)).collect(),
            None => events,
        });
    }
    common.unwrap_or_default()
}

pub(super) fn check(subject: &Subject<'_>, machine: &Analysis<'_>, proofs: &mut Proofs) {
    let model = &machine.model;
    for list in &model.lists {
        let ways = model.ways_of(list);
        let Some(first) = ways.first() else { continue };
        let Some(reason @ (Closed::Work | Closed::Inside)) = first.closed else { continue };
        if machine.is_reached(list.state) {
            proofs.refute(
                subject.name(model.states[list.state as usize].id),
                never(model, list, reason),
            );
        }
    }
    for (state, entry) in (0u32..).zip(&model.states) {
        if machine.is_reached(state) && entry.rest != Rest::Final {
            match machine.search.stuck(state).filter(|_| entry.rest == Rest::Waits) {
                Some(shown) => {
                    let finding = times_pass(machine, state, shown.trace());
                    let finding =
                        with_example(subject, machine, finding, &shown, Expected::Stuck, proofs);
                    proofs.refute(subject.name(entry.id), finding);
                }
                None => waits(subject, machine, state, proofs),
            }
        }
    }
}

/// The times of a state come and go, and nothing else is waited for.
fn times_pass(machine: &Analysis<'_>, state: u32, trace: Vec<String>) -> Finding {
    let id = &machine.model.states[state as usize].source.task.id;
    let message = format!("if no guard is true when its time comes, `{}` waits for ever", id.value);
    let problem = Problem::error(Property::Liveness.code(), id.span, message)
        .label("a time that has passed does not come again")
        .help("add a last transition without `if` to the time");
    Finding { property: Property::Liveness, problem, trace, counterexample: None }
}

fn never(model: &Model<'_>, list: &List<'_>, reason: Closed) -> Finding {
    let entry = &model.states[list.state as usize];
    let id = &entry.source.task.id;
    let first = model.ways_of(list)[0].source;
    let on = entry.source.on.iter().find(|(name, _)| name.value == list.cause.to_string());
    let place = on.map_or(first.span, |(name, _)| name.span);
    let (message, label, help) = match (reason, list.cause) {
        (Closed::Inside, _) => (
            format!("`{}` never reaches `{}`", list.cause, id.value),
            "the machine inside takes this event in each of its states".to_owned(),
            "of nested machines the innermost is asked first: give one of the events another name",
        ),
        (_, Cause::Failed) => (
            format!("the work of `{}` never fails", id.value),
            "this never happens".to_owned(),
            "drop these transitions",
        ),
        _ => (
            format!("the work of `{}` is never done", id.value),
            "this never happens".to_owned(),
            "drop these transitions, or write `on: {failed: …}` for the work that fails",
        ),
    };
    let problem =
        Problem::warning(Property::Liveness.code(), place, message).label(label).help(help);
    Finding::at(Property::Liveness, problem)
}

/// A state that waits is left, given that one of its events is sent.
fn waits(subject: &Subject<'_>, machine: &Analysis<'_>, state: u32, proofs: &mut Proofs) {
    let model = &machine.model;
    let mut events: Vec<&str> = Vec::new();
    let mut is_timed = false;
    for list in model.lists_of(state) {
        let ways = model.ways_of(list);
        match list.cause {
            Cause::Event(name) if ways.iter().any(|it| it.closed.is_none()) => events.push(name),
            Cause::After(_) => is_timed |= ways.iter().any(|it| it.guard.is_none()),
            Cause::Event(_) | Cause::Done | Cause::Failed => {}
        }
    }
    let name = subject.name(model.states[state as usize].id);
    if is_timed {
        proofs.prove(Property::Liveness, name);
    } else if !events.is_empty() {
        let what = if events.len() <= NAMES_MAX { sent(&events) } else { "an event is".to_owned() };
        proofs.prove_assuming(
            Property::Liveness,
            name,
            vec![format!("{what} sent while the run waits in `{}`", model.name(state))],
            None,
        );
    }
}
