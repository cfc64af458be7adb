//! Counts of runs. Each is read off an index, so the cost is that of the runs that are counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::{Connection, Params};
use surefoot_core::ids::RunId;
use surefoot_core::time::Millis;

use super::failure::Attempt;
use super::open;
use super::rows::{loaded, run_id, stored};
use crate::row::{TALLY_SAMPLE_MAX, Tally};

/// Statuses of runs that have not ended: each is a part of the index over statuses.
const UNENDED: &str = "status IN ('pending', 'running', 'paused', 'cancelling')";

pub fn tally(connection: &Connection, path: &Path, since: Millis) -> Attempt<Tally> {
    let size = |path: &Path| fs::metadata(path).map_or(0, |it| it.len());
    let first = RunId::new(since, 0).to_bytes();
    let since = stored(since);
    let by_status = format!("SELECT status, count(*) FROM runs WHERE {UNENDED} GROUP BY status");
    let active = "SELECT count(*) FROM runs WHERE activity = 0";
    let created = "SELECT count(*) FROM runs WHERE id >= ?";
    let ended = "SELECT status, count(*) FROM runs WHERE activity = 2 AND ended_at >= ?
                 GROUP BY status";
    Ok(Tally {
        unended: counts(connection, &by_status, [])?,
        active: count(connection, active, [])?,
        oldest: oldest(connection)?,
        created: count(connection, created, [first])?,
        ended: counts(connection, ended, [since])?,
        took_ms: took(connection, since)?,
        bytes: size(path) + size(&open::wal_path(path)),
    })
}

fn count(connection: &Connection, sql: &str, values: impl Params) -> Attempt<u64> {
    let count: i64 = connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
    Ok(loaded(count))
}

fn counts(
    connection: &Connection,
    sql: &str,
    values: impl Params,
) -> Attempt<BTreeMap<String, u64>> {
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_map(values, |row| Ok((row.get(0)?, loaded(row.get(1)?))))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn oldest(connection: &Connection) -> Attempt<Option<RunId>> {
    // One look into the index for each status; a minimum over all would read every entry.
    let mut statement = connection.prepare_cached(
        "SELECT min(id) FROM runs WHERE status = 'pending' UNION ALL
         SELECT min(id) FROM runs WHERE status = 'running' UNION ALL
         SELECT min(id) FROM runs WHERE status = 'paused' UNION ALL
         SELECT min(id) FROM runs WHERE status = 'cancelling'",
    )?;
    let mut oldest: Option<RunId> = None;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        if !matches!(row.get_ref(0)?, rusqlite::types::ValueRef::Null) {
            let run = run_id(row, 0)?;
            oldest = Some(oldest.map_or(run, |it| it.min(run)));
        }
    }
    Ok(oldest)
}

fn took(connection: &Connection, since: i64) -> Attempt<Vec<u64>> {
    let mut statement = connection.prepare_cached(
        "SELECT max(ended_at - created_at, 0) FROM runs
         WHERE activity = 2 AND ended_at >= ? ORDER BY ended_at DESC, id DESC LIMIT ?",
    )?;
    let found = statement.query_map((since, TALLY_SAMPLE_MAX), |row| row.get(0).map(loaded))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}
