//! What one guard comes to, for all data.

use std::ops::Range;

use super::regions::Regions;
use super::search::{Literal, Outcome, search};
use super::unknown::{Exceeded, Limit, Unknown};
use super::witness::Witness;

/// Literals of one table.
const LITERALS_MAX: usize = 2_000_000;

/// The outcome of a guard in each of some disjoint cells that are everything together.
///
/// ```
/// use surefoot_core::expr::Expr;
/// use surefoot_core::verify::guard::{Domain, Limits, Outcome, Regions};
///
/// let guard = Expr::parse("has(input.note) && input.note == \"x\"").unwrap();
/// let regions = Regions::split(&[&guard], &Domain::any(), &Limits::default());
/// let table = regions.tabulate(0).unwrap();
/// assert!(table.unknown.is_empty());
/// assert!(table.cells().any(|(_, outcome)| outcome == Outcome::Error), "input is not an object");
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    /// The paths that the guard depends on.
    pub paths: Vec<usize>,
    /// The parts that are not decided; without any, the table is exact.
    pub unknown: Vec<Unknown>,
    literals: Vec<Literal>,
    cells: Vec<(Range<usize>, Outcome)>,
}

impl Table {
    /// Returns each cell: the region of each path that matters in it, and the outcome.
    pub fn cells(&self) -> impl Iterator<Item = (&[Literal], Outcome)> {
        self.cells.iter().map(|(range, outcome)| (&self.literals[range.clone()], *outcome))
    }
}

impl Regions {
    /// Returns the plainest data of a cell.
    pub fn witness(&self, literals: &[Literal]) -> Witness {
        Witness::new(self, literals)
    }

    /// Returns the table of a guard.
    pub fn tabulate(&self, guard: usize) -> Result<Table, Exceeded> {
        let mut literals: Vec<Literal> = Vec::new();
        let mut cells = Vec::new();
        let mut is_full = false;
        search(self, &[guard], &[None], &mut |cell| {
            is_full |= literals.len() + cell.literals.len() > LITERALS_MAX;
            if !is_full {
                let start = literals.len();
                literals.extend(cell.literals);
                cells.push((start..literals.len(), cell.outcomes[0]));
            }
        })?;
        if is_full {
            return Err(Exceeded { which: Limit::Cells, limit: LITERALS_MAX });
        }
        let mut paths: Vec<usize> = literals.iter().map(|it| it.path as usize).collect();
        paths.sort_unstable();
        paths.dedup();
        Ok(Table { paths, unknown: self.unknown(guard), literals, cells })
    }
}
