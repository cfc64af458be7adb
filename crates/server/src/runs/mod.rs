//! Runs: started, listed, looked into, controlled.

mod control;
mod export;
mod list;
pub(crate) mod show;
mod spans;
mod start;

use std::sync::Arc;

pub(crate) use start::trace_context;

use surefoot::core::run::{Run, TaskId};
use surefoot::inspect;
use surefoot::store::RunRow;
use surefoot::{RunId, RunView};
use surefoot_client::wire;
use utoipa_axum::routes;

use crate::api::{Access, Api};
use crate::auth::Principal;
use crate::parameters::run_id;
use crate::problem::Problem;
use crate::service::Service;
use crate::time;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Operate, routes!(start::start))
        .route(Access::Read, routes!(list::list))
        .route(Access::Read, routes!(show::show))
        .route(Access::Read, routes!(show::result))
        .route(Access::Read, routes!(show::history))
        .route(Access::Read, routes!(show::records))
        .route(Access::Read, routes!(show::run_logs))
        .route(Access::Read, routes!(show::tasks))
        .route(Access::Read, routes!(show::task))
        .route(Access::Read, routes!(show::why))
        .route(Access::Read, routes!(spans::attempts))
        .route(Access::Read, routes!(spans::trace))
        .route(Access::Read, routes!(export::export))
        .route(Access::Read, routes!(show::logs))
        .route(Access::Read, routes!(show::transitions))
        .route(Access::Read, routes!(show::graph))
        .route(Access::Operate, routes!(control::signal))
        .route(Access::Operate, routes!(control::pause))
        .route(Access::Operate, routes!(control::resume))
        .route(Access::Operate, routes!(control::cancel))
        .route(Access::Operate, routes!(control::kill))
        .route(Access::Operate, routes!(control::retry))
        .route(Access::Operate, routes!(control::rewind))
        .route(Access::Operate, routes!(control::skip))
        .route(Access::Operate, routes!(control::set_result))
        .route(Access::Admin, routes!(control::erase))
}

/// Finds a run that the caller may know of.
pub(crate) async fn row(
    service: &Service,
    principal: &Principal,
    id: &str,
) -> Result<RunRow, Problem> {
    let id: RunId = run_id(id)?;
    let row = service.store().run(id).await?;
    row.filter(|it| principal.sees(&it.workflow)).ok_or_else(|| Problem::not_found("run", id))
}

/// Folds a run that the caller may know of.
pub(crate) async fn load(
    service: &Service,
    principal: &Principal,
    id: &str,
) -> Result<Run, Problem> {
    let row = row(service, principal, id).await?;
    Ok(service.engine().load(row.id).await?)
}

/// Writes a run as lists show it.
pub(crate) fn of_row(row: &RunRow) -> wire::Run {
    wire::Run {
        id: row.id.to_string(),
        workflow: row.workflow.clone(),
        version: row.version.clone(),
        definition: row.definition.to_string(),
        status: row.status.clone(),
        key: row.key.clone(),
        labels: row.labels.clone(),
        actor: row.actor.clone(),
        priority: row.priority,
        parent: row.parent.map(|it| it.to_string()),
        created_at: time::text(row.created_at),
        started_at: row.started_at.map(time::text),
        ended_at: row.ended_at.map(time::text),
        summary: row.summary.clone(),
        done: row.done,
        total: row.total,
        input: None,
        output: None,
        error: None,
    }
}

/// Writes a run with its data, as the engine tells of it.
fn of_view(view: RunView) -> wire::Run {
    let RunView { row, input, output, error, .. } = view;
    wire::Run {
        input: Some(Arc::unwrap_or_clone(input)),
        output: output.map(Arc::unwrap_or_clone),
        error: error.and_then(|it| serde_json::to_value(it).ok()),
        ..of_row(&row)
    }
}

/// Writes a run with its data, as it was read.
pub(crate) fn of_run(run: &Run) -> wire::Run {
    let state = run.state();
    wire::Run {
        input: Some((**state.created.input.value()).clone()),
        output: state.output.as_deref().cloned(),
        error: state.error.as_ref().and_then(|it| serde_json::to_value(it).ok()),
        ..of_row(&inspect::row(run))
    }
}

/// Finds a task by its path.
fn task_named(run: &Run, path: &str) -> Result<TaskId, Problem> {
    inspect::task_named(run, path).map_err(|unknown| {
        let hint = crate::problem::suggestion(path, &unknown.known, "tasks");
        Problem::not_found("task", path).hint(hint)
    })
}
