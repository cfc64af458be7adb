//! What may be asked of a run, and the ways in which it is refused.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::TaskId;
use super::status::{RunStatus, TaskStatus};
use crate::ids::RunId;
use crate::task_error::TaskError;

/// Something asked of a run. Those of people may wait in an inbox, so they have a text form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    // Of the engine.
    /// The run has its turn under its concurrency limit.
    Admit,
    /// Go on with what one decision left over.
    Advance,
    /// Timers have come due.
    Tick,
    /// A slot was found for a ready task.
    Dispatch {
        task: TaskId,
        worker: Option<String>,
    },
    Complete {
        task: TaskId,
        attempt: u32,
        output: Value,
    },
    Fail {
        task: TaskId,
        attempt: u32,
        error: TaskError,
    },
    /// The attempt is alive. Changes nothing that is kept.
    Beat {
        task: TaskId,
        attempt: u32,
    },
    /// Whoever had the attempt is gone.
    Lost {
        task: TaskId,
        attempt: u32,
        reason: String,
    },
    /// A new owner has the run: attempts of the owner before it are lost.
    Recover,
    /// The sub-run of a `workflow` task exists.
    ChildStarted {
        task: TaskId,
        attempt: u32,
        run: RunId,
    },
    ChildEnded {
        task: TaskId,
        run: RunId,
        status: RunStatus,
        output: Value,
        error: Option<TaskError>,
    },

    // Of people and programs.
    Signal {
        name: String,
        data: Value,
    },
    /// `task` is a path; nothing picks the only approval that is open.
    /// `groups` are those that the voter belongs to, as the door that let the command in knows.
    Vote {
        task: Option<String>,
        approve: bool,
        comment: Option<String>,
        data: Value,
        groups: Vec<String>,
    },
    Pause,
    Resume,
    Cancel,
    /// Ends the run in one step, without clean-up.
    Kill,
    /// Runs what failed again, keeping good results.
    Retry,
    /// Runs a task and all that depends on it again.
    Rewind {
        to: String,
    },
    Skip {
        task: String,
    },
    SetResult {
        task: String,
        output: Value,
    },
}

impl Command {
    /// The word that people use for it.
    pub fn verb(&self) -> &'static str {
        match self {
            Command::Admit => "admit",
            Command::Advance => "advance",
            Command::Tick => "tick",
            Command::Dispatch { .. } => "dispatch",
            Command::Complete { .. } => "complete",
            Command::Fail { .. } => "fail",
            Command::Beat { .. } => "heartbeat",
            Command::Lost { .. } => "lose",
            Command::Recover => "recover",
            Command::ChildStarted { .. } => "start a sub-run of",
            Command::ChildEnded { .. } => "end a sub-run of",
            Command::Signal { .. } => "signal",
            Command::Vote { approve: true, .. } => "approve",
            Command::Vote { approve: false, .. } => "reject",
            Command::Pause => "pause",
            Command::Resume => "resume",
            Command::Cancel => "cancel",
            Command::Kill => "kill",
            Command::Retry => "retry",
            Command::Rewind { .. } => "rewind",
            Command::Skip { .. } => "skip",
            Command::SetResult { .. } => "set-result",
        }
    }
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The attempt no longer holds its task: a late result is refused, never believed.
    #[error("attempt {attempt} no longer holds task `{task}`")]
    Stale { task: String, attempt: u32 },
    #[error("cannot {verb} a run that is {status}")]
    Run { verb: String, status: RunStatus, hint: String },
    #[error("cannot {verb} task `{task}`, which is {status}")]
    Task { verb: String, task: String, status: TaskStatus, hint: String },
    #[error("the run has no task `{task}`")]
    NoTask { task: String, hint: String },
    #[error("`{name}` is not available: {why}")]
    NotAvailable { name: String, why: String, available: Vec<String> },
    #[error("{actor} may not decide `{task}`: {why}")]
    Forbidden { actor: String, task: String, why: String },
    #[error("{what}{}{pointer}: {message}", if pointer.is_empty() { "" } else { " " })]
    Invalid { what: String, pointer: String, message: String },
    #[error("{what} is {actual} and may be at most {limit}")]
    Limit { what: String, actual: usize, limit: usize },
}
