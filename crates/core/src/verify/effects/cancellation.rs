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
        let Some((cause, who)) = cut else {
            proofs.prove(Property::Cancellation, name);
            continue;
        };
        let message = format!("`{name}` may be cut off in the middle, and nothing cleans up");
        let problem = note(Property::Cancellation.code(), subject.span(id), message)
            .label("after that nobody knows whether it was done")
            .related(subject.span(who), cause.clone())
            .help("add a `finally` that looks what was done, or say `fail_fast: false`");
        let trace = vec![
            format!("{} is running", with_line(subject, id)),
            format!("{}: {cause}", with_line(subject, who)),
            format!("`{name}` is asked to end, and dropped after ten seconds"),
        ];
        proofs.refute(name, finding(Property::Cancellation, problem, trace));
    }
}

/// A state that is left while its work goes on.
fn left_in_the_middle(subject: &Subject<'_>, id: NodeId) -> Option<(String, NodeId)> {
    order::around(subject.plan, id).find_map(|it| {
        let state = subject.plan.node(it).state.as_ref()?;
        let event = state.on.iter().find(|(event, _)| !matches!(&**event, "done" | "failed"));
        let by_event = event.map(|(event, _)| format!("the event `{event}` leaves the state"));
        let by_time = || state.after.first().map(|(it, _)| format!("the state is left after {it}"));
        Some((by_event.or_else(by_time)?, it))
    })
}

/// A task beside it that fails, and with it the graph.
fn cut_off_by(subject: &Subject<'_>, failing: &Failing, id: NodeId) -> Option<(String, NodeId)> {
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
        Some(("fails, and with it all beside it".to_owned(), plan.child(id, others[beside])))
    })
}
