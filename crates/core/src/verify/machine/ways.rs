//! Which states can be entered, which can be left, and from which an end can be reached, now that
//! some ways are known to be closed.

use std::collections::{BTreeMap, VecDeque};

use super::example::with_example;
use super::model::{Cause, Closed, Model, Rest, Way};
use crate::definition::Work;
use crate::simulate::Expected;
use crate::source::{Problem, oxford};
use crate::verify::Subject;
use crate::verify::certificate::Exits;
use crate::verify::finding::{Finding, Proofs};
use crate::verify::property::Property;

use super::{Analysis, NAMES_MAX};

/// Says which states can be entered, and reports those that no way leads to once closed ways are
/// left out. Those that none leads to at all were reported before there was a plan.
pub(super) fn reachability(subject: &Subject<'_>, machine: &Analysis<'_>, proofs: &mut Proofs) {
    let model = &machine.model;
    let targets = |state: u32| {
        let lists = model.lists_of(state).iter().flat_map(|it| model.ways_of(it));
        lists.map(|it| it.to).collect()
    };
    let connected = model.spread([model.initial], targets);
    for (at, entry) in model.states.iter().enumerate() {
        if !connected[at] {
            continue;
        }
        if machine.is_reached(at as u32) {
            reachable(subject, machine, at as u32, proofs);
            continue;
        }
        let id = &entry.source.task.id;
        let into = model.ways.iter().filter(|it| it.to as usize == at && it.from as usize != at);
        let problem = Problem::warning(
            Property::Reachability.code(),
            id.span,
            format!("`{}` is never entered", id.value),
        )
        .label("no transition to it can be taken")
        .help("mend a transition that leads to it, or drop the state");
        let problem = into
            .take(NAMES_MAX)
            .fold(problem, |it, way| it.related(way.source.to.span, why_closed(machine, way)));
        proofs.refute(subject.name(entry.id), Finding::at(Property::Reachability, problem));
    }
}

/// Notes what is known of a state that nothing closes off.
fn reachable(subject: &Subject<'_>, machine: &Analysis<'_>, state: u32, proofs: &mut Proofs) {
    let property = Property::Reachability;
    let model = &machine.model;
    let name = subject.name(model.states[state as usize].id);
    if machine.search.way_to(state).is_none() {
        return proofs.leave_open(
            property,
            name,
            "no way into it was found, and none is ruled out",
        );
    }
    let owner = subject.plan.composite(model.composite).owner;
    let assuming = owner.map(|it| format!("`{}` can run with that input", subject.name(it)));
    proofs.prove_assuming(property, name, assuming.into_iter().collect(), None);
}

/// Says why a way is not taken, for the place where it stands.
fn why_closed(machine: &Analysis<'_>, way: &Way<'_>) -> String {
    let model = &machine.model;
    let from = model.name(way.from);
    match way.closed {
        _ if !machine.is_reached(way.from) => format!("`{from}` is never entered either"),
        Some(Closed::Work) => match model.cause(way) {
            Cause::Failed => format!("the work of `{from}` never fails"),
            _ => format!("the work of `{from}` is never done"),
        },
        Some(Closed::Before) => "one before it is always taken".to_owned(),
        Some(Closed::Inside) => "the event is always taken inside".to_owned(),
        Some(Closed::Guard) | None => match way.guard.as_ref() {
            Some(guard) => format!("`{}` is never true here", guard.expr.source()),
            None => "never taken".to_owned(),
        },
    }
}

/// The states from which an end can be reached over open ways: a final state, or work that can
/// only fail and whose failure nothing takes.
pub(super) fn ending(model: &Model<'_>) -> Vec<bool> {
    let mut before = vec![Vec::new(); model.states.len()];
    for way in model.ways.iter().filter(|it| it.closed.is_none()) {
        before[way.to as usize].push(way.from);
    }
    let is_end = |state: u32| {
        let entry = &model.states[state as usize];
        let fails = !entry.abilities.can_complete && !is_always_caught(model, state);
        entry.rest == Rest::Final && entry.abilities.can_complete || fails
    };
    let ends = (0..model.states.len() as u32).filter(|it| is_end(*it));
    model.spread(ends, |it| before[it as usize].clone())
}

/// From each state that is entered, a transition towards an end. Nothing where a state ends in a
/// way that its definition does not show.
pub(super) fn exits(machine: &Analysis<'_>) -> Option<Exits> {
    let model = &machine.model;
    let is_reached = |it: &u32| machine.is_reached(*it);
    let states = 0..model.states.len() as u32;
    let name = |it: u32| model.name(it).to_owned();
    let is_end = |it: &u32| {
        let entry = &model.states[*it as usize];
        let always_fails =
            matches!(&entry.source.task.work, Work::Uses { kind, .. } if kind.value == "fail");
        entry.rest == Rest::Final || always_fails && !is_always_caught(model, *it)
    };
    let ends: Vec<u32> = states.clone().filter(is_reached).filter(is_end).collect();
    let mut next: BTreeMap<String, String> = BTreeMap::new();
    let mut is_done: Vec<bool> = states.clone().map(|it| ends.contains(&it)).collect();
    let mut todo = VecDeque::from(ends.clone());
    while let Some(to) = todo.pop_front() {
        let into = |it: &&Way<'_>| it.to == to && it.closed.is_none() && is_reached(&it.from);
        for way in model.ways.iter().filter(into) {
            if !std::mem::replace(&mut is_done[way.from as usize], true) {
                next.insert(name(way.from), name(to));
                todo.push_back(way.from);
            }
        }
    }
    let never = states.clone().filter(|it| !is_reached(it)).map(name).collect();
    let is_whole = states.filter(is_reached).all(|it| is_done[it as usize]);
    is_whole.then(|| Exits { next, ends: ends.into_iter().map(name).collect(), never })
}

/// Whether some transition is certainly taken when the work of a state fails.
pub(super) fn is_always_caught(model: &Model<'_>, state: u32) -> bool {
    let failed = model.list_of(state, Cause::Failed);
    failed.is_some_and(|it| model.ways_of(it).iter().any(|it| it.guard.is_none()))
}

/// Reports the states that a run cannot leave, or only for others from which it cannot end.
pub(super) fn traps(subject: &Subject<'_>, machine: &Analysis<'_>, proofs: &mut Proofs) {
    let model = &machine.model;
    let states = (0..model.states.len() as u32).filter(|it| machine.is_reached(*it));
    let caught: Vec<u32> = states.filter(|it| !machine.ending[*it as usize]).collect();
    let subject_name = super::name(subject, model);
    if caught.is_empty() {
        let waits = waited_for(machine);
        let assuming = match &waits[..] {
            [] => Vec::new(),
            some => vec![format!("{} sent where a run waits for it", sent(some))],
        };
        return proofs.prove_assuming(Property::OptionToComplete, subject_name, assuming, None);
    }
    let is_told = |it: &u32| {
        let search = &machine.search;
        search.hot(&[*it]).is_some() || search.stuck(*it).is_some() || search.gap(*it).is_some()
    };
    if caught.iter().any(is_told) {
        // It fails, or waits in vain: that is reported where it happens.
        let reason = "some state fails, or waits in vain, whatever happens".to_owned();
        return proofs.leave_open(Property::OptionToComplete, subject_name, reason);
    }
    let way_to = |it: &u32| Some((*it, machine.search.way_to(*it)?));
    let Some((reached, shown)) = caught.iter().find_map(way_to) else {
        let names: Vec<&str> = caught.iter().map(|it| model.name(*it)).collect();
        let reason = format!("whether {} can be entered was not settled", oxford(&names, "or"));
        return proofs.leave_open(Property::OptionToComplete, subject_name, reason);
    };
    let property = match model.open_ways(reached).next() {
        Some(_) => Property::Termination,
        None => Property::Liveness,
    };
    let finding = trap(machine, reached, &caught, property, shown.trace());
    let state = subject.name(model.states[reached as usize].id);
    let expected = Expected::StateEntered { state, times: 1 };
    let finding = with_example(subject, machine, finding, &shown, expected, proofs);
    let cause = proofs.findings.len();
    proofs.refute(subject_name.clone(), finding);
    proofs.refute_as_well(Property::OptionToComplete, subject_name, cause);
}

fn trap(
    machine: &Analysis<'_>,
    state: u32,
    caught: &[u32],
    property: Property,
    trace: Vec<String>,
) -> Finding {
    let model = &machine.model;
    let id = &model.states[state as usize].source.task.id;
    let message = match property {
        Property::Liveness => format!("nothing ever leads out of `{}`", id.value),
        _ => format!("from `{}` on, the run never ends", id.value),
    };
    let mut problem = Problem::error(property.code(), id.span, message)
        .label("once here, the run never ends")
        .help("add a transition that can be taken, and that leads to a final state");
    let closed = model.ways.iter().filter(|it| caught.contains(&it.from) && it.closed.is_some());
    for way in closed.take(NAMES_MAX) {
        problem = problem.related(way.source.to.span, why_closed(machine, way));
    }
    Finding { property, problem, trace, counterexample: None }
}

/// The events without which a run stays in some state for ever.
fn waited_for<'a>(machine: &Analysis<'a>) -> Vec<&'a str> {
    let model = &machine.model;
    let mut names: Vec<&str> = Vec::new();
    for state in (0..model.states.len() as u32).filter(|it| machine.is_reached(*it)) {
        let ways: Vec<Cause<'_>> = model.open_ways(state).map(|it| model.cause(it)).collect();
        let events = ways.iter().filter_map(|it| match it {
            Cause::Event(name) => Some(*name),
            Cause::Done | Cause::Failed | Cause::After(_) => None,
        });
        if events.clone().count() == ways.len() {
            names.extend(events);
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// `` `submit` or `cancel` is ``, or how many there are.
pub(super) fn sent(names: &[&str]) -> String {
    match names {
        [one] => format!("`{one}` is"),
        some if some.len() <= NAMES_MAX => format!("one of {} is", oxford(some, "and")),
        some => format!("one of {} events is", some.len()),
    }
}
