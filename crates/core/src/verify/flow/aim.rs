//! Scenarios made for one question: one that was tried, with some choices of the environment
//! changed so that what is asked comes true.
//!
//! With many conditions on one value, each region of it is rare, and no scenario that was tried may
//! lie in it. Which choices lead there can be read off the gates, and only what depends on these
//! choices is computed anew: cheaper by far than asking a solver about everything before a task. It
//! is a search that may find nothing; what it finds is a scenario like any other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::circuit::{Circuit, Gate, Lit, Scenarios};

/// Scenarios that are begun with.
const BASES: usize = 3;
/// Times that choices are changed, since one change may undo another.
const ROUNDS: usize = 4;
/// Gates that are computed anew for one scenario.
const GATES_MAX: usize = 20_000;

/// The gates that each gate is an operand of.
#[derive(Debug)]
pub(super) struct Users {
    /// By gate, where its users begin; they end where those of the next one begin.
    starts: Vec<u32>,
    users: Vec<u32>,
}

impl Users {
    pub fn new(circuit: &Circuit) -> Users {
        let gates = circuit.gates();
        let mut starts = vec![0; gates.len() + 1];
        let operands = |gate: &Gate| match gate {
            Gate::And(operands) => operands.iter().map(|it| it.gate()).collect(),
            Gate::True | Gate::Input { .. } => Vec::new(),
        };
        for operand in gates.iter().flat_map(operands) {
            starts[operand + 1] += 1;
        }
        for at in 0..gates.len() {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut users = vec![0; starts[gates.len()] as usize];
        for (at, gate) in gates.iter().enumerate() {
            for operand in operands(gate) {
                users[next[operand] as usize] = at as u32;
                next[operand] += 1;
            }
        }
        Users { starts, users }
    }

    fn of(&self, gate: usize) -> &[u32] {
        &self.users[self.starts[gate] as usize..self.starts[gate + 1] as usize]
    }
}

/// A scenario that was tried, and what differs from it.
#[derive(Clone, Debug)]
pub(crate) struct Aimed {
    base: usize,
    changed: HashMap<usize, bool>,
}

impl Aimed {
    pub(super) fn value(&self, scenarios: &Scenarios, lit: Lit) -> bool {
        match self.changed.get(&lit.gate()) {
            Some(value) => *value != lit.is_negated(),
            None => scenarios.value(self.base, lit),
        }
    }
}

/// Looks for a scenario in which all of these hold.
pub(super) fn aim(
    circuit: &Circuit,
    scenarios: &Scenarios,
    users: &Users,
    all: &[Lit],
) -> Option<Aimed> {
    (0..BASES).find_map(|base| {
        let aimed = Aimed { base, changed: HashMap::new() };
        let mut aim = Aim { circuit, scenarios, users, aimed, gates_left: GATES_MAX };
        aim.reaches(all).then_some(aim.aimed)
    })
}

struct Aim<'a> {
    circuit: &'a Circuit,
    scenarios: &'a Scenarios,
    users: &'a Users,
    aimed: Aimed,
    gates_left: usize,
}

impl Aim<'_> {
    fn reaches(&mut self, all: &[Lit]) -> bool {
        for round in 0..ROUNDS {
            let Some(inputs) = self.inputs(all, round) else { return false };
            if inputs.is_empty() {
                break;
            }
            if !self.change(&inputs) {
                return false;
            }
        }
        all.iter().all(|it| self.value(*it))
    }

    fn value(&self, lit: Lit) -> bool {
        self.aimed.value(self.scenarios, lit)
    }

    /// Returns the inputs that have the wrong value for literals to hold; nothing if they would
    /// have to have both.
    fn inputs(&self, all: &[Lit], round: usize) -> Option<Vec<usize>> {
        let mut wrong = Vec::new();
        let mut wanted: HashSet<Lit> = HashSet::new();
        let mut todo: Vec<Lit> = all.to_vec();
        while let Some(lit) = todo.pop() {
            if self.value(lit) || !wanted.insert(lit) {
                continue;
            }
            if wanted.contains(&!lit) || wanted.len() > GATES_MAX {
                return None;
            }
            match &self.circuit.gates()[lit.gate()] {
                Gate::True => return None,
                Gate::Input { .. } => wrong.push(lit.gate()),
                // All of its operands are true, and one of them is enough to change that.
                Gate::And(operands) if lit.is_negated() => {
                    let last = operands.len() - 1;
                    todo.push(!operands[last - round % operands.len()]);
                }
                Gate::And(operands) => todo.extend(operands),
            }
        }
        Some(wrong)
    }

    /// Changes inputs, and what depends on them. Says whether that was little enough.
    fn change(&mut self, inputs: &[usize]) -> bool {
        let mut todo = BinaryHeap::new();
        for input in inputs {
            self.flip(*input, &mut todo);
        }
        let mut before = None;
        while let Some(Reverse(gate)) = todo.pop() {
            if before.replace(gate) == Some(gate) {
                continue;
            }
            let Some(left) = self.gates_left.checked_sub(1) else { return false };
            self.gates_left = left;
            let gate = gate as usize;
            if let Gate::And(operands) = &self.circuit.gates()[gate] {
                let value = operands.iter().all(|it| self.value(*it));
                if value != self.value(Lit::of(gate)) {
                    self.flip(gate, &mut todo);
                }
            }
        }
        true
    }

    fn flip(&mut self, gate: usize, todo: &mut BinaryHeap<Reverse<u32>>) {
        let value = self.value(Lit::of(gate));
        self.aimed.changed.insert(gate, !value);
        todo.extend(self.users.of(gate).iter().map(|it| Reverse(*it)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_choice_of_many_is_hit() {
        let mut circuit = Circuit::new();
        let (many, other) = (circuit.choice(10_000), circuit.choice(10_000));
        let failure = circuit.input(true);
        let never = circuit.and([many[7], many[8]]);
        let scenarios = Scenarios::new(&circuit);
        let users = Users::new(&circuit);
        let check = |all: &[Lit], expected: bool| {
            let found = aim(&circuit, &scenarios, &users, all);
            assert_eq!(found.is_some(), expected, "{all:?}");
            if let Some(found) = found {
                assert!(all.iter().all(|it| found.value(&scenarios, *it)), "{all:?}");
            }
        };
        check(&[many[4_321], other[99], failure], true);
        check(&[!many[4_321], other[1], !failure], true);
        check(&[many[1], many[2]], false);
        check(&[never], false);
        check(&[Lit::FALSE], false);
    }
}
