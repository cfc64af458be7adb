//! The worker protocol, version 1: how a process in any language takes tasks and reports on them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Problem;

/// The version of the protocol that these types are.
pub const PROTOCOL: u32 = 1;

/// A worker says what it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RegisterWorker {
    /// For people; two workers may have one name.
    #[serde(default)]
    pub name: String,
    /// The names that tasks `use` and this worker executes.
    pub capabilities: Vec<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Tasks that it executes at once.
    pub slots: u32,
    pub protocol: u32,
    /// Such as `python/0.1.0`.
    #[serde(default)]
    pub sdk: String,
}

/// A worker is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegisteredWorker {
    pub worker: String,
    pub protocol: u32,
    /// How long a task stays with a worker that is not heard of.
    pub lease_seconds: f64,
    /// How often a worker is to be heard of while it has tasks.
    pub heartbeat_seconds: f64,
    pub poll_seconds_max: u64,
}

/// A worker reports results and asks for tasks. Says that it is alive, with all its leases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// How many tasks it wants now.
    pub slots: u32,
    /// How long it waits for the first.
    #[serde(default)]
    pub wait_seconds: f64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<LeaseResult>,
    /// The leases that it knows of. Where this is said, others are not prolonged, so that a task
    /// whose poll was never answered soon goes to somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holding: Option<Vec<String>>,
}

/// How one task ended: either `output` (which may be null) or `error`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LeaseResult {
    pub lease: String,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskFailure>,
}

/// Tells a null that was sent from nothing at all.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// Why a task failed: what conditions of the definition see as `error`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TaskFailure {
    /// A short name in snake case, such as `declined`.
    #[serde(rename = "type")]
    pub kind: String,
    pub message: String,
    /// False if another attempt cannot help.
    #[serde(default = "yes")]
    pub retryable: bool,
    /// The next attempt waits at least so long.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
    /// More, for people.
    #[serde(default)]
    pub details: Value,
}

fn yes() -> bool {
    true
}

impl TaskFailure {
    /// A failure that another attempt may cure.
    pub fn new(kind: &str, message: impl Into<String>) -> TaskFailure {
        let (kind, message) = (kind.to_owned(), message.into());
        TaskFailure { kind, message, retryable: true, ..TaskFailure::default() }
    }

    /// A failure that no further attempt can cure.
    pub fn fatal(kind: &str, message: impl Into<String>) -> TaskFailure {
        TaskFailure { retryable: false, ..TaskFailure::new(kind, message) }
    }
}

/// What a poll is answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Polled {
    pub tasks: Vec<LeasedTask>,
    /// Leases whose tasks are to end: report what became of them.
    pub cancelled: Vec<String>,
    /// The worker gets no more tasks; it finishes what it has and goes.
    pub drain: bool,
    /// What became of each result, in the order in which they were sent.
    pub results: Vec<ResultStatus>,
}

/// What became of one result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResultStatus {
    pub lease: String,
    /// 200 accepted, 404 never existed, 409 another result was, 410 lost.
    pub status: u16,
    pub problem: Option<Problem>,
}

/// A task in the hands of a worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeasedTask {
    /// Proof that the worker may report on it. A secret.
    pub lease: String,
    pub run: String,
    pub workflow: String,
    pub version: String,
    /// The task's path, such as `reserve[3]`.
    pub task: String,
    /// The capability that it needs.
    pub uses: String,
    /// Counts from 1.
    pub attempt: u32,
    pub input: Value,
    /// The same for every attempt of this task: hand it on, so that a repeated attempt has one
    /// effect.
    pub idempotency_key: String,
    /// Who started the run.
    pub actor: String,
    /// When the engine gives up on the attempt.
    pub deadline: Option<String>,
    pub lease_expires_in_ms: u64,
    /// Where in a trace the attempt stands (W3C Trace Context): hand it to whatever it calls.
    pub traceparent: Option<String>,
    /// What tracing systems want handed on with `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
}

/// A sign of life of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<WorkerLog>,
}

/// A line that a task wrote.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkerLog {
    /// `debug`, `info`, `warn`, `error`, `stdout` or `stderr`.
    pub level: String,
    pub text: String,
}

/// What a heartbeat is answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeartbeatAnswer {
    /// The task is to end: report what became of it.
    pub cancel: bool,
    pub lease_expires_in_ms: u64,
}

/// A task is done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CompleteTask {
    pub output: Value,
}

/// A task has failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FailTask {
    pub error: TaskFailure,
}

/// The attempt that a result was accepted for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettledTask {
    pub run: String,
    pub task: String,
    pub attempt: u32,
}

/// A worker, for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Worker {
    pub id: String,
    pub name: String,
    /// `connected`, `draining` or `lost`.
    pub status: String,
    pub capabilities: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub slots: u32,
    pub sdk: String,
    /// Whose token it has.
    pub actor: String,
    pub registered_at: String,
    /// When it was last heard of.
    pub heard_at: String,
    /// What it executes now.
    pub tasks: Vec<WorkerTask>,
}

/// What a worker executes now, for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerTask {
    pub run: String,
    pub workflow: String,
    pub task: String,
    pub uses: String,
    pub attempt: u32,
    pub since: String,
    /// As its worker said last.
    pub progress: Option<f64>,
    pub message: Option<String>,
    /// It was asked to end.
    pub cancelled: bool,
}

/// How it stands with one capability.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CapabilityState {
    pub capability: String,
    /// Tasks that wait for a worker.
    pub waiting: u64,
    /// How long the oldest of them has waited.
    pub oldest_seconds: f64,
    /// Tasks that workers execute.
    pub running: u64,
    /// Workers that are there.
    pub workers: u32,
    /// Tasks that they ask for now.
    pub asked: u32,
}
