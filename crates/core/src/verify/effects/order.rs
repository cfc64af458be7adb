//! Which tasks have certainly been decided before others start, and which may be under way at the
//! same time.
//!
//! A need orders two tasks, and so does a chain of needs, with one exception: `any_success` runs
//! when the first need completes, so only what is before all of its needs is before it.

use std::collections::HashMap;

use crate::definition::Join;
use crate::plan::{CompositeId, CompositeKind, NodeId, Plan};

/// Words of the set that one sweep carries from task to task.
const SWEEP_WORDS: usize = 8;
/// Tasks that one sweep asks about.
const SWEEP_SOURCES: usize = SWEEP_WORDS * 64;

type SourceSet = [u64; SWEEP_WORDS];

/// Returns the children of a graph so that needs come first.
pub(super) fn topological(plan: &Plan, composite: CompositeId) -> Vec<u32> {
    let len = plan.composite(composite).len;
    let node = |it: u32| plan.node(plan.child(composite, it));
    let mut missing: Vec<u32> = (0..len).map(|it| node(it).needs.len() as u32).collect();
    let mut order: Vec<u32> = (0..len).filter(|it| missing[*it as usize] == 0).collect();
    let mut next = 0;
    while let Some(at) = order.get(next).copied() {
        next += 1;
        for dependent in &node(at).dependents {
            missing[*dependent as usize] -= 1;
            if missing[*dependent as usize] == 0 {
                order.push(*dependent);
            }
        }
    }
    order
}

/// Says for each pair of children of a graph whether the first is decided before the second
/// starts.
pub(super) fn before(plan: &Plan, composite: CompositeId, pairs: &[(u32, u32)]) -> Vec<bool> {
    let needs = |it: u32| &plan.node(plan.child(composite, it)).needs;
    let mut answers = vec![false; pairs.len()];
    let mut open = Vec::new();
    for (at, (first, second)) in pairs.iter().enumerate() {
        // A single need decides, whatever the join.
        answers[at] = needs(*second).len() == 1 && needs(*second)[0] == *first;
        if !answers[at] && first != second && !needs(*second).is_empty() {
            open.push(at);
        }
    }
    if open.is_empty() {
        return answers;
    }
    let order = topological(plan, composite);
    let mut place = vec![0u32; order.len()];
    order.iter().enumerate().for_each(|(at, it)| place[*it as usize] = at as u32);
    // By place, so that what one sweep asks about lies together.
    open.sort_unstable_by_key(|at| place[pairs[*at].0 as usize]);
    let mut rest = &open[..];
    while !rest.is_empty() {
        let mut sources: Vec<u32> = Vec::new();
        let count = rest.iter().take_while(|at| {
            let source = pairs[**at].0;
            if sources.last() != Some(&source) {
                sources.push(source);
            }
            sources.len() <= SWEEP_SOURCES
        });
        let (asked, later) = rest.split_at(count.count());
        sources.truncate(SWEEP_SOURCES);
        let asked: Vec<(usize, (u32, u32))> = asked.iter().map(|at| (*at, pairs[*at])).collect();
        sweep(plan, composite, &order, &place, &sources, &asked, &mut answers);
        rest = later;
    }
    answers
}

/// Answers the questions about some sources in one walk from the first of them to the last task
/// that is asked about.
fn sweep(
    plan: &Plan,
    composite: CompositeId,
    order: &[u32],
    place: &[u32],
    sources: &[u32],
    asked: &[(usize, (u32, u32))],
    answers: &mut [bool],
) {
    let first = place[sources[0] as usize];
    let last = asked.iter().map(|(_, (_, to))| place[*to as usize]).max().unwrap_or(first);
    if last < first {
        return;
    }
    let bits: HashMap<u32, usize> =
        sources.iter().enumerate().map(|(bit, it)| (*it, bit)).collect();
    let mut sets: Vec<SourceSet> = Vec::with_capacity((last - first + 1) as usize);
    for at in &order[first as usize..=last as usize] {
        let node = plan.node(plan.child(composite, *at));
        let through = |need: u32| {
            let there = place[need as usize].checked_sub(first);
            let mut set = there.map_or([0; SWEEP_WORDS], |it| sets[it as usize]);
            if let Some(bit) = bits.get(&need) {
                set[bit / 64] |= 1 << (bit % 64);
            }
            set
        };
        let needs = node.needs.iter().map(|it| through(*it));
        let set = match node.join {
            Join::AnySuccess => needs.reduce(|a, b| std::array::from_fn(|it| a[it] & b[it])),
            Join::AllSuccess | Join::NoneFailed | Join::AnyFailed | Join::AllDone => {
                needs.reduce(|a, b| std::array::from_fn(|it| a[it] | b[it]))
            }
        };
        sets.push(set.unwrap_or_default());
    }
    for (question, (from, to)) in asked {
        let Some(there) = place[*to as usize].checked_sub(first) else { continue };
        let bit = bits[from];
        answers[*question] |= sets[there as usize][bit / 64] >> (bit % 64) & 1 == 1;
    }
}

/// Whether two children of this composite can ever be under way at once.
pub(super) fn is_parallel(plan: &Plan, composite: CompositeId) -> bool {
    match plan.composite(composite).kind {
        CompositeKind::Machine { .. } => false,
        CompositeKind::Graph { max_parallel, .. } => max_parallel != Some(1),
    }
}

/// Whether items of a `for_each` are under way at once.
pub(super) fn is_parallel_map(plan: &Plan, id: NodeId) -> bool {
    plan.node(id).for_each.as_ref().is_some_and(|it| it.max_parallel != Some(1))
}

/// Returns the task and those around it, innermost first, as far as the part of the run that they
/// belong to: the main part, a handler, or what undoes a task.
pub(super) fn around(plan: &Plan, id: NodeId) -> impl Iterator<Item = NodeId> {
    let mut next = Some(id);
    std::iter::from_fn(move || {
        let here = next?;
        let composite = plan.node(here).composite;
        next = plan.composite(composite).owner.filter(|it| !undoes(plan, composite, *it));
        Some(here)
    })
}

/// Whether a composite is what undoes its owner.
pub(super) fn undoes(plan: &Plan, composite: CompositeId, owner: NodeId) -> bool {
    plan.node(owner).compensate == Some(composite)
}

/// Returns the composites in which two tasks lie side by side, and which children of it they are;
/// None if they belong to different parts of the run, or one contains the other.
pub(super) fn side_by_side(plan: &Plan, a: NodeId, b: NodeId) -> Option<(CompositeId, u32, u32)> {
    let lifted: HashMap<CompositeId, NodeId> =
        around(plan, a).map(|it| (plan.node(it).composite, it)).collect();
    let (other, one) = around(plan, b)
        .find_map(|it| lifted.get(&plan.node(it).composite).map(|one| (it, *one)))?;
    let composite = plan.node(one).composite;
    let index = |it: NodeId| it.0 - plan.composite(composite).first;
    (one != other).then(|| (composite, index(one), index(other)))
}
