//! Conditions of tasks as literals of the circuit.

use std::collections::HashMap;

use super::circuit::{Circuit, Lit};
use super::encode::Outcomes;
use crate::plan::NodeId;
use crate::verify::Subject;

/// What a condition gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    pub yes: Lit,
    pub error: Lit,
}

impl Guard {
    pub const ALWAYS: Guard = Guard { yes: Lit::TRUE, error: Lit::FALSE };
}

/// The value of a path that conditions look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathValue {
    pub text: String,
}

impl std::fmt::Display for PathValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[derive(Debug)]
pub(super) struct Conditions {
    guards: HashMap<NodeId, Guard>,
}

impl Conditions {
    pub fn new(_subject: &Subject<'_>, _circuit: &mut Circuit) -> Conditions {
        Conditions { guards: HashMap::new() }
    }

    pub fn guard(&mut self, id: NodeId, circuit: &mut Circuit, _outcomes: &[Outcomes]) -> Guard {
        let yes = circuit.input(false);
        let guard = Guard { yes, error: Lit::FALSE };
        self.guards.insert(id, guard);
        guard
    }

    pub fn get(&self, id: NodeId) -> Guard {
        self.guards.get(&id).copied().unwrap_or(Guard::ALWAYS)
    }

    pub fn values(&self, _value: &impl Fn(Lit) -> bool) -> Vec<PathValue> {
        Vec::new()
    }
}
