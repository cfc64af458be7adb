//! Looks after a store: what is in it, whether it is whole, a copy of it, and what may go.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use surefoot_core::ids::{Digest, RunId};

use super::failure::{Attempt, Failure};
use super::rows::{loaded, run_id, stored};
use super::writing::Writing;
use super::{following, open, schema};
use crate::row::*;
use crate::{Error, StoreInfo};

/// Pages that one step of a backup copies before it lets a checkpoint through.
const BACKUP_STEP_PAGES: i32 = 1_024;
/// How long a step of a backup waits for a lock before it tries again.
const BACKUP_PAUSE: Duration = Duration::from_millis(5);
/// Free pages that one collection gives back to the file system.
const VACUUM_PAGES_MAX: u32 = 16_384;

pub fn info(connection: &Connection, path: &Path) -> Attempt<StoreInfo> {
    let count = |table: &str| -> rusqlite::Result<u64> {
        let sql = format!("SELECT count(*) FROM {table}");
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map(loaded)
    };
    let mut statement =
        connection.prepare_cached("SELECT status, count(*) FROM runs GROUP BY status")?;
    let runs_by_status: BTreeMap<String, u64> = statement
        .query_map([], |row| Ok((row.get(0)?, loaded(row.get(1)?))))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(StoreInfo {
        backend: "sqlite".to_owned(),
        location: path.display().to_string(),
        schema_version: schema::version(connection)?,
        instance: open::instance(connection)?,
        runs: runs_by_status.values().sum(),
        runs_by_status,
        records: count("journal")?,
        payloads: count("payloads")?,
        definitions: count("definitions")?,
        log_lines: count("logs")?,
        bytes: fs::metadata(path).map_or(0, |it| it.len()),
        wal_bytes: fs::metadata(open::wal_path(path)).map_or(0, |it| it.len()),
    })
}

/// Copies the database page by page. Runs beside writers; a page that changes meanwhile is copied
/// again, so the copy is one consistent image.
pub fn backup(connection: &Connection, to: &Path) -> Attempt<()> {
    if to.try_exists().unwrap_or(true) {
        return Err(Failure::Refused(Error::Unusable {
            location: to.display().to_string(),
            reason: "a file is there already".to_owned(),
            hint: "Name a path where nothing is.".to_owned(),
        }));
    }
    let result = copy(connection, to);
    if result.is_err() {
        // Half a copy must not be mistaken for a backup.
        drop(fs::remove_file(to));
    }
    result
}

fn copy(connection: &Connection, to: &Path) -> Attempt<()> {
    let mut target = Connection::open(to)?;
    #[cfg(unix)]
    if let Err(error) = fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o600))
    {
        tracing::warn!(path = %to.display(), %error, "cannot restrict the backup to its owner");
    }
    {
        // One read transaction: the image does not start over when somebody commits.
        let _image = connection.unchecked_transaction()?;
        connection.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
        let backup = Backup::new(connection, &mut target)?;
        loop {
            match backup.step(BACKUP_STEP_PAGES)? {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(BACKUP_PAUSE),
            }
        }
    }
    target.close().map_err(|(_, error)| Failure::Sqlite(error))?;
    if let Err(error) = fs::File::open(to).and_then(|file| file.sync_all()) {
        return Err(Failure::Refused(Error::Unknown {
            location: to.display().to_string(),
            reason: format!("the copy cannot be synced: {error}"),
        }));
    }
    Ok(())
}

/// Removes ended runs and whatever belonged to them alone.
pub fn collect(writing: &mut Writing<'_>, retention: &Retention) -> Attempt<Collected> {
    let connection = writing.connection;
    let bytes_before = page_bytes(connection)?;
    // By its id a run is found without looking through the others.
    let which = if retention.run.is_some() { "id = ?4" } else { "?4 IS NULL" };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id FROM runs
         WHERE activity = 2 AND ended_at < ?1
            AND (?2 IS NULL OR workflow = ?2)
            AND (?3 = '[]' OR status IN (SELECT value FROM json_each(?3)))
            AND {which}
         ORDER BY ended_at LIMIT ?5",
    ))?;
    let statuses = serde_json::to_string(&retention.statuses).expect("names have a text");
    let before = stored(retention.ended_before);
    let run = retention.run.map(|it| it.to_bytes());
    let parameters = (before, &retention.workflow, statuses, run, retention.limit);
    let runs: Vec<RunId> =
        statement.query_map(parameters, |row| run_id(row, 0))?.collect::<rusqlite::Result<_>>()?;
    if !runs.is_empty() {
        following::keep_logs_end(connection)?;
        writing.journal.index_all(connection)?;
        following::keep_journal_removed(connection, &runs)?;
    }
    let mut collected = Collected::default();
    for run in runs {
        collected.records += writing.journal.remove(connection, run)?;
        remove_rows(connection, run, &mut collected)?;
    }
    let sql = format!("PRAGMA incremental_vacuum({VACUUM_PAGES_MAX})");
    let mut vacuum = connection.prepare(&sql)?;
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    collected.bytes_freed = bytes_before.saturating_sub(page_bytes(connection)?);
    Ok(collected)
}

fn remove_rows(connection: &Connection, run: RunId, collected: &mut Collected) -> Attempt<()> {
    let id = run.to_bytes();
    let hashes: Vec<Digest> = connection
        .prepare_cached("SELECT hash FROM payload_refs WHERE run = ?")?
        .query_map([id], |row| row.get(0).map(Digest::from_bytes))?
        .collect::<rusqlite::Result<_>>()?;
    let remove = |sql: &str| -> rusqlite::Result<u64> {
        connection.prepare_cached(sql)?.execute([id]).map(|rows| rows as u64)
    };
    collected.log_lines += remove("DELETE FROM logs WHERE run = ?")?;
    remove("DELETE FROM snapshots WHERE run = ?")?;
    remove("DELETE FROM inbox WHERE run = ?")?;
    remove("DELETE FROM labels WHERE run = ?")?;
    remove("DELETE FROM payload_refs WHERE run = ?")?;
    collected.runs += remove("DELETE FROM runs WHERE id = ?")?;
    for hash in hashes {
        let freed = connection
            .prepare_cached(
                "DELETE FROM payloads WHERE hash = ?1
                 AND NOT EXISTS (SELECT 1 FROM payload_refs WHERE hash = ?1)",
            )?
            .execute([hash.as_bytes()])?;
        collected.payloads += freed as u64;
    }
    Ok(())
}

fn page_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
        [],
        |row| row.get::<_, i64>(0).map(loaded),
    )
}
