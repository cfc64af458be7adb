//! Workflows that start themselves, and whether it is known that they do not. Without anything
//! that could end it, the checks refuse it before.

use std::collections::{HashMap, HashSet};

use super::with::With;
use super::{finding, nodes, with_line};
use crate::check::recursion;
use crate::limits::SUB_RUN_DEPTH_MAX;
use crate::plan::NodeId;
use crate::source::Problem;
use crate::verify::{Finding, Proofs, Property, Subject};

pub(super) fn verify(subject: &Subject<'_>, proofs: &mut Proofs) {
    let known = subject.context.workflows.as_deref().unwrap_or_default();
    let mut starts = HashMap::new();
    for workflow in known {
        let list: &mut Vec<&str> = starts.entry(workflow.id.as_str()).or_default();
        list.extend(workflow.starts.iter().map(String::as_str));
    }
    let mut is_proved = true;
    for id in nodes(subject) {
        let with = With::of(subject.outline.node(id).task).filter(|it| it.kind == "workflow");
        let Some(with) = with else { continue };
        let own = subject.definition.id.value.as_str();
        let name = subject.name(id);
        let cycle = with.text("id").and_then(|it| recursion(own, it, known));
        if let Some(cycle) = cycle {
            is_proved = false;
            proofs.refute(name, starts_itself(subject, id, &with, &cycle));
        } else if let Some(reason) = unpinned(with.text("id"), &starts) {
            is_proved = false;
            proofs.leave_open(Property::Recursion, name, reason);
        }
    }
    if is_proved {
        proofs.prove(Property::Recursion, "");
    }
}

fn starts_itself(subject: &Subject<'_>, id: NodeId, with: &With<'_>, cycle: &[String]) -> Finding {
    let span = with.get("id").map_or_else(|| subject.span(id), |it| it.span);
    let message = format!("this workflow starts itself: {}", cycle.join(" → "));
    let problem =
        Problem::warning(Property::Recursion.code(), span, message).label("leads back here").help(
            format!("make sure that a condition ends it: sub-runs nest {SUB_RUN_DEPTH_MAX} deep"),
        );
    let trace = vec![
        format!("{} starts {}", with_line(subject, id), cycle[1..].join(", which starts ")),
        format!("the sub-run that is {} deep is refused", SUB_RUN_DEPTH_MAX + 1),
    ];
    finding(Property::Recursion, problem, trace)
}

/// Returns why it is not known what starting `first` starts in the end.
fn unpinned(first: Option<&str>, starts: &HashMap<&str, Vec<&str>>) -> Option<String> {
    let Some(first) = first else {
        return Some(
            "unpinned callee: which workflow it starts is known only in the run".to_owned(),
        );
    };
    let (mut seen, mut todo) = (HashSet::from([first]), vec![first]);
    while let Some(id) = todo.pop() {
        let Some(next) = starts.get(id) else {
            return Some(format!("unpinned callee: what `{id}` starts is not known here"));
        };
        todo.extend(next.iter().copied().filter(|it| seen.insert(it)));
    }
    None
}
