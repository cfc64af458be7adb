//! Data that shows something: a value for each path that matters, as plain as can be found.

use std::fmt;

use serde_json::{Map, Value as Json};

use super::leaf::place;
use super::path::Path;
use super::regions::{Content, Leaf, Regions, Subject};
use super::search::{Literal, Outcome};

/// Values of paths, such that a guard comes to what the finding says.
#[derive(Clone, Debug, PartialEq)]
pub struct Witness {
    entries: Vec<Entry>,
    /// What is assumed of parts that are not decided. If there is anything, then no such data need
    /// exist.
    pub assumes: Vec<(String, Outcome)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    path: Path,
    /// None: missing.
    value: Option<Json>,
    /// The finding depends on it.
    matters: bool,
}

impl Witness {
    pub(super) fn new(regions: &Regions, literals: &[Literal]) -> Witness {
        let assigned = complete(regions, literals);
        let mut witness = Witness { entries: Vec::new(), assumes: Vec::new() };
        for (number, region) in assigned.iter().enumerate() {
            let Some(region) = region else { continue };
            let partition = &regions.all()[number];
            let matters = literals.iter().any(|it| it.path as usize == number);
            let value = match (&partition.regions[*region as usize].content, &partition.subject) {
                (Content::Outcome(outcome), Subject::Part(text)) => {
                    witness.assumes.push((text.clone(), *outcome));
                    continue;
                }
                (Content::Absent | Content::Outcome(_), _) => continue,
                (Content::Missing, _) => None,
                (Content::Value(value), _) => Some(value.clone()),
            };
            if let Subject::Path(path) = &partition.subject {
                witness.entries.push(Entry { path: path.clone(), value, matters });
            }
        }
        witness
    }

    /// Tells whether this data does what the finding says for certain.
    pub fn is_certain(&self) -> bool {
        self.assumes.is_empty()
    }

    /// Returns the paths that matter and their values; None is missing.
    ///
    /// ```
    /// use surefoot_core::expr::Expr;
    /// use surefoot_core::verify::guard::{Domain, Limits, Outcome, Regions};
    ///
    /// let guard = Expr::parse("input.n > 5").unwrap();
    /// let regions = Regions::split(&[&guard], &Domain::any(), &Limits::default());
    /// let witness = regions.satisfiable(&[(0, Outcome::True)]).unwrap().unwrap();
    /// assert_eq!(witness.values().last().unwrap().1, Some(&6.into()));
    /// assert_eq!(witness.to_json("input"), Some(serde_json::json!({"n": 6})));
    /// ```
    pub fn values(&self) -> impl Iterator<Item = (&Path, Option<&Json>)> {
        self.entries.iter().filter(|it| it.matters).map(|it| (&it.path, it.value.as_ref()))
    }

    /// Builds the value of one root, or None if it is missing or does not matter. What does not
    /// matter is filled with what it may be; what no guard reads is left out.
    pub fn to_json(&self, root: &str) -> Option<Json> {
        let mut scope = Map::new();
        for entry in &self.entries {
            if entry.path.root == root {
                place(&mut scope, &entry.path, entry.value.as_ref());
            }
        }
        scope.remove(root)
    }

    fn is_shown(&self, entry: &Entry) -> bool {
        let is_above = |it: &Entry| {
            it.path.root == entry.path.root
                && it.path.segments.len() > entry.path.segments.len()
                && it.path.segments.starts_with(&entry.path.segments)
                && it.matters
        };
        // An object whose fields are shown says nothing new.
        entry.matters
            && !(entry.value.as_ref().is_some_and(Json::is_object)
                && self.entries.iter().any(is_above))
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.entries.iter().filter(|it| self.is_shown(it)).map(|it| match &it.value {
            Some(value) => format!("{} = {value}", it.path),
            None => format!("{} missing", it.path),
        });
        let assumed = self.assumes.iter().map(|(text, outcome)| match outcome {
            Outcome::True => format!("`{text}` true"),
            Outcome::False => format!("`{text}` false"),
            Outcome::Error => format!("`{text}` failing"),
        });
        let parts: Vec<String> = shown.chain(assumed).collect();
        if parts.is_empty() { f.write_str("any data") } else { f.write_str(&parts.join(", ")) }
    }
}

/// Decides the paths that a cell leaves open: the plainest region of each.
fn complete(regions: &Regions, literals: &[Literal]) -> Vec<Option<u32>> {
    let mut assigned = regions.fixed();
    for literal in literals {
        assigned[literal.path as usize] = Some(literal.region);
    }
    for number in 0..assigned.len() {
        let partition = &regions.all()[number];
        if assigned[number].is_some() || matches!(partition.subject, Subject::Part(_)) {
            continue;
        }
        let above = partition.parent.and_then(|it| assigned[it]);
        let fitting = partition
            .regions
            .iter()
            .enumerate()
            .filter(|(_, region)| above.is_none() || region.under.map(|it| it as u32) == above);
        assigned[number] = fitting.min_by_key(|(_, it)| it.cost).map(|(at, _)| at as u32);
    }
    assigned
}

/// Why a guard fails.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    Missing(Path),
    Null(Path),
    WrongType(Path),
    /// A part that is not decided is assumed to fail.
    Part(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Missing(path) => write!(f, "{path} is missing"),
            Cause::Null(path) => write!(f, "{path} is null"),
            Cause::WrongType(path) => write!(f, "{path} has a type that does not fit"),
            Cause::Part(text) => write!(f, "`{text}` may fail"),
        }
    }
}

impl Cause {
    /// Returns what makes a guard fail in a cell.
    pub(super) fn of(regions: &Regions, guard: usize, literals: &[Literal]) -> Option<Cause> {
        let assigned = complete(regions, literals);
        let leaf: &Leaf = regions.failing(guard, &assigned)?;
        if leaf.unknown.is_some() {
            return Some(Cause::Part(leaf.text.clone()));
        }
        let causes = leaf.table.variables.iter().filter_map(|it| cause_at(regions, *it, &assigned));
        // What is furthest from what the guard expects is the most likely to be at fault.
        causes.max_by_key(|(cost, _)| *cost).map(|(_, cause)| cause)
    }
}

/// Returns what is wrong with the value of a path, or with what is above it.
fn cause_at(regions: &Regions, variable: usize, assigned: &[Option<u32>]) -> Option<(u32, Cause)> {
    let partition = &regions.all()[variable];
    let Subject::Path(path) = &partition.subject else { return None };
    let region = &partition.regions[assigned[variable]? as usize];
    let cause = match &region.content {
        Content::Absent => return cause_at(regions, partition.parent?, assigned),
        Content::Missing => Cause::Missing(path.clone()),
        Content::Value(Json::Null) => Cause::Null(path.clone()),
        Content::Value(_) => Cause::WrongType(path.clone()),
        Content::Outcome(_) => return None,
    };
    Some((region.cost, cause))
}
