//! Whether facts can hold together, by a SAT solver on the part of the circuit that matters.

use std::cell::Cell;
use std::collections::HashMap;

use batsat::{ClauseKind, SolverInterface as _, lbool};

use super::circuit::{Circuit, Gate, Lit};

/// Conflicts after which a question stays open.
const CONFLICTS_MAX: u64 = 2_000;
/// Conflicts of all questions about a plan.
pub(super) const ALL_CONFLICTS_MAX: u64 = 20_000;
/// Gates that a question involves: nearby, further, and at most.
const CONES: [usize; 3] = [256, 8_000, 200_000];

/// The values of the gates that matter to a question; all others are free.
pub(super) type Model = HashMap<usize, bool>;

#[derive(Debug)]
pub(super) enum Solved {
    Can(Model),
    /// With the clauses that contradict each other, and those that the solver learnt until it was
    /// sure, if they are wanted.
    Cannot {
        clauses: Vec<Vec<i32>>,
        steps: Vec<Vec<i32>>,
    },
    /// The budget was not enough.
    Open(String),
}

/// The clauses of a question, for solvers: variables from 1, as in DIMACS.
#[derive(Debug)]
pub(super) struct Clauses {
    pub clauses: Vec<Vec<i32>>,
    gates: Vec<usize>,
    /// Nothing that the question depends on is left out.
    is_complete: bool,
}

/// Counts what the solver learns, and stops it when it has learnt enough in vain.
#[derive(Default)]
struct Patience {
    conflicts: u64,
    conflicts_max: u64,
    /// What was learnt, if somebody wants to see it.
    learnt: Option<Vec<Vec<i32>>>,
}

impl batsat::Callbacks for Patience {
    fn on_new_clause(&mut self, clause: &[batsat::Lit], kind: ClauseKind) {
        if kind != ClauseKind::Learnt {
            return;
        }
        self.conflicts += 1;
        if let Some(learnt) = &mut self.learnt {
            let number = |it: &batsat::Lit| {
                let number = it.var().idx() as i32 + 1;
                if it.sign() { number } else { -number }
            };
            learnt.push(clause.iter().map(number).collect());
        }
    }

    fn stop(&self) -> bool {
        self.conflicts > self.conflicts_max
    }
}

/// Asks whether all of these literals can be true together. Most of what cannot be is a matter of
/// the gates nearby, so these are asked first, with all others free: what they exclude is excluded.
pub(super) fn solve(
    circuit: &Circuit,
    all: &[Lit],
    certify: bool,
    numbers: &mut Numbers,
    conflicts_left: &Cell<u64>,
) -> Solved {
    for gates_max in CONES {
        let clauses = clauses(circuit, all, gates_max, numbers);
        let solved = ask(&clauses, certify, conflicts_left);
        match solved {
            Solved::Can(_) if !clauses.is_complete => {}
            solved => return solved,
        }
    }
    Solved::Open(format!("more than {} gates are involved", CONES[CONES.len() - 1]))
}

fn ask(clauses: &Clauses, certify: bool, conflicts_left: &Cell<u64>) -> Solved {
    let conflicts_max = conflicts_left.get().min(CONFLICTS_MAX);
    let learnt = certify.then(Vec::new);
    let patience = Patience { learnt, conflicts_max, ..Patience::default() };
    let mut solver = batsat::Solver::new(batsat::SolverOpts::default(), patience);
    // Failures and the like are tried last, so that a scenario has few of them.
    let variables: Vec<batsat::Var> =
        clauses.gates.iter().map(|_| solver.new_var(lbool::FALSE, true)).collect();
    for clause in &clauses.clauses {
        let mut clause = clause
            .iter()
            .map(|it| batsat::Lit::new(variables[it.unsigned_abs() as usize - 1], *it > 0))
            .collect();
        solver.add_clause_reuse(&mut clause);
    }
    let answer = solver.solve_limited(&[]);
    conflicts_left.set(conflicts_left.get().saturating_sub(solver.cb().conflicts));
    match answer {
        it if it == lbool::TRUE => {
            let values = clauses.gates.iter().zip(&variables);
            Solved::Can(
                values.map(|(at, it)| (*at, solver.value_var(*it) == lbool::TRUE)).collect(),
            )
        }
        it if it == lbool::FALSE => {
            let steps = solver.cb_mut().learnt.take().unwrap_or_default();
            let clauses = if certify { clauses.clauses.clone() } else { Vec::new() };
            Solved::Cannot { clauses, steps }
        }
        _ => Solved::Open(format!("undecided after {conflicts_max} conflicts of the solver")),
    }
}

/// Writes the part of the circuit below some literals as clauses (Tseitin, 1968), together with
/// the demand that all of them hold. Gates beyond the nearest `gates_max` are free.
pub(super) fn clauses(
    circuit: &Circuit,
    all: &[Lit],
    gates_max: usize,
    numbers: &mut Numbers,
) -> Clauses {
    let is_complete = numbers.cone(circuit, all, gates_max);
    let number = |lit: &Lit| {
        let number = Some(numbers.of[lit.gate()]).filter(|it| *it != 0)?;
        Some(if lit.is_negated() { -number } else { number })
    };
    let mut clauses = Vec::with_capacity(2 * numbers.gates.len());
    for gate in &numbers.gates {
        let this = numbers.of[*gate];
        match &circuit.gates()[*gate] {
            Gate::True => clauses.push(vec![this]),
            Gate::Input { .. } => {}
            Gate::And(operands) => {
                let near = operands.iter().filter_map(number);
                clauses.extend(near.map(|it| vec![-this, it]));
                // With an operand that is free, nothing makes the gate true.
                let known: Option<Vec<i32>> = operands.iter().map(number).collect();
                if let Some(known) = known {
                    clauses.push(known.iter().map(|it| -it).chain([this]).collect());
                }
            }
        }
    }
    clauses.extend(all.iter().filter_map(number).map(|it| vec![it]));
    Clauses { clauses, gates: numbers.reset(), is_complete }
}

/// The numbers of the gates of a question, from 1; kept between questions, since most are short.
#[derive(Debug)]
pub(super) struct Numbers {
    of: Vec<i32>,
    gates: Vec<usize>,
}

impl Numbers {
    pub fn new(circuit: &Circuit) -> Numbers {
        Numbers { of: vec![0; circuit.gates().len()], gates: Vec::new() }
    }

    /// Numbers the gates that some literals depend on, the nearest first, and says whether that is
    /// all.
    fn cone(&mut self, circuit: &Circuit, all: &[Lit], gates_max: usize) -> bool {
        all.iter().for_each(|it| self.add(it.gate()));
        let mut at = 0;
        while at < self.gates.len() {
            if self.gates.len() > gates_max {
                return false;
            }
            if let Gate::And(operands) = &circuit.gates()[self.gates[at]] {
                operands.iter().for_each(|it| self.add(it.gate()));
            }
            at += 1;
        }
        true
    }

    fn add(&mut self, gate: usize) {
        if self.of[gate] == 0 {
            self.gates.push(gate);
            self.of[gate] = self.gates.len() as i32;
        }
    }

    fn reset(&mut self) -> Vec<usize> {
        let gates = std::mem::take(&mut self.gates);
        gates.iter().for_each(|it| self.of[*it] = 0);
        gates
    }
}
