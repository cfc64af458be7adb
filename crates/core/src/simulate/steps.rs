//! Turns the events of a run into steps. Each event is folded into a copy of the state of its own,
//! so that a task has the name and the status that it had at that moment.

use super::trace::{Step, Tries, What, length};
use crate::plan::Plan;
use crate::run::{
    Event, Record, RunState, ScopeContent, ScopeId, TaskId, TaskStatus, Wait, node_id, path,
};
use crate::time::Millis;

/// A run's journal, told as it grows.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    state: RunState,
    pub steps: Vec<Step>,
}

impl Teller {
    /// Begins before the first event, that of the creation.
    pub fn new(state: RunState) -> Teller {
        Teller { state, steps: Vec::new() }
    }

    pub fn tell(&mut self, plan: &Plan, record: &Record) {
        for event in &record.events {
            let before = self.statuses_before(event);
            let single = Record {
                v: record.v,
                at: record.at,
                by: record.by.clone(),
                events: vec![event.clone()],
            };
            self.state.apply(&single);
            match before {
                Some(before) => self.tell_wide(plan, event, &before, record.at),
                None => self.tell_one(plan, event, record.at),
            }
        }
    }

    /// Notes something that left no event.
    pub fn note(&mut self, what: What, at: Millis) {
        let at_ms = at.saturating_sub(self.state.created_at);
        self.steps.push(Step { path: String::new(), line: 0, at_ms, what });
    }

    /// Returns the statuses of all tasks if the event may change many.
    fn statuses_before(&self, event: &Event) -> Option<Vec<TaskStatus>> {
        matches!(event, Event::Stopped { .. } | Event::Ended { .. } | Event::Reset { .. })
            .then(|| self.state.tasks.iter().map(|it| it.status).collect())
    }

    fn tell_wide(&mut self, plan: &Plan, event: &Event, before: &[TaskStatus], at: Millis) {
        for (number, before) in before.iter().enumerate() {
            let task = TaskId(number as u32);
            let state = self.state.task(task);
            if state.status == *before {
                continue;
            }
            let what = match state.status {
                TaskStatus::Skipped => {
                    let cause = state.more.as_ref().and_then(|it| it.cause);
                    What::Skipped(cause.unwrap_or(crate::join::SkipCause::Stopped))
                }
                TaskStatus::Cancelled => What::Cancelled,
                _ => What::Reset,
            };
            self.push(plan, task, what, at);
        }
        if let Event::Ended { status, .. } = event {
            self.note(What::RunEnded(*status), at);
        }
    }

    fn push(&mut self, plan: &Plan, task: TaskId, what: What, at: Millis) {
        let at_ms = at.saturating_sub(self.state.created_at);
        let line = plan.node(node_id(plan, &self.state, task)).line;
        self.steps.push(Step { path: path(plan, &self.state, task), line, at_ms, what });
    }

    /// Every event is listed, so that a new one is not forgotten here.
    fn tell_one(&mut self, plan: &Plan, event: &Event, at: Millis) {
        let tries = |it: TaskId, made: u32| {
            let node = plan.node(node_id(plan, &self.state, it));
            Tries { made, most: node.retry.as_ref().map_or(1, |it| it.max_attempts) }
        };
        let (task, what) = match event {
            Event::Queued { task, .. } => (*task, What::Queued),
            Event::Dispatched { task, .. } | Event::Entered { task, .. } => (*task, What::Started),
            Event::Waiting { task, wait, due, .. } => {
                (*task, What::Waiting(waits_for(wait, due.map(|it| it.saturating_sub(at)))))
            }
            Event::Completed { task, .. } => (*task, What::Completed),
            Event::Retrying { task, error, .. } => {
                let made = self.state.task(*task).failures;
                (*task, What::Retrying { error: error.clone(), tries: tries(*task, made) })
            }
            Event::Failed { task, error, accepted } => {
                let made = self.state.task(*task).failures + 1;
                let (error, tries, accepted) = (error.clone(), tries(*task, made), *accepted);
                (*task, What::Failed { error, tries, accepted })
            }
            Event::Lost { task, .. } => (*task, What::Lost),
            Event::Skipped { task, cause } => (*task, What::Skipped(*cause)),
            Event::Cancelling { task, .. } => (*task, What::Stopping),
            Event::Cancelled { task } => (*task, What::Cancelled),
            Event::Expired { task: Some(task), error } => (*task, What::TimeUp(error.clone())),
            Event::Moved { scope, from, to, on, .. } => {
                let name = |it: u32| plan.node(node_id(plan, &self.state, self.child(*scope, it)));
                let from = from.map(|it| name(it).id.to_string());
                (self.child(*scope, *to), What::Entered { from, on: on.clone() })
            }
            Event::Elapsed { scope, .. } => match self.current(*scope) {
                Some(task) => (task, What::Elapsed),
                None => return,
            },
            Event::Consumed { task, .. } => (*task, What::TookSignal),
            Event::Voted { task, vote } => {
                (*task, What::Voted { actor: vote.actor.clone(), approve: vote.approve })
            }
            Event::Escalated { task, users, groups } => {
                (*task, What::Escalated { to: [&users[..], &groups[..]].concat() })
            }
            Event::Undoing { task } => (*task, What::Undoing),
            Event::Undone { task, error: None } => (*task, What::Undone),
            Event::Undone { task, error: Some(error) } => (*task, What::NotUndone(error.clone())),
            Event::Given { task, .. } => (*task, What::Given),
            Event::Started { .. } => return self.note(What::RunStarted, at),
            Event::Signalled { name, .. } => return self.note(What::SignalKept(name.clone()), at),
            Event::Paused => return self.note(What::Paused, at),
            Event::Resumed { .. } => return self.note(What::Resumed, at),
            Event::CancelAsked { .. } => return self.note(What::CancelAsked, at),
            Event::Expired { task: None, .. } => return self.note(What::RunTimeUp, at),
            Event::Concluded { outcome, error, .. } => {
                return self.note(What::Concluded { outcome: *outcome, error: error.clone() }, at);
            }
            // What they are about was told when the task left its sub-run.
            Event::ChildLeft { .. } | Event::ChildGone { .. } => return,
            // They open scopes, whose tasks tell of themselves, or are told as wide events.
            Event::Created(_)
            | Event::Opened { .. }
            | Event::Mapped { .. }
            | Event::Stopped { .. }
            | Event::Ended { .. }
            | Event::Reset { .. } => return,
        };
        self.push(plan, task, what, at);
    }

    fn child(&self, scope: ScopeId, local: u32) -> TaskId {
        TaskId(self.state.scope(scope).first + local)
    }

    fn current(&self, scope: ScopeId) -> Option<TaskId> {
        match self.state.scope(scope).content {
            ScopeContent::Machine { current, .. } => current.map(|it| self.child(scope, it)),
            ScopeContent::Graph | ScopeContent::Map { .. } => None,
        }
    }
}

fn waits_for(wait: &Wait, left_ms: Option<Millis>) -> String {
    let at_most = left_ms.map(|it| format!(", at most {}", length(it))).unwrap_or_default();
    match wait {
        Wait::Time { .. } => length(left_ms.unwrap_or_default()),
        Wait::Signal { name, .. } => format!("the signal `{name}`{at_most}"),
        Wait::Approval(_) => format!("an approval{at_most}"),
        Wait::Event => "an event or a time".to_owned(),
        Wait::Child { .. } => format!("its sub-run{at_most}"),
    }
}
