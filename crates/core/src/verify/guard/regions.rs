//! The regions of all paths that some guards read.

use serde_json::Value as Json;

use super::domain::Domains;
use super::join::join;
use super::leaf::Table;
use super::path::Path;
use super::search::{Outcome, Truth};
use super::skeleton::{Cutter, Part, Skeleton, has_more_nodes_than};
use super::terms::Facts;
use super::unknown::{Reason, Unknown};
use super::variables::{Needs, Variables};
use super::{COMBINATIONS_MAX, EVALUATIONS_MAX, Limits};
use crate::expr::Expr;
use crate::expr::ast::Node;

/// Guards over one scope, and the regions of the paths that they read. A guard is known by its
/// position among those that were handed in, a path by its position in [`Regions::all`].
///
/// ```
/// use surefoot_core::expr::Expr;
/// use surefoot_core::verify::guard::{Domain, Limits, Regions};
/// use serde_json::json;
///
/// let guard = Expr::parse("input.total > 1000.0").unwrap();
/// let number = Domain::at(&json!({"type": "number"}), &[] as &[&str]);
/// let regions = Regions::split(&[&guard], &number.optional(), &Limits::default());
/// let total = regions.all().last().unwrap();
/// let texts: Vec<&str> = total.regions.iter().map(|it| it.text.as_str()).collect();
/// assert!(texts.contains(&"input.total > 1000"));
/// ```
#[derive(Clone, Debug)]
pub struct Regions {
    partitions: Vec<Partition>,
    leaves: Vec<Leaf>,
    guards: Vec<Skeleton>,
    limits: Limits,
}

/// The regions of one path. Exactly one of them holds.
#[derive(Clone, Debug)]
pub struct Partition {
    pub subject: Subject,
    /// The path above, if that is split as well.
    pub parent: Option<usize>,
    pub regions: Vec<Region>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Path(Path),
    /// A part of a guard that is not decided; it is true, false or failing whatever the data.
    Part(String),
}

#[derive(Clone, Debug)]
pub struct Region {
    pub content: Content,
    /// For people: `input.total > 1000`.
    pub text: String,
    /// The region of the path above that this one implies.
    pub under: Option<usize>,
    /// How far its value is from what a person would choose.
    pub(super) cost: u32,
}

/// What stands for a region.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Value(Json),
    Missing,
    /// There is no such path, since the path above is not an object.
    Absent,
    /// The part comes to this.
    Outcome(Outcome),
}

#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub table: Table,
    pub text: String,
    pub unknown: Option<Reason>,
}

/// The cost of assuming something of a part that is not decided: more than any data.
const ASSUMPTION_COST: u32 = 100_000;

impl Regions {
    /// Splits the values of every path of these guards. They must read the same data: the same
    /// path in two of them has the same value.
    pub fn split(guards: &[&Expr], domains: &dyn Domains, limits: &Limits) -> Regions {
        let mut cutter = Cutter::default();
        let is_large = |it: &Node| has_more_nodes_than(it, limits.nodes);
        let skeletons = guards.iter().map(|it| cutter.cut(it, is_large(it.ast()))).collect();
        let mut variables = Variables::default();
        let mut understand = |part: &Part<'_>| {
            if is_large(part.node) {
                return Err(Reason::ManyNodes(limits.nodes));
            }
            Ok(variables.add(&Facts::of_condition(part.node)?, limits.regions))
        };
        let needs: Vec<_> = cutter.parts.iter().map(&mut understand).collect();
        variables.settle(domains, limits.regions);
        let tables = tabulate(&cutter.parts, needs, &variables);
        let (partitions, representatives) = join(&variables, &tables);
        let mut regions =
            Regions { partitions, leaves: Vec::new(), guards: skeletons, limits: *limits };
        for (part, table) in cutter.parts.iter().zip(tables) {
            let text = part.text.to_owned();
            let leaf = match table {
                Ok(table) => Leaf { table: representatives.reindex(&table), text, unknown: None },
                Err(reason) => regions.add_unknown(text, reason),
            };
            regions.leaves.push(leaf);
        }
        regions
    }

    /// Makes a variable of a part that is not decided.
    fn add_unknown(&mut self, text: String, reason: Reason) -> Leaf {
        let outcomes = [Outcome::False, Outcome::True, Outcome::Error];
        let region = |outcome: Outcome| {
            let word = match outcome {
                Outcome::False => "is false",
                Outcome::True => "is true",
                Outcome::Error => "fails",
            };
            Region {
                content: Content::Outcome(outcome),
                text: format!("`{text}` {word}"),
                under: None,
                cost: ASSUMPTION_COST,
            }
        };
        self.partitions.push(Partition {
            subject: Subject::Part(text.clone()),
            parent: None,
            regions: outcomes.map(region).to_vec(),
        });
        let table = Table {
            variables: vec![self.partitions.len() - 1],
            sizes: vec![outcomes.len()],
            outcomes: outcomes.map(Some).to_vec(),
        };
        Leaf { table, text, unknown: Some(reason) }
    }

    /// Returns the regions of every path and of every part that is not decided. A path comes after
    /// the path above it.
    pub fn all(&self) -> &[Partition] {
        &self.partitions
    }

    /// Returns the parts of a guard that are not decided, in the order of its source.
    pub fn unknown(&self, guard: usize) -> Vec<Unknown> {
        let mut found = Vec::new();
        self.guards[guard].for_each_leaf(&mut |leaf, span| {
            let leaf = &self.leaves[leaf];
            if let Some(reason) = &leaf.unknown {
                let (text, span, reason) = (leaf.text.clone(), span.clone(), reason.clone());
                found.push(Unknown { guard, text, span, reason });
            }
        });
        found
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn parent(&self, variable: usize) -> Option<usize> {
        self.partitions[variable].parent
    }

    /// Returns an assignment that says of each path with one region that it has it.
    pub(super) fn fixed(&self) -> Vec<Option<u32>> {
        self.partitions.iter().map(|it| (it.regions.len() == 1).then_some(0)).collect()
    }

    /// Evaluates a guard as far as the assigned regions settle it.
    pub(super) fn evaluate(
        &self,
        guard: usize,
        assigned: &[Option<u32>],
        steps: &mut usize,
    ) -> Truth {
        self.guards[guard].evaluate(&mut |leaf| {
            *steps = steps.saturating_sub(1);
            self.leaves[leaf].truth(assigned)
        })
    }

    /// Returns the first part of a guard that fails in some regions, with its paths.
    pub(super) fn failing(&self, guard: usize, assigned: &[Option<u32>]) -> Option<&Leaf> {
        let mut found = None;
        self.guards[guard].for_each_leaf(&mut |leaf, _| {
            let leaf = &self.leaves[leaf];
            if found.is_none() && leaf.truth(assigned) == Truth::Error {
                found = Some(leaf);
            }
        });
        found
    }
}

impl Leaf {
    fn truth(&self, assigned: &[Option<u32>]) -> Truth {
        let open = self.table.variables.iter().find(|it| assigned[**it].is_none());
        if let Some(variable) = open {
            return Truth::Open(*variable);
        }
        let region = |at: usize| assigned[self.table.variables[at]].unwrap_or_default() as usize;
        let index = self.table.index(region);
        // Only regions that go together are ever assigned together.
        self.table.outcomes[index].map_or(Truth::Error, Truth::from)
    }
}

/// Asks the evaluator what each part comes to, as far as that is within the limits.
fn tabulate(
    parts: &[Part<'_>],
    needs: Vec<Result<Needs, Reason>>,
    variables: &Variables,
) -> Vec<Result<Table, Reason>> {
    let mut evaluations: usize = 0;
    let mut tabulate = |part: &Part<'_>, needs: Result<Needs, Reason>| {
        let needs = needs?;
        if let Some(reason) = variables.why_unknown(&needs) {
            return Err(reason);
        }
        let sizes = needs.variables.iter().map(|it| variables.all[*it].states.len());
        let size = sizes.fold(1, usize::saturating_mul);
        if size > COMBINATIONS_MAX {
            return Err(Reason::ManyCombinations(COMBINATIONS_MAX));
        }
        evaluations += size;
        if evaluations > EVALUATIONS_MAX {
            return Err(Reason::ManyCombinations(EVALUATIONS_MAX));
        }
        Ok(Table::fill(part.node, &needs.variables, variables))
    };
    parts.iter().zip(needs).map(|(part, needs)| tabulate(part, needs)).collect()
}
