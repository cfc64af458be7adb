//! Runs folded alongside the journal, so that each record is told with the names of its tasks and
//! with the status that the run had after it.

use std::collections::HashMap;
use std::sync::Arc;

use surefoot::core::limits::Limits;
use surefoot::core::run::{Run, RunState};
use surefoot::inspect::{self, InspectError};
use surefoot::store::{self, JournalEntry, Store};
use surefoot::{Event, Record, RunId};

/// Runs in one generation; twice as many are kept at most. What is not met while one fills up is
/// forgotten, and the store tells it again.
const GENERATION_RUNS_MAX: usize = 512;

#[derive(Default)]
pub(crate) struct Folding {
    young: HashMap<RunId, Run>,
    old: HashMap<RunId, Run>,
    workflows: HashMap<RunId, Arc<str>>,
    workflows_old: HashMap<RunId, Arc<str>>,
}

impl Folding {
    /// Returns the workflow of a run; nothing if the run was removed.
    pub async fn workflow(
        &mut self,
        store: &dyn Store,
        entry: &JournalEntry,
    ) -> Result<Option<Arc<str>>, store::Error> {
        let known = self.workflows.get(&entry.run).or_else(|| self.workflows_old.get(&entry.run));
        if let Some(workflow) = known {
            return Ok(Some(Arc::clone(workflow)));
        }
        let Some(row) = store.run(entry.run).await? else { return Ok(None) };
        let workflow: Arc<str> = row.workflow.into();
        if self.workflows.len() >= GENERATION_RUNS_MAX {
            self.workflows_old = std::mem::take(&mut self.workflows);
        }
        self.workflows.insert(entry.run, Arc::clone(&workflow));
        Ok(Some(workflow))
    }

    /// Returns a record and its run as it was after it; nothing if the run was removed or cannot be
    /// read, which must not keep anybody from the records after it.
    pub async fn after(
        &mut self,
        store: &dyn Store,
        entry: &JournalEntry,
    ) -> Result<Option<(Record, &Run)>, store::Error> {
        match self.fold(store, entry).await {
            Ok((record, run)) => {
                if self.young.len() >= GENERATION_RUNS_MAX {
                    self.old = std::mem::take(&mut self.young);
                }
                Ok(Some((record, self.young.entry(entry.run).or_insert(run))))
            }
            Err(InspectError::Store(error)) => Err(error),
            Err(InspectError::NotFound(_)) => Ok(None),
            Err(error @ InspectError::Unreadable { .. }) => {
                tracing::warn!(%error, seq = entry.seq, "a record is left out of the events");
                Ok(None)
            }
        }
    }

    async fn fold(
        &mut self,
        store: &dyn Store,
        entry: &JournalEntry,
    ) -> Result<(Record, Run), InspectError> {
        let decoded = inspect::decode(store, entry.run, vec![entry.record.clone()]).await?;
        let record = decoded.into_iter().next().ok_or(InspectError::NotFound(entry.run))?;
        let known = self.young.remove(&entry.run).or_else(|| self.old.remove(&entry.run));
        if let Some(mut run) = known
            && run.state().records == entry.seq
        {
            run.follow(std::slice::from_ref(&record));
            return Ok((record, run));
        }
        Ok((record, load(store, entry).await?))
    }

    /// Forgets a run that will hardly be met again.
    pub fn forget_ended(&mut self, run: RunId, record: &Record) {
        if record.events.iter().any(|it| matches!(it, Event::Ended { .. })) {
            self.young.remove(&run);
            self.workflows.remove(&run);
        }
    }
}

/// Folds a run up to a record. Where it has gone on since, from its beginning.
async fn load(store: &dyn Store, entry: &JournalEntry) -> Result<Run, InspectError> {
    let count = entry.seq + 1;
    let newest = inspect::load(store, entry.run).await?;
    if newest.state().records == count {
        return Ok(newest);
    }
    let limit = u32::try_from(count).unwrap_or(u32::MAX);
    let records = inspect::page(store, entry.run, 0, limit).await?;
    let state = RunState::fold(entry.run, records)
        .map_err(|error| InspectError::Unreadable { run: entry.run, reason: error.to_string() })?;
    Ok(Run::new(Arc::clone(newest.plan()), state, Arc::new(Limits::default())))
}
