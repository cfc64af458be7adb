//! A task of a graph: when it starts, and what its end means for the others.

use super::{Section, listed, named, section};
use crate::definition::{Join, OnFailure};
use crate::join::{Outcome, SkipCause, Tally, Verdict, decide};
use crate::plan::{CompositeId, CompositeKind, NodeId, Plan};

/// Names that one sentence lists.
const UNDONE_MAX: usize = 8;

pub(super) fn starts(plan: &Plan, id: NodeId) -> Section {
    let node = plan.node(id);
    let first = plan.composite(node.composite).first;
    let needs: Vec<NodeId> = node.needs.iter().map(|it| NodeId(first + it)).collect();
    let mut all = Vec::new();
    if needs.is_empty() {
        all.push(format!("it needs nothing, so it starts when {} starts", around(plan, id)));
    } else {
        let names: Vec<String> = needs.iter().map(|it| named(plan, *it)).collect();
        all.push(format!("it needs {}", listed(&names, "and")));
        all.push(words(node.join).to_owned());
        all.extend(table(node.join, needs.len() as u32));
    }
    if let Some(condition) = &node.condition {
        all.push(format!(
            "then `{}` is asked: if it is false the task is skipped, if it cannot be evaluated the task fails",
            condition.source()
        ));
    }
    section("starts", all)
}

/// What a task is inside of: the run, a handler of the run, or another task.
fn around(plan: &Plan, id: NodeId) -> String {
    let composite = plan.node(id).composite;
    match plan.composite(composite).owner {
        Some(owner) if plan.node(owner).compensate == Some(composite) => {
            format!("the undoing of {}", named(plan, owner))
        }
        Some(owner) => named(plan, owner),
        None if Some(composite) == plan.on_failure => "`on_failure`".to_owned(),
        None if Some(composite) == plan.finally => "`finally`".to_owned(),
        None => "the run".to_owned(),
    }
}

fn words(join: Join) -> &'static str {
    match join {
        Join::AllSuccess => "`all_success`: it starts when all have ended, if all completed",
        Join::NoneFailed => {
            "`none_failed`: it starts when all have ended, if none failed and at least one completed"
        }
        Join::AnySuccess => "`any_success`: it starts as soon as one of them completes",
        Join::AnyFailed => "`any_failed`: it starts when all have ended, if one failed",
        Join::AllDone => "`all_done`: it starts when all have ended, whatever the outcome",
    }
}

/// The rows of the truth table that differ, as the engine's own rules decide them.
fn table(join: Join, needs: u32) -> Vec<String> {
    use Outcome::{Completed, Failed, Skipped};
    let rows = [
        (Completed, "complete", "completes"),
        (Skipped, "are skipped", "is skipped"),
        (Failed, "fail", "fails"),
    ];
    let mut all = Vec::new();
    for (outcome, plural, singular) in rows {
        if needs == 1 {
            all.push((format!("that {singular}"), decided(join, outcome, 1, 1)));
            continue;
        }
        let some = decided(join, outcome, 1, needs);
        let every = decided(join, outcome, needs, needs);
        if outcome != Completed {
            all.push((format!("one {singular} and the others complete"), some));
        }
        all.push((format!("all {plural}"), every));
    }
    all.into_iter().map(|(case, what)| format!("{case}: {what}")).collect()
}

/// What becomes of a task if so many of its needs end like this and the others complete.
fn decided(join: Join, outcome: Outcome, count: u32, needs: u32) -> &'static str {
    let mut tally = Tally::new(needs);
    (0..needs).for_each(|it| {
        tally.record(if it < count { outcome } else { Outcome::Completed });
    });
    match decide(join, &tally) {
        Verdict::Run | Verdict::Wait => "it runs",
        Verdict::Skip(SkipCause::UpstreamFailed) => "it is skipped, for a need failed",
        Verdict::Skip(SkipCause::UpstreamSkipped) => "it is skipped, for a need was skipped",
        Verdict::Skip(SkipCause::NoSuccess) => "it is skipped, for no need completed",
        Verdict::Skip(SkipCause::NoFailure) => "it is skipped, for no need failed",
        Verdict::Skip(SkipCause::Condition | SkipCause::Stopped | SkipCause::ByHand) => {
            "it is skipped"
        }
    }
}

pub(super) fn ends(plan: &Plan, id: NodeId) -> [Section; 3] {
    let node = plan.node(id);
    let then = dependents(plan, id).map(|it| {
        let what = match plan.node(it).join {
            Join::AllSuccess => "may start, if all of its needs completed",
            Join::NoneFailed => "may start, if none of its needs failed and at least one completed",
            Join::AnySuccess => "starts as soon as one of its needs completes",
            Join::AnyFailed => "may start, if one of its needs failed",
            Join::AllDone => "starts when all of its needs have ended, whatever the outcome",
        };
        format!("{} {what}", named(plan, it))
    });
    let undone = node.compensate.map(|it| {
        let undo = named(plan, plan.child(it, 0));
        format!("if the run fails or is cancelled after it completed, {undo} undoes it")
    });
    [
        section("if it fails", failure(plan, id)),
        section("then", then.collect()),
        section("undone", undone.into_iter().collect()),
    ]
}

fn failure(plan: &Plan, id: NodeId) -> Vec<String> {
    let node = plan.node(id);
    if node.on_failure == OnFailure::Continue {
        return vec!["`on_failure: continue`: its graph goes on".to_owned()];
    }
    let of = |wanted: fn(Join) -> bool| -> Vec<String> {
        let all = dependents(plan, id).filter(|it| wanted(plan.node(*it).join));
        all.map(|it| named(plan, it)).collect()
    };
    let accept = of(crate::join::accepts_failure);
    let going = format!("{} goes on", around(plan, id));
    if !accept.is_empty() {
        let runs =
            if accept.len() == 1 { "accepts that: it runs" } else { "accept that: they run" };
        return vec![format!("{} {runs} then, and {going}", listed(&accept, "and"))];
    }
    let hopeful = of(|it| it == Join::AnySuccess);
    let fatal = fatal(plan, node.composite, &around(plan, id));
    if !hopeful.is_empty() {
        let names = listed(&hopeful, "or");
        return vec![format!(
            "{going} as long as {names} may still succeed by another need; after that {fatal}"
        )];
    }
    let mut all = vec![format!("nobody accepts that: {fatal}")];
    all.extend(undoing(plan));
    all
}

/// What the failure of a graph means.
fn fatal(plan: &Plan, composite: CompositeId, around: &str) -> String {
    let fails = format!("{around} fails");
    match plan.composite(composite).kind {
        CompositeKind::Graph { fail_fast: true, .. } => {
            format!(
                "{fails}, what has not started is skipped, and what runs gets some seconds to end"
            )
        }
        _ => format!("{fails}, what has not started is skipped, and what runs may end"),
    }
}

/// What is undone when the run fails.
fn undoing(plan: &Plan) -> Option<String> {
    let all = (0..plan.nodes.len() as u32).map(NodeId);
    let undone: Vec<String> =
        all.filter(|it| plan.node(*it).compensate.is_some()).map(|it| named(plan, it)).collect();
    let shown = &undone[..undone.len().min(UNDONE_MAX)];
    let more = if undone.len() > shown.len() { ", and more" } else { "" };
    (!undone.is_empty()).then(|| {
        format!(
            "if the run fails, what has completed is undone, the last first: {}{more}",
            listed(shown, "and")
        )
    })
}

fn dependents(plan: &Plan, id: NodeId) -> impl Iterator<Item = NodeId> {
    let node = plan.node(id);
    let first = plan.composite(node.composite).first;
    node.dependents.iter().map(move |it| NodeId(first + it))
}
