//! Starting a run, and perhaps waiting for its end.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use surefoot::StartRequest;
use surefoot::core::trace::TraceContext;
use surefoot_client::wire::{Run, RunOrSchedule, StartRun};

use crate::auth::Principal;
use crate::body::MaybeJson;
use crate::problem::Problem;
use crate::service::Service;

/// Starts a run.
///
/// With `key`, starting twice starts once: the same request finds its run (200), another is
/// refused (409). `traceparent` and `tracestate` (W3C Trace Context) make the run part of the
/// caller's trace. With `at` it starts later: the answer is a schedule of one slot. With
/// `Prefer: wait=30` the answer waits for the end (200), or for 30 seconds (202).
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
    let trace = trace_context(&headers);
    let request = StartRequest {
        workflow: id,
        version: body.version,
        input: body.input.unwrap_or_else(|| json!({})),
        key: body.key,
        labels: body.labels,
        priority: body.priority,
        actor: principal.actor,
        traceparent: trace.traceparent,
        tracestate: trace.tracestate,
    };
    if let Some(at) = &body.at {
        let at = crate::schedules::instant("/at", at)?;
        return crate::schedules::start_later(&service, request, at).await;
    }
    let wait = wanted_wait(&headers)?;
    let mut started = service.engine().begin(request, wait.is_some()).await?;
    let mut status = if started.view.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    let (handle, mut view) = (started.handle.clone(), started.view.take());
    if let Some(seconds) = wait {
        let waited = tokio::time::timeout(service.patience(seconds), started.end());
        status = StatusCode::ACCEPTED;
        tokio::select! {
            waited = waited => if let Ok(ended) = waited {
                (status, view) = (StatusCode::OK, Some(ended?));
            },
            () = service.stopping().cancelled() => {}
        }
    }
    let run = match view {
        // What it waited for in vain may have changed it.
        Some(view) if status != StatusCode::ACCEPTED => super::of_view(*view),
        _ => super::of_run(&service.engine().load(handle.id()).await?),
    };
    let location = format!("/v1/runs/{}", run.id);
    let mut response = (status, axum::Json(run)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Returns where in a trace the caller stands, if it says so.
pub(crate) fn trace_context(headers: &HeaderMap) -> TraceContext {
    let mut places = headers.get_all("traceparent").iter();
    let only = places.next().filter(|_| places.next().is_none()).and_then(|it| it.to_str().ok());
    // Many headers are one list. One that is no text makes the whole of it malformed.
    let states = headers.get_all("tracestate").iter().map(|it| it.to_str().unwrap_or("?"));
    let states = states.collect::<Vec<_>>().join(",");
    TraceContext::read(only, Some(&states))
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
