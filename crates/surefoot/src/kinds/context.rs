//! What an attempt is given and what it gives back.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use surefoot_core::ids::RunId;
use surefoot_core::task_error::TaskError;
use surefoot_core::time::Millis;
use tokio_util::sync::CancellationToken;

/// Executes attempts of one kind of task.
#[async_trait]
pub trait Kind: Send + Sync {
    /// Runs one attempt with the evaluated `with`. Must end soon after `context.cancelled()`;
    /// dropping the future must not leave anything running. The engine enforces the time-outs.
    async fn run(&self, context: &Context, with: Value) -> Result<Value, TaskError>;
}

/// One attempt, seen from inside.
#[derive(Clone)]
pub struct Context {
    pub run: RunId,
    pub workflow: String,
    /// The task's path, such as `reserve[3]`.
    pub task: String,
    /// Counts from 1.
    pub attempt: u32,
    /// The same for every attempt of this task (and item, and visit): hand it to the outside, so
    /// that a repeated attempt has one effect.
    pub idempotency_key: String,
    /// Who started the run.
    pub actor: String,
    /// When the engine will give up on this attempt.
    pub deadline: Option<Millis>,
    pub(crate) cancel: CancellationToken,
    pub(crate) log: Arc<dyn Fn(&str, &str) + Send + Sync>,
    pub(crate) beat: Arc<dyn Fn() + Send + Sync>,
}

impl Context {
    /// Keeps a line with this attempt. `level` is `debug`, `info`, `warn`, `error`, `stdout` or
    /// `stderr`. Text beyond the limit is dropped and counted.
    pub fn log(&self, level: &str, text: &str) {
        (self.log)(level, text);
    }

    /// Says that the attempt is alive; needed where the task has a heartbeat time-out.
    pub fn heartbeat(&self) {
        (self.beat)();
    }

    /// Returns once the engine wants the attempt to end (cancel, time-out, stop).
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}
