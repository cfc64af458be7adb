//! Removes ended runs: those that their definitions want to keep no longer, and those that somebody
//! asks to be forgotten.

use std::sync::Arc;
use std::time::Duration;

use surefoot_core::definition::Retention;
use surefoot_core::ids::RunId;
use surefoot_core::run::{Refusal, RunStatus};
use surefoot_store::{Retention as Removal, RunFilter, RunRow};

use super::{CommandError, Shared};

/// How often the definitions are asked. The first time is when the engine opens.
pub(super) const INTERVAL: Duration = Duration::from_secs(3600);
/// Runs that are removed in one transaction.
const RUNS_AT_ONCE: u32 = 500;

/// Removes what the newest version of each workflow says may go.
pub(super) async fn remove_old_runs(shared: Arc<Shared>) {
    if let Err(error) = try_to_remove(&shared).await {
        tracing::warn!(%error, "old runs were not removed; the next try is in an hour");
    }
}

async fn try_to_remove(shared: &Shared) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let rows = shared.store.definitions(None).await?;
    let mut workflows: Vec<String> = rows.into_iter().map(|it| it.workflow).collect();
    workflows.sort_unstable();
    workflows.dedup();
    for workflow in workflows {
        let plan = shared.definitions.find(&workflow, None).await?;
        let Some(Retention { completed, failed }) = plan.retention else { continue };
        for (age, statuses) in [(completed, &["completed"][..]), (failed, &["failed", "cancelled"])]
        {
            let Some(age) = age else { continue };
            let removal = Removal {
                workflow: Some(workflow.clone()),
                statuses: statuses.iter().map(|it| (*it).to_owned()).collect(),
                ..Removal::before(shared.clock.now().saturating_sub(age.0), RUNS_AT_ONCE)
            };
            while shared.store.gc(&removal).await?.runs == u64::from(RUNS_AT_ONCE) {}
        }
    }
    Ok(())
}

/// Removes a run and those that it started; all have to have ended.
pub(super) async fn erase(shared: &Shared, run: RunId) -> Result<(), CommandError> {
    let row = shared.store.run(run).await?.ok_or(CommandError::NotFound(run))?;
    let mut family = vec![row];
    let mut at = 0;
    while at < family.len() {
        let below = children(shared, family[at].id).await?;
        family.extend(below);
        at += 1;
    }
    if let Some(going) = family.iter().find(|it| it.ended_at.is_none()) {
        return Err(CommandError::Refused(still_going(going)));
    }
    // The run itself goes last: as long as it is there, the others can be found again.
    for row in family.iter().rev() {
        shared.store.gc(&Removal::only(row.id)).await?;
    }
    Ok(())
}

async fn children(shared: &Shared, parent: RunId) -> Result<Vec<RunRow>, CommandError> {
    let mut filter =
        RunFilter { parent: Some(parent), limit: RUNS_AT_ONCE, ..RunFilter::default() };
    let mut all = Vec::new();
    loop {
        let rows = shared.store.runs(&filter).await?;
        let is_last = rows.len() < RUNS_AT_ONCE as usize;
        filter.before = rows.last().map(|it| it.id);
        all.extend(rows);
        if is_last {
            return Ok(all);
        }
    }
}

fn still_going(row: &RunRow) -> Refusal {
    Refusal::Run {
        verb: "erase".to_owned(),
        status: RunStatus::ALL
            .into_iter()
            .find(|it| it.name() == row.status)
            .unwrap_or(RunStatus::Running),
        hint: format!("Wait until run {} has ended, or cancel it first.", row.id),
    }
}
