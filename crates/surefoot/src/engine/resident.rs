//! A run in memory.

use std::collections::HashMap;
use std::sync::Arc;

use surefoot_core::ids::RunId;
use surefoot_core::queue::{Limit, Place, Request, Slot};
use surefoot_core::run::{Activity, Run, RunStatus, TaskId, Want};
use surefoot_core::time::Millis;
use surefoot_store as store;
use surefoot_store::{RowChange, RowUpdate, RunRow};
use tokio_util::sync::CancellationToken;

use crate::inspect;

/// Records between two snapshots, unless the run has more tasks than that: a snapshot is as large
/// as the run.
const SNAPSHOT_RECORDS_MIN: u64 = 1000;

/// A run and what the loop knows about it.
pub(super) struct Resident {
    pub run: Run,
    pub attempts: HashMap<TaskId, InFlight>,
    /// Slots that were granted to attempts; given back when the attempt has really ended.
    pub slots: HashMap<(TaskId, u32), Slot>,
    /// Ready tasks that are in the queue, and where.
    pub queued: HashMap<TaskId, Place>,
    /// Decisions that are on their way to the store.
    pub unflushed: u32,
    /// The timer that the loop has for this run.
    pub due: Option<Millis>,
    /// What the store's row says.
    row: (RunStatus, store::Activity),
    /// Waits for its concurrency key, so it is not to be loaded at start-up.
    pub held: bool,
    /// Is being taken up, and must not be dropped in the middle of it.
    pub pinned: bool,
    /// A sub-run has ended and this run was not told yet. Until it was, its row must not say that
    /// it only waits: a crash in between would leave nobody to tell it.
    pub owed: bool,
    snapshot_at: u64,
}

/// An attempt that is being made.
pub(super) struct InFlight {
    pub attempt: u32,
    pub cancel: CancellationToken,
}

impl Resident {
    /// A run whose row is in the store.
    pub fn loaded(run: Run, row: &RunRow) -> Resident {
        let status = run.state().status;
        let snapshot_at = run.state().records;
        Resident { snapshot_at, ..Resident::with_row(run, (status, row.activity)) }
    }

    /// A run whose row is written with its first record.
    pub fn new(run: Run, held: bool) -> Resident {
        let never = (RunStatus::Pending, store::Activity::Ended);
        Resident { held, ..Resident::with_row(run, never) }
    }

    fn with_row(run: Run, row: (RunStatus, store::Activity)) -> Resident {
        Resident {
            run,
            attempts: HashMap::new(),
            slots: HashMap::new(),
            queued: HashMap::new(),
            unflushed: 0,
            due: None,
            row,
            held: false,
            pinned: false,
            owed: false,
            snapshot_at: 0,
        }
    }

    fn activity(&mut self) -> store::Activity {
        let status = self.run.state().status;
        match self.run.activity() {
            Activity::Ended => store::Activity::Ended,
            Activity::Active => store::Activity::Active,
            // It wants its turn, and nothing holds it back.
            Activity::Idle(_) if status == RunStatus::Pending && !self.held => {
                store::Activity::Active
            }
            Activity::Idle(_) if self.owed => store::Activity::Active,
            Activity::Idle(wake_at) => store::Activity::Idle { wake_at },
        }
    }

    /// Whether the run only waits and nothing of it is under way here.
    pub fn may_be_dropped(&mut self) -> bool {
        !self.pinned
            && self.unflushed == 0
            && self.attempts.is_empty()
            && self.queued.is_empty()
            && self.slots.is_empty()
            && self.activity() != store::Activity::Active
    }

    /// Returns the first row of a new run.
    pub fn first_row(&mut self, body: Option<surefoot_core::ids::Digest>) -> RowChange {
        self.row = (self.run.state().status, self.activity());
        RowChange::Insert(Box::new(RunRow { key_body: body, ..self.whole_row() }))
    }

    /// Returns the run as lists show it, without what was asked with its key.
    pub fn whole_row(&mut self) -> RunRow {
        let activity = self.activity();
        RunRow { activity, ..inspect::row(&self.run) }
    }

    /// Returns what changes in the row, if its status or its pending cause has changed.
    pub fn row_change(&mut self) -> Option<RowChange> {
        let now = (self.run.state().status, self.activity());
        if now == self.row {
            return None;
        }
        self.row = now;
        let (status, activity) = now;
        let state = self.run.state();
        let (done, total) = state.progress();
        Some(RowChange::Update(RowUpdate {
            status: status.name().to_owned(),
            activity,
            started_at: state.started_at,
            ended_at: state.ended_at,
            summary: inspect::summary(&self.run),
            done,
            total,
        }))
    }

    /// Returns a snapshot if the journal has grown enough since the last one.
    pub fn snapshot(&mut self) -> Option<Vec<u8>> {
        let state = self.run.state();
        let distance = SNAPSHOT_RECORDS_MIN.max(state.tasks.len() as u64);
        if state.records - self.snapshot_at < distance || state.status.is_terminal() {
            return None;
        }
        self.snapshot_at = state.records;
        Some(serde_json::to_vec(state).expect("a state has a text"))
    }
}

/// Turns what the core wants into what the queue understands.
pub(super) fn request(want: &Want<'_>, fairness: u64, remote: bool) -> Request<(RunId, TaskId)> {
    let limit = Limit { at_once: want.limit, rate: want.rate };
    Request {
        item: (want.run, want.task),
        kind: want.kind.to_owned(),
        priority: want.priority,
        fairness,
        key: want.key.map(|it| (it.to_owned(), limit)),
        remote,
        // Asked only by workers elsewhere, who are never given a slot at once.
        namespace: String::new(),
    }
}

/// Requests of one concurrency key, or else of one run, take turns with those of others.
pub(super) fn fairness(run: &Run) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    let created = &run.state().created;
    match &created.concurrency_key {
        Some(key) => key.hash(&mut hasher),
        None => run.id().hash(&mut hasher),
    }
    hasher.finish()
}

/// Shared by what runs beside the loop.
pub(super) type Loaded = Result<(Box<Run>, Box<RunRow>), Arc<super::CommandError>>;
