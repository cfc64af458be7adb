//! How the work of a task can end, as far as its kind tells.

use crate::expr::Template;
use crate::plan::{NodeId, Plan, WorkPlan};

/// Whether the work of a task can end in success, and in failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub success: bool,
    pub failure: bool,
}

impl Ends {
    pub const EITHER: Ends = Ends { success: true, failure: true };
    const SUCCESS: Ends = Ends { success: true, failure: false };
    const FAILURE: Ends = Ends { success: false, failure: true };
}

/// Returns how the work of a task that is not a graph can end. Errs on the side of more ends.
pub(super) fn ends(plan: &Plan, id: NodeId) -> Ends {
    let node = plan.node(id);
    let may_fail_before = node.for_each.is_some()
        || node.timeout.total.is_some()
        || node.timeout.run.is_some()
        || node.timeout.queue.is_some();
    match &node.work {
        WorkPlan::Nothing if !may_fail_before => Ends::SUCCESS,
        WorkPlan::Nothing | WorkPlan::Composite(_) => Ends::EITHER,
        WorkPlan::Uses { kind, with } => {
            let of_kind = of_kind(kind, with);
            Ends { failure: of_kind.failure || may_fail_before, ..of_kind }
        }
    }
}

fn of_kind(kind: &str, with: &Template) -> Ends {
    let is_literal = with.expressions().next().is_none();
    match kind {
        "fail" => Ends::FAILURE,
        "transform" | "log" | "wait" if is_literal => Ends::SUCCESS,
        _ => Ends::EITHER,
    }
}
