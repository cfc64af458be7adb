//! Rows as SQLite keeps them, and back.

use rusqlite::Row;
use rusqlite::types::Value;
use surefoot_core::ids::{Digest, RunId};

use super::checksum;
use super::failure::{Attempt, Failure};
use crate::row::*;

/// The columns of `runs`, in the order of [`run_values`].
pub const RUN_COLUMNS: &str = "id, shard, workflow, version, definition, key, key_body, status, \
     activity, wake_at, created_at, started_at, ended_at, priority, actor, parent, \
     concurrency_key, labels, summary, done, total, checksum";
/// Finds a row of these columns.
pub const FIND_RUN: &str = "SELECT id, shard, workflow, version, definition, key, key_body, status, \
     activity, wake_at, created_at, started_at, ended_at, priority, actor, parent, \
     concurrency_key, labels, summary, done, total, checksum FROM runs WHERE id = ?";
const CHECKSUM: usize = 21;

pub const ACTIVE: i64 = 0;
pub const IDLE: i64 = 1;
pub const ENDED: i64 = 2;

/// Returns what is stored for a row, its checksum last.
pub fn run_values(row: &RunRow) -> Vec<Value> {
    let (activity, wake_at) = match row.activity {
        Activity::Active => (ACTIVE, None),
        Activity::Idle { wake_at } => (IDLE, wake_at),
        Activity::Ended => (ENDED, None),
    };
    let time = |it: Option<u64>| it.map(stored).map_or(Value::Null, Value::Integer);
    let text = |it: &Option<String>| it.clone().map_or(Value::Null, Value::Text);
    let labels = serde_json::to_string(&row.labels).expect("a map of strings is JSON");
    let mut values = vec![
        run_value(row.id),
        Value::Integer(row.shard.into()),
        Value::Text(row.workflow.clone()),
        Value::Text(row.version.clone()),
        Value::Blob(row.definition.as_bytes().to_vec()),
        text(&row.key),
        row.key_body.map_or(Value::Null, |it| Value::Blob(it.as_bytes().to_vec())),
        Value::Text(row.status.clone()),
        Value::Integer(activity),
        time(wake_at),
        Value::Integer(stored(row.created_at)),
        time(row.started_at),
        time(row.ended_at),
        Value::Integer(row.priority.into()),
        Value::Text(row.actor.clone()),
        row.parent.map_or(Value::Null, run_value),
        text(&row.concurrency_key),
        Value::Text(labels),
        text(&row.summary),
        Value::Integer(row.done.into()),
        Value::Integer(row.total.into()),
    ];
    values.push(Value::Integer(checksum::of_owned(&values)));
    values
}

/// Reads a row of [`RUN_COLUMNS`].
pub fn run_row(row: &Row<'_>) -> Attempt<RunRow> {
    let mut values = Vec::with_capacity(CHECKSUM);
    for column in 0..CHECKSUM {
        values.push(row.get_ref(column)?);
    }
    if checksum::of_values(values.into_iter()) != row.get::<_, i64>(CHECKSUM)? {
        let id = run_id(row, 0).map_or_else(|_| "unreadable id".to_owned(), |it| it.to_string());
        return Err(Failure::Damaged(format!("the row of run {id} fails its checksum")));
    }
    let labels: String = row.get(17)?;
    Ok(RunRow {
        id: run_id(row, 0)?,
        shard: row.get(1)?,
        workflow: row.get(2)?,
        version: row.get(3)?,
        definition: digest(row, 4)?,
        key: row.get(5)?,
        key_body: row.get::<_, Option<[u8; 32]>>(6)?.map(Digest::from_bytes),
        status: row.get(7)?,
        activity: match row.get(8)? {
            ACTIVE => Activity::Active,
            IDLE => Activity::Idle { wake_at: row.get::<_, Option<i64>>(9)?.map(loaded) },
            _ => Activity::Ended,
        },
        created_at: loaded(row.get(10)?),
        started_at: row.get::<_, Option<i64>>(11)?.map(loaded),
        ended_at: row.get::<_, Option<i64>>(12)?.map(loaded),
        priority: row.get(13)?,
        actor: row.get(14)?,
        parent: row.get::<_, Option<[u8; 16]>>(15)?.map(RunId::from_bytes),
        concurrency_key: row.get(16)?,
        labels: serde_json::from_str(&labels)
            .map_err(|error| Failure::Damaged(format!("labels `{labels}`: {error}")))?,
        summary: row.get(18)?,
        done: row.get(19)?,
        total: row.get(20)?,
    })
}

/// The columns that [`definition_row`] reads.
pub const DEFINITION_COLUMNS: &str = "hash, workflow, version, source, created_at, actor, checksum";

pub fn definition_values(row: &DefinitionRow) -> Vec<Value> {
    let mut values = vec![
        Value::Blob(row.hash.as_bytes().to_vec()),
        Value::Text(row.workflow.clone()),
        Value::Text(row.version.clone()),
        Value::Text(row.source.clone()),
        Value::Integer(stored(row.created_at)),
        Value::Text(row.actor.clone()),
    ];
    values.push(Value::Integer(checksum::of_owned(&values)));
    values
}

pub fn definition_row(row: &Row<'_>) -> Attempt<DefinitionRow> {
    let mut values = Vec::with_capacity(6);
    for column in 0..6 {
        values.push(row.get_ref(column)?);
    }
    if checksum::of_values(values.into_iter()) != row.get::<_, i64>(6)? {
        return Err(Failure::Damaged("a definition fails its checksum".to_owned()));
    }
    Ok(DefinitionRow {
        hash: digest(row, 0)?,
        workflow: row.get(1)?,
        version: row.get(2)?,
        source: row.get(3)?,
        created_at: loaded(row.get(4)?),
        actor: row.get(5)?,
    })
}

pub fn run_id(row: &Row<'_>, column: usize) -> rusqlite::Result<RunId> {
    row.get(column).map(RunId::from_bytes)
}

pub fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    row.get(column).map(Digest::from_bytes)
}

fn run_value(run: RunId) -> Value {
    Value::Blob(run.to_bytes().to_vec())
}

/// Instants are stored as SQLite's signed integers; what is beyond them is the far future.
pub fn stored(instant: u64) -> i64 {
    i64::try_from(instant).unwrap_or(i64::MAX)
}

pub fn loaded(instant: i64) -> u64 {
    u64::try_from(instant).unwrap_or(0)
}
