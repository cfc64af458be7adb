//! Reads records and log lines of all runs in the order of their positions. There is one writer,
//! so positions ascend in the order of commits: what a reader sees ends where its image ends.

use rusqlite::Connection;
use surefoot_core::ids::RunId;

use super::checksum;
use super::failure::{Attempt, Failure};
use super::rows::{loaded, run_id};
use crate::{JOURNAL_PAGE_BYTES_MAX, JournalEntry, LogLine, StoredLog};

pub fn journal(connection: &Connection, after: i64, limit: u32) -> Attempt<Vec<JournalEntry>> {
    let mut statement = connection.prepare_cached(
        "SELECT pos, run, seq, checksum, body FROM journal WHERE pos > ? ORDER BY pos LIMIT ?",
    )?;
    let mut found = statement.query((after, limit))?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while bytes < JOURNAL_PAGE_BYTES_MAX
        && let Some(row) = found.next()?
    {
        let (run, seq, record) = (run_id(row, 1)?, loaded(row.get(2)?), row.get::<_, Vec<u8>>(4)?);
        if row.get::<_, i64>(3)? != checksum::of_record(run, seq, &record) {
            let reason = format!("record {seq} of run {run} fails its checksum");
            return Err(Failure::Damaged(reason));
        }
        bytes += record.len();
        page.push(JournalEntry { position: row.get(0)?, run, seq, record });
    }
    Ok(page)
}

pub fn journal_end(connection: &Connection) -> Attempt<i64> {
    // Before gc removes records, it has all of them indexed.
    let sql = "SELECT max((SELECT coalesce(max(pos), 0) FROM journal), (SELECT pos FROM indexed))";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

pub fn logs(connection: &Connection, after: i64, limit: u32) -> Attempt<Vec<StoredLog>> {
    let mut statement = connection.prepare_cached(
        "SELECT pos, run, task, attempt, at, stream, text FROM logs WHERE pos > ?
         ORDER BY pos LIMIT ?",
    )?;
    let found = statement.query_map((after, limit), |row| {
        let line = LogLine {
            run: run_id(row, 1)?,
            task: row.get(2)?,
            attempt: row.get(3)?,
            at: loaded(row.get(4)?),
            stream: row.get(5)?,
            text: row.get(6)?,
        };
        Ok(StoredLog { position: row.get(0)?, line })
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

pub fn logs_end(connection: &Connection) -> Attempt<i64> {
    let sql = "SELECT max((SELECT coalesce(max(pos), 0) FROM logs), (SELECT pos FROM logs_floor))";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Where the newest removed record stood, among the facts about the store.
const REMOVED: &str = "journal_removed";

pub fn journal_removed(connection: &Connection) -> Attempt<i64> {
    let sql = "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE name = ?";
    Ok(connection.prepare_cached(sql)?.query_row([REMOVED], |row| row.get(0))?)
}

/// Takes note of what is about to be removed: whoever has not come so far will miss it. Every
/// record has its entry in the index.
pub fn keep_journal_removed(connection: &Connection, runs: &[RunId]) -> Attempt<()> {
    let mut removed = journal_removed(connection)?;
    let mut statement = connection
        .prepare_cached("SELECT coalesce(max(pos), 0) FROM journal_index WHERE run = ?")?;
    for run in runs {
        removed = removed.max(statement.query_row([run.to_bytes()], |row| row.get(0))?);
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)")?
        .execute((REMOVED, removed.to_string()))?;
    Ok(())
}

/// Remembers where the lines end, before some are removed: a reader that follows would miss a line
/// whose position it has seen before.
pub fn keep_logs_end(connection: &Connection) -> Attempt<()> {
    let end = logs_end(connection)?;
    connection.prepare_cached("UPDATE logs_floor SET pos = ?")?.execute([end])?;
    Ok(())
}
