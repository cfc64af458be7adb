//! The same change to many runs: previewed, carried out by a job, with a result for each.
//!
//! A job is durable. Its runs are those that fitted when it began; verbs are idempotent, so a job
//! that was cut off by a crash is gone on with where it was, and does nothing twice.

mod job;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use surefoot::RunStatus;
use surefoot::store::{RunFilter, RunRow};
use surefoot_client::wire::{
    BulkAction, BulkFilter, BulkItem, BulkJob, BulkPreview, NewBulk, Page,
};
use utoipa_axum::routes;

use crate::api::{Access, Api};
use crate::auth::Principal;
use crate::body::Json as Body;
use crate::problem::Problem;
use crate::service::Service;
use crate::{runs, time};

pub(crate) use job::resume;

/// Runs of one job.
const RUNS_MAX: usize = 100_000;
/// Rows that are read in one go.
const ROWS_AT_ONCE: u32 = 1000;
/// Runs that a preview shows.
const SAMPLE: usize = 10;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Operate, routes!(create))
        .route(Access::Read, routes!(show))
        .route(Access::Read, routes!(items))
        .route(Access::Operate, routes!(stop))
}

/// Changes many runs. With `dry_run`, says how many it would be and shows a few; otherwise a job
/// does it, and `Location` shows how far it is.
#[utoipa::path(post, path = "/v1/bulk", tag = "bulk", request_body = NewBulk,
    responses((status = 200, description = "What it would be", body = BulkPreview), (status = 202, description = "The job", body = BulkJob)))]
async fn create(
    State(service): State<Service>,
    principal: Principal,
    Body(asked): Body<NewBulk>,
) -> Result<Response, Problem> {
    let rows = fitting(&service, &principal, &asked.filter).await?;
    if asked.dry_run {
        let sample = rows.iter().take(SAMPLE).map(runs::of_row).collect();
        let preview = BulkPreview { count: rows.len() as u64, sample };
        return Ok(Json(preview).into_response());
    }
    let ids: Vec<_> = rows.iter().map(|it| it.id).collect();
    let job = job::begin(&service, &principal, asked.action, asked.reason, &ids).await?;
    let location = HeaderValue::try_from(format!("/v1/bulk/{}", job.id));
    let mut response = (StatusCode::ACCEPTED, Json(job)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// How far a job is.
#[utoipa::path(get, path = "/v1/bulk/{id}", tag = "bulk", params(("id" = String, Path)),
    responses((status = 200, description = "The job", body = BulkJob)))]
async fn show(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<BulkJob>, Problem> {
    Ok(Json(job::read(&service, &principal, &id).await?.0))
}

/// What became of each run of a job.
#[utoipa::path(get, path = "/v1/bulk/{id}/items", tag = "bulk", params(("id" = String, Path), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "A part of the list", body = Page<BulkItem>)))]
async fn items(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    mut parameters: crate::parameters::Parameters,
) -> Result<Json<Page<BulkItem>>, Problem> {
    let from = parameters.number("cursor", 0, RUNS_MAX as u64)?.unwrap_or(0);
    parameters.finish()?;
    let (job, _) = job::read(&service, &principal, &id).await?;
    let items = job::chunk(&service, &job.id, from as usize).await?;
    let next = from + 1;
    let is_last = next as usize * job::CHUNK >= job.total as usize;
    Ok(Json(Page { items, next_cursor: (!is_last).then(|| next.to_string()) }))
}

/// Ends a job after the run that it is at. What was done stays done.
#[utoipa::path(post, path = "/v1/bulk/{id}/stop", tag = "bulk", params(("id" = String, Path)),
    responses((status = 200, description = "The job", body = BulkJob)))]
async fn stop(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<BulkJob>, Problem> {
    Ok(Json(job::stop(&service, &principal, &id).await?))
}

/// Finds the runs that a filter means, among those that the caller may see.
async fn fitting(
    service: &Service,
    principal: &Principal,
    asked: &BulkFilter,
) -> Result<Vec<RunRow>, Problem> {
    let unfit = |title: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4023", title);
    let known = RunStatus::ALL.map(|it| it.name());
    if let Some(status) = asked.status.iter().find(|it| !known.contains(&it.as_str())) {
        return Err(unfit(format!("there is no status `{status}`"))
            .hint(format!("Statuses are {}.", known.join(", "))));
    }
    if *asked == BulkFilter::default() {
        return Err(unfit("the filter says nothing, so it would mean every run".to_owned())
            .hint("Say at least a workflow, a status, a label or since when."));
    }
    let since = asked
        .since
        .as_ref()
        .map(|it| time::read(it).ok_or_else(|| unfit(format!("`{it}` is not an instant"))));
    let mut filter = RunFilter {
        workflow: asked.workflow.clone(),
        statuses: asked.status.clone(),
        labels: asked.labels.clone(),
        since: since.transpose()?,
        limit: ROWS_AT_ONCE,
        ..RunFilter::default()
    };
    let mut fitting = Vec::new();
    loop {
        let rows = service.store().runs(&filter).await?;
        let is_last = rows.len() < ROWS_AT_ONCE as usize;
        filter.before = rows.last().map(|it| it.id);
        fitting.extend(rows.into_iter().filter(|it| principal.sees(&it.workflow)));
        if fitting.len() > RUNS_MAX {
            let title = format!("more than {RUNS_MAX} runs fit");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "SF4004", title)
                .hint("Say more in the filter, and do it in parts."));
        }
        if is_last {
            return Ok(fitting);
        }
    }
}

/// What is asked of each run.
fn command(action: BulkAction) -> surefoot::Command {
    match action {
        BulkAction::Pause => surefoot::Command::Pause,
        BulkAction::Resume => surefoot::Command::Resume,
        BulkAction::Cancel => surefoot::Command::Cancel,
        BulkAction::Kill => surefoot::Command::Kill,
        BulkAction::Retry => surefoot::Command::Retry,
    }
}
