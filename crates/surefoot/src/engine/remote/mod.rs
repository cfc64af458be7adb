//! Tasks that workers in other processes execute.
//!
//! A task whose handler this process does not have waits in line until a worker takes it. The loop
//! decides who gets it, makes that durable, and lends the attempt out: whoever has the token may
//! say how it ended, for as long as it is heard of.
//!
//! | file | holds |
//! |---|---|
//! | `lease` | who holds which attempt, and what became of a token |
//! | `takers` | who asks for tasks right now |
//! | `engine/shard/remote.rs` | the loop's side of it |

mod lease;
mod takers;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use surefoot_core::ids::{Digest, RunId, namespace};
use surefoot_core::run::{TaskStatus, Why};
use surefoot_core::time::Millis;
use surefoot_store::LogLine;
use tokio::sync::oneshot;

pub(crate) use lease::{Claim, Held, Leases};
pub(crate) use takers::{Taker, Takers};

use super::request::{CommandError, Update};
use super::shard::Message;
use super::{Engine, RunHandle};
use crate::inspect::InspectError;
use crate::kinds::TaskError;

/// Bytes of a progress message that are kept.
const MESSAGE_BYTES_MAX: usize = 1024;
/// A worker is to be heard of this often within one lease.
const BEATS_PER_LEASE: u32 = 3;

/// How workers in other processes are served. See [`crate::EngineBuilder::remote_workers`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteConfig {
    /// How long an attempt stays with a worker that is not heard of.
    pub lease: Duration,
    /// Built-in kinds that workers execute instead of this process.
    pub kinds: Vec<String>,
}

impl Default for RemoteConfig {
    fn default() -> RemoteConfig {
        RemoteConfig { lease: Duration::from_secs(10), kinds: Vec::new() }
    }
}

impl RemoteConfig {
    /// How often a worker is to be heard of while it holds leases.
    pub fn heartbeat(&self) -> Duration {
        self.lease * 3 / (BEATS_PER_LEASE * 3 + 1)
    }
}

/// A worker asks for tasks.
#[derive(Clone, Debug)]
pub struct TakeRequest {
    /// Its id: what it holds already counts as heard of.
    pub worker: String,
    /// The kinds of tasks that it can execute.
    pub capabilities: Vec<String>,
    /// The namespaces whose tasks it may have; all, if nothing is said. A namespace is what stands
    /// before the first dot of a workflow's id.
    pub namespaces: Option<BTreeSet<String>>,
    /// How many it wants. With none, it is only heard of.
    pub slots: u32,
    /// How long it waits for the first. A worker that holds leases is answered within a heartbeat.
    pub wait: Duration,
    /// The leases that it knows of, if it says so: others are not prolonged.
    pub holding: Option<Vec<String>>,
}

/// What a worker gets.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    pub tasks: Vec<Lease>,
    /// Tokens of its attempts that are to end.
    pub cancelled: Vec<String>,
}

/// One attempt, lent to a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    /// Whoever has it may report on the attempt.
    pub token: String,
    pub run: RunId,
    pub workflow: String,
    pub version: String,
    /// The task's path, such as `reserve[3]`.
    pub task: String,
    /// What the task `uses`.
    pub kind: String,
    pub attempt: u32,
    pub input: Value,
    pub idempotency_key: String,
    pub actor: String,
    /// Where in a trace the attempt stands, as W3C Trace Context writes it.
    pub traceparent: String,
    /// What goes with it, for tracing systems.
    pub tracestate: Option<String>,
    /// When the engine gives up on the attempt.
    pub deadline: Option<Millis>,
    pub expires_in: Duration,
}

/// A sign of life of one attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beat {
    /// From 0 to 1.
    pub progress: Option<f64>,
    pub message: Option<String>,
    /// Level and text of each line.
    pub logs: Vec<(String, String)>,
}

/// What a heartbeat is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alive {
    /// The attempt is to end.
    pub cancel: bool,
    pub expires_in: Duration,
}

/// The attempt that a result was accepted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    pub run: RunId,
    pub task: String,
    pub attempt: u32,
}

/// Why a token is worth nothing. Nothing has changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LeaseError {
    #[error("there never was such a lease")]
    Unknown,
    #[error("attempt {} of task `{}` has another result already", .0.attempt, .0.task)]
    Done(Settled),
    #[error("the lease is lost: {reason}")]
    Lost { reason: String },
    #[error(transparent)]
    Store(surefoot_store::Error),
    #[error("the engine is stopping")]
    Stopping,
}

impl From<CommandError> for LeaseError {
    fn from(error: CommandError) -> LeaseError {
        match error {
            CommandError::Store(error) => LeaseError::Store(error),
            CommandError::Stopping => LeaseError::Stopping,
            CommandError::NotFound(_)
            | CommandError::Refused(_)
            | CommandError::Unreadable { .. } => LeaseError::Lost { reason: error.to_string() },
        }
    }
}

/// Why a worker gets no tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    #[error("this engine was opened without remote workers")]
    NotAllowed,
    #[error("the engine is stopping")]
    Stopping,
}

/// A lease, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseInfo {
    pub worker: String,
    pub run: RunId,
    pub workflow: String,
    pub task: String,
    pub kind: String,
    pub attempt: u32,
    pub since: Millis,
    pub progress: Option<f64>,
    pub message: Option<String>,
    pub is_cancelled: bool,
    pub expires_in: Duration,
}

/// How it stands with one kind of task that workers execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    pub name: String,
    /// Tasks that wait for a worker.
    pub waiting: usize,
    /// How long the oldest of them has waited.
    pub oldest_ms: u64,
    /// Attempts that workers hold.
    pub running: usize,
    /// Workers that are there.
    pub workers: u32,
    /// Tasks that they ask for now.
    pub asked: u32,
}

impl Capability {
    pub(crate) fn named(name: &str) -> Capability {
        let name = name.to_owned();
        Capability { name, waiting: 0, oldest_ms: 0, running: 0, workers: 0, asked: 0 }
    }

    /// Says why a task waits, in a sentence without its full stop.
    fn why(&self, key: Option<&str>) -> String {
        let name = &self.name;
        match (self.workers, self.asked) {
            (0, _) => format!("no worker with capability `{name}` is connected"),
            (1, 0) => format!("the only worker with capability `{name}` is busy"),
            (count, 0) => format!("all {count} workers with capability `{name}` are busy"),
            _ => match key {
                Some(key) => format!("waits for its turn under `{key}`"),
                None => format!("waits for its turn under the limits of `{name}`"),
            },
        }
    }
}

impl Engine {
    /// Waits for tasks that a worker can execute and lends them to it: as soon as there are any,
    /// as many as there are, at most `slots`. Where the answer cannot be delivered because this
    /// future was dropped, the tasks are given back at once.
    pub async fn take(&self, request: TakeRequest) -> Result<Taken, TakeError> {
        self.shared.remote.as_ref().ok_or(TakeError::NotAllowed)?;
        let (reply, answer) = oneshot::channel();
        let message = Message::Take { request, reply };
        self.messages.send(message).await.map_err(|_| TakeError::Stopping)?;
        answer.await.map_err(|_| TakeError::Stopping)
    }

    /// Answers what a worker asks for with nothing, so that it can be told something else.
    pub async fn dismiss(&self, worker: &str) {
        let message = Message::Dismiss { worker: worker.to_owned(), leaves: false };
        // An engine that has stopped has dismissed everybody.
        let _ = self.messages.send(message).await;
    }

    /// A worker goes: what it holds is given to others at once.
    pub async fn leave(&self, worker: &str) {
        let message = Message::Dismiss { worker: worker.to_owned(), leaves: true };
        // As above.
        let _ = self.messages.send(message).await;
    }

    /// Says how an attempt ended, and returns once that is durable. The same result may be
    /// reported again. With a worker, only its own leases are known.
    pub async fn settle(
        &self,
        token: &str,
        worker: Option<&str>,
        result: Result<Value, TaskError>,
    ) -> Result<Settled, LeaseError> {
        let text = match &result {
            Ok(output) => format!("+{output}"),
            Err(error) => format!("-{}", serde_json::to_string(error).unwrap_or_default()),
        };
        let digest = Digest::of(text.as_bytes());
        let (reply, answer) = oneshot::channel();
        let (token, worker) = (token.to_owned(), worker.map(str::to_owned));
        let message = Message::Settle { token, worker, digest, result, reply };
        self.messages.send(message).await.map_err(|_| LeaseError::Stopping)?;
        answer.await.map_err(|_| LeaseError::Stopping)?
    }

    /// Says that an attempt is alive, and how far it is.
    pub async fn beat(
        &self,
        token: &str,
        worker: Option<&str>,
        beat: Beat,
    ) -> Result<Alive, LeaseError> {
        let (alive, run, task, attempt, lines) = {
            let mut leases = self.shared.leases();
            let expires_in = leases.renew_one(token, worker)?;
            let held = leases.find(token, worker)?;
            held.progress = beat.progress.or(held.progress);
            if let Some(message) = beat.message {
                held.message = Some(held.blotter.text(&clipped(message)));
            }
            let lines = self.lines(held, beat.logs);
            let alive = Alive { cancel: held.cancel.is_cancelled(), expires_in };
            (alive, held.run, held.task, held.attempt, lines)
        };
        for line in lines {
            // Nobody listening is no error.
            let _ = self.shared.updates.send(Update::Log(line.clone()));
            if self.messages.try_send(Message::Log(line)).is_err() {
                self.shared.count(|it| &it.log_lines_dropped, 1);
            }
        }
        // A full queue means that the loop is busy; the next beat will do.
        let _ = self.messages.try_send(Message::Beat { run, task, attempt });
        Ok(alive)
    }

    /// Blots log lines, and drops what is more than an attempt may write.
    fn lines(&self, held: &mut Held, logs: Vec<(String, String)>) -> Vec<LogLine> {
        let at = self.now();
        let mut lines = Vec::with_capacity(logs.len());
        for (stream, text) in logs {
            let Some(left) = held.log_left.checked_sub(text.len()) else {
                self.shared.count(|it| &it.log_lines_dropped, 1);
                continue;
            };
            held.log_left = left;
            let (run, task, attempt) = (held.run, held.path.clone(), held.attempt);
            // The journal's rule for text: no NUL, whatever a program prints.
            let text = held.blotter.text(&text).replace('\0', "\u{FFFD}");
            lines.push(LogLine { run, task, attempt, at, stream, text });
        }
        lines
    }

    /// Returns which worker holds a lease.
    pub fn lease_holder(&self, token: &str) -> Result<String, LeaseError> {
        Ok(self.shared.leases().find(token, None)?.worker.to_string())
    }

    /// Returns what workers execute now: one of them, or all. Oldest first.
    pub fn leases(&self, worker: Option<&str>) -> Vec<LeaseInfo> {
        self.shared.leases().list(worker)
    }

    /// Returns how it stands with each kind of task that workers execute.
    pub async fn capabilities(&self) -> Vec<Capability> {
        self.capabilities_in(None).await
    }

    async fn capabilities_in(&self, namespace: Option<&str>) -> Vec<Capability> {
        let (reply, answer) = oneshot::channel();
        let namespace = namespace.map(str::to_owned);
        if self.messages.send(Message::Capabilities { namespace, reply }).await.is_err() {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }

    /// Returns how it stands with one kind, counting the workers that may have tasks of a
    /// namespace, or all.
    async fn capability(&self, kind: &str, namespace: Option<&str>) -> Capability {
        let all = self.capabilities_in(namespace).await;
        all.into_iter().find(|it| it.name == kind).unwrap_or_else(|| Capability::named(kind))
    }

    /// Returns how workers are served, if they are.
    pub fn remote(&self) -> Option<&RemoteConfig> {
        self.shared.remote.as_ref()
    }
}

impl RunHandle {
    /// Says why a task is not running (or that it is), counting in the workers that are there.
    /// Nothing if the run has no such task.
    pub async fn why(&self, task: &str) -> Result<Option<Why>, InspectError> {
        let engine = &self.engine;
        let run = crate::inspect::load(&*engine.shared.store, self.id).await?;
        let Some(task) = run.find(task) else { return Ok(None) };
        let mut why = run.why(task, engine.now());
        let kind = run.kind(task).filter(|it| engine.shared.is_remote(it));
        if let (TaskStatus::Ready, Some(kind)) = (why.status, kind) {
            let namespace = namespace(&run.state().created.workflow);
            let mine = engine.capability(kind, Some(namespace)).await;
            let key = run.state().task(task).more.as_ref().and_then(|it| it.key.as_deref());
            why.why = mine.why(key);
            if mine.workers == 0 && engine.capability(kind, None).await.workers > 0 {
                why.why = format!(
                    "no worker with capability `{kind}` that may have tasks of the namespace `{namespace}` is connected"
                );
            }
        }
        Ok(Some(why))
    }
}

fn clipped(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
    }
    message
}
