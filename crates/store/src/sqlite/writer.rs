//! The one thread that writes. It commits whatever is queued, in one transaction, with no timer:
//! under load batches grow by themselves, and a lone request waits for nobody.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::checkpoint::{self, Checkpointer};
use super::failure::{Attempt, Failure};
use super::journal::{Journal, SharedTail};
use super::open;
use super::recent::RecentRows;
use super::writing::Writing;
use crate::{Error, Pending, Result};

/// Bytes that may wait for the writer; more are refused at the door.
const QUEUE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes of one transaction, so that the first in the queue is not kept waiting by the last.
const TRANSACTION_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Requests of one transaction.
const TRANSACTION_JOBS_MAX: usize = 16_384;
/// What a request weighs beside its content.
const JOB_BYTES: usize = 256;
/// Commits in a row whose outcome is unknown, after which the store only reads.
const FAILURES_MAX: u32 = 3;

/// Something to do in a transaction. May be done again after a roll-back.
trait Job: Send {
    fn apply(&mut self, writing: &mut Writing<'_>) -> Attempt<()>;
    fn answer(self: Box<Self>, committed: Result<()>);
}

struct Request<T, F> {
    work: F,
    /// What to answer if the transaction commits. A refusal is as good as a result.
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: FnMut(&mut Writing<'_>) -> Attempt<T> + Send> Job for Request<T, F> {
    fn apply(&mut self, writing: &mut Writing<'_>) -> Attempt<()> {
        let result = match (self.work)(writing) {
            Ok(result) => Ok(result),
            Err(Failure::Refused(error)) => Err(error),
            Err(failure) => return Err(failure),
        };
        self.result = Some(result);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let Request { result, reply, .. } = *self;
        let result = committed.and_then(|()| result.expect("a committed job was applied"));
        // Nobody may be waiting any more: a dropped request is still carried out.
        drop(reply.send(result));
    }
}

struct Queued {
    job: Box<dyn Job>,
    bytes: usize,
}

/// Hands requests to the thread.
pub struct Writer {
    location: String,
    queue: Mutex<Option<mpsc::Sender<Queued>>>,
    queued_bytes: Arc<AtomicUsize>,
    tail: SharedTail,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub fn start(path: PathBuf) -> Result<Writer> {
        let location = path.display().to_string();
        let (queue, jobs) = mpsc::channel();
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let mut connection = open::connection(&path)?;
        let instance = open::instance(&connection).map_err(|failure| failure.at(&location))?;
        let journal = Journal::open(&connection).map_err(|failure| failure.at(&location))?;
        let checkpointer = Checkpointer::start(&path)?;
        checkpointer.watch(&mut connection).map_err(|failure| failure.at(&location))?;
        let tail = journal.tail();
        let thread = Thread {
            checkpointer,
            instance,
            location: location.clone(),
            path,
            connection: Some(connection),
            journal,
            recent: RecentRows::default(),
            failures: 0,
            queued_bytes: Arc::clone(&queued_bytes),
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || thread.run(&jobs))
            .map_err(|error| open::no_thread(&location, &error))?;
        Ok(Writer {
            location,
            queue: Mutex::new(Some(queue)),
            queued_bytes,
            tail,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Queues a request before it returns, so that requests are carried out in the order of calls.
    pub fn submit<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnMut(&mut Writing<'_>) -> Attempt<T> + Send + 'static,
    ) -> Pending<T> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Request { work, result: None, reply });
        let queued = self.enqueue(Queued { job, bytes: bytes + JOB_BYTES });
        let location = self.location.clone();
        Box::pin(async move {
            queued?;
            answer.await.unwrap_or_else(|_| {
                let reason = "the writer ended before it answered".to_owned();
                Err(Error::Unknown { location, reason })
            })
        })
    }

    /// Returns what readers need to know of the newest records.
    pub fn tail(&self) -> SharedTail {
        Arc::clone(&self.tail)
    }

    /// Lets the thread finish what is queued, and waits for it. Idempotent.
    pub fn close(&self) {
        self.queue.lock().expect("no panic while locked").take();
        let thread = self.thread.lock().expect("no panic while locked").take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!(location = self.location, "the store's writer has panicked");
        }
    }

    fn enqueue(&self, queued: Queued) -> Result<()> {
        let guard = self.queue.lock().expect("no panic while locked");
        let Some(queue) = guard.as_ref() else { return Err(open::closed(&self.location)) };
        let bytes = queued.bytes;
        let waiting = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        // A request larger than the whole queue passes when it is alone.
        if waiting > 0 && waiting + bytes > QUEUE_BYTES_MAX {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Error::Unavailable {
                location: self.location.clone(),
                reason: format!("{waiting} bytes wait to be written, {QUEUE_BYTES_MAX} may"),
                hint: "Wait for earlier writes to be answered; the disk may be too slow."
                    .to_owned(),
            });
        }
        queue.send(queued).map_err(|_| open::closed(&self.location))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// How a transaction ended.
enum Ended {
    Committed,
    RolledBack(Failure),
    /// COMMIT itself failed: the transaction may be there or not.
    Unknown(rusqlite::Error),
}

struct Thread {
    checkpointer: Checkpointer,
    location: String,
    path: PathBuf,
    /// Tells whether the file is still the same after it was opened again.
    instance: String,
    /// None once the store only reads.
    connection: Option<Connection>,
    journal: Journal,
    recent: RecentRows,
    failures: u32,
    queued_bytes: Arc<AtomicUsize>,
}

impl Thread {
    fn run(mut self, jobs: &mpsc::Receiver<Queued>) {
        while let Ok(first) = jobs.recv() {
            let mut bytes = first.bytes;
            let mut batch = vec![first.job];
            while batch.len() < TRANSACTION_JOBS_MAX && bytes < TRANSACTION_BYTES_MAX {
                let Ok(next) = jobs.try_recv() else { break };
                bytes += next.bytes;
                batch.push(next.job);
            }
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.commit(batch);
        }
        self.connection = None;
        self.checkpointer.finish();
    }

    fn commit(&mut self, mut batch: Vec<Box<dyn Job>>) {
        let Some(connection) = &self.connection else {
            return answer(batch, &Err(self.only_reads()));
        };
        match transaction(connection, &mut self.journal, &mut self.recent, &mut batch) {
            Ended::Committed => {
                self.failures = 0;
                self.journal.committed();
                answer(batch, &Ok(()));
                self.checkpointer.help(connection);
            }
            Ended::RolledBack(failure) => self.rolled_back(batch, failure),
            Ended::Unknown(error) => {
                let reason = error.to_string();
                tracing::error!(location = self.location, reason, "a commit has failed");
                self.reopen();
                answer(batch, &Err(Error::Unknown { location: self.location.clone(), reason }));
            }
        }
    }

    /// One bad request does not fail its neighbours: each gets a transaction of its own.
    fn rolled_back(&mut self, batch: Vec<Box<dyn Job>>, failure: Failure) {
        self.forget();
        if batch.len() > 1 && !failure.is_environmental() {
            for job in batch {
                self.commit(vec![job]);
            }
        } else {
            answer(batch, &Err(failure.at(&self.location)));
        }
    }

    /// What was counted and remembered may not have been written.
    fn forget(&mut self) {
        self.journal.forget();
        self.recent.forget();
    }

    /// Drops everything that was believed about the file, and looks again. A sync that failed is
    /// not repeated: the kernel may have dropped what it could not write, and the next sync would
    /// succeed without it.
    ///
    /// The checkpointer's connection stays open, so the log's index still ends before the failed
    /// transaction. The checkpoint then moves what was synced before it into the database, and the
    /// log starts afresh.
    fn reopen(&mut self) {
        self.forget();
        self.connection = None;
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            tracing::error!(location = self.location, "too many failed commits: only reads go on");
            return;
        }
        match self.checked_connection() {
            Ok(connection) => self.connection = Some(connection),
            Err(failure) => {
                let error = failure.at(&self.location);
                tracing::error!(%error, "cannot open the store again: only reads go on");
            }
        }
    }

    fn checked_connection(&self) -> Attempt<Connection> {
        let mut connection = open::connection(&self.path).map_err(Failure::Refused)?;
        open::recognise(&connection, &self.path, &self.instance)?;
        checkpoint::truncate(&connection)?;
        self.checkpointer.watch(&mut connection)?;
        Ok(connection)
    }

    fn only_reads(&self) -> Error {
        Error::Unavailable {
            location: self.location.clone(),
            reason: "writes to the disk have failed; only reads go on".to_owned(),
            hint: "Check the disk and the system's log, run `surefoot store verify`, then restart."
                .to_owned(),
        }
    }
}

fn transaction(
    connection: &Connection,
    journal: &mut Journal,
    recent: &mut RecentRows,
    batch: &mut [Box<dyn Job>],
) -> Ended {
    if let Err(error) = execute(connection, "BEGIN IMMEDIATE") {
        return Ended::RolledBack(error.into());
    }
    let mut writing = Writing::new(connection, journal, recent);
    match batch.iter_mut().try_for_each(|job| job.apply(&mut writing)) {
        Ok(()) => commit(connection),
        Err(failure) => rollback(connection, failure),
    }
}

fn commit(connection: &Connection) -> Ended {
    match execute(connection, "COMMIT") {
        Ok(()) => Ended::Committed,
        // The record that makes a transaction count is written last, and a write has failed.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
            rollback(connection, error.into())
        }
        Err(error) => Ended::Unknown(error),
    }
}

fn rollback(connection: &Connection, failure: Failure) -> Ended {
    // Some errors end the transaction by themselves.
    if connection.is_autocommit() {
        return Ended::RolledBack(failure);
    }
    match execute(connection, "ROLLBACK") {
        Ok(()) => Ended::RolledBack(failure),
        Err(error) => Ended::Unknown(error),
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn answer(batch: Vec<Box<dyn Job>>, committed: &Result<()>) {
    for job in batch {
        job.answer(committed.clone());
    }
}
