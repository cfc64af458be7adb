//! What a task does when its turn comes, and what becomes of an attempt.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::Run;
use super::command::Refusal;
use super::decide::{Decider, InlineLog, Want};
use super::event::*;
use super::index::{Step, Timer};
use super::state::ScopeContent;
use super::status::{RunStatus, TaskStatus};
use super::view::Seen;
use crate::ids::RunId;
use crate::limits::LOST_ATTEMPTS_MAX;
use crate::plan::{TaskPlan, WorkPlan};
use crate::retry;
use crate::task_error::TaskError;
use crate::time::{Duration, Millis};

impl Decider<'_, '_> {
    /// Starts a task's own work: one attempt, a composite, a wait, or a value.
    pub fn start_work(&mut self, task: TaskId) {
        let plan = self.run.plan.clone();
        let node = plan.node(self.run.node_id(task));
        match &node.work {
            WorkPlan::Nothing => self.start_nothing(task, node),
            WorkPlan::Composite(composite) => {
                self.enter_composite(task);
                if let Err(error) = self.open_composite(*composite, Some(task)) {
                    self.fail_for_good(task, error);
                }
            }
            WorkPlan::Uses { kind, .. } if is_decided_here(kind) => self.decide_here(task, node),
            WorkPlan::Uses { kind, .. } => self.ask_for_slot(task, node, kind),
        }
    }

    /// A state without work waits for its events, unless it can go on at once.
    fn start_nothing(&mut self, task: TaskId, node: &TaskPlan) {
        let waits = node.state.as_ref().is_some_and(|it| !it.is_final && it.next.is_empty());
        if waits {
            self.emit(Event::Waiting { task, wait: Wait::Event, due: None, total_due: None });
        } else {
            self.complete_task(task, Value::Null);
        }
    }

    fn ask_for_slot(&mut self, task: TaskId, node: &TaskPlan, kind: &str) {
        let seen = Seen::by(self.run.state.task(task).scope, task);
        let key = match node.concurrency.as_ref().and_then(|it| it.key.as_ref()) {
            Some(key) => match self.run.evaluate(key, &seen) {
                Ok(Value::String(key)) => Some(key),
                Ok(other) => Some(other.to_string()),
                Err(error) => return self.fail_for_good(task, error),
            },
            None => node.concurrency.as_ref().map(|_| self.run.plan_key(task)),
        };
        if self.grants(task, node, kind, key.as_deref()) {
            self.hand_out(task, key, None);
        } else {
            let now = self.now();
            let due = node.timeout.queue.map(|it| now + it.0);
            let total_due = self.total_due(task, node);
            self.emit(Event::Queued { task, due, total_due, key });
        }
    }

    /// Asks for a slot for the next attempt.
    fn grants(&mut self, task: TaskId, node: &TaskPlan, kind: &str, key: Option<&str>) -> bool {
        let limits = node.concurrency.as_ref();
        (self.env.grant)(&Want {
            run: self.run.state.id,
            task,
            kind,
            priority: self.run.state.created.priority.saturating_add(node.priority),
            key,
            limit: limits.and_then(|it| it.limit),
            rate: limits.and_then(|it| it.rate),
        })
    }

    /// Hands out the next attempt.
    fn hand_out(&mut self, task: TaskId, key: Option<String>, worker: Option<String>) {
        let attempt = self.run.state.task(task).attempt + 1;
        let (due, total_due) = self.time_limits(task);
        let worker = worker.map(Into::into);
        self.emit(Event::Dispatched { task, attempt, due, total_due, key, worker });
    }

    /// Returns the end of the attempt that starts now, and of the task as a whole.
    pub fn time_limits(&self, task: TaskId) -> (Option<Millis>, Option<Millis>) {
        let node = self.run.node(task);
        let now = self.now();
        let total = self.total_due(task, node);
        let run = node.timeout.run.map(|it| now + it.0);
        let due = match (run, total) {
            (Some(run), Some(total)) => Some(run.min(total)),
            (run, total) => run.or(total),
        };
        (due, total)
    }

    fn total_due(&self, task: TaskId, node: &TaskPlan) -> Option<Millis> {
        let known = self.run.state.task(task).total_due();
        known.or_else(|| node.timeout.total.map(|it| self.now() + it.0))
    }

    /// A slot was found for a task that had to queue.
    pub fn dispatch_queued(&mut self, task: TaskId, worker: Option<String>) -> Result<(), Refusal> {
        let known = (task.0 as usize) < self.run.state.tasks.len();
        if !known || self.run.state.task(task).status != TaskStatus::Ready {
            return Err(self.stale(task, 0));
        }
        if self.is_paused() {
            return Err(self.refuse_run("dispatch", "resume it first"));
        }
        self.hand_out(task, None, worker);
        Ok(())
    }

    // What needs no executor.

    fn decide_here(&mut self, task: TaskId, node: &TaskPlan) {
        let WorkPlan::Uses { kind, with } = &node.work else { return };
        let seen = Seen::by(self.run.state.task(task).scope, task);
        let value = match self.run.evaluate(with, &seen) {
            Ok(value) => value,
            Err(error) => return self.fail_for_good(task, error),
        };
        let done = match &**kind {
            "transform" => {
                self.complete_task(task, value);
                Ok(())
            }
            "log" => self.write_log(task, value),
            "fail" => Err(raised(value)),
            "wait" => self.wait_for_time(task, value),
            "signal" => self.wait_for_signal(task, value),
            "approval" => self.wait_for_approval(task, value),
            other => Err(Self::fatal("unknown_kind", format!("no rule for kind `{other}`"))),
        };
        if let Err(error) = done {
            self.attempt_failed(task, error);
        }
    }

    fn write_log(&mut self, task: TaskId, with: Value) -> Result<(), TaskError> {
        let text = match with.get("message") {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => return Err(Self::fatal("bad_parameters", "`log` needs `message`")),
        };
        let level = with.get("level").and_then(Value::as_str).unwrap_or("info").to_owned();
        let text = match with.get("data") {
            Some(data) => format!("{text} {data}"),
            None => text,
        };
        self.logs.push(InlineLog { task: self.run.path(task), attempt: 1, level, text });
        self.complete_task(task, Value::Null);
        Ok(())
    }

    // What becomes of an attempt.

    pub fn complete(&mut self, task: TaskId, attempt: u32, output: Value) -> Result<(), Refusal> {
        self.hold_attempt(task, attempt)?;
        self.complete_task(task, output);
        Ok(())
    }

    pub fn fail_attempt(
        &mut self,
        task: TaskId,
        attempt: u32,
        error: TaskError,
    ) -> Result<(), Refusal> {
        self.hold_attempt(task, attempt)?;
        self.attempt_failed(task, error);
        Ok(())
    }

    /// Refuses a result of an attempt that no longer holds its task.
    fn hold_attempt(&self, task: TaskId, attempt: u32) -> Result<(), Refusal> {
        if (task.0 as usize) >= self.run.state.tasks.len() {
            return Err(self.stale(task, attempt));
        }
        let state = self.run.state.task(task);
        if state.status == TaskStatus::Running && state.attempt == attempt && !self.is_over() {
            return Ok(());
        }
        Err(self.stale(task, attempt))
    }

    fn stale(&self, task: TaskId, attempt: u32) -> Refusal {
        let known = (task.0 as usize) < self.run.state.tasks.len();
        let task = if known { self.run.path(task) } else { format!("#{}", task.0) };
        Refusal::Stale { task, attempt }
    }

    pub fn beat(&mut self, task: TaskId, attempt: u32) -> Result<(), Refusal> {
        self.hold_attempt(task, attempt)?;
        let now = self.now();
        self.run.index.beats.insert(task, now);
        Ok(())
    }

    /// Looks whether a running attempt has been silent for too long.
    pub fn beat_due(&mut self, task: TaskId) {
        let Some(due) = self.run.beat_due(task) else { return };
        if due <= self.now() {
            self.attempt_timed_out(task, "heartbeat");
        } else {
            self.run.index.timers.push(Reverse((due, Timer::Beat(task))));
        }
    }

    /// Decides between another attempt and failure.
    pub fn attempt_failed(&mut self, task: TaskId, error: TaskError) {
        let state = self.run.state.task(task);
        let scope = state.scope;
        if state.is_cancelling() {
            return self.emit(Event::Cancelled { task });
        }
        let stopped = self.run.state.scope(scope).stopped.is_some();
        match self.next_attempt(task, &error).filter(|_| !stopped) {
            Some(at) => {
                let attempt = self.run.state.task(task).attempt;
                self.emit(Event::Retrying { task, attempt, error, at });
            }
            None => self.fail_for_good(task, error),
        }
    }

    /// Returns when the next attempt starts, or nothing if there is none.
    fn next_attempt(&mut self, task: TaskId, error: &TaskError) -> Option<Millis> {
        let plan = self.run.plan.clone();
        let node = plan.node(self.run.node_id(task));
        // The items of a `for_each` are retried one by one, not the list.
        let policy = node.retry.as_ref().filter(|_| error.retryable && !self.run.is_map(task))?;
        let state = self.run.state.task(task);
        let (scope, failures, total_due) = (state.scope, state.failures, state.total_due());
        let elapsed = Duration(self.now() - state.started_at.unwrap_or(self.now()));
        if let Some(condition) = &policy.condition {
            let error = serde_json::to_value(error).unwrap_or_default();
            let seen = Seen { error: Some(&error), ..Seen::by(scope, task) };
            // A condition that cannot be evaluated is not a reason to try again.
            if !self.run.evaluate_bool(condition, &seen).unwrap_or(false) {
                return None;
            }
        }
        let after = error.retry_after_ms.map(Duration);
        let draw = self.draw();
        let at = self.now() + retry::delay(policy, failures + 1, draw, after, elapsed)?.0;
        total_due.is_none_or(|due| at < due).then_some(at)
    }

    /// Whoever had the attempt is gone. Another attempt follows at once, out of its own budget.
    pub fn lose(&mut self, task: TaskId, attempt: u32, reason: &str) -> Result<(), Refusal> {
        self.hold_attempt(task, attempt)?;
        self.lose_attempt(task, reason);
        Ok(())
    }

    fn lose_attempt(&mut self, task: TaskId, reason: &str) {
        let state = self.run.state.task(task);
        let attempt = state.attempt;
        if state.is_cancelling() {
            return self.emit(Event::Cancelled { task });
        }
        if state.lost() >= LOST_ATTEMPTS_MAX {
            let message = format!(
                "{LOST_ATTEMPTS_MAX} attempts were lost, the last because {reason}; the task may be what ends the process"
            );
            return self.fail_for_good(task, Self::fatal("attempts_lost", message));
        }
        self.emit(Event::Lost { task, attempt, reason: reason.to_owned() });
        self.requeue(task);
    }

    /// Asks for a slot again, for a task that is ready.
    fn requeue(&mut self, task: TaskId) {
        let plan = self.run.plan.clone();
        let node = plan.node(self.run.node_id(task));
        let WorkPlan::Uses { kind, .. } = &node.work else { return };
        let key = self.run.state.task(task).more.as_ref().and_then(|it| it.key.clone());
        if !self.is_paused() && self.grants(task, node, kind, key.as_deref()) {
            self.hand_out(task, None, None);
        }
    }

    /// A new owner took the run over: what the owner before it was executing is lost, here and at
    /// its workers, whose leases ended with it.
    pub fn recover(&mut self) -> Result<(), Refusal> {
        if self.is_over() {
            return Ok(());
        }
        let tasks = (0..self.run.state.tasks.len() as u32).map(TaskId);
        let running: Vec<TaskId> = tasks
            .filter(|it| {
                self.run.state.task(*it).status == TaskStatus::Running && self.run.is_leaf(*it)
            })
            .collect();
        for task in running {
            self.lose_attempt(task, "the process that ran it ended");
        }
        Ok(())
    }

    pub fn child_ended(
        &mut self,
        task: TaskId,
        child: RunId,
        status: RunStatus,
        output: Value,
        error: Option<TaskError>,
    ) -> Result<(), Refusal> {
        if (task.0 as usize) >= self.run.state.tasks.len() {
            return Err(self.stale(task, 0));
        }
        if !self.is_over() && self.run.state.left.iter().any(|it| it.run == child) {
            self.emit(Event::ChildGone { task, run: child });
            self.step(Step::Conclude);
            return Ok(());
        }
        let state = self.run.state.task(task);
        let waits = match state.wait() {
            Some(Wait::Child { run }) => *run == child && state.status == TaskStatus::Waiting,
            _ => false,
        };
        if !waits {
            return Err(self.stale(task, state.attempt));
        }
        if state.is_cancelling() {
            self.emit(Event::Cancelled { task });
            return Ok(());
        }
        match status {
            RunStatus::Completed => {
                let output = json!({"run": child, "output": output});
                self.complete_task(task, output);
            }
            _ => {
                let mut error = error.unwrap_or_else(|| {
                    TaskError::new("sub_run", format!("run {child} was {status}"))
                });
                error.details = json!({"run": child, "details": error.details});
                self.attempt_failed(task, error);
            }
        }
        Ok(())
    }

    /// The sub-run of a `workflow` task exists: from here on the task waits, and costs nothing.
    pub fn await_child(&mut self, task: TaskId, attempt: u32, run: RunId) -> Result<(), Refusal> {
        self.hold_attempt(task, attempt)?;
        let state = self.run.state.task(task);
        let (due, total_due) = (state.due, state.total_due());
        self.emit(Event::Waiting { task, wait: Wait::Child { run }, due, total_due });
        Ok(())
    }

    /// The task goes another way: the sub-run that it waits for, or that went on when the run was
    /// cut off, is to end.
    pub fn leave_child(&mut self, task: TaskId) {
        let state = self.run.state.task(task);
        let may_run = matches!(state.status, TaskStatus::Waiting | TaskStatus::Cancelled);
        if let Some(Wait::Child { run }) = state.wait().filter(|_| may_run) {
            let run = *run;
            self.emit(Event::ChildLeft { task, run });
        }
    }

    /// What a due timer means for a task depends on what the task is doing.
    pub fn task_due(&mut self, task: TaskId) {
        let state = self.run.state.task(task);
        let now = self.now();
        let total_is_up = state.total_due().is_some_and(|it| it <= now);
        if state.escalates_at().is_some_and(|it| it <= now)
            && state.due.is_none_or(|it| it > now)
            && !total_is_up
        {
            return self.escalate(task);
        }
        if state.due.is_none_or(|it| it > now) && !total_is_up {
            return;
        }
        let what = if total_is_up { "total" } else { "run" };
        match state.status {
            TaskStatus::Ready => {
                let what = if total_is_up { "total" } else { "queue" };
                self.fail_for_good(task, timed_out(what, self.run.node(task)));
            }
            TaskStatus::Running if state.is_cancelling() => self.emit(Event::Cancelled { task }),
            TaskStatus::Running => match state.inner.filter(|it| self.run.is_current(*it)) {
                Some(inner) => self.expire(task, inner, what),
                None => self.attempt_timed_out(task, what),
            },
            TaskStatus::Retrying if total_is_up => {
                self.fail_for_good(task, timed_out("total", self.run.node(task)));
            }
            // A paused run starts nothing; resuming looks at the timers again.
            TaskStatus::Retrying if self.is_paused() => {}
            TaskStatus::Retrying => self.start_work(task),
            TaskStatus::Waiting => self.wait_is_over(task),
            TaskStatus::Pending
            | TaskStatus::Completed
            | TaskStatus::Failed
            | TaskStatus::Skipped
            | TaskStatus::Cancelled
            | TaskStatus::Compensated => {}
        }
    }

    fn attempt_timed_out(&mut self, task: TaskId, what: &str) {
        let error = timed_out(what, self.run.node(task));
        if what == "total" {
            self.fail_for_good(task, error);
        } else {
            self.attempt_failed(task, error);
        }
    }

    fn expire(&mut self, task: TaskId, inner: ScopeId, what: &str) {
        let error = timed_out(what, self.run.node(task));
        self.emit(Event::Expired { task: Some(task), error });
        self.stop_scope(inner, StopCause::Failed);
    }
}

impl Run {
    /// The key of a limit that names none: the task itself, in all runs of the workflow.
    fn plan_key(&self, task: TaskId) -> String {
        format!("{}/{}", self.plan.workflow, self.node(task).id)
    }

    /// Whether the task is the current state of its machine.
    pub(super) fn is_current_state(&self, task: TaskId) -> bool {
        match self.state.scope(self.state.task(task).scope).content {
            ScopeContent::Machine { current, .. } => current == Some(self.local(task)),
            ScopeContent::Graph | ScopeContent::Map { .. } => false,
        }
    }
}

/// Kinds whose whole meaning is in this crate.
pub(super) fn is_decided_here(kind: &str) -> bool {
    matches!(kind, "transform" | "log" | "fail" | "wait" | "signal" | "approval")
}

fn timed_out(what: &str, node: &TaskPlan) -> TaskError {
    let (limit, text) = match what {
        "queue" => (node.timeout.queue, "found no slot"),
        "total" => (node.timeout.total, "did not end"),
        "heartbeat" => (node.timeout.heartbeat, "was not heard of"),
        _ => (node.timeout.run.or(node.timeout.total), "took longer than its time-out"),
    };
    let length = limit.map_or_else(String::new, |it| format!(" within {it}"));
    let mut error = TaskError::new("timeout", format!("`{}` {text}{length}", node.id));
    error.details = json!({"timeout": what});
    error.retryable = matches!(what, "run" | "heartbeat");
    error
}

fn raised(with: Value) -> TaskError {
    let text = |name: &str| with.get(name).and_then(Value::as_str);
    let mut error = TaskError::fatal(
        text("type").unwrap_or("failed"),
        text("message").unwrap_or("the definition says so"),
    );
    error.retryable = with.get("retryable").and_then(Value::as_bool).unwrap_or(false);
    error.details = with.get("details").cloned().unwrap_or_default();
    error
}
