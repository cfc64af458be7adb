//! Which tasks may fail, and whether their failure fails what is around them.

use super::with::With;
use crate::check::Shape;
use crate::definition::{Join, OnFailure, OnItemFailure, State};
use crate::plan::{CompositeId, NodeId, WorkPlan};
use crate::verify::Subject;

pub(super) struct Failing {
    /// By task: the task may fail.
    may: Vec<bool>,
    /// By task: it may fail, and then the composite that it stands in fails.
    breaks: Vec<bool>,
    /// By composite: if it fails, the run fails.
    decides: Vec<bool>,
}

impl Failing {
    pub fn new(subject: &Subject<'_>) -> Failing {
        let (nodes, composites) = (subject.plan.nodes.len(), subject.plan.composites.len());
        let mut failing = Failing {
            may: vec![false; nodes],
            breaks: vec![false; nodes],
            decides: vec![false; composites],
        };
        // From the inside out: what is inside a task comes after it in the list.
        for at in (0..nodes).rev() {
            let id = NodeId(at as u32);
            failing.may[at] = failing.may_fail(subject, id);
            failing.breaks[at] = failing.may[at] && !is_accepted(subject, id);
        }
        for at in 0..composites {
            let composite = subject.plan.composite(CompositeId(at as u32));
            failing.decides[at] = match composite.owner {
                None => at == 0,
                Some(owner) => {
                    !super::order::undoes(subject.plan, CompositeId(at as u32), owner)
                        && failing.breaks[owner.0 as usize]
                        && failing.decides[subject.plan.node(owner).composite.0 as usize]
                }
            };
        }
        failing
    }

    pub fn may(&self, id: NodeId) -> bool {
        self.may[id.0 as usize]
    }

    pub fn breaks(&self, id: NodeId) -> bool {
        self.breaks[id.0 as usize]
    }

    /// Whether the run fails if this composite does. Handlers and what undoes tasks do not decide.
    pub fn decides(&self, id: CompositeId) -> bool {
        self.decides[id.0 as usize]
    }

    fn may_fail(&self, subject: &Subject<'_>, id: NodeId) -> bool {
        let node = subject.plan.node(id);
        if node.for_each.as_ref().is_some_and(|it| it.on_item_failure == OnItemFailure::Continue) {
            return false;
        }
        match &node.work {
            WorkPlan::Nothing => false,
            WorkPlan::Composite(inner) => {
                let composite = subject.plan.composite(*inner);
                let children = composite.first..composite.first + composite.len;
                children.map(NodeId).any(|it| self.breaks(it))
            }
            WorkPlan::Uses { .. } => {
                With::of(subject.outline.node(id).task).is_some_and(|it| kind_fails(&it))
            }
        }
    }
}

/// Mistakes in expressions apart, which the types of the data mostly rule out.
fn kind_fails(with: &With<'_>) -> bool {
    match with.kind {
        "transform" | "log" | "wait" => false,
        "signal" => with.get("timeout").is_some() && with.text("on_timeout") != Some("continue"),
        "approval" => {
            let on_timeout = with.text("on_timeout");
            with.text("on_reject") != Some("continue") || on_timeout == Some("fail")
        }
        _ => true,
    }
}

/// Whether the failure of a task leaves its composite alive.
fn is_accepted(subject: &Subject<'_>, id: NodeId) -> bool {
    let node = subject.plan.node(id);
    let placed = subject.outline.node(id);
    if let Shape::Machine(_) = subject.outline.level(placed.level).shape {
        return placed.state.is_some_and(catches);
    }
    let first = subject.plan.composite(node.composite).first;
    node.on_failure == OnFailure::Continue
        || node.dependents.iter().any(|it| {
            let join = subject.plan.node(NodeId(first + it)).join;
            matches!(join, Join::AnyFailed | Join::AllDone | Join::AnySuccess)
        })
}

/// Whether a state goes on when its work has failed.
fn catches(state: &State) -> bool {
    let on_failed = state.on.iter().filter(|(event, _)| event.value == "failed");
    on_failed.flat_map(|(_, list)| list).any(|it| it.condition.is_none())
}
