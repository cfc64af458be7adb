//! Joins the states of paths that no guard can tell apart into regions.

use std::collections::BTreeMap;

use super::candidate::Candidate;
use super::leaf::{Table, advance};
use super::region_text;
use super::regions::{Content, Partition, Region, Subject};
use super::unknown::Reason;
use super::variables::Variables;

/// For each variable, the state that stands for each of its regions.
pub(super) struct Representatives(Vec<Vec<usize>>);

impl Representatives {
    /// Turns a table over states into one over regions.
    pub fn reindex(&self, table: &Table) -> Table {
        let variables = table.variables.clone();
        let sizes: Vec<usize> = variables.iter().map(|it| self.0[*it].len()).collect();
        let mut regions = vec![0; sizes.len()];
        let mut outcomes = Vec::new();
        for _ in 0..sizes.iter().product() {
            let places = variables.iter().zip(&regions);
            let states: Vec<usize> =
                places.map(|(variable, region)| self.0[*variable][*region]).collect();
            outcomes.push(table.outcomes[table.index(|at| states[at])]);
            advance(&mut regions, &sizes);
        }
        Table { variables, sizes, outcomes }
    }
}

/// Joins what all these tables together cannot tell apart.
pub(super) fn join(
    variables: &Variables,
    tables: &[Result<Table, Reason>],
) -> (Vec<Partition>, Representatives) {
    let joiner = Joiner { variables, tables };
    let mut partitions = Vec::new();
    let mut representatives = Representatives(Vec::new());
    for (number, classes) in joiner.classes().iter().enumerate() {
        joiner.add_partition(number, classes, &mut partitions, &mut representatives);
    }
    (partitions, representatives)
}

struct Joiner<'a> {
    variables: &'a Variables,
    tables: &'a [Result<Table, Reason>],
}

impl Joiner<'_> {
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

    fn add_partition(
        &self,
        number: usize,
        classes: &[u32],
        partitions: &mut Vec<Partition>,
        all: &mut Representatives,
    ) {
        let variable = &self.variables.all[number];
        let states_above = variable.parent.map(|it| &all.0[it]);
        let region_of = |state: usize| states_above?.iter().position(|it| *it == state);
        let object_above =
            variable.parent.and_then(|it| self.variables.all[it].states.object).and_then(region_of);
        let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (state, class) in classes[..variable.states.own.len()].iter().enumerate() {
            members.entry(*class).or_default().push(state);
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
        partitions.push(Partition {
            subject: Subject::Path(variable.path.clone()),
            parent: variable.parent,
            regions,
        });
        all.0.push(representatives);
    }
}
