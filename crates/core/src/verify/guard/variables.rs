//! The paths that guards read, as variables: what is asked of each, and the values that stand for
//! all of its values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::candidate::{Candidate, Demands, Request, Role};
use super::domain::{Domain, Domains, Kinds};
use super::number::Num;
use super::path::Path;
use super::terms::{Constant, Facts};
use super::unknown::Reason;
use super::{ITEMS_MAX, SHARING_PATHS_MAX};

/// Variables by number; the path above another has the smaller number.
#[derive(Default)]
pub(super) struct Variables {
    pub all: Vec<Variable>,
    by_path: BTreeMap<Path, usize>,
    pairs: BTreeSet<(usize, usize)>,
}

pub(super) struct Variable {
    pub path: Path,
    pub parent: Option<usize>,
    /// It has fields that are read.
    pub is_above: bool,
    demands: Demands,
    mentions: Kinds,
    /// Its values cannot be told apart within the limits.
    pub unknown: Option<Reason>,
    /// Why it cannot be compared with other paths.
    pub alone: Option<Reason>,
    pub states: States,
}

/// What a path can be: values of its own, or absent because of what is above it.
#[derive(Default)]
pub(super) struct States {
    pub own: Vec<Candidate>,
    /// States of the path above in which it is no object; they follow the own ones.
    pub inherited: Vec<usize>,
    /// The own state in which the path is an object with fields that are read.
    pub object: Option<usize>,
}

impl States {
    pub fn len(&self) -> usize {
        self.own.len() + self.inherited.len()
    }
}

/// What a part of a guard needs of its variables.
pub(super) struct Needs {
    pub variables: Vec<usize>,
    has_pairs: bool,
    with_length: Vec<usize>,
    /// Variables that are compared with an object.
    with_object: Vec<usize>,
}

impl Variables {
    /// Takes over the facts about one part.
    pub fn add(&mut self, facts: &Facts, demands_max: usize) -> Needs {
        let numbers: Vec<usize> = facts.paths.iter().map(|it| self.intern(it)).collect();
        let mut with_object = Vec::new();
        for (path, constant) in &facts.constants {
            let variable = &mut self.all[numbers[*path]];
            variable.demand(constant, demands_max);
            if matches!(constant, Constant::Other(Json::Object(_))) {
                with_object.push(numbers[*path]);
            }
        }
        for path in &facts.ordered {
            self.all[numbers[*path]].demands.by_order = true;
        }
        for (path, kinds) in &facts.mentions {
            self.all[numbers[*path]].mention(*kinds);
        }
        for (path, length) in &facts.lengths {
            self.all[numbers[*path]].demands.add_length(*length);
        }
        self.pairs
            .extend(facts.pairs.iter().map(|(left, right)| (numbers[*left], numbers[*right])));
        Needs {
            has_pairs: !facts.pairs.is_empty(),
            with_length: facts.lengths.iter().map(|(path, _)| numbers[*path]).collect(),
            with_object,
            variables: numbers,
        }
    }

    fn intern(&mut self, path: &Path) -> usize {
        if let Some(known) = self.by_path.get(path) {
            return *known;
        }
        let parent = path.parent().map(|it| self.intern(&it));
        if let Some(parent) = parent {
            self.all[parent].is_above = true;
        }
        let number = self.all.len();
        self.all.push(Variable {
            path: path.clone(),
            parent,
            is_above: false,
            demands: Demands::default(),
            mentions: Kinds::NONE,
            unknown: None,
            alone: None,
            states: States::default(),
        });
        self.by_path.insert(path.clone(), number);
        number
    }

    /// Finds the values of every variable.
    pub fn settle(&mut self, domains: &dyn Domains, regions_max: usize) {
        let domains: Vec<Domain> = self.all.iter().map(|it| domains.domain(&it.path)).collect();
        let mut items = 0;
        for (variable, domain) in self.all.iter_mut().zip(&domains) {
            items += variable.demands.lengths.iter().sum::<usize>();
            if items > ITEMS_MAX {
                variable.demands.lengths.clear();
                variable.unknown = Some(Reason::ManyRegions(ITEMS_MAX));
            }
            variable.demands.numbers.extend(domain.bounds());
            if domain.beyond_json {
                variable.unknown = Some(Reason::BeyondJson);
            }
        }
        for group in self.groups() {
            self.settle_group(&group, &domains, regions_max);
        }
        self.inherit();
    }

    /// Returns the sets of variables that are compared with each other, directly or not.
    fn groups(&self) -> Vec<Vec<usize>> {
        let mut group_of: Vec<usize> = (0..self.all.len()).collect();
        let find = |group_of: &[usize], mut at: usize| {
            while group_of[at] != at {
                at = group_of[at];
            }
            at
        };
        for (left, right) in &self.pairs {
            let (left, right) = (find(&group_of, *left), find(&group_of, *right));
            group_of[left.max(right)] = left.min(right);
        }
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for variable in 0..self.all.len() {
            groups.entry(find(&group_of, variable)).or_default().push(variable);
        }
        groups.into_values().collect()
    }

    fn settle_group(&mut self, group: &[usize], domains: &[Domain], regions_max: usize) {
        if let Some(reason) = self.why_apart(group) {
            for variable in group {
                self.all[*variable].alone = Some(reason.clone());
                self.settle_one(*variable, &domains[*variable], 1, false, regions_max);
            }
            return;
        }
        if group.len() > 1 {
            let mut shared = Demands::default();
            let mut mentions = Kinds::NONE;
            for variable in group {
                shared.join(&self.all[*variable].demands);
                mentions = mentions.or(self.all[*variable].mentions);
                domains[*variable]
                    .values
                    .iter()
                    .flat_map(|it| it.iter())
                    .for_each(|it| shared.add(it));
            }
            for variable in group {
                self.all[*variable].demands = shared.clone();
                self.all[*variable].mentions = mentions;
            }
        }
        let whole = group.iter().filter(|it| domains[**it].whole).count();
        let is_mixed = whole > 0 && whole < group.len();
        for variable in group {
            self.settle_one(*variable, &domains[*variable], group.len(), is_mixed, regions_max);
        }
    }

    /// Returns why the variables of a group cannot be compared with each other, if they cannot.
    fn why_apart(&self, group: &[usize]) -> Option<Reason> {
        let members = || group.iter().map(|it| &self.all[*it]);
        if group.len() == 1 {
            None
        } else if group.len() > SHARING_PATHS_MAX {
            Some(Reason::ManyPaths(SHARING_PATHS_MAX))
        } else if members().any(|it| it.is_above) {
            Some(Reason::WholeObject)
        } else if members().any(|it| !it.demands.lengths.is_empty()) {
            Some(Reason::Size)
        } else {
            let is_small = |it: &Variable| it.demands.numbers.iter().all(|it| it.is_small());
            (!members().all(is_small)).then_some(Reason::Rounding)
        }
    }

    fn settle_one(
        &mut self,
        number: usize,
        domain: &Domain,
        copies: usize,
        is_mixed: bool,
        regions_max: usize,
    ) {
        let variable = &mut self.all[number];
        if variable.demands.len() > regions_max {
            variable.unknown = Some(Reason::ManyRegions(regions_max));
        }
        let found = match variable.candidates(domain, copies, is_mixed) {
            // A schema that no value satisfies: nothing is to be concluded from that.
            Ok(found) if found.is_empty() => {
                variable.candidates(&domain.unlimited(), copies, is_mixed)
            }
            Ok(found) if found.len() > regions_max => Err(Reason::ManyRegions(regions_max)),
            found => found,
        };
        variable.states.own = found.unwrap_or_else(|reason| {
            variable.unknown = Some(reason);
            variable.demands = Demands::default();
            // Only whether it is an object matters now, to the fields below.
            variable.candidates(&domain.unlimited(), 1, false).unwrap_or_default()
        });
        if variable.is_above {
            let is_object = |it: &Candidate| it.value.as_ref().is_some_and(Json::is_object);
            variable.states.object = variable.states.own.iter().position(is_object);
        }
    }

    /// What is not an object has no fields.
    fn inherit(&mut self) {
        for number in 0..self.all.len() {
            let Some(parent) = self.all[number].parent else { continue };
            let above = &self.all[parent].states;
            let object = above.object;
            let inherited = (0..above.len()).filter(|it| Some(*it) != object).collect();
            let states = &mut self.all[number].states;
            states.inherited = inherited;
            if object.is_none() {
                states.own.clear();
                states.object = None;
            }
        }
    }

    /// Returns why a part cannot be decided after all, given what the other parts ask of its paths.
    pub fn why_unknown(&self, needs: &Needs) -> Option<Reason> {
        let variables = || needs.variables.iter().map(|it| &self.all[*it]);
        if let Some(reason) = variables().find_map(|it| it.unknown.clone()) {
            return Some(reason);
        }
        if needs.has_pairs
            && let Some(reason) = variables().find_map(|it| it.alone.clone())
        {
            return Some(reason);
        }
        let is_above = |it: &usize| self.all[*it].is_above;
        if needs.with_object.iter().chain(&needs.with_length).any(is_above) {
            return Some(Reason::WholeObject);
        }
        let has_order = |it: &usize| self.all[*it].demands.by_order;
        needs.with_length.iter().any(has_order).then_some(Reason::Size)
    }

    /// Returns the states that a state implies: its own, and those of all paths above.
    pub fn implied(&self, variable: usize, state: usize) -> impl Iterator<Item = (usize, usize)> {
        let mut next = Some((variable, state));
        std::iter::from_fn(move || {
            let (variable, state) = next?;
            next = self.above(variable, state);
            Some((variable, state))
        })
    }

    /// Returns the state of the path above that a state implies.
    fn above(&self, variable: usize, state: usize) -> Option<(usize, usize)> {
        let parent = self.all[variable].parent?;
        let states = &self.all[variable].states;
        match state.checked_sub(states.own.len()) {
            Some(inherited) => Some((parent, states.inherited[inherited])),
            None => self.all[parent].states.object.map(|it| (parent, it)),
        }
    }
}

impl Variable {
    fn demand(&mut self, constant: &Constant, demands_max: usize) {
        // What is beyond the limit is not kept: the path is unknown by then.
        if self.demands.len() > demands_max {
            return;
        }
        match constant {
            Constant::Number(number) => {
                self.mention(Kinds::NUMBER);
                self.demands.numbers.insert(*number);
            }
            Constant::Other(value) => {
                self.mention(Kinds::of(value));
                self.demands.add(value);
            }
            Constant::Never => {}
        }
    }

    fn mention(&mut self, kinds: Kinds) {
        self.mentions = self.mentions.or(kinds);
    }

    fn candidates(
        &self,
        domain: &Domain,
        copies: usize,
        is_mixed: bool,
    ) -> Result<Vec<Candidate>, Reason> {
        if let Some(reason) = &self.unknown
            && !self.demands.is_empty()
        {
            return Err(reason.clone());
        }
        let role = if self.is_above { Role::Object } else { Role::Value };
        let (demands, mentions) = (&self.demands, self.mentions);
        Request { domain, demands, mentions, role, copies, is_mixed }.candidates()
    }
}

impl Num {
    /// Writes the number as JSON does.
    pub fn text(self) -> String {
        self.to_json().to_string()
    }
}
