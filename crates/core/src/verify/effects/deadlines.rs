//! Time-outs that are out of reach, and runs that cannot end in time; and for the whole run, how
//! long it takes at most.

use super::bounds::{self, ASSUMED};
use super::failing::Failing;
use super::locks::takes_a_slot;
use super::with::With;
use super::{finding, nodes, order, with_line};
use crate::definition::{Join, Timeouts, Work};
use crate::plan::{CompositeId, CompositeKind, NodeId, ROOT, WorkPlan};
use crate::source::{Problem, Span};
use crate::time::Duration;
use crate::verify::{Finding, Proofs, Property, Subject};

const CODE: Property = Property::Deadlines;

pub(super) fn verify(subject: &Subject<'_>, failing: &Failing, proofs: &mut Proofs) {
    let before = proofs.findings.len();
    for id in nodes(subject) {
        out_of_reach(subject, id, proofs);
    }
    too_long(subject, failing, proofs);
    if proofs.findings.len() > before {
        return;
    }
    let run = bounds::of_run(subject);
    let bound = run.text();
    match run.time.and(run.attempts) {
        Ok(_) => {
            let assumed = ASSUMED.iter().map(|it| (*it).to_owned()).collect();
            proofs.prove_assuming(CODE, "", assumed, bound);
        }
        Err(reason) => {
            let known = bound.map(|it| format!(" ({it})")).unwrap_or_default();
            let reason = format!("no bound on the run: {}{known}", reason.reason(subject));
            proofs.leave_open(CODE, "", reason);
        }
    }
}

/// A limit of time that somebody wrote down.
struct Limit {
    what: String,
    length: Duration,
    span: Span,
}

fn out_of_reach(subject: &Subject<'_>, id: NodeId, proofs: &mut Proofs) {
    let task = subject.outline.node(id).task;
    if let Some(own) = &task.timeout {
        match ignored(subject, id, own.span) {
            Some(problem) => return proofs.refute(subject.name(id), problem),
            None => own_limits(subject, id, &own.value, own.span, proofs),
        }
    }
    unreached_attempts(subject, id, proofs);
    let around = ending_around(subject, id);
    let Some((owner, limit, span)) = around else { return };
    for inner in limits(subject, id).into_iter().filter(|it| it.length > limit) {
        let who = owner.map_or("the run".to_owned(), |it| format!("`{}`", subject.name(it)));
        let message = format!(
            "{} of `{}` is out of reach: {who} ends after {limit}",
            inner.what,
            subject.name(id)
        );
        let problem = Problem::warning(CODE.code(), inner.span, message)
            .label(format!("{} is longer than {limit}", inner.length))
            .related(span, "ends it earlier")
            .help("shorten the inner one, or lengthen the outer one");
        proofs.refute(subject.name(id), Finding::at(CODE, problem));
    }
}

/// What waits without an attempt has its time-out in `with`.
fn ignored(subject: &Subject<'_>, id: NodeId, span: Span) -> Option<Finding> {
    let task = subject.outline.node(id).task;
    let kind = With::of(task)?.kind;
    if takes_a_slot(task) || task.for_each.is_some() {
        return None;
    }
    let help = match kind {
        "signal" | "approval" => "write it into `with`, where `on_timeout` says what follows",
        "wait" => "drop it: a `wait` ends by itself",
        _ => "drop it: this kind of task ends at once",
    };
    let message = format!("the `timeout` of `{}` never applies", subject.name(id));
    let problem = Problem::warning(CODE.code(), span, message)
        .label(format!("it is for attempts, and `{kind}` makes none"))
        .help(help);
    Some(Finding::at(CODE, problem))
}

/// Time-outs of one task that another one of the same task always comes before.
fn own_limits(subject: &Subject<'_>, id: NodeId, own: &Timeouts, span: Span, proofs: &mut Proofs) {
    let shadows = [
        ("run", own.run, "total", own.total),
        ("queue", own.queue, "total", own.total),
        ("heartbeat", own.heartbeat, "run", own.run),
        ("heartbeat", own.heartbeat, "total", own.total),
    ];
    for (one, length, other, limit) in shadows {
        let (Some(length), Some(limit)) = (length, limit) else { continue };
        if length <= limit {
            continue;
        }
        let message = format!("`{one}: {length}` of `{}` is out of reach", subject.name(id));
        let problem = Problem::warning(CODE.code(), span, message)
            .label(format!("`{other}: {limit}` comes first"))
            .help(format!("drop `{one}`, or make it shorter than `{other}`"));
        proofs.refute(subject.name(id), Finding::at(CODE, problem));
    }
}

/// Attempts that cannot start, because the delays before them take all the time that there is.
fn unreached_attempts(subject: &Subject<'_>, id: NodeId, proofs: &mut Proofs) {
    let (node, task) = (subject.plan.node(id), subject.outline.node(id).task);
    let (Some(policy), Some(total)) = (&node.retry, node.timeout.total) else { return };
    // Of what both come from the defaults, one word there is enough, and no task is to blame.
    let Some(span) =
        task.retry.as_ref().map(|it| it.span).or(task.timeout.as_ref().map(|it| it.span))
    else {
        return;
    };
    let mut waited = 0u64;
    let mut reached = 1;
    for delay in bounds::delay_list(policy, 0) {
        waited = waited.saturating_add(delay);
        if waited >= total.0 {
            break;
        }
        reached += 1;
    }
    if reached >= policy.max_attempts {
        return;
    }
    let name = subject.name(id);
    let message = format!(
        "only {reached} of {} attempts of `{name}` can start within `total: {total}`",
        policy.max_attempts
    );
    let problem = Problem::warning(CODE.code(), span, message)
        .label(format!(
            "the delays before attempt {} are {} at least",
            reached + 1,
            Duration(waited)
        ))
        .help("lengthen `total`, or shorten `delay`, or say fewer attempts");
    proofs.refute(name, Finding::at(CODE, problem));
}

/// Returns the limits that a task or state itself sets.
fn limits(subject: &Subject<'_>, id: NodeId) -> Vec<Limit> {
    let placed = subject.outline.node(id);
    let mut found = Vec::new();
    let mut add = |what: &str, length: Option<Duration>, span: Span| {
        let limit = |length| Limit { what: what.to_owned(), length, span };
        found.extend(length.map(limit));
    };
    if let Some(own) = &placed.task.timeout {
        add("`timeout`", own.value.run, own.span);
        add("`timeout.total`", own.value.total, own.span);
    }
    if let Some(with) = With::of(placed.task).filter(|it| matches!(it.kind, "signal" | "approval"))
        && let Some((length, span)) = with.duration("timeout")
    {
        add("`timeout`", Some(length), span);
    }
    for (time, _) in placed.state.iter().flat_map(|it| &it.after) {
        add("`after`", Some(time.value), time.span);
    }
    found
}

/// Returns the shortest limit of what is around a task: whose it is, how long, and where.
fn ending_around(subject: &Subject<'_>, id: NodeId) -> Option<(Option<NodeId>, Duration, Span)> {
    let plan = subject.plan;
    let mut found: Vec<(Option<NodeId>, Duration, Span)> = Vec::new();
    let mut outermost = id;
    for it in order::around(plan, id) {
        outermost = it;
        let limits = plan.node(it).timeout;
        let limit = [limits.run, limits.total].into_iter().flatten().min();
        let own = subject.outline.node(it).task.timeout.as_ref().map(|it| it.span);
        if it != id
            && let Some(limit) = limit
        {
            found.push((Some(it), limit, own.unwrap_or_else(|| subject.span(it))));
        }
    }
    if let Some(timeout) = &subject.definition.timeout
        && plan.node(outermost).composite == ROOT
    {
        found.push((None, timeout.value, timeout.span));
    }
    found.into_iter().min_by_key(|it| it.1)
}

/// Reports what certainly takes longer than it may.
fn too_long(subject: &Subject<'_>, failing: &Failing, proofs: &mut Proofs) {
    let plan = subject.plan;
    let mut least = vec![(0, Vec::new()); plan.composites.len()];
    for at in (0..plan.composites.len()).rev() {
        let id = CompositeId(at as u32);
        if matches!(plan.composite(id).kind, CompositeKind::Graph { .. }) {
            least[at] = least_time(subject, failing, id, &least);
        }
        let (least, waits) = &least[at];
        let limit = match plan.composite(id).owner {
            None if id == ROOT => subject.definition.timeout.as_ref().map(|it| (it.value, it.span)),
            None => None,
            Some(owner) => {
                let limits = plan.node(owner).timeout;
                let limit = [limits.run, limits.total].into_iter().flatten().min();
                let own = subject.outline.node(owner).task.timeout.as_ref();
                limit.zip(own.map(|it| it.span))
            }
        };
        let Some((limit, span)) = limit.filter(|it| it.0.0 < *least) else { continue };
        let name = plan.composite(id).owner.map(|it| subject.name(it));
        let who = name.as_ref().map_or("the run".to_owned(), |it| format!("`{it}`"));
        let least = Duration(*least);
        let message = format!("{who} can never complete: it waits {least}, and may take {limit}");
        let mut problem = Problem::error(CODE.code(), span, message)
            .label(format!("shorter than {least}"))
            .help(format!("lengthen it to more than {least}, or wait for less"));
        let mut trace = Vec::new();
        for wait in waits {
            problem = problem.related(subject.span(*wait), "waits");
            trace.push(format!("{} waits", with_line(subject, *wait)));
        }
        trace.push(format!("after {limit} the time-out ends {who}"));
        proofs.refute(name.unwrap_or_default(), finding(CODE, problem, trace));
    }
}

/// Returns the least time that a graph takes if it completes, and the waits that it consists of.
fn least_time(
    subject: &Subject<'_>,
    failing: &Failing,
    id: CompositeId,
    inner: &[(u64, Vec<NodeId>)],
) -> (u64, Vec<NodeId>) {
    let plan = subject.plan;
    let len = plan.composite(id).len as usize;
    // By child: when it is decided at the earliest, and what made it wait so long.
    let mut ends = vec![0u64; len];
    let mut before: Vec<Option<u32>> = vec![None; len];
    let mut certain = vec![false; len];
    for at in order::topological(plan, id) {
        let child = plan.child(id, at);
        let node = plan.node(child);
        let last = match node.join {
            Join::AnySuccess => node.needs.iter().min_by_key(|it| ends[**it as usize]),
            Join::AllSuccess | Join::NoneFailed | Join::AnyFailed | Join::AllDone => {
                node.needs.iter().max_by_key(|it| ends[**it as usize])
            }
        };
        let start = last.map_or(0, |it| ends[*it as usize]);
        // Whether it runs in every run that completes.
        let runs = |it: &u32| {
            let need = plan.child(id, *it);
            certain[*it as usize] && (!failing.may(need) || failing.breaks(need))
        };
        let joins = match node.join {
            Join::AllSuccess | Join::NoneFailed => node.needs.iter().all(runs),
            Join::AllDone => true,
            Join::AnySuccess | Join::AnyFailed => node.needs.is_empty(),
        };
        certain[at as usize] = joins && node.condition.is_none() && node.for_each.is_none();
        let own = if certain[at as usize] { own_wait(subject, child, inner) } else { 0 };
        ends[at as usize] = start.saturating_add(own);
        before[at as usize] = last.copied();
    }
    let mut waits = Vec::new();
    let mut at = (0..len as u32).max_by_key(|it| ends[*it as usize]);
    let least = at.map_or(0, |it| ends[it as usize]);
    while let Some(here) = at {
        at = before[here as usize];
        let start = at.map_or(0, |it| ends[it as usize]);
        if ends[here as usize] > start {
            match &plan.node(plan.child(id, here)).work {
                WorkPlan::Composite(it) => waits.extend(inner[it.0 as usize].1.iter().rev()),
                WorkPlan::Nothing | WorkPlan::Uses { .. } => waits.push(plan.child(id, here)),
            }
        }
    }
    waits.reverse();
    (least, waits)
}

fn own_wait(subject: &Subject<'_>, id: NodeId, inner: &[(u64, Vec<NodeId>)]) -> u64 {
    let task = subject.outline.node(id).task;
    match (&subject.plan.node(id).work, &task.work) {
        (WorkPlan::Composite(it), _) => inner[it.0 as usize].0,
        (_, Work::Uses { kind, .. }) if kind.value == "wait" => {
            With::of(task).and_then(|it| it.duration("for")).map_or(0, |(it, _)| it.0)
        }
        _ => 0,
    }
}
