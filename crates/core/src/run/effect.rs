//! What is still to be done for a run, read off its state. Asked after every durable decision, and
//! in the same words after a crash.

use std::cmp::Reverse;

use super::Run;
use super::event::{TaskId, Wait};
use super::index::Timer;
use super::state::ScopeContent;
use super::status::{RunStatus, TaskStatus};
use crate::ids::RunId;
use crate::plan::WorkPlan;
use crate::time::Millis;

/// Work for the engine, to be begun once the decision behind it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A ready task wants a slot.
    Queue { task: TaskId },
    /// An attempt is to be made.
    Execute { task: TaskId, attempt: u32 },
    /// A running attempt is to end.
    Cancel { task: TaskId, attempt: u32 },
    /// A sub-run is to end.
    CancelChild { task: TaskId, run: RunId },
    /// The end of a sub-run is waited for.
    AwaitChild { task: TaskId, run: RunId },
}

/// Why the run will go on: what a store keeps as its pending cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Attempts are queued or in flight, sub-runs are to end, or a decision left something over.
    Active,
    /// Only waits, at most until the given time.
    Idle(Option<Millis>),
    Ended,
}

impl Run {
    /// Returns what is to be done for one task, and for sub-runs that it has left.
    pub fn effects(&self, task: TaskId) -> impl Iterator<Item = Effect> + '_ {
        let left = self.state.left.iter().filter(move |it| it.task == task);
        let left = left.filter(|_| !self.state.status.is_terminal());
        left.map(|it| Effect::CancelChild { task: it.task, run: it.run }).chain(self.effect(task))
    }

    fn effect(&self, task: TaskId) -> Option<Effect> {
        if self.state.status.is_terminal() {
            return None;
        }
        let state = self.state.task(task);
        let attempt = state.attempt;
        match (state.status, state.wait()) {
            (TaskStatus::Ready, _) => Some(Effect::Queue { task }),
            (TaskStatus::Running, _) if !self.is_leaf(task) => None,
            (TaskStatus::Running, _) if state.is_cancelling() => {
                Some(Effect::Cancel { task, attempt })
            }
            (TaskStatus::Running, _) => Some(Effect::Execute { task, attempt }),
            (TaskStatus::Waiting, Some(Wait::Child { run })) if state.is_cancelling() => {
                Some(Effect::CancelChild { task, run: *run })
            }
            (TaskStatus::Waiting, Some(Wait::Child { run })) => {
                Some(Effect::AwaitChild { task, run: *run })
            }
            _ => None,
        }
    }

    /// Returns everything that is to be done, oldest task first.
    pub fn outstanding(&self) -> Vec<Effect> {
        (0..self.state.tasks.len() as u32).flat_map(|it| self.effects(TaskId(it))).collect()
    }

    /// Whether a decision left something to look at: the run wants to `Advance`.
    pub fn has_more_to_do(&self) -> bool {
        !self.index.steps.is_empty() && !self.state.status.is_terminal()
    }

    pub fn activity(&mut self) -> Activity {
        match self.state.status {
            status if status.is_terminal() => Activity::Ended,
            RunStatus::Running | RunStatus::Cancelling if self.has_more_to_do() => Activity::Active,
            _ if self.index.live > 0 || !self.state.left.is_empty() => Activity::Active,
            _ => Activity::Idle(self.next_due()),
        }
    }

    /// Returns the earliest time at which `Tick` has something to do.
    pub fn next_due(&mut self) -> Option<Millis> {
        while let Some(Reverse((due, timer))) = self.index.timers.peek().copied() {
            if self.is_pending(due, timer) {
                return Some(due);
            }
            self.index.timers.pop();
            // An attempt that was heard of since is listened to again.
            if let Timer::Beat(task) = timer
                && let Some(later) = self.beat_due(task)
            {
                self.index.timers.push(Reverse((later, Timer::Beat(task))));
            }
        }
        None
    }

    /// Whether a timer still has its reason. While a run is paused, what would start something
    /// waits for the resumption instead.
    fn is_pending(&self, due: Millis, timer: Timer) -> bool {
        let paused = self.state.status == RunStatus::Paused;
        match timer {
            Timer::Task(task) => {
                let state = self.state.task(task);
                let held = paused && self.is_held_by_pause(task);
                let is_mine =
                    [state.due, state.total_due(), state.escalates_at()].contains(&Some(due));
                !state.status.is_ended() && state.status != TaskStatus::Pending && is_mine && !held
            }
            Timer::Beat(task) => self.beat_due(task).is_some_and(|it| it <= due),
            Timer::After(scope) => match &self.state.scope(scope).content {
                ScopeContent::Machine { after, .. } => {
                    after.contains(&due) && self.is_going_on(scope) && !paused
                }
                ScopeContent::Graph | ScopeContent::Map { .. } => false,
            },
            Timer::Run => self.state.due == Some(due),
        }
    }

    fn is_held_by_pause(&self, task: TaskId) -> bool {
        let state = self.state.task(task);
        state.status == TaskStatus::Retrying
            || matches!(state.wait(), Some(Wait::Time { stands_still: true }))
    }

    /// Returns the kind of work of a task; `None` for composites and empty states.
    pub fn kind(&self, task: TaskId) -> Option<&str> {
        match &self.node(task).work {
            WorkPlan::Uses { kind, .. } => Some(kind),
            WorkPlan::Nothing | WorkPlan::Composite(_) => None,
        }
    }
}
