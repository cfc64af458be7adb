//! Directed graphs as lists of predecessors: components, shortest cycles, and who is upstream of
//! whom. Nothing here recurses, so a chain of 100,000 tasks needs no deep stack.

use std::collections::VecDeque;

/// Nodes from which the shortest cycle of one component is looked for. In a larger component the
/// cycle that is shown may not be the shortest one.
const CYCLE_SEARCHES_MAX: usize = 200;
/// Words of the set that one sweep of [`upstream`] carries from node to node.
const SWEEP_WORDS: usize = 8;
/// Distinct ancestors that one sweep answers for.
const SWEEP_ANCESTORS: usize = SWEEP_WORDS * 64;

/// `before[n]` lists the nodes that stand right before `n`.
pub(crate) type Before = [Vec<u32>];

const UNSEEN: u32 = u32::MAX;

/// The strongly connected components, predecessors first.
pub(crate) struct Components {
    pub members: Vec<Vec<u32>>,
    /// Component by node.
    of: Vec<u32>,
}

impl Components {
    /// Tarjan's algorithm, with the call stack as a list of (node, next edge).
    pub fn new(before: &Before) -> Components {
        let mut found = Components { members: Vec::new(), of: vec![UNSEEN; before.len()] };
        let (mut order, mut low) = (vec![UNSEEN; before.len()], vec![0u32; before.len()]);
        let (mut open, mut calls, mut seen) = (Vec::new(), Vec::new(), 0);
        for root in 0..before.len() as u32 {
            if order[root as usize] == UNSEEN {
                calls.push((root, 0));
            }
            while let Some((node, edge)) = calls.pop() {
                let at = node as usize;
                if order[at] == UNSEEN {
                    (order[at], low[at]) = (seen, seen);
                    seen += 1;
                    open.push(node);
                }
                if let Some(&target) = before[at].get(edge) {
                    if order[target as usize] == UNSEEN {
                        // Comes back to the same edge when the target is done.
                        calls.push((node, edge));
                        calls.push((target, 0));
                    } else {
                        if found.of[target as usize] == UNSEEN {
                            low[at] = low[at].min(low[target as usize]);
                        }
                        calls.push((node, edge + 1));
                    }
                } else if low[at] == order[at] {
                    found.close(node, &mut open);
                }
            }
        }
        found
    }

    /// Returns the components that contain a cycle.
    pub fn cyclic<'a>(&'a self, before: &'a Before) -> impl Iterator<Item = &'a Vec<u32>> {
        self.members.iter().filter(|it| it.len() > 1 || before[it[0] as usize].contains(&it[0]))
    }

    /// Takes everything from `root` on off the open nodes: it is one component.
    fn close(&mut self, root: u32, open: &mut Vec<u32>) {
        let start = open.iter().rposition(|it| *it == root).unwrap_or(0);
        let component = open.split_off(start);
        for node in &component {
            self.of[*node as usize] = self.members.len() as u32;
        }
        self.members.push(component);
    }
}

/// Returns a shortest cycle within a component that has one, each node before the next one, from
/// its smallest node on.
pub(crate) fn shortest_cycle(before: &Before, component: &[u32]) -> Vec<u32> {
    let mut inside: Vec<u32> = component.to_vec();
    inside.sort_unstable();
    let mut best: Vec<u32> = Vec::new();
    for start in inside.iter().take(CYCLE_SEARCHES_MAX) {
        let limit = if best.is_empty() { usize::MAX } else { best.len() };
        if let Some(cycle) = cycle_through(before, *start, &inside, limit) {
            best = cycle;
        }
    }
    let smallest = (0..best.len()).min_by_key(|at| best[*at]).unwrap_or(0);
    best.rotate_left(smallest);
    best
}

/// Searches backwards from `start` to `start`, breadth first, for a cycle of fewer than `limit`
/// nodes.
fn cycle_through(before: &Before, start: u32, inside: &[u32], limit: usize) -> Option<Vec<u32>> {
    let place = |node: u32| inside.binary_search(&node).ok();
    // The node after this one on the way to `start`, and the length of that way.
    let mut after = vec![(UNSEEN, 0); inside.len()];
    let mut queue = VecDeque::from([(start, 1)]);
    while let Some((node, length)) = queue.pop_front() {
        if length >= limit {
            return None;
        }
        for previous in &before[node as usize] {
            if *previous == start {
                let mut cycle = vec![start];
                let mut at = node;
                while at != start {
                    cycle.push(at);
                    at = place(at).map_or(start, |it| after[it].0);
                }
                return Some(cycle);
            }
            if let Some(slot) = place(*previous)
                && after[slot].0 == UNSEEN
            {
                after[slot] = (node, length + 1);
                queue.push_back((*previous, length + 1));
            }
        }
    }
    None
}

/// Says for each pair (ancestor, descendant) whether a way of one step or more leads from the one
/// to the other. Many ancestors are answered by one sweep over the nodes, so that the memory is
/// linear however many pairs there are.
pub(super) fn upstream(before: &Before, pairs: &[(u32, u32)]) -> Vec<bool> {
    let mut answers: Vec<bool> =
        pairs.iter().map(|(from, to)| before[*to as usize].contains(from)).collect();
    let open: Vec<usize> = (0..pairs.len()).filter(|at| !answers[*at]).collect();
    if open.is_empty() {
        return answers;
    }
    let components = Components::new(before);
    // By place in the order, so that the ancestors of one sweep lie near each other.
    let mut ancestors: Vec<u32> = open.iter().map(|at| pairs[*at].0).collect();
    ancestors.sort_unstable_by_key(|it| (components.of[*it as usize], *it));
    ancestors.dedup();
    let mut slot_of = vec![UNSEEN; before.len()];
    for (slot, ancestor) in ancestors.iter().enumerate() {
        slot_of[*ancestor as usize] = slot as u32;
    }
    let mut by_sweep = vec![Vec::new(); ancestors.len().div_ceil(SWEEP_ANCESTORS)];
    for at in open {
        by_sweep[slot_of[pairs[at].0 as usize] as usize / SWEEP_ANCESTORS].push(at);
    }
    for (sweep, asked) in by_sweep.iter().enumerate() {
        let sources = &ancestors[sweep * SWEEP_ANCESTORS..];
        let sources = &sources[..sources.len().min(SWEEP_ANCESTORS)];
        // Components are numbered predecessors first: what is before the first source or behind
        // the last question does not matter.
        let component = |node: u32| components.of[node as usize];
        let first = sources.iter().map(|it| component(*it)).min().unwrap_or(0);
        let last = asked.iter().map(|at| component(pairs[*at].1)).max().unwrap_or(0);
        let bit = |node: u32| {
            let slot = slot_of[node as usize] as usize;
            (slot != UNSEEN as usize && slot / SWEEP_ANCESTORS == sweep)
                .then_some(slot % SWEEP_ANCESTORS)
        };
        let sets = sweep_over(before, &components, first, last, bit);
        for at in asked {
            let (from, to) = pairs[*at];
            let set = component(to).checked_sub(first).and_then(|it| sets.get(it as usize));
            answers[*at] = set.zip(bit(from)).is_some_and(|(it, bit)| has(it, bit));
        }
    }
    answers
}

type SourceSet = [u64; SWEEP_WORDS];

fn has(set: &SourceSet, bit: usize) -> bool {
    set[bit / 64] >> (bit % 64) & 1 == 1
}

/// Returns, for each component from `first` to `last`, the sources strictly upstream of it;
/// `bit` numbers the sources.
fn sweep_over(
    before: &Before,
    components: &Components,
    first: u32,
    last: u32,
    bit: impl Fn(u32) -> Option<usize>,
) -> Vec<SourceSet> {
    let mut upstream: Vec<SourceSet> = Vec::new();
    for component in first..=last {
        let mut set = [0u64; SWEEP_WORDS];
        for node in &components.members[component as usize] {
            for previous in &before[*node as usize] {
                let from = components.of[*previous as usize];
                // Within a component each node is upstream of each, and is counted as a source.
                if let Some(there) =
                    from.checked_sub(first).and_then(|it| upstream.get(it as usize))
                {
                    set.iter_mut().zip(there).for_each(|(word, it)| *word |= it);
                }
                if let Some(bit) = bit(*previous) {
                    set[bit / 64] |= 1 << (bit % 64);
                }
            }
        }
        upstream.push(set);
    }
    upstream
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reaches(before: &Before, from: u32, to: u32) -> bool {
        let (mut seen, mut todo) = (vec![false; before.len()], vec![to]);
        while let Some(node) = todo.pop() {
            for previous in &before[node as usize] {
                if !std::mem::replace(&mut seen[*previous as usize], true) {
                    todo.push(*previous);
                }
            }
        }
        seen[from as usize]
    }

    fn graphs() -> impl Strategy<Value = Vec<Vec<u32>>> {
        (1u32..24).prop_flat_map(|count| {
            let edges = proptest::collection::vec((0..count, 0..count), 0..50);
            edges.prop_map(move |edges| {
                let mut before = vec![Vec::new(); count as usize];
                edges.iter().for_each(|(from, to)| before[*to as usize].push(*from));
                before
            })
        })
    }

    proptest! {
        #[test]
        fn upstream_is_what_a_search_finds(before in graphs()) {
            let count = before.len() as u32;
            let pairs: Vec<_> =
                (0..count).flat_map(|from| (0..count).map(move |to| (from, to))).collect();
            let answers = upstream(&before, &pairs);
            for ((from, to), answer) in pairs.into_iter().zip(answers) {
                prop_assert_eq!(answer, reaches(&before, from, to), "{} to {}", from, to);
            }
        }

        #[test]
        fn components_are_mutual_reachability_and_come_in_order(before in graphs()) {
            let components = Components::new(&before);
            for a in 0..before.len() as u32 {
                for b in 0..before.len() as u32 {
                    let together = components.of[a as usize] == components.of[b as usize];
                    let mutual = a == b || reaches(&before, a, b) && reaches(&before, b, a);
                    prop_assert_eq!(together, mutual);
                    if reaches(&before, a, b) {
                        prop_assert!(components.of[a as usize] <= components.of[b as usize]);
                    }
                }
            }
        }

        #[test]
        fn a_shortest_cycle_is_a_cycle_and_none_is_shorter(before in graphs()) {
            let components = Components::new(&before);
            for component in components.cyclic(&before) {
                let cycle = shortest_cycle(&before, component);
                prop_assert!(!cycle.is_empty());
                for (at, node) in cycle.iter().enumerate() {
                    let next = cycle[(at + 1) % cycle.len()];
                    prop_assert!(before[next as usize].contains(node), "{:?}", cycle);
                }
                for node in component {
                    let other = cycle_through(&before, *node, &sorted(component), usize::MAX);
                    prop_assert!(other.is_none_or(|it| it.len() >= cycle.len()));
                }
            }
        }
    }

    fn sorted(component: &[u32]) -> Vec<u32> {
        let mut nodes = component.to_vec();
        nodes.sort_unstable();
        nodes
    }

    #[test]
    fn many_ancestors_take_several_sweeps() {
        let count = 3_000u32;
        let before: Vec<Vec<u32>> =
            (0..count).map(|it| it.checked_sub(1).into_iter().collect()).collect();
        let pairs: Vec<_> = (0..count - 2).map(|it| (it, it + 2)).collect();
        assert!(upstream(&before, &pairs).iter().all(|it| *it));
        let against: Vec<_> = pairs.iter().map(|(from, to)| (*to, *from)).collect();
        assert!(upstream(&before, &against).iter().all(|it| !it));
    }
}
