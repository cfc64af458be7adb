//! The trait that every backend implements. Each doc comment is a promise; `conformance` has a
//! named check for each.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::time::Millis;

use crate::item::{Item, ItemConflict, ItemWrite};
use crate::row::*;

pub type Result<T> = std::result::Result<T, Error>;

/// The outcome of something that was handed over when the method was called, not when this is
/// first polled. Borrows nothing, so that it can be awaited by another task. Dropping it does not
/// take the request back.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// What can go wrong below a store call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The write may or may not have happened: give up the ownership, re-read, decide again.
    #[error("the outcome of a write to {location} is unknown: {reason}")]
    Unknown { location: String, reason: String },
    /// The call did nothing and would do nothing if it were repeated now.
    #[error("{location} is not available: {reason}")]
    Unavailable { location: String, reason: String, hint: String },
    /// Whoever guards it does not let the caller in; `is_known` says whether it knows them.
    #[error("{location} refuses: {reason}")]
    Forbidden { location: String, reason: String, hint: String, is_known: bool },
    /// Another owner has taken the shard since.
    #[error("shard {shard} is at epoch {actual}, this process holds epoch {held}")]
    Fenced { shard: Shard, held: u64, actual: u64 },
    /// Another process holds the store.
    #[error("{location} is in use by process {pid} ({program}) since {since}")]
    Locked { location: String, pid: u32, program: String, since: String },
    /// The file is not a Surefoot store, or one from a newer version.
    #[error("{location} cannot be opened: {reason}")]
    Unusable { location: String, reason: String, hint: String },
    /// A request is beyond a limit. Nothing was done.
    #[error("{what} is {actual} and may be at most {limit}")]
    TooLarge { what: String, actual: usize, limit: usize },
    /// What is stored contradicts itself.
    #[error("{location} is damaged: {reason}")]
    Damaged { location: String, reason: String },
}

/// Keeps runs. All methods may be called from many tasks at once.
#[async_trait]
pub trait Store: Send + Sync {
    /// Takes the shard: from now on only batches with the returned epoch are accepted, whoever
    /// held it before. Epochs only grow.
    async fn claim(&self, shard: Shard) -> Result<Owner>;

    /// Appends each decision as a whole or not at all; the decisions of a batch are independent
    /// of each other. When this returns, what was applied survives a crash of machine and process.
    /// Batches take effect in the order in which this method was called (not awaited), so an owner
    /// may hand over record n+1 of a run before n is durable. If n fails, n+1 is a conflict.
    /// A full queue answers [`Error::Unavailable`] at once. The batch is shared, because an owner
    /// keeps it to ask again and to know what the outcomes are of.
    fn append(&self, owner: Owner, batch: Arc<[Append]>) -> Pending<Vec<Outcome>>;

    /// Returns the newest snapshot (the number of records that it folds, and its bytes), if any,
    /// and every record after it, oldest first. Empty for a run that was never written.
    async fn load(&self, run: RunId) -> Result<Loaded>;

    /// Returns the records from `from` on, oldest first, at most `limit`, snapshots ignored.
    async fn records(&self, run: RunId, from: u64, limit: u32) -> Result<Vec<Vec<u8>>>;

    /// Returns the records of all runs after a position, in the order in which they became durable,
    /// at most `limit`; fewer if they are large, and none only at the end. Positions ascend, and
    /// none is given twice. Nothing is ever put before what has been read: a reader that goes on
    /// from its last position misses nothing but what `gc` removed.
    async fn journal(&self, after: i64, limit: u32) -> Result<Vec<JournalEntry>>;

    /// Returns the newest position that was ever given; 0 if none was.
    async fn journal_end(&self) -> Result<i64>;

    /// Returns the newest position whose record `gc` has removed: 0 if it removed none. A reader
    /// that has come as far has missed nothing.
    async fn journal_removed(&self) -> Result<i64>;

    async fn run(&self, run: RunId) -> Result<Option<RunRow>>;

    /// Returns rows newest first. What a returned append wrote is always seen: no lagging index.
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>>;

    /// Counts runs: those that have not ended, and those created and ended since an instant.
    async fn tally(&self, since: Millis) -> Result<Tally>;

    /// Returns the ids of active runs of the shard, oldest first: what a new owner must load.
    async fn active(&self, shard: Shard, after: Option<RunId>, limit: u32) -> Result<Vec<RunId>>;

    /// Returns idle runs whose `wake_at` is at or before `until`, soonest first.
    async fn due(&self, shard: Shard, until: Millis, limit: u32) -> Result<Vec<(Millis, RunId)>>;

    /// Returns the earliest `wake_at` of idle runs that is later than `after`.
    async fn next_wake(&self, shard: Shard, after: Millis) -> Result<Option<Millis>>;

    /// Returns unended runs that have a concurrency key, oldest first.
    async fn keyed(&self, shard: Shard) -> Result<Vec<RunRow>>;

    /// Keeps a definition. The same hash again is the same definition. Another hash under the
    /// same workflow and version is refused with the hash that is there.
    async fn put_definition(&self, row: &DefinitionRow) -> Result<std::result::Result<(), Digest>>;
    async fn definition(&self, hash: Digest) -> Result<Option<DefinitionRow>>;
    /// Returns every kept version of a workflow, newest first; of all workflows if none is named.
    async fn definitions(&self, workflow: Option<&str>) -> Result<Vec<DefinitionRow>>;

    async fn payload(&self, hash: Digest) -> Result<Option<Vec<u8>>>;

    async fn logs(&self, run: RunId, filter: &LogFilter) -> Result<Vec<StoredLog>>;
    /// Returns log lines of all runs after a position, at most `limit`. Positions are as in
    /// [`Store::journal`].
    async fn all_logs(&self, after: i64, limit: u32) -> Result<Vec<StoredLog>>;
    async fn logs_end(&self) -> Result<i64>;
    /// Keeps log lines apart from a decision. They are ordered with the batches.
    fn append_logs(&self, owner: Owner, lines: Vec<LogLine>) -> Pending<()>;

    /// Leaves a command for the owner. May be called by a process that owns nothing. Returns the
    /// entry's id.
    async fn post(&self, run: RunId, command: Vec<u8>, now: Millis) -> Result<i64>;
    /// Returns unanswered entries, oldest first.
    async fn inbox(&self, after: i64, limit: u32) -> Result<Vec<InboxRow>>;
    /// Answers entries. An entry that has an answer keeps it.
    async fn answer(&self, owner: Owner, entries: Vec<(i64, String)>) -> Result<()>;
    /// Returns the answer once there is one.
    async fn answered(&self, entry: i64) -> Result<Option<String>>;

    async fn item(&self, collection: &str, key: &str) -> Result<Option<Item>>;
    /// Returns the items of a collection after a key, ascending by the bytes of their keys.
    async fn items(&self, collection: &str, after: Option<&str>, limit: u32) -> Result<Vec<Item>>;
    /// Carries out all writes in their order, or none: then the first whose expectation does not
    /// hold is named. Returns the new revisions, 0 for what was removed. When this returns, they
    /// survive a crash of machine and process. Needs no owner: revisions guard items.
    async fn write_items(
        &self,
        writes: Vec<ItemWrite>,
    ) -> Result<std::result::Result<Vec<u64>, ItemConflict>>;

    async fn info(&self) -> Result<StoreInfo>;
    /// Checks everything that can be checked: the file, the checksums of records and payloads,
    /// gaps in journals, rows without journal, unended runs that no owner would ever load.
    async fn verify(&self) -> Result<Vec<Damage>>;
    /// Copies a consistent image to `path` while writers go on.
    async fn backup(&self, path: &std::path::Path) -> Result<()>;
    /// Removes ended runs, each with everything that is kept of it alone: journal, payloads, logs.
    /// What was removed cannot be read from the disk either, unless a reader of the store was in
    /// the way; then the next call makes up for it.
    async fn gc(&self, retention: &Retention) -> Result<Collected>;

    /// Makes everything durable, checkpoints, and gives the lock back. Idempotent.
    async fn close(&self) -> Result<()>;
}

/// What is needed to fold a run's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    pub snapshot: Option<(u64, Vec<u8>)>,
    pub records: Vec<Vec<u8>>,
}

impl Loaded {
    /// Returns how many records the run has.
    pub fn len(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |(count, _)| *count) + self.records.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
