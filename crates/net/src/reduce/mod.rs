//! Makes a net smaller without changing whether it is sound and safe, in either direction, and notes
//! each step. Most nets that people draw shrink to a single place, which is the proof.
//!
//! | rule | condition (the checker in `certificate.rs` has all of it) | why nothing is lost |
//! |---|---|---|
//! | agglomerate a place | those that take from it take from nothing else | what takes its token may as well do so at once |
//! | drop a twin place | the same producers and consumers as another | the two always have the same tokens |
//! | drop a twin transition | the same inputs and outputs as another | whatever it does the other does |
//! | drop a loop | its outputs are its inputs, and another transition shows that they are marked | it changes nothing |
//!
//! The last condition matters: a loop on a place that never has a token is dead, and to drop it
//! would prove a net that is wrong.
//!
//! The rules hold for any net without resets, bounded or not, free-choice or not. A net with resets
//! is not reduced.

mod graph;
mod origin;

use std::collections::HashMap;

use crate::proof::{Keeps, Step};
use crate::workflow_net::WorkflowNet;
use graph::{Graph, Spot};
use origin::Origins;

/// What a step may cost before it is put off, in arcs.
const CHEAP_MAX: usize = 16;
/// What all dear looks together may cost, in arcs for each node of the net at the start, and at
/// least. Beyond that the net is left as it is: the search goes on with it.
const DEAR_COST_PER_NODE_MAX: usize = 100;
const DEAR_COST_MIN: usize = 100_000;
/// How often the whole net is looked at afresh after the last rule applied.
const SWEEPS_MAX: usize = 2;

/// A net that no rule makes smaller.
#[derive(Clone, Debug)]
pub struct Reduced {
    pub steps: Vec<Step>,
    pub residue: Residue,
    origins: Origins,
}

/// What is left of a net, with the ids of the net that it came from.
#[derive(Clone, Debug)]
pub struct Residue {
    pub start: u32,
    pub places: Vec<u32>,
    /// The transition's id, its inputs and its outputs.
    pub transitions: Vec<(u32, Vec<u32>, Vec<u32>)>,
    pub ends: Vec<u32>,
    pub stops: Vec<u32>,
}

impl Residue {
    /// Whether nothing is left to prove: the start is an end, and that is all there is.
    pub fn is_trivial(&self) -> bool {
        self.transitions.is_empty() && self.places == [self.start] && self.ends == [self.start]
    }
}

/// Reduces a net as far as the rules go.
pub fn reduce(workflow: &WorkflowNet<'_>) -> Reduced {
    let mut reducer = Reducer {
        graph: Graph::of(workflow),
        steps: Vec::new(),
        origins: Origins::of(workflow.net.transitions().len()),
        twins: HashMap::new(),
        dear_cost_left: DEAR_COST_MIN.max(workflow.net.node_count() * DEAR_COST_PER_NODE_MAX),
    };
    if !workflow.net.has_resets() {
        reducer.run();
    }
    Reduced { residue: reducer.residue(), steps: reducer.steps, origins: reducer.origins }
}

impl Reduced {
    /// Returns a run of the original net: what goes before, and each transition in full.
    pub fn lift(&self, run: &[u32]) -> Vec<u32> {
        self.origins.lift(run)
    }

    /// Returns which transitions of the original net can fire, given those of the residue that can.
    pub fn lift_alive(&self, alive: &[u32], transition_count: usize) -> Vec<bool> {
        origin::lift_alive(&self.steps, alive, transition_count)
    }
}

/// What twins have in common, and whether they are places.
type TwinKey = (bool, u64, u64);

struct Reducer {
    graph: Graph,
    steps: Vec<Step>,
    origins: Origins,
    /// A node by what it would have in common with a twin. It may have changed since.
    twins: HashMap<TwinKey, u32>,
    dear_cost_left: usize,
}

impl Reducer {
    fn run(&mut self) {
        for _ in 0..SWEEPS_MAX {
            let before = self.steps.len();
            while let Some((spot, is_dear)) = self.graph.next() {
                match spot {
                    Spot::Place(place) => self.visit_place(place, is_dear),
                    Spot::Transition(transition) => self.visit_transition(transition),
                }
            }
            if self.steps.len() == before || self.graph.places.iter().all(|it| it.is_gone) {
                return;
            }
            self.graph.visit_all();
        }
    }

    fn residue(&self) -> Residue {
        let graph = &self.graph;
        let kept = |at: &u32| !graph.place(*at).is_gone;
        let places: Vec<u32> = (0..graph.places.len() as u32).filter(kept).collect();
        let transitions = (0..graph.transitions.len() as u32)
            .filter(|at| !graph.transition(*at).is_gone)
            .map(|at| {
                let node = graph.transition(at);
                (at, node.before.iter().collect(), node.after.iter().collect())
            })
            .collect();
        let ends = places.iter().copied().filter(|it| graph.is_end[*it as usize]).collect();
        let stops = places.iter().copied().filter(|it| graph.is_stop[*it as usize]).collect();
        Residue { start: graph.start, places, transitions, ends, stops }
    }

    fn visit_place(&mut self, place: u32, is_dear: bool) {
        if self.graph.place(place).is_gone {
            return;
        }
        self.drop_twin_place(place);
        let cost = self.agglomeration_cost(place);
        if cost > CHEAP_MAX && !is_dear {
            self.graph.put_off(place);
            return;
        }
        if is_dear {
            match self.dear_cost_left.checked_sub(cost) {
                Some(left) => self.dear_cost_left = left,
                None => return,
            }
        }
        if let Some(keeps) = self.may_agglomerate(place) {
            self.agglomerate(place, keeps);
        }
    }

    fn visit_transition(&mut self, transition: u32) {
        if !self.graph.transition(transition).is_gone {
            self.drop_twin_transition(transition);
            self.drop_loop(transition);
        }
    }

    fn drop_twin_place(&mut self, place: u32) {
        let graph = &self.graph;
        let node = graph.place(place);
        // The start has a token before anything happened. Places without producers are no twins of it.
        if place == graph.start || node.before.is_empty() {
            return;
        }
        let (before, after) = node.print();
        let Some(twin) = self.twins.insert((true, before, after), place) else { return };
        let kind = |it: u32| (graph.is_end[it as usize], graph.is_stop[it as usize]);
        let is_twin = twin != place && twin != graph.start && kind(twin) == kind(place);
        if !is_twin || !graph.place(twin).is_twin_of(node) {
            return;
        }
        self.steps.push(Step::DropPlace { place: twin, twin: place });
        self.graph.remove_place(twin);
    }

    fn drop_twin_transition(&mut self, transition: u32) {
        let node = self.graph.transition(transition);
        let (before, after) = node.print();
        let twin = self.twins.insert((false, before, after), transition);
        let Some(twin) = twin.filter(|it| *it != transition) else { return };
        if !self.graph.transition(twin).is_twin_of(node) {
            return;
        }
        self.steps.push(Step::DropTransition { transition: twin, twin: transition });
        self.graph.remove_transition(twin);
    }

    /// Drops a transition that gives back what it takes, if another one shows that it can fire.
    fn drop_loop(&mut self, transition: u32) {
        let node = self.graph.transition(transition);
        if node.before.is_empty() || !node.before.equals(&node.after) {
            return;
        }
        if let Some(witnesses) = self.witnesses(transition) {
            self.steps.push(Step::DropLoop { transition, witnesses });
            self.graph.remove_transition(transition);
        }
    }

    /// Returns transitions of which one can fire exactly if a loop can: another one that takes the
    /// same, or all that make the only place that it takes. None are needed at the start.
    fn witnesses(&self, transition: u32) -> Option<Vec<u32>> {
        let node = self.graph.transition(transition);
        if node.before.only() == Some(self.graph.start) {
            return Some(Vec::new());
        }
        let place = self.graph.place(node.before.iter().next()?);
        let takes_the_same =
            |it: &u32| *it != transition && self.graph.transition(*it).before.equals(&node.before);
        if let Some(witness) = place.after.iter().find(takes_the_same) {
            return Some(vec![witness]);
        }
        let makers: Vec<u32> = place.before.iter().filter(|it| *it != transition).collect();
        (node.before.len() == 1 && !makers.is_empty()).then_some(makers)
    }

    /// What it takes to look at a place and to agglomerate it, in arcs.
    fn agglomeration_cost(&self, place: u32) -> usize {
        let node = self.graph.place(place);
        let made: usize = match node.after.only() {
            Some(consumer) if node.before.len() != 1 => self.graph.transition(consumer).after.len(),
            _ => 1,
        };
        node.before.len().max(1) * made + node.after.len()
    }

    /// Whether every consumer of a place may be joined to every producer, without the net growing.
    fn may_agglomerate(&self, place: u32) -> Option<Keeps> {
        let graph = &self.graph;
        let node = graph.place(place);
        let is_start = place == graph.start;
        let is_last = graph.is_end[place as usize] || graph.is_stop[place as usize];
        if is_last || node.after.is_empty() || (node.before.is_empty() && !is_start) {
            return None;
        }
        let keeps = self.kept_by_size(place)?;
        let consumers = || node.after.iter().map(|it| graph.transition(it));
        let takes_only_this = consumers().all(|it| it.before.only() == Some(place));
        let stops =
            node.before.iter().chain(node.after.iter()).any(|it| graph.stopping[it as usize]);
        if !takes_only_this || stops || consumers().any(|it| it.after.is_empty()) {
            return None;
        }
        // A place that both make would get two tokens at once; the place itself is one of them.
        let producers = || node.before.iter().map(|it| graph.transition(it));
        if consumers().any(|it| producers().any(|other| it.after.meets(&other.after))) {
            return None;
        }
        Some(keeps)
    }

    /// Says which transitions keep their ids, or none if the net would grow.
    fn kept_by_size(&self, place: u32) -> Option<Keeps> {
        let node = self.graph.place(place);
        let (producers, consumers) = (node.before.len(), node.after.len());
        if let Some(consumer) = node.after.only() {
            let made = self.graph.transition(consumer).after.len();
            if place == self.graph.start {
                return (made == 1).then_some(Keeps::Producers);
            }
            if let Some(producer) = node.before.only() {
                let moved = self.graph.transition(producer);
                let is_smaller = moved.before.len() + moved.after.len() < made;
                return Some(if is_smaller { Keeps::Consumers } else { Keeps::Producers });
            }
            return (made == 1 || producers * made <= producers + made).then_some(Keeps::Producers);
        }
        if place == self.graph.start {
            return None;
        }
        if let Some(producer) = node.before.only() {
            let moved = self.graph.transition(producer);
            let taken = moved.before.len();
            let is_no_larger = taken == 1 || consumers * taken <= consumers + taken;
            return (moved.after.len() == 1 && is_no_larger).then_some(Keeps::Consumers);
        }
        let is_choice = |transition: u32| {
            let node = self.graph.transition(transition);
            node.before.len() == 1 && node.after.len() == 1
        };
        let are_choices = node.before.iter().chain(node.after.iter()).all(is_choice);
        (producers * consumers <= producers + consumers && are_choices).then_some(Keeps::Neither)
    }

    fn agglomerate(&mut self, place: u32, keeps: Keeps) {
        let node = self.graph.place(place);
        let producers: Vec<u32> = node.before.iter().collect();
        let consumers: Vec<u32> = node.after.iter().collect();
        let is_start = place == self.graph.start;
        self.graph.remove_place(place);
        match keeps {
            Keeps::Producers => {
                for producer in &producers {
                    self.append(*producer, consumers[0], *producer);
                }
                if is_start {
                    self.move_start(consumers[0]);
                }
                self.graph.remove_transition(consumers[0]);
            }
            Keeps::Consumers => {
                for consumer in &consumers {
                    self.append(producers[0], *consumer, *consumer);
                }
                self.graph.remove_transition(producers[0]);
            }
            Keeps::Neither => {
                for producer in &producers {
                    for consumer in &consumers {
                        let made = self.graph.add_transition();
                        self.origins.add();
                        self.append(*producer, *consumer, made);
                    }
                }
                let both = producers.iter().chain(&consumers);
                both.for_each(|it| self.graph.remove_transition(*it));
            }
        }
        self.steps.push(Step::Agglomerate { place, producers, consumers, keeps, is_start });
    }

    /// Gives `made` the arcs of both, and the run of the first and then the second.
    fn append(&mut self, first: u32, second: u32, made: u32) {
        self.origins.join(first, second, made);
        for other in [first, second] {
            if other != made {
                let node = self.graph.transition(other).clone();
                node.before.iter().for_each(|it| self.add_input(it, made));
                node.after.iter().for_each(|it| self.add_output(made, it));
            }
        }
        self.graph.revisit_transition(made);
    }

    fn add_input(&mut self, place: u32, transition: u32) {
        self.graph.join_input(place, transition);
        self.graph.revisit(Spot::Place(place));
    }

    fn add_output(&mut self, transition: u32, place: u32) {
        self.graph.join_output(transition, place);
        self.graph.revisit(Spot::Place(place));
    }

    fn move_start(&mut self, through: u32) {
        self.origins.begin_with(through);
        if let Some(place) = self.graph.transition(through).after.only() {
            self.graph.start = place;
            self.graph.revisit(Spot::Place(place));
        }
    }
}
