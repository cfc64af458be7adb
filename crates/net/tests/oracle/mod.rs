//! An explorer that is slow and obvious: it counts tokens, looks at every marking, and gives up a
//! path once a marking has all the tokens of one before it and more. The verifier is held to it.

use std::collections::{BTreeMap, BTreeSet};

use surefoot_net::Net;
use surefoot_net::net::{PlaceId, TransitionId};

pub type Marking = Vec<u32>;

/// Markings that the oracle looks at before it says nothing.
pub const MARKINGS_MAX: usize = 600;

#[derive(Debug)]
pub struct Truth {
    pub is_bounded: bool,
    pub is_safe: bool,
    pub markings: BTreeSet<Marking>,
    /// From which the end can be reached.
    pub can_end: BTreeSet<Marking>,
    pub has_improper: bool,
    pub dead: Vec<TransitionId>,
}

impl Truth {
    pub fn is_sound(&self) -> bool {
        self.is_classically_sound() && self.is_safe
    }

    pub fn is_classically_sound(&self) -> bool {
        self.is_bounded
            && !self.has_improper
            && self.dead.is_empty()
            && self.markings.len() == self.can_end.len()
    }
}

/// Returns the truth about a net with one source and one sink, or nothing if it is too large.
pub fn truth(net: &Net, start: PlaceId, end: PlaceId) -> Option<Truth> {
    let mut first = vec![0; net.places().len()];
    first[start.index()] = 1;
    let mut ancestors: BTreeMap<Marking, Option<Marking>> = BTreeMap::from([(first.clone(), None)]);
    let mut before: BTreeMap<Marking, Vec<Marking>> = BTreeMap::new();
    let mut fired = BTreeSet::new();
    let mut queue = std::collections::VecDeque::from([first]);
    while let Some(marking) = queue.pop_front() {
        if ancestors.len() > MARKINGS_MAX {
            return None;
        }
        if grows(&marking, &ancestors) {
            let (markings, can_end) = (BTreeSet::new(), BTreeSet::new());
            let dead = Vec::new();
            return Some(Truth {
                is_bounded: false,
                is_safe: false,
                markings,
                can_end,
                has_improper: true,
                dead,
            });
        }
        for transition in net.transitions() {
            let Some(next) = fire(net, transition, &marking) else { continue };
            fired.insert(transition);
            before.entry(next.clone()).or_default().push(marking.clone());
            if !ancestors.contains_key(&next) {
                ancestors.insert(next.clone(), Some(marking.clone()));
                queue.push_back(next);
            }
        }
    }
    let markings: BTreeSet<Marking> = ancestors.into_keys().collect();
    let mut done = vec![0; net.places().len()];
    done[end.index()] = 1;
    let mut can_end = BTreeSet::new();
    let mut left: Vec<Marking> = markings.contains(&done).then_some(done).into_iter().collect();
    while let Some(marking) = left.pop() {
        if can_end.insert(marking.clone()) {
            left.extend(before.get(&marking).into_iter().flatten().cloned());
        }
    }
    Some(Truth {
        is_bounded: true,
        is_safe: markings.iter().all(|it| it.iter().all(|count| *count <= 1)),
        has_improper: markings.iter().any(|it| it[end.index()] > 0 && it.iter().sum::<u32>() > 1),
        dead: net.transitions().filter(|it| !fired.contains(it)).collect(),
        markings,
        can_end,
    })
}

/// Returns the marking after a transition, if it can fire.
pub fn fire(net: &Net, transition: TransitionId, marking: &Marking) -> Option<Marking> {
    let arcs = net.arcs(transition);
    let mut next = marking.clone();
    for place in &arcs.inputs {
        next[place.index()] = next[place.index()].checked_sub(1)?;
    }
    arcs.resets.iter().for_each(|it| next[it.index()] = 0);
    arcs.outputs.iter().for_each(|it| next[it.index()] += 1);
    Some(next)
}

fn grows(marking: &Marking, ancestors: &BTreeMap<Marking, Option<Marking>>) -> bool {
    let mut before = ancestors[marking].as_ref();
    while let Some(other) = before {
        if other.iter().zip(marking).all(|(less, more)| less <= more) {
            return true;
        }
        before = ancestors[other].as_ref();
    }
    false
}
