//! Unsafe effects that are cut off in the middle: nobody knows whether they happened, a repetition
//! is no answer, and what undoes a task is for completed ones.

use super::act::Act;
use super::failing::Failing;
use super::{finding, nodes, note, order, with_line};
use crate::plan::{CompositeKind, NodeId};
use crate::verify::{Proofs, Property, Subject};

/// Tasks beside one that are asked whether they run at the same time.
const ASKED_MAX: u32 = 256;

pub(super) fn verify(subject: &Subject<'_>, failing: &Failing, proofs: &mut Proofs) {
    for id in nodes(subject) {
        let act = Act::of(subject.outline.node(id).task);
        // Only what the author says is unsafe; nearly everything can be cut off.
        if !act.is_unsafe() || !act.is_declared {
            continue;
        }
        let name = subject.name(id);
        let cut = match subject.definition.finally {
            Some(_) => None,
            None => left_in_the_middle(subject, id).or_else(|| cut_off_by(subject, failing, id)),
        };
        let Some(Cut { who, label, step }) = cut else {
            proofs.prove(Property::Cancellation, name);
            continue;
        };
        let message = format!("`{name}` may be cut off in the middle, and nothing cleans up");
        let mut problem = note(Property::Cancellation.code(), subject.span(id), message)
            .label("after that nobody knows whether it was done")
            .help("add a `finally` that finds out what was done, and puts it right");
        if who != id {
            problem = problem.related(subject.span(who), label);
        }
        let trace = vec![
            format!("{} is running", with_line(subject, id)),
            step,
            format!("`{name}` is asked to end, and dropped after ten seconds"),
        ];
        proofs.refute(name, finding(Property::Cancellation, problem, trace));
    }
}

/// What cuts a task off.
struct Cut {
    who: NodeId,
    label: &'static str,
    step: String,
}

/// A state that is left while its work goes on.
fn left_in_the_middle(subject: &Subject<'_>, id: NodeId) -> Option<Cut> {
    order::around(subject.plan, id).find_map(|who| {
        let state = subject.plan.node(who).state.as_ref()?;
        let event = state.on.iter().find(|(event, _)| !matches!(&**event, "done" | "failed"));
        let name = subject.name(who);
        let step = match (event, state.after.first()) {
            (Some((event, _)), _) => format!("the event `{event}` leaves `{name}`"),
            (None, Some((time, _))) => format!("`{name}` is left after {time}"),
            (None, None) => return None,
        };
        Some(Cut { who, label: "may be left before its work is done", step })
    })
}

/// A task beside it that fails, and with it the graph.
fn cut_off_by(subject: &Subject<'_>, failing: &Failing, id: NodeId) -> Option<Cut> {
    let plan = subject.plan;
    order::around(plan, id).find_map(|it| {
        let id = plan.node(it).composite;
        let composite = plan.composite(id);
        let CompositeKind::Graph { fail_fast: true, .. } = composite.kind else { return None };
        if !order::is_parallel(plan, id) {
            return None;
        }
        let own = it.0 - composite.first;
        let others: Vec<u32> = (0..composite.len.min(ASKED_MAX))
            .filter(|at| *at != own && failing.breaks(plan.child(id, *at)))
            .collect();
        let pairs: Vec<_> = others.iter().flat_map(|at| [(*at, own), (own, *at)]).collect();
        let answers = order::before(plan, id, &pairs);
        let beside = answers.chunks(2).position(|it| !it[0] && !it[1])?;
        let who = plan.child(id, others[beside]);
        let step = format!("{} fails for good", with_line(subject, who));
        Some(Cut { who, label: "if this fails, what runs beside it is cut off", step })
    })
}
