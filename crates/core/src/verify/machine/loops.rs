//! Loops: what bounds them, or what every round waits for.

use std::collections::BTreeSet;

use super::example::with_example;
use super::invariant::where_taken;
use super::model::{Cause, Model, Rest, Way};
use super::values::Values;
use super::{Analysis, NAMES_MAX};
use crate::check::{Components, shortest_cycle};
use crate::limits::AUTOMATIC_TRANSITIONS_MAX;
use crate::simulate::Expected;
use crate::source::Problem;
use crate::verify::Subject;
use crate::verify::finding::{Finding, Proofs};
use crate::verify::property::Property;

/// Ways before another one in its list whose falsehood is used to bound a variable.
const LIST_MAX: usize = 64;
/// Ways that are looked at to bound one loop.
const WORK_MAX: usize = 100_000;
/// Variables that are tried as the bound of one loop.
const VARIABLES_MAX: usize = 16;

/// Ways among some states, and the loops that they make.
struct Turns<'m, 'a> {
    machine: &'m Analysis<'a>,
    ways: Vec<&'m Way<'a>>,
}

impl<'m, 'a> Turns<'m, 'a> {
    fn new(machine: &'m Analysis<'a>, takes: impl Fn(&Way<'a>) -> bool) -> Turns<'m, 'a> {
        let open = machine.model.ways.iter();
        let open = open.filter(|it| it.closed.is_none() && machine.is_reached(it.from));
        Turns { machine, ways: open.filter(|it| takes(it)).collect() }
    }

    /// The ways of each group of states that lead to each other, and a shortest loop of it.
    fn loops(&self) -> Vec<Loop<'m, 'a>> {
        let mut before = vec![Vec::new(); self.machine.model.states.len()];
        for way in &self.ways {
            before[way.to as usize].push(way.from);
        }
        let components = Components::new(&before);
        let mut place = vec![usize::MAX; before.len()];
        let mut found: Vec<Loop<'m, 'a>> = Vec::new();
        for component in components.cyclic(&before) {
            component.iter().for_each(|it| place[*it as usize] = found.len());
            let cycle = shortest_cycle(&before, component);
            found.push(Loop { machine: self.machine, ways: Vec::new(), cycle });
        }
        for way in &self.ways {
            let at = place[way.from as usize];
            if at != usize::MAX && at == place[way.to as usize] {
                found[at].ways.push(way);
            }
        }
        found
    }
}

struct Loop<'m, 'a> {
    machine: &'m Analysis<'a>,
    ways: Vec<&'m Way<'a>>,
    /// States, each before the next one.
    cycle: Vec<u32>,
}

/// What bounds a loop: a variable that only moves one way, and a limit that it cannot pass.
struct Variant {
    /// The ways that move it, by key.
    steps: BTreeSet<usize>,
    /// The ways that are taken only up to the limit.
    limited: BTreeSet<usize>,
    /// How often it can move before the limit is passed.
    rounds: u64,
}

impl<'m, 'a> Loop<'m, 'a> {
    /// Such as `` draft → review → draft ``.
    fn text(&self) -> String {
        let model = &self.machine.model;
        let closed = self.cycle.iter().chain(self.cycle.first());
        closed.map(|it| model.name(*it)).collect::<Vec<_>>().join(" → ")
    }

    /// How often the transitions that move a variable towards its limit can be taken at most, with
    /// all loops inside of it bounded as well. Nothing if some loop moves no variable.
    fn bound(&self) -> Option<u64> {
        let mut open = vec![(self.ways.clone(), 1)];
        let (mut total, mut work) = (0u64, 0);
        while let Some((ways, rounds)) = open.pop() {
            work += ways.len();
            if work > WORK_MAX {
                return None;
            }
            let variant = self.variant(&ways)?;
            let count = variant.rounds.saturating_mul(rounds);
            total = total.saturating_add(count);
            // What goes on for ever either takes no more steps, or is nowhere held by the limit.
            let without = |gone: &BTreeSet<usize>| {
                let rest = ways.iter().copied().filter(|it| !gone.contains(&key(it)));
                Turns { machine: self.machine, ways: rest.collect() }.loops()
            };
            let inner = without(&variant.steps);
            open.extend(inner.into_iter().map(|it| (it.ways, count.saturating_add(1))));
            if !variant.steps.is_subset(&variant.limited) {
                open.extend(without(&variant.limited).into_iter().map(|it| (it.ways, rounds)));
            }
        }
        Some(total)
    }

    /// A variable that these ways move in one direction only, up to a limit.
    fn variant(&self, ways: &[&'m Way<'a>]) -> Option<Variant> {
        let model = &self.machine.model;
        let mut moved: Vec<usize> = ways.iter().filter_map(|it| first_step(model, it)).collect();
        moved.sort_unstable();
        moved.dedup();
        moved.into_iter().take(VARIABLES_MAX).find_map(|it| self.bounded_by(ways, it))
    }

    fn bounded_by(&self, ways: &[&'m Way<'a>], variable: usize) -> Option<Variant> {
        let model = &self.machine.model;
        let mut steps = BTreeSet::new();
        let mut direction = 0;
        for way in ways {
            let step = step_of(model, way, variable)?;
            if step != 0 {
                if direction != 0 && direction != step.signum() {
                    return None;
                }
                direction = step.signum();
                steps.insert(key(way));
            }
        }
        // Along the direction, so that the greatest limit is the one that counts.
        let along = |it: i64| i128::from(it) * i128::from(direction);
        let limits =
            ways.iter().filter_map(|it| Some((key(it), self.limit(it, variable, direction)?)));
        let limits: Vec<(usize, i128)> = limits.map(|(way, it)| (way, along(it))).collect();
        let end = limits.iter().map(|it| it.1).max().filter(|_| !steps.is_empty())?;
        let starts = ways.iter().map(|it| self.start(it.from, variable, direction).map(along));
        let start = starts.collect::<Option<Vec<i128>>>().and_then(|it| it.into_iter().min());
        // Without a known start it ends all the same, after a number of rounds that is not known.
        let rounds =
            start.map_or(u64::MAX, |it| u64::try_from((end - it + 1).max(0)).unwrap_or(u64::MAX));
        let limited = limits.into_iter().map(|it| it.0).collect();
        Some(Variant { steps, limited, rounds })
    }

    /// The last value of a variable with which a way can be taken.
    fn limit(&self, way: &Way<'a>, variable: usize, direction: i64) -> Option<i64> {
        let model = &self.machine.model;
        let list = &model.lists[way.list];
        let env = self.machine.invariant[way.from as usize].as_ref()?;
        let mut env = env.clone();
        env[variable] = Values::Whole { min: None, max: None };
        let taken = if list.ways.len() <= LIST_MAX {
            where_taken(model, way, &env)?
        } else {
            model.variables.assume(way.guard.as_ref()?, true, &env)?
        };
        let (min, max) = taken[variable].bounds()?;
        if direction > 0 { max } else { min }
    }

    /// The value from which a variable goes on in a state, as far from the end as it can be.
    fn start(&self, state: u32, variable: usize, direction: i64) -> Option<i64> {
        let env = self.machine.invariant[state as usize].as_ref()?;
        let (min, max) = env[variable].bounds()?;
        if direction > 0 { min } else { max }
    }

    /// What each round of it waits for.
    fn pace(&self) -> String {
        let model = &self.machine.model;
        let rest = |takes: &dyn Fn(&Way<'a>) -> bool| {
            let ways = self.ways.iter().copied().filter(|it| takes(it)).collect();
            Turns { machine: self.machine, ways }.loops().is_empty()
        };
        let is_event = |it: &Way<'a>| matches!(model.cause(it), Cause::Event(_));
        let is_time = |it: &Way<'a>| matches!(model.cause(it), Cause::After(_));
        if rest(&|it| !is_event(it)) {
            "each round waits for an event".to_owned()
        } else if rest(&|it| !is_event(it) && !is_time(it)) {
            "each round waits for an event or a time".to_owned()
        } else {
            "each round does some work".to_owned()
        }
    }
}

fn key(way: &Way<'_>) -> usize {
    std::ptr::from_ref(way).addr()
}

/// A variable that a way moves by a fixed step.
fn first_step(model: &Model<'_>, way: &Way<'_>) -> Option<usize> {
    way.set.iter().find_map(|(name, template)| {
        let at = model.variables.place(name)?;
        let (moved, step) = model.variables.step(template)?;
        (moved == at && step != 0).then_some(at)
    })
}

/// By how much a way moves a variable; nothing if it writes something else.
fn step_of(model: &Model<'_>, way: &Way<'_>, variable: usize) -> Option<i64> {
    let name = model.variables.names[variable];
    let Some((_, template)) = way.set.iter().find(|it| it.0 == name) else { return Some(0) };
    let (moved, step) = model.variables.step(template)?;
    (moved == variable).then_some(step)
}

/// Says of each loop what bounds it.
pub(super) fn termination(subject: &Subject<'_>, machine: &Analysis<'_>, proofs: &mut Proofs) {
    let model = &machine.model;
    for found in Turns::new(machine, |_| true).loops() {
        // Without a way out it is a trap, which is reported as one; if nothing waits, it is hot.
        let is_at_once =
            found.ways.iter().all(|it| is_automatic(model, it)) && found.bound().is_none();
        if !machine.ending[found.cycle[0] as usize] || is_at_once {
            continue;
        }
        let name = subject.name(model.states[found.cycle[0] as usize].id);
        let (assuming, bound) = match found.bound() {
            Some(u64::MAX) => (Vec::new(), Some(format!("{} is bounded", found.text()))),
            Some(rounds) => (Vec::new(), Some(format!("{} at most {rounds} times", found.text()))),
            None => match time_limit(subject, machine) {
                Some(limit) => (Vec::new(), Some(format!("{} for {limit} at most", found.text()))),
                None => {
                    let what = format!("{} is left at some time: {}", found.text(), found.pace());
                    (vec![what], None)
                }
            },
        };
        proofs.prove_assuming(Property::Termination, name, assuming, bound);
    }
}

/// The time-out around a machine.
fn time_limit(subject: &Subject<'_>, machine: &Analysis<'_>) -> Option<crate::time::Duration> {
    let mut at = Some(machine.model.composite);
    let mut shortest = subject.plan.timeout;
    while let Some(owner) = at.and_then(|it| subject.plan.composite(it).owner) {
        let node = subject.plan.node(owner);
        let own = [node.timeout.run, node.timeout.total].into_iter().flatten();
        shortest = own.chain(shortest).min();
        at = Some(node.composite);
    }
    shortest
}

/// Whether a way is taken at once, without work, an event or a time.
fn is_automatic(model: &Model<'_>, way: &Way<'_>) -> bool {
    model.cause(way) == Cause::Done && model.states[way.from as usize].rest == Rest::Instant
}

/// The loops in which nothing is waited for and that are not known to end by themselves.
fn automatic<'m, 'a>(machine: &'m Analysis<'a>) -> Vec<Loop<'m, 'a>> {
    let model = &machine.model;
    let is_short = |it: &Loop<'_, '_>| {
        let length = it.ways.len() as u64;
        let turns = it.bound().map(|it| it.saturating_add(1).saturating_mul(length));
        turns.is_some_and(|it| it < u64::from(AUTOMATIC_TRANSITIONS_MAX))
    };
    let all = Turns::new(machine, |it| is_automatic(model, it)).loops();
    all.into_iter().filter(|it| !is_short(it)).collect()
}

/// Whether some loop may go round without waiting.
pub(super) fn has_hot(machine: &Analysis<'_>) -> bool {
    !automatic(machine).is_empty()
}

/// Reports loops in which nothing is waited for and that do not end by themselves.
pub(super) fn hot(subject: &Subject<'_>, machine: &Analysis<'_>, proofs: &mut Proofs) {
    let model = &machine.model;
    let found = automatic(machine);
    if found.is_empty() {
        proofs.prove(Property::NoHotLoop, super::name(subject, model));
    }
    for found in found {
        let name = subject.name(model.states[found.cycle[0] as usize].id);
        match machine.search.hot(&found.cycle) {
            Some(shown) => {
                let finding = hot_loop(machine, &found, shown.trace());
                let expected = Expected::RunFailed { error_type: Some("hot_loop".to_owned()) };
                let finding = with_example(subject, machine, finding, &shown, expected, proofs);
                proofs.refute(name, finding);
            }
            None => {
                let reason = format!("whether {} ends by itself was not settled", found.text());
                proofs.leave_open(Property::NoHotLoop, name, reason);
            }
        }
    }
}

fn hot_loop(machine: &Analysis<'_>, found: &Loop<'_, '_>, trace: Vec<String>) -> Finding {
    let model = &machine.model;
    let place = |state: u32| model.states[state as usize].source.task.id.span;
    let message = format!("this loop may never wait: {}", found.text());
    let problem = Problem::error(Property::NoHotLoop.code(), place(found.cycle[0]), message)
        .label("left at once")
        .help("put a task, an event or a timer into the loop, or let `set` change what its guards read");
    let others = found.cycle[1..].iter().take(NAMES_MAX);
    let problem = others.fold(problem, |it, state| it.related(place(*state), "left at once"));
    Finding { property: Property::NoHotLoop, problem, trace, counterexample: None }
}
