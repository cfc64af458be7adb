//! What a task of a run is called, read off the plan and the state.

use super::event::{ScopeId, TaskId};
use super::state::{RunState, ScopeContent};
use crate::plan::{CompositeId, NodeId, Plan};

/// Returns the part of the plan that a task is made from.
pub(crate) fn node_id(plan: &Plan, state: &RunState, task: TaskId) -> NodeId {
    let scope = state.scope(state.task(task).scope);
    match scope.content {
        ScopeContent::Map { .. } => {
            node_id(plan, state, scope.owner.expect("a map belongs to a task"))
        }
        ScopeContent::Graph | ScopeContent::Machine { .. } => {
            plan.child(CompositeId(scope.composite), task.0 - scope.first)
        }
    }
}

/// Returns the text that names the task for people and in idempotency keys. See `Run::path`.
pub(crate) fn path(plan: &Plan, state: &RunState, task: TaskId) -> String {
    path_of_visit(plan, state, task, state.task(task).visit)
}

/// The same for a visit of a state that may be over: what it left behind keeps its name.
fn path_of_visit(plan: &Plan, state: &RunState, task: TaskId, visit: u32) -> String {
    let own = state.task(task);
    let scope = state.scope(own.scope);
    let id = &plan.node(node_id(plan, state, task)).id;
    if let Some(part) = part_name(plan, state, own.scope) {
        return format!("{part}:{id}");
    }
    let outer = scope.owner.map(|owner| path_of_visit(plan, state, owner, scope.visit));
    match (&scope.content, outer) {
        (ScopeContent::Map { .. }, outer) => {
            format!("{}[{}]", outer.unwrap_or_default(), task.0 - scope.first)
        }
        (ScopeContent::Machine { .. }, outer) if visit > 1 => {
            joined(outer, &format!("{id}#{visit}"))
        }
        (_, outer) => joined(outer, id),
    }
}

/// Returns the name before the colon in paths of what is not the main part.
fn part_name(plan: &Plan, state: &RunState, id: ScopeId) -> Option<String> {
    let scope = state.scope(id);
    let composite = Some(CompositeId(scope.composite));
    match scope.owner {
        Some(owner) => {
            is_undo(plan, state, id).then(|| path_of_visit(plan, state, owner, scope.visit))
        }
        None if composite == plan.on_failure => Some("on_failure".to_owned()),
        None if composite == plan.finally => Some("finally".to_owned()),
        None => None,
    }
}

/// Whether the scope undoes its owner instead of being its work.
pub(super) fn is_undo(plan: &Plan, state: &RunState, id: ScopeId) -> bool {
    let scope = state.scope(id);
    let Some(owner) = scope.owner else { return false };
    plan.node(node_id(plan, state, owner)).compensate == Some(CompositeId(scope.composite))
        && !matches!(scope.content, ScopeContent::Map { .. })
}

fn joined(outer: Option<String>, id: &str) -> String {
    match outer {
        Some(outer) => format!("{outer}.{id}"),
        None => id.to_owned(),
    }
}

/// Returns a path without items and visits: `group[3].review#2` becomes `group.review`.
pub fn bare_path(path: &str) -> String {
    let mut bare = String::with_capacity(path.len());
    let mut skipping = false;
    for it in path.chars() {
        match it {
            '[' | '#' => skipping = true,
            ']' => skipping = false,
            '.' | ':' => {
                skipping = false;
                bare.push(it);
            }
            _ if skipping => {}
            _ => bare.push(it),
        }
    }
    bare
}

/// Returns a path without visits: `review#2[0].check` becomes `review[0].check`.
pub(super) fn without_visits(path: &str) -> String {
    let mut parts = path.split('#');
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|it| it.trim_start_matches(|it: char| it.is_ascii_digit()));
    std::iter::once(first).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::{bare_path, without_visits};

    #[test]
    fn a_path_without_items_and_visits_names_the_task() {
        for (path, bare) in [
            ("pay", "pay"),
            ("reserve[12]", "reserve"),
            ("review#2[1]", "review"),
            ("group[3].review#2.check", "group.review.check"),
            ("pay:compensate", "pay:compensate"),
        ] {
            assert_eq!(bare_path(path), bare);
        }
    }

    #[test]
    fn a_path_without_visits_keeps_its_items() {
        for (path, shorter) in [
            ("pay", "pay"),
            ("review#2", "review"),
            ("review#12[1]", "review[1]"),
            ("group[3].review#2.check#3", "group[3].review.check"),
            ("review#2:undo", "review:undo"),
        ] {
            assert_eq!(without_visits(path), shorter);
        }
    }
}
