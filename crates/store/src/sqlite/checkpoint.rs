//! Moves the write-ahead log into the database, off the commit path.

use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::failure::Attempt;
use super::open;
use crate::Result;

/// Pages in the log from which on it is moved, 16 MiB.
const PAGES_MIN: i32 = 4_096;
/// Pages in the log from which on the writer is held up until it is empty, 64 MiB. A writer that
/// never pauses would let it grow without bound otherwise.
const PAGES_MAX: i32 = 16_384;

pub struct Checkpointer {
    location: String,
    wake: Option<SyncSender<i32>>,
    thread: Option<JoinHandle<()>>,
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
        Ok(Checkpointer { location, wake: Some(wake), thread: Some(thread) })
    }

    /// Lets the writer's connection tell the size of the log after each commit.
    pub fn watch(&self, writer: &mut Connection) -> Attempt<()> {
        let wake = self.wake.clone();
        writer.wal_hook(Some(move |_: &mut _, pages: i32| {
            if pages >= PAGES_MIN
                && let Some(wake) = &wake
            {
                // Full means that the thread is awake already.
                let _ = wake.try_send(pages);
            }
            Ok(())
        }))?;
        Ok(())
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

fn run(connection: &Connection, woken: &mpsc::Receiver<i32>, location: &str) {
    while let Ok(pages) = woken.recv() {
        let moved = checkpoint(connection, "PASSIVE").and_then(|()| match pages {
            PAGES_MAX.. => checkpoint(connection, "RESTART"),
            _ => Ok(()),
        });
        report(location, moved);
    }
    report(location, truncate(connection));
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
