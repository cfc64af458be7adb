//! The net while it shrinks: both directions of every arc, so that a rule looks at its
//! neighbourhood alone.

use std::collections::{BTreeSet, VecDeque};

use crate::marking::spread;
use crate::workflow_net::WorkflowNet;

/// Neighbours that a node keeps without asking for memory: most nodes have no more.
const FEW: usize = 4;

/// The nodes at one side of a node. The print is equal for equal sets, whatever the order in which
/// they came about, and costs nothing to keep: twins are found by it, however many arcs they have.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    /// The first so many of these, sorted; or all are in `many`.
    few: [u32; FEW],
    few_count: usize,
    many: BTreeSet<u32>,
    print: u64,
}

impl Neighbours {
    pub fn len(&self) -> usize {
        self.few_count + self.many.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn has(&self, id: u32) -> bool {
        self.few[..self.few_count].contains(&id) || self.many.contains(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.few[..self.few_count].iter().chain(&self.many).copied()
    }

    /// Returns the one node that there is.
    pub fn only(&self) -> Option<u32> {
        if self.len() == 1 { self.iter().next() } else { None }
    }

    pub fn print(&self) -> u64 {
        self.print
    }

    pub fn equals(&self, other: &Neighbours) -> bool {
        self.print == other.print && self.len() == other.len() && self.iter().eq(other.iter())
    }

    /// Whether the two have a node in common.
    pub fn meets(&self, other: &Neighbours) -> bool {
        let (small, large) = if self.len() <= other.len() { (self, other) } else { (other, self) };
        small.iter().any(|it| large.has(it))
    }

    fn insert(&mut self, id: u32) {
        if self.has(id) {
            return;
        }
        self.print = self.print.wrapping_add(spread(u64::from(id)));
        if !self.many.is_empty() || self.few_count == FEW {
            self.many.extend(&self.few[..self.few_count]);
            self.few_count = 0;
            self.many.insert(id);
            return;
        }
        let at = self.few[..self.few_count].partition_point(|it| *it < id);
        self.few.copy_within(at..self.few_count, at + 1);
        self.few[at] = id;
        self.few_count += 1;
    }

    fn remove(&mut self, id: u32) {
        let among_few = self.few[..self.few_count].iter().position(|it| *it == id);
        if let Some(at) = among_few {
            self.few.copy_within(at + 1..self.few_count, at);
            self.few_count -= 1;
        }
        if among_few.is_none() && !self.many.remove(&id) {
            return;
        }
        self.print = self.print.wrapping_sub(spread(u64::from(id)));
        if self.many.len() == FEW {
            self.few_count = FEW;
            self.few.iter_mut().zip(&self.many).for_each(|(to, from)| *to = *from);
            self.many = BTreeSet::new();
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Node {
    pub before: Neighbours,
    pub after: Neighbours,
    pub is_gone: bool,
    is_queued: bool,
    is_put_off: bool,
}

impl Node {
    /// What twins have in common.
    pub fn print(&self) -> (u64, u64) {
        (self.before.print(), self.after.print())
    }

    pub fn is_twin_of(&self, other: &Node) -> bool {
        !self.is_gone
            && !other.is_gone
            && self.before.equals(&other.before)
            && self.after.equals(&other.after)
    }
}

/// A node that a rule may apply to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    Place(u32),
    Transition(u32),
}

#[derive(Clone, Debug)]
pub struct Graph {
    pub places: Vec<Node>,
    pub transitions: Vec<Node>,
    /// The place with the token.
    pub start: u32,
    /// Whether tokens may stay there in the end.
    pub is_end: Vec<bool>,
    pub is_stop: Vec<bool>,
    /// Transitions with an arc to a stop.
    pub stopping: Vec<bool>,
    queue: VecDeque<Spot>,
    /// Spots whose rule costs much: they wait until nothing cheap is left, which often makes them
    /// cheap, and keeps a chain behind a wide join linear.
    dear: VecDeque<u32>,
}

impl Graph {
    pub fn of(workflow: &WorkflowNet<'_>) -> Graph {
        let net = workflow.net;
        let mut graph = Graph {
            places: vec![Node::default(); net.places().len()],
            transitions: vec![Node::default(); net.transitions().len()],
            start: workflow.start.0,
            is_end: vec![false; net.places().len()],
            is_stop: vec![false; net.places().len()],
            stopping: vec![false; net.transitions().len()],
            queue: VecDeque::new(),
            dear: VecDeque::new(),
        };
        for transition in net.transitions() {
            let arcs = net.arcs(transition);
            arcs.inputs.iter().for_each(|it| graph.join_input(it.0, transition.0));
            arcs.outputs.iter().for_each(|it| graph.join_output(transition.0, it.0));
            graph.stopping[transition.index()] =
                arcs.outputs.iter().any(|it| workflow.stops.contains(it));
        }
        workflow.ends.iter().for_each(|it| graph.is_end[it.index()] = true);
        workflow.stops.iter().for_each(|it| graph.is_stop[it.index()] = true);
        graph.visit_all();
        graph
    }

    pub fn place(&self, place: u32) -> &Node {
        &self.places[place as usize]
    }

    pub fn transition(&self, transition: u32) -> &Node {
        &self.transitions[transition as usize]
    }

    pub fn join_input(&mut self, place: u32, transition: u32) {
        self.places[place as usize].after.insert(transition);
        self.transitions[transition as usize].before.insert(place);
    }

    pub fn join_output(&mut self, transition: u32, place: u32) {
        self.transitions[transition as usize].after.insert(place);
        self.places[place as usize].before.insert(transition);
    }

    /// Adds a transition without arcs.
    pub fn add_transition(&mut self) -> u32 {
        self.transitions.push(Node::default());
        self.stopping.push(false);
        self.transitions.len() as u32 - 1
    }

    pub fn remove_place(&mut self, place: u32) {
        let node = std::mem::take(&mut self.places[place as usize]);
        self.places[place as usize].is_gone = true;
        for transition in node.before.iter() {
            self.transitions[transition as usize].after.remove(place);
        }
        for transition in node.after.iter() {
            self.transitions[transition as usize].before.remove(place);
        }
        node.before.iter().chain(node.after.iter()).for_each(|it| self.revisit_transition(it));
    }

    pub fn remove_transition(&mut self, transition: u32) {
        let node = std::mem::take(&mut self.transitions[transition as usize]);
        self.transitions[transition as usize].is_gone = true;
        for place in node.before.iter() {
            self.places[place as usize].after.remove(transition);
        }
        for place in node.after.iter() {
            self.places[place as usize].before.remove(transition);
        }
        node.before.iter().chain(node.after.iter()).for_each(|it| self.revisit(Spot::Place(it)));
    }

    /// Has a changed transition and what depends on it looked at again. A rule about more than a few
    /// places does not come to apply by a change of one.
    pub fn revisit_transition(&mut self, transition: u32) {
        self.revisit(Spot::Transition(transition));
        let node = self.transition(transition);
        for (places, count) in [&node.before, &node.after].map(|it| (it.few, it.few_count)) {
            places[..count].iter().for_each(|it| self.revisit(Spot::Place(*it)));
        }
    }

    pub fn revisit(&mut self, spot: Spot) {
        let node = match spot {
            Spot::Place(at) => &mut self.places[at as usize],
            Spot::Transition(at) => &mut self.transitions[at as usize],
        };
        if !node.is_gone && !std::mem::replace(&mut node.is_queued, true) {
            self.queue.push_back(spot);
        }
    }

    pub fn visit_all(&mut self) {
        (0..self.places.len() as u32).for_each(|it| self.revisit(Spot::Place(it)));
        (0..self.transitions.len() as u32).for_each(|it| self.revisit(Spot::Transition(it)));
    }

    /// Puts a spot off until nothing cheap is left.
    pub fn put_off(&mut self, place: u32) {
        if !std::mem::replace(&mut self.places[place as usize].is_put_off, true) {
            self.dear.push_back(place);
        }
    }

    /// Returns the next spot to look at, and whether a dear rule is welcome there.
    pub fn next(&mut self) -> Option<(Spot, bool)> {
        let Some(spot) = self.queue.pop_front() else {
            let place = self.dear.pop_front()?;
            self.places[place as usize].is_put_off = false;
            return Some((Spot::Place(place), true));
        };
        match spot {
            Spot::Place(at) => self.places[at as usize].is_queued = false,
            Spot::Transition(at) => self.transitions[at as usize].is_queued = false,
        }
        Some((spot, false))
    }
}
