//! Failures that a completed run hides.

use super::Flow;
use super::encode::is_handler;
use crate::definition::{Join, OnFailure};
use crate::plan::{NodeId, WorkPlan, is_built_in};
use crate::simulate::Expected;
use crate::source::Problem;
use crate::verify::Subject;
use crate::verify::finding::{Answer, Finding, Proofs};
use crate::verify::property::Property;

pub(super) fn verify(subject: &Subject<'_>, flow: &Flow, proofs: &mut Proofs) {
    let mut is_proved = true;
    for id in flow.order() {
        flow.ask_about(Property::Failures, "");
        if let Some(cleaner) = hidden_by(subject, id)
            && let Answer::Yes(found) = flow.can_hide(id)
        {
            let scenario = flow.scenario(&found, id);
            is_proved = false;
            let name = subject.name(id);
            let (by, span) = (subject.name(cleaner), subject.span(cleaner));
            let message =
                format!("a failure of `{name}` is hidden: the run completes all the same");
            let problem = Problem::warning(Property::Failures.code(), subject.span(id), message)
                .label("may fail")
                .related(span, format!("`{by}` runs whatever happened, and so accepts the failure"))
                .help(format!(
                    "move `{by}` to `finally`, let it read `tasks.{}.status`, or say `on_failure: continue` on `{name}`",
                    subject.outline.node(id).task.id.value
                ));
            let finding = Finding::at(Property::Failures, problem);
            let finding = flow.confirm(subject, finding, &scenario, Expected::RunCompleted);
            proofs.refute(name, finding);
        }
    }
    if is_proved {
        proofs.prove(Property::Failures, "");
    }
}

/// Returns the task that accepts the failure of another only because it runs in any case, and does
/// not look at how that one ended.
fn hidden_by(subject: &Subject<'_>, id: NodeId) -> Option<NodeId> {
    let plan = subject.plan;
    let node = plan.node(id);
    if node.on_failure == OnFailure::Continue || is_handler(plan, node.composite) {
        return None;
    }
    let first = plan.composite(node.composite).first;
    let mut dependents = node.dependents.iter().map(|it| NodeId(first + it));
    if dependents.clone().any(|it| plan.node(it).join == Join::AnyFailed) {
        return None;
    }
    let cleaners = dependents.clone().filter(|it| plan.node(*it).join == Join::AllDone);
    if cleaners.clone().any(|it| is_given(subject, it) || looks_at(subject, it, &node.id)) {
        return None;
    }
    dependents.find(|it| plan.node(*it).join == Join::AllDone)
}

/// Whether a task is a handler, which is given what its needs gave.
fn is_given(subject: &Subject<'_>, id: NodeId) -> bool {
    match &subject.plan.node(id).work {
        WorkPlan::Uses { kind, .. } => !is_built_in(kind),
        WorkPlan::Nothing | WorkPlan::Composite(_) => false,
    }
}

/// Whether a task, or one inside of it, reads anything of another.
fn looks_at(subject: &Subject<'_>, reader: NodeId, id: &str) -> bool {
    let plan = subject.plan;
    let node = plan.node(reader);
    let reads = |references: Vec<crate::expr::Reference>| {
        references
            .iter()
            .any(|it| it.root == "tasks" && it.segments.first().is_none_or(|first| first == id))
    };
    if node.condition.as_ref().is_some_and(|it| reads(it.references())) {
        return true;
    }
    match &node.work {
        WorkPlan::Nothing => false,
        WorkPlan::Uses { with, .. } => {
            reads(with.references().into_iter().map(|it| it.1).collect())
        }
        WorkPlan::Composite(inner) => {
            let inner = plan.composite(*inner);
            (inner.first..inner.first + inner.len).any(|it| looks_at(subject, NodeId(it), id))
        }
    }
}
