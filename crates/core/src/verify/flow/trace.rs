//! A scenario in words, and as steps with names and lines.

use std::collections::HashSet;

use super::circuit::Lit;
use super::encode::is_graph;
use super::{End, Flow, Scenario};
use crate::plan::{NodeId, WorkPlan};
use crate::verify::Subject;

/// Steps that a trace shows; the first and the last matter most.
const STEPS_MAX: usize = 40;

impl Flow {
    /// Returns the tasks that matter to some, and how they end.
    pub(super) fn told(&self, about: &[NodeId], value: impl Fn(Lit) -> bool) -> Scenario {
        let mut matters: HashSet<NodeId> = about.iter().copied().collect();
        let mut todo = about.to_vec();
        while let Some(id) = todo.pop() {
            let before = self.before[id.0 as usize].iter().copied();
            todo.extend(before.filter(|it| matters.insert(*it)));
        }
        let mut matters: Vec<NodeId> = matters.into_iter().collect();
        matters.sort_by_key(|it| (self.encoded.places[it.0 as usize], *it));
        let values = self.encoded.conditions.values(&matters, &value);
        let ends = matters.into_iter().filter_map(|id| {
            let outcomes = self.outcomes(id);
            let end = if !value(outcomes.entered) {
                return None;
            } else if value(outcomes.completes) {
                End::Completed
            } else if value(outcomes.broken) {
                End::Broken
            } else if value(outcomes.fails) {
                End::Failed
            } else {
                End::Skipped
            };
            Some((id, end))
        });
        Scenario { ends: ends.collect(), values }
    }

    /// Writes a scenario as steps.
    pub(super) fn trace(&self, subject: &Subject<'_>, scenario: &Scenario) -> Vec<String> {
        let values = scenario.values.iter().map(|it| it.to_string());
        let steps = scenario.ends.iter().map(|(id, end)| {
            let node = subject.plan.node(*id);
            let what = match end {
                End::Completed => "completes".to_owned(),
                End::Failed => "fails".to_owned(),
                End::Broken => "fails: its condition cannot be evaluated".to_owned(),
                End::Open => "has not ended".to_owned(),
                End::Skipped => format!("is skipped: {}", self.why_skipped(subject, *id, scenario)),
            };
            format!("{} (line {}) {what}", subject.name(*id), node.line)
        });
        let mut lines: Vec<String> = values.chain(steps).collect();
        if lines.len() > STEPS_MAX {
            let left_out = lines.len() - STEPS_MAX;
            let middle = STEPS_MAX / 2;
            lines.splice(middle..middle + left_out, [format!("… {left_out} more")]);
        }
        lines
    }

    /// Says in a few words why a task did not complete.
    pub(super) fn why(&self, subject: &Subject<'_>, id: NodeId, scenario: &Scenario) -> String {
        let name = subject.name(id);
        let end = scenario.ends.iter().find(|it| it.0 == id).map(|it| it.1);
        match end {
            Some(End::Skipped) => {
                format!("`{name}` is skipped if {}", self.why_skipped(subject, id, scenario))
            }
            Some(End::Failed | End::Broken) => format!("`{name}` may fail"),
            Some(End::Completed | End::Open) | None => format!("`{name}` may not have ended"),
        }
    }

    fn why_skipped(&self, subject: &Subject<'_>, id: NodeId, scenario: &Scenario) -> String {
        let plan = subject.plan;
        let node = plan.node(id);
        let first = plan.composite(node.composite).first;
        let needs = node.needs.iter().map(|it| NodeId(first + it));
        let end = |id: NodeId| scenario.ends.iter().find(|it| it.0 == id).map(|it| it.1);
        let is_join_open = needs.clone().all(|it| end(it) == Some(End::Completed));
        match &node.condition {
            Some(condition) if is_join_open => format!("`{}` is false", condition.source()),
            _ => {
                let other =
                    needs.clone().find(|it| end(*it).is_some_and(|it| it != End::Completed));
                match (other, other.and_then(end)) {
                    (Some(other), Some(End::Skipped)) => {
                        format!("`{}` is skipped", subject.name(other))
                    }
                    (Some(other), Some(_)) => format!("`{}` fails", subject.name(other)),
                    _ => "its join is not satisfied".to_owned(),
                }
            }
        }
    }
}

/// Returns what comes right before each task, or starts it: its needs, and the task around it; and
/// what it is made of.
pub(super) fn before(plan: &crate::plan::Plan) -> Vec<Vec<NodeId>> {
    plan.nodes
        .iter()
        .map(|node| {
            let composite = plan.composite(node.composite);
            let needs = node.needs.iter().map(|it| NodeId(composite.first + it));
            let inner = match node.work {
                WorkPlan::Composite(inner) if is_graph(&plan.composite(inner).kind) => {
                    let inner = plan.composite(inner);
                    inner.first..inner.first + inner.len
                }
                _ => 0..0,
            };
            needs.chain(composite.owner).chain(inner.map(NodeId)).collect()
        })
        .collect()
}
