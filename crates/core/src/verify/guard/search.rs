//! Walks over all data, as far as guards can tell it apart.
//!
//! The walk decides one path after the other, always one that a guard waits for, and stops where
//! all guards are settled: a cell says something of some paths, and the others do not matter. The
//! cells of a walk are disjoint and together they are everything.

use super::Limits;
use super::regions::Regions;
use super::unknown::{Exceeded, Limit};

/// What is known of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    False,
    True,
    Error,
    /// Not known before this variable is.
    Open(usize),
}

impl Truth {
    pub fn of(value: bool) -> Truth {
        if value { Truth::True } else { Truth::False }
    }

    pub fn negated(self) -> Truth {
        match self {
            Truth::False => Truth::True,
            Truth::True => Truth::False,
            Truth::Error | Truth::Open(_) => self,
        }
    }

    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Truth::False => Some(Outcome::False),
            Truth::True => Some(Outcome::True),
            Truth::Error => Some(Outcome::Error),
            Truth::Open(_) => None,
        }
    }
}

/// What a guard comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    False,
    True,
    /// Neither: a field is missing, or a value has the wrong type.
    Error,
}

impl From<Outcome> for Truth {
    fn from(outcome: Outcome) -> Truth {
        match outcome {
            Outcome::False => Truth::False,
            Outcome::True => Truth::True,
            Outcome::Error => Truth::Error,
        }
    }
}

/// The region of a path, by their positions in [`Regions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Literal {
    pub path: u32,
    pub region: u32,
}

/// Some data: all that lies in these regions.
pub(super) struct Cell<'s> {
    /// In the order of the decisions.
    pub literals: &'s [Literal],
    /// The outcomes of the guards of the question.
    pub outcomes: &'s [Outcome],
    /// How far its plainest data is from what a person would choose.
    pub cost: u32,
}

/// Calls `visit` with each cell in which the guards have the wanted outcomes.
pub(super) fn search(
    regions: &Regions,
    guards: &[usize],
    wanted: &[Option<Outcome>],
    visit: &mut dyn FnMut(&Cell<'_>),
) -> Result<(), Exceeded> {
    let limits = regions.limits();
    let mut walk = Walk {
        regions,
        guards,
        wanted,
        visit,
        assigned: regions.fixed(),
        literals: Vec::new(),
        cost: 0,
        limits,
        cells: limits.cells,
        steps: limits.steps,
    };
    walk.step(vec![None; guards.len()])
}

struct Walk<'s> {
    regions: &'s Regions,
    guards: &'s [usize],
    wanted: &'s [Option<Outcome>],
    visit: &'s mut dyn FnMut(&Cell<'_>),
    /// The region of each variable, once it is decided.
    assigned: Vec<Option<u32>>,
    literals: Vec<Literal>,
    cost: u32,
    limits: Limits,
    /// What is left of the limits.
    cells: usize,
    steps: usize,
}

impl Walk<'_> {
    /// Settles what can be settled, and decides one more path if that is not enough.
    fn step(&mut self, mut known: Vec<Option<Outcome>>) -> Result<(), Exceeded> {
        let mut open = None;
        for (at, guard) in self.guards.iter().enumerate() {
            if known[at].is_some() {
                continue;
            }
            let truth = self.regions.evaluate(*guard, &self.assigned, &mut self.steps);
            match truth {
                Truth::Open(variable) => open = open.or(Some(variable)),
                Truth::False | Truth::True | Truth::Error => known[at] = truth.outcome(),
            }
            if known[at].is_some() && self.wanted[at].is_some() && known[at] != self.wanted[at] {
                return Ok(());
            }
        }
        if self.steps == 0 {
            return Err(Exceeded { which: Limit::Steps, limit: self.limits.steps });
        }
        match open {
            Some(variable) => self.decide(self.topmost(variable), &known),
            None => self.report(&known),
        }
    }

    /// Returns the highest path above a variable that is not decided, or the variable itself.
    fn topmost(&self, variable: usize) -> usize {
        let above = std::iter::successors(Some(variable), |it| self.regions.parent(*it));
        above.filter(|it| self.assigned[*it].is_none()).last().unwrap_or(variable)
    }

    fn decide(&mut self, variable: usize, known: &[Option<Outcome>]) -> Result<(), Exceeded> {
        if self.literals.len() == self.limits.paths {
            return Err(Exceeded { which: Limit::Paths, limit: self.limits.paths });
        }
        let regions = self.regions;
        let above = regions.parent(variable).and_then(|it| self.assigned[it]);
        for (number, region) in regions.all()[variable].regions.iter().enumerate() {
            if above.is_some() && region.under.map(|it| it as u32) != above {
                continue;
            }
            self.assigned[variable] = Some(number as u32);
            self.literals.push(Literal { path: variable as u32, region: number as u32 });
            self.cost += region.cost;
            let result = self.step(known.to_vec());
            self.cost -= region.cost;
            self.literals.pop();
            result?;
        }
        self.assigned[variable] = None;
        Ok(())
    }

    fn report(&mut self, known: &[Option<Outcome>]) -> Result<(), Exceeded> {
        self.cells = self
            .cells
            .checked_sub(1)
            .ok_or(Exceeded { which: Limit::Cells, limit: self.limits.cells })?;
        let outcomes: Vec<Outcome> = known.iter().copied().flatten().collect();
        let cell = Cell { literals: &self.literals, outcomes: &outcomes, cost: self.cost };
        (self.visit)(&cell);
        Ok(())
    }
}
