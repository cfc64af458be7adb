//! Runs: asked for, shown, controlled.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Asks for a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    /// An empty object if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Starting twice with one key starts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The active version if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Starts later: an instant in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Over the definition's; higher goes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A run. Lists leave `input`, `output` and `error` out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    pub id: String,
    pub workflow: String,
    pub version: String,
    /// Hash of the definition that it follows.
    pub definition: String,
    /// `pending`, `running`, `paused`, `cancelling`, `completed`, `failed`, `cancelled` or `killed`.
    pub status: String,
    pub key: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// Who started it.
    pub actor: String,
    pub priority: i32,
    pub parent: Option<String>,
    pub created_at: String,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    /// The error of a failed run, or what it waits for.
    pub summary: Option<String>,
    /// Tasks that have ended.
    pub done: u32,
    /// Tasks that are known.
    pub total: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunResult {
    pub run: String,
    pub status: String,
    pub output: Value,
    pub error: Option<Value>,
}

/// One decision of a run: all that changed with one command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryRecord {
    pub seq: u64,
    pub at: String,
    /// Who asked; empty for the engine's own decisions.
    pub actor: String,
    pub reason: Option<String>,
    pub events: Vec<HistoryEvent>,
}

/// One fact of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryEvent {
    /// Such as `created` or `completed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The task's path; empty for the run itself.
    pub task: String,
    /// In words.
    pub detail: String,
}

/// A part of a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryPage {
    pub items: Vec<HistoryRecord>,
    /// Where the next part starts; nothing at the end of what there is now.
    pub next_from: Option<u64>,
}

/// The journal of a run as it is kept, with the values that are kept apart from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Records {
    pub items: Vec<Value>,
}

/// A task of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunTask {
    /// The task's path, such as `reserve[3]`.
    pub task: String,
    pub kind: Option<String>,
    pub status: String,
    pub attempt: u32,
    pub since: String,
    pub started_at: Option<String>,
    /// When the engine will give up on the attempt, or try again.
    pub due: Option<String>,
    pub error: Option<Value>,
    pub output: Option<Value>,
    /// The line of the definition.
    pub line: u32,
}

/// One attempt at a task, or one wait of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskAttempt {
    pub attempt: u32,
    /// `completed`, `failed`, `lost` or `cancelled`; the task's status while it goes on.
    pub status: String,
    /// The worker that has it, or had it; nothing for the server's own process.
    pub worker: Option<String>,
    pub started_at: String,
    pub ended_at: Option<String>,
    pub took_ms: Option<u64>,
    /// Why it failed or was lost.
    pub error: Option<Value>,
}

/// One line of an export: one of these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Exported {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<super::Workflow>,
    /// As the journal keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogLine>,
}

/// Why a task is where it is, in a sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Why {
    pub task: String,
    pub status: String,
    pub why: String,
}

/// A way out of a machine's current state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Transition {
    /// The path of the machine; empty for the run itself.
    pub machine: String,
    pub from: String,
    /// The event, or how else it is taken.
    pub on: String,
    pub to: String,
    pub open: bool,
    /// Why it is open or closed.
    pub why: String,
}

/// A line that a task wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    pub task: String,
    pub attempt: u32,
    pub at: String,
    /// `debug`, `info`, `warn`, `error`, `stdout` or `stderr`.
    pub level: String,
    pub text: String,
}

/// Asks for a change of a run; each verb says which fields it takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Kept in the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Runs a task and all that depends on it again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Rewind {
    /// The task's path.
    pub to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Skips a task that has not ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// The task's path.
    pub task: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Gives a task a result by hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetResult {
    /// The task's path.
    pub task: String,
    pub output: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
