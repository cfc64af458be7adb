//! What is read, each in one short transaction.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, ToSql, params_from_iter};
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::time::Millis;

use super::checksum;
use super::failure::{Attempt, Failure};
use super::journal::{self, SharedTail};
use super::rows::{self, DEFINITION_COLUMNS, RUN_COLUMNS, loaded, stored};
use crate::Loaded;
use crate::row::*;

pub fn load(connection: &Connection, tail: Option<&SharedTail>, run: RunId) -> Attempt<Loaded> {
    // One image for snapshot and records.
    let _image = connection.unchecked_transaction()?;
    let snapshot = snapshot(connection, run)?;
    let from = snapshot.as_ref().map_or(0, |(records, _)| *records);
    let records = records_of_image(connection, tail, run, from, u32::MAX)?;
    Ok(Loaded { snapshot, records })
}

/// A snapshot that fails its checksum is left out: the records say the same.
fn snapshot(connection: &Connection, run: RunId) -> Attempt<Option<(u64, Vec<u8>)>> {
    let found = connection
        .prepare_cached("SELECT records, checksum, body FROM snapshots WHERE run = ?")?
        .query_row([run.to_bytes()], |row| {
            Ok((loaded(row.get(0)?), row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?))
        })
        .optional()?;
    let Some((records, checksum, body)) = found else { return Ok(None) };
    if checksum == checksum::of_record(run, records, &body) {
        return Ok(Some((records, body)));
    }
    tracing::warn!(%run, "a damaged snapshot is left out");
    Ok(None)
}

pub fn records(
    connection: &Connection,
    tail: Option<&SharedTail>,
    run: RunId,
    from: u64,
    limit: u32,
) -> Attempt<Vec<Vec<u8>>> {
    let _image = connection.unchecked_transaction()?;
    records_of_image(connection, tail, run, from, limit)
}

const INDEXED_RECORDS: &str = "SELECT entry.seq, checksum, body
     FROM journal_index AS entry LEFT JOIN journal ON journal.pos = entry.pos
     WHERE entry.run = ?1 AND entry.seq >= ?2 ORDER BY entry.seq LIMIT ?3";
const TAIL_RECORDS: &str = "SELECT seq, checksum, body FROM journal
     WHERE pos > (SELECT pos FROM indexed) AND run = ?1 AND seq >= ?2 ORDER BY pos LIMIT ?3";

fn records_of_image(
    connection: &Connection,
    tail: Option<&SharedTail>,
    run: RunId,
    from: u64,
    limit: u32,
) -> Attempt<Vec<Vec<u8>>> {
    let mut records = Vec::new();
    add_records(connection, INDEXED_RECORDS, run, from, limit, &mut records)?;
    let left = limit.saturating_sub(records.len() as u32);
    if left > 0 && journal::may_be_in_tail(connection, tail, run)? {
        add_records(connection, TAIL_RECORDS, run, from, left, &mut records)?;
    }
    Ok(records)
}

/// Adds what `sql` finds, which must go on where `records` ends.
fn add_records(
    connection: &Connection,
    sql: &str,
    run: RunId,
    from: u64,
    limit: u32,
    records: &mut Vec<Vec<u8>>,
) -> Attempt<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query((run.to_bytes(), stored(from), limit))?;
    while let Some(row) = found.next()? {
        let expected = from + records.len() as u64;
        let (checksum, body): (Option<i64>, Option<Vec<u8>>) = (row.get(1)?, row.get(2)?);
        let body = body.unwrap_or_default();
        if loaded(row.get(0)?) != expected {
            return Err(Failure::Damaged(format!("record {expected} of run {run} is missing")));
        }
        if checksum != Some(checksum::of_record(run, expected, &body)) {
            let reason = format!("record {expected} of run {run} fails its checksum");
            return Err(Failure::Damaged(reason));
        }
        records.push(body);
    }
    Ok(())
}

pub fn runs(connection: &Connection, filter: &RunFilter) -> Attempt<Vec<RunRow>> {
    let (conditions, values) = conditions(filter);
    let sql = format!(
        "SELECT {RUN_COLUMNS} FROM runs {conditions} ORDER BY id DESC LIMIT {}",
        filter.limit
    );
    run_rows(connection, &sql, values)
}

/// Writes the filter as SQL. Values are always bound.
fn conditions(filter: &RunFilter) -> (String, Vec<Value>) {
    let mut parts: Vec<String> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    let mut part = |sql: &str, bound: Vec<Value>| {
        parts.push(sql.to_owned());
        values.extend(bound);
    };
    let id = |run: RunId| Value::Blob(run.to_bytes().to_vec());
    if let Some(workflow) = &filter.workflow {
        part("workflow = ?", vec![Value::Text(workflow.clone())]);
    }
    if !filter.statuses.is_empty() {
        let marks = vec!["?"; filter.statuses.len()].join(", ");
        let statuses = filter.statuses.iter().cloned().map(Value::Text).collect();
        part(&format!("status IN ({marks})"), statuses);
    }
    if let Some(key) = &filter.key {
        part("key = ?", vec![Value::Text(key.clone())]);
    }
    if let Some(parent) = filter.parent {
        part("parent = ?", vec![id(parent)]);
    }
    for (name, value) in &filter.labels {
        part(
            "id IN (SELECT run FROM labels WHERE name = ? AND value = ?)",
            vec![Value::Text(name.clone()), Value::Text(value.clone())],
        );
    }
    if let Some(since) = filter.since {
        part("created_at >= ?", vec![Value::Integer(stored(since))]);
    }
    if let Some((low, high)) = filter.ids {
        part("id BETWEEN ? AND ?", vec![id(low), id(high)]);
    }
    if let Some(before) = filter.before {
        part("id < ?", vec![id(before)]);
    }
    if parts.is_empty() {
        return (String::new(), values);
    }
    (format!("WHERE {}", parts.join(" AND ")), values)
}

pub fn active(
    connection: &Connection,
    shard: Shard,
    after: Option<RunId>,
    limit: u32,
) -> Attempt<Vec<RunId>> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM runs WHERE shard = ?1 AND activity = 0 AND (?2 IS NULL OR id > ?2)
         ORDER BY id LIMIT ?3",
    )?;
    let after = after.map(RunId::to_bytes);
    let found = statement.query_map((shard, after, limit), |row| rows::run_id(row, 0))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

pub fn due(
    connection: &Connection,
    shard: Shard,
    until: Millis,
    limit: u32,
) -> Attempt<Vec<(Millis, RunId)>> {
    let mut statement = connection.prepare_cached(
        "SELECT wake_at, id FROM runs
         WHERE shard = ? AND activity = 1 AND wake_at IS NOT NULL AND wake_at <= ?
         ORDER BY wake_at, id LIMIT ?",
    )?;
    let found = statement.query_map((shard, stored(until), limit), |row| {
        Ok((loaded(row.get(0)?), rows::run_id(row, 1)?))
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

pub fn next_wake(connection: &Connection, shard: Shard, after: Millis) -> Attempt<Option<Millis>> {
    let soonest: Option<i64> = connection
        .prepare_cached(
            "SELECT min(wake_at) FROM runs
             WHERE shard = ? AND activity = 1 AND wake_at IS NOT NULL AND wake_at > ?",
        )?
        .query_row((shard, stored(after)), |row| row.get(0))?;
    Ok(soonest.map(loaded))
}

pub fn keyed(connection: &Connection, shard: Shard) -> Attempt<Vec<RunRow>> {
    let sql = format!(
        "SELECT {RUN_COLUMNS} FROM runs
         WHERE shard = ? AND concurrency_key IS NOT NULL AND activity < 2 ORDER BY id"
    );
    run_rows(connection, &sql, vec![Value::Integer(shard.into())])
}

fn run_rows(connection: &Connection, sql: &str, values: Vec<Value>) -> Attempt<Vec<RunRow>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params_from_iter(values))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(rows::run_row(row)?);
    }
    Ok(rows)
}

pub fn definition(connection: &Connection, hash: Digest) -> Attempt<Option<DefinitionRow>> {
    let found = definition_rows(connection, "WHERE hash = ?", hash.as_bytes())?;
    Ok(found.into_iter().next())
}

pub fn definitions(connection: &Connection, workflow: Option<&str>) -> Attempt<Vec<DefinitionRow>> {
    definition_rows(connection, "WHERE ?1 IS NULL OR workflow = ?1", &workflow)
}

fn definition_rows(
    connection: &Connection,
    condition: &str,
    value: &dyn ToSql,
) -> Attempt<Vec<DefinitionRow>> {
    let sql = format!(
        "SELECT {DEFINITION_COLUMNS} FROM definitions {condition}
         ORDER BY created_at DESC, number DESC"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query([value])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(rows::definition_row(row)?);
    }
    Ok(rows)
}

pub fn payload(connection: &Connection, hash: Digest) -> Attempt<Option<Vec<u8>>> {
    let body: Option<Vec<u8>> = connection
        .prepare_cached("SELECT body FROM payloads WHERE hash = ?")?
        .query_row([hash.as_bytes()], |row| row.get(0))
        .optional()?;
    match body {
        Some(body) if Digest::of(&body) != hash => {
            Err(Failure::Damaged(format!("payload {hash} has another content")))
        }
        body => Ok(body),
    }
}

pub fn logs(connection: &Connection, run: RunId, filter: &LogFilter) -> Attempt<Vec<StoredLog>> {
    let mut statement = connection.prepare_cached(
        "SELECT pos, task, attempt, at, stream, text FROM logs
         WHERE run = ?1 AND pos > ?2 AND (?3 IS NULL OR task = ?3) AND (?4 IS NULL OR attempt = ?4)
         ORDER BY pos LIMIT ?5",
    )?;
    let found = statement.query_map(
        (run.to_bytes(), filter.after, &filter.task, filter.attempt, filter.limit),
        |row| {
            let line = LogLine {
                run,
                task: row.get(1)?,
                attempt: row.get(2)?,
                at: loaded(row.get(3)?),
                stream: row.get(4)?,
                text: row.get(5)?,
            };
            Ok(StoredLog { position: row.get(0)?, line })
        },
    )?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

pub fn inbox(connection: &Connection, after: i64, limit: u32) -> Attempt<Vec<InboxRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, run, command, created_at, checksum FROM inbox
         WHERE answer IS NULL AND id > ? ORDER BY id LIMIT ?",
    )?;
    let mut found = statement.query((after, limit))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let (id, run) = (row.get(0)?, rows::run_id(row, 1)?);
        let (command, created_at) = (row.get::<_, Vec<u8>>(2)?, loaded(row.get(3)?));
        if row.get::<_, i64>(4)? != checksum::of_record(run, created_at, &command) {
            return Err(Failure::Damaged(format!("inbox entry {id} fails its checksum")));
        }
        rows.push(InboxRow { id, run, command, created_at, answer: None });
    }
    Ok(rows)
}

pub fn answered(connection: &Connection, entry: i64) -> Attempt<Option<String>> {
    let answer = connection
        .prepare_cached("SELECT answer FROM inbox WHERE id = ?")?
        .query_row([entry], |row| row.get(0))
        .optional()?;
    Ok(answer.flatten())
}
