//! How many records each run has, as far as the writer remembers: the one owner is the only one
//! that appends, so what it wrote is what there is.

use std::collections::HashMap;

use rusqlite::Connection;
use surefoot_core::ids::RunId;

use super::failure::Attempt;
use super::rows::loaded;

/// Runs in one generation; twice as many are remembered at most.
const GENERATION_RUNS_MAX: usize = 65_536;

/// Two generations instead of a list by last use: what is not asked for while one generation
/// fills up is forgotten, and the index tells it again.
#[derive(Default)]
pub struct Counts {
    young: HashMap<RunId, u64>,
    old: HashMap<RunId, u64>,
}

impl Counts {
    pub fn of(&mut self, connection: &Connection, run: RunId) -> Attempt<u64> {
        if let Some(count) = self.young.get(&run) {
            return Ok(*count);
        }
        let count = match self.old.get(&run) {
            Some(count) => *count,
            None => stored_count(connection, run)?,
        };
        self.set(run, count);
        Ok(count)
    }

    pub fn set(&mut self, run: RunId, count: u64) {
        if self.young.len() >= GENERATION_RUNS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(run, count);
    }

    /// Called when a run is removed.
    pub fn forget(&mut self, run: RunId) {
        self.young.remove(&run);
        self.old.remove(&run);
    }

    /// Called whenever a transaction did not commit: what it counted is not there.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

fn stored_count(connection: &Connection, run: RunId) -> Attempt<u64> {
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(seq) FROM journal WHERE run = ?")?
        .query_row([run.to_bytes()], |row| row.get(0))?;
    Ok(newest.map_or(0, |seq| loaded(seq) + 1))
}
