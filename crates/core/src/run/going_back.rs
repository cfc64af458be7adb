//! Going back: `retry` runs again what failed, was cut off or was undone; `rewind` does so too, and
//! runs a task and all behind it once more. Where states of a machine were undone, the machine goes
//! back to the first of them.

use std::collections::BTreeSet;

use super::Run;
use super::command::Refusal;
use super::decide::Decider;
use super::event::*;
use super::state::ScopeContent;
use super::status::{RunStatus, TaskStatus};
use super::view::Seen;
use crate::join::SkipCause;
use crate::plan::CompositeId;

/// What goes back to the start.
#[derive(Default)]
struct Again {
    tasks: BTreeSet<TaskId>,
    /// Composites that run again, with what is inside them kept.
    owners: BTreeSet<TaskId>,
    scopes: BTreeSet<ScopeId>,
    /// Machines that go back to a state.
    moves: Vec<(ScopeId, TaskId)>,
}

impl Decider<'_, '_> {
    pub fn retry(&mut self) -> Result<(), Refusal> {
        match self.run.state.status {
            RunStatus::Failed | RunStatus::Cancelled => {}
            _ => return Err(self.refuse_run("retry", "only a failed or cancelled run is retried")),
        }
        if self.run.state.scopes.is_empty() {
            return Err(self.refuse_run("retry", "it never started; start it again"));
        }
        let mut again = Again::default();
        self.run.collect_failed(ScopeId(0), &mut again);
        self.go_back(again, false);
        Ok(())
    }

    pub fn rewind(&mut self, to: &str) -> Result<(), Refusal> {
        let status = self.run.state.status;
        if matches!(status, RunStatus::Pending | RunStatus::Cancelling) {
            return Err(self.refuse_run("rewind", "wait until it runs or has ended"));
        }
        if self.run.state.outcome.is_some() && !status.is_terminal() {
            // What is half undone can be neither kept nor run again.
            let hint = "its main part is over: wait until the clean-up has ended, or kill it";
            return Err(self.refuse_run("rewind", hint));
        }
        let target = self.find(to)?;
        if self.run.was_rewound(target) {
            return Ok(());
        }
        let again = self.around(target)?;
        let failed = self.run.failed_beside(&again);
        self.stop_all(&again);
        for (machine, _) in again.moves.iter().filter(|_| !status.is_terminal()) {
            if let Some(from) = self.run.current_state(*machine) {
                self.leave(from, &Seen::by(*machine, from));
            }
        }
        if !failed.tasks.is_empty() || !failed.owners.is_empty() {
            self.go_back(failed, false);
        }
        self.go_back(again, true);
        Ok(())
    }

    /// Returns a task with all behind it, and the composites around it, which run again.
    fn around(&self, target: TaskId) -> Result<Again, Refusal> {
        let refuse = |hint: &str| Err(self.refuse_task("rewind", target, hint));
        let mut again = Again::default();
        self.run.collect_behind(target, &mut again);
        let (mut inside, mut scope) = (target, self.run.state.task(target).scope);
        if self.run.current_state(scope).is_some_and(|it| it != target) {
            again.moves.push((scope, target));
        }
        again.tasks.extend(self.run.undone_states(scope));
        loop {
            again.scopes.insert(scope);
            if let Some(undone) = self.run.undone_before(scope, inside) {
                let id = &self.run.node(undone).id;
                return refuse(&format!("the state `{id}` before it was undone: rewind to that"));
            }
            let Some(owner) = self.run.state.scope(scope).owner else { break };
            if self.run.is_undo(scope) {
                return refuse("it undoes another task");
            }
            let outer = self.run.state.task(owner).scope;
            let is_state =
                matches!(self.run.state.scope(outer).content, ScopeContent::Machine { .. });
            if is_state && !self.run.is_current_state(owner) {
                let id = &self.run.node(owner).id;
                return refuse(&format!("rewind to the state `{id}` instead"));
            }
            if self.run.state.task(owner).inner != Some(scope) {
                return refuse("the task around it has run again since");
            }
            again.owners.insert(owner);
            self.run.collect_after(owner, &mut again);
            (inside, scope) = (owner, outer);
        }
        if scope != ScopeId(0) {
            return refuse("it belongs to a handler of the run");
        }
        Ok(again)
    }

    /// Whatever runs inside the tasks that go back is asked to end; its results no longer count.
    fn stop_all(&mut self, again: &Again) {
        for task in &again.tasks {
            let inner = self.run.state.task(*task).inner;
            if let Some(inner) = inner.filter(|it| self.run.is_current(*it)) {
                self.stop_scope(inner, StopCause::Cancelled);
            }
        }
    }

    /// Sub-runs that nobody will wait for are to end: those of tasks that go back, and those that
    /// went on when the run was cut off.
    fn leave_children(&mut self, again: &BTreeSet<TaskId>) {
        for task in (0..self.run.state.tasks.len() as u32).map(TaskId) {
            let was_cut_off = self.run.state.task(task).status == TaskStatus::Cancelled;
            if was_cut_off || again.contains(&task) {
                self.leave_child(task);
            }
        }
    }

    fn go_back(&mut self, mut again: Again, redo: bool) {
        self.run.prune(&mut again);
        self.leave_children(&again.tasks);
        let word = if redo { "rewind" } else { "retry" };
        let tasks = again.tasks.into_iter().collect();
        let reopened = again.owners.into_iter().collect();
        let scopes = again.scopes.into_iter().collect();
        self.emit_wide(Event::Reset { tasks, reopened, scopes, redo });
        for (machine, to) in again.moves {
            let from = self.run.current_state(machine).map(|it| self.run.local(it));
            let to = self.run.local(to);
            self.enter_state(machine, from, to, Some(word), Default::default());
        }
    }
}

impl Run {
    /// Returns a task of the main part and everything behind it.
    pub fn behind(&self, path: &str) -> Option<Vec<TaskId>> {
        let task = self.find(path).filter(|it| self.state.task(*it).scope == ScopeId(0))?;
        let mut again = Again::default();
        self.collect_behind(task, &mut again);
        Some(again.tasks.into_iter().collect())
    }

    /// Whether a task was rewound and has neither ended nor failed since: a rewind that is asked for
    /// twice is done once.
    fn was_rewound(&self, task: TaskId) -> bool {
        let state = self.state.task(task);
        let in_machine =
            matches!(self.state.scope(state.scope).content, ScopeContent::Machine { .. });
        state.redo() > 0
            && state.failures == 0
            && !state.status.is_ended()
            && self.is_going_on(state.scope)
            && (!in_machine || self.is_current_state(task))
    }

    /// Returns the first state of a machine that was undone, if `task` comes after it: the machine
    /// would go on as if its effect were there.
    fn undone_before(&self, scope: ScopeId, task: TaskId) -> Option<TaskId> {
        let ScopeContent::Machine { history, .. } = &self.state.scope(scope).content else {
            return None;
        };
        let entered = |it: TaskId| history.iter().position(|step| step.to == self.local(it));
        let undone = self.undone_states(scope).into_iter().filter(|it| *it != task);
        let first = undone.min_by_key(|it| entered(*it))?;
        let visited = self.state.task(task).visit > 0;
        (!visited || entered(first) < entered(task)).then_some(first)
    }

    /// Returns the states of a machine of whose work something is gone; nothing of a graph.
    fn undone_states(&self, scope: ScopeId) -> Vec<TaskId> {
        match self.state.scope(scope).content {
            ScopeContent::Machine { .. } => {
                self.state.children(scope).filter(|it| self.has_undone(*it)).collect()
            }
            ScopeContent::Graph | ScopeContent::Map { .. } => Vec::new(),
        }
    }

    fn has_undone(&self, task: TaskId) -> bool {
        let inner = self.state.task(task).inner;
        self.is_undone(task)
            || inner.is_some_and(|it| self.state.children(it).any(|it| self.has_undone(it)))
    }

    /// Whether the effect of a task is gone, or going: it was undone, or the undoing was cut off.
    fn is_undone(&self, task: TaskId) -> bool {
        self.state.task(task).status == TaskStatus::Compensated || self.state.undoing == Some(task)
    }

    /// Collects what a retry runs again: what failed, was cut off or was undone, and all behind.
    fn collect_failed(&self, scope: ScopeId, again: &mut Again) {
        again.scopes.insert(scope);
        let undone = self.current_state(scope).and_then(|it| self.undone_before(scope, it));
        if let Some(first) = undone {
            // What follows would run as if the effects were there, so the machine goes back.
            again.tasks.extend(self.undone_states(scope));
            again.moves.push((scope, first));
            return;
        }
        for task in self.state.children(scope) {
            self.collect_if_failed(task, again);
        }
    }

    /// Collects what a retry would run again in the graphs that a rewind goes on with: else a task
    /// that was cut off would count as ended, and one that was undone as done.
    fn failed_beside(&self, rewound: &Again) -> Again {
        let mut failed = Again::default();
        for scope in &rewound.scopes {
            if matches!(self.state.scope(*scope).content, ScopeContent::Machine { .. }) {
                continue;
            }
            for task in self.state.children(*scope) {
                if !rewound.tasks.contains(&task) && !rewound.owners.contains(&task) {
                    self.collect_if_failed(task, &mut failed);
                }
            }
        }
        failed.tasks.retain(|it| !rewound.tasks.contains(it));
        failed
    }

    fn collect_if_failed(&self, task: TaskId, again: &mut Again) {
        if !self.is_worth_retrying(task) {
            return;
        }
        let state = self.state.task(task);
        match state.inner {
            Some(inner) if matches!(state.status, TaskStatus::Failed | TaskStatus::Cancelled) => {
                again.owners.insert(task);
                self.collect_failed(inner, again);
                self.collect_after(task, again);
            }
            _ => self.collect_behind(task, again),
        }
    }

    fn is_worth_retrying(&self, task: TaskId) -> bool {
        let state = self.state.task(task);
        let more = state.more.as_deref();
        let scope = self.state.scope(state.scope);
        let is_state = matches!(scope.content, ScopeContent::Machine { .. });
        if is_state && !self.is_current_state(task) {
            return false;
        }
        match state.status {
            TaskStatus::Failed => !more.is_some_and(|it| it.accepted),
            TaskStatus::Cancelled | TaskStatus::Compensated => true,
            TaskStatus::Skipped => {
                let cause = more.and_then(|it| it.cause);
                matches!(
                    cause,
                    Some(SkipCause::UpstreamFailed | SkipCause::Stopped | SkipCause::NoSuccess)
                )
            }
            // The machine failed although the work was done (no guard was true, say), or the
            // undoing of the task was cut off.
            TaskStatus::Completed => is_state || self.is_undone(task),
            // What goes on is left alone, unless it was asked to end.
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Running
            | TaskStatus::Retrying
            | TaskStatus::Waiting => self.state.status.is_terminal() || scope.stopped.is_some(),
        }
    }

    /// Collects a task and everything behind it in its graph.
    fn collect_behind(&self, task: TaskId, again: &mut Again) {
        let mut left = vec![task];
        while let Some(task) = left.pop() {
            if again.tasks.insert(task) {
                left.extend(self.dependent_tasks(task));
            }
        }
    }

    fn collect_after(&self, task: TaskId, again: &mut Again) {
        for dependent in self.dependent_tasks(task) {
            self.collect_behind(dependent, again);
        }
    }

    fn dependent_tasks(&self, task: TaskId) -> Vec<TaskId> {
        let scope = self.state.scope(self.state.task(task).scope);
        if !matches!(scope.content, ScopeContent::Graph) {
            return Vec::new();
        }
        let composite = CompositeId(scope.composite);
        let node = self.plan.node(self.plan.child(composite, task.0 - scope.first));
        node.dependents.iter().map(|it| TaskId(scope.first + it)).collect()
    }

    /// A composite that begins anew keeps nothing of what is inside it.
    fn prune(&self, again: &mut Again) {
        let tasks = std::mem::take(&mut again.tasks);
        let begins_anew = |scope: ScopeId| {
            let owners = std::iter::successors(self.state.scope(scope).owner, |it| {
                self.state.scope(self.state.task(*it).scope).owner
            });
            owners.into_iter().any(|it| tasks.contains(&it))
        };
        again.owners.retain(|it| !tasks.contains(it) && !begins_anew(self.state.task(*it).scope));
        again.scopes.retain(|it| !begins_anew(*it));
        again.moves.retain(|it| !begins_anew(it.0));
        let left = tasks.iter().filter(|it| !begins_anew(self.state.task(**it).scope));
        again.tasks = left.copied().collect();
    }
}
