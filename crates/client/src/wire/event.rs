//! What `GET /v1/events` sends.

use serde::{Deserialize, Serialize};

use super::HistoryEvent;

/// The data of an event `record`: one decision of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordEvent {
    pub run: String,
    pub workflow: String,
    /// Its number within the run, from 0.
    pub seq: u64,
    pub at: String,
    /// Who asked; empty for the engine's own decisions.
    pub actor: String,
    pub reason: Option<String>,
    /// The status of the run after it.
    pub status: String,
    pub events: Vec<HistoryEvent>,
}

/// The data of an event `log`: a line that a task wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogEvent {
    pub run: String,
    pub task: String,
    pub attempt: u32,
    pub at: String,
    /// `debug`, `info`, `warn`, `error`, `stdout` or `stderr`.
    pub level: String,
    pub text: String,
}
