//! Schedules: asked for, shown, and moved by hand. The clock's part is `surefoot::schedules`.

mod convert;
mod problem;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use surefoot::core::time::Millis;
use surefoot::schedules::Schedule;
use surefoot::store::Expect;
use surefoot::{StartRequest, inspect};
use surefoot_client::wire;
use surefoot_client::wire::{Backfill, Page, PutSchedule, Run, StartBackfill, UpcomingSlots};
use utoipa_axum::routes;

pub(crate) use convert::instant;

use crate::api::{Access, Api};
use crate::auth::Principal;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::service::Service;
use crate::{body, cursor};

/// Schedules of one part of a list.
const LIMIT: u64 = 50;
const LIMIT_MAX: u64 = 500;
/// Slots ahead that are told.
const NEXT: u64 = 10;
const NEXT_MAX: u64 = 1_000;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Read, routes!(list))
        .route(Access::Read, routes!(get))
        .route(Access::Deploy, routes!(put))
        .route(Access::Deploy, routes!(delete))
        .route(Access::Operate, routes!(trigger))
        .route(Access::Operate, routes!(pause))
        .route(Access::Operate, routes!(resume))
        .route(Access::Operate, routes!(backfill))
        .route(Access::Read, routes!(next))
}

/// Lists schedules, by id.
#[utoipa::path(get, path = "/v1/schedules", tag = "schedules",
    params(("workflow" = Option<String>, Query), ("limit" = Option<u64>, Query, minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "A part of the list", body = Page<wire::Schedule>)))]
async fn list(
    State(service): State<Service>,
    principal: Principal,
    mut parameters: Parameters,
) -> Result<Json<Page<wire::Schedule>>, Problem> {
    let limit = parameters.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT) as usize;
    let workflow = parameters.text("workflow");
    let given = parameters.text("cursor");
    parameters.finish()?;
    let name = format!("schedules {workflow:?} {:?}", principal.namespaces);
    let mut after = given.map(|it| cursor::read_text(&name, &it)).transpose()?;
    let mut items = Vec::new();
    // A caller with few namespaces may see few of many schedules.
    loop {
        let page = service.schedules().list(after.as_deref(), LIMIT_MAX as u32).await?;
        let is_last = page.len() < LIMIT_MAX as usize;
        for schedule in page {
            if items.len() == limit {
                let next_cursor = after.map(|it| cursor::write_text(&name, &it));
                return Ok(Json(Page { items, next_cursor }));
            }
            after = Some(schedule.id.clone());
            let is_asked = workflow.as_ref().is_none_or(|it| *it == schedule.spec.workflow);
            if is_asked && principal.sees(&schedule.spec.workflow) {
                items.push(convert::schedule(&schedule));
            }
        }
        if is_last {
            return Ok(Json(Page { items, next_cursor: None }));
        }
    }
}

/// Shows a schedule.
#[utoipa::path(get, path = "/v1/schedules/{id}", tag = "schedules", params(("id" = String, Path)),
    responses((status = 200, description = "The schedule", body = wire::Schedule, headers(("ETag" = String)))))]
async fn get(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    Ok(shown(StatusCode::OK, &seen(&service, &principal, &id).await?))
}

/// Makes a schedule, or changes it.
///
/// Times that have passed are not owed by a new calendar. `If-Match` with the `ETag` refuses to
/// overwrite what has changed meanwhile; `If-None-Match: *` refuses to overwrite at all.
#[utoipa::path(put, path = "/v1/schedules/{id}", tag = "schedules",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    request_body = PutSchedule,
    responses((status = 201, description = "Made", body = wire::Schedule, headers(("ETag" = String))),
        (status = 200, description = "Changed", body = wire::Schedule, headers(("ETag" = String)))))]
async fn put(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    body::Json(asked): body::Json<PutSchedule>,
) -> Result<Response, Problem> {
    principal.must_see(&asked.workflow)?;
    if service.schedules().find(&id).await?.is_some() {
        seen(&service, &principal, &id).await?;
    }
    let new = convert::request(asked, &principal.actor)?;
    let (schedule, is_new) = service.schedules().put(&id, new, expected(&headers)?).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(shown(status, &schedule))
}

/// Removes a schedule. Runs that it started go on.
#[utoipa::path(delete, path = "/v1/schedules/{id}", tag = "schedules",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204, description = "Removed")))]
async fn delete(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    seen(&service, &principal, &id).await?;
    service.schedules().remove(&id, expected(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Starts a run of a schedule now, whatever its calendar and its overlap say.
#[utoipa::path(post, path = "/v1/schedules/{id}/trigger", tag = "schedules", params(("id" = String, Path)),
    responses((status = 201, description = "Started", body = Run, headers(("Location" = String)))))]
async fn trigger(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    body::MaybeJson(_): body::MaybeJson<Nothing>,
) -> Result<Response, Problem> {
    seen(&service, &principal, &id).await?;
    let run = service.schedules().trigger(&id, &principal.actor, None).await?;
    let run = crate::runs::of_run(&inspect::load(service.store(), run).await?);
    let location = format!("/v1/runs/{}", run.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(run)).into_response())
}

/// A body that may be empty, and has no fields.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Stops a schedule from starting anything. Slots that pass meanwhile are skipped.
#[utoipa::path(post, path = "/v1/schedules/{id}/pause", tag = "schedules",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "Paused", body = wire::Schedule, headers(("ETag" = String)))))]
async fn pause(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    body::MaybeJson(_): body::MaybeJson<Nothing>,
) -> Result<Response, Problem> {
    must_match(&headers, &seen(&service, &principal, &id).await?)?;
    Ok(shown(StatusCode::OK, &service.schedules().pause(&id).await?))
}

/// Goes on from now. What passed during the pause is not caught up; a backfill does that.
#[utoipa::path(post, path = "/v1/schedules/{id}/resume", tag = "schedules",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "It goes on", body = wire::Schedule, headers(("ETag" = String)))))]
async fn resume(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    body::MaybeJson(_): body::MaybeJson<Nothing>,
) -> Result<Response, Problem> {
    must_match(&headers, &seen(&service, &principal, &id).await?)?;
    Ok(shown(StatusCode::OK, &service.schedules().resume(&id).await?))
}

/// Starts the runs of slots in `[from, to)` that have passed; those that were started before are
/// found, not started again. The overlap is not asked.
#[utoipa::path(post, path = "/v1/schedules/{id}/backfill", tag = "schedules", params(("id" = String, Path)),
    request_body = StartBackfill,
    responses((status = 200, description = "What was done, or would be", body = Backfill)))]
async fn backfill(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    body::Json(asked): body::Json<StartBackfill>,
) -> Result<Json<Backfill>, Problem> {
    seen(&service, &principal, &id).await?;
    let from = convert::instant("/from", &asked.from)?;
    let to = convert::instant("/to", &asked.to)?;
    if from >= to {
        return Err(problem::range("`from` is not before `to`"));
    }
    let done = service.schedules().backfill(&id, from, to, asked.dry_run).await?;
    Ok(Json(convert::backfill(done, asked.dry_run)))
}

/// Says when a schedule starts its next runs.
#[utoipa::path(get, path = "/v1/schedules/{id}/next", tag = "schedules",
    params(("id" = String, Path), ("n" = Option<u64>, Query, minimum = 1, maximum = 1000)),
    responses((status = 200, description = "The next slots; fewer if there are no more", body = UpcomingSlots)))]
async fn next(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<Json<UpcomingSlots>, Problem> {
    let count = parameters.number("n", 1, NEXT_MAX)?.unwrap_or(NEXT) as usize;
    parameters.finish()?;
    let schedule = seen(&service, &principal, &id).await?;
    let upcoming = service.schedules().next(&id, count).await?;
    let items = upcoming.iter().map(|it| convert::upcoming(it, &schedule.spec.when)).collect();
    Ok(Json(UpcomingSlots { items }))
}

/// Starts a run later; it can be called off by removing the schedule.
pub(crate) async fn start_later(
    service: &Service,
    request: StartRequest,
    at: Millis,
) -> Result<Response, Problem> {
    let schedule = service.schedules().start_later(request, at).await?;
    let location = format!("/v1/schedules/{}", schedule.id);
    let mut response = shown(StatusCode::ACCEPTED, &schedule);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Returns a schedule that the caller may know of.
async fn seen(service: &Service, principal: &Principal, id: &str) -> Result<Schedule, Problem> {
    let schedule = service.schedules().get(id).await?;
    match principal.sees(&schedule.spec.workflow) {
        true => Ok(schedule),
        false => Err(Problem::not_found("schedule", id)),
    }
}

fn shown(status: StatusCode, schedule: &Schedule) -> Response {
    let mut response = (status, Json(convert::schedule(schedule))).into_response();
    if let Ok(tag) = HeaderValue::from_str(&tag(schedule.revision)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn tag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// Reads what the caller believes.
fn expected(headers: &HeaderMap) -> Result<Expect, Problem> {
    if headers.get(header::IF_NONE_MATCH).is_some_and(|it| it == "*") {
        return Ok(Expect::Absent);
    }
    let Some(wanted) = headers.get(header::IF_MATCH) else { return Ok(Expect::Anything) };
    if wanted == "*" {
        return Ok(Expect::Anything);
    }
    let text = wanted.to_str().unwrap_or_default();
    let revision = text.trim_matches('"').parse().map_err(|_| {
        // No schedule has such a tag, so nothing matches it.
        problem::stale(&format!("If-Match says {text}, which no schedule has"))
    })?;
    Ok(Expect::Revision(revision))
}

fn must_match(headers: &HeaderMap, schedule: &Schedule) -> Result<(), Problem> {
    match expected(headers)? {
        Expect::Revision(revision) if revision != schedule.revision => {
            Err(problem::stale(&format!("the current ETag is {}", tag(schedule.revision))))
        }
        _ => Ok(()),
    }
}
