//! What callers ask of the engine and what they are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::limits::{LABELS_MAX, Limits};
use surefoot_core::plan::Plan;
use surefoot_core::run::{
    By, Command, Created, Fork, Parent, Payload, Record, Refusal, Run, RunError, RunState,
    RunStatus, TaskStatus, size,
};
use surefoot_core::schema::Violation;
use surefoot_core::trace::TraceContext;
use surefoot_store::{LogLine, RunRow};

use super::shard::NewRun;
use crate::inspect::InspectError;

/// Asks for a run.
///
/// ```
/// use surefoot::StartRequest;
/// let request = StartRequest::new("order_processing")
///     .input(serde_json::json!({"order_id": "o-1"}))
///     .key("o-1")
///     .label("region", "eu");
/// assert_eq!(request.key.as_deref(), Some("o-1"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StartRequest {
    pub workflow: String,
    /// The newest version if none is named.
    pub version: Option<String>,
    pub input: Value,
    /// Starting twice with one key starts once.
    pub key: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// Over the definition's; higher goes first.
    pub priority: Option<i32>,
    /// Who asks.
    pub actor: String,
    /// Where in a trace it is asked, as W3C Trace Context writes it. What is not valid is ignored.
    pub traceparent: Option<String>,
    /// What goes with it, for tracing systems. Without a valid `traceparent` it is ignored.
    pub tracestate: Option<String>,
}

impl StartRequest {
    pub fn new(workflow: &str) -> StartRequest {
        let actor = "program".to_owned();
        StartRequest { workflow: workflow.to_owned(), actor, ..StartRequest::default() }
    }

    pub fn version(self, version: &str) -> StartRequest {
        StartRequest { version: Some(version.to_owned()), ..self }
    }

    pub fn input(self, input: Value) -> StartRequest {
        StartRequest { input, ..self }
    }

    pub fn key(self, key: &str) -> StartRequest {
        StartRequest { key: Some(key.to_owned()), ..self }
    }

    pub fn label(mut self, name: &str, value: &str) -> StartRequest {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn priority(self, priority: i32) -> StartRequest {
        StartRequest { priority: Some(priority), ..self }
    }

    pub fn actor(self, actor: &str) -> StartRequest {
        StartRequest { actor: actor.to_owned(), ..self }
    }

    /// Makes the run part of the caller's trace.
    pub fn traceparent(self, traceparent: Option<&str>) -> StartRequest {
        StartRequest { traceparent: traceparent.map(str::to_owned), ..self }
    }

    /// Says what tracing systems hand on beside `traceparent`.
    pub fn tracestate(self, tracestate: Option<&str>) -> StartRequest {
        StartRequest { tracestate: tracestate.map(str::to_owned), ..self }
    }

    pub(super) fn check(&self, plan: &Plan, limits: &Limits) -> Result<(), StartError> {
        let bytes = size(&self.input, limits.payload_bytes + 1);
        if bytes > limits.payload_bytes {
            let (what, limit) = ("the input's size in bytes", limits.payload_bytes);
            return Err(StartError::Limit { what: what.to_owned(), actual: bytes, limit });
        }
        if self.labels.len() > LABELS_MAX {
            let (actual, limit) = (self.labels.len(), LABELS_MAX);
            return Err(StartError::Limit {
                what: "the number of labels".to_owned(),
                actual,
                limit,
            });
        }
        plan.check_input(&self.input).map_err(|violations| StartError::InvalidInput {
            workflow: plan.workflow.clone(),
            violations,
        })
    }

    pub(super) fn into_new_run(
        self,
        id: RunId,
        plan: Arc<Plan>,
        parent: Option<Parent>,
    ) -> Result<NewRun, StartError> {
        let body = self.key.as_ref().map(|_| {
            let asked = serde_json::json!([self.workflow, self.version, self.input]);
            Digest::of(asked.to_string().as_bytes())
        });
        let concurrency_key = plan
            .concurrency_key(&self.input)
            .map_err(|error| StartError::ConcurrencyKey { reason: error.to_string() })?;
        let trace = TraceContext::read(self.traceparent.as_deref(), self.tracestate.as_deref());
        let mut labels = plan.labels.clone();
        labels.extend(self.labels);
        let created = Created {
            workflow: plan.workflow.clone(),
            version: plan.version.clone(),
            definition: plan.hash,
            input: Payload::new(self.input),
            actor: self.actor,
            key: self.key,
            labels,
            priority: self.priority.unwrap_or(plan.priority),
            parent,
            concurrency_key,
            fork: None,
            traceparent: trace.traceparent,
            tracestate: trace.tracestate,
        };
        Ok(NewRun { id, plan, created, body })
    }
}

/// Asks for a new run with results of an old one.
#[derive(Clone, Debug, Default)]
pub struct ForkRequest {
    /// This task and all behind it run again; nothing takes over every result that there is.
    pub from: Option<String>,
    /// Instead of the old input.
    pub input: Option<Value>,
    pub version: Option<String>,
    pub actor: String,
}

impl ForkRequest {
    pub(super) fn apply(self, old: &Run) -> Result<(StartRequest, Fork), StartError> {
        let state = old.state();
        let behind = match &self.from {
            Some(from) => old.behind(from).ok_or_else(|| StartError::Fork {
                reason: format!("the run has no task `{from}` at its top level"),
            })?,
            None => Vec::new(),
        };
        let kept = state
            .children_of_root()
            .filter(|it| state.task(*it).status == TaskStatus::Completed && !behind.contains(it));
        let results = kept
            .filter_map(|it| {
                let output = state.task(it).output.clone()?;
                Some((old.node(it).id.to_string(), Payload::Inline(output)))
            })
            .collect();
        let request = StartRequest {
            workflow: state.created.workflow.clone(),
            version: self.version.or_else(|| Some(state.created.version.clone())),
            input: self.input.unwrap_or_else(|| (**state.created.input.value()).clone()),
            key: None,
            labels: state.created.labels.clone(),
            priority: Some(state.created.priority),
            actor: self.actor,
            traceparent: None,
            tracestate: None,
        };
        Ok((request, Fork { run: state.id, results }))
    }
}

/// A run as it was when something about it became durable.
#[derive(Clone, Debug)]
pub struct RunView {
    pub row: RunRow,
    pub status: RunStatus,
    pub input: Arc<Value>,
    pub output: Option<Arc<Value>>,
    pub error: Option<RunError>,
}

impl RunView {
    pub(crate) fn of(state: &RunState, row: RunRow) -> RunView {
        RunView {
            row,
            status: state.status,
            input: state.created.input.value().clone(),
            output: state.output.clone(),
            error: state.error.as_deref().cloned(),
        }
    }

    /// Leaves out what was decided since and may not be durable yet.
    pub(super) fn after_first_record(self, status: RunStatus) -> RunView {
        match status.is_terminal() {
            true => self,
            false => RunView { status, output: None, error: None, ..self },
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunOutcome {
    pub run: RunId,
    pub status: RunStatus,
    pub output: Value,
    pub error: Option<RunError>,
    /// From creation to end, in milliseconds.
    pub took_ms: u64,
}

impl From<RunView> for RunOutcome {
    fn from(view: RunView) -> RunOutcome {
        let RunView { row, status, output, error, .. } = view;
        let took_ms = row.ended_at.unwrap_or(row.created_at).saturating_sub(row.created_at);
        let output = output.map(Arc::unwrap_or_clone).unwrap_or_default();
        RunOutcome { run: row.id, status, output, error, took_ms }
    }
}

/// Why a run was not started.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    #[error("there is no workflow `{name}`")]
    UnknownWorkflow { name: String, known: Vec<String> },
    #[error("workflow `{workflow}` has no version `{version}`")]
    UnknownVersion { workflow: String, version: String, known: Vec<String> },
    #[error("the input of `{workflow}` is not valid: {}", listed(violations))]
    InvalidInput { workflow: String, violations: Vec<Violation> },
    #[error("nothing here can run {}", names.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", "))]
    MissingHandlers { names: Vec<String>, known: Vec<String> },
    #[error("key `{key}` was used for run {run} with another request")]
    KeyConflict { key: String, run: RunId },
    #[error("{what} is {actual} and may be at most {limit}")]
    Limit { what: String, actual: usize, limit: usize },
    #[error("the concurrency key cannot be evaluated: {reason}")]
    ConcurrencyKey { reason: String },
    #[error("cannot fork: {reason}")]
    Fork { reason: String },
    #[error("the stored definition of `{workflow}` no longer passes the check: {reason}")]
    Definition { workflow: String, reason: String },
    #[error(transparent)]
    Store(#[from] surefoot_store::Error),
    #[error("the engine is stopping")]
    Stopping,
}

impl StartError {
    /// Whether the same start may succeed later, with nothing changed by the caller.
    pub fn may_pass(&self) -> bool {
        match self {
            StartError::Store(_) | StartError::Stopping => true,
            StartError::Limit { what, .. } => what.contains("resident_runs"),
            _ => false,
        }
    }
}

fn listed(violations: &[Violation]) -> String {
    let all = violations.iter().map(|it| {
        let place = if it.pointer.is_empty() { "the whole" } else { &it.pointer };
        format!("{place}: {}", it.message)
    });
    all.collect::<Vec<_>>().join("; ")
}

/// Why a command was not carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommandError {
    #[error("there is no run {0}")]
    NotFound(RunId),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("run {run} cannot be loaded: {reason}")]
    Unreadable { run: RunId, reason: String },
    #[error(transparent)]
    Store(#[from] surefoot_store::Error),
    #[error("the engine is stopping")]
    Stopping,
}

impl From<InspectError> for CommandError {
    fn from(error: InspectError) -> CommandError {
        match error {
            InspectError::NotFound(run) => CommandError::NotFound(run),
            InspectError::Store(error) => CommandError::Store(error),
            InspectError::Unreadable { run, reason } => CommandError::Unreadable { run, reason },
        }
    }
}

/// What has just become durable, or was just logged.
#[derive(Clone, Debug)]
pub enum Update {
    Record { run: RunId, record: Arc<Record>, status: RunStatus },
    Log(LogLine),
}

/// A request that another process left for the owner of the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inbox {
    Command {
        command: Command,
        by: By,
    },
    /// `source` is deployed first, if it is given. The run's id is that of the inbox entry.
    Start {
        source: Option<String>,
        request: StartRequest,
    },
}

/// What the engine has done since it was opened, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Runs in memory.
    pub runs_resident: u64,
    pub runs_started: u64,
    pub runs_ended: u64,
    pub records: u64,
    pub attempts_started: u64,
    pub attempts_in_flight: u64,
    pub attempts_queued: u64,
    /// Results of attempts that no longer held their task.
    pub results_refused: u64,
    /// Leases whose workers were not heard of in time.
    pub leases_expired: u64,
    pub log_lines_dropped: u64,
}

/// The same, while it changes.
#[derive(Default)]
pub(crate) struct Counters {
    pub runs_resident: AtomicU64,
    pub runs_started: AtomicU64,
    pub runs_ended: AtomicU64,
    pub records: AtomicU64,
    pub attempts_started: AtomicU64,
    pub attempts_in_flight: AtomicU64,
    pub attempts_queued: AtomicU64,
    pub results_refused: AtomicU64,
    pub leases_expired: AtomicU64,
    pub log_lines_dropped: AtomicU64,
}

impl Counters {
    pub fn read(&self) -> Statistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            runs_resident: read(&self.runs_resident),
            runs_started: read(&self.runs_started),
            runs_ended: read(&self.runs_ended),
            records: read(&self.records),
            attempts_started: read(&self.attempts_started),
            attempts_in_flight: read(&self.attempts_in_flight),
            attempts_queued: read(&self.attempts_queued),
            results_refused: read(&self.results_refused),
            leases_expired: read(&self.leases_expired),
            log_lines_dropped: read(&self.log_lines_dropped),
        }
    }
}
