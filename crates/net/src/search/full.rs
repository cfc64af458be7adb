//! Every marking, breadth first. What it finds it finds by a shortest run, and if it gets to the end
//! its answers are exact for every property.

use super::{Compiled, Finding, Found, Limits};
use crate::marking::States;

/// Firings that a search remembers, to look back from the end.
const EDGES_MAX: usize = 4_000_000;

#[derive(Clone, Debug)]
pub struct Exploration {
    /// At most one of each kind, by shortest runs.
    pub findings: Vec<Finding>,
    /// Whether everything that can be reached was seen.
    pub is_complete: bool,
    /// Which transitions fired.
    pub fired: Vec<bool>,
    pub states: States,
    /// How far each state is from the end; `u32::MAX` if there is no way. Only if complete.
    pub distances: Vec<u32>,
}

pub fn explore(net: &Compiled, limits: &Limits) -> Exploration {
    let mut search = Search {
        net,
        found: Found::new(net),
        edges: Vec::new(),
        fired: vec![false; net.transitions.len()],
        first_improper: None,
        first_stuck: None,
    };
    let outcome = search.run(limits);
    search.conclude(outcome)
}

enum Outcome {
    Complete,
    Cut,
    Unsafe { state: u32, transition: u32, place: u32 },
}

struct Search<'n> {
    net: &'n Compiled,
    found: Found,
    /// From, to.
    edges: Vec<(u32, u32)>,
    fired: Vec<bool>,
    first_improper: Option<u32>,
    first_stuck: Option<u32>,
}

impl Search<'_> {
    fn run(&mut self, limits: &Limits) -> Outcome {
        let (mut enabled, mut work) = (Vec::new(), 0);
        let mut next = self.net.first_marking();
        let mut marking = next.clone();
        let mut state = 0;
        while (state as usize) < self.found.states.len() {
            if self.found.is_over(limits, work) || self.edges.len() > EDGES_MAX {
                return Outcome::Cut;
            }
            marking.copy_from_slice(self.found.states.get(state));
            work += self.net.enabled(&marking, &mut enabled);
            self.look_at(state, &enabled);
            for transition in &enabled {
                self.fired[*transition as usize] = true;
                if let Err(place) = self.net.fire(*transition, &marking, &mut next) {
                    return Outcome::Unsafe { state, transition: *transition, place };
                }
                work += next.len() * 2;
                let (to, _) = self.found.insert(&next, (state, *transition));
                self.edges.push((state, to));
            }
            state += 1;
        }
        Outcome::Complete
    }

    fn look_at(&mut self, state: u32, enabled: &[u32]) {
        let marking = self.found.states.get(state);
        let is_stuck = enabled.is_empty() && !self.net.is_ended(marking);
        if self.net.is_improper(marking) || (is_stuck && self.net.has_end(marking)) {
            self.first_improper.get_or_insert(state);
        } else if is_stuck {
            self.first_stuck.get_or_insert(state);
        }
    }

    fn conclude(self, outcome: Outcome) -> Exploration {
        let mut findings = Vec::new();
        if let Outcome::Unsafe { state, transition, place } = outcome {
            let mut run = self.found.run_to(state);
            run.push(transition);
            findings.push(Finding::Unsafe { run, place });
        }
        findings.extend(self.first_stuck.map(|it| Finding::Stuck { run: self.found.run_to(it) }));
        let improper = self.first_improper;
        findings.extend(improper.map(|it| Finding::Improper { run: self.found.run_to(it) }));
        let is_complete = matches!(outcome, Outcome::Complete);
        let distances = if is_complete { self.distances() } else { Vec::new() };
        let doomed = distances.iter().position(|it| *it == u32::MAX);
        if let (Some(state), true) = (doomed, findings.is_empty()) {
            findings.push(self.livelock(state as u32));
        }
        let Search { fired, found, .. } = self;
        Exploration { findings, is_complete, fired, states: found.states, distances }
    }

    /// Walks back from all markings in which the case has ended.
    fn distances(&self) -> Vec<u32> {
        let count = self.found.states.len();
        // The edges into each state, one after the other.
        let mut starts = vec![0u32; count + 1];
        self.edges.iter().for_each(|(_, to)| starts[*to as usize + 1] += 1);
        for at in 0..count {
            starts[at + 1] += starts[at];
        }
        let mut ends = starts.clone();
        let mut into = vec![0u32; self.edges.len()];
        for (from, to) in &self.edges {
            into[ends[*to as usize] as usize] = *from;
            ends[*to as usize] += 1;
        }
        let is_ended = |it: &u32| self.net.is_ended(self.found.states.get(*it));
        let mut queue: Vec<u32> = (0..count as u32).filter(is_ended).collect();
        let mut distances = vec![u32::MAX; count];
        queue.iter().for_each(|it| distances[*it as usize] = 0);
        let mut at = 0;
        while let Some(state) = queue.get(at).copied() {
            at += 1;
            let next = distances[state as usize] + 1;
            for from in &into[starts[state as usize] as usize..ends[state as usize] as usize] {
                if distances[*from as usize] == u32::MAX {
                    distances[*from as usize] = next;
                    queue.push(*from);
                }
            }
        }
        distances
    }

    /// From a state that never ends and never sticks, goes on until it comes around.
    fn livelock(&self, state: u32) -> Finding {
        let mut run = self.found.run_to(state);
        let mut seen = States::new(self.net.places.len());
        let mut at = Vec::new();
        let (mut marking, mut enabled) = (self.found.states.get(state).to_vec(), Vec::new());
        loop {
            let (number, is_new) = seen.insert(&marking);
            if !is_new {
                return Finding::Livelock { run, repeats_from: at[number as usize] };
            }
            at.push(run.len());
            self.net.enabled(&marking, &mut enabled);
            let mut next = marking.clone();
            let step = enabled.iter().find(|it| self.net.fire(**it, &marking, &mut next).is_ok());
            let Some(transition) = step else {
                return Finding::Stuck { run };
            };
            run.push(*transition);
            marking = next;
        }
    }
}
