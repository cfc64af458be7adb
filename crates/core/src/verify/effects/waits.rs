//! Tasks that wait for somebody: whether the wait can end.

use super::with::With;
use super::{finding, nodes, order, with_line};
use crate::plan::{NodeId, Plan, ROOT};
use crate::source::{Problem, Span};
use crate::verify::{Finding, Proofs, Property, Subject};

pub(super) fn verify(subject: &Subject<'_>, proofs: &mut Proofs) {
    for id in nodes(subject) {
        let Some(with) = With::of(subject.outline.node(id).task) else { continue };
        match with.kind {
            "signal" => signal(subject, id, &with, proofs),
            "approval" => approval(subject, id, &with, proofs),
            _ => {}
        }
    }
}

fn signal(subject: &Subject<'_>, id: NodeId, with: &With<'_>, proofs: &mut Proofs) {
    let name = subject.name(id);
    if with.is_expression() {
        let reason = "whether it has a time-out is known only in the run";
        return proofs.leave_open(Property::Liveness, name, reason);
    }
    if with.get("timeout").is_some() || is_bounded(subject.plan, id) {
        return proofs.prove(Property::Liveness, name);
    }
    let signal = with.text("name").map_or("its signal".to_owned(), |it| format!("`{it}`"));
    let at = with.get("name").map_or_else(|| subject.span(id), |it| it.span);
    let message = format!("`{name}` waits for ever if nobody sends {signal}");
    let problem = Problem::warning(Property::Liveness.code(), at, message)
        .label("no time-out here, nor around it")
        .help("add `timeout: 24h`, and `on_timeout: continue` if the run should go on without it");
    let trace = vec![
        format!("{} waits for {signal}", with_line(subject, id)),
        "nobody sends it, so the run never ends".to_owned(),
    ];
    proofs.refute(name, finding(Property::Liveness, problem, trace));
}

fn approval(subject: &Subject<'_>, id: NodeId, with: &With<'_>, proofs: &mut Proofs) {
    let name = subject.name(id);
    if with.is_expression() {
        let reason = "who may decide is known only in the run";
        return proofs.leave_open(Property::Liveness, name, reason);
    }
    if let Some(problem) = too_few(subject, id, with) {
        return proofs.refute(name, problem);
    }
    let mut assumed = Vec::new();
    // A person who takes a time to answer is what an approval is for.
    if with.get("timeout").is_none() && !is_bounded(subject.plan, id) {
        assumed.push(format!("somebody decides `{name}`"));
    }
    proofs.prove_assuming(Property::Liveness, name, assumed, None);
}

/// Finds approvals for which those who may decide are not enough.
fn too_few(subject: &Subject<'_>, id: NodeId, with: &With<'_>) -> Option<Finding> {
    let users = with.texts("users").filter(|it| !it.is_empty())?;
    // Whoever it escalates to may decide as well.
    if with.get("escalate").is_some() {
        return None;
    }
    let groups =
        with.get("groups").is_some() && with.texts("groups").is_none_or(|it| !it.is_empty());
    if groups {
        return None;
    }
    let mut distinct = users.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let (quorum, count) = (with.number("quorum").unwrap_or(1), distinct.len() as u64);
    let name = subject.name(id);
    let span = |key: &str| with.get(key).map_or_else(Span::default, |it| it.span);
    let code = Property::Liveness.code();
    let people =
        |count: u64| if count == 1 { "one person".to_owned() } else { format!("{count} people") };
    let problem = if quorum > count {
        let message = format!(
            "`{name}` can never be approved: it takes {quorum} approvals of {}",
            people(count)
        );
        Problem::warning(code, span("quorum"), message)
            .label("more than there are")
            .related(span("users"), "who may approve it")
            .help("lower `quorum`, or name more `users` or `groups`")
    } else if with.says("deny_self", true) && quorum == count {
        let message =
            format!("`{name}` cannot be approved in a run that one of its `users` starts");
        Problem::warning(code, span("deny_self"), message)
            .label(format!(
                "leaves {} to give {quorum}",
                people(count - 1).replace("0 people", "nobody")
            ))
            .related(span("users"), "who may approve it")
            .help("name more `users` or `groups`")
    } else {
        return None;
    };
    let trace = vec![format!("{} waits for more approvals than can come", with_line(subject, id))];
    Some(finding(Property::Liveness, problem, trace))
}

/// Whether a time-out around a task ends it. That of the run is for its main part.
pub(super) fn is_bounded(plan: &Plan, id: NodeId) -> bool {
    let mut outermost = id;
    for around in order::around(plan, id) {
        outermost = around;
        let node = plan.node(around);
        // A task that waits has no time-out of its own, but that of a whole `for_each` holds.
        let holds = around != id || node.for_each.is_some();
        let limited = node.timeout.run.is_some() || node.timeout.total.is_some();
        if holds && limited || node.state.as_ref().is_some_and(|it| !it.after.is_empty()) {
            return true;
        }
    }
    plan.timeout.is_some() && plan.node(outermost).composite == ROOT
}
