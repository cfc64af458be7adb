//! One run, from the side that is asked for.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use surefoot::core::run::{Run as Folded, TaskId};
use surefoot::store::{LogFilter, StoredLog};
use surefoot::{RunId, draw, inspect};
use surefoot_client::wire::*;

use super::{load, row, task_named};
use crate::auth::Principal;
use crate::parameters::{Parameters, bad};
use crate::problem::Problem;
use crate::service::Service;
use crate::time;

/// Records of one part of a history.
const RECORDS: u64 = 100;
const RECORDS_MAX: u64 = 1000;
/// The number of a record: what every store can count to.
const RECORD_MAX: u64 = i64::MAX as u64;
/// Lines of one answer.
const LINES: u64 = 1000;
const LINES_MAX: u64 = 10_000;

/// One run with its input, output and error. `ETag` is the number of its records.
#[utoipa::path(get, path = "/v1/runs/{id}", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, description = "The run", body = Run), (status = 304, description = "As the caller knows it")))]
pub(super) async fn show(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = load(&service, &principal, &id).await?;
    let tag = format!("\"{}\"", run.state().records);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|it| it.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(([(header::ETAG, tag)], Json(super::of_run(&run))).into_response())
}

/// The result of a run; `wait` waits for it.
#[utoipa::path(get, path = "/v1/runs/{id}/result", tag = "runs",
    params(("id" = String, Path), ("wait" = Option<u64>, Query, description = "Seconds", minimum = 0, maximum = 60)),
    responses((status = 200, description = "It has ended", body = RunResult), (status = 202, description = "It still runs", body = Run)))]
pub(super) async fn result(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let seconds = parameters.number("wait", 0, service.config().wait_seconds)?.unwrap_or(0);
    parameters.finish()?;
    let row = row(&service, &principal, &id).await?;
    if row.ended_at.is_none() && seconds > 0 {
        let handle = service.engine().run(row.id);
        // What ended in the meantime, or did not, is seen below.
        tokio::select! {
            ended = tokio::time::timeout(service.patience(seconds), handle.end()) => {
                if let Ok(Ok(view)) = ended {
                    return Ok(of_end(super::of_view(*view)));
                }
            }
            () = service.stopping().cancelled() => {}
        }
    }
    let run = service.engine().load(row.id).await?;
    let run_as_sent = super::of_run(&run);
    if !run.state().status.is_terminal() {
        return Ok((StatusCode::ACCEPTED, Json(run_as_sent)).into_response());
    }
    Ok(of_end(run_as_sent))
}

fn of_end(run: Run) -> Response {
    let Run { id, status, output, error, .. } = run;
    let output = output.unwrap_or_default();
    Json(RunResult { run: id, status, output, error }).into_response()
}

/// What has happened, oldest first.
#[utoipa::path(get, path = "/v1/runs/{id}/history", tag = "runs",
    params(("id" = String, Path), ("from" = Option<u64>, Query, minimum = 0), ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000)),
    responses((status = 200, description = "Records", body = HistoryPage)))]
pub(super) async fn history(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<Json<HistoryPage>, Problem> {
    let from = parameters.number("from", 0, RECORD_MAX)?.unwrap_or(0);
    let limit = parameters.number("limit", 1, RECORDS_MAX)?.unwrap_or(RECORDS);
    parameters.finish()?;
    let run = load(&service, &principal, &id).await?;
    let records = inspect::page(service.store(), run.id(), from, limit as u32).await?;
    let items: Vec<HistoryRecord> =
        (from..).zip(&records).map(|(seq, record)| of_record(&run, seq, record)).collect();
    let next_from = (items.len() as u64 == limit).then_some(from.saturating_add(limit));
    Ok(Json(HistoryPage { items, next_from }))
}

/// Writes a record in words.
pub(crate) fn of_record(run: &Folded, seq: u64, record: &surefoot::Record) -> HistoryRecord {
    let events = record.events.iter().map(|event| {
        let (kind, task, detail) = run.describe(event);
        HistoryEvent { kind: kind.to_owned(), task, detail }
    });
    HistoryRecord {
        seq,
        at: time::text(record.at),
        actor: record.by.actor.clone(),
        reason: record.by.reason.clone(),
        events: events.collect(),
    }
}

/// Every task of a run.
#[utoipa::path(get, path = "/v1/runs/{id}/tasks", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, description = "Tasks", body = Page<RunTask>)))]
pub(super) async fn tasks(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Page<RunTask>>, Problem> {
    let run = load(&service, &principal, &id).await?;
    let tasks = (0..run.state().tasks.len() as u32).map(TaskId);
    Ok(Json(Page { items: tasks.map(|it| of_task(&run, it)).collect(), next_cursor: None }))
}

/// One task of a run.
#[utoipa::path(get, path = "/v1/runs/{id}/tasks/{task}", tag = "runs", params(("id" = String, Path), ("task" = String, Path, description = "Its path")),
    responses((status = 200, description = "The task", body = RunTask)))]
pub(super) async fn task(
    State(service): State<Service>,
    principal: Principal,
    Path((id, task)): Path<(String, String)>,
) -> Result<Json<RunTask>, Problem> {
    let run = load(&service, &principal, &id).await?;
    let task = task_named(&run, &task)?;
    Ok(Json(of_task(&run, task)))
}

fn of_task(run: &Folded, id: TaskId) -> RunTask {
    let task = run.state().task(id);
    RunTask {
        task: run.path(id),
        kind: run.kind(id).map(str::to_owned),
        status: task.status.to_string(),
        attempt: task.attempt,
        since: time::text(task.since),
        started_at: task.started_at.map(time::text),
        due: task.due.map(time::text),
        error: task.error().and_then(|it| serde_json::to_value(it).ok()),
        output: task.output.as_deref().cloned(),
        line: run.node(id).line,
    }
}

/// Why a task is where it is, in a sentence.
#[utoipa::path(get, path = "/v1/runs/{id}/tasks/{task}/why", tag = "runs", params(("id" = String, Path), ("task" = String, Path)),
    responses((status = 200, description = "The sentence", body = Why)))]
pub(super) async fn why(
    State(service): State<Service>,
    principal: Principal,
    Path((id, task)): Path<(String, String)>,
) -> Result<Json<Why>, Problem> {
    let run = load(&service, &principal, &id).await?;
    let task = task_named(&run, &task)?;
    let why = service.engine().run(run.id()).why(&run.path(task)).await?;
    let why = why.unwrap_or_else(|| run.why(task, service.now()));
    Ok(Json(Why { task: why.task, status: why.status.to_string(), why: why.why }))
}

/// What the attempts of a task have logged.
#[utoipa::path(get, path = "/v1/runs/{id}/tasks/{task}/logs", tag = "runs",
    params(("id" = String, Path), ("task" = String, Path), ("attempt" = Option<u32>, Query, minimum = 1), ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "Lines", body = Page<LogLine>)))]
pub(super) async fn logs(
    State(service): State<Service>,
    principal: Principal,
    Path((id, task)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Json<Page<LogLine>>, Problem> {
    let run = load(&service, &principal, &id).await?;
    let task = run.path(task_named(&run, &task)?);
    lines(&service, run.id(), Some(task), parameters).await
}

/// What all tasks of a run have logged.
#[utoipa::path(get, path = "/v1/runs/{id}/logs", tag = "runs",
    params(("id" = String, Path), ("task" = Option<String>, Query, description = "Its path"), ("attempt" = Option<u32>, Query, minimum = 1), ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "Lines", body = Page<LogLine>)))]
pub(super) async fn run_logs(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<Json<Page<LogLine>>, Problem> {
    let task = parameters.text("task");
    let row = row(&service, &principal, &id).await?;
    lines(&service, row.id, task, parameters).await
}

async fn lines(
    service: &Service,
    run: RunId,
    task: Option<String>,
    mut parameters: Parameters,
) -> Result<Json<Page<LogLine>>, Problem> {
    let attempt = parameters.number("attempt", 1, u64::from(u32::MAX))?;
    let limit = parameters.number("limit", 1, LINES_MAX)?.unwrap_or(LINES) as u32;
    let after: Option<i64> = parameters.parsed("cursor", "a cursor of this list")?;
    parameters.finish()?;
    let filter =
        LogFilter { task, attempt: attempt.map(|it| it as u32), after: after.unwrap_or(0), limit };
    let lines = service.store().logs(run, &filter).await?;
    // A reader who follows goes on after the last line, whether the part was full or not.
    let next_cursor = lines.last().map(|it| it.position.to_string());
    Ok(Json(Page { items: lines.into_iter().map(of_log).collect(), next_cursor }))
}

pub(super) fn of_log(stored: StoredLog) -> LogLine {
    let surefoot::store::LogLine { task, attempt, at, stream, text, .. } = stored.line;
    LogLine { task, attempt, at: time::text(at), level: stream, text }
}

/// The journal as it is kept, for programs that fold it themselves.
#[utoipa::path(get, path = "/v1/runs/{id}/records", tag = "runs",
    params(("id" = String, Path), ("from" = Option<u64>, Query, minimum = 0), ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000)),
    responses((status = 200, description = "Records", body = Records)))]
pub(super) async fn records(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<Json<Records>, Problem> {
    let from = parameters.number("from", 0, RECORD_MAX)?.unwrap_or(0);
    let limit = parameters.number("limit", 1, RECORDS_MAX)?.unwrap_or(RECORDS);
    parameters.finish()?;
    let row = row(&service, &principal, &id).await?;
    let records = inspect::page(service.store(), row.id, from, limit as u32).await?;
    let items: Result<Vec<_>, _> = records.iter().map(serde_json::to_value).collect();
    Ok(Json(Records { items: items.map_err(Problem::internal)? }))
}

/// The ways out of the states that machines are in, and why each is open or closed.
#[utoipa::path(get, path = "/v1/runs/{id}/transitions", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, description = "Transitions", body = Page<Transition>)))]
pub(super) async fn transitions(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Page<Transition>>, Problem> {
    let run = load(&service, &principal, &id).await?;
    let items = run.transitions(service.now()).into_iter().map(|it| Transition {
        machine: it.machine,
        from: it.from,
        on: it.on,
        to: it.to,
        open: it.open,
        why: it.why,
    });
    Ok(Json(Page { items: items.collect(), next_cursor: None }))
}

/// The graph with the statuses of its tasks.
#[utoipa::path(get, path = "/v1/runs/{id}/graph", tag = "runs",
    params(("id" = String, Path), ("format" = Option<String>, Query, description = "`svg` (default), `mermaid` or `dot`")),
    responses((status = 200, description = "The picture", body = String, content_type = "image/svg+xml")))]
pub(super) async fn graph(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let format = parameters.text("format");
    parameters.finish()?;
    let run = load(&service, &principal, &id).await?;
    let tasks = (0..run.state().tasks.len() as u32).map(TaskId).filter(|it| !run.is_item(*it));
    let statuses =
        tasks.map(|it| (run.plan().path(run.node_id(it)), run.state().task(it).status)).collect();
    picture(run.plan(), &statuses, format.as_deref())
}

/// Draws a plan.
pub(crate) fn picture(
    plan: &surefoot::core::plan::Plan,
    statuses: &draw::Statuses,
    format: Option<&str>,
) -> Result<Response, Problem> {
    let diagram = draw::Diagram::of(plan);
    let (kind, text) = match format.unwrap_or("svg") {
        "svg" => ("image/svg+xml", draw::svg(&diagram, statuses)),
        "mermaid" => ("text/plain; charset=utf-8", draw::mermaid(&diagram, statuses)),
        "dot" => ("text/plain; charset=utf-8", draw::dot(&diagram, statuses)),
        other => {
            return Err(bad("there is no such format", other.to_owned())
                .hint("Formats are svg, mermaid and dot."));
        }
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
