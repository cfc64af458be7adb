//! A run as the spans of a trace, read off its journal: one for the run, one for each attempt, wait
//! and composite. Ids are derived from run, task and attempt, so whoever reads the same journal
//! makes the same spans.

use std::sync::Arc;

use super::event::{Created, Event, Record, TaskId, Wait};
use super::state::{RunState, ScopeContent};
use super::status::{RunStatus, TaskStatus};
use super::{node_id, path};
use crate::ids::RunId;
use crate::plan::{Plan, WorkPlan};
use crate::task_error::TaskError;
use crate::time::Millis;
use crate::trace::{SpanId, TraceParent, span_id};

/// A stretch of time in the life of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub id: SpanId,
    /// The span around it; nothing for a run that nobody else's trace began.
    pub parent: Option<SpanId>,
    pub subject: Subject,
    pub start: Millis,
    /// Nothing while it goes on.
    pub end: Option<(Millis, Ending)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    Run,
    Task {
        path: String,
        /// What the task `uses`; nothing for a container of other tasks.
        kind: Option<String>,
        attempt: u32,
        /// The worker that had the attempt.
        worker: Option<Arc<str>>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    Completed,
    Failed(TaskError),
    /// Whoever had the attempt is gone.
    Lost(String),
    Cancelled,
}

/// Follows the journal of one run and tells the spans that end.
#[derive(Debug)]
pub struct Spans {
    plan: Arc<Plan>,
    state: RunState,
}

impl Spans {
    /// Begins before the first record, which says how the run was created.
    pub fn new(plan: Arc<Plan>, run: RunId, created: Created, at: Millis) -> Spans {
        Spans { plan, state: RunState::new(run, created, at) }
    }

    /// Returns how many records were followed.
    pub fn records(&self) -> u64 {
        self.state.records
    }

    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Folds the next record, and returns the spans that end with it: the inner ones first.
    pub fn follow(&mut self, record: &Record) -> Vec<Span> {
        let mut ended = Vec::new();
        let plan = &self.plan;
        self.state.apply_watched(record, |state, event| {
            Ended { plan, state, at: record.at, spans: &mut ended }.note(event);
        });
        ended
    }

    /// Returns the spans that have not ended.
    pub fn open(&self) -> Vec<Span> {
        let state = &self.state;
        let tasks = (0..state.tasks.len() as u32).map(TaskId).filter(|it| is_open(state, *it));
        let tasks = tasks.map(|it| of_task(&self.plan, state, it, None));
        let run = (!state.status.is_terminal()).then(|| of_run(state, None));
        tasks.chain(run).collect()
    }
}

/// What an event ends, seen from before it.
struct Ended<'a> {
    plan: &'a Plan,
    state: &'a RunState,
    at: Millis,
    spans: &'a mut Vec<Span>,
}

impl Ended<'_> {
    fn note(mut self, event: &Event) {
        match event {
            Event::Completed { task, .. } => self.work(*task, Ending::Completed),
            Event::Failed { task, error, .. } => self.work(*task, Ending::Failed(error.clone())),
            Event::Retrying { task, error, .. } => self.task(*task, Ending::Failed(error.clone())),
            Event::Given { task, .. } => self.task(*task, Ending::Completed),
            Event::Lost { task, reason, .. } => self.task(*task, Ending::Lost(reason.clone())),
            Event::Cancelled { task } => self.task(*task, Ending::Cancelled),
            Event::Reset { tasks, .. } => {
                tasks.iter().for_each(|it| self.task(*it, Ending::Cancelled));
            }
            Event::Stopped { scope, .. } => {
                let state = self.state;
                let waits = |it: &TaskId| {
                    let task = state.task(*it);
                    let has_child = matches!(task.wait(), Some(Wait::Child { .. }));
                    task.status == TaskStatus::Waiting && !has_child
                };
                let stopped = state.children(*scope).filter(waits);
                stopped.for_each(|it| self.task(it, Ending::Cancelled));
            }
            Event::Ended { status, error } => {
                let all = (0..self.state.tasks.len() as u32).map(TaskId);
                all.for_each(|it| self.task(it, Ending::Cancelled));
                let error = error.as_ref().or(self.state.error.as_ref());
                let ending = match status {
                    RunStatus::Completed => Ending::Completed,
                    RunStatus::Failed => Ending::Failed(match error {
                        Some(error) => error.error.clone(),
                        None => TaskError::new("failed", "the run failed"),
                    }),
                    // The others are not ends.
                    _ => Ending::Cancelled,
                };
                self.spans.push(of_run(self.state, Some((self.at, ending))));
            }
            // Whatever else happens ends no task.
            _ => {}
        }
    }

    /// A task has ended. What needs no attempt, such as `transform`, takes no time.
    fn work(&mut self, task: TaskId, ending: Ending) {
        let (state, at) = (self.state, self.at);
        if matches!(state.task(task).status, TaskStatus::Pending | TaskStatus::Ready) {
            // It has no number of its own, and a state may do it again and again.
            let id = span_id(state.id, Some((task, state.task(task).attempt)), Some(state.records));
            let span = of_task(self.plan, state, task, Some((at, ending)));
            self.spans.push(Span { id, start: at, ..span });
        } else {
            self.task(task, ending);
        }
    }

    fn task(&mut self, task: TaskId, ending: Ending) {
        if is_open(self.state, task) {
            let end = Some((self.at, ending));
            self.spans.push(of_task(self.plan, self.state, task, end));
        }
    }
}

fn is_open(state: &RunState, task: TaskId) -> bool {
    matches!(state.task(task).status, TaskStatus::Running | TaskStatus::Waiting)
}

fn of_run(state: &RunState, end: Option<(Millis, Ending)>) -> Span {
    Span {
        id: span_id(state.id, None, None),
        parent: TraceParent::caller(&state.created).map(|it| it.span),
        subject: Subject::Run,
        start: state.created_at,
        end,
    }
}

fn of_task(plan: &Plan, state: &RunState, id: TaskId, end: Option<(Millis, Ending)>) -> Span {
    let task = state.task(id);
    let scope = state.scope(task.scope);
    let around = scope.owner.map(|owner| (owner, state.task(owner).attempt));
    let node = plan.node(node_id(plan, state, id));
    let is_item = matches!(scope.content, ScopeContent::Map { .. });
    let kind = match &node.work {
        WorkPlan::Uses { kind, .. } if is_item || node.for_each.is_none() => Some(kind.to_string()),
        _ => None,
    };
    let worker = task.more.as_ref().and_then(|it| it.worker.clone());
    Span {
        id: span_id(state.id, Some((id, task.attempt)), None),
        parent: Some(span_id(state.id, around, None)),
        subject: Subject::Task { path: path(plan, state, id), kind, attempt: task.attempt, worker },
        start: task.since,
        end,
    }
}
