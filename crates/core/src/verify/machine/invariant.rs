//! What the variables of a machine can be in each state, and so which states and transitions can
//! be reached at all: an abstract interpretation, from the initial values on.

use std::collections::{BTreeSet, VecDeque};

use super::condition::{Environment, landmarks};
use super::interface::constant;
use super::model::{Closed, List, Model, Way};
use super::values::Values;

/// Values that are carried over transitions before all variables count as anything.
const WORK_MAX: usize = 250_000;
/// Numbers at which a bound may come to rest.
const LANDMARKS_MAX: usize = 64;

/// What the variables can be, by state; nothing for a state that is never entered.
pub(super) type Invariant = Vec<Option<Environment>>;

/// Finds the invariant, and closes the ways whose guards are never true.
pub(super) fn find(model: &mut Model<'_>) -> Invariant {
    let found = interpret(model).unwrap_or_else(|| coarse(model));
    for list in &model.lists {
        let Some(env) = &found[list.state as usize] else { continue };
        let mut taken = vec![false; list.ways.len()];
        step(model, list, env, |at, _| taken[at] = true);
        for (way, taken) in model.ways[list.ways.clone()].iter_mut().zip(taken) {
            if !taken && way.closed.is_none() {
                way.closed = Some(if way.guard.is_some() { Closed::Guard } else { Closed::Before });
            }
        }
    }
    found
}

fn interpret(model: &Model<'_>) -> Option<Invariant> {
    let landmarks = resting_points(model);
    let mut found: Invariant = vec![None; model.states.len()];
    let mut queue = VecDeque::from([model.initial]);
    let mut is_queued = vec![false; model.states.len()];
    found[model.initial as usize] = Some(initial(model));
    let mut work = 0;
    while let Some(state) = queue.pop_front() {
        is_queued[state as usize] = false;
        let Some(env) = found[state as usize].clone() else { continue };
        for list in model.lists_of(state) {
            work += (list.ways.len() + 1) * (env.len() + 1);
            if work > WORK_MAX {
                return None;
            }
            step(model, list, &env, |at, after| {
                let to = model.ways[list.ways.start + at].to as usize;
                if grow(&mut found[to], after, &landmarks) && !is_queued[to] {
                    is_queued[to] = true;
                    queue.push_back(to as u32);
                }
            });
        }
    }
    Some(found)
}

/// Every state that a way leads to, with variables that may be anything.
fn coarse(model: &Model<'_>) -> Invariant {
    let anything = vec![Values::Any; model.variables.names.len()];
    let after = |state| model.open_ways(state).map(|it| it.to).collect();
    let reached = model.spread([model.initial], after);
    reached.into_iter().map(|it| it.then(|| anything.clone())).collect()
}

fn initial(model: &Model<'_>) -> Environment {
    let value = |it: &&_| constant(it).map_or(Values::Any, Values::one);
    model.values.iter().map(value).collect()
}

fn resting_points(model: &Model<'_>) -> BTreeSet<i64> {
    let mut found = BTreeSet::new();
    for guard in model.ways.iter().filter_map(|it| it.guard.as_ref()) {
        if found.len() < LANDMARKS_MAX {
            landmarks(guard.expr.ast(), &mut found);
        }
    }
    found
}

/// Calls `taken` with each open way of a list and the variables behind it.
fn step(
    model: &Model<'_>,
    list: &List<'_>,
    env: &Environment,
    mut taken: impl FnMut(usize, Environment),
) {
    // What the variables are once the guards so far were all false.
    let mut rest = Some(env.clone());
    for (at, way) in model.ways_of(list).iter().enumerate() {
        let Some(before) = &rest else { return };
        if way.closed == Some(Closed::Work) {
            return;
        }
        let (open, other) = match &way.guard {
            Some(guard) => (
                model.variables.assume(guard, true, before),
                model.variables.assume(guard, false, before),
            ),
            None => (rest.clone(), None),
        };
        if let Some(open) = open.filter(|_| way.closed.is_none()) {
            taken(at, behind(model, way, &open));
        }
        rest = other;
    }
}

/// The variables behind a way: all values of `set` are computed before any is written.
pub(super) fn behind(model: &Model<'_>, way: &Way<'_>, env: &Environment) -> Environment {
    let mut after = env.clone();
    for (name, template) in way.set {
        if let Some(at) = model.variables.place(name) {
            after[at] = model.variables.written(template, env);
        }
    }
    after
}

/// The variables where a way is taken: those before it were not, and its own guard is true.
pub(super) fn where_taken(
    model: &Model<'_>,
    way: &Way<'_>,
    env: &Environment,
) -> Option<Environment> {
    let mut env = env.clone();
    for before in model.ways_of(&model.lists[way.list]) {
        if std::ptr::eq(before, way) {
            break;
        }
        if let Some(guard) = &before.guard {
            env = model.variables.assume(guard, false, &env)?;
        }
    }
    match &way.guard {
        Some(guard) => model.variables.assume(guard, true, &env),
        None => Some(env),
    }
}

/// Adds what the variables can be; says whether that was new.
fn grow(known: &mut Option<Environment>, more: Environment, landmarks: &BTreeSet<i64>) -> bool {
    let Some(known) = known else {
        *known = Some(more);
        return true;
    };
    let mut has_grown = false;
    for (old, new) in known.iter_mut().zip(&more) {
        let joined = old.join(new);
        if joined != *old {
            *old = old.widened(joined, landmarks);
            has_grown = true;
        }
    }
    has_grown
}

/// Whether the variables alone leave no case in which all guards of a list are false.
pub(super) fn is_total(model: &Model<'_>, list: &List<'_>, env: Option<&Environment>) -> bool {
    let mut rest = env.cloned();
    for way in model.ways_of(list) {
        let (Some(guard), Some(before)) = (&way.guard, &rest) else { return true };
        rest = model.variables.assume(guard, false, before);
    }
    rest.is_none()
}
