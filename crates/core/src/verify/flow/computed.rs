//! Conditions on what the workflow itself computes.
//!
//! In the circuit the output of a `transform`, a group or a list is any value that its expressions
//! may give, whatever they were given. So what is said never to happen never does, but what is said
//! to happen may need a value that is not computed from any input. `tries` shows that it does.

use super::names::{declaring, find, item_owner};
use crate::expr::Reference;
use crate::plan::{NodeId, TaskPlan, WorkPlan};
use crate::verify::Subject;

/// Returns what the condition of a task reads that is computed, in words; nothing if all of it comes
/// from outside.
pub(super) fn computed(subject: &Subject<'_>, id: NodeId) -> Option<String> {
    let condition = subject.plan.node(id).condition.as_ref()?;
    condition.references().iter().find_map(|it| of_reference(subject, id, it))
}

fn of_reference(subject: &Subject<'_>, id: NodeId, reference: &Reference) -> Option<String> {
    let plan = subject.plan;
    match (reference.root.as_str(), &reference.segments[..]) {
        ("tasks", [task, part, ..]) if part == "output" => {
            let target = find(plan, id, task)?;
            computes(plan.node(target)).then(|| format!("what `{}` computes", subject.name(target)))
        }
        ("vars", [name, ..]) => {
            let vars = &plan.composite(declaring(plan, id, name)?).vars;
            let template = &vars.iter().find(|it| it.0 == *name)?.1;
            (!template.is_literal()).then(|| format!("the variable `{name}`, which is computed"))
        }
        ("tasks" | "input" | "run" | "vars" | "secrets" | "error", _) => None,
        (root, _) => {
            let owner = item_owner(plan, id, root)?;
            let items = &plan.node(owner).for_each.as_ref()?.items;
            let is_from_input = |it: &Reference| it.root == "input";
            let whole = items.as_expression().map(|it| it.references());
            let is_plain = items.is_literal()
                || whole.is_some_and(|it| it.len() == 1 && it.iter().all(is_from_input));
            (!is_plain).then(|| format!("`{root}`, whose list is computed"))
        }
    }
}

/// Whether the output of a task follows from what it was given.
fn computes(node: &TaskPlan) -> bool {
    node.for_each.is_some()
        || match &node.work {
            WorkPlan::Composite(_) => true,
            WorkPlan::Uses { kind, with } => &**kind == "transform" && !with.is_literal(),
            WorkPlan::Nothing => false,
        }
}
