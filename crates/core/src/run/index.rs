//! What is derived from state and plan so that a decision costs what it changes, not what the run
//! holds. Thrown away and rebuilt at will; nothing here is stored.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};

use super::Run;
use super::event::{ScopeId, TaskId};
use super::payload::size;
use super::state::ScopeContent;
use super::status::TaskStatus;
use crate::join::{Outcome, Tally};
use crate::plan::{CompositeId, CompositeKind};
use crate::time::Millis;

#[derive(Debug, Default)]
pub(super) struct Index {
    /// The needs of each task of a graph, counted. Empty tallies elsewhere.
    pub tallies: Vec<Tally>,
    pub scopes: Vec<ScopeIndex>,
    /// What may come due. Entries are not removed when the reason goes; they are checked when
    /// they are reached.
    pub timers: BinaryHeap<Reverse<(Millis, Timer)>>,
    /// What is left to look at. More than one decision may need to.
    pub steps: VecDeque<Step>,
    /// Attempts that wait for a slot or are being made.
    pub live: u32,
    /// Tasks whose effects may have changed in this decision.
    pub touched: Vec<TaskId>,
    /// Bytes of all outputs that the run keeps, about.
    pub context_bytes: usize,
    /// When running attempts were last heard of. Lost with the process, as they are.
    pub beats: HashMap<TaskId, Millis>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ScopeIndex {
    /// Tasks that have not ended.
    pub open: u32,
    /// Tasks that take a place of `max_parallel`.
    pub active: u32,
    /// Tasks that may run but for `max_parallel`: highest priority first, then definition order.
    pub held: BTreeSet<(Reverse<i32>, TaskId)>,
    /// Items of a map that were looked at.
    pub next_item: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Task(TaskId),
    /// A heartbeat may be missing.
    Beat(TaskId),
    After(ScopeId),
    Run,
}

/// One thing to look at. Each is idempotent: looking twice changes nothing the second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The needs of a task of a graph have changed.
    Consider(TaskId),
    /// A place may be free in a scope.
    Fill(ScopeId),
    /// A task has ended.
    Settle(TaskId),
    /// All tasks of a scope may have ended.
    Close(ScopeId),
    /// The main part, or a handler of the run, is over.
    Conclude,
}

impl Run {
    /// Derives everything from the state. Whatever an interrupted decision had left to look at is
    /// among the steps, because looking is idempotent.
    pub(super) fn rebuild_index(&mut self) {
        let mut index = Index {
            touched: std::mem::take(&mut self.index.touched),
            beats: std::mem::take(&mut self.index.beats),
            ..Index::default()
        };
        let outputs = self.state.tasks.iter().filter_map(|it| it.output.as_deref());
        index.context_bytes = outputs.map(|it| size(it, usize::MAX)).sum();
        index.tallies = vec![Tally::default(); self.state.tasks.len()];
        index.scopes = vec![ScopeIndex::default(); self.state.scopes.len()];
        for (number, scope) in self.state.scopes.iter().enumerate() {
            let id = ScopeId(number as u32);
            self.index_scope(&mut index, id);
            let entry = &index.scopes[number];
            if self.is_current(id) {
                index.steps.extend(scope.failed.map(Step::Settle));
                match scope.content {
                    ScopeContent::Map { .. } => index.steps.push_back(Step::Fill(id)),
                    ScopeContent::Graph | ScopeContent::Machine { .. } => {}
                }
                if entry.open == 0 || matches!(scope.content, ScopeContent::Machine { .. }) {
                    index.steps.push_back(Step::Close(id));
                }
            }
            if let ScopeContent::Machine { after, .. } = &scope.content {
                let due = after.iter().filter(|it| **it > 0);
                index.timers.extend(due.map(|it| Reverse((*it, Timer::After(id)))));
            }
        }
        index.timers.extend(self.state.due.map(|due| Reverse((due, Timer::Run))));
        if self.state.outcome.is_some() && !self.state.status.is_terminal() {
            index.steps.push_back(Step::Conclude);
        }
        self.index = index;
    }

    fn index_scope(&self, index: &mut Index, id: ScopeId) {
        let scope = self.state.scope(id);
        let graph = match &self.plan.composite(CompositeId(scope.composite)).kind {
            CompositeKind::Graph { .. } => matches!(scope.content, ScopeContent::Graph),
            CompositeKind::Machine { .. } => false,
        };
        let current = self.is_current(id);
        for task in self.state.children(id) {
            let state = self.state.task(task);
            if graph {
                index.tallies[task.0 as usize] = self.count_needs(task);
            }
            let entry = &mut index.scopes[id.0 as usize];
            entry.open += u32::from(!state.status.is_ended());
            entry.active += u32::from(is_active(state.status));
            index.live += u32::from(self.is_live(task, state.status));
            index.timers.extend(self.beat_due(task).map(|due| Reverse((due, Timer::Beat(task)))));
            let due = state.due.into_iter().chain(state.escalates_at());
            index.timers.extend(due.map(|due| Reverse((due, Timer::Task(task)))));
            index.timers.extend(
                state
                    .total_due()
                    .filter(|_| !state.status.is_ended())
                    .map(|due| Reverse((due, Timer::Task(task)))),
            );
            if current && graph && state.status == TaskStatus::Pending {
                index.steps.push_back(Step::Consider(task));
            }
        }
    }

    /// Returns when a running attempt that is not heard of again has been silent for too long.
    pub(super) fn beat_due(&self, task: TaskId) -> Option<Millis> {
        let state = self.state.task(task);
        if state.status != TaskStatus::Running {
            return None;
        }
        let silence = self.node(task).timeout.heartbeat.filter(|_| self.is_leaf(task))?;
        let heard = self.index.beats.get(&task).copied().unwrap_or(0).max(state.since);
        Some(heard + silence.0)
    }

    fn count_needs(&self, task: TaskId) -> Tally {
        let scope = self.state.scope(self.state.task(task).scope);
        let needs = &self.node(task).needs;
        let mut tally = Tally::new(needs.len() as u32);
        for need in needs {
            if let Some(outcome) = outcome(self.state.task(TaskId(scope.first + need)).status) {
                tally.record(outcome);
            }
        }
        tally
    }

    /// Whether a scope still matters: it is the work of its owner (not of an earlier attempt), or
    /// a part of the run that is not over.
    pub(super) fn is_current(&self, id: ScopeId) -> bool {
        let scope = self.state.scope(id);
        match scope.owner {
            None => self.top_scope() == Some(id) && !self.state.status.is_terminal(),
            Some(owner) if self.is_undo(id) => {
                self.state.undoing == Some(owner) && self.newest_scope(scope.composite) == Some(id)
            }
            Some(owner) => {
                let owner = self.state.task(owner);
                owner.inner == Some(id) && owner.status == TaskStatus::Running
            }
        }
    }

    /// Returns the part of the run that is going on: the main part or a handler.
    pub(super) fn top_scope(&self) -> Option<ScopeId> {
        if self.state.outcome.is_none() {
            // Asked at every step of a run, so nothing is searched for.
            return (!self.state.scopes.is_empty()).then_some(ScopeId(0));
        }
        let handlers = self.state.scopes.iter().enumerate().skip(1).rev();
        handlers
            .filter(|(_, scope)| scope.owner.is_none())
            .find(|(_, scope)| self.state.handled.contains(&scope.composite))
            .map(|(number, _)| ScopeId(number as u32))
    }

    fn newest_scope(&self, composite: u32) -> Option<ScopeId> {
        let found = self.state.scopes.iter().rposition(|it| it.composite == composite);
        found.map(|number| ScopeId(number as u32))
    }

    /// Whether the scope undoes its owner instead of being its work.
    pub(super) fn is_undo(&self, id: ScopeId) -> bool {
        super::path::is_undo(&self.plan, &self.state, id)
    }

    /// Whether a task in this status waits for, or occupies, an executor.
    pub(super) fn is_live(&self, task: TaskId, status: TaskStatus) -> bool {
        match status {
            TaskStatus::Ready => true,
            TaskStatus::Running => self.is_leaf(task),
            TaskStatus::Pending
            | TaskStatus::Retrying
            | TaskStatus::Waiting
            | TaskStatus::Completed
            | TaskStatus::Failed
            | TaskStatus::Skipped
            | TaskStatus::Cancelled
            | TaskStatus::Compensated => false,
        }
    }
}

/// Whether a task in this status takes a place of `max_parallel`.
pub(super) fn is_active(status: TaskStatus) -> bool {
    use TaskStatus::*;
    matches!(status, Ready | Running | Retrying | Waiting)
}

/// Returns how a task ended, for the joins behind it.
pub(super) fn outcome(status: TaskStatus) -> Option<Outcome> {
    match status {
        // What was undone had completed; those behind it ran on that.
        TaskStatus::Completed | TaskStatus::Compensated => Some(Outcome::Completed),
        TaskStatus::Failed => Some(Outcome::Failed),
        TaskStatus::Skipped => Some(Outcome::Skipped),
        TaskStatus::Cancelled => Some(Outcome::Cancelled),
        TaskStatus::Pending
        | TaskStatus::Ready
        | TaskStatus::Running
        | TaskStatus::Retrying
        | TaskStatus::Waiting => None,
    }
}
