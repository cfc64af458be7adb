//! What the gates nearby exclude, without a search: values are propagated, and where that is not
//! enough, each value of a gate is tried, and the other taken if it leads to a contradiction.
//!
//! Most of what never happens is of this kind ("none failed, so what was not skipped completed"),
//! and takes looking at some dozens of gates. What is found is shown by the clauses of these gates,
//! and by the values that had to be taken, one a step (`verify::certificate`).

use super::circuit::{Circuit, Gate, Lit};

/// Gates that are taken apart: at first, and at most.
const GATES: [usize; 2] = [64, 800];
/// Gates, the nearest ones, of which each value is tried.
const TRIED_MAX: usize = 96;
/// No gate, and no edge.
const NONE: u32 = u32::MAX;

/// Clauses and steps, for a certificate.
pub(super) struct Shown {
    pub clauses: Vec<Vec<i32>>,
    pub steps: Vec<Vec<i32>>,
}

/// A value was found for something that has the other.
#[derive(Debug)]
struct Contradiction;

/// The gates near a question, by places of their own; kept between questions, for most are short.
#[derive(Debug)]
pub(super) struct Near {
    /// The place of each gate of the circuit.
    places: Vec<u32>,
    gates: Vec<NearGate>,
    /// From an operand to a gate that it is an operand of: the gate, and the next such edge.
    edges: Vec<(u32, u32)>,
    /// Places in the order in which they got their values.
    trail: Vec<u32>,
    /// As much of the trail has been followed.
    followed: usize,
    /// Values that had to be taken, with their gates.
    taken: Vec<(u32, bool)>,
}

#[derive(Clone, Copy, Debug)]
struct NearGate {
    gate: u32,
    value: Option<bool>,
    /// Its operands are here.
    is_open: bool,
    first_edge: u32,
}

impl Near {
    pub fn new(circuit: &Circuit) -> Near {
        Near {
            places: vec![NONE; circuit.gates().len()],
            gates: Vec::new(),
            edges: Vec::new(),
            trail: Vec::new(),
            followed: 0,
            taken: Vec::new(),
        }
    }

    /// Whether literals exclude each other for a reason nearby. No is not a proof of the contrary.
    pub fn excludes(&mut self, circuit: &Circuit, all: &[Lit]) -> bool {
        self.reset();
        self.look(circuit, all).is_err()
    }

    /// Returns what shows the last exclusion.
    pub fn shown(&self, circuit: &Circuit, all: &[Lit]) -> Shown {
        let number = |lit: Lit| {
            let number = self.places[lit.gate()] as i32 + 1;
            if lit.is_negated() { -number } else { number }
        };
        let mut clauses: Vec<Vec<i32>> = all.iter().map(|it| vec![number(*it)]).collect();
        for (this, near) in (1..).zip(&self.gates) {
            match &circuit.gates()[near.gate as usize] {
                Gate::True => clauses.push(vec![this]),
                Gate::And(operands) if near.is_open => {
                    clauses.extend(operands.iter().map(|it| vec![-this, number(*it)]));
                    let denied = operands.iter().map(|it| -number(*it));
                    clauses.push(denied.chain([this]).collect());
                }
                Gate::And(_) | Gate::Input { .. } => {}
            }
        }
        let step = |(at, value): &(u32, bool)| {
            let number = *at as i32 + 1;
            vec![if *value { number } else { -number }]
        };
        Shown { clauses, steps: self.taken.iter().map(step).collect() }
    }

    fn reset(&mut self) {
        self.gates.iter().for_each(|it| self.places[it.gate as usize] = NONE);
        self.gates.clear();
        self.edges.clear();
        self.trail.clear();
        self.followed = 0;
        self.taken.clear();
    }

    fn look(&mut self, circuit: &Circuit, all: &[Lit]) -> Result<(), Contradiction> {
        // All have places, also if the first ones exclude each other.
        let places: Vec<u32> = all.iter().map(|it| self.place(it.gate())).collect();
        for (at, lit) in places.into_iter().zip(all) {
            self.set(at, !lit.is_negated())?;
        }
        // What is known leads far, what is near sideways: one of each in turn.
        let (mut known, mut near) = (0, 0);
        for gates_max in GATES {
            while known + near < gates_max && known.max(near) < self.gates.len() {
                self.follow(circuit)?;
                if let Some(at) = self.trail.get(known).copied() {
                    self.open(circuit, at)?;
                    known += 1;
                }
                self.open(circuit, near as u32)?;
                near += 1;
            }
            self.follow(circuit)?;
            while self.try_values(circuit)? {}
        }
        Ok(())
    }

    /// Tries each value of the gates that have none, and says whether one was found.
    fn try_values(&mut self, circuit: &Circuit) -> Result<bool, Contradiction> {
        let found_before = self.taken.len();
        for at in 0..self.gates.len().min(TRIED_MAX) as u32 {
            for value in [true, false] {
                if self.gates[at as usize].value.is_some() {
                    continue;
                }
                let known = self.trail.len();
                let tried = self.set(at, value).and_then(|()| self.follow(circuit));
                self.forget(known);
                if tried.is_err() {
                    self.taken.push((at, !value));
                    self.set(at, !value)?;
                    self.follow(circuit)?;
                }
            }
        }
        Ok(self.taken.len() > found_before)
    }

    fn forget(&mut self, known: usize) {
        for at in self.trail.drain(known..) {
            self.gates[at as usize].value = None;
        }
        self.followed = known;
    }

    /// Returns the place of a gate of the circuit.
    fn place(&mut self, gate: usize) -> u32 {
        if self.places[gate] == NONE {
            self.places[gate] = self.gates.len() as u32;
            let gate = gate as u32;
            self.gates.push(NearGate { gate, value: None, is_open: false, first_edge: NONE });
        }
        self.places[gate]
    }

    /// Adds the operands of a gate.
    fn open(&mut self, circuit: &Circuit, at: u32) -> Result<(), Contradiction> {
        let near = &mut self.gates[at as usize];
        if std::mem::replace(&mut near.is_open, true) {
            return Ok(());
        }
        match &circuit.gates()[near.gate as usize] {
            Gate::True => self.set(at, true),
            Gate::Input { .. } => Ok(()),
            Gate::And(operands) => {
                for operand in operands {
                    let operand = self.place(operand.gate()) as usize;
                    let edge = self.edges.len() as u32;
                    self.edges.push((at, self.gates[operand].first_edge));
                    self.gates[operand].first_edge = edge;
                }
                self.weigh(circuit, at)
            }
        }
    }

    fn set(&mut self, at: u32, value: bool) -> Result<(), Contradiction> {
        let near = &mut self.gates[at as usize];
        match near.value {
            Some(before) if before != value => Err(Contradiction),
            Some(_) => Ok(()),
            None => {
                near.value = Some(value);
                self.trail.push(at);
                Ok(())
            }
        }
    }

    /// Follows what has a value to what follows from it.
    fn follow(&mut self, circuit: &Circuit) -> Result<(), Contradiction> {
        while let Some(at) = self.trail.get(self.followed).copied() {
            self.followed += 1;
            self.weigh(circuit, at)?;
            let mut edge = self.gates[at as usize].first_edge;
            while edge != NONE {
                let (above, next) = self.edges[edge as usize];
                self.weigh(circuit, above)?;
                edge = next;
            }
        }
        Ok(())
    }

    /// Compares a gate with its operands.
    fn weigh(&mut self, circuit: &Circuit, at: u32) -> Result<(), Contradiction> {
        let near = self.gates[at as usize];
        let Gate::And(operands) = &circuit.gates()[near.gate as usize] else { return Ok(()) };
        if !near.is_open {
            return Ok(());
        }
        if near.value == Some(true) {
            return operands
                .iter()
                .try_for_each(|it| self.set(self.places[it.gate()], !it.is_negated()));
        }
        let mut unknown = None;
        let mut unknown_count = 0;
        for operand in operands {
            let value = self.gates[self.places[operand.gate()] as usize].value;
            match value.map(|it| it != operand.is_negated()) {
                Some(true) => {}
                Some(false) => return self.set(at, false),
                None => (unknown, unknown_count) = (Some(*operand), unknown_count + 1),
            }
        }
        match unknown {
            None => self.set(at, true),
            // The others are true, and the gate is not.
            Some(last) if unknown_count == 1 && near.value == Some(false) => {
                self.set(self.places[last.gate()], last.is_negated())
            }
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Contradiction;

    #[track_caller]
    fn check(circuit: &Circuit, all: &[Lit], expected: bool) {
        let mut near = Near::new(circuit);
        assert_eq!(near.excludes(circuit, all), expected, "{all:?}");
        if expected {
            let Shown { clauses, steps } = near.shown(circuit, all);
            let claim = Contradiction { clauses, steps };
            assert_eq!(claim.check(), Ok(()), "{claim:?}");
        }
    }

    #[test]
    fn conjunctions_are_taken_apart() {
        let mut circuit = Circuit::new();
        let (a, b, c) = (circuit.input(false), circuit.input(true), circuit.input(false));
        let inner = circuit.and([a, !b]);
        let outer = circuit.and([inner, c]);
        check(&circuit, &[outer, b], true);
        check(&circuit, &[outer, !inner], true);
        check(&circuit, &[outer, !b], false);
        check(&circuit, &[inner, !outer], false);
        check(&circuit, &[Lit::FALSE], true);
        check(&circuit, &[a, !a, c], true);
        check(&circuit, &[], false);
    }

    #[test]
    fn values_are_tried_where_propagation_says_nothing() {
        let mut circuit = Circuit::new();
        let (a, b) = (circuit.input(false), circuit.input(false));
        let square = [[a, b], [a, !b], [!a, b], [!a, !b]].map(|it| !circuit.and(it));
        check(&circuit, &square, true);
        check(&circuit, &square[1..], false);
    }

    /// Tasks start together and one of them completed, so one that did not fail completed as well.
    #[test]
    fn what_starts_together_and_does_not_fail_completes() {
        let mut circuit = Circuit::new();
        let start = circuit.input(false);
        let mut task = || {
            let fails = circuit.input(true);
            (circuit.and([start, !fails]), circuit.and([start, fails]))
        };
        let tasks = [task(), task(), task()];
        let some = circuit.or(tasks.map(|it| it.0));
        let (completes, fails) = tasks[0];
        check(&circuit, &[some, !fails, !completes], true);
        check(&circuit, &[some, !tasks[1].1, !completes], false);
    }

    #[test]
    fn a_long_row_is_followed() {
        let mut circuit = Circuit::new();
        let first = circuit.input(false);
        let mut last = first;
        for _ in 0..200 {
            let fails = circuit.input(true);
            last = circuit.and([last, !fails]);
        }
        check(&circuit, &[last, !first], true);
    }
}
