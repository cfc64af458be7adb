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

use super::finding::{Answer, Proofs};
use super::flow::{Fact, Flow};
use super::{Finding, Property, Subject};
use crate::plan::NodeId;
use crate::source::{Problem, Severity};

/// Questions about executions.
pub(super) struct Hooks<'h> {
    /// Whether both tasks run in some execution.
    pub may_both_run: &'h dyn Fn(NodeId, NodeId) -> Answer<()>,
    /// Whether the first completes and the second fails its graph in some execution.
    pub may_fail_after: &'h dyn Fn(NodeId, NodeId) -> Answer<()>,
    /// Whether the first completes and the second does not in some execution.
    pub may_miss: &'h dyn Fn(NodeId, NodeId) -> Answer<()>,
}

/// Asks everything about effects. What the order of tasks does not rule out, the conditions may.
pub(super) fn verify(subject: &Subject<'_>, flow: &Flow, proofs: &mut Proofs) {
    let exactly = |answer: Answer<()>, nodes: [NodeId; 2]| match answer {
        Answer::Yes(()) => nodes
            .into_iter()
            .find_map(|it| flow.inexact(subject, it))
            .map_or(Answer::Yes(()), Answer::Unknown),
        other => other,
    };
    let hooks = Hooks {
        may_both_run: &|one, other| {
            let facts = [Fact::Runs(one), Fact::Runs(other)];
            exactly(ask(subject, flow, facts), [one, other])
        },
        may_fail_after: &|done, fails| {
            ask(subject, flow, [Fact::Completes(done), Fact::Fatal(fails)])
        },
        may_miss: &|done, missing| {
            let facts = [Fact::Completes(done), Fact::NotCompleted(missing)];
            exactly(ask(subject, flow, facts), [done, missing])
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

/// Asks the circuit of the graphs. States are not in it: nothing is ruled out for them.
fn ask(subject: &Subject<'_>, flow: &Flow, facts: [Fact; 2]) -> Answer<()> {
    let is_state = |it: &Fact| subject.plan.node(it.node()).state.is_some();
    if facts.iter().any(is_state) {
        return Answer::Yes(());
    }
    match flow.can(&facts) {
        Answer::Yes(_) => Answer::Yes(()),
        Answer::No => Answer::No,
        Answer::Unknown(reason) => Answer::Unknown(reason),
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
