//! Whether what undoes a task can run: the outputs that it reads are there, and it is tried more
//! than once.

use std::collections::HashMap;

use super::{Hooks, finding, nodes, note, order, with_line};
use crate::check::Shape;
use crate::definition::{Join, Task, TemplateSource, Work};
use crate::expr::{Hole, Reference};
use crate::plan::{CompositeId, NodeId, Plan, WorkPlan, takes_defaults};
use crate::source::{Problem, Span};
use crate::verify::{Answer, Finding, Proofs, Property, Subject};

/// Tasks read by other tasks' `compensate` for which it is worked out when they are there.
const READS_MAX: usize = 256;

pub(super) fn verify(subject: &Subject<'_>, hooks: &Hooks<'_>, proofs: &mut Proofs) {
    let mut certain = Certain { plan: subject.plan, known: HashMap::new() };
    for owner in nodes(subject) {
        let Some(undo) = subject.outline.node(owner).task.compensate.as_deref() else { continue };
        let before = proofs.findings.len();
        let mut unknown = None;
        for read in reads(undo) {
            match check(subject, hooks, &mut certain, owner, &read) {
                Answer::Yes(problem) => proofs.refute(subject.name(owner), problem),
                Answer::No => {}
                Answer::Unknown(reason) => unknown = Some(reason),
            }
        }
        tried_once(subject, owner, undo, proofs);
        match unknown {
            _ if proofs.findings.len() > before => {}
            None => proofs.prove(Property::Compensation, subject.name(owner)),
            Some(reason) => {
                proofs.leave_open(Property::Compensation, subject.name(owner), reason);
            }
        }
    }
}

/// An output, or a field of one, that `compensate` reads and needs.
struct Read {
    task: String,
    text: String,
    span: Span,
    /// The expression also looks whether the task has completed.
    asks_status: bool,
    /// Of an output that is not there, a field is an error, and the whole is null.
    is_field: bool,
}

fn reads(undo: &Task) -> Vec<Read> {
    let Work::Uses { with: Some(with), .. } = &undo.work else { return Vec::new() };
    let mut found = Vec::new();
    for hole in with.template.expressions() {
        let references = hole.expr.references();
        for it in references.iter().filter(|it| is_output(it)) {
            let task = it.segments[0].clone();
            let asks = |other: &&Reference| {
                other.root == "tasks"
                    && other.segments.first() == Some(&task)
                    && other.segments.get(1).is_some_and(|it| it == "status")
            };
            found.push(Read {
                asks_status: references.iter().any(|it| asks(&it)),
                is_field: it.segments.len() > 2,
                text: format!("tasks.{}", it.segments.join(".")),
                span: place(with, hole, it),
                task,
            });
        }
    }
    found
}

fn is_output(it: &Reference) -> bool {
    it.root == "tasks" && !it.guarded && it.segments.get(1).is_some_and(|it| it == "output")
}

fn place(with: &TemplateSource, hole: &Hole, reference: &Reference) -> Span {
    let node = with.node.pointer(&hole.pointer).unwrap_or(&with.node);
    let range = hole.span_in_string(&reference.span);
    match node.text_start {
        Some(start) => Span::new(start as usize + range.start, start as usize + range.end),
        None => node.span,
    }
}

fn check(
    subject: &Subject<'_>,
    hooks: &Hooks<'_>,
    certain: &mut Certain<'_>,
    owner: NodeId,
    read: &Read,
) -> Answer<Finding> {
    let plan = subject.plan;
    // The names of the composites around, from the inside out.
    let named = order::around(plan, owner).find_map(|it| {
        let composite = plan.node(it).composite;
        let index = plan.composite(composite).ids.get(read.task.as_str())?;
        Some((composite, it.0 - plan.composite(composite).first, *index))
    });
    let Some((composite, reader, index)) = named else { return Answer::No };
    let target = plan.child(composite, index);
    if target == owner {
        let is_map = plan.node(owner).for_each.is_some();
        return if is_map { Answer::Yes(of_an_item(subject, owner, read)) } else { Answer::No };
    }
    if !read.is_field {
        return Answer::No;
    }
    if matches!(subject.outline.level(composite).shape, Shape::Machine(_)) {
        return Answer::Unknown(format!("whether `{}` was ever visited by then", read.task));
    }
    match certain.completes(composite, index, reader) {
        Some(true) => return Answer::No,
        Some(false) => {}
        None => return Answer::Unknown(format!("more than {READS_MAX} tasks are read")),
    }
    if read.asks_status {
        return Answer::Unknown(format!("`{}` depends on a status", read.text));
    }
    match (hooks.may_miss)(owner, target) {
        Answer::Yes(()) => Answer::Yes(missing(subject, owner, target, read)),
        Answer::No => Answer::No,
        Answer::Unknown(reason) => Answer::Unknown(reason),
    }
}

fn missing(subject: &Subject<'_>, owner: NodeId, target: NodeId, read: &Read) -> Finding {
    let name = subject.name(owner);
    let message = format!("`{name}` cannot be undone where `{}` has not completed", read.task);
    let problem = Problem::error(Property::Compensation.code(), read.span, message)
        .label("there may be no output by then")
        .related(subject.span(target), format!("`{}` may be skipped", read.task))
        .help(format!(
            "read the output of `{}` itself, or write `default({}, …)`",
            subject.outline.node(owner).task.id.value,
            read.text
        ));
    let trace = vec![
        format!("{} is skipped", with_line(subject, target)),
        format!("{} completes", with_line(subject, owner)),
        "the run fails".to_owned(),
        format!("`{name}:compensate` fails: there is no `{}`", read.text),
    ];
    finding(Property::Compensation, problem, trace)
}

fn of_an_item(subject: &Subject<'_>, owner: NodeId, read: &Read) -> Finding {
    let name = subject.name(owner);
    let message = format!("`{}` is not the output of the item that is undone", read.text);
    let problem = Problem::warning(Property::Compensation.code(), read.span, message)
        .label("each item is undone by itself; this is the list of all outputs")
        .help(format!(
            "put the work of `{}` into `tasks`, as one task with this `compensate`",
            subject.outline.node(owner).task.id.value
        ));
    let trace = vec![
        format!("an item of {} completes, another one fails", with_line(subject, owner)),
        format!("`{name}[0]:compensate` reads the outputs of all items, of which there are none"),
    ];
    finding(Property::Compensation, problem, trace)
}

fn tried_once(subject: &Subject<'_>, owner: NodeId, undo: &Task, proofs: &mut Proofs) {
    let plan = subject.plan;
    let Some(inner) = plan.node(owner).compensate else { return };
    let node = plan.node(plan.child(inner, 0));
    let WorkPlan::Uses { kind, .. } = &node.work else { return };
    if !takes_defaults(Some(kind)) || node.retry.as_ref().is_some_and(|it| it.max_attempts > 1) {
        return;
    }
    let name = subject.name(owner);
    let message = format!("what undoes `{name}` is tried once");
    let span = match &undo.work {
        Work::Uses { kind, .. } => kind.span,
        Work::Nothing | Work::Composite(_) => undo.span,
    };
    let problem = note(Property::Compensation.code(), span, message)
        .label("if this fails, somebody must look after it")
        .help("add `retry: 5` to `compensate`, or `retry` to `defaults`");
    proofs.refute(name, Finding::at(Property::Compensation, problem));
}

/// Which children of a graph have certainly completed when others run.
struct Certain<'a> {
    plan: &'a Plan,
    /// By graph and child: for each child, whether that one has completed when it runs.
    known: HashMap<(CompositeId, u32), Vec<bool>>,
}

impl Certain<'_> {
    /// None beyond the limit.
    fn completes(&mut self, composite: CompositeId, target: u32, reader: u32) -> Option<bool> {
        if self.known.len() >= READS_MAX && !self.known.contains_key(&(composite, target)) {
            return None;
        }
        let plan = self.plan;
        let known = self
            .known
            .entry((composite, target))
            .or_insert_with(|| certain(plan, composite, target));
        Some(known[reader as usize])
    }
}

fn certain(plan: &Plan, composite: CompositeId, target: u32) -> Vec<bool> {
    let mut known = vec![false; plan.composite(composite).len as usize];
    for at in order::topological(plan, composite) {
        let node = plan.node(plan.child(composite, at));
        let mut needs = node.needs.iter().map(|it| *it == target || known[*it as usize]);
        known[at as usize] = match node.join {
            Join::AllSuccess => needs.any(|it| it),
            // One of them has completed, whichever.
            Join::NoneFailed | Join::AnySuccess => !node.needs.is_empty() && needs.all(|it| it),
            Join::AnyFailed | Join::AllDone => false,
        };
    }
    known
}
