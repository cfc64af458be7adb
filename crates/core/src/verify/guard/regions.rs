//! The regions of all paths that some guards read.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::candidate::Candidate;
use super::domain::Domains;
use super::leaf::Table;
use super::path::Path;
use super::region_text;
use super::search::{Outcome, Truth};
use super::skeleton::{Cutter, Skeleton, has_more_nodes_than};
use super::terms::Facts;
use super::unknown::{Reason, Unknown};
use super::variables::{Needs, Variables};
use super::{COMBINATIONS_MAX, EVALUATIONS_MAX, Limits};
use crate::expr::Expr;

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
    guards: Vec<Guard>,
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

#[derive(Clone, Debug)]
struct Guard {
    skeleton: Skeleton,
}

/// The cost of assuming something of a part that is not decided: more than any data.
const ASSUMPTION_COST: u32 = 100_000;

impl Regions {
    /// Splits the values of every path of these guards. They must read the same data: the same
    /// path in two of them has the same value.
    pub fn split(guards: &[&Expr], domains: &dyn Domains, limits: &Limits) -> Regions {
        let mut cutter = Cutter::default();
        let skeletons: Vec<Skeleton> = guards
            .iter()
            .map(|guard| {
                let is_large = has_more_nodes_than(guard.ast(), limits.nodes);
                if is_large { cutter.whole(guard) } else { cutter.cut(guard) }
            })
            .collect();
        let mut variables = Variables::default();
        let needs: Vec<Result<Needs, Reason>> = cutter
            .parts
            .iter()
            .map(|part| {
                if has_more_nodes_than(part.node, limits.nodes) {
                    return Err(Reason::ManyNodes(limits.nodes));
                }
                Ok(variables.add(&Facts::of_condition(part.node)?, limits.regions))
            })
            .collect();
        variables.settle(domains, limits.regions);
        let mut evaluations = 0;
        let tables: Vec<Result<Table, Reason>> = cutter
            .parts
            .iter()
            .zip(needs)
            .map(|(part, needs)| {
                let needs = needs?;
                if let Some(reason) = variables.why_unknown(&needs) {
                    return Err(reason);
                }
                let sizes = needs.variables.iter().map(|it| variables.all[*it].states.len());
                let size = sizes.fold(1, usize::saturating_mul);
                evaluations += size.min(COMBINATIONS_MAX);
                if size > COMBINATIONS_MAX || evaluations > EVALUATIONS_MAX {
                    return Err(Reason::ManyCombinations(COMBINATIONS_MAX));
                }
                Ok(Table::fill(part.node, &needs.variables, &variables))
            })
            .collect();
        let texts = cutter.parts.iter().map(|it| it.text.to_owned());
        let joined = Joiner { variables: &variables, tables: &tables }.join();
        let mut regions = Regions {
            partitions: joined.partitions,
            leaves: Vec::new(),
            guards: skeletons.into_iter().map(|skeleton| Guard { skeleton }).collect(),
            limits: *limits,
        };
        for (text, table) in texts.zip(&tables) {
            let leaf = match table {
                Ok(table) => {
                    Leaf { table: reindex(table, &joined.representatives), text, unknown: None }
                }
                Err(reason) => regions.add_unknown(text, reason.clone()),
            };
            regions.leaves.push(leaf);
        }
        regions
    }

    /// Makes a variable of a part that is not decided.
    fn add_unknown(&mut self, text: String, reason: Reason) -> Leaf {
        let outcomes = [Truth::False, Truth::True, Truth::Error];
        let regions = outcomes.into_iter().filter_map(|truth| {
            let outcome = truth.outcome()?;
            let word = match outcome {
                Outcome::False => "is false",
                Outcome::True => "is true",
                Outcome::Error => "fails",
            };
            Some(Region {
                content: Content::Outcome(outcome),
                text: format!("`{text}` {word}"),
                under: None,
                cost: ASSUMPTION_COST,
            })
        });
        self.partitions.push(Partition {
            subject: Subject::Part(text.clone()),
            parent: None,
            regions: regions.collect(),
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
        self.guards[guard].skeleton.for_each_leaf(&mut |leaf, span| {
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
        self.guards[guard].skeleton.evaluate(&mut |leaf| {
            *steps = steps.saturating_sub(1);
            self.leaves[leaf].truth(assigned)
        })
    }

    /// Returns the first part of a guard that fails in some regions, with its paths.
    pub(super) fn failing(&self, guard: usize, assigned: &[Option<u32>]) -> Option<&Leaf> {
        let mut found = None;
        self.guards[guard].skeleton.for_each_leaf(&mut |leaf, _| {
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
        let index = self.table.index(|it| assigned[it].unwrap_or_default() as usize);
        // Only regions that go together are ever assigned together.
        self.table.outcomes[index].unwrap_or(Truth::Error)
    }
}

/// Turns a table over states into one over regions.
fn reindex(table: &Table, representatives: &[Vec<usize>]) -> Table {
    let variables = table.variables.clone();
    let sizes: Vec<usize> = variables.iter().map(|it| representatives[*it].len()).collect();
    let mut regions = vec![0; sizes.len()];
    let mut outcomes = Vec::new();
    for _ in 0..sizes.iter().product() {
        let states: BTreeMap<usize, usize> = variables
            .iter()
            .zip(&regions)
            .map(|(variable, region)| (*variable, representatives[*variable][*region]))
            .collect();
        outcomes.push(table.outcomes[table.index(|it| states[&it])]);
        super::leaf::advance(&mut regions, &sizes);
    }
    Table { variables, sizes, outcomes }
}

/// Joins states that no guard can tell apart into regions.
struct Joiner<'a> {
    variables: &'a Variables,
    tables: &'a [Result<Table, Reason>],
}

struct Joined {
    partitions: Vec<Partition>,
    /// For each variable, the state that stands for each region.
    representatives: Vec<Vec<usize>>,
}

impl Joiner<'_> {
    fn join(&self) -> Joined {
        let classes = self.classes();
        let mut joined = Joined { partitions: Vec::new(), representatives: Vec::new() };
        for (number, classes) in classes.iter().enumerate() {
            self.add_partition(number, classes, &mut joined);
        }
        joined
    }

    /// Groups the own states of each variable by all that their parts come to, and those of the
    /// paths below where they have no object.
    fn classes(&self) -> Vec<Vec<u32>> {
        let count = self.variables.all.len();
        let mut tables_of: Vec<Vec<&Table>> = vec![Vec::new(); count];
        for table in self.tables.iter().flatten() {
            table.variables.iter().for_each(|it| tables_of[*it].push(table));
        }
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut classes: Vec<Vec<u32>> = vec![Vec::new(); count];
        for number in (0..count).rev() {
            let variable = &self.variables.all[number];
            let mut known: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
            for state in 0..variable.states.len() {
                let mut signature = vec![self.tag(number, state)];
                tables_of[number].iter().for_each(|it| it.signature(number, state, &mut signature));
                for child in &below[number] {
                    let states = &self.variables.all[*child].states;
                    let inherited = states.inherited.iter().position(|it| *it == state);
                    signature.extend(inherited.map(|it| classes[*child][states.own.len() + it]));
                }
                let next = known.len() as u32;
                classes[number].push(*known.entry(signature).or_insert(next));
            }
            if let Some(parent) = variable.parent {
                below[parent].push(number);
            }
        }
        classes
    }

    /// Keeps apart what people keep apart: a value, nothing, and an object with fields.
    fn tag(&self, variable: usize, state: usize) -> u32 {
        let states = &self.variables.all[variable].states;
        match states.own.get(state) {
            _ if states.object == Some(state) => 0,
            Some(Candidate { value: Some(_), .. }) => 1,
            Some(Candidate { value: None, .. }) => 2,
            None => 3,
        }
    }

    fn add_partition(&self, number: usize, classes: &[u32], joined: &mut Joined) {
        let variable = &self.variables.all[number];
        let parent_states = variable.parent.map(|it| joined.representatives[it].clone());
        let region_of = |state: usize| parent_states.as_ref()?.iter().position(|it| *it == state);
        let object_above =
            variable.parent.and_then(|it| self.variables.all[it].states.object).and_then(region_of);
        let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for state in 0..variable.states.own.len() {
            members.entry(classes[state]).or_default().push(state);
        }
        let mut regions = Vec::new();
        let mut representatives = Vec::new();
        for members in members.into_values() {
            let candidates: Vec<&Candidate> =
                members.iter().map(|it| &variable.states.own[*it]).collect();
            let Some(best) = members.iter().min_by_key(|it| variable.states.own[**it].cost) else {
                continue;
            };
            let chosen = &variable.states.own[*best];
            regions.push(Region {
                content: chosen.value.clone().map_or(Content::Missing, Content::Value),
                text: region_text::describe(&variable.path, &candidates),
                under: object_above,
                cost: chosen.cost,
            });
            representatives.push(*best);
        }
        for (at, above) in variable.states.inherited.iter().enumerate() {
            // Of the states above that were joined, one is left.
            let Some(under) = region_of(*above) else { continue };
            regions.push(Region {
                content: Content::Absent,
                text: format!("there is no {}", variable.path),
                under: Some(under),
                cost: 0,
            });
            representatives.push(variable.states.own.len() + at);
        }
        joined.partitions.push(Partition {
            subject: Subject::Path(variable.path.clone()),
            parent: variable.parent,
            regions,
        });
        joined.representatives.push(representatives);
    }
}
