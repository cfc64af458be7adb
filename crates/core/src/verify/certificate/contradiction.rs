//! Clauses that cannot all be true, and the steps that show it.
//!
//! A step is a further clause that follows from those before it by unit propagation alone ("reverse
//! unit propagation", Goldberg and Novikov, DATE 2003); the last one is empty. The check propagates
//! and does nothing else: it shares no code with the solver or with what made the clauses.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Invalid;

/// A claim that some clauses contradict each other. Literals are numbers of variables from 1,
/// negative if negated, as in DIMACS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contradiction {
    pub clauses: Vec<Vec<i32>>,
    pub steps: Vec<Vec<i32>>,
}

impl Contradiction {
    /// Checks every step, and that they end in a contradiction.
    ///
    /// ```
    /// use surefoot_core::verify::Contradiction;
    ///
    /// let square = Contradiction {
    ///     clauses: vec![vec![1, 2], vec![-1, 2], vec![1, -2], vec![-1, -2]],
    ///     steps: vec![vec![2]],
    /// };
    /// assert!(square.check().is_ok());
    /// ```
    pub fn check(&self) -> Result<(), Invalid> {
        // The least number has no negation.
        let mut literals = self.clauses.iter().chain(&self.steps).flatten();
        if literals.any(|it| *it == 0 || *it == i32::MIN) {
            return Err(Invalid::Literal);
        }
        let mut known = Known::default();
        self.clauses.iter().for_each(|it| known.add(it));
        for (at, step) in self.steps.iter().enumerate() {
            let denied: Vec<i32> = step.iter().map(|it| -it).collect();
            if !known.contradicts(&denied) {
                return Err(Invalid::Step(at));
            }
            known.add(step);
        }
        if known.contradicts(&[]) { Ok(()) } else { Err(Invalid::NoContradiction) }
    }

    /// Writes the clauses for other solvers.
    pub fn to_dimacs(&self) -> String {
        let literals = self.clauses.iter().flatten();
        let variables = literals.map(|it| it.unsigned_abs()).max().unwrap_or(0);
        let mut text = format!("p cnf {variables} {}\n", self.clauses.len());
        for clause in &self.clauses {
            clause.iter().for_each(|it| text.push_str(&format!("{it} ")));
            text.push_str("0\n");
        }
        text
    }
}

/// Clauses, found by the literals in them.
#[derive(Default)]
struct Known {
    clauses: Vec<Vec<i32>>,
    with: HashMap<i32, Vec<usize>>,
    /// Clauses of one literal.
    units: Vec<i32>,
    has_empty: bool,
}

impl Known {
    fn add(&mut self, clause: &[i32]) {
        let mut clause = clause.to_vec();
        clause.sort_unstable();
        clause.dedup();
        match clause[..] {
            [] => self.has_empty = true,
            [only] => self.units.push(only),
            _ => {
                for literal in &clause {
                    self.with.entry(*literal).or_default().push(self.clauses.len());
                }
                self.clauses.push(clause);
            }
        }
    }

    /// Says whether taking some literals to be true leads to a contradiction by unit propagation.
    fn contradicts(&self, taken: &[i32]) -> bool {
        if self.has_empty {
            return true;
        }
        let mut values: HashMap<u32, bool> = HashMap::new();
        let mut todo: Vec<i32> = taken.iter().chain(&self.units).copied().collect();
        while let Some(literal) = todo.pop() {
            match values.insert(literal.unsigned_abs(), literal > 0) {
                Some(before) if before != (literal > 0) => return true,
                Some(_) => continue,
                None => {}
            }
            for clause in self.with.get(&-literal).into_iter().flatten() {
                let value =
                    |it: &i32| values.get(&it.unsigned_abs()).map(|value| *value == (*it > 0));
                let clause = &self.clauses[*clause];
                if clause.iter().any(|it| value(it) == Some(true)) {
                    continue;
                }
                let mut open = clause.iter().filter(|it| value(it).is_none());
                match (open.next(), open.next()) {
                    (None, _) => return true,
                    (Some(only), None) => todo.push(*only),
                    (Some(_), Some(_)) => {}
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(clauses: &[&[i32]], steps: &[&[i32]], expected: Result<(), Invalid>) {
        let own = |all: &[&[i32]]| all.iter().map(|it| it.to_vec()).collect();
        let claim = Contradiction { clauses: own(clauses), steps: own(steps) };
        assert_eq!(claim.check(), expected, "{clauses:?} {steps:?}");
    }

    #[test]
    fn only_what_follows_is_believed() {
        let square: &[&[i32]] = &[&[1, 2], &[-1, 2], &[1, -2], &[-1, -2]];
        check(square, &[&[2]], Ok(()));
        check(square, &[&[2], &[]], Ok(()));
        check(square, &[], Err(Invalid::NoContradiction));
        check(&square[..3], &[&[2]], Err(Invalid::NoContradiction));
        check(&square[..3], &[&[-2]], Err(Invalid::Step(0)));
        check(&[&[1], &[-1]], &[], Ok(()));
        check(&[&[]], &[], Ok(()));
        check(&[&[1, 0]], &[], Err(Invalid::Literal));
        check(&[&[1]], &[&[i32::MIN]], Err(Invalid::Literal));
        check(&[&[1], &[-1, 2], &[-2, 3], &[-3]], &[], Ok(()));
        check(&[], &[], Err(Invalid::NoContradiction));
    }

    #[test]
    fn other_solvers_read_the_clauses() {
        let claim = Contradiction { clauses: vec![vec![1, -3], vec![2]], steps: vec![] };
        assert_eq!(claim.to_dimacs(), "p cnf 3 2\n1 -3 0\n2 0\n");
    }
}
