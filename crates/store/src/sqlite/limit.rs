//! What the disk and SQLite could do if there were no engine: the yardstick for benchmarks.

use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, params};

use super::failure::Attempt;
use super::open;
use crate::Result;

/// Appends rows to a plain table with the settings of a store, `batch` rows a transaction, and
/// returns rows a second. The file at `path` is made and stays.
pub fn bare_limit(path: &Path, rows: u64, row_bytes: usize, batch: usize) -> Result<f64> {
    let location = path.display().to_string();
    measure(path, rows, row_bytes, batch).map_err(|failure| failure.at(&location))
}

fn measure(path: &Path, rows: u64, row_bytes: usize, batch: usize) -> Attempt<f64> {
    let connection = Connection::open(path)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    open::configure(&connection)?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS bare (pos INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT",
    )?;
    let body = vec![b'x'; row_bytes];
    let batch = batch.max(1) as u64;
    let mut insert = connection.prepare("INSERT INTO bare (body) VALUES (?)")?;
    let start = Instant::now();
    let mut written = 0;
    while written < rows {
        let transaction = connection.unchecked_transaction()?;
        for _ in 0..batch.min(rows - written) {
            insert.execute(params![body])?;
        }
        transaction.commit()?;
        written += batch.min(rows - written);
    }
    Ok(rows as f64 / start.elapsed().as_secs_f64())
}
