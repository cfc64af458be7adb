//! What stays behind when a run fails: effects that nothing undoes, of tasks after which something
//! can still fail.

use super::act::Act;
use super::failing::Failing;
use super::{Hooks, finding, nodes, note, order, with_line};
use crate::check::Shape;
use crate::definition::Effect;
use crate::plan::{CompositeId, NodeId, Plan, StatePlan};
use crate::source::Problem;
use crate::verify::{Answer, Finding, Proofs, Property, Subject};

/// Tasks that are asked about, for one effect, until one is found that may fail after it.
const WITNESSES_MAX: usize = 16;
/// Tasks of one graph, later in order than all that may fail, for which everything before them is
/// looked at.
const WALKS_MAX: usize = 64;

pub(super) fn verify(
    subject: &Subject<'_>,
    failing: &Failing,
    hooks: &Hooks<'_>,
    proofs: &mut Proofs,
) {
    let undoes = subject.outline.nodes.iter().any(|it| it.undo.is_some());
    let mut levels = Levels::new(subject, failing);
    for id in nodes(subject) {
        let act = Act::of(subject.outline.node(id).task);
        let is_main = order::around(subject.plan, id)
            .last()
            .is_some_and(|it| subject.plan.node(it).composite == crate::plan::ROOT);
        if !act.commits() || !is_main {
            continue;
        }
        let name = subject.name(id);
        if order::around(subject.plan, id).any(|it| subject.outline.node(it).undo.is_some()) {
            proofs.prove(Property::Saga, name);
            continue;
        }
        let Some(after) = levels.after(id) else {
            let reason = format!("more than {WALKS_MAX} tasks come after all others");
            proofs.leave_open(Property::Saga, name, reason);
            continue;
        };
        let mut unknown = (after.len() > WITNESSES_MAX)
            .then(|| format!("more than {WITNESSES_MAX} tasks may fail after it"));
        let found = after.into_iter().take(WITNESSES_MAX).find(|fails| {
            match (hooks.may_fail_after)(id, *fails) {
                _ if *fails == id => true,
                Answer::Yes(()) => true,
                Answer::No => false,
                Answer::Unknown(reason) => {
                    unknown.get_or_insert(reason);
                    false
                }
            }
        });
        match (found, unknown) {
            (Some(fails), _) => {
                let is_meant = undoes || act.is_declared;
                let mut finding = left_behind(subject, id, fails, act.effect, is_meant);
                if fails != id {
                    finding.counterexample = (hooks.not_undone)(id, fails);
                }
                proofs.refute(name, finding);
            }
            (None, Some(reason)) => proofs.leave_open(Property::Saga, name, reason),
            (None, None) => proofs.prove(Property::Saga, name),
        }
    }
}

fn left_behind(
    subject: &Subject<'_>,
    id: NodeId,
    fails: NodeId,
    effect: Option<Effect>,
    is_meant: bool,
) -> Finding {
    let (code, name, other) = (Property::Saga.code(), subject.name(id), subject.name(fails));
    let task = subject.outline.node(id).task;
    let message = format!("`{name}` is not undone when the run fails");
    let mut problem = match is_meant {
        true => Problem::warning(code, task.id.span, message),
        false => note(code, task.id.span, message),
    };
    let id_of = &task.id.value;
    problem = match effect {
        Some(Effect::Unsafe) => problem.label("what it did stays"),
        _ => problem.label("what it did stays, and a new run does it again"),
    };
    let mut trace = Vec::new();
    if fails == id {
        problem = problem.help(format!(
            "put it into `tasks` with a `compensate` of its own, or say `on_item_failure: continue` \
             on `{id_of}`"
        ));
        trace.push(format!(
            "an item of {} completes, and what it did stays",
            with_line(subject, id)
        ));
        trace.push("another item fails for good".to_owned());
    } else {
        problem = problem.related(subject.span(fails), "if this fails for good").help(format!(
            "add `compensate` to `{id_of}`, or do it last, or say `on_failure: continue` on `{}`",
            subject.outline.node(fails).task.id.value
        ));
        let attempts = subject.plan.node(fails).retry.as_ref().map_or(1, |it| it.max_attempts);
        trace.push(format!("{} completes, and what it did stays", with_line(subject, id)));
        trace.push(match attempts {
            1 => format!("{} fails", with_line(subject, fails)),
            most => format!("{} fails, {most} of {most} attempts", with_line(subject, fails)),
        });
    }
    trace.push(format!("the run fails because of `{other}`, and nothing undoes `{name}`"));
    finding(Property::Saga, problem, trace)
}

/// Finds, level by level, what may fail after a task. What is computed for a level is kept.
struct Levels<'s> {
    subject: &'s Subject<'s>,
    failing: &'s Failing,
    known: std::collections::HashMap<CompositeId, Level>,
}

/// One composite: where its children stand, and which failing ones come behind each.
struct Level {
    place: Vec<u32>,
    /// The children whose failure fails the composite, by place.
    breaking: Vec<u32>,
    /// By child: a failing child that it leads to.
    behind: Vec<Option<u32>>,
    is_machine: bool,
    /// Walks that were made.
    walks: usize,
}

impl<'s> Levels<'s> {
    fn new(subject: &'s Subject<'s>, failing: &'s Failing) -> Levels<'s> {
        Levels { subject, failing, known: std::collections::HashMap::new() }
    }

    /// Returns tasks whose failure after this one has completed fails the run, the best first;
    /// None if it would take too long to find out.
    fn after(&mut self, id: NodeId) -> Option<Vec<NodeId>> {
        let (plan, failing) = (self.subject.plan, self.failing);
        let mut found = Vec::new();
        for around in order::around(plan, id) {
            let composite = plan.node(around).composite;
            if !failing.decides(composite) {
                continue;
            }
            if plan.node(around).for_each.is_some() && failing.breaks(around) {
                found.push(id);
            }
            let index = around.0 - plan.composite(composite).first;
            let subject = self.subject;
            let level = self
                .known
                .entry(composite)
                .or_insert_with(|| Level::new(subject, failing, composite));
            let children = level.failing_after(plan, composite, index)?;
            found.extend(children.into_iter().map(|it| plan.child(composite, it)));
            if !found.is_empty() {
                break;
            }
        }
        Some(found)
    }
}

impl Level {
    fn new(subject: &Subject<'_>, failing: &Failing, composite: CompositeId) -> Level {
        let plan = subject.plan;
        let is_machine = matches!(subject.outline.level(composite).shape, Shape::Machine(_));
        let next = |it: u32| successors(plan, composite, it, is_machine);
        let len = plan.composite(composite).len;
        let breaks = |it: u32| failing.breaks(plan.child(composite, it));
        let mut before = vec![Vec::new(); len as usize];
        (0..len).for_each(|it| next(it).iter().for_each(|to| before[*to as usize].push(it)));
        // Backwards from what fails, breadth first, so that the nearest one is found.
        let mut behind: Vec<Option<u32>> = vec![None; len as usize];
        let mut todo: std::collections::VecDeque<(u32, u32)> =
            (0..len).filter(|it| breaks(*it)).map(|it| (it, it)).collect();
        while let Some((at, fails)) = todo.pop_front() {
            for from in &before[at as usize] {
                if behind[*from as usize].is_none() {
                    behind[*from as usize] = Some(fails);
                    todo.push_back((*from, fails));
                }
            }
        }
        let order = if is_machine { Vec::new() } else { order::topological(plan, composite) };
        let mut place = vec![0; len as usize];
        order.iter().enumerate().for_each(|(at, it)| place[*it as usize] = at as u32);
        let breaking = order.iter().copied().filter(|it| breaks(*it)).collect();
        Level { breaking, place, behind, is_machine, walks: 0 }
    }

    /// Returns what may fail after a child has completed; None if that was asked too often.
    fn failing_after(
        &mut self,
        plan: &Plan,
        composite: CompositeId,
        index: u32,
    ) -> Option<Vec<u32>> {
        let mut found: Vec<u32> = self.behind[index as usize].into_iter().collect();
        if self.is_machine {
            return Some(found);
        }
        // What comes later in the order is not before it, whatever else it is.
        let own = self.place[index as usize];
        let later = self.breaking.partition_point(|it| self.place[*it as usize] <= own);
        found.extend(self.breaking[later..].iter().copied().take(WITNESSES_MAX));
        if found.is_empty() && !self.breaking.is_empty() {
            if self.walks == WALKS_MAX {
                return None;
            }
            self.walks += 1;
            found.extend(self.beside(plan, composite, index));
        }
        Some(found)
    }

    /// Returns what may fail and is not before a task: a walk over all that is before it.
    fn beside(&self, plan: &Plan, composite: CompositeId, index: u32) -> Vec<u32> {
        let mut is_before = vec![false; self.place.len()];
        let mut todo = vec![index];
        while let Some(at) = todo.pop() {
            for need in &plan.node(plan.child(composite, at)).needs {
                if !std::mem::replace(&mut is_before[*need as usize], true) {
                    todo.push(*need);
                }
            }
        }
        let beside = |it: &u32| *it != index && !is_before[*it as usize];
        self.breaking.iter().copied().filter(beside).collect()
    }
}

fn successors(plan: &Plan, composite: CompositeId, index: u32, is_machine: bool) -> Vec<u32> {
    let node = plan.node(plan.child(composite, index));
    match &node.state {
        Some(state) if is_machine => targets(state),
        _ => node.dependents.to_vec(),
    }
}

/// Returns the states that a state may lead to.
pub(super) fn targets(state: &StatePlan) -> Vec<u32> {
    let on = state.on.iter().flat_map(|(_, list)| list);
    let after = state.after.iter().flat_map(|(_, list)| list);
    on.chain(after).chain(&state.next).map(|it| it.to).collect()
}
