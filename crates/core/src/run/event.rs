//! What has happened. Events are facts: they carry every time, choice and value that the fold
//! needs, so that folding them asks nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::payload::Payload;
use super::status::RunStatus;
use crate::ids::{Digest, RunId};
use crate::join::SkipCause;
use crate::task_error::TaskError;
use crate::time::Millis;

/// The format of records that this version writes. Older ones are read.
pub const RECORD_FORMAT: u16 = 1;

/// One decision: everything that one command changed. Stored as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Format of the record.
    pub v: u16,
    pub at: Millis,
    /// Who asked, where a person or a program did; empty for the engine's own decisions.
    #[serde(default, skip_serializing_if = "By::is_engine")]
    pub by: By,
    pub events: Vec<Event>,
}

/// Who did it, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl By {
    /// The engine itself: a timer, a result, a recovery.
    pub fn engine() -> By {
        By::default()
    }

    pub fn actor(actor: &str) -> By {
        By { actor: actor.to_owned(), reason: None }
    }

    pub fn is_engine(&self) -> bool {
        self.actor.is_empty() && self.reason.is_none()
    }
}

/// A task of a run: its place in the run's list. A task of a definition may have many (items of a
/// `for_each`); a state has one, however often it is visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub u32);

/// A composite that was entered: its place in the run's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeId(pub u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    Created(Box<Created>),
    /// The run has its turn. `due` is the end of the workflow's time-out.
    Started {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Millis>,
    },
    /// A composite is entered; its tasks take the places from `first` on.
    Opened {
        scope: ScopeId,
        kind: ScopeKind,
        composite: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<TaskId>,
        first: u32,
        len: u32,
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        vars: Map<String, Value>,
    },
    /// A `for_each` is entered: one task for each item.
    Mapped {
        scope: ScopeId,
        owner: TaskId,
        first: u32,
        items: Payload,
    },
    /// A task waits for a slot.
    Queued {
        task: TaskId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Millis>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total_due: Option<Millis>,
        /// The evaluated concurrency key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// An attempt is handed out.
    Dispatched {
        task: TaskId,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Millis>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total_due: Option<Millis>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// The worker that has it; nothing for the owner's own process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        worker: Option<Arc<str>>,
    },
    /// A task that waits instead of working, or a composite whose tasks now run.
    Waiting {
        task: TaskId,
        wait: Wait,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Millis>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total_due: Option<Millis>,
    },
    /// A composite task runs: its tasks are opened by another event.
    Entered {
        task: TaskId,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Millis>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total_due: Option<Millis>,
    },
    Completed {
        task: TaskId,
        output: Payload,
        /// There is something to undo.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
    },
    /// The attempt failed; the next one starts at `at`.
    Retrying {
        task: TaskId,
        attempt: u32,
        error: TaskError,
        at: Millis,
    },
    /// The task failed for good.
    Failed {
        task: TaskId,
        error: TaskError,
        /// Something downstream accepts it, or `on_failure: continue`.
        #[serde(default, skip_serializing_if = "is_false")]
        accepted: bool,
    },
    /// Whoever had the attempt is gone. It does not count against the retry policy.
    Lost {
        task: TaskId,
        attempt: u32,
        reason: String,
    },
    Skipped {
        task: TaskId,
        cause: SkipCause,
    },
    /// A running attempt is asked to end until `due`.
    Cancelling {
        task: TaskId,
        due: Millis,
    },
    Cancelled {
        task: TaskId,
    },
    /// Nothing new starts in the scope: its pending tasks are skipped, its waiting ones cancelled.
    Stopped {
        scope: ScopeId,
        cause: StopCause,
    },
    /// A machine went from one state to another (from none at its start).
    Moved {
        scope: ScopeId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<u32>,
        to: u32,
        /// The event, `done`, `failed`, or `after 72h`; nothing at the start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on: Option<String>,
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        set: Map<String, Value>,
        /// When each `after` of the new state is due.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        after: Vec<Millis>,
    },
    /// An `after` of the current state came due and no guard of it was true.
    Elapsed {
        scope: ScopeId,
        at: Millis,
    },
    /// The time of a composite (or of the run, if no task is named) is up: its tasks are stopped,
    /// and it fails with `error` when they have ended.
    Expired {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<TaskId>,
        error: TaskError,
    },
    /// A signal arrived and waits for who wants it.
    Signalled {
        id: u32,
        name: String,
        data: Payload,
        actor: String,
    },
    /// A task took the signal.
    Consumed {
        id: u32,
        task: TaskId,
    },
    Voted {
        task: TaskId,
        vote: Vote,
    },
    /// Nobody has decided an approval in time: these may from now on, beside those who might before.
    Escalated {
        task: TaskId,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        users: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
    },
    Paused,
    /// `stood_still_ms`: how far the timers that stand still during a pause are moved.
    Resumed {
        stood_still_ms: u64,
    },
    /// Somebody asked for the end.
    CancelAsked {
        /// When the clean-up is cut off.
        due: Millis,
    },
    /// The main part is over.
    Concluded {
        outcome: RunStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Box<RunError>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Payload>,
    },
    /// The undoing of a task begins.
    Undoing {
        task: TaskId,
    },
    /// The undoing has ended, well or not.
    Undone {
        task: TaskId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<TaskError>,
    },
    /// The run is over. Whatever had not ended is cancelled.
    Ended {
        status: RunStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Box<RunError>>,
    },
    /// Tasks go back to the start; composites around them run again.
    Reset {
        tasks: Vec<TaskId>,
        reopened: Vec<TaskId>,
        scopes: Vec<ScopeId>,
        /// Set by a rewind: the effect is wanted again, so the idempotency key changes.
        #[serde(default, skip_serializing_if = "is_false")]
        redo: bool,
    },
    /// The sub-run of a task is no longer waited for: it is to end, and what it gives no longer
    /// counts.
    ChildLeft {
        task: TaskId,
        run: RunId,
    },
    /// A sub-run that was no longer waited for has ended.
    ChildGone {
        task: TaskId,
        run: RunId,
    },
    /// A result taken over from another run (a fork), or set by hand.
    Given {
        task: TaskId,
        output: Payload,
    },
}

/// Everything that is known when a run begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Created {
    pub workflow: String,
    pub version: String,
    pub definition: Digest,
    pub input: Payload,
    /// Who started it.
    pub actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub priority: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_key: Option<String>,
    /// Results taken over from another run, by task id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<Fork>,
    /// Where in a trace the start was asked for, as W3C Trace Context writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What tracing systems told each other there; handed on as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    pub run: RunId,
    pub task: TaskId,
    pub attempt: u32,
    /// 1 for the sub-run of a run that has no parent.
    pub depth: u32,
    /// False: the parent did not wait.
    pub awaited: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fork {
    pub run: RunId,
    pub results: BTreeMap<String, Payload>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    Graph,
    Machine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    Failed,
    Cancelled,
}

/// What a waiting task waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// Until `due`.
    Time {
        /// The rest stands still while the run is paused.
        #[serde(default, skip_serializing_if = "is_false")]
        stands_still: bool,
    },
    Signal {
        name: String,
        /// What happens at `due`: fail, or go on without.
        fail_on_timeout: bool,
    },
    Approval(Box<Approval>),
    /// An event of the machine whose state this is.
    Event,
    Child {
        run: RunId,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    pub prompt: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Approving votes that are needed.
    pub quorum: u32,
    /// Who started the run may not vote.
    pub deny_self: bool,
    /// JSON Schema of the data that a vote brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Value>,
    pub on_timeout: OnTimeout,
    /// A refusal completes the task instead of failing it.
    pub reject_completes: bool,
    /// Who is asked as well if nobody has decided until then, the earliest first; what has come is
    /// taken off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate: Vec<Escalation>,
    /// When the last of these came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated_at: Option<Millis>,
}

impl Approval {
    /// Whether anybody may decide.
    pub fn is_open(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }
}

/// People who are asked later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    pub at: Millis,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    Reject,
    Approve,
    #[default]
    Fail,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    pub actor: String,
    pub approve: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
    pub at: Millis,
}

/// Why a run failed or was cancelled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunError {
    /// Path of the task that failed, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    pub error: TaskError,
    /// Tasks whose compensation failed: somebody must look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_undone: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it by reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Record {
    /// Encodes the record for the store; large values come out beside it, to be kept by hash. The
    /// record itself is the same afterwards.
    pub fn encode(&mut self) -> (Vec<u8>, Vec<(Digest, Vec<u8>)>) {
        let (mut kept, mut values) = (Vec::new(), BTreeMap::new());
        for payload in self.events.iter_mut().flat_map(Event::payloads_mut) {
            if let Some((digest, bytes, value)) = payload.take_large() {
                kept.push((digest, bytes));
                values.insert(digest, value);
            }
        }
        let bytes = serde_json::to_vec(self).expect("a record has a text");
        if !values.is_empty() {
            self.resolve(&values);
        }
        (bytes, kept)
    }

    /// Reads a record. [`Record::kept`] says which values must be fetched before it is folded.
    pub fn decode(bytes: &[u8]) -> Result<Record, InvalidRecord> {
        let record: Record = serde_json::from_slice(bytes)
            .map_err(|error| InvalidRecord { reason: error.to_string() })?;
        if record.v > RECORD_FORMAT {
            let reason = format!("format {} is newer than {RECORD_FORMAT}", record.v);
            return Err(InvalidRecord { reason });
        }
        Ok(record)
    }

    pub fn kept(&mut self) -> Vec<Digest> {
        let payloads = self.events.iter_mut().flat_map(Event::payloads_mut);
        payloads
            .filter_map(|it| match it {
                Payload::Kept(digest) => Some(*digest),
                Payload::Inline(_) => None,
            })
            .collect()
    }

    /// Puts fetched values back into their places.
    pub fn resolve(&mut self, fetched: &BTreeMap<Digest, Arc<Value>>) {
        for payload in self.events.iter_mut().flat_map(Event::payloads_mut) {
            if let Payload::Kept(digest) = payload
                && let Some(value) = fetched.get(digest)
            {
                *payload = Payload::Inline(value.clone());
            }
        }
    }
}

/// A record that this version cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read a journal record: {reason}")]
pub struct InvalidRecord {
    pub reason: String,
}

impl Event {
    /// Every event is listed, so that a new one with a value is not forgotten here.
    fn payloads_mut(&mut self) -> Vec<&mut Payload> {
        match self {
            Event::Created(created) => {
                let forked = created.fork.iter_mut().flat_map(|fork| fork.results.values_mut());
                std::iter::once(&mut created.input).chain(forked).collect()
            }
            Event::Mapped { items, .. } => vec![items],
            Event::Completed { output, .. } | Event::Given { output, .. } => vec![output],
            Event::Signalled { data, .. } => vec![data],
            Event::Concluded { output, .. } => output.iter_mut().collect(),
            Event::Started { .. }
            | Event::Opened { .. }
            | Event::Queued { .. }
            | Event::Dispatched { .. }
            | Event::Waiting { .. }
            | Event::Entered { .. }
            | Event::Retrying { .. }
            | Event::Failed { .. }
            | Event::Lost { .. }
            | Event::Skipped { .. }
            | Event::Cancelling { .. }
            | Event::Cancelled { .. }
            | Event::Stopped { .. }
            | Event::Moved { .. }
            | Event::Elapsed { .. }
            | Event::Expired { .. }
            | Event::Consumed { .. }
            | Event::Voted { .. }
            | Event::Escalated { .. }
            | Event::Paused
            | Event::Resumed { .. }
            | Event::CancelAsked { .. }
            | Event::Undoing { .. }
            | Event::Undone { .. }
            | Event::Ended { .. }
            | Event::Reset { .. }
            | Event::ChildLeft { .. }
            | Event::ChildGone { .. } => Vec::new(),
        }
    }
}
