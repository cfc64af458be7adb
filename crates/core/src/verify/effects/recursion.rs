//! Workflows that start themselves. The checks report what they know of; this says where nothing
//! of the kind is possible, and where it is not known.

use std::collections::{HashMap, HashSet};

use super::nodes;
use super::with::With;
use crate::verify::{Proofs, Property, Subject};

pub(super) fn verify(subject: &Subject<'_>, proofs: &mut Proofs) {
    let mut starts = HashMap::new();
    for known in subject.context.workflows.iter().flatten() {
        let list: &mut Vec<&str> = starts.entry(known.id.as_str()).or_default();
        list.extend(known.starts.iter().map(String::as_str));
    }
    let mut is_open = false;
    for id in nodes(subject) {
        let with = With::of(subject.outline.node(id).task).filter(|it| it.kind == "workflow");
        let Some(with) = with else { continue };
        if let Some(reason) = doubt(&subject.definition.id.value, with.text("id"), &starts) {
            is_open = true;
            proofs.leave_open(Property::Recursion, subject.name(id), reason);
        }
    }
    if !is_open {
        proofs.prove(Property::Recursion, "");
    }
}

/// Returns why it is not certain that starting `first` does not lead back to `own`.
fn doubt(own: &str, first: Option<&str>, starts: &HashMap<&str, Vec<&str>>) -> Option<String> {
    let Some(first) = first else {
        return Some(
            "unpinned callee: which workflow it starts is known only in the run".to_owned(),
        );
    };
    let (mut seen, mut todo) = (HashSet::from([first]), vec![first]);
    while let Some(id) = todo.pop() {
        if id == own {
            return Some(
                "it leads back here; whether its condition ends that is not known".to_owned(),
            );
        }
        let Some(next) = starts.get(id) else {
            return Some(format!("unpinned callee: what `{id}` starts is not known here"));
        };
        todo.extend(next.iter().copied().filter(|it| seen.insert(it)));
    }
    None
}
