//! A search through what a machine really does, one configuration after the other, with the guards
//! evaluated as in a run. It finds shortest ways to states, and values for which nothing is open.

//!
//! Here is what was found; `explorer` looks for it, `relevant` says what it need not keep apart, and
//! `hot` finds what goes round without waiting.

mod explorer;
mod hot;
mod relevant;

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::interface::Interface;
use super::model::Model;
use crate::plan::NodeId;
use crate::verify::Subject;
use crate::verify::guard::Witness;
use explorer::Explorer;

/// What the search found.
#[derive(Default)]
pub(crate) struct Search {
    inputs: Vec<Json>,
    visited: Vec<Visited>,
    /// The first visit of each state.
    first: Vec<Option<usize>>,
    gaps: BTreeMap<u32, Gap>,
    /// Configurations that go round without waiting.
    hot: Vec<usize>,
    /// Configurations that only wait for times, when nothing is open then.
    stuck: BTreeMap<u32, usize>,
}

struct Visited {
    state: u32,
    input: usize,
    vars: Map<String, Json>,
    /// Which of the outputs that parameters read are there.
    given: u64,
    /// Where it came from, and how; nothing for a start.
    came: Option<(usize, Act)>,
    /// Where it goes on to at once, whatever happens outside.
    at_once: Option<usize>,
}

/// What moves a machine from one state to another.
#[derive(Clone)]
pub(super) struct Act {
    /// Its list among all lists, and the output, error or data that comes with it.
    pub list: usize,
    pub data: Option<Json>,
    /// In words, with the state that it leads to.
    text: String,
}

/// A way from the start.
pub(super) struct Shown {
    pub input: Json,
    pub acts: Vec<Act>,
}

impl Shown {
    /// The way, step by step.
    pub fn trace(&self) -> Vec<String> {
        self.acts.iter().map(|it| it.text.clone()).collect()
    }
}

/// A state whose work is done, and nothing is open.
pub(super) struct Gap {
    /// Such as `vars.rounds = 3, output.approved = false`.
    pub values: String,
    /// The configuration, and what it was tried with.
    at: usize,
    last: Act,
}

impl Search {
    /// Searches; `hints` is data, by list, for which nothing may be open.
    pub fn new(
        subject: &Subject<'_>,
        model: &Model<'_>,
        inside: &dyn Fn(NodeId) -> Option<Interface>,
        hints: &[Option<&Witness>],
    ) -> Search {
        let mut found = Explorer::new(subject, model, inside, hints).explore();
        found.hot = hot::configurations(&found.visited);
        found
    }

    /// A shortest way to a state.
    pub fn way_to(&self, state: u32) -> Option<Shown> {
        let at = *self.first.get(state as usize)?;
        Some(self.shown(at?))
    }

    /// The same, if it has some steps, and no more than `steps_max`.
    pub fn short_trace(&self, state: u32, steps_max: usize) -> Option<Vec<String>> {
        let first = (*self.first.get(state as usize)?)?;
        let mut at = first;
        for _ in 0..steps_max {
            match &self.visited[at].came {
                Some((before, _)) => at = *before,
                None => return (at != first).then(|| self.shown(first).trace()),
            }
        }
        self.visited[at].came.is_none().then(|| self.shown(first).trace())
    }

    /// A way into a loop through these states that goes round without waiting.
    pub fn hot(&self, states: &[u32]) -> Option<Shown> {
        let at = self.hot.iter().find(|it| states.contains(&self.visited[**it].state))?;
        Some(self.shown(*at))
    }

    /// A way to where a state waits for nothing but times, and nothing is open when they come.
    pub fn stuck(&self, state: u32) -> Option<Shown> {
        Some(self.shown(*self.stuck.get(&state)?))
    }

    /// Values with which nothing is open once the work of a state is done.
    pub fn gap(&self, state: u32) -> Option<&Gap> {
        self.gaps.get(&state)
    }

    /// The way to where nothing is open, and what is done there.
    pub fn way_into(&self, gap: &Gap) -> Shown {
        let mut shown = self.shown(gap.at);
        shown.acts.push(gap.last.clone());
        shown
    }

    fn shown(&self, end: usize) -> Shown {
        let mut acts = Vec::new();
        let mut at = end;
        while let Some((before, act)) = &self.visited[at].came {
            acts.push(act.clone());
            at = *before;
        }
        acts.reverse();
        Shown { input: self.inputs[self.visited[end].input].clone(), acts }
    }
}
