//! Reads of outputs in a machine: the work that gives one must have been done on every way there.

use std::collections::{BTreeMap, VecDeque};

use super::Analysis;
use super::model::{Cause, Model, Rest, Way};
use super::reads::{Read, completed_if, of_condition, of_template};
use crate::check::Shape;
use crate::definition::{ExprSource, TemplateSource, Work};
use crate::plan::{CompositeId, NodeId, ROOT};
use crate::source::Problem;
use crate::verify::Subject;
use crate::verify::finding::{Finding, Proofs};
use crate::verify::property::Property;

/// States whose outputs are followed at once.
const SET_BITS: usize = 64;

/// A read of a state's output, and where it is evaluated.
struct Place {
    /// The state that is read, and the one that the expression belongs to; none where the machine
    /// has ended.
    read: u32,
    reader: Option<u32>,
    /// Within transitions taken once the work of the reader is done.
    is_after_work: bool,
    /// The transition that it stands in, or whose guard it is.
    way: Option<usize>,
    found: Read,
}

pub(super) fn check(subject: &Subject<'_>, machine: &Analysis<'_>, proofs: &mut Proofs) {
    let model = &machine.model;
    let mut places = Vec::new();
    for state in (0..model.states.len() as u32).filter(|it| machine.is_reached(*it)) {
        of_state(subject, model, state, &mut places);
    }
    if model.composite == ROOT
        && let Some(output) = &subject.definition.output
    {
        let mut reads = Vec::new();
        of_template(output, &mut reads);
        add(subject, model, None, (false, None), reads, &mut places);
    }
    let mut by_state: BTreeMap<u32, Vec<Place>> = BTreeMap::new();
    places.into_iter().for_each(|it| by_state.entry(it.read).or_default().push(it));
    let groups: Vec<(u32, Vec<Place>)> = by_state.into_iter().collect();
    for group in groups.chunks(SET_BITS) {
        let sources: Vec<u32> = group.iter().map(|it| it.0).collect();
        let done = Done::new(machine, &sources);
        for (bit, (read, places)) in group.iter().enumerate() {
            let open: Vec<&Place> = places.iter().filter(|it| !done.at(it, bit)).collect();
            if open.is_empty() {
                proofs.prove(Property::Assigned, subject.name(model.states[*read as usize].id));
            }
            for place in open {
                report(subject, machine, place, proofs);
            }
        }
    }
}

/// Which of some states have certainly done their work, by state that is entered.
struct Done<'m, 'a> {
    machine: &'m Analysis<'a>,
    sources: BTreeMap<&'a str, usize>,
    entered: Vec<u64>,
}

impl<'m, 'a> Done<'m, 'a> {
    fn new(machine: &'m Analysis<'a>, sources: &[u32]) -> Done<'m, 'a> {
        let model = &machine.model;
        let names = sources.iter().enumerate().map(|(bit, it)| (model.name(*it), bit)).collect();
        let entered = vec![u64::MAX; model.states.len()];
        let mut done = Done { machine, sources: names, entered };
        done.entered[model.initial as usize] = 0;
        let mut is_seen = vec![false; model.states.len()];
        is_seen[model.initial as usize] = true;
        let mut queue = VecDeque::from([model.initial]);
        while let Some(state) = queue.pop_front() {
            for way in model.open_ways(state) {
                let to = way.to as usize;
                let joined = done.entered[to] & done.behind(way);
                if joined != done.entered[to] || !is_seen[to] {
                    (done.entered[to], is_seen[to]) = (joined, true);
                    queue.push_back(way.to);
                }
            }
        }
        done
    }

    fn bit(&self, name: &str) -> u64 {
        self.sources.get(name).map_or(0, |it| 1 << it)
    }

    /// What is done once a way was taken.
    fn behind(&self, way: &Way<'a>) -> u64 {
        let model = &self.machine.model;
        let own = if gives_output(model, way) { self.bit(model.name(way.from)) } else { 0 };
        self.entered[way.from as usize] | own | self.assured(way, true)
    }

    /// What the guards of a way make sure of: those before it were false, and its own is true.
    fn assured(&self, way: &Way<'a>, with_own: bool) -> u64 {
        let model = &self.machine.model;
        let list = &model.lists[way.list];
        let mut found = 0;
        for other in model.ways_of(list) {
            let is_own = std::ptr::eq(other, way);
            if let Some(guard) = &other.guard
                && (!is_own || with_own)
            {
                let known = completed_if(guard.expr.ast(), is_own);
                found |= known.iter().fold(0, |set, it| set | self.bit(it));
            }
            if is_own {
                break;
            }
        }
        found
    }

    /// Whether the work is done where it is read.
    fn at(&self, place: &Place, bit: usize) -> bool {
        let model = &self.machine.model;
        let Some(reader) = place.reader else {
            let ends = (0..model.states.len() as u32)
                .filter(|it| self.machine.is_reached(*it))
                .filter(|it| model.states[*it as usize].rest == Rest::Final);
            let set = ends.fold(u64::MAX, |set, it| {
                let work = &model.states[it as usize].source.task.work;
                let own = if matches!(work, Work::Nothing) { 0 } else { self.bit(model.name(it)) };
                set & (self.entered[it as usize] | own)
            });
            return set >> bit & 1 == 1;
        };
        let mut set = self.entered[reader as usize];
        if place.is_after_work {
            set |= self.bit(model.name(reader));
        }
        if let Some(way) = place.way {
            set |= self.assured(&model.ways[way], true);
        }
        set >> bit & 1 == 1
    }
}

/// Whether a state has an output once a way out of it was taken: its work's, or the event's data.
pub(super) fn gives_output(model: &Model<'_>, way: &Way<'_>) -> bool {
    let entry = &model.states[way.from as usize];
    match (model.cause(way), entry.rest) {
        (Cause::Done, _) => !matches!(entry.source.task.work, Work::Nothing),
        (Cause::Event(_), Rest::Waits) => true,
        (Cause::Event(_) | Cause::Failed | Cause::After(_), _) => false,
    }
}

/// Collects what a state, all inside of it, and its transitions read.
fn of_state(subject: &Subject<'_>, model: &Model<'_>, state: u32, places: &mut Vec<Place>) {
    let entry = &model.states[state as usize];
    let mut reads = Vec::new();
    of_node(subject, entry.id, &mut reads);
    add(subject, model, Some(state), (false, None), reads, places);
    let mut reads = Vec::new();
    entry.source.output.iter().for_each(|it| of_template(it, &mut reads));
    add(subject, model, Some(state), (true, None), reads, places);
    for list in model.lists_of(state) {
        for at in list.ways.clone() {
            let mut reads = Vec::new();
            let source = model.ways[at].source;
            source.condition.iter().for_each(|it: &ExprSource| of_condition(it, &mut reads));
            source.set.iter().for_each(|(_, it)| of_template(it, &mut reads));
            if model.ways[at].closed.is_none() {
                let is_done = list.cause == Cause::Done;
                add(subject, model, Some(state), (is_done, Some(at)), reads, places);
            }
        }
    }
}

/// Keeps the reads of states of this machine.
fn add(
    subject: &Subject<'_>,
    model: &Model<'_>,
    reader: Option<u32>,
    (is_after_work, way): (bool, Option<usize>),
    reads: Vec<Read>,
    places: &mut Vec<Place>,
) {
    let level = subject.outline.level(model.composite);
    for found in reads {
        if let Some(read) = level.ids.get(found.task.as_str()) {
            places.push(Place { read: *read, reader, is_after_work, way, found });
        }
    }
}

/// What the work of a node reads of the tasks around it.
fn of_node(subject: &Subject<'_>, id: NodeId, into: &mut Vec<Read>) {
    let placed = subject.outline.node(id);
    let task = placed.task;
    let template = |it: Option<&TemplateSource>, into: &mut Vec<Read>| {
        it.iter().for_each(|it| of_template(it, into));
    };
    task.condition.iter().for_each(|it| of_condition(it, into));
    template(task.for_each.as_ref().map(|it| &it.items), into);
    template(task.concurrency.as_ref().and_then(|it| it.value.key.as_ref()), into);
    if let Some(condition) = task.retry.as_ref().and_then(|it| it.value.condition.as_ref()) {
        of_condition(condition, into);
    }
    match &task.work {
        Work::Uses { with, .. } => template(with.as_ref(), into),
        Work::Nothing | Work::Composite(_) => {}
    }
    if let Some(inner) = placed.work {
        of_composite(subject, inner, into);
    }
    if let Some(undo) = placed.undo {
        let mut reads = Vec::new();
        of_composite(subject, undo, &mut reads);
        // Only what was done is undone.
        into.extend(reads.into_iter().filter(|it| it.task != task.id.value));
    }
}

/// What a composite reads of the tasks around it; its own hide those of the same name.
fn of_composite(subject: &Subject<'_>, id: CompositeId, into: &mut Vec<Read>) {
    let level = subject.outline.level(id);
    let mut reads = Vec::new();
    if let Shape::Machine(machine) = level.shape {
        machine.vars.iter().for_each(|(_, it)| of_template(it, &mut reads));
    }
    for index in 0..level.len {
        let child = subject.outline.child(id, index);
        let first = reads.len();
        of_node(subject, child, &mut reads);
        let sure: Vec<&str> = (subject.outline.node(child).task.condition.iter())
            .flat_map(|it| completed_if(it.expr.ast(), true))
            .collect();
        let mut at = 0;
        reads.retain(|it| {
            at += 1;
            at <= first || !sure.contains(&it.task.as_str())
        });
        let Some(state) = subject.outline.node(child).state else { continue };
        state.output.iter().for_each(|it| of_template(it, &mut reads));
        let on = state.on.iter().map(|(_, it)| it);
        let lists = on.chain(state.after.iter().map(|(_, it)| it)).chain([&state.next]);
        for way in lists.flatten() {
            way.condition.iter().for_each(|it| of_condition(it, &mut reads));
            way.set.iter().for_each(|(_, it)| of_template(it, &mut reads));
        }
    }
    reads.retain(|it| !level.ids.contains_key(it.task.as_str()));
    into.extend(reads);
}

fn report(subject: &Subject<'_>, machine: &Analysis<'_>, place: &Place, proofs: &mut Proofs) {
    let model = &machine.model;
    let read = model.name(place.read);
    let name = subject.name(model.states[place.read as usize].id);
    let Some(trace) = way_around(machine, place) else {
        let reason = format!(
            "`{read}` is done on every way that was found to be open, but not on every one that there may be"
        );
        return proofs.leave_open(Property::Assigned, name, reason);
    };
    let code = Property::Assigned.code();
    let message = format!("`{read}` may have no output here");
    let problem = if place.found.is_field {
        Problem::error(code, place.found.span, message).label("reading a field of it then fails")
    } else {
        Problem::warning(code, place.found.span, message).label("null if its work was not done")
    };
    let problem = problem
        .related(model.states[place.read as usize].source.task.id.span, "the state that is read")
        .help(format!(
            "ask `tasks.{read}.status == \"completed\"` first, or keep the value in a variable with `set`"
        ));
    proofs.refute(
        name,
        Finding { property: Property::Assigned, problem, trace, counterexample: None },
    );
}

/// A shortest way to the reader on which the work was not done. Ways whose guards depend on more
/// than the event or the output of the work are left out: they may exclude each other.
fn way_around(machine: &Analysis<'_>, place: &Place) -> Option<Vec<String>> {
    let model = &machine.model;
    let is_free = |way: &Way<'_>| {
        let list = &model.lists[way.list];
        let mut before =
            model.ways_of(list).iter().filter(|it| it.source.span.start <= way.source.span.start);
        before.all(|it| it.guard.as_ref().is_none_or(|it| it.is_about_cause()))
    };
    let mut came: Vec<Option<&Way<'_>>> = vec![None; model.states.len()];
    let mut seen = vec![false; model.states.len()];
    let mut queue = VecDeque::from([model.initial]);
    seen[model.initial as usize] = true;
    let is_there = |state: u32| match place.reader {
        Some(reader) => state == reader,
        None => model.states[state as usize].rest == Rest::Final && state != place.read,
    };
    while let Some(state) = queue.pop_front() {
        if is_there(state) {
            return Some(super::path(model, &came, state));
        }
        for way in model.open_ways(state) {
            let gives = state == place.read && gives_output(model, way);
            let is_sure = way.guard.as_ref().is_some_and(|it| {
                completed_if(it.expr.ast(), true).contains(&model.name(place.read))
            });
            if !gives && !is_sure && is_free(way) && !seen[way.to as usize] {
                seen[way.to as usize] = true;
                came[way.to as usize] = Some(way);
                queue.push_back(way.to);
            }
        }
    }
    None
}
