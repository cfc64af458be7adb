//! Workers and their queues, for people.

use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use surefoot::LeaseInfo;
use surefoot_client::wire::{CapabilityState, Page, Worker, WorkerTask};

use super::pool::Known;
use super::unknown_worker;
use crate::auth::{Principal, Role};
use crate::problem::Problem;
use crate::service::Service;
use crate::time;

/// The workers that are known, and what they execute.
#[utoipa::path(get, path = "/v1/workers", tag = "workers",
    responses((status = 200, description = "Workers", body = Page<Worker>)))]
pub(super) async fn list(
    State(service): State<Service>,
    principal: Principal,
) -> Result<Json<Page<Worker>>, Problem> {
    let mut tasks: HashMap<String, Vec<WorkerTask>> = HashMap::new();
    for info in service.engine().leases(None) {
        if principal.sees(&info.workflow) {
            tasks.entry(info.worker.clone()).or_default().push(task(info));
        }
    }
    let lease = lease(&service);
    let all = service.workers().all().into_iter();
    let items = all.map(|(id, known)| {
        let tasks = tasks.remove(&id).unwrap_or_default();
        worker(id, known, lease, tasks)
    });
    Ok(Json(Page { items: items.collect(), next_cursor: None }))
}

/// One worker.
#[utoipa::path(get, path = "/v1/workers/{id}", tag = "workers", params(("id" = String, Path)),
    responses((status = 200, description = "The worker", body = Worker)))]
pub(super) async fn show(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Worker>, Problem> {
    let known = service.workers().get(&id).ok_or_else(|| unknown_worker(&id))?;
    let tasks = service.engine().leases(Some(&id)).into_iter();
    let tasks = tasks.filter(|it| principal.sees(&it.workflow)).map(task).collect();
    Ok(Json(worker(id, known, lease(&service), tasks)))
}

/// Gives a worker no more tasks. It finishes what it has, and is told with its next poll. A worker may
/// drain itself: whoever registered it needs no other role.
#[utoipa::path(post, path = "/v1/workers/{id}/drain", tag = "workers", params(("id" = String, Path)),
    responses((status = 202, description = "It drains")))]
pub(super) async fn drain(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    // A worker's token speaks for the workers that registered with it.
    let is_worker = principal.role == Role::Worker;
    service.workers().drain(&id, |it| !is_worker || it.actor == principal.actor)?;
    Ok(StatusCode::ACCEPTED)
}

/// How many tasks wait for workers, and for how long, by capability.
#[utoipa::path(get, path = "/v1/capabilities", tag = "workers",
    responses((status = 200, description = "Capabilities", body = Page<CapabilityState>)))]
pub(super) async fn capabilities(
    State(service): State<Service>,
) -> Result<Json<Page<CapabilityState>>, Problem> {
    let all = service.engine().capabilities().await.into_iter();
    let items = all.map(|it| CapabilityState {
        capability: it.name,
        waiting: it.waiting as u64,
        oldest_seconds: it.oldest_ms as f64 / 1000.0,
        running: it.running as u64,
        workers: it.workers,
        asked: it.asked,
    });
    Ok(Json(Page { items: items.collect(), next_cursor: None }))
}

fn lease(service: &Service) -> Duration {
    service.engine().remote().cloned().unwrap_or_default().lease
}

fn worker(id: String, known: Known, lease: Duration, tasks: Vec<WorkerTask>) -> Worker {
    Worker {
        id,
        status: known.status(lease).to_owned(),
        name: known.said.name,
        capabilities: known.said.capabilities,
        labels: known.said.labels,
        slots: known.said.slots,
        sdk: known.said.sdk,
        actor: known.actor,
        registered_at: time::text(known.registered_at),
        heard_at: time::text(known.heard_at),
        tasks,
    }
}

fn task(info: LeaseInfo) -> WorkerTask {
    WorkerTask {
        run: info.run.to_string(),
        workflow: info.workflow,
        task: info.task,
        uses: info.kind,
        attempt: info.attempt,
        since: time::text(info.since),
        progress: info.progress,
        message: info.message,
        cancelled: info.is_cancelled,
    }
}
