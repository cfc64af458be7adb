//! Graphs as circuits: for each task, when it starts and how it ends, as a function of what the
//! outside does.
//!
//! The join table (`crate::join`) and the rules of failure (`crate::run`) stand here once more, as
//! gates. A graph that goes on after a failure and one that stops differ in `alive` alone: a task
//! is decided as if nothing stopped, and `alive` says that nothing before it did.
//!
//! Where a composite is repeated (`retry`, `for_each`), the circuit shows one repetition: the last
//! attempt, and any one item.

use std::collections::HashMap;

use super::circuit::{Circuit, Lit};
use super::conditions::{Conditions, Guard};
use super::ends::{Ends, ends};
use crate::definition::{Join, OnFailure, OnItemFailure};
use crate::plan::{CompositeId, CompositeKind, NodeId, Plan, ROOT, TaskPlan, WorkPlan};
use crate::verify::Subject;

/// What can be said of a task in a scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcomes {
    /// The composite around it has started.
    pub entered: Lit,
    /// Its join lets it run.
    pub joined: Lit,
    /// Its condition fails.
    pub broken: Lit,
    /// Its work starts, unless its graph stopped before.
    pub runs: Lit,
    pub completes: Lit,
    pub fails: Lit,
    /// Nothing before it stopped its graph or a graph around it.
    pub alive: Lit,
    /// It fails, and nothing can accept that. Errs on the side of acceptance, so that `alive` is
    /// never false where a task can run.
    stops: Lit,
    /// It fails, and nothing has accepted that in the end.
    pub fatal: Lit,
}

impl Outcomes {
    /// What is known of a task that no circuit describes: it is in a machine or undoes something.
    const NOWHERE: Outcomes = Outcomes {
        entered: Lit::FALSE,
        joined: Lit::FALSE,
        broken: Lit::FALSE,
        runs: Lit::FALSE,
        completes: Lit::FALSE,
        fails: Lit::FALSE,
        alive: Lit::FALSE,
        stops: Lit::FALSE,
        fatal: Lit::FALSE,
    };
}

#[derive(Debug)]
pub(super) struct Encoded {
    pub circuit: Circuit,
    /// By node.
    pub outcomes: Vec<Outcomes>,
    /// Whether a graph fails, by composite; nothing for machines.
    pub broken: HashMap<CompositeId, Lit>,
    /// Whether the outcome of a leaf is a failure, by node.
    pub failures: HashMap<NodeId, Lit>,
    pub conditions: Conditions,
    /// All tasks of graphs, each after what it needs and after what it is within.
    pub order: Vec<NodeId>,
    /// The place of each node in that order.
    pub places: Vec<u32>,
}

struct Encoder<'a> {
    plan: &'a Plan,
    encoded: Encoded,
}

/// Makes the circuit of all graphs of a plan. A graph inside of a machine begins anew: nothing is
/// known of what led there.
pub(super) fn encode(subject: &Subject<'_>) -> Encoded {
    let circuit = Circuit::new();
    let conditions = Conditions::new(subject);
    let plan = &**subject.plan;
    let encoded = Encoded {
        circuit,
        outcomes: vec![Outcomes::NOWHERE; plan.nodes.len()],
        broken: HashMap::new(),
        failures: HashMap::new(),
        conditions,
        order: Vec::new(),
        places: vec![0; plan.nodes.len()],
    };
    let mut encoder = Encoder { plan, encoded };
    for at in 0..plan.composites.len() {
        let id = CompositeId(at as u32);
        if encoder.begins(id) {
            encoder.graph(id, Lit::TRUE, Lit::TRUE);
        }
    }
    encoder.encoded
}

impl Encoder<'_> {
    /// Whether a graph is described on its own, and not with the graph around it.
    fn begins(&self, id: CompositeId) -> bool {
        let composite = self.plan.composite(id);
        if !is_graph(&composite.kind) {
            return false;
        }
        match composite.owner {
            None => true,
            // What undoes a task is one task that depends on nothing.
            Some(owner) if self.plan.node(owner).compensate == Some(id) => true,
            Some(owner) => !is_graph(&self.plan.composite(self.plan.node(owner).composite).kind),
        }
    }

    /// Describes a graph that starts if `entered`, and returns whether it fails.
    fn graph(&mut self, id: CompositeId, entered: Lit, alive: Lit) -> Lit {
        let composite = self.plan.composite(id);
        let first = composite.first;
        let CompositeKind::Graph { fail_fast, .. } = composite.kind else { return Lit::FALSE };
        let order = order(self.plan, id);
        for local in &order {
            let node = NodeId(first + local);
            self.encoded.places[node.0 as usize] = self.encoded.order.len() as u32;
            self.encoded.order.push(node);
            self.task(node, entered, alive, fail_fast);
        }
        // Whether a failure is accepted may depend on what comes after it.
        let mut fatal = Vec::with_capacity(order.len());
        for local in &order {
            let lit = self.fatal(NodeId(first + local));
            self.encoded.outcomes[(first + local) as usize].fatal = lit;
            fatal.push(lit);
        }
        let broken = self.encoded.circuit.or(fatal);
        self.encoded.broken.insert(id, broken);
        broken
    }

    fn outcomes(&self, node: u32) -> Outcomes {
        self.encoded.outcomes[node as usize]
    }

    fn task(&mut self, id: NodeId, entered: Lit, alive: Lit, fail_fast: bool) {
        let node = self.plan.node(id);
        let first = self.plan.composite(node.composite).first;
        let needs: Vec<Outcomes> = node.needs.iter().map(|it| self.outcomes(first + it)).collect();
        let joined = self.joined(node, &needs, entered);
        let alive = self.alive(node, &needs, alive, fail_fast);
        let circuit = &mut self.encoded.circuit;
        let guard = match &node.condition {
            None => Guard::ALWAYS,
            Some(_) => self.encoded.conditions.add(id, circuit, &self.encoded.outcomes),
        };
        let circuit = &mut self.encoded.circuit;
        let runs = circuit.and([joined, guard.yes]);
        let broken = circuit.and([joined, guard.error]);
        let failed_work = self.failed_work(id, runs, alive);
        let circuit = &mut self.encoded.circuit;
        let completes = circuit.and([runs, !failed_work]);
        let failed = circuit.and([runs, failed_work]);
        let fails = circuit.or([failed, broken]);
        let accepted = acceptance(self.plan, id) != Acceptance::Never;
        self.encoded.outcomes[id.0 as usize] = Outcomes {
            entered,
            joined,
            broken,
            runs,
            completes,
            fails,
            alive,
            stops: if accepted { Lit::FALSE } else { fails },
            fatal: Lit::FALSE,
        };
    }

    /// Whether a task fails and nothing accepts it: an `any_success` behind it does only if another
    /// of its needs completes.
    fn fatal(&mut self, id: NodeId) -> Lit {
        let fails = self.outcomes(id.0).fails;
        if acceptance(self.plan, id) == Acceptance::Always {
            return Lit::FALSE;
        }
        let node = self.plan.node(id);
        let first = self.plan.composite(node.composite).first;
        let mut all = vec![fails];
        for dependent in &node.dependents {
            let dependent = self.plan.node(NodeId(first + dependent));
            if dependent.join == Join::AnySuccess {
                all.extend(dependent.needs.iter().map(|it| !self.outcomes(first + it).completes));
            }
        }
        self.encoded.circuit.and(all)
    }

    fn joined(&mut self, node: &TaskPlan, needs: &[Outcomes], entered: Lit) -> Lit {
        let circuit = &mut self.encoded.circuit;
        if needs.is_empty() {
            return entered;
        }
        let any_completed = circuit.or(needs.iter().map(|it| it.completes));
        let any_failed = circuit.or(needs.iter().map(|it| it.fails));
        let joined = match node.join {
            Join::AllSuccess => circuit.and(needs.iter().map(|it| it.completes)),
            Join::NoneFailed => circuit.and([any_completed, !any_failed]),
            Join::AnySuccess => any_completed,
            Join::AnyFailed => any_failed,
            Join::AllDone => Lit::TRUE,
        };
        circuit.and([entered, joined])
    }

    /// Whether nothing that certainly comes before a task stops its graph.
    fn alive(&mut self, node: &TaskPlan, needs: &[Outcomes], around: Lit, fail_fast: bool) -> Lit {
        if !fail_fast || needs.is_empty() {
            return around;
        }
        let circuit = &mut self.encoded.circuit;
        let all_ended = circuit.and(needs.iter().flat_map(|it| [it.alive, !it.stops]));
        if node.join != Join::AnySuccess {
            return all_ended;
        }
        // It goes on with the first success, or when all have ended without one.
        let mut ways: Vec<Lit> =
            needs.iter().map(|it| circuit.and([it.alive, it.completes])).collect();
        ways.push(all_ended);
        circuit.or(ways)
    }

    /// Returns whether the work of a task fails, if it starts.
    fn failed_work(&mut self, id: NodeId, runs: Lit, alive: Lit) -> Lit {
        let node = self.plan.node(id);
        let inner = match node.work {
            WorkPlan::Composite(inner) => Some(inner),
            WorkPlan::Nothing | WorkPlan::Uses { .. } => None,
        };
        let graph = inner.filter(|it| is_graph(&self.plan.composite(*it).kind));
        let Some(graph) = graph else {
            let ends = ends(self.plan, id);
            let ends = Ends { success: ends.success || node.for_each.is_some(), ..ends };
            return self.own_failure(id, ends);
        };
        let entered = match &node.for_each {
            // The list may be empty.
            Some(_) => {
                let some = self.encoded.circuit.input(true);
                self.encoded.circuit.and([runs, !some])
            }
            None => runs,
        };
        let broken = self.graph(graph, entered, alive);
        let tolerates = (node.for_each.as_ref())
            .is_some_and(|it| it.on_item_failure == OnItemFailure::Continue);
        let broken = if tolerates { Lit::FALSE } else { broken };
        let otherwise = node.for_each.is_some()
            || node.timeout.run.or(node.timeout.total).is_some()
            || !self.plan.composite(graph).vars.is_empty();
        let own = match otherwise {
            true => self.own_failure(id, Ends::EITHER),
            false => Lit::FALSE,
        };
        self.encoded.circuit.or([broken, own])
    }

    fn own_failure(&mut self, id: NodeId, ends: Ends) -> Lit {
        match (ends.success, ends.failure) {
            (true, true) => {
                let failure = self.encoded.circuit.input(true);
                self.encoded.failures.insert(id, failure);
                failure
            }
            (true, false) => Lit::FALSE,
            (false, _) => Lit::TRUE,
        }
    }
}

/// When the failure of a task leaves its graph alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acceptance {
    Never,
    /// If an `any_success` behind it finds a success elsewhere.
    Perhaps,
    Always,
}

pub(super) fn acceptance(plan: &Plan, id: NodeId) -> Acceptance {
    let node = plan.node(id);
    let first = plan.composite(node.composite).first;
    let mut joins = node.dependents.iter().map(|it| plan.node(NodeId(first + it)).join);
    let is_handled = joins.clone().any(|it| matches!(it, Join::AnyFailed | Join::AllDone));
    if node.on_failure == OnFailure::Continue || is_handled {
        Acceptance::Always
    } else if joins.any(|it| it == Join::AnySuccess) {
        Acceptance::Perhaps
    } else {
        Acceptance::Never
    }
}

pub(super) fn is_graph(kind: &CompositeKind) -> bool {
    matches!(kind, CompositeKind::Graph { .. })
}

/// Whether a composite belongs to the main part of a run, or to what handles its end.
pub(super) fn is_handler(plan: &Plan, mut id: CompositeId) -> bool {
    loop {
        if Some(id) == plan.on_failure || Some(id) == plan.finally {
            return true;
        }
        match plan.composite(id).owner {
            Some(owner) => id = plan.node(owner).composite,
            None => return id != ROOT,
        }
    }
}

/// Returns the children of a graph, each after what it needs.
fn order(plan: &Plan, id: CompositeId) -> Vec<u32> {
    let composite = plan.composite(id);
    let node = |local: u32| plan.node(NodeId(composite.first + local));
    let mut waiting: Vec<u32> = (0..composite.len).map(|it| node(it).needs.len() as u32).collect();
    let mut order: Vec<u32> = (0..composite.len).filter(|it| waiting[*it as usize] == 0).collect();
    let mut at = 0;
    while at < order.len() {
        for dependent in &node(order[at]).dependents {
            waiting[*dependent as usize] -= 1;
            if waiting[*dependent as usize] == 0 {
                order.push(*dependent);
            }
        }
        at += 1;
    }
    order
}
