//! Machines: which states are entered, which transitions are taken, what loops are bounded by,
//! what is waited for, and which outputs are there when they are read.
//!
//! What never happens is shown by an over-approximation: variables are followed as constants and
//! ranges, everything else may be anything. What does happen is shown by a search that evaluates
//! the guards as a run does. What neither settles is left open.
//!
//! | file | answers |
//! |---|---|
//! | `model` | which transitions there are, and which are closed |
//! | `interface` | how work and composites can end |
//! | `values`, `condition`, `invariant` | what variables can be in each state |
//! | `outputs`, `search` | what certainly happens, with a shortest way there |
//! | `domains`, `guards`, `choices` | what guards decide together, and whether one is true |
//! | `ways`, `loops`, `waits` | what is never entered, never left, or never ends |
//! | `reads`, `assigned` | which outputs may be missing |
//! | `example` | what was found as an execution to be replayed |
//! | `explain` | when a state is entered, in words |

mod assigned;
mod choices;
mod condition;
mod domains;
mod example;
mod explain;
mod guards;
mod interface;
mod invariant;
mod loops;
mod model;
mod outputs;
mod reads;
mod search;
mod values;
mod waits;
mod ways;

pub(super) use condition::literal;
pub(crate) use interface::{Abilities, Interface};

use super::Subject;
use super::certificate::Exits;
use super::finding::Proofs;
use super::property::Property;
use crate::plan::{CompositeId, NodeId, WorkPlan};
use crate::simulate::{Counterexample, Expected, replay};
use invariant::Invariant;
use model::{Model, Way};
use search::Search;

/// Names and places that a message lists.
const NAMES_MAX: usize = 5;

/// A machine and what was found out about it.
pub(crate) struct Analysis<'a> {
    model: Model<'a>,
    invariant: Invariant,
    search: Search,
    /// The states from which an end can be reached.
    ending: Vec<bool>,
    /// What is known of the guards, by list; nothing where there are none to ask.
    guards: Vec<Option<guards::Answer>>,
}

/// The machines of a plan, and how all its work can end.
pub(crate) struct Machines<'a> {
    /// By composite; nothing for graphs.
    analyses: Vec<Option<Analysis<'a>>>,
    interfaces: Vec<Interface>,
    abilities: Vec<Abilities>,
}

impl<'a> Machines<'a> {
    pub fn new(subject: &Subject<'a>) -> Machines<'a> {
        let plan = subject.plan;
        let unknown = Interface { can_complete: true, can_fail: true, ends: Vec::new() };
        let mut machines = Machines {
            analyses: plan.composites.iter().map(|_| None).collect(),
            interfaces: vec![unknown; plan.composites.len()],
            abilities: vec![Abilities { can_complete: true, can_fail: true }; plan.nodes.len()],
        };
        // What stands inside comes later in the plan, and is to be known first.
        for at in (0..plan.composites.len()).rev() {
            let composite = &plan.composites[at];
            let children = composite.first as usize..(composite.first + composite.len) as usize;
            for node in children.clone() {
                let inside = |it: CompositeId| machines.interfaces[it.0 as usize].abilities();
                let found = interface::abilities(subject, NodeId(node as u32), inside);
                machines.abilities[node] = found;
            }
            let id = CompositeId(at as u32);
            let children = &machines.abilities[children];
            let (interface, analysis) = match machines.analyse(subject, id, children) {
                Some(analysis) => (interface::of_machine(&analysis), Some(analysis)),
                None => (Interface::of_graph(subject, id, children), None),
            };
            (machines.interfaces[at], machines.analyses[at]) = (interface, analysis);
        }
        machines
    }

    fn analyse(
        &self,
        subject: &Subject<'a>,
        id: CompositeId,
        children: &[Abilities],
    ) -> Option<Analysis<'a>> {
        let mut model = Model::new(subject, id, children)?;
        let names: Vec<Option<Vec<String>>> =
            model.states.iter().map(|it| self.taken_inside(subject, it.id)).collect();
        waits::close_shadowed(&mut model, |state| names[state as usize].clone());
        let inside = |node| self.inside(subject, node);
        let mut invariant = invariant::find(&mut model);
        let guards = guards::ask(subject, &mut model, &invariant, &inside);
        if guards.iter().flatten().any(guards::Answer::closes_ways) {
            // With fewer ways, variables may be known better.
            invariant = invariant::find(&mut model);
        }
        let gaps = guards.iter().map(|it| it.as_ref().and_then(|it| it.gap.as_ref()));
        let hints: Vec<_> = gaps.collect();
        let search = Search::new(subject, &model, &inside, &hints);
        let ending = ways::ending(&model);
        Some(Analysis { model, invariant, search, ending, guards })
    }

    /// The events that the machine which is the work of a state takes before the state sees them.
    fn taken_inside(&self, subject: &Subject<'a>, id: NodeId) -> Option<Vec<String>> {
        let node = subject.plan.node(id);
        let WorkPlan::Composite(inner) = node.work else { return None };
        // Between two attempts, and around a list, nothing inside is asked.
        if node.retry.is_some() || node.for_each.is_some() {
            return None;
        }
        self.analyses[inner.0 as usize].as_ref().map(waits::always_taken)
    }

    /// How the composite that is the work of a node can end.
    fn inside(&self, subject: &Subject<'a>, id: NodeId) -> Option<Interface> {
        match subject.plan.node(id).work {
            WorkPlan::Composite(inner) => Some(self.interfaces[inner.0 as usize].clone()),
            WorkPlan::Nothing | WorkPlan::Uses { .. } => None,
        }
    }

    /// The transitions that lead from each state of a machine to an end.
    pub fn exits(&self, machine: CompositeId) -> Option<Exits> {
        ways::exits(self.analyses[machine.0 as usize].as_ref()?)
    }

    /// An execution that enters a state, if one was found that replays.
    pub fn execution(
        &self,
        subject: &Subject<'a>,
        state: NodeId,
        expected: Expected,
    ) -> Option<Counterexample> {
        let composite = subject.plan.node(state).composite;
        let machine = self.analyses[composite.0 as usize].as_ref()?;
        let at = state.0 - subject.plan.composite(composite).first;
        let shown = machine.search.way_to(at)?;
        let example =
            example::execution(subject, machine, &shown, Property::Reachability, expected);
        replay(subject.plan, &example).is_ok().then_some(example)
    }

    /// How a composite can end.
    #[allow(dead_code, reason = "for the other parts of the verifier")]
    pub fn interface(&self, id: CompositeId) -> &Interface {
        &self.interfaces[id.0 as usize]
    }

    /// How the work of a task or state can end.
    #[allow(dead_code, reason = "for the other parts of the verifier")]
    pub fn abilities(&self, id: NodeId) -> Abilities {
        self.abilities[id.0 as usize]
    }
}

impl Analysis<'_> {
    /// Whether a state can be entered, as far as can be told.
    fn is_reached(&self, state: u32) -> bool {
        self.invariant[state as usize].is_some()
    }
}

/// Asks everything that is asked of machines.
pub(super) fn verify(subject: &Subject<'_>, machines: &Machines<'_>, proofs: &mut Proofs) {
    for machine in machines.analyses.iter().flatten() {
        ways::reachability(subject, machine, proofs);
        ways::traps(subject, machine, proofs);
        loops::hot(subject, machine, proofs);
        loops::termination(subject, machine, proofs);
        waits::check(subject, machine, proofs);
        choices::exhaustive(subject, machine, proofs);
        guards::report(subject, machine, proofs);
        assigned::check(subject, machine, proofs);
        for (state, entry) in (0u32..).zip(&machine.model.states) {
            let text = explain::entered(subject, machine, state);
            proofs.entered.insert(subject.name(entry.id), text);
        }
    }
}

/// The name of a machine in proofs: that of the task whose work it is.
fn name(subject: &Subject<'_>, model: &Model<'_>) -> String {
    let owner = subject.plan.composite(model.composite).owner;
    owner.map_or_else(String::new, |it| subject.name(it))
}

/// The ways that led to a state, in words.
fn path(model: &Model<'_>, came: &[Option<&Way<'_>>], state: u32) -> Vec<String> {
    let mut steps = Vec::new();
    let mut at = state;
    while let Some(way) = came[at as usize] {
        let (from, to) = (model.name(way.from), model.name(way.to));
        steps.push(format!("{from} {} → {to}", model.cause(way)));
        at = way.from;
    }
    steps.reverse();
    steps
}
