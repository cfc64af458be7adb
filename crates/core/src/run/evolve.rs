//! The fold: one event changes the state. Total, and blind to everything but the event.

use super::event::*;
use super::payload::Payload;
use super::state::*;
use super::status::{RunStatus, TaskStatus};
use crate::time::Millis;

impl RunState {
    pub(super) fn evolve(&mut self, event: &Event, at: Millis) {
        match event {
            Event::Created(_) => {}
            Event::Started { due } => {
                self.set_status(RunStatus::Running, at);
                self.started_at = self.started_at.or(Some(at));
                self.due = *due;
            }
            Event::Opened { scope, kind, composite, owner, first, len, vars } => {
                let content = match kind {
                    ScopeKind::Graph => ScopeContent::Graph,
                    ScopeKind::Machine => ScopeContent::Machine {
                        current: None,
                        after: Vec::new(),
                        automatic: 0,
                        history: Default::default(),
                    },
                };
                self.open(*scope, content, *owner, *composite, (*first, *len), at);
                self.scopes[scope.0 as usize].vars = vars.clone();
            }
            Event::Mapped { scope, owner, first, items } => {
                let items = items.value().clone();
                let len = items.as_array().map_or(0, Vec::len) as u32;
                let composite = self.scope(self.task(*owner).scope).composite;
                let content = ScopeContent::Map { items };
                self.open(*scope, content, Some(*owner), composite, (*first, len), at);
            }
            Event::Queued { task, due, total_due, key } => {
                let task = self.enter(*task, TaskStatus::Ready, at, *due);
                task.note_total(*total_due);
                if key.is_some() {
                    task.more_mut().key.clone_from(key);
                }
            }
            Event::Dispatched { task, attempt, due, total_due, key, worker } => {
                let task = self.enter(*task, TaskStatus::Running, at, *due);
                task.attempt = *attempt;
                task.note_total(*total_due);
                if key.is_some() {
                    task.more_mut().key.clone_from(key);
                }
                if worker.is_some() || task.more.is_some() {
                    task.more_mut().worker.clone_from(worker);
                }
            }
            Event::Entered { task, attempt, due, total_due } => {
                let task = self.enter(*task, TaskStatus::Running, at, *due);
                task.attempt = *attempt;
                task.note_total(*total_due);
            }
            Event::Waiting { task, wait, due, total_due } => {
                // A task that started a sub-run goes on waiting within the same attempt.
                let is_new = self.task(*task).status != TaskStatus::Running;
                let task = self.enter(*task, TaskStatus::Waiting, at, *due);
                task.attempt += u32::from(is_new);
                task.note_total(*total_due);
                let more = task.more_mut();
                more.wait = Some(wait.clone());
                more.votes.clear();
            }
            Event::Completed { task, output, undo } => {
                let id = *task;
                let output = output.value().clone();
                let task = self.enter(id, TaskStatus::Completed, at, None);
                task.output = Some(output.clone());
                task.forget_trouble();
                if *undo {
                    let visit = task.visit;
                    self.undo.push(Undo { task: id, visit, output });
                }
            }
            Event::Retrying { task, attempt, error, at: next } => {
                let task = self.enter(*task, TaskStatus::Retrying, at, Some(*next));
                task.attempt = *attempt;
                task.failures += 1;
                task.more_mut().error = Some(error.clone());
            }
            Event::Failed { task, error, accepted } => {
                let id = *task;
                let task = self.enter(id, TaskStatus::Failed, at, None);
                let more = task.more_mut();
                more.error = Some(error.clone());
                more.accepted = *accepted;
                more.cancelling = false;
                more.expired = None;
                let scope = task.scope;
                let scope = &mut self.scopes[scope.0 as usize];
                if !accepted && scope.failed.is_none() {
                    scope.failed = Some(id);
                }
            }
            Event::Lost { task, attempt, .. } => {
                let task = self.enter(*task, TaskStatus::Ready, at, None);
                task.attempt = *attempt;
                let more = task.more_mut();
                more.lost += 1;
                more.worker = None;
            }
            Event::Skipped { task, cause } => {
                let task = self.enter(*task, TaskStatus::Skipped, at, None);
                task.more_mut().cause = Some(*cause);
            }
            Event::Cancelling { task, due } => {
                let task = &mut self.tasks[task.0 as usize];
                task.due = Some(*due);
                task.more_mut().cancelling = true;
            }
            Event::Cancelled { task } => {
                let task = self.enter(*task, TaskStatus::Cancelled, at, None);
                task.forget_trouble();
            }
            Event::Stopped { scope, cause } => self.stop(*scope, *cause, at),
            Event::Moved { scope, from, to, on, set, after } => {
                self.make_move(*scope, Move { from: *from, to: *to, on: on.clone(), at }, after);
                let vars = &mut self.scopes[scope.0 as usize].vars;
                vars.extend(set.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            Event::Elapsed { scope, at: elapsed } => {
                if let ScopeContent::Machine { after, .. } =
                    &mut self.scopes[scope.0 as usize].content
                {
                    after.iter_mut().filter(|it| **it == *elapsed).for_each(|it| *it = 0);
                }
            }
            Event::Expired { task: Some(task), error } => {
                let task = &mut self.tasks[task.0 as usize];
                task.due = None;
                task.more_mut().expired = Some(error.clone());
            }
            Event::Expired { task: None, error } => {
                self.due = None;
                self.expired = Some(error.clone());
            }
            Event::Signalled { id, name, data, actor } => {
                self.signals_seen = self.signals_seen.max(*id + 1);
                self.signals.push_back(Signal {
                    id: *id,
                    name: name.clone(),
                    data: data.value().clone(),
                    actor: actor.clone(),
                    at,
                });
            }
            Event::Consumed { id, .. } => self.signals.retain(|it| it.id != *id),
            Event::Voted { task, vote } => {
                let more = self.tasks[task.0 as usize].more_mut();
                more.votes.retain(|it| it.actor != vote.actor);
                more.votes.push(vote.clone());
            }
            Event::Escalated { task, users, groups } => {
                let more = self.tasks[task.0 as usize].more_mut();
                if let Some(Wait::Approval(approval)) = &mut more.wait {
                    approval.escalate.drain(..approval.escalate.len().min(1));
                    approval.escalated_at = Some(at);
                    // What is for everybody stays so.
                    if !approval.is_open() {
                        approval.users.extend(users.iter().cloned());
                        approval.groups.extend(groups.iter().cloned());
                    }
                }
            }
            Event::Paused => {
                self.set_status(RunStatus::Paused, at);
                self.paused_at = Some(at);
            }
            Event::Resumed { stood_still_ms } => self.resume(*stood_still_ms, at),
            Event::CancelAsked { due } => {
                self.set_status(RunStatus::Cancelling, at);
                self.due = Some(*due);
                self.paused_at = None;
            }
            Event::Concluded { outcome, error, output } => {
                self.outcome = Some(*outcome);
                self.error.clone_from(error);
                self.output = output.as_ref().map(Payload::value).cloned();
            }
            Event::Undoing { task } => {
                self.undoing = Some(*task);
                if let Some(place) = self.undo.iter().rposition(|it| it.task == *task) {
                    let undo = self.undo.remove(place);
                    self.undoing_visit = undo.visit;
                    // A state that was visited again shows the output that is being undone.
                    self.tasks[task.0 as usize].output = Some(undo.output);
                }
            }
            Event::Undone { task, error } => self.finish_undo(*task, error.as_ref(), at),
            Event::Ended { status, error } => self.end(*status, error.clone(), at),
            Event::Reset { tasks, reopened, scopes, redo } => {
                self.reset(tasks, *redo, at);
                self.reopen(reopened, scopes, at);
            }
            Event::ChildLeft { task, run } => {
                self.tasks[task.0 as usize].more_mut().wait = None;
                self.left.push(LeftChild { task: *task, run: *run });
            }
            Event::ChildGone { run, .. } => self.left.retain(|it| it.run != *run),
            Event::Given { task, output } => {
                let task = self.enter(*task, TaskStatus::Completed, at, None);
                task.output = Some(output.value().clone());
                task.forget_trouble();
                task.more_mut().given = true;
            }
        }
    }

    /// Gives a task a status, the only place that does so for single tasks.
    fn enter(
        &mut self,
        id: TaskId,
        status: TaskStatus,
        at: Millis,
        due: Option<Millis>,
    ) -> &mut TaskState {
        let task = &mut self.tasks[id.0 as usize];
        debug_assert!(
            task.status.may_become(status),
            "task {} went from {} to {status}",
            id.0,
            task.status
        );
        task.status = status;
        task.since = at;
        task.due = due;
        if matches!(status, TaskStatus::Running | TaskStatus::Waiting) {
            task.started_at = task.started_at.or(Some(at));
        }
        task
    }

    fn set_status(&mut self, status: RunStatus, at: Millis) {
        debug_assert!(
            self.status.may_become(status),
            "the run went from {} to {status}",
            self.status
        );
        self.status = status;
        self.last_at = at;
    }

    fn open(
        &mut self,
        id: ScopeId,
        content: ScopeContent,
        owner: Option<TaskId>,
        composite: u32,
        (first, len): (u32, u32),
        at: Millis,
    ) {
        debug_assert_eq!(id.0 as usize, self.scopes.len(), "scopes are numbered in order");
        debug_assert_eq!(first as usize, self.tasks.len(), "tasks are numbered in order");
        let visit = match owner {
            Some(owner) if self.undoing == Some(owner) => self.undoing_visit,
            Some(owner) => self.task(owner).visit,
            None => 0,
        };
        self.scopes.push(Scope {
            composite,
            owner,
            visit,
            first,
            len,
            content,
            stopped: None,
            failed: None,
            vars: Default::default(),
        });
        self.tasks.extend((0..len).map(|_| TaskState::new(id, at)));
        match owner {
            Some(owner) if self.undoing != Some(owner) => {
                self.tasks[owner.0 as usize].inner = Some(id);
            }
            Some(_) => {}
            None => self.handled.push(composite),
        }
    }

    fn stop(&mut self, id: ScopeId, cause: StopCause, at: Millis) {
        let scope = &mut self.scopes[id.0 as usize];
        scope.stopped = Some(cause);
        let (first, len) = (scope.first as usize, scope.len as usize);
        for task in &mut self.tasks[first..first + len] {
            let status = match task.status {
                TaskStatus::Pending => TaskStatus::Skipped,
                TaskStatus::Waiting if matches!(task.wait(), Some(Wait::Child { .. })) => continue,
                TaskStatus::Ready | TaskStatus::Retrying | TaskStatus::Waiting => {
                    TaskStatus::Cancelled
                }
                TaskStatus::Running
                | TaskStatus::Completed
                | TaskStatus::Failed
                | TaskStatus::Skipped
                | TaskStatus::Cancelled
                | TaskStatus::Compensated => continue,
            };
            task.status = status;
            task.since = at;
            task.due = None;
            if status == TaskStatus::Skipped {
                task.more_mut().cause = Some(crate::join::SkipCause::Stopped);
            }
        }
    }

    fn make_move(&mut self, scope: ScopeId, step: Move, due: &[Millis]) {
        let entry = &mut self.scopes[scope.0 as usize];
        let ScopeContent::Machine { current, after, automatic, history } = &mut entry.content
        else {
            debug_assert!(false, "only machines move");
            return;
        };
        *current = Some(step.to);
        *after = due.to_vec();
        // A state whose work took an attempt breaks the row; so does anything but `done`.
        let source = step.from.map(|it| &self.tasks[(entry.first + it) as usize]);
        let worked = source.is_some_and(|it| it.attempt > 0 && it.started_at.is_some());
        *automatic = if step.on.as_deref() == Some("done") && !worked { *automatic + 1 } else { 0 };
        if history.len() == HISTORY_MAX {
            history.pop_front();
        }
        let (to, at) = (step.to, step.at);
        history.push_back(step);
        let task = &mut self.tasks[(entry.first + to) as usize];
        let (attempt, visit, output) = (task.attempt, task.visit, task.output.take());
        let redo = task.redo();
        *task = TaskState::new(scope, at);
        // Attempt numbers go on over the visits, so that a late result of an earlier visit never
        // fits; the last output stays readable until there is a new one.
        (task.attempt, task.visit, task.output) = (attempt, visit + 1, output);
        if redo > 0 {
            task.more_mut().redo = redo;
        }
    }

    fn resume(&mut self, stood_still_ms: u64, at: Millis) {
        let status =
            if self.started_at.is_some() { RunStatus::Running } else { RunStatus::Pending };
        self.set_status(status, at);
        self.paused_at = None;
        for task in &mut self.tasks {
            let stands_still = matches!(task.wait(), Some(Wait::Time { stands_still: true }))
                && task.status == TaskStatus::Waiting;
            if stands_still {
                task.due = task.due.map(|due| due.saturating_add(stood_still_ms));
            }
        }
    }

    fn finish_undo(
        &mut self,
        task: TaskId,
        error: Option<&crate::task_error::TaskError>,
        at: Millis,
    ) {
        self.undoing = None;
        if let Some(error) = error {
            self.tasks[task.0 as usize].more_mut().error = Some(error.clone());
        } else if self.task(task).status == TaskStatus::Completed {
            self.enter(task, TaskStatus::Compensated, at, None);
        }
    }

    fn end(&mut self, status: RunStatus, error: Option<Box<RunError>>, at: Millis) {
        self.set_status(status, at);
        self.ended_at = Some(at);
        self.due = None;
        self.paused_at = None;
        self.outcome = Some(status);
        if error.is_some() {
            self.error = error;
        }
        for task in self.tasks.iter_mut().filter(|it| !it.status.is_ended()) {
            let scope = &self.scopes[task.scope.0 as usize];
            let is_state = matches!(scope.content, ScopeContent::Machine { .. });
            if is_state && task.status == TaskStatus::Pending {
                // A state that was never entered has not ended either.
                continue;
            }
            task.status = TaskStatus::Cancelled;
            task.since = at;
            task.due = None;
        }
        self.signals.clear();
    }

    fn reset(&mut self, tasks: &[TaskId], redo: bool, at: Millis) {
        for id in tasks {
            let task = &mut self.tasks[id.0 as usize];
            let (attempt, visit, scope) = (task.attempt, task.visit, task.scope);
            // What was undone is to have its effect again, so it must not look like a repeat.
            let undone = task.status == TaskStatus::Compensated || self.undoing == Some(*id);
            let again = redo || undone;
            let redo_count = task.redo() + u32::from(again);
            *task = TaskState::new(scope, at);
            (task.attempt, task.visit) = (attempt, visit);
            if redo_count > 0 {
                task.more_mut().redo = redo_count;
            }
        }
        let gone: std::collections::HashSet<TaskId> = tasks.iter().copied().collect();
        self.undo.retain(|it| !gone.contains(&it.task));
    }

    fn reopen(&mut self, owners: &[TaskId], scopes: &[ScopeId], at: Millis) {
        for id in owners {
            let was_undone = self.task(*id).status == TaskStatus::Compensated;
            let task = self.enter(*id, TaskStatus::Running, at, None);
            if was_undone {
                task.more_mut().redo += 1;
            }
            task.forget_trouble();
            task.output = None;
        }
        for id in scopes {
            let scope = &mut self.scopes[id.0 as usize];
            (scope.stopped, scope.failed) = (None, None);
        }
        if self.status.is_terminal() {
            self.set_status(RunStatus::Running, at);
        }
        self.ended_at = None;
        self.outcome = None;
        self.error = None;
        self.output = None;
        self.expired = None;
        self.undoing = None;
        self.handled.clear();
    }
}

impl TaskState {
    fn note_total(&mut self, total_due: Option<Millis>) {
        if total_due.is_some() {
            self.more_mut().total_due = total_due;
        }
    }

    fn forget_trouble(&mut self) {
        if let Some(more) = &mut self.more {
            more.cancelling = false;
            more.expired = None;
            more.error = None;
            more.accepted = false;
            more.wait = None;
            more.worker = None;
        }
    }
}
