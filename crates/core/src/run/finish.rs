//! The parts of a run: the main part, undoing, the handlers of the definition, the end.

use serde_json::Value;

use super::advance::Ending;
use super::command::Refusal;
use super::decide::Decider;
use super::event::*;
use super::index::{Step, Timer};
use super::status::{RunStatus, TaskStatus};
use super::view::Seen;
use crate::plan::{CompositeId, ROOT};
use crate::task_error::TaskError;

impl Decider<'_, '_> {
    /// The run has its turn.
    pub fn admit(&mut self) -> Result<(), Refusal> {
        if self.run.state.status != RunStatus::Pending {
            return Ok(());
        }
        let due = self.run.plan.timeout.map(|it| self.now() + it.0);
        self.emit(Event::Started { due });
        if let Some(due) = due {
            self.run.index.timers.push(std::cmp::Reverse((due, Timer::Run)));
        }
        match self.open_composite(ROOT, None) {
            Ok(scope) => self.take_over_results(scope),
            Err(error) => {
                let error = Some(Box::new(RunError { task: None, error, not_undone: vec![] }));
                self.emit(Event::Ended { status: RunStatus::Failed, error });
            }
        }
        Ok(())
    }

    /// A fork begins with results of the run that it was made from.
    fn take_over_results(&mut self, scope: ScopeId) {
        let Some(fork) = self.run.state.created.fork.clone() else { return };
        let composite = self.run.plan.clone();
        let ids = &composite.composite(ROOT).ids;
        let first = self.run.state.scope(scope).first;
        for (id, output) in fork.results {
            if let Some(local) = ids.get(id.as_str()) {
                self.emit(Event::Given { task: TaskId(first + local), output });
            }
        }
    }

    /// The main part or a handler has ended.
    pub fn end_part(&mut self, scope_id: ScopeId, ending: Ending) {
        let is_main = self.run.state.scope(scope_id).composite == ROOT.0;
        match (is_main, ending) {
            (true, ending) => self.end_main(ending),
            // A handler that fails turns success into failure, and changes no other outcome.
            (false, Ending::Failed(task, error))
                if self.run.state.outcome == Some(RunStatus::Completed) =>
            {
                let task = Some(self.run.path(task));
                let error = Some(Box::new(RunError { task, error, not_undone: vec![] }));
                let output = self.run.state.output.clone().map(super::Payload::Inline);
                self.emit(Event::Concluded { outcome: RunStatus::Failed, error, output });
            }
            (false, _) => {}
        }
        self.step(Step::Conclude);
    }

    fn end_main(&mut self, ending: Ending) {
        let expired = self.run.state.expired.clone();
        let ending = match (expired, ending) {
            (Some(error), Ending::Failed(..) | Ending::Completed(_)) => Err((None, error)),
            (_, Ending::Completed(output)) => self.run_output(output).map_err(|it| (None, it)),
            (_, Ending::Failed(task, error)) => Err((Some(self.run.path(task)), error)),
            (_, Ending::Cancelled) => {
                let error = self.cancel_error();
                let error = Some(Box::new(RunError { task: None, error, not_undone: vec![] }));
                let outcome = RunStatus::Cancelled;
                return self.emit(Event::Concluded { outcome, error, output: None });
            }
        };
        match ending {
            Ok(output) => {
                let (outcome, output) = (RunStatus::Completed, Some(output.into()));
                self.emit(Event::Concluded { outcome, error: None, output });
            }
            Err((task, error)) => {
                let error = Some(Box::new(RunError { task, error, not_undone: vec![] }));
                self.emit(Event::Concluded { outcome: RunStatus::Failed, error, output: None });
            }
        }
    }

    fn cancel_error(&self) -> TaskError {
        TaskError::fatal("cancelled", "the run was cancelled")
    }

    fn run_output(&mut self, own: Value) -> Result<Value, TaskError> {
        let plan = self.run.plan.clone();
        let Some(template) = &plan.output else { return Ok(own) };
        let output = self.run.evaluate(template, &Seen::of_scope(ScopeId(0)))?;
        let limit = self.run.limits.payload_bytes;
        if super::size(&output, limit + 1) > limit {
            let message =
                format!("the run's output has more than {limit} bytes (limits.payload_bytes)");
            return Err(Self::fatal("payload_too_large", message));
        }
        Ok(output)
    }

    /// Goes on with the next part: undo in reverse order of completion, then `on_failure`, then
    /// `finally`, then the end.
    pub fn next_part(&mut self) {
        let state = &self.run.state;
        let Some(outcome) = state.outcome else { return };
        if self.is_over() || self.is_paused() || state.undoing.is_some() {
            return;
        }
        let busy = self.run.top_scope().is_some_and(|it| {
            self.run.is_current(it) && self.run.index.scopes[it.0 as usize].open > 0
        });
        if busy || !state.left.is_empty() {
            return;
        }
        if outcome != RunStatus::Completed
            && let Some(task) = self.run.state.undo.last().map(|it| it.task)
        {
            return self.undo(task);
        }
        let plan = self.run.plan.clone();
        let on_failure = plan.on_failure.filter(|_| outcome == RunStatus::Failed);
        let left = on_failure.into_iter().chain(plan.finally);
        let next = left.into_iter().find(|it| !self.run.state.handled.contains(&it.0));
        match next {
            Some(part) => self.open_part(part),
            None => self.end(outcome),
        }
    }

    fn open_part(&mut self, part: CompositeId) {
        if let Err(error) = self.open_composite(part, None) {
            // Handlers declare no variables, so nothing is evaluated on entry.
            debug_assert!(false, "a handler could not be opened: {error}");
            self.end(RunStatus::Failed);
        }
    }

    fn end(&mut self, outcome: RunStatus) {
        let cancelling = self.run.state.status == RunStatus::Cancelling;
        let status = if cancelling { RunStatus::Cancelled } else { outcome };
        self.emit(Event::Ended { status, error: None });
    }

    fn undo(&mut self, task: TaskId) {
        let Some(composite) = self.run.node(task).compensate else {
            debug_assert!(false, "only tasks with `compensate` are on the list");
            return;
        };
        self.emit(Event::Undoing { task });
        if let Err(error) = self.open_composite(composite, Some(task)) {
            self.end_undo(task, Ending::Failed(task, error));
        }
    }

    /// An undoing has ended. One that failed is told in the run's error: somebody must look.
    pub fn end_undo(&mut self, task: TaskId, ending: Ending) {
        let error = match ending {
            Ending::Completed(_) => None,
            Ending::Failed(_, error) => Some(error),
            Ending::Cancelled => Some(Self::fatal("cancelled", "the clean-up was cut off")),
        };
        if error.is_some() {
            let mut told = self.run.state.error.clone();
            if let Some(told) = &mut told {
                told.not_undone.push(self.run.path(task));
            }
            let outcome = self.run.state.outcome.unwrap_or(RunStatus::Failed);
            let output = self.run.state.output.clone().map(super::Payload::Inline);
            self.emit(Event::Concluded { outcome, error: told, output });
        }
        self.emit(Event::Undone { task, error });
        self.step(Step::Conclude);
    }

    /// The run's own time is up, or that of its clean-up.
    pub fn run_due(&mut self) {
        let now = self.now();
        if self.run.state.due.is_none_or(|it| it > now) {
            return;
        }
        match self.run.state.status {
            RunStatus::Cancelling => {
                let mut error = self.run.state.error.clone().unwrap_or_else(|| {
                    Box::new(RunError {
                        task: None,
                        error: self.cancel_error(),
                        not_undone: vec![],
                    })
                });
                let left = self.run.state.undo.iter().map(|it| self.run.path(it.task));
                error.not_undone.extend(left);
                self.emit(Event::Ended { status: RunStatus::Cancelled, error: Some(error) });
            }
            RunStatus::Running | RunStatus::Paused if self.run.state.outcome.is_none() => {
                let limit = self.run.plan.timeout.unwrap_or_default();
                let message = format!("the run did not end within {limit}");
                let error = Self::fatal("timeout", message);
                self.emit(Event::Expired { task: None, error });
                self.stop_scope(ScopeId(0), StopCause::Failed);
            }
            // The main part is over: `finally` has its own time-outs.
            RunStatus::Running
            | RunStatus::Paused
            | RunStatus::Pending
            | RunStatus::Completed
            | RunStatus::Failed
            | RunStatus::Cancelled => {}
        }
    }

    /// Fires every timer that is due.
    pub fn tick(&mut self) -> Result<(), Refusal> {
        if self.is_over() {
            return Ok(());
        }
        let now = self.now();
        while let Some(std::cmp::Reverse((due, timer))) = self.run.index.timers.peek().copied() {
            if due > now {
                break;
            }
            self.run.index.timers.pop();
            match timer {
                Timer::Task(task) => self.task_due(task),
                Timer::Beat(task) => self.beat_due(task),
                Timer::After(scope) => self.after_due(scope),
                Timer::Run => self.run_due(),
            }
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }
}

impl super::Run {
    /// Whether nothing but deliberate acts would change the task again.
    pub fn has_ended(&self, task: TaskId) -> bool {
        let status = self.state.task(task).status;
        status.is_ended() || (status == TaskStatus::Pending && self.state.status.is_terminal())
    }
}
