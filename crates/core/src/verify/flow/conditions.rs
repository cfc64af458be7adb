//! Conditions of tasks as literals of the circuit.
//!
//! The values of every path that conditions read are split into regions, once for all conditions
//! (`verify::guard`); which region holds is a choice of the environment, or follows from how tasks
//! ended. A condition is then a function of regions.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde_json::Value as Json;

use super::circuit::{Circuit, Lit};
use super::encode::Outcomes;
use super::names::{Data, Names};
use crate::expr::Expr;
use crate::plan::NodeId;
use crate::verify::Subject;
use crate::verify::guard::{
    Content, Limits, Literal, Outcome, Partition, Region, Regions, Subject as Split, Table,
};

/// Cells of one condition that become gates; one with more is free.
const CELLS_MAX: usize = 4_096;
/// Error cells of one condition whose cause is looked for.
const CAUSES_MAX: usize = 256;

/// What a condition gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    pub yes: Lit,
    pub error: Lit,
    /// It fails, and what types and schemas describe is to blame, not data that nobody describes.
    pub surely_error: Lit,
}

impl Guard {
    pub const ALWAYS: Guard = Guard { yes: Lit::TRUE, error: Lit::FALSE, surely_error: Lit::FALSE };
}

/// The value of a path that conditions look at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PathValue {
    /// As the author wrote it.
    pub path: Vec<String>,
    /// The task that it is an output of.
    pub of: Option<NodeId>,
    /// None: it is missing.
    pub value: Option<Json>,
}

impl fmt::Display for PathValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.join(".");
        match &self.value {
            Some(value) => write!(f, "{path} = {value}"),
            None => write!(f, "{path} is missing"),
        }
    }
}

#[derive(Debug)]
pub(super) struct Conditions {
    names: Names,
    regions: Regions,
    /// The place of each task's condition among those that were split.
    places: HashMap<NodeId, usize>,
    /// The literals of each region, once they are needed.
    lits: Vec<Option<Vec<Lit>>>,
    /// The regions in which a condition only ever fails: data of a type that nobody means.
    odd: HashSet<Literal>,
    guards: HashMap<NodeId, Guard>,
    /// The paths that each condition depends on.
    paths: HashMap<NodeId, Vec<usize>>,
    /// Why a condition is not decided exactly.
    inexact: HashMap<NodeId, String>,
}

impl Conditions {
    pub fn new(subject: &Subject<'_>) -> Conditions {
        let mut names = Names::default();
        let mut places = HashMap::new();
        let mut inexact = HashMap::new();
        let mut guards: Vec<Expr> = Vec::new();
        for (at, node) in subject.plan.nodes.iter().enumerate() {
            let Some(condition) = &node.condition else { continue };
            let id = NodeId(at as u32);
            match names.rewrite(subject, id, condition) {
                Some(expr) => {
                    places.insert(id, guards.len());
                    guards.push(expr);
                }
                None => {
                    let reason = format!("`{}` is beyond exact decision", condition.source());
                    inexact.insert(id, reason);
                }
            }
        }
        // What decides a region must be told apart, also where no condition does.
        guards.extend(names.distinctions().iter().filter_map(|it| Expr::parse(it).ok()));
        let references: Vec<&Expr> = guards.iter().collect();
        let regions = Regions::split(&references, &names, &Limits::default());
        let lits = vec![None; regions.all().len()];
        Conditions {
            names,
            regions,
            places,
            lits,
            odd: HashSet::new(),
            guards: HashMap::new(),
            paths: HashMap::new(),
            inexact,
        }
    }

    /// Adds the condition of a task to the circuit. The tasks before it are there.
    pub fn add(&mut self, id: NodeId, circuit: &mut Circuit, outcomes: &[Outcomes]) -> Guard {
        let table = self.table(id);
        if let Some(table) = &table {
            self.paths.insert(id, table.paths.clone());
            self.note_odd(table);
        }
        let guard = match table {
            Some(table) => self.encode(&table, circuit, outcomes),
            None => {
                let choice = circuit.choice(3);
                Guard { yes: choice[0], error: choice[1], surely_error: Lit::FALSE }
            }
        };
        self.guards.insert(id, guard);
        guard
    }

    pub fn get(&self, id: NodeId) -> Guard {
        self.guards.get(&id).copied().unwrap_or(Guard::ALWAYS)
    }

    /// Returns the tasks whose conditions are not decided exactly, in their order.
    pub fn all_inexact(&self) -> Vec<NodeId> {
        let mut all: Vec<NodeId> = self.inexact.keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// Returns why a task's condition is not decided exactly.
    pub fn inexact(&self, id: NodeId) -> Option<&str> {
        self.inexact.get(&id).map(String::as_str)
    }

    fn table(&mut self, id: NodeId) -> Option<Table> {
        let place = *self.places.get(&id)?;
        let (table, reason) = match self.regions.tabulate(place) {
            Ok(table) if table.cells().count() > CELLS_MAX => {
                (None, Some(format!("more than {CELLS_MAX} cases are to be told apart")))
            }
            Ok(table) => {
                let reason = table.unknown.first().map(|it| self.names.shown(&it.to_string()));
                (Some(table), reason)
            }
            Err(exceeded) => (None, Some(exceeded.to_string())),
        };
        if let Some(reason) = reason {
            self.inexact.insert(id, reason);
        }
        table
    }

    fn note_odd(&mut self, table: &Table) {
        let of = |wanted: bool| {
            let cells = table.cells().filter(move |it| (it.1 == Outcome::Error) == wanted);
            cells.flat_map(|it| it.0.iter().copied()).collect::<HashSet<Literal>>()
        };
        let fine = of(false);
        self.odd.extend(of(true).into_iter().filter(|it| !fine.contains(it)));
    }

    fn encode(&mut self, table: &Table, circuit: &mut Circuit, outcomes: &[Outcomes]) -> Guard {
        let of = |outcome: Outcome| {
            table.cells().filter(|it| it.1 == outcome).map(|it| it.0).collect::<Vec<_>>()
        };
        let yes = self.any(&of(Outcome::True), circuit, outcomes);
        let error = self.any(&of(Outcome::Error), circuit, outcomes);
        let surely_error = self.sure_errors(table);
        let surely_error = self.any_for_sure(&surely_error, circuit, outcomes);
        Guard { yes, error, surely_error }
    }

    /// Says that the data lies in one of some cells.
    fn any(&mut self, cells: &[&[Literal]], circuit: &mut Circuit, outcomes: &[Outcomes]) -> Lit {
        let mut gates = Vec::with_capacity(cells.len());
        for cell in cells {
            let lits: Vec<Lit> = cell.iter().map(|it| self.lit(*it, circuit, outcomes)).collect();
            gates.push(circuit.and(lits));
        }
        circuit.or(gates)
    }

    /// The same, where an output is `null` only because its task did not complete.
    fn any_for_sure(
        &mut self,
        cells: &[&[Literal]],
        circuit: &mut Circuit,
        outcomes: &[Outcomes],
    ) -> Lit {
        let mut gates = Vec::with_capacity(cells.len());
        for cell in cells {
            let mut lits = Vec::with_capacity(cell.len());
            for literal in *cell {
                lits.push(self.lit(*literal, circuit, outcomes));
                lits.extend(self.absent(*literal, outcomes));
            }
            gates.push(circuit.and(lits));
        }
        circuit.or(gates)
    }

    /// Of a region that is `null`: that there is no output or error.
    fn absent(&self, literal: Literal, outcomes: &[Outcomes]) -> Option<Lit> {
        let partition = &self.regions.all()[literal.path as usize];
        let Split::Path(path) = &partition.subject else { return None };
        let content = &partition.regions[literal.region as usize].content;
        if !is_null(content) {
            return None;
        }
        match self.names.meaning(path)?.data {
            Data::Output(id) => Some(!outcomes[id.0 as usize].completes),
            Data::Error(id) => Some(!outcomes[id.0 as usize].fails),
            Data::Status(_) | Data::Outside => None,
        }
    }

    /// Returns the cells in which a condition fails whatever the data that nobody describes.
    fn sure_errors<'t>(&self, table: &'t Table) -> Vec<&'t [Literal]> {
        let told = |cell: &[Literal]| -> Vec<(u32, u32)> {
            cell.iter().filter_map(|it| self.told(*it)).collect()
        };
        let fine: Vec<Vec<(u32, u32)>> =
            table.cells().filter(|it| it.1 != Outcome::Error).map(|it| told(it.0)).collect();
        let errors = table.cells().filter(|it| it.1 == Outcome::Error).take(CAUSES_MAX);
        errors
            .map(|it| it.0)
            .filter(|cell| {
                let own = told(cell);
                let excludes = |other: &Vec<(u32, u32)>| {
                    other.iter().any(|a| own.iter().any(|b| a.0 == b.0 && a.1 != b.1))
                };
                fine.iter().all(excludes)
            })
            .collect()
    }

    /// Returns what is certain about a path in a region: which one, if a type or schema describes
    /// it; of an output that nobody describes, whether there is one.
    fn told(&self, literal: Literal) -> Option<(u32, u32)> {
        let partition = &self.regions.all()[literal.path as usize];
        let Split::Path(path) = &partition.subject else { return None };
        let Some(meaning) = self.names.meaning(path) else {
            return Some((literal.path, literal.region));
        };
        match meaning.data {
            _ if meaning.is_declared => Some((literal.path, literal.region)),
            Data::Output(_) | Data::Error(_) => {
                let content = &partition.regions[literal.region as usize].content;
                Some((literal.path, u32::from(is_null(content))))
            }
            Data::Status(_) | Data::Outside => None,
        }
    }

    fn lit(&mut self, literal: Literal, circuit: &mut Circuit, outcomes: &[Outcomes]) -> Lit {
        let partition = literal.path as usize;
        if self.lits[partition].is_none() {
            let lits = self.partition(partition, circuit, outcomes);
            self.lits[partition] = Some(lits);
        }
        match &self.lits[partition] {
            Some(lits) => lits[literal.region as usize],
            None => Lit::FALSE,
        }
    }

    /// Makes the literals of the regions of a path. Exactly one of them is true in every scenario.
    fn partition(
        &mut self,
        number: usize,
        circuit: &mut Circuit,
        outcomes: &[Outcomes],
    ) -> Vec<Lit> {
        let partition = self.regions.all()[number].clone();
        let meaning = match &partition.subject {
            Split::Path(path) => self.names.meaning(path),
            Split::Part(_) => None,
        };
        let data = meaning.map_or(Data::Outside, |it| it.data);
        let of = |id: NodeId| outcomes[id.0 as usize];
        let may_be_null = meaning.is_none_or(|it| it.may_be_null);
        match data {
            Data::Status(id) => {
                // Nothing for any other status: the task was skipped.
                let lit = |content: &Content| match content {
                    Content::Value(Json::String(status)) => match status.as_str() {
                        "completed" => Some(of(id).completes),
                        "failed" => Some(of(id).fails),
                        _ => None,
                    },
                    _ => Some(Lit::FALSE),
                };
                let known: Vec<Option<Lit>> =
                    partition.regions.iter().map(|it| lit(&it.content)).collect();
                let skipped = circuit.and(known.iter().flatten().map(|it| !*it));
                known.into_iter().map(|it| it.unwrap_or(skipped)).collect()
            }
            Data::Output(id) => {
                nullable(&partition.regions, may_be_null, of(id).completes, circuit)
            }
            Data::Error(id) => nullable(&partition.regions, may_be_null, of(id).fails, circuit),
            Data::Outside => self.free(number, &partition, circuit, outcomes),
        }
    }

    /// A free choice, among the regions that the region of the path above allows.
    fn free(
        &mut self,
        number: usize,
        partition: &Partition,
        circuit: &mut Circuit,
        outcomes: &[Outcomes],
    ) -> Vec<Lit> {
        let is_odd = |odd: &HashSet<Literal>, at: usize| {
            odd.contains(&Literal { path: number as u32, region: at as u32 })
        };
        let Some(parent) = partition.parent else {
            let odd: Vec<bool> =
                (0..partition.regions.len()).map(|it| is_odd(&self.odd, it)).collect();
            return circuit.choice_of(&odd);
        };
        debug_assert!(parent < number, "a path comes after the one above it");
        let mut groups: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
        for (at, region) in partition.regions.iter().enumerate() {
            groups.entry(region.under).or_default().push(at);
        }
        let mut lits = vec![Lit::FALSE; partition.regions.len()];
        for under in
            [None].into_iter().chain((0..self.regions.all()[parent].regions.len()).map(Some))
        {
            let Some(group) = groups.get(&under) else { continue };
            let above = match under {
                Some(region) => {
                    let literal = Literal { path: parent as u32, region: region as u32 };
                    self.lit(literal, circuit, outcomes)
                }
                None => Lit::TRUE,
            };
            let odd: Vec<bool> = group.iter().map(|it| is_odd(&self.odd, *it)).collect();
            for (at, chosen) in group.iter().zip(circuit.choice_of(&odd)) {
                lits[*at] = circuit.and([above, chosen]);
            }
        }
        lits
    }

    /// Returns the values that the conditions of some tasks look at, in a scenario. Those that
    /// follow from how tasks ended are left out.
    pub fn values(&self, of: &[NodeId], value: &impl Fn(Lit) -> bool) -> Vec<PathValue> {
        let mut numbers: Vec<usize> =
            of.iter().filter_map(|it| self.paths.get(it)).flatten().copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().filter_map(|it| self.value(it, value)).collect()
    }

    fn value(&self, number: usize, value: &impl Fn(Lit) -> bool) -> Option<PathValue> {
        let partition = &self.regions.all()[number];
        let Split::Path(path) = &partition.subject else { return None };
        let meaning = self.names.meaning(path).filter(|it| it.data == Data::Outside)?;
        let lits = self.lits[number].as_ref()?;
        let at = lits.iter().position(|it| value(*it))?;
        let content = match &partition.regions[at].content {
            Content::Value(Json::Object(_)) | Content::Absent | Content::Outcome(_) => return None,
            Content::Value(value) => Some(value.clone()),
            Content::Missing => None,
        };
        Some(PathValue { path: meaning.shown.clone(), of: meaning.of, value: content })
    }
}

fn is_null(content: &Content) -> bool {
    matches!(content, Content::Value(Json::Null))
}

/// The value is `null` unless `there` holds; where it does, it may still be.
fn nullable(regions: &[Region], may_be_null: bool, there: Lit, circuit: &mut Circuit) -> Vec<Lit> {
    let is_possible = |it: &Region| may_be_null || !is_null(&it.content);
    let choice = circuit.choice(regions.iter().filter(|it| is_possible(it)).count());
    let mut choice = choice.into_iter();
    regions
        .iter()
        .map(|region| {
            let chosen = match is_possible(region) {
                true => choice.next().unwrap_or(Lit::FALSE),
                false => Lit::FALSE,
            };
            match is_null(&region.content) {
                true => circuit.or([!there, chosen]),
                false => circuit.and([there, chosen]),
            }
        })
        .collect()
}
