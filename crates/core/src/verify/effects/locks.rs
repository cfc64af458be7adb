//! Who waits for a slot that its own holder waits behind.
//!
//! Only an attempt takes a slot, and it waits for nothing while it has it: a task with tasks inside
//! takes none, and a task that waits for a sub-run has given its slot back. So tasks cannot lock
//! each other out. A run does hold the slot of its workflow while it waits for a sub-run.

use super::with::With;
use super::{finding, nodes, with_line};
use crate::definition::{OnLimit, Task, Work};
use crate::plan::NodeId;
use crate::source::{Content, Problem};
use crate::verify::{Finding, Proofs, Property, Subject};

pub(super) fn verify(subject: &Subject<'_>, proofs: &mut Proofs) {
    let mut is_open = false;
    for id in nodes(subject) {
        let task = subject.outline.node(id).task;
        if task.concurrency.is_some() && !takes_a_slot(task) {
            proofs.refute(subject.name(id), without_slot(subject, id));
        }
        match starts_itself(subject, task) {
            Itself::No => {}
            Itself::Perhaps(reason) => {
                is_open = true;
                proofs.leave_open(Property::Locks, subject.name(id), reason);
            }
            Itself::Certainly => {
                is_open = true;
                proofs.refute(subject.name(id), waits_for_itself(subject, id));
            }
        }
    }
    if !is_open {
        proofs.prove(Property::Locks, "");
    }
}

/// Whether the attempts of a task count for its `concurrency`.
pub(super) fn takes_a_slot(task: &Task) -> bool {
    let decided_in_place =
        |kind: &str| matches!(kind, "transform" | "log" | "fail" | "wait" | "signal" | "approval");
    matches!(&task.work, Work::Uses { kind, .. } if !decided_in_place(&kind.value))
}

fn without_slot(subject: &Subject<'_>, id: NodeId) -> Finding {
    let task = subject.outline.node(id).task;
    let span = task.concurrency.as_ref().map_or(task.id.span, |it| it.span);
    let message = format!("the `concurrency` of `{}` limits nothing", subject.name(id));
    let problem = Problem::warning(Property::Locks.code(), span, message);
    let problem = match &task.work {
        Work::Composite(_) => problem
            .label("only the attempts of the tasks inside take slots")
            .help("move it to the tasks inside, or to the top of the definition"),
        Work::Nothing | Work::Uses { .. } => problem
            .label("this kind of task runs no attempt that could take a slot")
            .help("drop it, or move it to the task that acts on the outside"),
    };
    Finding::at(Property::Locks, problem)
}

enum Itself {
    No,
    Perhaps(String),
    Certainly,
}

/// Whether a task waits for a run that waits for the slot of this one.
fn starts_itself(subject: &Subject<'_>, task: &Task) -> Itself {
    let Some(with) = With::of(task).filter(|it| it.kind == "workflow") else { return Itself::No };
    let Some(limits) = subject.definition.concurrency.as_ref().map(|it| &it.value) else {
        return Itself::No;
    };
    let queues = limits.on_limit.as_ref().is_none_or(|it| it.value == OnLimit::Queue);
    let Some(limit) = limits.limit.as_ref().filter(|_| queues && !with.says("wait", false)) else {
        return Itself::No;
    };
    let own = subject.definition.id.value.as_str();
    match with.text("id") {
        None => Itself::Perhaps("which workflow it starts is known only in the run".to_owned()),
        Some(id) if id != own => {
            let known = subject.context.workflows.iter().flatten().filter(|it| it.id == id);
            let comes_back = known.into_iter().any(|it| it.starts.iter().any(|it| it == own));
            let reason = format!("`{id}` starts `{own}` again, and may wait for it");
            if comes_back { Itself::Perhaps(reason) } else { Itself::No }
        }
        Some(_) if limit.value > 1 => {
            Itself::Perhaps(format!("how deep it starts itself; {} runs may go on", limit.value))
        }
        Some(_) if limits.key.is_none() || passes_input_on(&with) => Itself::Certainly,
        Some(_) => Itself::Perhaps("whether the sub-run has the same key".to_owned()),
    }
}

fn passes_input_on(with: &With<'_>) -> bool {
    let whole = |text: &str| text.replace(char::is_whitespace, "") == "${{input}}";
    with.get("input").is_some_and(|it| matches!(&it.content, Content::String(text) if whole(text)))
}

fn waits_for_itself(subject: &Subject<'_>, id: NodeId) -> Finding {
    let own = &subject.definition.id.value;
    let at = With::of(subject.outline.node(id).task).and_then(|it| it.get("id"));
    let span = at.map_or_else(|| subject.span(id), |it| it.span);
    let message =
        format!("the sub-run of `{}` waits for ever for its own parent", subject.name(id));
    let mut problem = Problem::error(Property::Locks.code(), span, message)
        .label("takes the slot that this run holds until the sub-run has ended");
    if let Some(limits) = &subject.definition.concurrency {
        problem = problem.related(limits.span, "one run at a time");
    }
    let problem = problem.help(
        "say `wait: false`, or raise the `limit`, or give sub-runs another `concurrency.key`",
    );
    let trace = vec![
        format!("a run of `{own}` takes the slot of its key"),
        format!(
            "{} starts a sub-run of `{own}` with the same key, and waits",
            with_line(subject, id)
        ),
        "the sub-run waits for the slot".to_owned(),
    ];
    finding(Property::Locks, problem, trace)
}
