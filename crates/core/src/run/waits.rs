//! Tasks that wait instead of working: for a time, a signal, the votes of people.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::decide::Decider;
use super::event::*;
use crate::task_error::TaskError;
use crate::time::{Duration, Millis};

impl Decider<'_, '_> {
    pub fn wait_for_time(&mut self, task: TaskId, with: Value) -> Result<(), TaskError> {
        let now = self.now();
        let due = match (with.get("for"), with.get("until")) {
            (Some(length), None) => now.saturating_add(duration(length)?.0),
            (None, Some(instant)) => instant_ms(instant)?,
            _ => {
                let message = "`wait` needs either `for` (a duration) or `until` (an instant)";
                return Err(Self::fatal("bad_parameters", message));
            }
        };
        let stands_still = with.get("while_paused").and_then(Value::as_str) == Some("stop");
        if due <= now {
            self.complete_task(task, Value::Null);
            return Ok(());
        }
        let wait = Wait::Time { stands_still };
        self.emit(Event::Waiting { task, wait, due: Some(due), total_due: None });
        Ok(())
    }

    pub fn wait_for_signal(&mut self, task: TaskId, with: Value) -> Result<(), TaskError> {
        let Some(name) = with.get("name").and_then(Value::as_str).map(str::to_owned) else {
            return Err(Self::fatal("bad_parameters", "`signal` needs `name`, a string"));
        };
        let due = with.get("timeout").map(duration).transpose()?.map(|it| self.now() + it.0);
        let fail_on_timeout = with.get("on_timeout").and_then(Value::as_str) != Some("continue");
        let wait = Wait::Signal { name: name.clone(), fail_on_timeout };
        self.emit(Event::Waiting { task, wait, due, total_due: None });
        // It may have come early.
        let early = self.run.state.signals.iter().find(|it| it.name == name).map(|it| it.id);
        if let Some(id) = early {
            self.take_signal(task, id);
        }
        Ok(())
    }

    /// Gives a kept signal to the task that waits for it.
    pub fn take_signal(&mut self, task: TaskId, id: u32) {
        let Some(signal) = self.run.state.signals.iter().find(|it| it.id == id) else { return };
        let output = json!({"received": true, "data": *signal.data, "actor": signal.actor});
        self.emit(Event::Consumed { id, task });
        self.complete_task(task, output);
    }

    pub fn wait_for_approval(&mut self, task: TaskId, with: Value) -> Result<(), TaskError> {
        let text = |name: &str| with.get(name).and_then(Value::as_str);
        let names = |name: &str| names(&with, name);
        let due = with.get("timeout").map(duration).transpose()?.map(|it| self.now() + it.0);
        let approval = Approval {
            prompt: text("prompt").unwrap_or_default().to_owned(),
            groups: names("groups"),
            users: names("users"),
            quorum: with.get("quorum").and_then(Value::as_u64).unwrap_or(1).clamp(1, 1000) as u32,
            deny_self: with.get("deny_self").and_then(Value::as_bool).unwrap_or(false),
            form: with.get("form").cloned(),
            on_timeout: match text("on_timeout") {
                Some("reject") => OnTimeout::Reject,
                Some("approve") => OnTimeout::Approve,
                _ => OnTimeout::Fail,
            },
            reject_completes: text("on_reject") == Some("continue"),
            escalate: self.escalations(with.get("escalate"))?,
            escalated_at: None,
        };
        let wait = Wait::Approval(Box::new(approval));
        self.emit(Event::Waiting { task, wait, due, total_due: None });
        Ok(())
    }

    fn escalations(&self, list: Option<&Value>) -> Result<Vec<Escalation>, TaskError> {
        let mut steps = Vec::new();
        for step in list.and_then(Value::as_array).into_iter().flatten() {
            let after = duration(step.get("after").unwrap_or(&Value::Null))?;
            let at = self.now().saturating_add(after.0);
            steps.push(Escalation {
                at,
                users: names(step, "users"),
                groups: names(step, "groups"),
            });
        }
        steps.sort_by_key(|it| it.at);
        Ok(steps)
    }

    /// Asks further people, whose time has come.
    pub fn escalate(&mut self, task: TaskId) {
        let now = self.now();
        while let Some(Wait::Approval(approval)) = self.run.state.task(task).wait()
            && let Some(step) = approval.escalate.first().filter(|it| it.at <= now).cloned()
        {
            let Escalation { users, groups, .. } = step;
            self.emit(Event::Escalated { task, users, groups });
        }
    }

    pub fn wait_is_over(&mut self, task: TaskId) {
        let state = self.run.state.task(task);
        if state.is_cancelling() {
            return self.emit(Event::Cancelled { task });
        }
        match state.wait().cloned() {
            Some(Wait::Time { stands_still: true }) if self.is_paused() => {}
            Some(Wait::Time { .. }) => self.complete_task(task, Value::Null),
            Some(Wait::Signal { fail_on_timeout: true, name }) => {
                let message = format!("signal `{name}` did not come in time");
                self.attempt_failed(task, Self::fatal("timeout", message));
            }
            Some(Wait::Signal { .. }) => {
                self.complete_task(task, json!({"received": false, "data": null, "actor": null}));
            }
            Some(Wait::Approval(approval)) => self.approval_timed_out(task, &approval),
            Some(Wait::Child { .. }) => {
                self.emit(Event::Cancelling {
                    task,
                    due: self.env.now + super::operate::CLEAN_UP_MS,
                });
            }
            Some(Wait::Event) | None => {}
        }
    }
}

fn names(with: &Value, name: &str) -> Vec<String> {
    let list = with.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn duration(value: &Value) -> Result<Duration, TaskError> {
    let text = value.as_str().unwrap_or_default();
    text.parse().map_err(|error: crate::time::InvalidDuration| {
        TaskError::fatal("bad_parameters", error.to_string())
    })
}

fn instant_ms(value: &Value) -> Result<Millis, TaskError> {
    let text = value.as_str().unwrap_or_default();
    let instant: Timestamp = text.parse().map_err(|_| {
        let message = format!("`{text}` is not an instant: write it like 2027-01-01T09:00:00Z");
        TaskError::fatal("bad_parameters", message)
    })?;
    Ok(instant.as_millisecond().max(0) as u64)
}
