//! One run as stretches of time: the attempts of a task, and the whole as a file for a viewer.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use surefoot::core::run::{Ending, Span, Subject};
use surefoot::traces;
use surefoot_client::wire::{Page, TaskAttempt};

use super::{load, row, task_named};
use crate::auth::Principal;
use crate::problem::Problem;
use crate::service::Service;
use crate::time;

/// The attempts of a task, the first one first. A wait counts as one.
#[utoipa::path(get, path = "/v1/runs/{id}/tasks/{task}/attempts", tag = "runs",
    params(("id" = String, Path), ("task" = String, Path, description = "Its path")),
    responses((status = 200, description = "Attempts", body = Page<TaskAttempt>)))]
pub(super) async fn attempts(
    State(service): State<Service>,
    principal: Principal,
    Path((id, task)): Path<(String, String)>,
) -> Result<Json<Page<TaskAttempt>>, Problem> {
    let run = load(&service, &principal, &id).await?;
    let task = task_named(&run, &task)?;
    let (path, status) = (run.path(task), run.state().task(task).status);
    let (_, spans) = traces::of_run(service.store(), run.id()).await?;
    let items = spans.iter().filter_map(|span| match &span.subject {
        Subject::Task { path: own, attempt, worker, .. } if *own == path => {
            Some(of_span(span, *attempt, worker.as_deref(), status.name()))
        }
        _ => None,
    });
    Ok(Json(Page { items: items.collect(), next_cursor: None }))
}

fn of_span(span: &Span, attempt: u32, worker: Option<&str>, going_on: &str) -> TaskAttempt {
    let (status, error) = match span.end.as_ref().map(|it| &it.1) {
        None => (going_on, None),
        Some(Ending::Completed) => ("completed", None),
        Some(Ending::Failed(error)) => ("failed", serde_json::to_value(error).ok()),
        Some(Ending::Lost(reason)) => ("lost", Some(Value::from(reason.as_str()))),
        Some(Ending::Cancelled) => ("cancelled", None),
    };
    let end = span.end.as_ref().map(|it| it.0);
    TaskAttempt {
        attempt,
        status: status.to_owned(),
        worker: worker.map(str::to_owned),
        started_at: time::text(span.start),
        ended_at: end.map(time::text),
        took_ms: end.map(|it| it.saturating_sub(span.start)),
        error,
    }
}

/// The run as Perfetto and Chrome read it: a row for the run, and one for each task.
#[utoipa::path(get, path = "/v1/runs/{id}/trace", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, description = "Trace events, in JSON", body = Value)))]
pub(super) async fn trace(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = row(&service, &principal, &id).await?;
    let (run, spans) = traces::of_run(service.store(), row.id).await?;
    let file = traces::chrome(run.state(), &spans, service.now());
    let disposition = format!("inline; filename=\"{}.trace.json\"", row.id);
    Ok(([(header::CONTENT_DISPOSITION, disposition)], Json(file)).into_response())
}
