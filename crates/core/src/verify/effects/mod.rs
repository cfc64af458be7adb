//! What tasks do outside, and what follows from it.
//!
//! | where | answers |
//! |---|---|
//! | `act`, `with`, `sql`, `footprint` | what one task does: its effect, and the things that it uses |
//! | `order`, `failing` | what is before what; what may fail, and what that fails |
//! | `races`, `tables` | parallel tasks that use the same thing |
//! | `repetition` | effects that a repeated attempt has twice |
//! | `saga`, `compensation`, `cancellation` | what a failed run leaves behind |
//! | `bounds`, `deadlines` | how long everything takes at most and at least; time-outs out of reach |
//! | `locks`, `recursion`, `waits`, `secrets` | what the names say |

mod act;
mod bounds;
mod cancellation;
mod compensation;
mod deadlines;
mod failing;
mod footprint;
mod locks;
mod order;
mod races;
mod recursion;
mod repetition;
mod saga;
mod secrets;
mod sql;
mod tables;
mod waits;
mod with;

use std::cell::Cell;

use super::finding::{Answer, Proofs};
use super::flow::{Fact, Flow};
use super::{Finding, Property, Subject};
use crate::definition::Join;
use crate::plan::{NodeId, TaskPlan};
use crate::simulate::{Counterexample, Expected};
use crate::source::{Problem, Severity};

/// Questions about executions.
pub(super) struct Hooks<'h> {
    /// Whether both tasks run in some execution.
    pub may_both_run: &'h dyn Fn(NodeId, NodeId) -> Answer<()>,
    /// Whether the first completes and the second fails its graph in some execution.
    pub may_fail_after: &'h dyn Fn(NodeId, NodeId) -> Answer<()>,
    /// Whether the first completes and the second does not in some execution.
    pub may_miss: &'h dyn Fn(NodeId, NodeId) -> Answer<()>,
    /// An execution in which both tasks are under way at once, if one can be replayed.
    pub both_running: &'h dyn Fn(NodeId, NodeId) -> Option<Box<Counterexample>>,
    /// An execution in which the first completes, the run fails because of the second, and nothing
    /// undoes the first.
    pub not_undone: &'h dyn Fn(NodeId, NodeId) -> Option<Box<Counterexample>>,
}

/// Tasks that all questions to the circuit may involve together.
const ASKED_TASKS_MAX: usize = 2_000_000;

/// Asks everything about effects. What the order of tasks does not rule out, the conditions may.
pub(super) fn verify(subject: &Subject<'_>, flow: &Flow, proofs: &mut Proofs) {
    let exactly = |answer: Answer<()>, nodes: [NodeId; 2]| match answer {
        Answer::Yes(()) => nodes
            .into_iter()
            .find_map(|it| flow.inexact(subject, it))
            .map_or(Answer::Yes(()), Answer::Unknown),
        other => other,
    };
    let circuit = Asked::new(subject, flow);
    let hooks = Hooks {
        may_both_run: &|one, other| {
            let facts = [Fact::Runs(one), Fact::Runs(other)];
            exactly(circuit.ask(Property::Races, facts), [one, other])
        },
        may_fail_after: &|done, fails| {
            circuit.ask(Property::Saga, [Fact::Completes(done), Fact::Fatal(fails)])
        },
        may_miss: &|done, missing| {
            let facts = [Fact::Completes(done), Fact::NotCompleted(missing)];
            exactly(circuit.ask(Property::Compensation, facts), [done, missing])
        },
        both_running: &|one, other| {
            let (first, second) = (subject.name(one), subject.name(other));
            let expected = Expected::BothRunning { first, second };
            let facts = [Fact::Runs(one), Fact::Runs(other)];
            flow.example(subject, Property::Races, &facts, &[one, other], expected)
        },
        not_undone: &|done, fails| {
            let expected = Expected::NotUndone { task: subject.name(done) };
            let facts = [Fact::Completes(done), Fact::Fatal(fails)];
            flow.example(subject, Property::Saga, &facts, &[], expected)
        },
    };
    let failing = failing::Failing::new(subject);
    waits::verify(subject, proofs);
    races::verify(subject, &hooks, proofs);
    locks::verify(subject, proofs);
    repetition::verify(subject, proofs);
    saga::verify(subject, &failing, &hooks, proofs);
    compensation::verify(subject, &hooks, proofs);
    deadlines::verify(subject, &failing, proofs);
    cancellation::verify(subject, &failing, proofs);
    secrets::verify(subject, proofs);
    recursion::verify(subject, proofs);
}

/// The circuit of the graphs, asked so often and no more.
struct Asked<'a> {
    subject: &'a Subject<'a>,
    flow: &'a Flow,
    /// Nothing excludes anything: every task runs if those before it complete.
    is_plain: bool,
    left: Cell<usize>,
}

impl<'a> Asked<'a> {
    fn new(subject: &'a Subject<'a>, flow: &'a Flow) -> Asked<'a> {
        let nodes = &subject.plan.nodes;
        let is_plain = |it: &TaskPlan| it.condition.is_none() && it.join == Join::AllSuccess;
        let left = Cell::new((ASKED_TASKS_MAX / nodes.len().max(1)).max(1));
        Asked { subject, flow, is_plain: nodes.iter().all(is_plain), left }
    }

    /// States are not in the circuit: nothing is ruled out for them.
    fn ask(&self, property: Property, facts: [Fact; 2]) -> Answer<()> {
        let is_state = |it: &Fact| self.subject.plan.node(it.node()).state.is_some();
        if self.is_plain || facts.iter().any(is_state) {
            return Answer::Yes(());
        }
        let Some(left) = self.left.get().checked_sub(1) else {
            return Answer::Unknown("the definition raises too many questions".to_owned());
        };
        self.left.set(left);
        let [one, other] = facts.map(|it| self.subject.name(it.node()));
        self.flow.ask_about(property, &format!("{one} | {other}"));
        match self.flow.can(&facts) {
            Answer::Yes(_) => Answer::Yes(()),
            Answer::No => Answer::No,
            Answer::Unknown(reason) => Answer::Unknown(reason),
        }
    }
}

/// All tasks and states, in the order of the plan.
fn nodes(subject: &Subject<'_>) -> impl Iterator<Item = NodeId> + use<> {
    (0..subject.plan.nodes.len() as u32).map(NodeId)
}

/// Names a task in a trace.
fn with_line(subject: &Subject<'_>, id: NodeId) -> String {
    match subject.plan.node(id).line {
        0 => format!("`{}`", subject.name(id)),
        line => format!("`{}` (line {line})", subject.name(id)),
    }
}

/// A problem that is worth knowing, and no more.
fn note(code: &'static str, span: crate::source::Span, message: String) -> Problem {
    let mut problem = Problem::warning(code, span, message);
    problem.severity = Severity::Note;
    problem
}

fn finding(property: Property, problem: Problem, trace: Vec<String>) -> Finding {
    Finding { trace, ..Finding::at(property, problem) }
}
