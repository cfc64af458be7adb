//! The rows that a store keeps. Plain data, no rules.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::time::Millis;

/// Runs hash to shards; an owner leases shards. SQLite has one shard, number 0.
pub type Shard = u16;

/// The right to write a shard. Every batch carries it; a batch with an old epoch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub shard: Shard,
    pub epoch: u64,
}

/// The answer of an inbox entry that was answered together with a decision.
pub const APPLIED: &str = "applied";

/// One decision, made durable as a whole: the record, and every row that changes with it.
#[derive(Clone, Debug)]
pub struct Append {
    pub run: RunId,
    /// How many records the run has before this one. Another number refuses the append.
    pub expected: u64,
    /// The events of one decision, encoded by the core. Opaque here.
    pub record: Vec<u8>,
    /// Set when the run is new, its status changed, or it went idle or woke up.
    pub row: Option<RowChange>,
    /// A parent to wake in the same transaction because this run has ended: if it is idle, its
    /// `wake_at` becomes 0. Otherwise nothing, for its owner has it in memory.
    pub wake: Option<RunId>,
    /// Lines that tasks logged since the last append.
    pub logs: Vec<LogLine>,
    /// A snapshot of the folded state after this record. Disposable.
    pub snapshot: Option<Vec<u8>>,
    /// Values taken out of the record because they are large. Kept once by hash.
    pub payloads: Vec<(Digest, Vec<u8>)>,
    /// Inbox entries that this decision has taken in: their answer becomes [`APPLIED`].
    pub answered: Vec<i64>,
}

impl Append {
    /// An append of nothing but a record.
    pub fn record(run: RunId, expected: u64, record: Vec<u8>) -> Append {
        Append {
            run,
            expected,
            record,
            row: None,
            wake: None,
            logs: Vec::new(),
            snapshot: None,
            payloads: Vec::new(),
            answered: Vec::new(),
        }
    }
}

#[derive(Clone, Debug)]
pub enum RowChange {
    /// The run begins. If `row.key` is taken for the same workflow, the append answers
    /// [`Outcome::Duplicate`] and writes nothing. A row with the same id stays as it is.
    Insert(Box<RunRow>),
    /// Nothing if there is no such row.
    Update(RowUpdate),
}

/// What lists show and what finds a run again after a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    pub id: RunId,
    pub shard: Shard,
    pub workflow: String,
    pub version: String,
    pub definition: Digest,
    /// The idempotency key given at the start; unique within the workflow.
    pub key: Option<String>,
    /// Hash of what was asked with that key: the same key with another body is a conflict.
    pub key_body: Option<Digest>,
    /// `pending`, `running`, … as the core writes it.
    pub status: String,
    pub activity: Activity,
    pub created_at: Millis,
    pub started_at: Option<Millis>,
    pub ended_at: Option<Millis>,
    pub priority: i32,
    /// Who started it.
    pub actor: String,
    pub parent: Option<RunId>,
    /// The evaluated `concurrency.key`.
    pub concurrency_key: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// One line for lists: the error of a failed run, or what it waits for.
    pub summary: Option<String>,
    /// Tasks ended and tasks known, for a progress bar.
    pub done: u32,
    pub total: u32,
}

impl RunRow {
    pub fn apply(&mut self, update: &RowUpdate) {
        let RowUpdate { status, activity, started_at, ended_at, summary, done, total } = update;
        self.status.clone_from(status);
        self.summary.clone_from(summary);
        (self.activity, self.started_at, self.ended_at) = (*activity, *started_at, *ended_at);
        (self.done, self.total) = (*done, *total);
    }
}

/// The fields of a run row that change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowUpdate {
    pub status: String,
    pub activity: Activity,
    pub started_at: Option<Millis>,
    pub ended_at: Option<Millis>,
    pub summary: Option<String>,
    pub done: u32,
    pub total: u32,
}

/// Why the run will go on: the durable pending cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Work is queued or in flight: load it at start-up.
    Active,
    /// Only waits: for a signal, a person, a sub-run, or until `wake_at`.
    Idle { wake_at: Option<Millis> },
    /// Ended.
    Ended,
}

/// What became of one append of a batch. An error of the whole batch is a [`crate::Error`].
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Applied,
    /// The run has another number of records than expected. Nothing of this append was written.
    Conflict {
        actual: u64,
    },
    /// The idempotency key is taken. Nothing of this append was written.
    Duplicate {
        run: RunId,
        body: Option<Digest>,
    },
}

/// Bytes of records after which a page of the journal ends early.
pub const JOURNAL_PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A record with its place in the order of all records, for following.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    pub position: i64,
    pub run: RunId,
    /// Its number within the run, from 0.
    pub seq: u64,
    pub record: Vec<u8>,
}

/// A line that a task wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub run: RunId,
    /// The task's path, such as `reserve[3]`.
    pub task: String,
    pub attempt: u32,
    pub at: Millis,
    /// `info`, `warn`, `error`, `debug`, `stdout` or `stderr`.
    pub stream: String,
    pub text: String,
}

/// A log line with its position among all lines, for following.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLog {
    pub position: i64,
    pub line: LogLine,
}

#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    pub task: Option<String>,
    pub attempt: Option<u32>,
    /// Only lines after this position.
    pub after: i64,
    pub limit: u32,
}

/// A definition as it was deployed: the text is the truth, the plan is made from it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefinitionRow {
    pub hash: Digest,
    pub workflow: String,
    pub version: String,
    pub source: String,
    pub created_at: Millis,
    pub actor: String,
}

/// A command left by another process for the owner of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboxRow {
    pub id: i64,
    pub run: RunId,
    /// The command, encoded by the core. Opaque here.
    pub command: Vec<u8>,
    pub created_at: Millis,
    /// Set by the owner: what became of it.
    pub answer: Option<String>,
}

/// Which runs to list. Newest first.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    pub workflow: Option<String>,
    /// Any of these statuses; all if empty.
    pub statuses: Vec<String>,
    pub key: Option<String>,
    pub parent: Option<RunId>,
    pub labels: BTreeMap<String, String>,
    pub since: Option<Millis>,
    /// Only ids within these bounds, both included (a prefix look-up).
    pub ids: Option<(RunId, RunId)>,
    /// Only runs older than this one: the cursor.
    pub before: Option<RunId>,
    pub limit: u32,
}

/// How it stands with the runs: cheap enough to be asked for every second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Runs that have not ended, by status.
    pub unended: BTreeMap<String, u64>,
    /// Those of them that have something to do. The others wait.
    pub active: u64,
    /// The oldest of them that has not ended.
    pub oldest: Option<RunId>,
    /// Runs created since the instant that was named.
    pub created: u64,
    /// Runs ended since then, by status.
    pub ended: BTreeMap<String, u64>,
    /// How long the last of these took, from creation to end; at most [`TALLY_SAMPLE_MAX`].
    pub took_ms: Vec<u64>,
    /// Bytes of the store, its log included.
    pub bytes: u64,
}

impl Tally {
    /// Returns the duration that so large a share of the sample is not above.
    pub fn took_quantile(&self, share: f64) -> Option<u64> {
        let mut sorted = self.took_ms.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        sorted.get((last as f64 * share).round() as usize).copied()
    }
}

/// Ended runs whose durations are in a [`Tally`].
pub const TALLY_SAMPLE_MAX: u32 = 1000;

/// Sizes and counts, for `store info`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StoreInfo {
    pub backend: String,
    pub location: String,
    pub schema_version: u32,
    pub instance: String,
    pub runs: u64,
    pub runs_by_status: BTreeMap<String, u64>,
    pub records: u64,
    pub payloads: u64,
    pub definitions: u64,
    pub log_lines: u64,
    pub bytes: u64,
    pub wal_bytes: u64,
}

/// One thing that `store verify` found wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Damage {
    pub what: String,
    pub run: Option<RunId>,
    pub hint: String,
}

/// What `gc` may remove.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Ended runs whose end is before this instant go, with journal, logs and snapshots.
    pub ended_before: Millis,
    /// Only runs of this workflow; of all workflows if none is named.
    pub workflow: Option<String>,
    /// Only runs with one of these statuses; all if empty.
    pub statuses: Vec<String>,
    /// Only this run.
    pub run: Option<RunId>,
    /// At most this many runs in one call, so that writers are not held up.
    pub limit: u32,
}

impl Retention {
    /// Whatever ended before an instant.
    pub fn before(ended_before: Millis, limit: u32) -> Retention {
        Retention { ended_before, workflow: None, statuses: Vec::new(), run: None, limit }
    }

    /// One run, if it has ended.
    pub fn only(run: RunId) -> Retention {
        Retention { run: Some(run), ..Retention::before(Millis::MAX, 1) }
    }

    pub(crate) fn covers(&self, row: &RunRow) -> bool {
        row.ended_at.is_some_and(|it| it < self.ended_before)
            && self.workflow.as_ref().is_none_or(|it| *it == row.workflow)
            && (self.statuses.is_empty() || self.statuses.contains(&row.status))
            && self.run.is_none_or(|it| it == row.id)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    pub runs: u64,
    pub records: u64,
    pub payloads: u64,
    pub log_lines: u64,
    pub bytes_freed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_members_of_the_sample() {
        for (sample, share, expected) in [
            (vec![], 0.5, None),
            (vec![7], 0.95, Some(7)),
            (vec![3, 1, 2], 0.5, Some(2)),
            ((1..=10).collect(), 0.95, Some(10)),
        ] {
            let tally = Tally { took_ms: sample, ..Tally::default() };
            assert_eq!(tally.took_quantile(share), expected, "{tally:?} {share}");
        }
    }
}
