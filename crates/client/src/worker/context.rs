//! One task, seen from inside its handler.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::error::Error;
use crate::wire::{Heartbeat, LeasedTask, WorkerLog};

/// What a task says is sent at most this often.
const PAUSE: Duration = Duration::from_millis(200);
/// Lines that wait to be sent; more are dropped.
const LINES_MAX: usize = 1_000;

/// What a handler knows of the attempt that it makes.
#[derive(Clone)]
pub struct TaskContext {
    pub run: String,
    pub workflow: String,
    pub version: String,
    /// The task's path, such as `reserve[3]`.
    pub task: String,
    /// Counts from 1.
    pub attempt: u32,
    /// The same for every attempt: hand it to the outside, so that a repeated attempt has one
    /// effect.
    pub idempotency_key: String,
    /// Who started the run.
    pub actor: String,
    /// When the engine gives up on this attempt (RFC 3339).
    pub deadline: Option<String>,
    /// Where in a trace the attempt stands, as W3C Trace Context writes it: hand it to the outside.
    pub traceparent: Option<String>,
    /// What tracing systems want handed on with `traceparent`.
    pub tracestate: Option<String>,
    pub(super) cancel: CancellationToken,
    outbox: Arc<Outbox>,
}

#[derive(Default)]
struct Outbox {
    said: Mutex<Heartbeat>,
    more: Notify,
}

impl TaskContext {
    pub(super) fn new(task: &LeasedTask, cancel: CancellationToken) -> TaskContext {
        TaskContext {
            run: task.run.clone(),
            workflow: task.workflow.clone(),
            version: task.version.clone(),
            task: task.task.clone(),
            attempt: task.attempt,
            idempotency_key: task.idempotency_key.clone(),
            actor: task.actor.clone(),
            deadline: task.deadline.clone(),
            traceparent: task.traceparent.clone(),
            tracestate: task.tracestate.clone(),
            cancel,
            outbox: Arc::default(),
        }
    }

    /// Says how far the task is, from 0 to 1.
    pub fn progress(&self, progress: f64, message: &str) {
        self.say(|said| {
            said.progress = Some(progress);
            said.message = Some(message.to_owned());
        });
    }

    /// Keeps a line with this attempt. `level` is `debug`, `info`, `warn`, `error`, `stdout` or
    /// `stderr`.
    pub fn log(&self, level: &str, text: &str) {
        self.say(|said| {
            if said.logs.len() < LINES_MAX {
                said.logs.push(WorkerLog { level: level.to_owned(), text: text.to_owned() });
            }
        });
    }

    /// Returns once the attempt is to end: the run was cancelled, or the lease is lost.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn say(&self, change: impl FnOnce(&mut Heartbeat)) {
        change(&mut self.outbox.said.lock().unwrap_or_else(|it| it.into_inner()));
        self.outbox.more.notify_one();
    }

    /// Sends what the task says, until it is done and all is sent.
    pub(super) async fn speak(&self, client: &Client, lease: &str, done: &CancellationToken) {
        while !done.is_cancelled() {
            tokio::select! {
                () = self.outbox.more.notified() => {}
                () = done.cancelled() => {}
            }
            self.flush(client, lease).await;
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = done.cancelled() => {}
            }
        }
        self.flush(client, lease).await;
    }

    /// Sends what was said and not sent yet.
    async fn flush(&self, client: &Client, lease: &str) {
        let said =
            std::mem::take(&mut *self.outbox.said.lock().unwrap_or_else(|it| it.into_inner()));
        if said == Heartbeat::default() {
            return;
        }
        match client.heartbeat(lease, &said).await {
            Ok(answer) if answer.cancel => self.cancel.cancel(),
            Ok(_) => {}
            Err(Error::Refused(problem)) if problem.status == 410 => self.cancel.cancel(),
            Err(error) => tracing::warn!(%error, "progress was not sent"),
        }
    }
}
