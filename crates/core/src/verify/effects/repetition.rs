//! Effects that a repeated attempt has twice: by `retry` of the task or of one around it, or
//! because the process ended before it knew that the work was done.

use super::act::Act;
use super::{finding, nodes, note, order, with_line};
use crate::plan::{NodeId, takes_defaults};
use crate::source::{Problem, Span};
use crate::verify::{Finding, Proofs, Property, Subject};

pub(super) fn verify(subject: &Subject<'_>, proofs: &mut Proofs) {
    for id in nodes(subject) {
        let task = subject.outline.node(id).task;
        let kind = super::with::With::of(task).map(|it| it.kind);
        if !takes_defaults(kind) {
            continue;
        }
        let act = Act::of(task);
        if act.is_unsafe() {
            proofs.refute(subject.name(id), repeated(subject, id, &act));
            continue;
        }
        let (name, property) = (subject.name(id), Property::RetrySafety);
        match (act.effect, kind) {
            (Some(_), _) if act.is_declared => {
                let assumed = format!("`effect` of `{name}` says what it does");
                proofs.prove_assuming(property, name, vec![assumed], None);
            }
            (Some(crate::definition::Effect::Keyed), Some("http" | "emit")) => {
                let assumed = format!("who answers `{name}` heeds the idempotency key");
                proofs.prove_assuming(property, name, vec![assumed], None);
            }
            (Some(_), _) => proofs.prove(property, name),
            (None, Some("sql" | "file")) => {
                let reason = "what it does when it is repeated depends on the data";
                proofs.leave_open(property, name, reason);
            }
            (None, kind) => {
                let kind = kind.unwrap_or_default();
                let assumed = format!("the handler `{kind}` heeds the idempotency key");
                proofs.prove_assuming(property, name, vec![assumed], None);
            }
        }
    }
}

fn repeated(subject: &Subject<'_>, id: NodeId, act: &Act) -> Finding {
    let (code, name) = (Property::RetrySafety.code(), subject.name(id));
    let here = with_line(subject, id);
    let span = effect_span(subject, id);
    let Some((attempts, at, who)) = repeater(subject, id) else {
        let message = format!("`{name}` is done twice if the process ends before it is recorded");
        let trace = vec![
            format!("{here} does its work, and the process ends"),
            "the attempt is lost, so it is repeated".to_owned(),
        ];
        let problem = note(code, span, message).label(act.why).help(act.mend);
        return finding(Property::RetrySafety, problem, trace);
    };
    let (whose, fails) = match who == id {
        true => (String::new(), "its first attempt fails all the same".to_owned()),
        false => {
            let who = subject.name(who);
            (format!(" of `{who}`"), format!("`{who}` fails later on"))
        }
    };
    let message = format!("`{name}` may be done twice: up to {attempts} attempts{whose}");
    let trace = vec![
        format!("{here} does its work, and {fails}"),
        format!("the next attempt{whose} does it again: {}", act.why),
    ];
    let help = format!("{}, or say `retry: 1`", act.mend);
    let mut problem = Problem::warning(code, span, message).label(act.why).help(help);
    if at != span && at != Span::default() {
        problem = problem.related(at, "repeated by this");
    }
    finding(Property::RetrySafety, problem, trace)
}

/// Where it is told what the task does.
fn effect_span(subject: &Subject<'_>, id: NodeId) -> Span {
    let task = subject.outline.node(id).task;
    match (&task.effect, &task.work) {
        (Some(effect), _) => effect.span,
        (None, crate::definition::Work::Uses { kind, .. }) => kind.span,
        (None, _) => task.id.span,
    }
}

/// Returns who repeats the task, how often at most, and where that is said.
fn repeater(subject: &Subject<'_>, id: NodeId) -> Option<(u32, Span, NodeId)> {
    order::around(subject.plan, id).find_map(|it| {
        let attempts = subject.plan.node(it).retry.as_ref()?.max_attempts;
        let own = subject.outline.node(it).task.retry.as_ref().map(|it| it.span);
        let general = subject.definition.defaults.retry.as_ref().map(|it| it.span);
        (attempts > 1).then(|| (attempts, own.or(general).unwrap_or_default(), it))
    })
}
