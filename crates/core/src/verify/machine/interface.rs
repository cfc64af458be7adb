//! What tasks and composites can do, seen from outside: complete, and fail. Where it cannot be
//! told, they can.

use serde_json::Value as Json;

use super::Analysis;
use super::condition::Environment;
use super::model::{Cause, Model, Rest, Stay, Way};
use crate::definition::{Join, OnFailure};
use crate::expr::ast::NodeKind;
use crate::expr::{Budget, Expr, Template};
use crate::plan::{CompositeId, NodeId, TaskPlan, WorkPlan};
use crate::verify::Subject;

/// How the work of a task or state can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abilities {
    pub can_complete: bool,
    pub can_fail: bool,
}

/// How a composite can end.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub can_complete: bool,
    pub can_fail: bool,
    /// The final states that a machine can end in; none for a graph.
    pub ends: Vec<NodeId>,
}

impl Interface {
    pub fn abilities(&self) -> Abilities {
        Abilities { can_complete: self.can_complete, can_fail: self.can_fail }
    }

    /// How a graph can end: as a rule either way.
    pub fn of_graph(
        subject: &Subject<'_>,
        composite: CompositeId,
        children: &[Abilities],
    ) -> Interface {
        let first = subject.plan.composite(composite).first;
        let nodes = (first..).map(|it| subject.plan.node(NodeId(it)));
        let tasks = children.iter().zip(nodes);
        let accepts = |node: &TaskPlan| {
            let joins = node.dependents.iter().map(|it| subject.plan.node(NodeId(first + it)).join);
            node.on_failure == OnFailure::Continue
                || joins
                    .into_iter()
                    .any(|it| matches!(it, Join::AnyFailed | Join::AllDone | Join::AnySuccess))
        };
        let surely_fails = |(can, node): (&Abilities, &TaskPlan)| {
            !can.can_complete && node.needs.is_empty() && node.condition.is_none() && !accepts(node)
        };
        let may_fail = |(can, node): (&Abilities, &TaskPlan)| {
            can.can_fail && node.on_failure == OnFailure::Fail
        };
        Interface {
            can_complete: !tasks.clone().any(surely_fails),
            can_fail: tasks.clone().any(may_fail),
            ends: Vec::new(),
        }
    }
}

/// How the work of one task can end, given how the composites inside of it can.
pub(super) fn abilities(
    subject: &Subject<'_>,
    id: NodeId,
    inside: impl Fn(CompositeId) -> Abilities,
) -> Abilities {
    let node = subject.plan.node(id);
    let mut found = match &node.work {
        WorkPlan::Nothing => Abilities { can_complete: true, can_fail: false },
        WorkPlan::Composite(inner) => inside(*inner),
        WorkPlan::Uses { kind, with } => kind_abilities(kind, with),
    };
    if let Some(each) = &node.for_each {
        // Nothing is done for the items of an empty list.
        found.can_complete = true;
        found.can_fail |= !is_certain(&each.items);
    }
    let is_limited = node.timeout != Default::default() || node.concurrency.is_some();
    found.can_fail |= is_limited && matches!(node.work, WorkPlan::Composite(_));
    found.can_fail |= node.condition.as_ref().is_some_and(|it| !is_certain_expr(it));
    found
}

fn kind_abilities(kind: &str, with: &Template) -> Abilities {
    let literal = with.is_literal().then(|| constant(with)).flatten();
    let text = |name: &str| literal.as_ref().and_then(|it| it.get(name)).and_then(Json::as_str);
    let has = |name: &str| literal.as_ref().is_some_and(|it| it.get(name).is_some());
    let can_fail = match kind {
        "fail" => return Abilities { can_complete: false, can_fail: true },
        "transform" | "log" => !is_certain(with),
        _ if literal.is_none() => true,
        "wait" => false,
        "signal" => has("timeout") && text("on_timeout") != Some("continue"),
        "approval" => {
            let fails_late = has("timeout") && text("on_timeout") == Some("fail");
            text("on_reject") != Some("continue") || fails_late
        }
        _ => true,
    };
    Abilities { can_complete: true, can_fail }
}

/// How a machine can end, given what is known of it.
pub(super) fn of_machine(machine: &Analysis<'_>) -> Interface {
    let model = &machine.model;
    let reached = (0..model.states.len() as u32).filter(|it| machine.is_reached(*it));
    let ends: Vec<NodeId> = (reached.clone())
        .map(|it| &model.states[it as usize])
        .filter(|it| it.rest == Rest::Final && it.abilities.can_complete)
        .map(|it| it.id)
        .collect();
    let starts = model.values.iter().all(|it| is_certain(it));
    let can_fail = !starts
        || super::loops::has_hot(machine)
        || reached.into_iter().any(|it| may_fail_in(machine, it));
    Interface { can_complete: !ends.is_empty(), can_fail, ends }
}

fn may_fail_in(machine: &Analysis<'_>, state: u32) -> bool {
    let model = &machine.model;
    let entry = &model.states[state as usize];
    let Some(env) = &machine.invariant[state as usize] else { return false };
    let is_caught = super::ways::is_always_caught(model, state);
    let has_gap = entry.abilities.can_complete
        && !matches!(entry.rest, Rest::Waits | Rest::Final)
        && model.stays(state) != Stay::Waits
        && !super::choices::is_total(machine, state);
    let output_fails = entry.source.output.as_ref().is_some_and(|it| !is_certain(&it.template));
    let fails = |way: &Way<'_>| {
        // A guard that fails refuses an event; anywhere else it fails the machine.
        let is_event = matches!(model.cause(way), Cause::Event(_));
        let guard_fails = way.guard.as_ref().is_some_and(|it| model.variables.truth(it, env).fails);
        !is_event && guard_fails || way.set.iter().any(|(_, it)| !is_written(model, env, it))
    };
    entry.abilities.can_fail && !is_caught
        || has_gap
        || output_fails
        || model.open_ways(state).any(fails)
}

/// Whether a value of `set` can certainly be computed.
fn is_written(model: &Model<'_>, env: &Environment, template: &Template) -> bool {
    let steps = |(at, step): (usize, i64)| {
        let (min, max) = env[at].bounds()?;
        Some(min?.checked_add(step).is_some() && max?.checked_add(step).is_some())
    };
    is_certain(template) || model.variables.step(template).and_then(steps) == Some(true)
}

/// The value of a template without expressions.
pub(super) fn constant(template: &Template) -> Option<Json> {
    let nothing = serde_json::Map::new();
    template.eval(&nothing, &Budget::default()).ok()
}

/// Whether evaluating a template cannot fail.
pub(super) fn is_certain(template: &Template) -> bool {
    template.expressions().all(|it| is_certain_expr(&it.expr))
}

/// Only what is certain at a glance: constants, and names that are always there.
fn is_certain_expr(expr: &Expr) -> bool {
    match &expr.ast().kind {
        NodeKind::Literal(_) => true,
        NodeKind::Name(_) => true,
        NodeKind::Select(select) => match &select.operand.kind {
            NodeKind::Name(root) => &*root.name == "vars",
            NodeKind::Select(task) => {
                let is_task =
                    matches!(&task.operand.kind, NodeKind::Name(it) if &*it.name == "tasks");
                is_task && matches!(&*select.field, "output" | "status" | "error")
            }
            _ => false,
        },
        _ => false,
    }
}
