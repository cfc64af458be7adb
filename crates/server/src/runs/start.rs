//! Starting a run, and perhaps waiting for its end.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use surefoot::{RunId, StartRequest, inspect};
use surefoot_client::wire::{Run, RunOrSchedule, StartRun};

use crate::auth::Principal;
use crate::body::MaybeJson;
use crate::problem::Problem;
use crate::service::Service;

/// Starts a run.
///
/// With `key`, starting twice starts once: the same request finds its run (200), another is
/// refused (409). `traceparent` (W3C Trace Context) makes the run part of the caller's trace. With `at` it starts later: the answer is a schedule of one slot. With `Prefer: wait=30` the answer waits for the end (200), or for 30 seconds
/// (202).
#[utoipa::path(post, path = "/v1/workflows/{id}/runs", tag = "runs",
    params(("id" = String, Path, description = "The workflow"),
        ("Prefer" = Option<String>, Header, description = "`wait=SECONDS`")),
    request_body = StartRun,
    responses((status = 201, description = "Started", body = Run, headers(("Location" = String))),
        (status = 200, description = "It was started before with this key, or has ended", body = Run),
        (status = 202, description = "It still runs, or starts later", body = RunOrSchedule)))]
pub(super) async fn start(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    MaybeJson(body): MaybeJson<StartRun>,
) -> Result<Response, Problem> {
    principal.must_see(&id)?;
    let request = StartRequest {
        workflow: id,
        version: body.version,
        input: body.input.unwrap_or_else(|| json!({})),
        key: body.key,
        labels: body.labels,
        priority: body.priority,
        actor: principal.actor,
        traceparent: traceparent(&headers),
    };
    if let Some(at) = &body.at {
        let at = crate::schedules::instant("/at", at)?;
        return crate::schedules::start_later(&service, request, at).await;
    }
    let began = service.now();
    let handle = service.engine().start(request).await?;
    let mut status = match created_before(&service, handle.id(), began).await? {
        true => StatusCode::OK,
        false => StatusCode::CREATED,
    };
    if let Some(seconds) = wanted_wait(&headers)? {
        let waited = tokio::time::timeout(service.patience(seconds), handle.wait());
        status = tokio::select! {
            waited = waited => match waited {
                Ok(outcome) => {
                    outcome?;
                    StatusCode::OK
                }
                Err(_) => StatusCode::ACCEPTED,
            },
            () = service.stopping().cancelled() => StatusCode::ACCEPTED,
        };
    }
    let run = super::of_run(&inspect::load(service.store(), handle.id()).await?);
    let location = format!("/v1/runs/{}", run.id);
    let mut response = (status, axum::Json(run)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Returns where in a trace the caller stands, if it says so.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all("traceparent").iter();
    let only = values.next().filter(|_| values.next().is_none())?;
    only.to_str().ok().map(str::to_owned)
}

/// Whether a run is one that an earlier request started.
async fn created_before(service: &Service, run: RunId, began: u64) -> Result<bool, Problem> {
    let row = service.store().run(run).await?;
    Ok(row.is_some_and(|it| it.created_at < began))
}

/// Reads `Prefer: wait=SECONDS` (RFC 7240).
fn wanted_wait(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let values = headers.get_all("prefer").iter().filter_map(|it| it.to_str().ok());
    let mut preferences = values.flat_map(|it| it.split(','));
    let Some(wait) = preferences.find_map(|it| it.trim().strip_prefix("wait=")) else {
        return Ok(None);
    };
    let seconds = wait.trim().parse().map_err(|_| {
        crate::parameters::bad("`Prefer: wait` is not a number of seconds", wait.to_owned())
    })?;
    Ok(Some(seconds))
}
