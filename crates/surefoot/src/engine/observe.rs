//! What an engine does, told as it becomes durable, for who counts and measures.

use std::time::Duration;

use surefoot_core::ids::RunId;
use surefoot_core::run::{Event, Record, Run, RunStatus, TaskId};

/// Is told of everything that is worth counting. Called by the engine's loop: it must be quick, and
/// must not wait for anything.
pub trait Observer: Send + Sync {
    fn observe(&self, observation: Observation<'_>);
}

/// One thing that has become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation<'a> {
    RunStarted {
        workflow: &'a str,
    },
    /// `took_ms` is from the creation to the end.
    RunEnded {
        workflow: &'a str,
        status: RunStatus,
        took_ms: u64,
    },
    /// A task began to wait for a slot or a worker.
    TaskQueued {
        run: RunId,
        task: TaskId,
        at: u64,
    },
    /// An attempt was handed out.
    TaskStarted {
        run: RunId,
        task: TaskId,
        workflow: &'a str,
        kind: &'a str,
        at: u64,
    },
    TaskRetried {
        workflow: &'a str,
        kind: &'a str,
    },
    /// `outcome` is `completed`, `failed`, `skipped` or `cancelled`; `took_ms` is from the start of
    /// the last attempt, where there was one.
    TaskEnded {
        workflow: &'a str,
        kind: &'a str,
        outcome: &'static str,
        took_ms: Option<u64>,
    },
    /// Whoever had an attempt is gone.
    AttemptLost {
        workflow: &'a str,
        kind: &'a str,
    },
    /// What was due is done now.
    TimerFired {
        late_ms: u64,
    },
    /// The store has made so many records durable, together.
    Appended {
        records: usize,
        took: Duration,
    },
}

/// Tells of each event of a record.
pub(super) fn tell(observer: &dyn Observer, run: &Run, record: &Record) {
    let state = run.state();
    let workflow = &*state.created.workflow;
    // Composites have no kind: their tasks are counted, not they.
    let kind = |task: TaskId| run.kind(task);
    let ended = |task: TaskId, outcome: &'static str| {
        let Some(kind) = kind(task) else { return };
        let started = state.task(task).started_at;
        let took_ms = started.map(|it| record.at.saturating_sub(it));
        observer.observe(Observation::TaskEnded { workflow, kind, outcome, took_ms });
    };
    for event in &record.events {
        match event {
            Event::Created(_) => observer.observe(Observation::RunStarted { workflow }),
            Event::Ended { status, .. } => {
                let took_ms = record.at.saturating_sub(state.created_at);
                observer.observe(Observation::RunEnded { workflow, status: *status, took_ms });
            }
            Event::Queued { task, .. } => {
                let (run, task) = (run.id(), *task);
                observer.observe(Observation::TaskQueued { run, task, at: record.at });
            }
            Event::Dispatched { task, .. } => {
                if let Some(kind) = kind(*task) {
                    let (run, task, at) = (run.id(), *task, record.at);
                    observer.observe(Observation::TaskStarted { run, task, workflow, kind, at });
                }
            }
            Event::Retrying { task, .. } => {
                if let Some(kind) = kind(*task) {
                    observer.observe(Observation::TaskRetried { workflow, kind });
                }
            }
            Event::Lost { task, .. } => {
                if let Some(kind) = kind(*task) {
                    observer.observe(Observation::AttemptLost { workflow, kind });
                }
            }
            Event::Completed { task, .. } => ended(*task, "completed"),
            Event::Failed { task, .. } => ended(*task, "failed"),
            Event::Skipped { task, .. } => ended(*task, "skipped"),
            Event::Cancelled { task } => ended(*task, "cancelled"),
            _ => {}
        }
    }
}
