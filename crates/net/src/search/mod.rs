//! Looks at markings one by one: for what the reductions left, and for the shortest run to a defect.

mod full;
mod stubborn;

pub use full::{Exploration, explore};
pub use stubborn::hunt;

use crate::lists::Lists;
use crate::marking::{self, Marking, States};
use crate::net::PlaceId;
use crate::reduce::Residue;
use crate::workflow_net::WorkflowNet;

/// What a search may cost. It counts, and has no clock: the same net has the same verdict anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub states_max: usize,
    /// Words of 64 bits that all markings may take.
    pub words_max: usize,
    /// Looks at a transition, an arc or a word; about a hundred million a second.
    pub work_max: usize,
}

impl Limits {
    /// What a check takes at most, about half a second and 150 MB.
    pub const CHECK: Limits =
        Limits { states_max: 200_000, words_max: 4_000_000, work_max: 40_000_000 };
    /// A search that is over before anybody notices.
    const GLANCE: Limits = Limits { states_max: 4_000, words_max: 400_000, work_max: 2_000_000 };
    /// For a shorter run to a defect that is known already.
    const SHORTEN: Limits = Limits { states_max: 1_000, words_max: 100_000, work_max: 200_000 };

    pub fn glance(self) -> Limits {
        self.at_most(Limits::GLANCE)
    }

    pub fn shorten(self) -> Limits {
        self.at_most(Limits::SHORTEN)
    }

    fn at_most(self, other: Limits) -> Limits {
        Limits {
            states_max: self.states_max.min(other.states_max),
            words_max: self.words_max.min(other.words_max),
            work_max: self.work_max.min(other.work_max),
        }
    }
}

/// A net made for firing: places numbered without gaps.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The original number of each place.
    pub places: Vec<u32>,
    /// The original number of each transition.
    pub transitions: Vec<u32>,
    pub inputs: Lists,
    outputs: Lists,
    resets: Lists,
    /// The transitions that take from each place.
    pub consumers: Lists,
    /// The transitions that put into each place.
    pub producers: Lists,
    /// For each place the transitions of which it is the first input: each is looked at once.
    led: Lists,
    pub start: u32,
    ends: Vec<u64>,
    stops: Vec<u64>,
    /// The only way to end, if there is one: then a token there must be the last one.
    pub only_end: Option<u32>,
}

impl Compiled {
    pub fn of(workflow: &WorkflowNet<'_>) -> Compiled {
        let net = workflow.net;
        let ids = |places: &[PlaceId]| places.iter().map(|it| it.0).collect::<Vec<u32>>();
        let mut compiled = Compiled::empty(
            net.places().map(|it| it.0).collect(),
            workflow.start.0,
            &ids(&workflow.ends),
            &ids(&workflow.stops),
        );
        for transition in net.transitions() {
            let arcs = net.arcs(transition);
            compiled.transitions.push(transition.0);
            compiled.inputs.push(arcs.inputs.iter().map(|it| it.0));
            compiled.outputs.push(arcs.outputs.iter().map(|it| it.0));
            compiled.resets.push(arcs.resets.iter().map(|it| it.0));
        }
        compiled.index()
    }

    pub fn of_residue(residue: &Residue) -> Compiled {
        let at = |place: &u32| {
            residue.places.binary_search(place).expect("an arc leads to a place that is left")
                as u32
        };
        let all = |places: &[u32]| places.iter().map(at).collect::<Vec<u32>>();
        let (ends, stops) = (all(&residue.ends), all(&residue.stops));
        let mut compiled =
            Compiled::empty(residue.places.clone(), at(&residue.start), &ends, &stops);
        for (id, inputs, outputs) in &residue.transitions {
            compiled.transitions.push(*id);
            compiled.inputs.push(inputs.iter().map(at));
            compiled.outputs.push(outputs.iter().map(at));
            compiled.resets.push(std::iter::empty());
        }
        compiled.index()
    }

    fn empty(places: Vec<u32>, start: u32, ends: &[u32], stops: &[u32]) -> Compiled {
        let count = places.len();
        let set = |places: &[u32]| {
            let mut set = vec![0; marking::words(count)];
            places.iter().for_each(|it| marking::put(&mut set, *it));
            set
        };
        Compiled {
            places,
            transitions: Vec::new(),
            inputs: Lists::default(),
            outputs: Lists::default(),
            resets: Lists::default(),
            consumers: Lists::default(),
            producers: Lists::default(),
            led: Lists::default(),
            start,
            ends: set(ends),
            stops: set(stops),
            only_end: ends.first().copied().filter(|_| ends.len() == 1 && stops.is_empty()),
        }
    }

    /// Fills in what follows from the arcs.
    fn index(mut self) -> Compiled {
        let count = self.places.len();
        let turned = |(transition, place)| (place, transition);
        let first = |it: u32| self.inputs.get(it).first().map(|place| (*place, it));
        self.led = Lists::of(count, (0..self.inputs.count() as u32).filter_map(first));
        self.consumers = Lists::of(count, self.inputs.pairs().map(turned));
        self.producers = Lists::of(count, self.outputs.pairs().map(turned));
        self
    }

    pub fn first_marking(&self) -> Vec<u64> {
        let mut marking = vec![0; marking::words(self.places.len())];
        marking::put(&mut marking, self.start);
        marking
    }

    pub fn is_enabled(&self, transition: u32, marking: &Marking) -> bool {
        self.inputs.get(transition).iter().all(|it| marking::has(marking, *it))
    }

    /// Fills `enabled`, and returns how much work that was. Nothing is enabled in a case that was
    /// stopped.
    pub fn enabled(&self, marking: &Marking, enabled: &mut Vec<u32>) -> usize {
        enabled.clear();
        if self.is_stopped(marking) {
            return marking.len();
        }
        let mut work = marking.len();
        for place in marking::marked(marking) {
            let led = self.led.get(place);
            work += led.len() + 1;
            enabled.extend(led.iter().filter(|it| self.is_enabled(**it, marking)));
        }
        work
    }

    /// Fires an enabled transition into `next`. A place that would get a second token is an error.
    pub fn fire(&self, transition: u32, marking: &Marking, next: &mut [u64]) -> Result<(), u32> {
        next.copy_from_slice(marking);
        let emptied = self.inputs.get(transition).iter().chain(self.resets.get(transition));
        emptied.for_each(|it| marking::take(next, *it));
        for place in self.outputs.get(transition) {
            if marking::has(next, *place) {
                return Err(*place);
            }
            marking::put(next, *place);
        }
        Ok(())
    }

    pub fn is_stopped(&self, marking: &Marking) -> bool {
        marking.iter().zip(&self.stops).any(|(one, other)| one & other != 0)
    }

    /// Whether a token is at an end, wherever the others are.
    pub fn has_end(&self, marking: &Marking) -> bool {
        marking.iter().zip(&self.ends).any(|(one, other)| one & other != 0)
    }

    /// Whether the case has ended properly.
    pub fn is_ended(&self, marking: &Marking) -> bool {
        let is_within = || marking.iter().zip(&self.ends).all(|(one, other)| one & !other == 0);
        self.is_stopped(marking) || (self.has_end(marking) && is_within())
    }

    /// Whether the only end has its token while something is left.
    pub fn is_improper(&self, marking: &Marking) -> bool {
        let Some(end) = self.only_end else { return false };
        marking::has(marking, end) && !self.is_ended(marking)
    }
}

/// Something that a search found in the net that it was given, with the run that leads to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The last transition of the run gives this place a second token.
    Unsafe { run: Vec<u32>, place: u32 },
    /// An end has a token, others are left.
    Improper { run: Vec<u32> },
    /// Nothing can happen any more, and no end has a token.
    Stuck { run: Vec<u32> },
    /// What comes after `repeats_from` can happen for ever, and no end can be reached.
    Livelock { run: Vec<u32>, repeats_from: usize },
}

/// The states of a search, each with the one that it was first found from.
#[derive(Clone, Debug)]
pub struct Found {
    pub states: States,
    /// The state before, and the transition.
    from: Vec<(u32, u32)>,
}

impl Found {
    fn new(net: &Compiled) -> Found {
        let mut states = States::new(net.places.len());
        states.insert(&net.first_marking());
        Found { states, from: vec![(0, 0)] }
    }

    /// Returns the state, and whether it is new.
    fn insert(&mut self, marking: &Marking, from: (u32, u32)) -> (u32, bool) {
        let (state, is_new) = self.states.insert(marking);
        if is_new {
            self.from.push(from);
        }
        (state, is_new)
    }

    /// Returns the run to a state, by numbers of the compiled net.
    pub fn run_to(&self, mut state: u32) -> Vec<u32> {
        let mut run = Vec::new();
        while state != 0 {
            let (before, transition) = self.from[state as usize];
            run.push(transition);
            state = before;
        }
        run.reverse();
        run
    }

    fn is_over(&self, limits: &Limits, work: usize) -> bool {
        let count = self.states.len();
        let words = count * self.states.get(0).len();
        count > limits.states_max || words > limits.words_max || work > limits.work_max
    }
}
