//! A hunt for defects that looks at one order of independent firings instead of at all. A stubborn
//! set holds enough enabled transitions of a marking to reach every marking in which nothing is
//! enabled; so the hunt finds a net that gets stuck, if it has the time.
//!
//! That is all it promises. A place with two tokens, a livelock, or a transition that never fires
//! may lie on an order that it left out: what it finds is a defect, but finding none proves nothing.
//! And it says nothing of nets with resets, whose transitions depend on each other in more ways.

use super::{Compiled, Finding, Found, Limits};
use crate::marking::{self, Marking};

/// Enabled transitions of a marking that are tried as the seed of a stubborn set.
const SEEDS_MAX: usize = 8;

/// Returns the first defect found, and how many states it took.
pub fn hunt(net: &Compiled, limits: &Limits) -> (Option<Finding>, usize) {
    let mut found = Found::new(net);
    let mut chooser = Chooser::new(net);
    let (mut enabled, mut work) = (Vec::new(), 0);
    let mut marking = net.first_marking();
    let mut next = marking.clone();
    // Depth first: a run to its end is what finds a stuck one soonest.
    let mut left = vec![0];
    while let Some(state) = left.pop() {
        if found.is_over(limits, work) {
            break;
        }
        marking.copy_from_slice(found.states.get(state));
        work += net.enabled(&marking, &mut enabled);
        if let Some(defect) = defect(net, &found, state, &enabled) {
            return (Some(defect), found.states.len());
        }
        work += chooser.choose(&marking, &enabled);
        for transition in &chooser.chosen {
            if let Err(place) = net.fire(*transition, &marking, &mut next) {
                let mut run = found.run_to(state);
                run.push(*transition);
                return (Some(Finding::Unsafe { run, place }), found.states.len());
            }
            let (to, is_new) = found.insert(&next, (state, *transition));
            if is_new {
                left.push(to);
            }
        }
    }
    (None, found.states.len())
}

fn defect(net: &Compiled, found: &Found, state: u32, enabled: &[u32]) -> Option<Finding> {
    let marking = found.states.get(state);
    let is_stuck = enabled.is_empty() && !net.is_ended(marking);
    if net.is_improper(marking) || (is_stuck && net.has_end(marking)) {
        return Some(Finding::Improper { run: found.run_to(state) });
    }
    is_stuck.then(|| Finding::Stuck { run: found.run_to(state) })
}

/// Finds small stubborn sets.
struct Chooser<'n> {
    net: &'n Compiled,
    /// The enabled transitions of the smallest set so far.
    chosen: Vec<u32>,
    /// Which round took a transition into its set.
    taken: Vec<u32>,
    round: u32,
}

impl<'n> Chooser<'n> {
    fn new(net: &'n Compiled) -> Chooser<'n> {
        Chooser { net, chosen: Vec::new(), taken: vec![0; net.transitions.len()], round: 0 }
    }

    /// Chooses what fires in a marking. Returns how much work it was.
    fn choose(&mut self, marking: &Marking, enabled: &[u32]) -> usize {
        self.chosen = enabled.to_vec();
        let mut work = 0;
        for seed in enabled.iter().take(SEEDS_MAX) {
            if self.chosen.len() <= 1 {
                break;
            }
            let (set, cost) = self.closure(*seed, marking);
            work += cost;
            if set.len() < self.chosen.len() {
                self.chosen = set;
            }
        }
        work
    }

    /// Returns the enabled transitions of the least set with the seed in it that is closed: with an
    /// enabled transition all that compete for its tokens, with another all that could give it the
    /// first token that it lacks.
    fn closure(&mut self, seed: u32, marking: &Marking) -> (Vec<u32>, usize) {
        self.round += 1;
        let (mut set, mut work) = (Vec::new(), 0);
        let mut left = vec![seed];
        self.taken[seed as usize] = self.round;
        while let Some(transition) = left.pop() {
            let inputs = self.net.inputs.get(transition);
            let lacking = inputs.iter().find(|it| !marking::has(marking, **it));
            let (places, around) = match lacking {
                Some(place) => (std::slice::from_ref(place), &self.net.producers),
                None => {
                    set.push(transition);
                    (inputs, &self.net.consumers)
                }
            };
            for place in places {
                let others = around.get(*place);
                work += others.len() + 1;
                for other in others {
                    if std::mem::replace(&mut self.taken[*other as usize], self.round) != self.round
                    {
                        left.push(*other);
                    }
                }
            }
        }
        (set, work)
    }
}
