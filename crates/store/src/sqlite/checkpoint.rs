//! Moves the write-ahead log into the database, off the commit path.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::failure::Attempt;
use super::open;
use crate::Result;

/// Pages in the log from which on it is moved, 16 MiB.
const PAGES_MIN: i32 = 4_096;
/// Pages in the log from which on the writer helps, 64 MiB: behind a writer that never pauses the
/// thread is always a few pages late, and only a log that was moved whole starts afresh.
const PAGES_MAX: i32 = 16_384;

pub struct Checkpointer {
    location: String,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Pages in the log after the last commit.
    pages: Arc<AtomicI32>,
    /// Where the writer helps next. A slow reader may keep the log from being moved, and each
    /// attempt costs two syncs, so the next one waits for more pages.
    help_at: i32,
}

impl Checkpointer {
    pub fn start(path: &Path) -> Result<Checkpointer> {
        let location = path.display().to_string();
        let connection = open::connection(path)?;
        let (wake, woken) = mpsc::sync_channel(1);
        let name = location.clone();
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || run(&connection, &woken, &name))
            .map_err(|error| open::no_thread(&location, &error))?;
        Ok(Checkpointer {
            location,
            wake: Some(wake),
            thread: Some(thread),
            pages: Arc::default(),
            help_at: PAGES_MAX,
        })
    }

    /// Lets the writer's connection tell the size of the log after each commit.
    pub fn watch(&self, writer: &mut Connection) -> Attempt<()> {
        let wake = self.wake.clone();
        let log = Arc::clone(&self.pages);
        writer.wal_hook(Some(move |_: &mut _, pages: i32| {
            log.store(pages, Ordering::Relaxed);
            // Above the maximum the thread keeps out of the writer's way: one of them moves at a time.
            if (PAGES_MIN..PAGES_MAX).contains(&pages)
                && let Some(wake) = &wake
            {
                // Full means that the thread is awake already.
                let _ = wake.try_send(());
            }
            Ok(())
        }))?;
        Ok(())
    }

    /// Moves what the thread has left over, on the writer's own connection and time.
    pub fn help(&mut self, writer: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < PAGES_MAX {
            self.help_at = PAGES_MAX;
        } else if pages >= self.help_at {
            self.help_at = pages.saturating_add(PAGES_MIN);
            report(&self.location, passive(writer));
        }
    }

    /// Empties the log and ends the thread. The writer's connection is closed by now.
    pub fn finish(mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(location = self.location, "the store's checkpointer has panicked");
        }
    }
}

fn run(connection: &Connection, woken: &mpsc::Receiver<()>, location: &str) {
    while woken.recv().is_ok() {
        report(location, passive(connection));
    }
    report(location, truncate(connection));
}

/// Moves what no reader needs any more, without waiting for anybody.
fn passive(connection: &Connection) -> Attempt<()> {
    checkpoint(connection, "PASSIVE")
}

/// Moves the whole log and makes its file empty.
pub fn truncate(connection: &Connection) -> Attempt<()> {
    checkpoint(connection, "TRUNCATE")
}

/// A reader in the way is no error: the rest is moved next time.
fn checkpoint(connection: &Connection, mode: &str) -> Attempt<()> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))?;
    Ok(())
}

fn report(location: &str, moved: Attempt<()>) {
    if let Err(failure) = moved {
        let error = failure.at(location);
        tracing::warn!(%error, "a checkpoint has failed; the log grows until one succeeds");
    }
}
