//! Whether facts can hold together: a scenario that was tried, a proof by taking conjunctions
//! apart, or a SAT solver on the part of the circuit that matters.

use std::collections::HashMap;

use batsat::{ClauseKind, SolverInterface as _, lbool};

use super::circuit::{Circuit, Gate, Lit};

/// Conflicts after which a question stays open.
const CONFLICTS_MAX: u64 = 20_000;
/// Gates that are looked at first, the nearest ones: what is impossible for them alone is
/// impossible, and most questions about a task are answered by its needs.
const NEAR_GATES: usize = 100;
/// Gates that one question may involve.
const CONE_GATES_MAX: usize = 200_000;

/// The values of the gates that matter to a question; all others are free.
pub(super) type Model = HashMap<usize, bool>;

#[derive(Debug)]
pub(super) enum Solved {
    Can(Model),
    /// With the clauses that the solver learnt until it was sure.
    Cannot(Vec<Vec<i32>>),
    /// The budget was not enough.
    Open(String),
}

/// The clauses of a question, for solvers: variables from 1, as in DIMACS.
#[derive(Debug)]
pub(super) struct Clauses {
    pub clauses: Vec<Vec<i32>>,
    gates: Vec<usize>,
}

/// Counts what the solver learns, and stops it when it has learnt enough in vain.
#[derive(Default)]
struct Patience {
    conflicts: u64,
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
        self.conflicts > CONFLICTS_MAX
    }
}

/// Asks whether all of these literals can be true together.
pub(super) fn solve(circuit: &Circuit, all: &[Lit], certify: bool) -> Solved {
    // A certificate is about the whole question.
    if !certify {
        let near = written(circuit, all, cone(circuit, all, NEAR_GATES));
        if let impossible @ Solved::Cannot(_) = ask(&near, certify) {
            return impossible;
        }
    }
    match clauses(circuit, all) {
        Some(clauses) => ask(&clauses, certify),
        None => Solved::Open(format!("more than {CONE_GATES_MAX} gates are involved")),
    }
}

fn ask(clauses: &Clauses, certify: bool) -> Solved {
    let patience = Patience { learnt: certify.then(Vec::new), ..Patience::default() };
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
    match solver.solve_limited(&[]) {
        it if it == lbool::TRUE => {
            let values = clauses.gates.iter().zip(&variables);
            Solved::Can(
                values.map(|(at, it)| (*at, solver.value_var(*it) == lbool::TRUE)).collect(),
            )
        }
        it if it == lbool::FALSE => {
            Solved::Cannot(solver.cb_mut().learnt.take().unwrap_or_default())
        }
        _ => Solved::Open(format!("undecided after {CONFLICTS_MAX} conflicts")),
    }
}

/// Writes the part of the circuit below some literals as clauses (Tseitin, 1968), together with
/// the demand that all of them hold. None if that part is too large.
pub(super) fn clauses(circuit: &Circuit, all: &[Lit]) -> Option<Clauses> {
    let cone = cone(circuit, all, CONE_GATES_MAX);
    (cone.opened == cone.gates.len()).then(|| written(circuit, all, cone))
}

/// Writes a cone as clauses. Gates that were not opened may have any value.
fn written(circuit: &Circuit, all: &[Lit], cone: Cone) -> Clauses {
    let Cone { gates, opened } = cone;
    let numbers: HashMap<usize, i32> =
        gates.iter().enumerate().map(|(at, gate)| (*gate, at as i32 + 1)).collect();
    let number = |lit: Lit| {
        let number = numbers[&lit.gate()];
        if lit.is_negated() { -number } else { number }
    };
    let mut clauses = Vec::new();
    for gate in &gates[..opened] {
        let this = numbers[gate];
        match &circuit.gates()[*gate] {
            Gate::True => clauses.push(vec![this]),
            Gate::Input { .. } => {}
            Gate::And(operands) => {
                clauses.extend(operands.iter().map(|it| vec![-this, number(*it)]));
                let mut back: Vec<i32> = operands.iter().map(|it| -number(*it)).collect();
                back.push(this);
                clauses.push(back);
            }
        }
    }
    clauses.extend(all.iter().map(|it| vec![number(*it)]));
    Clauses { clauses, gates }
}

/// Gates that some literals depend on, the nearest first.
struct Cone {
    gates: Vec<usize>,
    /// So many of them have all that they depend on among the gates.
    opened: usize,
}

/// Opens gates as long as there are fewer than a number.
fn cone(circuit: &Circuit, all: &[Lit], gates_max: usize) -> Cone {
    let mut gates: Vec<usize> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut add = |gate: usize, gates: &mut Vec<usize>| {
        if seen.insert(gate) {
            gates.push(gate);
        }
    };
    all.iter().for_each(|it| add(it.gate(), &mut gates));
    let mut at = 0;
    while at < gates.len() && gates.len() <= gates_max {
        if let Gate::And(operands) = &circuit.gates()[gates[at]] {
            operands.iter().for_each(|it| add(it.gate(), &mut gates));
        }
        at += 1;
    }
    Cone { gates, opened: at }
}
