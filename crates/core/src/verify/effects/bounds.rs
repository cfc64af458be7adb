//! How long everything takes at most, and how many attempts it makes at most: the longest way
//! through every graph and every machine without loops, retries and their delays included.

use std::collections::HashMap;
use std::sync::Arc;

use super::order;
use super::saga::targets;
use super::with::With;
use super::with_line;
use crate::plan::{CompositeId, CompositeKind, NodeId, Plan, ROOT, RetryPlan, StatePlan, WorkPlan};
use crate::retry;
use crate::source::Content;
use crate::time::Duration;
use crate::verify::Subject;

/// What every bound takes for granted.
pub(super) const ASSUMED: [&str; 3] = [
    "attempts end when their time is up or they are asked to",
    "slots are free, and no server asks for a longer delay with `Retry-After`",
    "the process does not end in between, and nobody pauses the run",
];

/// Why there is no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unbounded {
    NoTimeout(NodeId),
    /// It waits for somebody, or for a time that is known only in the run.
    Wait(NodeId),
    SubRun(NodeId),
    Items(NodeId),
    /// A state that only an event leaves.
    Event(NodeId),
    Loop(CompositeId),
}

impl Unbounded {
    pub fn reason(self, subject: &Subject<'_>) -> String {
        match self {
            Unbounded::NoTimeout(id) => format!("{} has no time-out", with_line(subject, id)),
            Unbounded::Wait(id) => format!("{} waits as long as it takes", with_line(subject, id)),
            Unbounded::SubRun(id) => {
                format!("{} waits for a sub-run without a time-out", with_line(subject, id))
            }
            Unbounded::Items(id) => {
                format!("the number of items of {} is not known", with_line(subject, id))
            }
            Unbounded::Event(id) => {
                format!("{} waits for an event without `after`", with_line(subject, id))
            }
            Unbounded::Loop(id) => match subject.plan.composite(id).owner {
                Some(owner) => format!("{} may go round", with_line(subject, owner)),
                None => "the machine may go round".to_owned(),
            },
        }
    }
}

type Bounded = Result<u64, Unbounded>;

/// A bound on time (milliseconds) and one on attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub time: Bounded,
    pub attempts: Bounded,
}

impl Bound {
    const NOTHING: Bound = Bound { time: Ok(0), attempts: Ok(0) };

    fn then(self, next: Bound) -> Bound {
        Bound { time: sum(self.time, next.time), attempts: sum(self.attempts, next.attempts) }
    }

    /// As many times, one after the other.
    fn times(self, count: Bounded) -> Bound {
        Bound { time: product(self.time, count), attempts: product(self.attempts, count) }
    }

    fn capped(self, limit: Option<Duration>) -> Bound {
        let Some(limit) = limit else { return self };
        Bound { time: Ok(self.time.map_or(limit.0, |it| it.min(limit.0))), ..self }
    }
}

fn sum(one: Bounded, other: Bounded) -> Bounded {
    Ok(one?.saturating_add(other?))
}

/// Nothing takes no time, however often.
fn product(one: Bounded, other: Bounded) -> Bounded {
    if one == Ok(0) || other == Ok(0) {
        return Ok(0);
    }
    Ok(one?.saturating_mul(other?))
}

/// Returns the bound of the whole run, its handlers and what undoes tasks included.
pub(super) fn of_run(subject: &Subject<'_>) -> Bound {
    let composites = vec![Bound::NOTHING; subject.plan.composites.len()];
    let mut work = Work { subject, composites, delays: HashMap::new() };
    // From the inside out: a composite inside of another comes after it in the list.
    for at in (0..work.composites.len()).rev() {
        work.composites[at] = work.composite(CompositeId(at as u32));
    }
    work.run()
}

impl Bound {
    /// Says it in words; None if there is nothing to say.
    pub fn text(&self) -> Option<String> {
        let attempts = self.attempts.ok().filter(|it| *it > 0).map(|it| match it {
            1 => "1 attempt".to_owned(),
            more => format!("{more} attempts"),
        });
        let time = self.time.ok().map(|it| Duration(it).to_string());
        let parts: Vec<String> = attempts.into_iter().chain(time).collect();
        (!parts.is_empty()).then(|| format!("at most {}", parts.join(", ")))
    }
}

struct Work<'s> {
    subject: &'s Subject<'s>,
    composites: Vec<Bound>,
    /// All delays of a policy together. Tasks that say nothing themselves share one.
    delays: HashMap<*const RetryPlan, u64>,
}

impl Work<'_> {
    fn run(&self) -> Bound {
        let plan = self.subject.plan;
        let main = self.composites[ROOT.0 as usize].capped(plan.timeout);
        let handlers = plan.on_failure.into_iter().chain(plan.finally);
        let mut run = handlers.fold(main, |it, next| it.then(self.composites[next.0 as usize]));
        for at in 0..plan.nodes.len() as u32 {
            let id = NodeId(at);
            if let Some(undo) = plan.node(id).compensate {
                run = run.then(self.composites[undo.0 as usize].times(self.completions(id)));
            }
        }
        run
    }

    /// Returns how often a task completes at most: what undoes it runs for each time.
    fn completions(&self, id: NodeId) -> Bounded {
        let plan = self.subject.plan;
        let mut count: Bounded = Ok(1);
        for around in order::around(plan, id) {
            let node = plan.node(around);
            if node.for_each.is_some() {
                count = product(count, self.items(around));
            }
            if around != id {
                let attempts = node.retry.as_ref().map_or(1, |it| u64::from(it.max_attempts));
                count = product(count, Ok(attempts));
            }
            if node.state.is_some() && has_loop(plan, node.composite) {
                return Err(Unbounded::Loop(node.composite));
            }
        }
        count
    }

    fn composite(&mut self, id: CompositeId) -> Bound {
        match self.subject.plan.composite(id).kind {
            CompositeKind::Graph { max_parallel, .. } => self.graph(id, max_parallel),
            CompositeKind::Machine { initial } => self.machine(id, initial),
        }
    }

    /// The longest way through a graph. Where not all tasks may run at once, no order of them takes
    /// longer than what they take together, spread over the places, and the longest way once more
    /// (Graham's bound for list scheduling).
    fn graph(&mut self, id: CompositeId, max_parallel: Option<u32>) -> Bound {
        let plan = self.subject.plan;
        let order = order::topological(plan, id);
        let mut ends: Vec<Bounded> = vec![Ok(0); order.len()];
        let (mut all, mut longest): (Bound, Bounded) = (Bound::NOTHING, Ok(0));
        for at in order {
            let task = self.task(plan.child(id, at));
            let needs = &plan.node(plan.child(id, at)).needs;
            let start = needs.iter().map(|it| ends[*it as usize]).fold(Ok(0), later);
            let end = sum(start, task.time);
            ends[at as usize] = end;
            longest = later(longest, end);
            all = all.then(task);
        }
        let places = u64::from(max_parallel.unwrap_or(u32::MAX));
        let time = match (longest, all.time) {
            (Ok(longest), Ok(all)) if places < ends.len() as u64 => {
                Ok(all.div_ceil(places).saturating_add(longest - longest / places))
            }
            (longest, _) => longest,
        };
        Bound { time, attempts: all.attempts }
    }

    fn machine(&mut self, id: CompositeId, initial: u32) -> Bound {
        let plan = self.subject.plan;
        let Some(order) = acyclic_order(plan, id) else {
            let looping = Err(Unbounded::Loop(id));
            return Bound { time: looping, attempts: looping };
        };
        // Backwards: the longest way from each state to an end.
        let mut left = vec![Bound::NOTHING; order.len()];
        for at in order.into_iter().rev() {
            let state = plan.child(id, at);
            let stay = self.stay(state);
            let next = plan.node(state).state.as_ref().map_or_else(Vec::new, |it| targets(it));
            let rest = next.iter().map(|it| left[*it as usize]).fold(Bound::NOTHING, |a, b| {
                Bound { time: later(a.time, b.time), attempts: later(a.attempts, b.attempts) }
            });
            left[at as usize] = stay.then(rest);
        }
        left[initial as usize]
    }

    /// Returns how long a machine stays in a state.
    fn stay(&mut self, id: NodeId) -> Bound {
        let node = self.subject.plan.node(id);
        let task = self.task(id);
        let Some(state) = node.state.as_ref() else { return task };
        let left_by_time = state
            .after
            .iter()
            .filter(|(_, list)| list.iter().any(|it| it.condition.is_none()))
            .map(|(time, _)| *time)
            .min();
        let time = if goes_on(state) { task.time } else { Err(Unbounded::Event(id)) };
        Bound { time, ..task }.capped(left_by_time)
    }

    /// A task with all its attempts and items.
    fn task(&mut self, id: NodeId) -> Bound {
        let node = self.subject.plan.node(id);
        let limits = node.timeout;
        let limit = [limits.run, limits.total].into_iter().flatten().min();
        let (attempt, waits) = self.attempt(id);
        let attempt = if waits { attempt } else { attempt.capped(limit) };
        let mut all = attempt;
        if let Some(policy) = node.retry.as_ref().filter(|_| !waits) {
            let (count, delays) = (u64::from(policy.max_attempts), self.delays(policy));
            let time = product(attempt.time, Ok(count));
            let time = sum(time, Ok(delays));
            let last = |limit: Duration| sum(attempt.time, Ok(limit.0));
            let time = match (policy.max_elapsed.map(last), time) {
                (Some(Ok(elapsed)), Ok(time)) => Ok(time.min(elapsed)),
                (_, time) => time,
            };
            let attempts = product(attempt.attempts, Ok(count));
            all = Bound { time, attempts }.capped(limits.total);
        }
        if node.for_each.is_some() { self.map(id, all).capped(limit) } else { all }
    }

    fn map(&self, id: NodeId, item: Bound) -> Bound {
        let each = self.subject.plan.node(id).for_each.as_ref();
        let window = each.and_then(|it| it.max_parallel).unwrap_or(crate::run::MAP_WINDOW);
        let items = self.items(id);
        let rounds = items.map(|it| it.div_ceil(u64::from(window.max(1))));
        Bound { time: item.times(rounds).time, attempts: item.times(items).attempts }
    }

    /// Returns the most items of a `for_each`: of a list that is written out, or of a list of the
    /// input that has `maxItems`.
    fn items(&self, id: NodeId) -> Bounded {
        let unknown = Err(Unbounded::Items(id));
        let Some(each) = &self.subject.outline.node(id).task.for_each else { return unknown };
        if let Content::List(items) = &each.items.node.content {
            return Ok(items.len() as u64);
        }
        let references = each.items.template.references();
        let [(hole, read)] = &references[..] else { return unknown };
        let path = format!("{}.{}", read.root, read.segments.join("."));
        let Some(input) =
            self.subject.plan.input.as_ref().filter(|_| hole.expr.source().trim() == path)
        else {
            return unknown;
        };
        let schema = read
            .segments
            .iter()
            .try_fold(input.source(), |schema, name| schema.get("properties")?.get(name));
        schema.and_then(|it| it.get("maxItems")?.as_u64()).ok_or(Unbounded::Items(id))
    }

    /// One attempt, and whether it is a wait, to which `retry` and `timeout` do not apply.
    fn attempt(&self, id: NodeId) -> (Bound, bool) {
        let subject = self.subject;
        let node = subject.plan.node(id);
        let with = match &node.work {
            WorkPlan::Nothing => return (Bound::NOTHING, false),
            WorkPlan::Composite(inner) => return (self.composites[inner.0 as usize], false),
            WorkPlan::Uses { .. } => With::of(subject.outline.node(id).task),
        };
        let Some(with) = with else { return (Bound::NOTHING, false) };
        let waits = |key: &str| {
            let time = with.duration(key).map(|(it, _)| it.0).ok_or(Unbounded::Wait(id));
            (Bound { time, attempts: Ok(0) }, true)
        };
        match with.kind {
            "transform" | "log" | "fail" => (Bound::NOTHING, true),
            "wait" => waits("for"),
            "signal" | "approval" => waits("timeout"),
            "workflow" if !with.says("wait", false) => {
                (Bound { time: Err(Unbounded::SubRun(id)), attempts: Ok(1) }, false)
            }
            // The kind's own limit ends the attempt, if it has one.
            _ => {
                let own = with.duration("timeout").filter(|_| matches!(with.kind, "http" | "sql"));
                let time = own.map(|(it, _)| it.0).ok_or(Unbounded::NoTimeout(id));
                (Bound { time, attempts: Ok(1) }, false)
            }
        }
    }

    fn delays(&mut self, policy: &Arc<RetryPlan>) -> u64 {
        *self.delays.entry(Arc::as_ptr(policy)).or_insert_with(|| delays(policy, u64::MAX))
    }
}

/// Returns all delays of a policy together, for a draw of the jitter.
fn delays(policy: &RetryPlan, draw: u64) -> u64 {
    delay_list(policy, draw).fold(0, u64::saturating_add)
}

/// Returns the delays between the attempts of a policy: the least for a draw of 0, the longest for
/// the largest one.
pub(super) fn delay_list(policy: &RetryPlan, draw: u64) -> impl Iterator<Item = u64> + '_ {
    (1..policy.max_attempts)
        .map_while(move |it| retry::delay(policy, it, draw, None, Duration(0)))
        .map(|it| it.0)
}

fn later(one: Bounded, other: Bounded) -> Bounded {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok(one.max(other)),
        (Err(reason), _) | (_, Err(reason)) => Err(reason),
    }
}

/// Whether a state is left as soon as its work is done.
fn goes_on(state: &StatePlan) -> bool {
    let done = state.on.iter().filter(|(event, _)| &**event == "done").flat_map(|(_, list)| list);
    let leads = done.chain(&state.next).any(|it| it.condition.is_none());
    // With nothing else that could come, a machine without an open guard fails.
    let own = |event: &str| matches!(event, "done" | "failed");
    let waits = !state.after.is_empty() || state.on.iter().any(|(event, _)| !own(event));
    state.is_final || leads || (!waits && !state.next.is_empty())
}

fn has_loop(plan: &Plan, composite: CompositeId) -> bool {
    acyclic_order(plan, composite).is_none()
}

/// Returns the states of a machine so that each comes before those that it leads to; None if it
/// has a loop.
fn acyclic_order(plan: &Plan, composite: CompositeId) -> Option<Vec<u32>> {
    let len = plan.composite(composite).len;
    let next = |it: u32| {
        let state = plan.node(plan.child(composite, it)).state.as_ref();
        state.map_or_else(Vec::new, |it| targets(it))
    };
    let mut missing = vec![0u32; len as usize];
    (0..len).flat_map(next).for_each(|to| missing[to as usize] += 1);
    let mut order: Vec<u32> = (0..len).filter(|it| missing[*it as usize] == 0).collect();
    let mut at = 0;
    while let Some(state) = order.get(at).copied() {
        at += 1;
        for to in next(state) {
            missing[to as usize] -= 1;
            if missing[to as usize] == 0 {
                order.push(to);
            }
        }
    }
    (order.len() == len as usize).then_some(order)
}
