//! Keeps runs in memory, for tests and simulations. Nothing survives the value, and nothing ever
//! fails; [`crate::fault`] adds failures.

mod items;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::time::Millis;

use self::items::{Items, Order};
use crate::row::*;
use crate::{Error, Item, ItemConflict, ItemWrite, Loaded, Pending, Result, Store};

const LOCATION: &str = "memory";

#[derive(Default)]
pub struct MemoryStore(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    epochs: BTreeMap<Shard, u64>,
    journals: HashMap<RunId, Vec<Vec<u8>>>,
    order: Order,
    rows: BTreeMap<RunId, RunRow>,
    /// By workflow and idempotency key.
    keys: HashMap<(String, String), RunId>,
    snapshots: HashMap<RunId, (u64, Vec<u8>)>,
    payloads: HashMap<Digest, Vec<u8>>,
    payload_refs: BTreeSet<(RunId, Digest)>,
    /// In the order in which they came.
    definitions: Vec<DefinitionRow>,
    logs: Vec<StoredLog>,
    last_log: i64,
    /// Where the newest removed record stood.
    removed: i64,
    inbox: BTreeMap<i64, InboxRow>,
    last_entry: i64,
    items: Items,
}

impl MemoryStore {
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().expect("nobody panics while holding the lock")
    }
}

/// The change is made when the method is called; the future only carries the answer.
fn ready<T: Send + 'static>(result: Result<T>) -> Pending<T> {
    Box::pin(std::future::ready(result))
}

#[async_trait]
impl Store for MemoryStore {
    async fn claim(&self, shard: Shard) -> Result<Owner> {
        let mut kept = self.kept();
        let epoch = kept.epochs.entry(shard).or_default();
        *epoch += 1;
        Ok(Owner { shard, epoch: *epoch })
    }

    fn append(&self, owner: Owner, batch: Arc<[Append]>) -> Pending<Vec<Outcome>> {
        let mut kept = self.kept();
        let outcomes = kept
            .check(owner)
            .map(|()| batch.iter().map(|append| kept.append(append.clone())).collect());
        ready(outcomes)
    }

    async fn load(&self, run: RunId) -> Result<Loaded> {
        let kept = self.kept();
        let snapshot = kept.snapshots.get(&run).cloned();
        let from = snapshot.as_ref().map_or(0, |(records, _)| *records);
        Ok(Loaded { snapshot, records: kept.records(run, from, u32::MAX) })
    }

    async fn records(&self, run: RunId, from: u64, limit: u32) -> Result<Vec<Vec<u8>>> {
        Ok(self.kept().records(run, from, limit))
    }

    async fn journal(&self, after: i64, limit: u32) -> Result<Vec<JournalEntry>> {
        let kept = self.kept();
        Ok(kept.order.page(&kept.journals, after, limit))
    }

    async fn journal_end(&self) -> Result<i64> {
        Ok(self.kept().order.end())
    }

    async fn run(&self, run: RunId) -> Result<Option<RunRow>> {
        Ok(self.kept().rows.get(&run).cloned())
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>> {
        let kept = self.kept();
        let rows = kept.rows.values().rev().filter(|row| matches(row, filter));
        Ok(rows.take(filter.limit as usize).cloned().collect())
    }

    async fn journal_removed(&self) -> Result<i64> {
        Ok(self.kept().removed)
    }

    async fn tally(&self, since: Millis) -> Result<Tally> {
        let kept = self.kept();
        let mut tally = Tally::default();
        let mut took = Vec::new();
        for row in kept.rows.values() {
            tally.created += u64::from(row.id.created_ms() >= since);
            tally.active += u64::from(row.activity == Activity::Active);
            match row.ended_at {
                _ if row.activity != Activity::Ended => {
                    *tally.unended.entry(row.status.clone()).or_default() += 1;
                    tally.oldest = tally.oldest.or(Some(row.id));
                }
                Some(ended_at) if ended_at >= since => {
                    *tally.ended.entry(row.status.clone()).or_default() += 1;
                    took.push((ended_at, ended_at.saturating_sub(row.created_at)));
                }
                _ => {}
            }
        }
        took.sort_unstable_by(|one, other| other.cmp(one));
        took.truncate(TALLY_SAMPLE_MAX as usize);
        tally.took_ms = took.into_iter().map(|it| it.1).collect();
        Ok(tally)
    }

    async fn active(&self, shard: Shard, after: Option<RunId>, limit: u32) -> Result<Vec<RunId>> {
        let kept = self.kept();
        let active = kept.rows.values().filter(|row| {
            row.shard == shard
                && row.activity == Activity::Active
                && after.is_none_or(|it| row.id > it)
        });
        Ok(active.take(limit as usize).map(|row| row.id).collect())
    }

    async fn due(&self, shard: Shard, until: Millis, limit: u32) -> Result<Vec<(Millis, RunId)>> {
        let mut due = self.kept().wakes(shard);
        due.retain(|(wake_at, _)| *wake_at <= until);
        due.sort_unstable();
        due.truncate(limit as usize);
        Ok(due)
    }

    async fn next_wake(&self, shard: Shard, after: Millis) -> Result<Option<Millis>> {
        let wakes = self.kept().wakes(shard);
        Ok(wakes.into_iter().map(|(wake_at, _)| wake_at).filter(|it| *it > after).min())
    }

    async fn keyed(&self, shard: Shard) -> Result<Vec<RunRow>> {
        let kept = self.kept();
        let keyed = kept.rows.values().filter(|row| {
            row.shard == shard && row.concurrency_key.is_some() && row.activity != Activity::Ended
        });
        Ok(keyed.cloned().collect())
    }

    async fn put_definition(&self, row: &DefinitionRow) -> Result<std::result::Result<(), Digest>> {
        let mut kept = self.kept();
        let same = |it: &&DefinitionRow| it.workflow == row.workflow && it.version == row.version;
        if let Some(there) = kept.definitions.iter().find(same) {
            return Ok(if there.hash == row.hash { Ok(()) } else { Err(there.hash) });
        }
        if !kept.definitions.iter().any(|it| it.hash == row.hash) {
            kept.definitions.push(row.clone());
        }
        Ok(Ok(()))
    }

    async fn definition(&self, hash: Digest) -> Result<Option<DefinitionRow>> {
        Ok(self.kept().definitions.iter().find(|it| it.hash == hash).cloned())
    }

    async fn definitions(&self, workflow: Option<&str>) -> Result<Vec<DefinitionRow>> {
        let kept = self.kept();
        let wanted = |it: &&DefinitionRow| workflow.is_none_or(|workflow| it.workflow == workflow);
        let mut rows: Vec<_> = kept.definitions.iter().rev().filter(wanted).cloned().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.created_at));
        Ok(rows)
    }

    async fn payload(&self, hash: Digest) -> Result<Option<Vec<u8>>> {
        Ok(self.kept().payloads.get(&hash).cloned())
    }

    async fn logs(&self, run: RunId, filter: &LogFilter) -> Result<Vec<StoredLog>> {
        let kept = self.kept();
        let wanted = kept.logs.iter().filter(|it| {
            it.line.run == run
                && it.position > filter.after
                && filter.task.as_ref().is_none_or(|task| it.line.task == *task)
                && filter.attempt.is_none_or(|attempt| it.line.attempt == attempt)
        });
        Ok(wanted.take(filter.limit as usize).cloned().collect())
    }

    async fn all_logs(&self, after: i64, limit: u32) -> Result<Vec<StoredLog>> {
        let kept = self.kept();
        let wanted = kept.logs.iter().filter(|it| it.position > after);
        Ok(wanted.take(limit as usize).cloned().collect())
    }

    async fn logs_end(&self) -> Result<i64> {
        Ok(self.kept().last_log)
    }

    fn append_logs(&self, owner: Owner, lines: Vec<LogLine>) -> Pending<()> {
        let mut kept = self.kept();
        let checked = kept.check(owner).map(|()| kept.log(lines));
        ready(checked)
    }

    async fn post(&self, run: RunId, command: Vec<u8>, now: Millis) -> Result<i64> {
        let mut kept = self.kept();
        kept.last_entry += 1;
        let id = kept.last_entry;
        kept.inbox.insert(id, InboxRow { id, run, command, created_at: now, answer: None });
        Ok(id)
    }

    async fn inbox(&self, after: i64, limit: u32) -> Result<Vec<InboxRow>> {
        let kept = self.kept();
        let open = kept.inbox.values().filter(|row| row.id > after && row.answer.is_none());
        Ok(open.take(limit as usize).cloned().collect())
    }

    async fn answer(&self, owner: Owner, entries: Vec<(i64, String)>) -> Result<()> {
        let mut kept = self.kept();
        kept.check(owner)?;
        entries.into_iter().for_each(|(entry, answer)| kept.answer(entry, answer));
        Ok(())
    }

    async fn answered(&self, entry: i64) -> Result<Option<String>> {
        Ok(self.kept().inbox.get(&entry).and_then(|row| row.answer.clone()))
    }

    async fn item(&self, collection: &str, key: &str) -> Result<Option<Item>> {
        Ok(self.kept().items.get(collection, key))
    }

    async fn items(&self, collection: &str, after: Option<&str>, limit: u32) -> Result<Vec<Item>> {
        Ok(self.kept().items.page(collection, after, limit))
    }

    async fn write_items(
        &self,
        writes: Vec<ItemWrite>,
    ) -> Result<std::result::Result<Vec<u64>, ItemConflict>> {
        self.kept().items.write(writes)
    }

    async fn info(&self) -> Result<StoreInfo> {
        let kept = self.kept();
        let mut runs_by_status = BTreeMap::new();
        for row in kept.rows.values() {
            *runs_by_status.entry(row.status.clone()).or_default() += 1;
        }
        Ok(StoreInfo {
            backend: LOCATION.to_owned(),
            location: LOCATION.to_owned(),
            schema_version: 0,
            instance: LOCATION.to_owned(),
            runs: kept.rows.len() as u64,
            runs_by_status,
            records: kept.journals.values().map(|it| it.len() as u64).sum(),
            payloads: kept.payloads.len() as u64,
            definitions: kept.definitions.len() as u64,
            log_lines: kept.logs.len() as u64,
            bytes: 0,
            wal_bytes: 0,
        })
    }

    async fn verify(&self) -> Result<Vec<Damage>> {
        Ok(self.kept().verify())
    }

    async fn backup(&self, path: &Path) -> Result<()> {
        Err(Error::Unusable {
            location: path.display().to_string(),
            reason: "a store in memory has no file to copy".to_owned(),
            hint: "Use an SQLite store.".to_owned(),
        })
    }

    async fn gc(&self, retention: &Retention) -> Result<Collected> {
        Ok(self.kept().collect(retention))
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

impl Kept {
    fn check(&self, owner: Owner) -> Result<()> {
        let actual = self.epochs.get(&owner.shard).copied().unwrap_or_default();
        if actual == owner.epoch {
            return Ok(());
        }
        Err(Error::Fenced { shard: owner.shard, held: owner.epoch, actual })
    }

    fn append(&mut self, append: Append) -> Outcome {
        let run = append.run;
        let actual = self.journals.get(&run).map_or(0, |it| it.len() as u64);
        if actual != append.expected {
            return Outcome::Conflict { actual };
        }
        if let Some(RowChange::Insert(row)) = &append.row
            && let Some(duplicate) = self.holder_of_key(row)
        {
            return duplicate;
        }
        self.journals.entry(run).or_default().push(append.record);
        self.order.push(run, actual);
        self.change_row(run, append.row);
        if let Some(parent) = append.wake {
            self.wake(parent);
        }
        self.log(append.logs);
        if let Some(snapshot) = append.snapshot {
            self.snapshots.insert(run, (actual + 1, snapshot));
        }
        for (hash, body) in append.payloads {
            self.payloads.entry(hash).or_insert(body);
            self.payload_refs.insert((run, hash));
        }
        append.answered.into_iter().for_each(|entry| self.answer(entry, APPLIED.to_owned()));
        Outcome::Applied
    }

    fn holder_of_key(&self, row: &RunRow) -> Option<Outcome> {
        let run = *self.keys.get(&(row.workflow.clone(), row.key.clone()?))?;
        let body = self.rows.get(&run).and_then(|it| it.key_body);
        (run != row.id).then_some(Outcome::Duplicate { run, body })
    }

    fn change_row(&mut self, run: RunId, change: Option<RowChange>) {
        match change {
            Some(RowChange::Insert(row)) => {
                if self.rows.contains_key(&row.id) {
                    return;
                }
                if let Some(key) = &row.key {
                    self.keys.insert((row.workflow.clone(), key.clone()), row.id);
                }
                self.rows.insert(row.id, *row);
            }
            Some(RowChange::Update(update)) => {
                if let Some(row) = self.rows.get_mut(&run) {
                    row.apply(&update);
                }
            }
            None => {}
        }
    }

    fn wake(&mut self, parent: RunId) {
        if let Some(RunRow { activity: Activity::Idle { wake_at }, .. }) =
            self.rows.get_mut(&parent)
        {
            *wake_at = Some(0);
        }
    }

    fn log(&mut self, lines: Vec<LogLine>) {
        for line in lines {
            self.last_log += 1;
            self.logs.push(StoredLog { position: self.last_log, line });
        }
    }

    fn answer(&mut self, entry: i64, answer: String) {
        if let Some(row) = self.inbox.get_mut(&entry) {
            row.answer.get_or_insert(answer);
        }
    }

    fn records(&self, run: RunId, from: u64, limit: u32) -> Vec<Vec<u8>> {
        let records = self.journals.get(&run).map_or(&[][..], Vec::as_slice);
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(records.len());
        records[from..].iter().take(limit as usize).cloned().collect()
    }

    fn wakes(&self, shard: Shard) -> Vec<(Millis, RunId)> {
        let wake = |row: &RunRow| match row.activity {
            Activity::Idle { wake_at: Some(wake_at) } if row.shard == shard => {
                Some((wake_at, row.id))
            }
            Activity::Idle { .. } | Activity::Active | Activity::Ended => None,
        };
        self.rows.values().filter_map(wake).collect()
    }

    fn verify(&self) -> Vec<Damage> {
        let mut found = Vec::new();
        let mut add = |run: &RunId, what: &str| {
            let hint = "The engine has a bug: please report it.".to_owned();
            found.push(Damage { what: what.to_owned(), run: Some(*run), hint });
        };
        for run in self.rows.keys().filter(|it| !self.journals.contains_key(it)) {
            add(run, "the run has a row and no journal");
        }
        for run in self.journals.keys().filter(|it| !self.rows.contains_key(it)) {
            add(run, "the run has a journal and no row: nothing will wake it");
        }
        for row in self.rows.values().filter(|it| it.activity != Activity::Ended) {
            if !self.epochs.contains_key(&row.shard) {
                add(&row.id, "the run's shard has no owner: nothing will wake it");
            }
        }
        found
    }

    fn collect(&mut self, retention: &Retention) -> Collected {
        let mut old: Vec<(Millis, RunId)> = self
            .rows
            .values()
            .filter(|row| row.activity == Activity::Ended && retention.covers(row))
            .filter_map(|row| Some((row.ended_at?, row.id)))
            .collect();
        old.sort_unstable();
        let mut collected = Collected::default();
        for (_, run) in old.into_iter().take(retention.limit as usize) {
            self.remove(run, &mut collected);
        }
        collected
    }

    fn remove(&mut self, run: RunId, collected: &mut Collected) {
        collected.runs += 1;
        collected.records += self.journals.remove(&run).map_or(0, |it| it.len() as u64);
        self.removed = self.removed.max(self.order.remove(run));
        self.snapshots.remove(&run);
        if let Some(row) = self.rows.remove(&run)
            && let Some(key) = row.key
        {
            self.keys.remove(&(row.workflow, key));
        }
        let lines = self.logs.len();
        self.logs.retain(|it| it.line.run != run);
        collected.log_lines += (lines - self.logs.len()) as u64;
        self.inbox.retain(|_, row| row.run != run);
        self.payload_refs.retain(|(holder, _)| *holder != run);
        let payloads = self.payloads.len();
        let held: BTreeSet<Digest> = self.payload_refs.iter().map(|(_, hash)| *hash).collect();
        self.payloads.retain(|hash, _| held.contains(hash));
        collected.payloads += (payloads - self.payloads.len()) as u64;
    }
}

fn matches(row: &RunRow, filter: &RunFilter) -> bool {
    let RunFilter { workflow, statuses, key, parent, labels, since, ids, before, limit: _ } =
        filter;
    workflow.as_ref().is_none_or(|it| row.workflow == *it)
        && (statuses.is_empty() || statuses.contains(&row.status))
        && key.as_ref().is_none_or(|it| row.key.as_ref() == Some(it))
        && parent.is_none_or(|it| row.parent == Some(it))
        && labels.iter().all(|(name, value)| row.labels.get(name) == Some(value))
        && since.is_none_or(|it| row.created_at >= it)
        && ids.is_none_or(|(low, high)| low <= row.id && row.id <= high)
        && before.is_none_or(|it| row.id < it)
}
