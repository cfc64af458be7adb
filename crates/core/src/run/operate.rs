//! What people do to a run: signals, votes, pause and resume, cancel and kill, skip, and results by
//! hand. All are recorded with who did it and why. `retry` and `rewind` are in `going_back`.

use serde_json::{Value, json};

use super::Run;
use super::command::Refusal;
use super::decide::Decider;
use super::event::*;
use super::machine::Offer;
use super::payload::Payload;
use super::status::{RunStatus, TaskStatus};
use crate::join::SkipCause;
use crate::limits::SIGNALS_MAX;
use crate::plan::WorkPlan;
use crate::schema::Schema;
use crate::task_error::TaskError;

/// How long compensation and `finally` may take after a cancel.
pub const CLEAN_UP_MS: u64 = 3600 * 1000;

impl Decider<'_, '_> {
    // Signals.

    pub fn signal(&mut self, name: String, data: Value) -> Result<(), Refusal> {
        if self.is_over() || self.run.state.status == RunStatus::Cancelling {
            return Err(self.refuse_run("signal", "only runs that go on take signals"));
        }
        self.check_size("the signal's data", &data)?;
        if let Some(task) = self.run.waiting_for_signal(&name) {
            let id = self.keep_signal(name, data);
            self.take_signal(task, id);
            return Ok(());
        }
        let closed = match self.offer_event(&name, &data) {
            Offer::Taken => return Ok(()),
            Offer::Closed(why) => Some(why),
            Offer::Unknown => None,
        };
        if closed.is_none() && self.run.may_wait_for_signal(&name) {
            if self.run.state.signals.len() >= SIGNALS_MAX {
                let (actual, limit) = (SIGNALS_MAX + 1, SIGNALS_MAX);
                let what = "the number of undelivered signals".to_owned();
                return Err(Refusal::Limit { what, actual, limit });
            }
            self.keep_signal(name, data);
            return Ok(());
        }
        let why = closed.unwrap_or_else(|| "nothing in the run waits for it".to_owned());
        let available = self.run.available_signals();
        Err(Refusal::NotAvailable { name, why, available })
    }

    fn keep_signal(&mut self, name: String, data: Value) -> u32 {
        let id = self.run.state.signals_seen;
        let actor = self.by.actor.clone();
        self.emit(Event::Signalled { id, name, data: data.into(), actor });
        id
    }

    fn check_size(&self, what: &str, value: &Value) -> Result<(), Refusal> {
        let limit = self.run.limits.payload_bytes;
        let actual = super::size(value, limit + 1);
        if actual <= limit {
            return Ok(());
        }
        Err(Refusal::Limit { what: what.to_owned(), actual, limit })
    }

    // Approvals.

    pub fn vote(
        &mut self,
        path: Option<&str>,
        vote: Vote,
        groups: &[String],
    ) -> Result<(), Refusal> {
        let verb = if vote.approve { "approve" } else { "reject" };
        if self.is_over() {
            return Err(self.refuse_run(verb, "the decision can no longer matter"));
        }
        let task = self.approval(path, verb)?;
        let Some(Wait::Approval(approval)) = self.run.state.task(task).wait().cloned() else {
            return Err(self.refuse_task(verb, task, "it is not an approval"));
        };
        self.check_voter(task, &approval, &vote, groups)?;
        self.check_size("the vote's data", &vote.data)?;
        let known = self.run.state.task(task).more.iter().flat_map(|it| &it.votes);
        let repeated = known
            .into_iter()
            .any(|it| it.actor == vote.actor && it.approve == vote.approve && it.data == vote.data);
        if repeated {
            return Ok(());
        }
        self.emit(Event::Voted { task, vote: vote.clone() });
        if !vote.approve {
            self.reject(task, &approval, &format!("{} rejected it", vote.actor));
            return Ok(());
        }
        let votes = self.run.state.task(task).more.as_ref().map_or(&[][..], |it| &it.votes);
        if votes.iter().filter(|it| it.approve).count() >= approval.quorum as usize {
            self.conclude_approval(task, true);
        }
        Ok(())
    }

    fn approval(&self, path: Option<&str>, verb: &str) -> Result<TaskId, Refusal> {
        if let Some(path) = path {
            let task = self.find(path)?;
            let state = self.run.state.task(task);
            if state.status != TaskStatus::Waiting {
                return Err(self.refuse_task(verb, task, "only a waiting approval can be decided"));
            }
            return Ok(task);
        }
        let open = self.run.open_approvals();
        match open[..] {
            [task] => Ok(task),
            _ => {
                let available = open.iter().map(|it| self.run.path(*it)).collect();
                let why = match open.len() {
                    0 => "no approval is open".to_owned(),
                    count => format!("{count} approvals are open, name one"),
                };
                Err(Refusal::NotAvailable { name: verb.to_owned(), why, available })
            }
        }
    }

    fn check_voter(
        &self,
        task: TaskId,
        approval: &Approval,
        vote: &Vote,
        groups: &[String],
    ) -> Result<(), Refusal> {
        let forbidden = |why: String| {
            let (actor, task) = (vote.actor.clone(), self.run.path(task));
            Err(Refusal::Forbidden { actor, task, why })
        };
        if approval.deny_self && vote.actor == self.run.state.created.actor {
            return forbidden("who started the run may not decide (deny_self)".to_owned());
        }
        let named = approval.users.contains(&vote.actor);
        if !approval.is_open() && !named && !groups.iter().any(|it| approval.groups.contains(it)) {
            let who = [&approval.users[..], &approval.groups[..]].concat().join(", ");
            return forbidden(format!("it is for {who}"));
        }
        if let (Some(form), true) = (&approval.form, vote.approve) {
            let schema = Schema::compile(form).map_err(|error| Refusal::Invalid {
                what: "the approval's form".to_owned(),
                pointer: error.pointer,
                message: error.message,
            })?;
            if let Err(violations) = schema.check(&vote.data) {
                let first = violations.into_iter().next();
                let (pointer, message) =
                    first.map_or_else(Default::default, |it| (it.pointer, it.message));
                return Err(Refusal::Invalid {
                    what: "the vote's data".to_owned(),
                    pointer,
                    message,
                });
            }
        }
        Ok(())
    }

    fn conclude_approval(&mut self, task: TaskId, approved: bool) {
        let votes = self.run.state.task(task).more.as_ref().map_or(&[][..], |it| &it.votes);
        let data = votes.last().map_or(Value::Null, |it| it.data.clone());
        let votes: Vec<Value> = votes.iter().map(told).collect();
        let output = json!({"approved": approved, "votes": votes, "data": data});
        self.complete_task(task, output);
    }

    fn reject(&mut self, task: TaskId, approval: &Approval, message: &str) {
        if approval.reject_completes {
            return self.conclude_approval(task, false);
        }
        let votes = self.run.state.task(task).more.as_ref().map_or(&[][..], |it| &it.votes);
        let votes: Vec<Value> = votes.iter().map(told).collect();
        let details = json!({"votes": votes});
        let error = TaskError { details, ..TaskError::fatal("rejected", message) };
        self.fail_for_good(task, error);
    }

    pub fn approval_timed_out(&mut self, task: TaskId, approval: &Approval) {
        match approval.on_timeout {
            OnTimeout::Approve => self.conclude_approval(task, true),
            OnTimeout::Reject => self.reject(task, approval, "nobody decided in time"),
            OnTimeout::Fail => {
                let error = TaskError::fatal("timeout", "nobody decided in time");
                self.fail_for_good(task, error);
            }
        }
    }

    // The run as a whole.

    pub fn pause(&mut self) -> Result<(), Refusal> {
        match self.run.state.status {
            RunStatus::Paused => Ok(()),
            RunStatus::Pending | RunStatus::Running => {
                self.emit(Event::Paused);
                Ok(())
            }
            RunStatus::Cancelling
            | RunStatus::Completed
            | RunStatus::Failed
            | RunStatus::Cancelled => {
                Err(self.refuse_run("pause", "only runs that go on can be paused"))
            }
        }
    }

    pub fn resume(&mut self) -> Result<(), Refusal> {
        match (self.run.state.status, self.run.state.paused_at) {
            (RunStatus::Paused, paused_at) => {
                let stood_still_ms = self.now() - paused_at.unwrap_or(self.now());
                self.emit_wide(Event::Resumed { stood_still_ms });
                Ok(())
            }
            (RunStatus::Pending | RunStatus::Running, _) => Ok(()),
            _ => Err(self.refuse_run("resume", "only a paused run can be resumed")),
        }
    }

    pub fn cancel(&mut self) -> Result<(), Refusal> {
        let state = &self.run.state;
        match state.status {
            RunStatus::Cancelling | RunStatus::Cancelled => Ok(()),
            RunStatus::Completed | RunStatus::Failed => {
                Err(self.refuse_run("cancel", "it has ended already"))
            }
            _ if state.started_at.is_none() => {
                let error =
                    TaskError::fatal("cancelled", "the run was cancelled before it started");
                let error = Some(Box::new(RunError { task: None, error, not_undone: vec![] }));
                self.emit_wide(Event::Ended { status: RunStatus::Cancelled, error });
                Ok(())
            }
            RunStatus::Pending | RunStatus::Running | RunStatus::Paused => {
                let due = self.now() + CLEAN_UP_MS;
                self.emit_wide(Event::CancelAsked { due });
                if self.run.state.outcome.is_none() {
                    self.stop_scope(ScopeId(0), StopCause::Cancelled);
                }
                Ok(())
            }
        }
    }

    pub fn kill(&mut self) -> Result<(), Refusal> {
        match self.run.state.status {
            RunStatus::Cancelled => Ok(()),
            RunStatus::Completed | RunStatus::Failed => {
                Err(self.refuse_run("kill", "it has ended already"))
            }
            RunStatus::Pending | RunStatus::Running | RunStatus::Paused | RunStatus::Cancelling => {
                let error =
                    TaskError::fatal("killed", "the run was killed; nothing was cleaned up");
                let error = Some(Box::new(RunError { task: None, error, not_undone: vec![] }));
                self.emit_wide(Event::Ended { status: RunStatus::Cancelled, error });
                Ok(())
            }
        }
    }

    // By hand.

    pub fn skip(&mut self, path: &str) -> Result<(), Refusal> {
        let task = self.by_hand("skip", path)?;
        self.stop_inside(task);
        self.emit(Event::Skipped { task, cause: SkipCause::ByHand });
        Ok(())
    }

    pub fn set_result(&mut self, path: &str, output: Value) -> Result<(), Refusal> {
        let task = self.by_hand("set-result", path)?;
        self.check_size("the result", &output)?;
        self.stop_inside(task);
        self.emit(Event::Given { task, output: Payload::new(output) });
        Ok(())
    }

    fn by_hand(&self, verb: &str, path: &str) -> Result<TaskId, Refusal> {
        match self.run.state.status {
            RunStatus::Running | RunStatus::Paused | RunStatus::Failed => {}
            _ => return Err(self.refuse_run(verb, "the run must be running, paused or failed")),
        }
        let task = self.find(path)?;
        let status = self.run.state.task(task).status;
        match status {
            TaskStatus::Completed | TaskStatus::Skipped | TaskStatus::Compensated => {
                Err(self.refuse_task(verb, task, "rewind to it to run it again"))
            }
            _ => Ok(task),
        }
    }

    fn stop_inside(&mut self, task: TaskId) {
        let inner = self.run.state.task(task).inner;
        if let Some(inner) = inner.filter(|it| self.run.is_current(*it)) {
            self.stop_scope(inner, StopCause::Cancelled);
        }
        self.leave_child(task);
    }

    pub fn find(&self, path: &str) -> Result<TaskId, Refusal> {
        self.run.find(path).ok_or_else(|| {
            let names: Vec<String> =
                self.run.state.children_of_root().map(|it| self.run.path(it)).take(20).collect();
            let hint = format!("its tasks are {}", names.join(", "));
            Refusal::NoTask { task: path.to_owned(), hint }
        })
    }

    pub fn refuse_task(&self, verb: &str, task: TaskId, hint: &str) -> Refusal {
        Refusal::Task {
            verb: verb.to_owned(),
            task: self.run.path(task),
            status: self.run.state.task(task).status,
            hint: hint.to_owned(),
        }
    }
}

/// Returns a vote as outputs have it. Its schema is `kind_schema::approval`.
fn told(vote: &Vote) -> Value {
    json!({
        "actor": vote.actor,
        "approve": vote.approve,
        "comment": vote.comment,
        "data": vote.data,
        "at": super::view::instant(vote.at),
    })
}

impl Run {
    /// Returns the task that has waited longest for a signal of this name.
    fn waiting_for_signal(&self, wanted: &str) -> Option<TaskId> {
        let tasks = (0..self.state.tasks.len() as u32).map(TaskId);
        let waiting = tasks.filter(|it| {
            let state = self.state.task(*it);
            state.status == TaskStatus::Waiting
                && matches!(state.wait(), Some(Wait::Signal { name, .. }) if name == wanted)
        });
        waiting.min_by_key(|it| (self.state.task(*it).since, *it))
    }

    /// Whether the definition has a `signal` task that may come to wait for this name.
    fn may_wait_for_signal(&self, name: &str) -> bool {
        self.plan.nodes.iter().any(|node| match &node.work {
            WorkPlan::Uses { kind, with } if &**kind == "signal" => {
                super::view::literal_name(with).is_none_or(|it| it == name)
            }
            _ => false,
        })
    }

    fn available_signals(&self) -> Vec<String> {
        let waiting = self.state.tasks.iter().filter(|it| it.status == TaskStatus::Waiting);
        let mut names: Vec<String> = waiting
            .filter_map(|it| match it.wait() {
                Some(Wait::Signal { name, .. }) => Some(name.clone()),
                _ => None,
            })
            .collect();
        for (_, task) in self.current_states() {
            let on = self.node(task).state.iter().flat_map(|it| &it.on);
            names.extend(
                on.map(|(name, _)| name.to_string()).filter(|it| it != "done" && it != "failed"),
            );
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns the approvals that wait for a decision.
    pub fn open_approvals(&self) -> Vec<TaskId> {
        let tasks = (0..self.state.tasks.len() as u32).map(TaskId);
        tasks
            .filter(|it| {
                let state = self.state.task(*it);
                state.status == TaskStatus::Waiting
                    && matches!(state.wait(), Some(Wait::Approval(_)))
            })
            .collect()
    }
}
