//! Removes ended runs that their definitions want to keep no longer.

use std::sync::Arc;
use std::time::Duration;

use surefoot_core::definition::Retention;
use surefoot_store::Retention as Removal;

use super::Shared;

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
