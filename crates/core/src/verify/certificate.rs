//! Proofs that can be checked by somebody who does not trust the verifier.
//!
//! That something never happens is shown by clauses that cannot all be true, and by the steps of
//! the solver that found this out. A step is a further clause that follows from those before it by
//! unit propagation alone ("reverse unit propagation", Goldberg and Novikov, DATE 2003); the last
//! one is empty. [`Certificate::check`] propagates and does nothing else: it shares no code with the
//! solver or with what made the clauses.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::property::Property;
use crate::ids::Digest;
use crate::plan::Plan;

/// The format of the files that this version writes and reads.
pub const CERTIFICATE_FORMAT: u16 = 1;

/// A claim that some clauses contradict each other, with the steps that show it. Literals are
/// numbers of variables from 1, negative if negated, as in DIMACS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    pub property: Property,
    /// The path of the task that it is about.
    pub subject: String,
    pub clauses: Vec<Vec<i32>>,
    pub steps: Vec<Vec<i32>>,
}

/// A certificate as a file, with the definition that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFile {
    /// `CERTIFICATE_FORMAT`.
    pub format: u16,
    pub workflow: String,
    /// Hash of the definition.
    pub definition: Digest,
    pub certificate: Certificate,
}

/// A file that is not a certificate that this version can read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("it is not a certificate: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its format is {0}, and this version reads {CERTIFICATE_FORMAT}")]
    Format(u16),
}

impl CertificateFile {
    pub fn new(plan: &Plan, certificate: Certificate) -> CertificateFile {
        CertificateFile {
            format: CERTIFICATE_FORMAT,
            workflow: plan.workflow.clone(),
            definition: plan.hash,
            certificate,
        }
    }

    /// Reads the text of a file.
    pub fn read(text: &[u8]) -> Result<CertificateFile, Unreadable> {
        #[derive(Deserialize)]
        struct Head {
            format: u16,
        }
        let head: Head = serde_json::from_slice(text)?;
        if head.format != CERTIFICATE_FORMAT {
            return Err(Unreadable::Format(head.format));
        }
        Ok(serde_json::from_slice(text)?)
    }

    /// Returns the text of a file.
    pub fn write(&self) -> String {
        let text = serde_json::to_string(self).expect("a certificate has a text");
        format!("{text}\n")
    }
}

/// Why a certificate proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("step {0} does not follow from what stands before it")]
    Step(usize),
    #[error("the steps do not end in a contradiction")]
    NoContradiction,
    #[error("a literal is not the number of a variable")]
    Literal,
}

impl Certificate {
    /// Checks every step, and that they end in a contradiction.
    ///
    /// ```
    /// use surefoot_core::verify::{Certificate, Property};
    ///
    /// let certificate = Certificate {
    ///     property: Property::Reachability,
    ///     subject: "ship".to_owned(),
    ///     clauses: vec![vec![1, 2], vec![-1, 2], vec![1, -2], vec![-1, -2]],
    ///     steps: vec![vec![2]],
    /// };
    /// assert!(certificate.check().is_ok());
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
        let certificate = Certificate {
            property: Property::Reachability,
            subject: String::new(),
            clauses: own(clauses),
            steps: own(steps),
        };
        assert_eq!(certificate.check(), expected, "{clauses:?} {steps:?}");
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
        let certificate = Certificate {
            property: Property::Joins,
            subject: "a".to_owned(),
            clauses: vec![vec![1, -3], vec![2]],
            steps: vec![],
        };
        assert_eq!(certificate.to_dimacs(), "p cnf 3 2\n1 -3 0\n2 0\n");
    }
}
