//! What of a yes is not certain: the circuit allows more than can happen where a condition is not
//! decided exactly, or reads what the workflow itself computes. An execution settles it.

use std::collections::VecDeque;

use super::computed::computed;
use super::tries::Tries;
use super::{Flow, example};
use crate::plan::NodeId;
use crate::simulate::Counterexample;
use crate::verify::Subject;

impl Flow {
    /// Returns why an answer about a task may be a possibility that does not exist: a condition
    /// before it that is beyond exact decision.
    pub fn inexact(&self, subject: &Subject<'_>, id: NodeId) -> Option<String> {
        let all = || self.behind(self.encoded.conditions.all_inexact());
        let at = self.doubts.get_or_init(all)[id.0 as usize]?;
        let reason = self.encoded.conditions.inexact(at)?;
        Some(format!("the condition of `{}`: {reason}", subject.name(at)))
    }

    /// Returns why it is not certain that a task can run: a condition before it is not decided
    /// exactly, or reads what the workflow computes, and the task ran in no execution that was tried.
    pub(super) fn doubt(&self, subject: &Subject<'_>, id: NodeId) -> Option<String> {
        let computed = || Some(reading(subject, self.behind_computed(subject, id)?));
        let reason = self.inexact(subject, id).or_else(computed)?;
        let ran = self.tries(subject).ran(&subject.name(id));
        (!ran).then(|| format!("{reason}, and no execution that was tried makes it run"))
    }

    /// Returns why it is not certain that the condition of a task can go either way, for the same
    /// reasons.
    pub(super) fn doubt_about_condition(
        &self,
        subject: &Subject<'_>,
        id: NodeId,
    ) -> Option<String> {
        let computed = || computed(subject, id).map(|_| reading(subject, id));
        let reason = self.inexact(subject, id).or_else(computed)?;
        let (tries, name) = (self.tries(subject), subject.name(id));
        let missing = match (tries.ran(&name), tries.refused(&name)) {
            (true, true) => return None,
            (false, _) => "true",
            (true, false) => "false",
        };
        Some(format!("{reason}, and no execution that was tried makes it {missing}"))
    }

    fn behind_computed(&self, subject: &Subject<'_>, id: NodeId) -> Option<NodeId> {
        let reads = |it: &NodeId| computed(subject, *it).is_some();
        let all = || self.behind(self.order().filter(reads).collect());
        self.computed.get_or_init(all)[id.0 as usize]
    }

    fn tries(&self, subject: &Subject<'_>) -> &Tries {
        let fields = self.fields.get_or_init(|| example::fields(subject));
        self.tries.get_or_init(|| Tries::new(subject, fields))
    }

    /// The executions that were tried, if any had to be.
    pub fn tried(&self) -> &[Counterexample] {
        self.tries.get().map(Tries::executions).unwrap_or_default()
    }

    /// Returns for each task the nearest of some tasks before it, or itself.
    fn behind(&self, marked: Vec<NodeId>) -> Vec<Option<NodeId>> {
        let mut doubts = vec![None; self.before.len()];
        let mut todo: VecDeque<NodeId> = marked.into();
        if todo.is_empty() {
            return doubts;
        }
        todo.iter().for_each(|it| doubts[it.0 as usize] = Some(*it));
        let mut behind = vec![Vec::new(); self.before.len()];
        for (at, before) in (0..).map(NodeId).zip(&self.before) {
            before.iter().for_each(|it| behind[it.0 as usize].push(at));
        }
        while let Some(id) = todo.pop_front() {
            let reason = doubts[id.0 as usize];
            for at in &behind[id.0 as usize] {
                if doubts[at.0 as usize].is_none() {
                    doubts[at.0 as usize] = reason;
                    todo.push_back(*at);
                }
            }
        }
        doubts
    }
}

fn reading(subject: &Subject<'_>, at: NodeId) -> String {
    let read = computed(subject, at).unwrap_or_default();
    format!("the condition of `{}` reads {read}", subject.name(at))
}
