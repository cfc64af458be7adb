//! What jobs do inside the writer's transaction.

use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::time::Millis;

use super::checksum;
use super::failure::{Attempt, Failure};
use super::journal::Journal;
use super::recent::RecentRows;
use super::rows::{self, stored};
use crate::row::*;
use crate::{Error, LogLine};

const INSERT_RUN: &str =
    "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO NOTHING";

/// One open transaction of the writer, and what the writer knows without looking.
pub struct Writing<'a> {
    pub connection: &'a Connection,
    pub journal: &'a mut Journal,
    recent: &'a mut RecentRows,
    /// Epochs read in this transaction: nobody else can change them before it ends.
    epochs: Vec<(Shard, u64)>,
}

impl<'a> Writing<'a> {
    pub fn new(
        connection: &'a Connection,
        journal: &'a mut Journal,
        recent: &'a mut RecentRows,
    ) -> Writing<'a> {
        Writing { connection, journal, recent, epochs: Vec::new() }
    }

    pub fn claim(&mut self, shard: Shard) -> Attempt<Owner> {
        let epoch: i64 = self.connection.query_row(
            "INSERT INTO shards (shard, epoch) VALUES (?1, 1)
             ON CONFLICT (shard) DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
            [shard],
            |row| row.get(0),
        )?;
        let epoch = rows::loaded(epoch);
        self.epochs.retain(|(known, _)| *known != shard);
        self.epochs.push((shard, epoch));
        Ok(Owner { shard, epoch })
    }

    pub fn append(&mut self, owner: Owner, batch: &[Append]) -> Attempt<Vec<Outcome>> {
        self.check(owner)?;
        batch.iter().map(|append| self.append_one(append)).collect()
    }

    pub fn append_logs(&mut self, owner: Owner, lines: &[LogLine]) -> Attempt<()> {
        self.check(owner)?;
        lines.iter().try_for_each(|line| self.log(line))
    }

    pub fn put_definition(
        &mut self,
        row: &DefinitionRow,
    ) -> Attempt<std::result::Result<(), Digest>> {
        let there = self
            .connection
            .prepare_cached("SELECT hash FROM definitions WHERE workflow = ?1 AND version = ?2")?
            .query_row([&row.workflow, &row.version], |found| rows::digest(found, 0))
            .optional()?;
        match there {
            Some(hash) if hash != row.hash => return Ok(Err(hash)),
            Some(_) => return Ok(Ok(())),
            None => {}
        }
        self.connection
            .prepare_cached(
                "INSERT INTO definitions
                    (hash, workflow, version, source, created_at, actor, checksum)
                 VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
            )?
            .execute(params_from_iter(rows::definition_values(row)))?;
        Ok(Ok(()))
    }

    pub fn answer(&mut self, owner: Owner, entries: &[(i64, String)]) -> Attempt<()> {
        self.check(owner)?;
        entries.iter().try_for_each(|(entry, answer)| self.answer_one(*entry, answer))
    }

    /// Refuses an owner that has been replaced. Comes before anything is written.
    fn check(&mut self, owner: Owner) -> Attempt<()> {
        let known = self.epochs.iter().find(|(shard, _)| *shard == owner.shard);
        let actual = match known {
            Some((_, epoch)) => *epoch,
            None => {
                let epoch = epoch(self.connection, owner.shard)?;
                self.epochs.push((owner.shard, epoch));
                epoch
            }
        };
        if actual == owner.epoch {
            return Ok(());
        }
        Err(Failure::Refused(Error::Fenced { shard: owner.shard, held: owner.epoch, actual }))
    }

    fn append_one(&mut self, append: &Append) -> Attempt<Outcome> {
        let run = append.run;
        let actual = self.journal.count(self.connection, run)?;
        if actual != append.expected {
            return Ok(Outcome::Conflict { actual });
        }
        if let Some(RowChange::Insert(row)) = &append.row
            && let Some(duplicate) = self.holder_of_key(row)?
        {
            return Ok(duplicate);
        }
        self.journal.append(self.connection, run, actual, &append.record)?;
        match &append.row {
            Some(RowChange::Insert(row)) => self.insert_row(row)?,
            Some(RowChange::Update(update)) => self.change_row(run, |row| row.apply(update))?,
            None => {}
        }
        if let Some(parent) = append.wake {
            self.wake(parent)?;
        }
        append.logs.iter().try_for_each(|line| self.log(line))?;
        if let Some(snapshot) = &append.snapshot {
            self.snapshot(run, actual + 1, snapshot)?;
        }
        append.payloads.iter().try_for_each(|(hash, body)| self.payload(run, *hash, body))?;
        append.answered.iter().try_for_each(|entry| self.answer_one(*entry, APPLIED))?;
        Ok(Outcome::Applied)
    }

    fn holder_of_key(&self, row: &RunRow) -> Attempt<Option<Outcome>> {
        let Some(key) = &row.key else { return Ok(None) };
        let holder = self
            .connection
            .prepare_cached("SELECT id, key_body FROM runs WHERE workflow = ? AND key = ?")?
            .query_row([&row.workflow, key], |found| {
                let body: Option<[u8; 32]> = found.get(1)?;
                Ok((rows::run_id(found, 0)?, body.map(Digest::from_bytes)))
            })
            .optional()?;
        let other = holder.filter(|(run, _)| *run != row.id);
        Ok(other.map(|(run, body)| Outcome::Duplicate { run, body }))
    }

    fn insert_row(&mut self, row: &RunRow) -> Attempt<()> {
        let inserted = self
            .connection
            .prepare_cached(INSERT_RUN)?
            .execute(params_from_iter(rows::run_values(row)))?;
        if inserted == 0 {
            return Ok(());
        }
        for (name, value) in &row.labels {
            self.connection
                .prepare_cached("INSERT OR IGNORE INTO labels (name, value, run) VALUES (?, ?, ?)")?
                .execute(params![name, value, row.id.to_bytes()])?;
        }
        self.recent.keep(row.clone());
        Ok(())
    }

    /// Changes a row as a whole, because its checksum covers all of it.
    fn change_row(&mut self, run: RunId, change: impl FnOnce(&mut RunRow)) -> Attempt<()> {
        let known = match self.recent.take(run) {
            Some(row) => Some(row),
            None => find_run(self.connection, run)?,
        };
        let Some(mut row) = known else { return Ok(()) };
        change(&mut row);
        let values = rows::run_values(&row);
        self.connection
            .prepare_cached(
                "UPDATE runs SET status = ?2, activity = ?3, wake_at = ?4, started_at = ?5,
                    ended_at = ?6, summary = ?7, done = ?8, total = ?9, checksum = ?10
                 WHERE id = ?1",
            )?
            .execute(params![
                values[0], values[7], values[8], values[9], values[11], values[12], values[18],
                values[19], values[20], values[21],
            ])?;
        self.recent.keep(row);
        Ok(())
    }

    fn wake(&mut self, parent: RunId) -> Attempt<()> {
        self.change_row(parent, |row| {
            if let Activity::Idle { wake_at } = &mut row.activity {
                *wake_at = Some(0);
            }
        })
    }

    fn log(&self, line: &LogLine) -> Attempt<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO logs (pos, run, task, attempt, at, stream, text)
                 VALUES (1 + max((SELECT coalesce(max(pos), 0) FROM logs),
                                 (SELECT pos FROM logs_floor)), ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                line.run.to_bytes(),
                line.task,
                line.attempt,
                stored(line.at),
                line.stream,
                line.text,
            ])?;
        Ok(())
    }

    fn snapshot(&self, run: RunId, records: u64, body: &[u8]) -> Attempt<()> {
        let checksum = checksum::of_record(run, records, body);
        self.connection
            .prepare_cached(
                "INSERT INTO snapshots (run, records, checksum, body) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (run) DO UPDATE SET records = ?2, checksum = ?3, body = ?4",
            )?
            .execute(params![run.to_bytes(), stored(records), checksum, body])?;
        Ok(())
    }

    fn payload(&self, run: RunId, hash: Digest, body: &[u8]) -> Attempt<()> {
        self.connection
            .prepare_cached("INSERT OR IGNORE INTO payloads (hash, body) VALUES (?, ?)")?
            .execute(params![hash.as_bytes(), body])?;
        self.connection
            .prepare_cached("INSERT OR IGNORE INTO payload_refs (run, hash) VALUES (?, ?)")?
            .execute(params![run.to_bytes(), hash.as_bytes()])?;
        Ok(())
    }

    fn answer_one(&self, entry: i64, answer: &str) -> Attempt<()> {
        self.connection
            .prepare_cached("UPDATE inbox SET answer = ? WHERE id = ? AND answer IS NULL")?
            .execute(params![answer, entry])?;
        Ok(())
    }
}

/// Leaves a command. Needs no owner, so that any process may do it.
pub fn post(connection: &Connection, run: RunId, command: &[u8], now: Millis) -> Attempt<i64> {
    let checksum = checksum::of_record(run, now, command);
    connection
        .prepare_cached(
            "INSERT INTO inbox (run, command, created_at, checksum) VALUES (?, ?, ?, ?)",
        )?
        .execute(params![run.to_bytes(), command, stored(now), checksum])?;
    Ok(connection.last_insert_rowid())
}

/// Returns the shard's epoch, 0 if it was never claimed.
pub fn epoch(connection: &Connection, shard: Shard) -> Attempt<u64> {
    let epoch = connection
        .prepare_cached("SELECT epoch FROM shards WHERE shard = ?")?
        .query_row([shard], |row| row.get(0))
        .optional()?;
    Ok(epoch.map_or(0, rows::loaded))
}

pub fn find_run(connection: &Connection, run: RunId) -> Attempt<Option<RunRow>> {
    let mut statement = connection.prepare_cached(rows::FIND_RUN)?;
    let mut found = statement.query([run.to_bytes()])?;
    found.next()?.map(rows::run_row).transpose()
}
