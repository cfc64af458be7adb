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
use super::{Finding, Property, Subject};
use crate::plan::NodeId;
use crate::source::{Problem, Severity};

/// Questions about executions, which the circuit of a graph answers. Without it, whatever is not
/// ruled out by the order of tasks is taken to happen.
pub(crate) struct Hooks<'h> {
    /// Whether both tasks run in some execution.
    pub may_both_run: &'h dyn Fn(NodeId, NodeId) -> Answer<()>,
    /// Whether the first completes and the second fails in some execution.
    pub may_fail_after: &'h dyn Fn(NodeId, NodeId) -> Answer<()>,
    /// Whether the first completes and the second does not in some execution.
    pub may_miss: &'h dyn Fn(NodeId, NodeId) -> Answer<()>,
}

impl Hooks<'_> {
    /// Rules nothing out.
    pub fn permissive() -> Hooks<'static> {
        let yes = &|_: NodeId, _: NodeId| Answer::Yes(());
        Hooks { may_both_run: yes, may_fail_after: yes, may_miss: yes }
    }
}

pub(super) fn verify(subject: &Subject<'_>, proofs: &mut Proofs) {
    verify_with(subject, &Hooks::permissive(), proofs);
}

/// Asks everything about effects.
pub(super) fn verify_with(subject: &Subject<'_>, hooks: &Hooks<'_>, proofs: &mut Proofs) {
    let failing = failing::Failing::new(subject);
    waits::verify(subject, proofs);
    races::verify(subject, hooks, proofs);
    locks::verify(subject, proofs);
    repetition::verify(subject, proofs);
    saga::verify(subject, &failing, hooks, proofs);
    compensation::verify(subject, hooks, proofs);
    deadlines::verify(subject, &failing, proofs);
    cancellation::verify(subject, &failing, proofs);
    secrets::verify(subject, proofs);
    recursion::verify(subject, proofs);
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
    Finding { property, problem, trace }
}
