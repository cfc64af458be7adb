//! The journal as the writer knows it. Records are found by an index of run and number, and a
//! record's entry would dirty a page of its own run: thousands of bytes for a few hundred. So the
//! newest records, the tail, have no entry yet. They are indexed together, sorted, when there are
//! enough of them; until then a read of a run that has records in the tail looks through it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, params};
use surefoot_core::ids::RunId;

use super::checksum;
use super::failure::Attempt;
use super::rows::{loaded, run_id, stored};

/// Records that may wait for their index entry: more make the index cheaper to write and the
/// tail dearer to read.
const TAIL_RECORDS_MAX: i64 = 4_096;
/// Runs in one generation of counts; twice as many are remembered at most.
const GENERATION_RUNS_MAX: usize = 65_536;

/// Which runs have records in the tail, for the readers of this process.
#[derive(Default)]
pub struct Tail {
    /// The position that the tail begins after.
    indexed: i64,
    /// At least every run with a record after `indexed`.
    runs: HashSet<RunId>,
}

pub type SharedTail = Arc<Mutex<Tail>>;

/// What the writer remembers, so that an append reads nothing. The one owner is the only one that
/// appends: what it wrote is what there is.
#[derive(Default)]
pub struct Journal {
    /// How many records runs have, in two generations: what is not asked for while one fills up
    /// is forgotten, and the index tells it again.
    young: HashMap<RunId, u64>,
    old: HashMap<RunId, u64>,
    ends: Option<Ends>,
    tail: SharedTail,
    /// Set between indexing the tail and committing that.
    next_tail: Option<Tail>,
}

#[derive(Clone, Copy)]
struct Ends {
    indexed: i64,
    newest: i64,
}

impl Journal {
    /// Looks for the tail that the owner before has left.
    pub fn open(connection: &Connection) -> Attempt<Journal> {
        let mut journal = Journal::default();
        journal.ends(connection)?;
        Ok(journal)
    }

    /// Returns what readers ask before they look through the tail.
    pub fn tail(&self) -> SharedTail {
        Arc::clone(&self.tail)
    }

    /// Returns how many records the run has.
    pub fn count(&mut self, connection: &Connection, run: RunId) -> Attempt<u64> {
        if let Some(count) = self.young.get(&run) {
            return Ok(*count);
        }
        let count = match self.old.get(&run) {
            Some(count) => *count,
            None => self.stored_count(connection, run)?,
        };
        self.set(run, count);
        Ok(count)
    }

    /// Appends record number `seq`, which is the run's count.
    pub fn append(
        &mut self,
        connection: &Connection,
        run: RunId,
        seq: u64,
        body: &[u8],
    ) -> Attempt<()> {
        let mut ends = self.ends(connection)?;
        if ends.newest - ends.indexed >= TAIL_RECORDS_MAX {
            ends = self.index(connection)?;
        }
        ends.newest += 1;
        connection
            .prepare_cached(
                "INSERT INTO journal (pos, run, seq, checksum, body) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![
                ends.newest,
                run.to_bytes(),
                stored(seq),
                checksum::of_record(run, seq, body),
                body,
            ])?;
        self.ends = Some(ends);
        // Before the commit, so that whoever sees the record also sees that it is in the tail.
        self.tail.lock().expect("no panic while locked").runs.insert(run);
        if let Some(next) = &mut self.next_tail {
            next.runs.insert(run);
        }
        self.set(run, seq + 1);
        Ok(())
    }

    /// Removes a run's records and returns how many there were.
    pub fn remove(&mut self, connection: &Connection, run: RunId) -> Attempt<u64> {
        self.index_all(connection)?;
        self.young.remove(&run);
        self.old.remove(&run);
        let id = run.to_bytes();
        let removed = connection
            .prepare_cached(
                "DELETE FROM journal WHERE pos IN (SELECT pos FROM journal_index WHERE run = ?)",
            )?
            .execute([id])?;
        connection.prepare_cached("DELETE FROM journal_index WHERE run = ?")?.execute([id])?;
        Ok(removed as u64)
    }

    /// Gives the records of the tail their entries.
    pub fn index_all(&mut self, connection: &Connection) -> Attempt<()> {
        let ends = self.ends(connection)?;
        if ends.newest > ends.indexed {
            self.index(connection)?;
        }
        Ok(())
    }

    pub fn committed(&mut self) {
        if let Some(next) = self.next_tail.take() {
            *self.tail.lock().expect("no panic while locked") = next;
        }
    }

    /// Forgets everything: what a transaction counted that did not commit is not there.
    pub fn forget(&mut self) {
        self.young.clear();
        self.old.clear();
        self.ends = None;
        self.next_tail = None;
    }

    fn set(&mut self, run: RunId, count: u64) {
        if self.young.len() >= GENERATION_RUNS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(run, count);
    }

    fn stored_count(&mut self, connection: &Connection, run: RunId) -> Attempt<u64> {
        let Ends { indexed, .. } = self.ends(connection)?;
        let in_tail = self.tail.lock().expect("no panic while locked").runs.contains(&run);
        let mut seq: Option<i64> = None;
        if in_tail {
            seq = connection
                .prepare_cached("SELECT max(seq) FROM journal WHERE run = ? AND pos > ?")?
                .query_row(params![run.to_bytes(), indexed], |row| row.get(0))?;
        }
        if seq.is_none() {
            seq = connection
                .prepare_cached("SELECT max(seq) FROM journal_index WHERE run = ?")?
                .query_row([run.to_bytes()], |row| row.get(0))?;
        }
        Ok(seq.map_or(0, |seq| loaded(seq) + 1))
    }

    /// Returns where the tail begins and ends. Looks after a start and after a failure.
    fn ends(&mut self, connection: &Connection) -> Attempt<Ends> {
        if let Some(ends) = self.ends {
            return Ok(ends);
        }
        let indexed = indexed(connection)?;
        let newest: Option<i64> =
            connection.query_row("SELECT max(pos) FROM journal", [], |row| row.get(0))?;
        let runs = connection
            .prepare("SELECT DISTINCT run FROM journal WHERE pos > ?")?
            .query_map([indexed], |row| run_id(row, 0))?
            .collect::<rusqlite::Result<_>>()?;
        *self.tail.lock().expect("no panic while locked") = Tail { indexed, runs };
        // Positions that gc has emptied are not used again: the index ends after them.
        let ends = Ends { indexed, newest: newest.unwrap_or(0).max(indexed) };
        self.ends = Some(ends);
        Ok(ends)
    }

    /// Gives every record of the tail its index entry.
    fn index(&mut self, connection: &Connection) -> Attempt<Ends> {
        let Ends { indexed, newest } = self.ends(connection)?;
        connection
            .prepare_cached(
                "INSERT INTO journal_index (run, seq, pos)
                 SELECT run, seq, pos FROM journal WHERE pos > ? ORDER BY run, seq",
            )?
            .execute([indexed])?;
        connection.prepare_cached("UPDATE indexed SET pos = ?")?.execute([newest])?;
        let ends = Ends { indexed: newest, newest };
        self.ends = Some(ends);
        self.next_tail = Some(Tail { indexed: newest, runs: HashSet::new() });
        Ok(ends)
    }
}

/// Returns the position up to which records have index entries.
pub fn indexed(connection: &Connection) -> Attempt<i64> {
    let mut statement = connection.prepare_cached("SELECT pos FROM indexed")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Says whether the image that `connection` reads may have records of the run in its tail.
/// Without a shared tail (a client) it always may.
pub fn may_be_in_tail(
    connection: &Connection,
    tail: Option<&SharedTail>,
    run: RunId,
) -> Attempt<bool> {
    let Some(tail) = tail else { return Ok(true) };
    let indexed = indexed(connection)?;
    let tail = tail.lock().expect("no panic while locked");
    // An image of before or after the last indexing has another tail than the one described.
    Ok(tail.indexed != indexed || tail.runs.contains(&run))
}
