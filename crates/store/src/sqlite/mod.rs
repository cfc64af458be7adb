//! The embedded backend: one SQLite file, opened by one owner and any number of clients.
//!
//! [`writer`] is the only thread that writes, in the transactions that [`writing`] fills.
//! [`reading`] is what [`readers`] carry out meanwhile.

mod checkpoint;
mod checksum;
mod failure;
mod following;
mod items;
mod journal;
mod limit;
mod lock;
mod maintenance;
mod open;
mod readers;
mod reading;
mod recent;
mod rows;
mod schema;
mod tally;
mod verify;
mod writer;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::time::Millis;

pub use limit::bare_limit;
pub use schema::APPLICATION_ID;

use self::lock::Lock;
use self::readers::Readers;
use self::writer::Writer;
use crate::item;
use crate::row::*;
use crate::{Error, Item, ItemConflict, ItemWrite, Loaded, Pending, Result, Store};

/// What a process wants with the file.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Runs the runs. One process at a time; `program` tells the second one who the first is.
    Owner { program: String },
    /// Reads, and posts commands for the owner. Never creates or migrates a store.
    Client,
}

/// Keeps runs in one SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    readers: Readers,
    access: Arc<Access>,
}

enum Access {
    Owner { writer: Writer, lock: Mutex<Option<Lock>> },
    Client,
}

impl SqliteStore {
    /// Opens the store at `path`; as an owner, makes it if there is none and migrates an old one.
    pub fn open(path: &Path, mode: Mode) -> Result<SqliteStore> {
        let access = match mode {
            Mode::Owner { program } => {
                open::prepare_directory(path)?;
                let lock = Lock::take(path, &program)?;
                open::prepare(path)?;
                let writer = Writer::start(path.to_owned())?;
                Access::Owner { writer, lock: Mutex::new(Some(lock)) }
            }
            Mode::Client => {
                open::check_existing(path)?;
                Access::Client
            }
        };
        let readers = Readers::new(path.to_owned());
        Ok(SqliteStore { path: path.to_owned(), readers, access: Arc::new(access) })
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }

    fn tail(&self) -> Option<journal::SharedTail> {
        match &*self.access {
            Access::Owner { writer, .. } => Some(writer.tail()),
            Access::Client => None,
        }
    }

    /// Hands work to the writer now, whatever becomes of the future.
    fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnMut(&mut writing::Writing<'_>) -> failure::Attempt<T> + Send + 'static,
    ) -> Pending<T> {
        match &*self.access {
            Access::Owner { writer, .. } => writer.submit(bytes, work),
            Access::Client => {
                let refused = Error::Unavailable {
                    location: self.location(),
                    reason: "this process has opened it as a client, which cannot write".to_owned(),
                    hint: "Ask the process that owns the store, or stop it first.".to_owned(),
                };
                Box::pin(std::future::ready(Err(refused)))
            }
        }
    }

    /// Moves the whole log into the database: it still holds what was removed.
    async fn empty_log(&self) -> Result<()> {
        let path = self.path.clone();
        let emptying = tokio::task::spawn_blocking(move || {
            let failed = |failure: failure::Failure| failure.at(&path.display().to_string());
            checkpoint::truncate(&open::connection(&path)?).map_err(failed)
        });
        emptying.await.map_err(|_| open::closed(&self.location()))?
    }

    /// Posts without the writer, in a transaction of its own.
    async fn post_as_client(&self, run: RunId, command: Vec<u8>, now: Millis) -> Result<i64> {
        let path = self.path.clone();
        let posted = tokio::task::spawn_blocking(move || {
            let connection = open::connection(&path)?;
            // One statement is one transaction. Whether a failed one happened, nobody knows.
            writing::post(&connection, run, &command, now).map_err(|failure| {
                let location = path.display().to_string();
                match failure.is_unknown() {
                    true => Error::Unknown { location, reason: failure.reason() },
                    false => failure.at(&location),
                }
            })
        });
        posted.await.unwrap_or_else(|_| Err(open::closed(&self.location())))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn claim(&self, shard: Shard) -> Result<Owner> {
        self.write(0, move |writing| writing.claim(shard)).await
    }

    fn append(&self, owner: Owner, batch: Arc<[Append]>) -> Pending<Vec<Outcome>> {
        let bytes = batch.iter().map(append_bytes).sum();
        self.write(bytes, move |writing| writing.append(owner, &batch))
    }

    async fn load(&self, run: RunId) -> Result<Loaded> {
        let tail = self.tail();
        self.readers.read(move |connection| reading::load(connection, tail.as_ref(), run)).await
    }

    async fn records(&self, run: RunId, from: u64, limit: u32) -> Result<Vec<Vec<u8>>> {
        let tail = self.tail();
        self.readers
            .read(move |connection| reading::records(connection, tail.as_ref(), run, from, limit))
            .await
    }

    async fn journal(&self, after: i64, limit: u32) -> Result<Vec<JournalEntry>> {
        self.readers.read(move |connection| following::journal(connection, after, limit)).await
    }

    async fn journal_end(&self) -> Result<i64> {
        self.readers.read(following::journal_end).await
    }

    async fn run(&self, run: RunId) -> Result<Option<RunRow>> {
        self.readers.read(move |connection| writing::find_run(connection, run)).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>> {
        let filter = filter.clone();
        self.readers.read(move |connection| reading::runs(connection, &filter)).await
    }

    async fn journal_removed(&self) -> Result<i64> {
        self.readers.read(following::journal_removed).await
    }

    async fn tally(&self, since: Millis) -> Result<Tally> {
        let path = self.path.clone();
        self.readers.read(move |connection| tally::tally(connection, &path, since)).await
    }

    async fn active(&self, shard: Shard, after: Option<RunId>, limit: u32) -> Result<Vec<RunId>> {
        self.readers.read(move |connection| reading::active(connection, shard, after, limit)).await
    }

    async fn due(&self, shard: Shard, until: Millis, limit: u32) -> Result<Vec<(Millis, RunId)>> {
        self.readers.read(move |connection| reading::due(connection, shard, until, limit)).await
    }

    async fn next_wake(&self, shard: Shard, after: Millis) -> Result<Option<Millis>> {
        self.readers.read(move |connection| reading::next_wake(connection, shard, after)).await
    }

    async fn keyed(&self, shard: Shard) -> Result<Vec<RunRow>> {
        self.readers.read(move |connection| reading::keyed(connection, shard)).await
    }

    async fn put_definition(&self, row: &DefinitionRow) -> Result<std::result::Result<(), Digest>> {
        let row = row.clone();
        self.write(row.source.len(), move |writing| writing.put_definition(&row)).await
    }

    async fn definition(&self, hash: Digest) -> Result<Option<DefinitionRow>> {
        self.readers.read(move |connection| reading::definition(connection, hash)).await
    }

    async fn definitions(&self, workflow: Option<&str>) -> Result<Vec<DefinitionRow>> {
        let workflow = workflow.map(str::to_owned);
        self.readers
            .read(move |connection| reading::definitions(connection, workflow.as_deref()))
            .await
    }

    async fn payload(&self, hash: Digest) -> Result<Option<Vec<u8>>> {
        self.readers.read(move |connection| reading::payload(connection, hash)).await
    }

    async fn logs(&self, run: RunId, filter: &LogFilter) -> Result<Vec<StoredLog>> {
        let filter = filter.clone();
        self.readers.read(move |connection| reading::logs(connection, run, &filter)).await
    }

    async fn all_logs(&self, after: i64, limit: u32) -> Result<Vec<StoredLog>> {
        self.readers.read(move |connection| following::logs(connection, after, limit)).await
    }

    async fn logs_end(&self) -> Result<i64> {
        self.readers.read(following::logs_end).await
    }

    fn append_logs(&self, owner: Owner, lines: Vec<LogLine>) -> Pending<()> {
        let bytes = lines.iter().map(line_bytes).sum();
        self.write(bytes, move |writing| writing.append_logs(owner, &lines))
    }

    async fn post(&self, run: RunId, command: Vec<u8>, now: Millis) -> Result<i64> {
        match &*self.access {
            Access::Owner { writer, .. } => {
                let bytes = command.len();
                writer
                    .submit(bytes, move |it| writing::post(it.connection, run, &command, now))
                    .await
            }
            Access::Client => self.post_as_client(run, command, now).await,
        }
    }

    async fn inbox(&self, after: i64, limit: u32) -> Result<Vec<InboxRow>> {
        self.readers.read(move |connection| reading::inbox(connection, after, limit)).await
    }

    async fn answer(&self, owner: Owner, entries: Vec<(i64, String)>) -> Result<()> {
        let bytes = entries.iter().map(|(_, answer)| answer.len()).sum();
        self.write(bytes, move |writing| writing.answer(owner, &entries)).await
    }

    async fn answered(&self, entry: i64) -> Result<Option<String>> {
        self.readers.read(move |connection| reading::answered(connection, entry)).await
    }

    async fn item(&self, collection: &str, key: &str) -> Result<Option<Item>> {
        let (collection, key) = (collection.to_owned(), key.to_owned());
        self.readers.read(move |connection| items::find(connection, &collection, &key)).await
    }

    async fn items(&self, collection: &str, after: Option<&str>, limit: u32) -> Result<Vec<Item>> {
        let (collection, after) = (collection.to_owned(), after.map(str::to_owned));
        self.readers
            .read(move |connection| items::page(connection, &collection, after.as_deref(), limit))
            .await
    }

    async fn write_items(
        &self,
        writes: Vec<ItemWrite>,
    ) -> Result<std::result::Result<Vec<u64>, ItemConflict>> {
        item::check_sizes(&writes)?;
        let bytes = writes.iter().filter_map(|it| it.body.as_ref()).map(Vec::len).sum();
        self.write(bytes, move |writing| items::write(writing.connection, &writes)).await
    }

    async fn info(&self) -> Result<StoreInfo> {
        let path = self.path.clone();
        self.readers.read_long(move |connection| maintenance::info(connection, &path)).await
    }

    async fn verify(&self) -> Result<Vec<Damage>> {
        self.readers.read_long(|connection| Ok(verify::verify(connection))).await
    }

    async fn backup(&self, path: &Path) -> Result<()> {
        let path = path.to_owned();
        self.readers.read_long(move |connection| maintenance::backup(connection, &path)).await
    }

    async fn gc(&self, retention: &Retention) -> Result<Collected> {
        let retention = retention.clone();
        let collected =
            self.write(0, move |writing| maintenance::collect(writing, &retention)).await?;
        if collected.runs > 0 {
            self.empty_log().await?;
        }
        Ok(collected)
    }

    async fn close(&self) -> Result<()> {
        self.readers.close();
        let access = Arc::clone(&self.access);
        let closing = tokio::task::spawn_blocking(move || access.close());
        closing.await.map_err(|_| open::closed(&self.location()))
    }
}

impl Access {
    fn close(&self) {
        match self {
            Access::Owner { writer, lock } => {
                writer.close();
                drop(lock.lock().expect("no panic while locked").take());
            }
            Access::Client => {}
        }
    }
}

/// About what an append takes in the queue.
fn append_bytes(append: &Append) -> usize {
    size_of::<Append>()
        + append.record.len()
        + append.snapshot.as_ref().map_or(0, Vec::len)
        + append.payloads.iter().map(|(_, body)| body.len()).sum::<usize>()
        + append.logs.iter().map(line_bytes).sum::<usize>()
}

fn line_bytes(line: &LogLine) -> usize {
    size_of::<LogLine>() + line.task.len() + line.stream.len() + line.text.len()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::conformance::{begin, ended, row, run_id};

    fn open(directory: &tempfile::TempDir) -> SqliteStore {
        let mode = Mode::Owner { program: "test".to_owned() };
        SqliteStore::open(&directory.path().join("store.db"), mode).unwrap()
    }

    async fn limit_pages(store: &SqliteStore, pages: u32) {
        let limited = store.write(0, move |writing| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            Ok(writing.connection.query_row(&sql, [], |_| Ok(()))?)
        });
        limited.await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_refuses_writes_until_there_is_space() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        let owner = store.claim(0).await.unwrap();
        store.append(owner, [begin(row(run_id(1)))].into()).await.unwrap();
        limit_pages(&store, 100).await;
        let mut acked = 1;
        let full = loop {
            let append = Append::record(run_id(1), acked, vec![7; 10_000]);
            match store.append(owner, [append].into()).await {
                Ok(_) => acked += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, Error::Unavailable { .. }), "{full}");
        assert!(full.to_string().contains("the disk is full"), "{full}");
        assert_eq!(store.load(run_id(1)).await.unwrap().len(), acked, "reads go on");
        limit_pages(&store, u32::MAX).await;
        let append = Append::record(run_id(1), acked, vec![7; 10_000]);
        assert_eq!(store.append(owner, [append].into()).await.unwrap(), [Outcome::Applied]);
        assert_eq!(store.verify().await.unwrap(), []);
    }

    #[tokio::test]
    async fn one_bad_request_does_not_fail_its_neighbours() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        let owner = store.claim(0).await.unwrap();
        let good = |number| store.append(owner, [begin(row(run_id(number)))].into());
        let calls = (good(1), store.write(0, bad), good(2), store.write(0, bad), good(3));
        assert_eq!(calls.0.await.unwrap(), [Outcome::Applied]);
        assert!(calls.1.await.is_err());
        assert_eq!(calls.2.await.unwrap(), [Outcome::Applied]);
        assert!(calls.3.await.is_err());
        assert_eq!(calls.4.await.unwrap(), [Outcome::Applied]);
    }

    fn bad(writing: &mut writing::Writing<'_>) -> failure::Attempt<()> {
        Ok(writing.connection.execute_batch("DELETE FROM shards; INSERT INTO meta VALUES (1)")?)
    }

    #[tokio::test]
    async fn gc_makes_the_file_smaller() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        let owner = store.claim(0).await.unwrap();
        for number in 1..=50 {
            let mut batch = ended(run_id(number), 5);
            batch[0].record = vec![1; 50_000];
            store.append(owner, batch.into()).await.unwrap();
        }
        store.close().await.unwrap();
        let store = open(&directory);
        let before = store.info().await.unwrap().bytes;
        let collected = store.gc(&Retention::before(10, 100)).await.unwrap();
        assert!(collected.bytes_freed > 2_000_000, "{collected:?}");
        store.close().await.unwrap();
        let after = open(&directory).info().await.unwrap().bytes;
        assert!(after + 2_000_000 < before, "{before} bytes became {after}");
    }

    #[tokio::test]
    async fn a_backup_is_whole_while_writers_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(open(&directory));
        let owner = store.claim(0).await.unwrap();
        for number in 1..=20 {
            store.append(owner, [begin(row(run_id(number)))].into()).await.unwrap();
        }
        let writer = tokio::spawn({
            let store = Arc::clone(&store);
            async move {
                for number in 21..=400 {
                    store.append(owner, [begin(row(run_id(number)))].into()).await.unwrap();
                }
            }
        });
        let copy = directory.path().join("copy.db");
        store.backup(&copy).await.unwrap();
        let again = store.backup(&copy).await.unwrap_err();
        assert!(again.to_string().contains("a file is there already"), "{again}");
        writer.await.unwrap();
        let copied = SqliteStore::open(&copy, Mode::Owner { program: "test".to_owned() }).unwrap();
        assert_eq!(copied.verify().await.unwrap(), []);
        let runs = copied.info().await.unwrap().runs;
        assert!((20..=400).contains(&runs), "{runs}");
    }

    /// The log does not grow without bound under a writer that never pauses.
    #[tokio::test]
    async fn the_log_is_moved_while_writes_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        let owner = store.claim(0).await.unwrap();
        let mut calls = Vec::new();
        for seq in 0..3_000u64 {
            calls.push(
                store.append(owner, [Append::record(run_id(1), seq, vec![1; 80_000])].into()),
            );
            // A few in flight, so that the writer always has something to do.
            if calls.len() > 8 {
                calls.remove(0).await.unwrap();
            }
        }
        let info = store.info().await.unwrap();
        assert!(info.wal_bytes < 240_000_000, "the log has never started afresh: {info:?}");
        assert!(info.bytes > 40_000_000, "{} bytes of database", info.bytes);
    }
}
