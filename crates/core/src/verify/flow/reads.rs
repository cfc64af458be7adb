//! Where outputs of tasks are read: only where the task has certainly completed, or where the
//! expression copes with its not having done so.

use std::collections::HashSet;

use super::encode::{is_graph, is_handler};
use super::names::find_from;
use super::{End, Fact, Flow, Found, Scenario};
use crate::check::Role;
use crate::definition::{Join, TemplateSource, Work};
use crate::expr::Reference;
use crate::plan::{CompositeId, NodeId, Plan, ROOT};
use crate::simulate::Expected;
use crate::source::{Problem, Span};
use crate::verify::Subject;
use crate::verify::finding::{Answer, Finding, Proofs};
use crate::verify::property::Property;

pub(super) fn verify(subject: &Subject<'_>, flow: &Flow, proofs: &mut Proofs) {
    let mut reads = Reads { subject, flow, proofs, open: HashSet::new() };
    for at in 0..subject.outline.nodes.len() {
        reads.task(NodeId(at as u32));
    }
    if let Some(output) = &subject.definition.output {
        reads.template(output, Reader::Output);
    }
}

/// Who reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Task(NodeId),
    /// `output` of the definition.
    Output,
}

/// `tasks.ID.output` in an expression.
struct Read {
    target: NodeId,
    reader: Reader,
    /// A field of the output, not the output as a whole, which may be `null`.
    is_field: bool,
    span: Span,
}

struct Reads<'a> {
    subject: &'a Subject<'a>,
    flow: &'a Flow,
    proofs: &'a mut Proofs,
    /// Readers of whom something is not proved.
    open: HashSet<String>,
}

impl Reads<'_> {
    fn task(&mut self, id: NodeId) {
        let placed = self.subject.outline.node(id);
        // What undoes a task is asked about with compensation.
        if matches!(self.subject.outline.level(placed.level).role, Role::Undo(_)) {
            return;
        }
        let task = placed.task;
        let before = self.open.len();
        let with = match &task.work {
            Work::Uses { with, .. } => with.as_ref(),
            Work::Nothing | Work::Composite(_) => None,
        };
        let items = task.for_each.as_ref().map(|it| &it.items);
        let key = task.concurrency.as_ref().and_then(|it| it.value.key.as_ref());
        let mut reads_something = false;
        for source in [with, items, key].into_iter().flatten() {
            reads_something |= self.template(source, Reader::Task(id));
        }
        if reads_something && self.open.len() == before {
            self.proofs.prove(Property::Assigned, self.subject.name(id));
        }
    }

    /// Looks at all reads of a template, and says whether there are any.
    fn template(&mut self, source: &TemplateSource, reader: Reader) -> bool {
        let mut any = false;
        for hole in source.template.expressions() {
            let node = source.node.pointer(&hole.pointer).unwrap_or(&source.node);
            for reference in hole.expr.references() {
                let span = match node.text_start {
                    Some(start) => {
                        let inner = hole.span_in_string(&reference.span);
                        Span::new(start as usize + inner.start, start as usize + inner.end)
                    }
                    None => node.span,
                };
                if let Some(read) = self.read(&reference, reader, span) {
                    any = true;
                    self.check(&read);
                }
            }
        }
        any
    }

    fn read(&self, reference: &Reference, reader: Reader, span: Span) -> Option<Read> {
        let [id, part, rest @ ..] = &reference.segments[..] else { return None };
        if reference.root != "tasks" || part != "output" || reference.guarded {
            return None;
        }
        let plan = self.subject.plan;
        let level = match reader {
            Reader::Task(it) => plan.node(it).composite,
            Reader::Output => ROOT,
        };
        let target = find_from(plan, level, id)?;
        let composite = self.subject.plan.node(target).composite;
        // States are the machines' business.
        if !is_graph(&self.subject.plan.composite(composite).kind) {
            return None;
        }
        Some(Read { target, reader, is_field: !rest.is_empty(), span })
    }

    fn check(&mut self, read: &Read) {
        let name = match read.reader {
            Reader::Task(id) => self.subject.name(id),
            Reader::Output => "output".to_owned(),
        };
        self.flow.ask_about(Property::Assigned, &name);
        match self.missing(read) {
            Answer::No => {}
            Answer::Yes(found) => {
                let plan = self.subject.plan;
                let level = plan.node(read.target).composite;
                let near = match read.reader {
                    Reader::Task(id) => sibling(plan, id, level).unwrap_or(read.target),
                    Reader::Output => read.target,
                };
                let scenario = self.flow.scenario(&found, near);
                self.open.insert(name.clone());
                let finding = self.finding(read, &name, &scenario);
                self.proofs.refute(name, finding);
            }
            Answer::Unknown(reason) => {
                self.open.insert(name.clone());
                self.proofs.leave_open(Property::Assigned, name, reason);
            }
        }
    }

    /// Asks whether the reader can be evaluated while its target has not completed.
    fn missing(&self, read: &Read) -> Answer<Found> {
        let plan = self.subject.plan;
        let level = plan.node(read.target).composite;
        match read.reader {
            Reader::Output => self.flow.can_end_without(read.target),
            Reader::Task(reader) => match sibling(plan, reader, level) {
                Some(near) if may_be_early(plan, near, read.target) => {
                    Answer::Yes(Found::Ends(read.target, End::Open))
                }
                Some(near) => self.flow.can(&[Fact::Runs(near), Fact::NotCompleted(read.target)]),
                // A handler runs whatever became of the main part.
                None if is_handler(plan, plan.node(reader).composite) && !read.is_field => {
                    Answer::No
                }
                None => Answer::Yes(Found::Ends(read.target, End::Failed)),
            },
        }
    }

    fn finding(&self, read: &Read, name: &str, scenario: &Scenario) -> Finding {
        let target = self.subject.name(read.target);
        let id = &self.subject.outline.node(read.target).task.id;
        let what = match read.reader {
            Reader::Task(_) => format!("`{name}` reads the output of `{target}`"),
            Reader::Output => format!("`output` reads the output of `{target}`"),
        };
        let code = Property::Assigned.code();
        let problem = if read.is_field {
            let message = format!("{what}, which may not have completed");
            Problem::error(code, read.span, message).label("there is no such field then: it fails")
        } else {
            let message = format!("{what}, which may not have completed");
            Problem::warning(code, read.span, message).label("it is `null` then")
        };
        let problem = problem
            .related(id.span, self.flow.why(self.subject, read.target, scenario))
            .help(format!(
                "write `default({}, …)`, or run it only if `tasks.{}.status == \"completed\"`",
                self.text(read),
                id.value
            ));
        let expected = match read.reader {
            Reader::Output => Expected::RunFailed { error_type: Some("expression".to_owned()) },
            Reader::Task(_) if read.is_field => Expected::TaskFailed {
                task: name.to_owned(),
                error_type: Some("expression".to_owned()),
            },
            Reader::Task(_) => Expected::TaskCompleted { task: name.to_owned() },
        };
        let finding = Finding::at(Property::Assigned, problem);
        self.flow.confirm(self.subject, finding, scenario, expected)
    }

    fn text(&self, read: &Read) -> String {
        let id = &self.subject.outline.node(read.target).task.id.value;
        match read.is_field {
            true => format!("tasks.{id}.output.…"),
            false => format!("tasks.{id}.output"),
        }
    }
}

/// Returns the task of a composite that a task is, or is within.
pub(super) fn sibling(plan: &Plan, mut id: NodeId, level: CompositeId) -> Option<NodeId> {
    while plan.node(id).composite != level {
        id = plan.composite(plan.node(id).composite).owner?;
    }
    Some(id)
}

/// Whether a task may start before another has ended, though it comes after it: behind an
/// `any_success` that another need satisfied.
pub(super) fn may_be_early(plan: &Plan, reader: NodeId, target: NodeId) -> bool {
    let first = plan.composite(plan.node(reader).composite).first;
    let mut todo = vec![reader];
    let mut seen: HashSet<NodeId> = [reader].into();
    while let Some(id) = todo.pop() {
        let node = plan.node(id);
        // One of several needs is enough for it, and any of them may be the one.
        if node.join == Join::AnySuccess && node.needs.len() > 1 {
            continue;
        }
        for need in node.needs.iter().map(|it| NodeId(first + it)) {
            if need == target {
                return false;
            }
            if seen.insert(need) {
                todo.push(need);
            }
        }
    }
    reader != target
}
