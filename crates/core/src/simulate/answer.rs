//! What an answer of the outside asks of a run.

use serde_json::Value;

use super::oracle::Answer;
use crate::run::{Approval, By, Command, Run, RunStatus, TaskId, TaskStatus, Wait};
use crate::time::Millis;

impl Answer {
    /// Returns the command that gives this answer to what the task waits for, and who gives it;
    /// nothing if it is silence, or no answer to that.
    pub fn command(&self, run: &Run, task: TaskId) -> Option<(Command, By)> {
        let state = run.state().task(task);
        let attempt = state.attempt;
        let wait = state.wait().filter(|_| state.status == TaskStatus::Waiting);
        let command = match (wait, self) {
            (_, Answer::TimeOut | Answer::Never) => return None,
            (Some(Wait::Approval(approval)), _) => return Some(self.vote(run, task, approval)),
            (Some(Wait::Signal { name, .. }), Answer::Complete(data)) => {
                let command = Command::Signal { name: name.clone(), data: data.clone() };
                return Some((command, By::actor("outside")));
            }
            // A signal cannot fail, so this one does not come; nor does a time or an event.
            (Some(Wait::Signal { .. } | Wait::Time { .. } | Wait::Event), _) => return None,
            (Some(Wait::Child { run }), answer) => {
                let (status, output, error) = match answer {
                    Answer::Complete(output) => (RunStatus::Completed, output.clone(), None),
                    Answer::Fail(error) => (RunStatus::Failed, Value::Null, Some(error.clone())),
                    Answer::TimeOut | Answer::Never => return None,
                };
                Command::ChildEnded { task, run: *run, status, output, error }
            }
            (None, Answer::Fail(error)) => Command::Fail { task, attempt, error: error.clone() },
            (None, Answer::Complete(output)) => {
                Command::Complete { task, attempt, output: output.clone() }
            }
        };
        Some((command, By::engine()))
    }

    /// Returns the next vote, of somebody who has not voted yet.
    fn vote(&self, run: &Run, task: TaskId, approval: &Approval) -> (Command, By) {
        let cast = run.state().task(task).more.as_ref().map_or(0, |it| it.votes.len());
        let named = approval.users.get(cast).filter(|_| approval.groups.is_empty());
        let voter = named.cloned().unwrap_or_else(|| format!("voter {}", cast + 1));
        let (approve, data) = match self {
            Answer::Complete(data) => (true, data.clone()),
            Answer::Fail(_) | Answer::TimeOut | Answer::Never => (false, Value::Null),
        };
        let (task, groups) = (Some(run.path(task)), approval.groups.clone());
        (Command::Vote { task, approve, comment: None, data, groups }, By::actor(&voter))
    }
}

/// Returns when the time of what the task does now is up.
pub fn time_limit(run: &Run, task: TaskId) -> Option<Millis> {
    let state = run.state().task(task);
    let heartbeat = run.node(task).timeout.heartbeat;
    let silent = heartbeat.filter(|_| state.status == TaskStatus::Running);
    let silent = silent.map(|it| state.since + it.0);
    state.due.into_iter().chain(silent).min()
}
