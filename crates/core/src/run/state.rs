//! What a run's events add up to. The fold never consults the definition, a policy or the clock.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::event::*;
use super::status::{RunStatus, TaskStatus};
use crate::ids::RunId;
use crate::join::SkipCause;
use crate::task_error::TaskError;
use crate::time::Millis;

/// The folded journal of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    pub id: RunId,
    pub created: Created,
    pub created_at: Millis,
    pub status: RunStatus,
    pub started_at: Option<Millis>,
    pub ended_at: Option<Millis>,
    /// End of the workflow's time-out, or of the clean-up once the end was asked for.
    pub due: Option<Millis>,
    pub paused_at: Option<Millis>,
    /// Set when the main part is over: what the run will have been.
    pub outcome: Option<RunStatus>,
    pub error: Option<Box<RunError>>,
    pub output: Option<Arc<Value>>,
    /// The run's own time is up.
    pub expired: Option<TaskError>,
    pub tasks: Vec<TaskState>,
    pub scopes: Vec<Scope>,
    /// Completed tasks that can be undone, in order of completion.
    pub undo: Vec<Undo>,
    pub undoing: Option<TaskId>,
    /// The visit that is being undone, of a state.
    #[serde(default)]
    pub undoing_visit: u32,
    /// Composites of the run's handlers that were entered since the main part was over.
    pub handled: Vec<u32>,
    pub signals: VecDeque<Signal>,
    pub signals_seen: u32,
    /// Sub-runs that nobody waits for any more, and that have not ended yet. The run waits for them
    /// before it ends.
    #[serde(default)]
    pub left: Vec<LeftChild>,
    /// How many records were folded.
    pub records: u64,
    pub last_at: Millis,
}

/// One task. Small, because a run may have a hundred thousand of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskState {
    pub status: TaskStatus,
    pub scope: ScopeId,
    /// The number of the last attempt that was handed out.
    pub attempt: u32,
    /// Failed attempts that count against the retry policy.
    pub failures: u32,
    /// How often the state was entered; 0 for tasks of a graph.
    pub visit: u32,
    /// Since when it has its status.
    pub since: Millis,
    /// When the first attempt (or the wait) began.
    pub started_at: Option<Millis>,
    /// When something must happen if nothing else does: the end of an attempt's time, of a delay,
    /// of a wait, of the grace period.
    pub due: Option<Millis>,
    pub output: Option<Arc<Value>>,
    /// The composite that is the task's work, or the items of its `for_each`.
    pub inner: Option<ScopeId>,
    pub more: Option<Box<More>>,
}

/// What few tasks have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct More {
    pub error: Option<TaskError>,
    /// The failure does not fail the composite.
    pub accepted: bool,
    pub cause: Option<SkipCause>,
    pub wait: Option<Wait>,
    pub votes: Vec<Vote>,
    pub total_due: Option<Millis>,
    pub key: Option<String>,
    pub worker: Option<Arc<str>>,
    /// The running attempt was asked to end.
    pub cancelling: bool,
    /// The time of the composite is up; it fails when its tasks have ended.
    pub expired: Option<TaskError>,
    /// Attempts lost to crashes.
    pub lost: u32,
    /// Times that the task was rewound, or run again after it was undone.
    pub redo: u32,
    /// The result was set by hand or taken over.
    pub given: bool,
}

/// A composite that was entered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    pub composite: u32,
    pub owner: Option<TaskId>,
    /// The visit of the owner whose work this is, or that it undoes; 0 if the owner is no state.
    #[serde(default)]
    pub visit: u32,
    pub first: u32,
    pub len: u32,
    pub content: ScopeContent,
    pub stopped: Option<StopCause>,
    /// The first task whose failure nobody accepted.
    pub failed: Option<TaskId>,
    /// Constants of a graph, variables of a machine.
    pub vars: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ScopeContent {
    Graph,
    Machine {
        current: Option<u32>,
        /// When each `after` of the current state is due; 0 once it has elapsed in vain.
        after: Vec<Millis>,
        /// Moves in a row without a task, event or timer between them.
        automatic: u32,
        history: VecDeque<Move>,
    },
    Map {
        items: Arc<Value>,
    },
}

/// One move of a machine, for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Move {
    pub from: Option<u32>,
    pub to: u32,
    pub on: Option<String>,
    pub at: Millis,
}

/// Moves that the state keeps; the journal has them all.
pub const HISTORY_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    pub task: TaskId,
    #[serde(default)]
    pub visit: u32,
    pub output: Arc<Value>,
}

/// A sub-run whose task went another way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftChild {
    pub task: TaskId,
    pub run: RunId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    pub id: u32,
    pub name: String,
    pub data: Arc<Value>,
    pub actor: String,
    pub at: Millis,
}

impl RunState {
    /// Begins a state from the first event of a journal.
    pub fn new(id: RunId, created: Created, at: Millis) -> RunState {
        RunState {
            id,
            created,
            created_at: at,
            status: RunStatus::Pending,
            started_at: None,
            ended_at: None,
            due: None,
            paused_at: None,
            outcome: None,
            error: None,
            output: None,
            expired: None,
            tasks: Vec::new(),
            scopes: Vec::new(),
            undo: Vec::new(),
            undoing: None,
            undoing_visit: 0,
            handled: Vec::new(),
            signals: VecDeque::new(),
            signals_seen: 0,
            left: Vec::new(),
            records: 0,
            last_at: at,
        }
    }

    /// Folds whole records, oldest first.
    pub fn fold(
        id: RunId,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<RunState, BadJournal> {
        let mut state: Option<RunState> = None;
        for record in records {
            match (&mut state, record.events.first()) {
                (None, Some(Event::Created(created))) => {
                    state = Some(RunState::new(id, (**created).clone(), record.at));
                }
                (None, _) => return Err(BadJournal { run: id }),
                (Some(_), _) => {}
            }
            let state = state.as_mut().expect("made above");
            state.apply(&record);
        }
        state.ok_or(BadJournal { run: id })
    }

    /// Folds one record.
    pub fn apply(&mut self, record: &Record) {
        self.apply_watched(record, |_, _| ());
    }

    /// The same, showing each event with the state before it.
    pub(super) fn apply_watched(
        &mut self,
        record: &Record,
        mut watch: impl FnMut(&RunState, &Event),
    ) {
        for event in &record.events {
            watch(self, event);
            self.evolve(event, record.at);
        }
        self.records += 1;
        self.last_at = record.at;
    }

    pub fn task(&self, id: TaskId) -> &TaskState {
        &self.tasks[id.0 as usize]
    }

    pub fn scope(&self, id: ScopeId) -> &Scope {
        &self.scopes[id.0 as usize]
    }

    /// Returns the tasks of a scope.
    pub fn children(&self, scope: ScopeId) -> impl ExactSizeIterator<Item = TaskId> + use<> {
        let scope = self.scope(scope);
        (scope.first..scope.first + scope.len).map(TaskId)
    }

    /// Returns tasks ended and tasks known. States that were not entered do not count.
    pub fn progress(&self) -> (u32, u32) {
        let is_state =
            |it: &TaskState| matches!(self.scope(it.scope).content, ScopeContent::Machine { .. });
        let known = self.tasks.iter().filter(|it| it.visit > 0 || !is_state(it));
        known.fold((0, 0), |(ended, all), it| (ended + u32::from(it.status.is_ended()), all + 1))
    }
}

/// A journal that does not begin with the creation of its run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal of run {run} does not begin with its creation")]
pub struct BadJournal {
    pub run: RunId,
}

impl TaskState {
    pub(super) fn new(scope: ScopeId, at: Millis) -> TaskState {
        TaskState {
            status: TaskStatus::Pending,
            scope,
            attempt: 0,
            failures: 0,
            visit: 0,
            since: at,
            started_at: None,
            due: None,
            output: None,
            inner: None,
            more: None,
        }
    }

    pub(super) fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    pub fn error(&self) -> Option<&TaskError> {
        self.more.as_ref()?.error.as_ref()
    }

    pub fn wait(&self) -> Option<&Wait> {
        self.more.as_ref()?.wait.as_ref()
    }

    /// Returns when further people are asked to decide, of an approval that waits.
    pub fn escalates_at(&self) -> Option<Millis> {
        match self.wait() {
            Some(Wait::Approval(approval)) if self.status == TaskStatus::Waiting => {
                approval.escalate.first().map(|it| it.at)
            }
            _ => None,
        }
    }

    pub fn total_due(&self) -> Option<Millis> {
        self.more.as_ref()?.total_due
    }

    pub fn is_cancelling(&self) -> bool {
        self.more.as_ref().is_some_and(|it| it.cancelling)
    }

    pub fn lost(&self) -> u32 {
        self.more.as_ref().map_or(0, |it| it.lost)
    }

    pub fn redo(&self) -> u32 {
        self.more.as_ref().map_or(0, |it| it.redo)
    }
}
