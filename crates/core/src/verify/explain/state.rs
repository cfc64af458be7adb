//! A state of a machine: how it is entered and left.

use super::{Section, named, section};
use crate::plan::{CompositeKind, NodeId, Plan, StatePlan, TransitionPlan, WorkPlan};

pub(super) fn entered(plan: &Plan, id: NodeId) -> Section {
    let composite = plan.composite(plan.node(id).composite);
    let own = id.0 - composite.first;
    let mut all = Vec::new();
    if matches!(composite.kind, CompositeKind::Machine { initial } if initial == own) {
        let machine = match composite.owner {
            Some(owner) => named(plan, owner),
            None => "the run".to_owned(),
        };
        all.push(format!("when {machine} starts: it is the initial state"));
    }
    for from in (composite.first..composite.first + composite.len).map(NodeId) {
        let Some(state) = &plan.node(from).state else { continue };
        let ways = ways(plan, from, state).into_iter().filter(|it| it.to == own);
        all.extend(ways.map(|it| format!("from {} {}{}", named(plan, from), it.on, guard(it.way))));
    }
    section("entered", all)
}

pub(super) fn left(plan: &Plan, id: NodeId, state: &StatePlan) -> Section {
    if state.is_final {
        return section("left", vec!["never: the machine ends here".to_owned()]);
    }
    let first = plan.composite(plan.node(id).composite).first;
    let ways = ways(plan, id, state);
    let takes_failure = ways.iter().any(|it| it.is_failure);
    let mut all: Vec<String> = ways
        .iter()
        .map(|it| format!("{} to {}{}", it.on, named(plan, NodeId(first + it.to)), guard(it.way)))
        .collect();
    if !matches!(plan.node(id).work, WorkPlan::Nothing) && !takes_failure {
        all.push(
            "if its work fails: the machine fails, for no transition takes `failed`".to_owned(),
        );
    }
    let may_wait = !state.on.is_empty() || !state.after.is_empty();
    if !may_wait && state.next.iter().all(|it| it.condition.is_some()) {
        all.push("if none of these is open: the machine fails with `no_match`".to_owned());
    }
    section("left", all)
}

/// A transition, and what it waits for.
struct Way<'a> {
    on: String,
    to: u32,
    is_failure: bool,
    way: &'a TransitionPlan,
}

/// All ways out of a state, in the order in which they are tried where several are open.
fn ways<'a>(plan: &Plan, id: NodeId, state: &'a StatePlan) -> Vec<Way<'a>> {
    let made =
        |on: String, is_failure, way: &'a TransitionPlan| Way { on, to: way.to, is_failure, way };
    let done = match plan.node(id).work {
        WorkPlan::Nothing => "at once",
        WorkPlan::Uses { .. } | WorkPlan::Composite(_) => "when its work is done",
    };
    let next = state.next.iter().map(|it| made(done.to_owned(), false, it));
    let on = state.on.iter().flat_map(|(event, all)| {
        let is_failure = &**event == "failed";
        let words = match &**event {
            "failed" => "when its work fails".to_owned(),
            "done" => "when its work is done".to_owned(),
            event => format!("on `{event}`"),
        };
        all.iter().map(move |it| made(words.clone(), is_failure, it))
    });
    let after = state.after.iter().flat_map(|(delay, all)| {
        all.iter().map(move |it| made(format!("after {delay}"), false, it))
    });
    next.chain(on).chain(after).collect()
}

fn guard(way: &TransitionPlan) -> String {
    let condition = way.condition.as_ref();
    condition.map(|it| format!(", if `{}` is true", it.source())).unwrap_or_default()
}
