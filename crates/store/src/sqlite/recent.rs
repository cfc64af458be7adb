//! Rows that were written lately and are likely to be changed next. A row's checksum covers all of
//! it, so a change needs the whole row; the one writer has just written it and need not read it
//! back.

use std::collections::HashMap;

use surefoot_core::ids::RunId;

use crate::row::{Activity, RunRow};

/// Rows in one generation; twice as many are remembered at most.
const GENERATION_ROWS_MAX: usize = 4_096;

/// The rows, in two generations: what is not changed while one fills up is forgotten.
#[derive(Default)]
pub struct RecentRows {
    young: HashMap<RunId, RunRow>,
    old: HashMap<RunId, RunRow>,
}

impl RecentRows {
    /// Hands out a row; whoever changes it keeps it again.
    pub fn take(&mut self, run: RunId) -> Option<RunRow> {
        self.young.remove(&run).or_else(|| self.old.remove(&run))
    }

    /// Remembers a row as it is in the store now. Rows of ended runs hardly change again.
    pub fn keep(&mut self, row: RunRow) {
        if row.activity == Activity::Ended {
            return;
        }
        if self.young.len() >= GENERATION_ROWS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(row.id, row);
    }

    /// Forgets everything: what a transaction wrote that did not commit is not there.
    pub fn forget(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{row, run_id};

    #[test]
    fn rows_are_remembered_for_a_generation_and_forgotten_after_two() {
        let mut rows = RecentRows::default();
        let most = GENERATION_ROWS_MAX as u64;
        (0..=most).for_each(|it| rows.keep(row(run_id(it))));
        assert!(rows.take(run_id(0)).is_some(), "the old generation counts");
        assert!(rows.take(run_id(0)).is_none(), "a row is handed out once");
        (most + 1..=2 * most).for_each(|it| rows.keep(row(run_id(it))));
        assert!(rows.take(run_id(1)).is_none());
        assert!(rows.take(run_id(2 * most)).is_some());
    }

    #[test]
    fn rows_of_ended_runs_are_not_kept() {
        let mut rows = RecentRows::default();
        rows.keep(RunRow { activity: Activity::Ended, ..row(run_id(1)) });
        assert!(rows.take(run_id(1)).is_none());
    }
}
