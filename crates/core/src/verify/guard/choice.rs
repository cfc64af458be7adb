//! A choice: guards of which the first true one wins, as in the transitions of a state.

use std::collections::{BTreeMap, BTreeSet};

use super::Limits;
use super::domain::Domains;
use super::regions::Regions;
use super::search::{Cell, Literal, Outcome, search};
use super::unknown::{Exceeded, Unknown};
use super::witness::{Cause, Witness};
use crate::expr::Expr;

/// What can be said of a choice. Guards are named by their positions.
///
/// What is not found does not exist, unless a limit was exceeded. What is found with a witness that
/// [is certain](Witness::is_certain) exists; with another, it may.
#[derive(Clone, Debug, PartialEq)]
pub struct ChoiceReport {
    /// No guard is true, none fails, and there is no default.
    pub gap: Option<Witness>,
    /// Two guards are true at once, so that their order decides.
    pub overlaps: Vec<Overlap>,
    pub dead: Vec<Dead>,
    /// Guards that are true whatever the data.
    pub always: Vec<usize>,
    /// Guards that fail where none before them is true.
    pub errors: Vec<GuardError>,
    /// Parts that are not decided.
    pub unknown: Vec<Unknown>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Overlap {
    pub first: usize,
    pub second: usize,
    pub witness: Witness,
}

/// A guard, or the default, that is never taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    pub guard: usize,
    /// Guards before it that are taken, or fail, where it would be. Without any, it is never true.
    pub covered_by: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GuardError {
    pub guard: usize,
    pub cause: Option<Cause>,
    pub witness: Witness,
}

/// Answers all questions about a choice. None stands for a default: it has no guard, and is taken
/// where no guard before it is true.
///
/// ```
/// use surefoot_core::expr::Expr;
/// use surefoot_core::verify::guard::{Domain, Limits, choice};
///
/// let guards = ["input.n >= 10", "input.n > 20", "input.n < 10"].map(|it| Expr::parse(it).unwrap());
/// let guards = guards.each_ref().map(Some);
/// let report = choice(&guards, &Domain::any(), &Limits::default()).unwrap();
/// assert_eq!(report.gap, None);
/// assert_eq!((report.dead[0].guard, report.dead[0].covered_by.as_slice()), (1, &[0][..]));
/// assert_eq!(report.overlaps[0].witness.to_string(), "input.n = 21");
/// assert_eq!(report.errors[0].cause.as_ref().unwrap().to_string(), "input is null");
/// ```
pub fn choice(
    guards: &[Option<&Expr>],
    domains: &dyn Domains,
    limits: &Limits,
) -> Result<ChoiceReport, Exceeded> {
    let expressions: Vec<&Expr> = guards.iter().copied().flatten().collect();
    let regions = Regions::split(&expressions, domains, limits);
    let mut numbers = 0..;
    let guards: Vec<Option<usize>> =
        guards.iter().map(|it| it.and_then(|_| numbers.next())).collect();
    regions.choice(&guards)
}

impl Regions {
    /// The same over guards that are split already; see [`choice`]. The report speaks of positions
    /// in `guards`.
    pub fn choice(&self, guards: &[Option<usize>]) -> Result<ChoiceReport, Exceeded> {
        let mut survey = Survey {
            expressions: guards.iter().map(Option::is_some).collect(),
            gap: None,
            overlaps: BTreeMap::new(),
            taken: BTreeSet::new(),
            covered: vec![BTreeSet::new(); guards.len()],
            untrue: BTreeSet::new(),
            errors: BTreeMap::new(),
        };
        let present: Vec<usize> = guards.iter().copied().flatten().collect();
        search(self, &present, &vec![None; present.len()], &mut |cell| survey.visit(cell))?;
        let unknown = guards.iter().enumerate().filter_map(|(at, it)| Some((at, (*it)?)));
        let unknown = unknown.flat_map(|(at, guard)| {
            self.unknown(guard).into_iter().map(move |it| Unknown { guard: at, ..it })
        });
        Ok(survey.report(self, guards, unknown.collect()))
    }

    /// Returns data for which all these guards have these outcomes, or None if there is none.
    ///
    /// ```
    /// use surefoot_core::expr::Expr;
    /// use surefoot_core::verify::guard::{Domain, Limits, Outcome, Regions};
    ///
    /// let guards = ["input.n > 100", "input.n < 50"].map(|it| Expr::parse(it).unwrap());
    /// let regions = Regions::split(&guards.each_ref(), &Domain::any(), &Limits::default());
    /// let both = regions.satisfiable(&[(0, Outcome::True), (1, Outcome::True)]).unwrap();
    /// assert_eq!(both, None);
    /// ```
    pub fn satisfiable(
        &self,
        conditions: &[(usize, Outcome)],
    ) -> Result<Option<Witness>, Exceeded> {
        let guards: Vec<usize> = conditions.iter().map(|(guard, _)| *guard).collect();
        let wanted: Vec<Option<Outcome>> =
            conditions.iter().map(|(_, outcome)| Some(*outcome)).collect();
        let mut best = None;
        search(self, &guards, &wanted, &mut |cell| keep(&mut best, cell))?;
        Ok(best.map(|it| Witness::new(self, &it.literals)))
    }

    /// Returns data for which the first guard is true and the second is not, or None if the first
    /// implies the second.
    ///
    /// ```
    /// use surefoot_core::expr::Expr;
    /// use surefoot_core::verify::guard::{Domain, Limits, Regions};
    ///
    /// let guards = ["input.n > 100", "input.n > 50"].map(|it| Expr::parse(it).unwrap());
    /// let regions = Regions::split(&guards.each_ref(), &Domain::any(), &Limits::default());
    /// assert_eq!(regions.counterexample(0, 1).unwrap(), None, "the first implies the second");
    /// assert_eq!(regions.counterexample(1, 0).unwrap().unwrap().to_string(), "input.n = 100");
    /// ```
    pub fn counterexample(&self, first: usize, second: usize) -> Result<Option<Witness>, Exceeded> {
        let mut best = None;
        search(self, &[first, second], &[Some(Outcome::True), None], &mut |cell| {
            if cell.outcomes[1] != Outcome::True {
                keep(&mut best, cell);
            }
        })?;
        Ok(best.map(|it| Witness::new(self, &it.literals)))
    }
}

/// The plainest cell so far that shows something.
struct Best {
    cost: u32,
    literals: Vec<Literal>,
}

fn keep(best: &mut Option<Best>, cell: &Cell<'_>) {
    let is_better = |it: &Best| (cell.cost, cell.literals.len()) < (it.cost, it.literals.len());
    if best.as_ref().is_none_or(is_better) {
        *best = Some(Best { cost: cell.cost, literals: cell.literals.to_vec() });
    }
}

/// What the cells have shown so far. All numbers are positions in the choice.
struct Survey {
    /// Whether there is a guard at a position, or a default.
    expressions: Vec<bool>,
    gap: Option<Best>,
    overlaps: BTreeMap<(usize, usize), Option<Best>>,
    taken: BTreeSet<usize>,
    /// What is taken, or fails, where a guard is true behind it.
    covered: Vec<BTreeSet<usize>>,
    /// Guards that are not always true.
    untrue: BTreeSet<usize>,
    errors: BTreeMap<usize, Option<Best>>,
}

impl Survey {
    fn visit(&mut self, cell: &Cell<'_>) {
        let mut outcomes = cell.outcomes.iter();
        let outcomes: Vec<Option<Outcome>> = self
            .expressions
            .iter()
            .map(|is_guard| if *is_guard { outcomes.next().copied() } else { None })
            .collect();
        let settling = outcomes.iter().position(|it| *it != Some(Outcome::False));
        match settling.map(|at| (at, outcomes[at])) {
            None => keep(&mut self.gap, cell),
            Some((at, Some(Outcome::Error))) => keep(self.errors.entry(at).or_default(), cell),
            Some((at, _)) => {
                self.taken.insert(at);
            }
        }
        let mut earlier: Vec<usize> = Vec::new();
        for (at, outcome) in outcomes.iter().enumerate() {
            let settled_before = settling.filter(|it| *it < at);
            match outcome {
                Some(Outcome::True) => {
                    for first in &earlier {
                        keep(self.overlaps.entry((*first, at)).or_default(), cell);
                    }
                    earlier.push(at);
                    self.covered[at].extend(settled_before);
                }
                Some(Outcome::False | Outcome::Error) => {
                    self.untrue.insert(at);
                }
                None => self.covered[at].extend(settled_before),
            }
        }
    }

    fn report(
        self,
        regions: &Regions,
        guards: &[Option<usize>],
        unknown: Vec<Unknown>,
    ) -> ChoiceReport {
        let witness = |best: &Best| Witness::new(regions, &best.literals);
        let overlaps = self.overlaps.iter().filter_map(|((first, second), best)| {
            let witness = witness(best.as_ref()?);
            Some(Overlap { first: *first, second: *second, witness })
        });
        let errors = self.errors.iter().filter_map(|(guard, best)| {
            let best = best.as_ref()?;
            let cause = Cause::of(regions, guards[*guard]?, &best.literals);
            Some(GuardError { guard: *guard, cause, witness: witness(best) })
        });
        let dead = self.covered.iter().enumerate().filter_map(|(guard, covered)| {
            let covered_by = covered.iter().copied().collect();
            (!self.taken.contains(&guard)).then_some(Dead { guard, covered_by })
        });
        let is_always = |it: &usize| self.expressions[*it] && !self.untrue.contains(it);
        ChoiceReport {
            gap: self.gap.as_ref().map(witness),
            overlaps: overlaps.collect(),
            dead: dead.collect(),
            always: (0..guards.len()).filter(is_always).collect(),
            errors: errors.collect(),
            unknown,
        }
    }
}
