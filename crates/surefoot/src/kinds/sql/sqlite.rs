//! SQLite, on threads that may block. A cancel is seen between steps of the virtual machine and
//! while waiting for a lock.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration as Span, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, ToSql};
use serde_json::Value;
use surefoot_core::task_error::TaskError;
use surefoot_core::time::Duration;
use surefoot_store::APPLICATION_ID;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::marks::Statement;
use super::table::Table;
use super::{ONCE_TABLE, Work, error};
use crate::kinds::Context;
use crate::kinds::bounded::{blocking, cancelled, within};

/// How long to wait for another writer before the attempt fails.
const LOCK_WAIT_MAX: Span = Span::from_secs(5);
/// How often the wait looks whether the attempt was cancelled.
const LOCK_WAIT_STEP: Span = Span::from_millis(50);
/// Steps of the virtual machine between two looks.
const STEPS_BETWEEN_LOOKS: i32 = 1000;

pub(super) struct Sqlite {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    slots: Arc<Semaphore>,
}

impl Sqlite {
    pub(super) fn new(path: PathBuf, connections_max: usize) -> Sqlite {
        Sqlite { path, idle: Mutex::default(), slots: Arc::new(Semaphore::new(connections_max)) }
    }

    pub(super) async fn run(
        self: &Arc<Self>,
        context: &Context,
        timeout: Option<Duration>,
        work: Work,
    ) -> Result<Value, TaskError> {
        let slots = Arc::clone(&self.slots);
        let slot = within(context, timeout, async {
            Ok(slots.acquire_owned().await.expect("the semaphore is never closed"))
        })
        .await?;
        let this = Arc::clone(self);
        blocking(context, timeout, move |abort| {
            let result = this.attempt(&work, abort);
            drop(slot);
            result
        })
        .await
    }

    fn attempt(&self, work: &Work, abort: &CancellationToken) -> Result<Value, TaskError> {
        let plain = |it: rusqlite::Error| error::sqlite(&it, None);
        let mut connection = self.open(abort)?;
        let inside = abort.clone();
        let look = move || inside.is_cancelled();
        connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(look)).map_err(plain)?;
        let result = execute(&connection, work, abort);
        connection.progress_handler(0, None::<fn() -> bool>).map_err(plain)?;
        if connection.is_autocommit() && work.leaves_no_trace() {
            self.idle.lock().expect("nobody panics while holding the lock").push(connection);
        }
        result
    }

    fn open(&self, abort: &CancellationToken) -> Result<Connection, TaskError> {
        let idle = self.idle.lock().expect("nobody panics while holding the lock").pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        let plain = |it: rusqlite::Error| error::sqlite(&it, None);
        let connection = Connection::open(&self.path).map_err(plain)?;
        connection.busy_timeout(LOCK_WAIT_STEP).map_err(plain)?;
        // ATTACH would open any file of the machine.
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0).map_err(plain)?;
        let id = patiently(abort, || {
            connection.query_row("PRAGMA application_id", [], |row| row.get::<_, i32>(0))
        });
        match id.map_err(plain)? {
            APPLICATION_ID => Err(error::store()),
            _ => Ok(connection),
        }
    }
}

fn execute(
    connection: &Connection,
    work: &Work,
    abort: &CancellationToken,
) -> Result<Value, TaskError> {
    let all = || {
        let each = work.statements.iter().map(|it| run(connection, it, work.rows_max, abort));
        Ok(work.output(each.collect::<Result<_, TaskError>>()?))
    };
    if !work.in_transaction {
        return all();
    }
    let control = |sql: &str| {
        let done = patiently(abort, || connection.execute_batch(sql));
        done.map_err(|it| error::sqlite(&it, None))
    };
    control("BEGIN IMMEDIATE")?;
    let result = match &work.once {
        Some(key) => once(connection, key, all),
        None => all(),
    };
    let result = if abort.is_cancelled() { result.and(Err(cancelled())) } else { result };
    // After a failed commit the transaction is still open, and is undone like any other.
    let result = result.and_then(|output| control("COMMIT").map(|()| output));
    if result.is_err() && !connection.is_autocommit() {
        // If this fails too, closing the connection undoes the work.
        let _ = connection.execute_batch("ROLLBACK");
    }
    result
}

/// Returns the output that is kept under `key`, or makes it and keeps it.
fn once(
    connection: &Connection,
    key: &str,
    all: impl FnOnce() -> Result<Value, TaskError>,
) -> Result<Value, TaskError> {
    let fail = |it: rusqlite::Error| error::sqlite(&it, None);
    let table = format!(
        "CREATE TABLE IF NOT EXISTS {ONCE_TABLE} (key TEXT PRIMARY KEY, output TEXT NOT NULL, \
         created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))"
    );
    connection.execute_batch(&table).map_err(fail)?;
    let select = format!("SELECT output FROM {ONCE_TABLE} WHERE key = ?1");
    let kept: Option<String> =
        connection.query_row(&select, [key], |row| row.get(0)).optional().map_err(fail)?;
    if let Some(kept) = kept {
        return super::postgres::kept_output(&kept);
    }
    let output = all()?;
    let insert = format!("INSERT INTO {ONCE_TABLE} (key, output) VALUES (?1, ?2)");
    connection.execute(&insert, (key, output.to_string())).map_err(fail)?;
    Ok(output)
}

fn run(
    connection: &Connection,
    statement: &Statement,
    rows_max: usize,
    abort: &CancellationToken,
) -> Result<Table, TaskError> {
    let fail = |it: rusqlite::Error| error::sqlite(&it, Some(statement));
    let mut prepared = patiently(abort, || connection.prepare(&statement.sql)).map_err(fail)?;
    if prepared.parameter_count() != statement.values.len() {
        return Err(error::wrong_marks(prepared.parameter_count(), statement.values.len()));
    }
    for (at, value) in statement.values.iter().enumerate() {
        prepared.raw_bind_parameter(at + 1, Bound(value)).map_err(fail)?;
    }
    let before = connection.total_changes();
    let table = patiently(abort, || rows(&mut prepared, rows_max));
    let mut table = table.map_err(fail)?;
    // As in PostgreSQL, a statement that only reads affects the rows that it gives.
    table.rows_affected =
        if prepared.readonly() { table.len() as u64 } else { connection.total_changes() - before };
    Ok(table)
}

fn rows(prepared: &mut rusqlite::Statement<'_>, rows_max: usize) -> rusqlite::Result<Table> {
    let names: Vec<String> = prepared.column_names().map(str::to_owned).collect();
    let (count, is_read) = (names.len(), prepared.readonly());
    let mut table = Table::new(names, rows_max);
    let mut typed = vec![false; count];
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next()? {
        let mut cells = Vec::with_capacity(count);
        for (at, known) in typed.iter_mut().enumerate() {
            let cell = row.get_ref(at)?;
            if !*known && cell != ValueRef::Null {
                *known = true;
                table.set_type(at, type_name(cell));
            }
            cells.push(json_of(cell));
        }
        // A statement that writes must run to its end to have its whole effect.
        if !table.push(cells) && is_read {
            break;
        }
    }
    Ok(table)
}

/// Repeats what another connection's lock refuses, until the wait is over or the attempt is.
fn patiently<T>(
    abort: &CancellationToken,
    mut step: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let started = Instant::now();
    loop {
        match step() {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && started.elapsed() < LOCK_WAIT_MAX
                    && !abort.is_cancelled() => {}
            result => return result,
        }
    }
}

/// A parameter. Lists and objects are stored as JSON text, which SQLite's JSON functions read.
struct Bound<'v>(&'v Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::from(rusqlite::types::Null),
            Value::Bool(it) => ToSqlOutput::from(*it),
            Value::String(text) => ToSqlOutput::from(text.as_str()),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => ToSqlOutput::from(whole),
                (None, Some(real)) if !number.is_u64() => ToSqlOutput::from(real),
                // Above 2^63 SQLite has no integers; a rounded one would be a silent lie.
                _ => ToSqlOutput::from(number.to_string()),
            },
            Value::Array(_) | Value::Object(_) => ToSqlOutput::from(self.0.to_string()),
        })
    }
}

fn type_name(cell: ValueRef<'_>) -> &'static str {
    match cell {
        ValueRef::Null => "null",
        ValueRef::Integer(_) => "integer",
        ValueRef::Real(_) => "real",
        ValueRef::Text(_) => "text",
        ValueRef::Blob(_) => "blob",
    }
}

fn json_of(cell: ValueRef<'_>) -> Value {
    match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(whole) => whole.into(),
        // JSON has no infinity.
        ValueRef::Real(real) => serde_json::Number::from_f64(real)
            .map_or_else(|| Value::String(real.to_string()), Value::Number),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => STANDARD.encode(bytes).into(),
    }
}
